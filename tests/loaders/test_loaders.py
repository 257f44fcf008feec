"""Real frameworks: models that are saved, released, self-tested, deployed and loaded."""

import json
from pathlib import Path
from typing import Any

import pytest

from tagship import ModelVersionManager, NotFound, SelfTestFailed, load, loaders
from tagship.host import metadata
from tagship.loaders import selftest
from tests.workbench import Workbench

ROWS = [[float(i), float(i % 3)] for i in range(30)]


@pytest.fixture
def catboost_model() -> Any:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(
        iterations=5, depth=3, verbose=False, allow_writing_files=False
    )
    return model.fit(ROWS, [int(row[1]) for row in ROWS])


def _declare(bench: Workbench, path: str, self_test: str | None = None) -> None:
    meta = f"\n    meta: {{self_test: {self_test}}}" if self_test else ""
    (bench.repo / "dvc.yaml").write_text(f"artifacts:\n  churn:\n    path: {path}{meta}\n")
    bench.commit()


def _self_test(path: Path, inputs: Any, outputs: Any) -> None:
    tolerance = {"absolute": 1e-6, "relative": 1e-6}
    value = {"schema": 1, "inputs": inputs, "outputs": outputs, "tolerance": tolerance}
    path.write_text(json.dumps(value))


def test_a_trained_catboost_model_is_deployed_from_memory(
    bench: Workbench, catboost_model: Any
) -> None:
    _declare(bench, "models/churn/model.cbm")
    outcome = bench.manager.deploy_model(catboost_model)
    written = metadata.read(outcome.path)
    assert written.framework == "catboost"
    assert written.architecture == {
        "trees": 5,
        "depth": 3,
        "features": ["0", "1"],
        "classes": [0, 1, 2],
    }
    assert set(written.tools) == {"tagship", "dvc", "python", "catboost"}
    active = load("churn", bench.repo)
    assert (
        active.predict_proba(ROWS[:3]).tolist() == catboost_model.predict_proba(ROWS[:3]).tolist()
    )


def test_a_self_test_must_get_the_answers_that_were_released(
    bench: Workbench, catboost_model: Any
) -> None:
    catboost_model.save_model(str(bench.repo / "models/churn/model.cbm"))
    test = bench.repo / "models/churn/self_test.json"
    answers = catboost_model.predict_proba(ROWS[:3]).tolist()
    _self_test(test, ROWS[:3], answers)
    _declare(bench, "models/churn/model.cbm", "models/churn/self_test.json")
    bench.manager.release()
    report = bench.manager.deploy().report
    assert report is not None
    assert (report.verdict, report.detail) == ("passed", "3 answers as released")

    answers[0][0] += 0.01
    _self_test(test, ROWS[:3], answers)
    catboost_model.fit(ROWS, [int(row[1]) for row in ROWS])
    bench.commit()
    bench.manager.release(force=True)
    with pytest.raises(SelfTestFailed, match="does not answer as it was released: number 0: "):
        bench.manager.deploy()
    live = bench.manager.get_current_version()
    assert live is not None
    assert live.version == "1.0.0"


def test_a_keras_model_is_deployed_described_and_loaded(bench: Workbench) -> None:
    keras = pytest.importorskip("keras")
    model = keras.Sequential(
        [keras.layers.Input((2,)), keras.layers.Dense(3, activation="softmax")]
    )
    _declare(bench, "models/churn/model.keras")
    outcome = bench.manager.deploy_model(model)
    written = metadata.read(outcome.path)
    assert written.framework == "keras"
    assert written.architecture == {
        "layers": 1,
        "parameters": 9,
        "trainable_parameters": 9,
        "inputs": [[None, 2]],
        "outputs": [[None, 3]],
    }
    active = load("churn", bench.repo)
    rows = [[1.0, 2.0]]
    loader = loaders.need(Path("model.keras"))
    expected = loader.predict(model, rows)
    assert loader.predict(active.model, rows).tolist() == expected.tolist()


def test_a_keras_file_with_code_in_it_never_goes_live(bench: Workbench) -> None:
    keras = pytest.importorskip("keras")
    layers = [keras.layers.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]
    _declare(bench, "models/churn/model.keras")
    with pytest.raises(SelfTestFailed, match=r"model\.keras does not load"):
        bench.manager.deploy_model(keras.Sequential(layers))
    assert not bench.current.is_symlink()


def test_a_model_that_takes_too_long_is_not_waited_for(tmp_path: Path) -> None:
    model = tmp_path / "model.cbm"
    model.write_bytes(b"CBM1")
    with pytest.raises(SelfTestFailed, match=r"loading model\.cbm took longer than 0\.01 s"):
        selftest.run(model, None, 0.01)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"schema": 1}', '{"schema": 2, "inputs": [1], "outputs": [1], "tolerance": {}}'],
)
def test_a_self_test_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "self_test.json"
    path.write_text(text)
    with pytest.raises(Exception, match=r"self_test\.json is no") as caught:
        selftest.SelfTest.read(path)
    assert getattr(caught.value, "hint", "") == "see docs/self_test.md"


@pytest.mark.parametrize(
    ("answers", "wrong"),
    [
        ([[1.0, 2.0]], []),
        ([[1.0, 2.000001]], []),
        ([[1.0, 2.1]], ["number 1: 2.1 instead of 2"]),
        ([[1.0]], ["1 numbers instead of 2"]),
        ([[1.0, float("nan")]], ["number 1: nan instead of 2"]),
    ],
    ids=["equal", "within the tolerance", "another", "fewer", "nan"],
)
def test_answers_are_compared_within_the_tolerance(answers: Any, wrong: list[str]) -> None:
    test = selftest.SelfTest([[0.0]], [[1.0, 2.0]], 1e-5, 0)
    assert test.differences(answers) == wrong


def test_an_unknown_suffix_names_the_nearest_loader() -> None:
    with pytest.raises(NotFound) as caught:
        loaders.need(Path("model.kera"))
    assert caught.value.hint == "did you mean .keras?"


def test_saving_an_object_of_no_framework_is_refused(bench: Workbench) -> None:
    with pytest.raises(NotFound):
        ModelVersionManager("churn", bench.repo).deploy_model({"a": 1})
