"""How a loaded model is asked: answer, example, signature, check_answers; with real frameworks."""

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tagship import (
    ActiveModel,
    Corrupt,
    Refused,
    SelfTestFailed,
    Signature,
    check_answers,
    load,
    loaders,
)
from tagship.loaders import Loader, Tensor, selftest
from tests.workbench import Workbench

FAST = {"iterations": 3, "depth": 2, "verbose": False, "allow_writing_files": False}
ROWS = [[float(i), float(i % 3)] for i in range(30)]


def _active(name: str, model: Any) -> Any:
    """As if it was loaded; of no type, so that each answer is what it is."""
    return ActiveModel(model, "churn", None, Path(), loader=loaders.of_framework(name))


def _catboost(kind: str, rows: Any, labels: Any, **options: Any) -> Any:
    catboost = pytest.importorskip("catboost")
    return getattr(catboost, f"CatBoost{kind}")(**FAST, **options).fit(rows, labels)


def _numbers(*names: str) -> tuple[Tensor, ...]:
    return tuple(Tensor(name, "float64", (None,)) for name in names)


# --- CatBoost


@pytest.mark.parametrize(
    ("kind", "labels", "options", "shape"),
    [
        ("Classifier", [i % 3 for i in range(30)], {}, (None, 3)),
        ("Classifier", [i % 2 for i in range(30)], {}, (None, 2)),
        ("Classifier", [[i % 2, 1 - i % 2] for i in range(30)], {"loss_function": "MultiLogloss"},
         (None, 2)),
        ("Regressor", [float(i) for i in range(30)], {}, (None,)),
        ("Regressor", ROWS, {"loss_function": "MultiRMSE"}, (None, 2)),
    ],
    ids=["three classes", "two classes", "labels", "a value", "values"],
)  # fmt: skip
def test_a_table_of_numbers_is_one_tensor(
    tmp_path: Path, kind: str, labels: Any, options: dict[str, Any], shape: tuple[Any, ...]
) -> None:
    np = pytest.importorskip("numpy")
    loader = loaders.of_framework("catboost")
    assert loader is not None
    loader.save(_catboost(kind, ROWS, labels, **options), tmp_path / "model.cbm")
    active = _active("catboost", loader.load(tmp_path / "model.cbm"))
    assert active.signature == Signature(
        (Tensor("input-0", "float64", (None, 2)),), (Tensor("output-0", "float64", shape),)
    )
    assert active.example().tolist() == [[0.0, 0.0]]
    answers = active.answer(ROWS[:4])
    assert (answers.shape, answers.dtype) == ((4, *shape[1:]), np.float64)
    for inputs in (np.array(ROWS[:4]), {"whatever": np.array(ROWS[:4])}, np.array(ROWS[:4], "f4")):
        assert active.answer(inputs).tolist() == answers.tolist()


def test_categories_and_texts_are_columns_by_their_names() -> None:
    np = pytest.importorskip("numpy")
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(
        {
            "warm": [float(i) for i in range(30)],
            "city": ["Bonn" if i % 2 else "Kiel" for i in range(30)],
            "code": [i % 4 for i in range(30)],
            "note": ["rain and wind" if i % 3 else "sun" for i in range(30)],
        }
    )
    active = _active(
        "catboost",
        _catboost("Classifier", table, [i % 2 for i in range(30)],
                  cat_features=["city", "code"], text_features=["note"]),
    )  # fmt: skip
    texts = [Tensor(name, "object", (None,)) for name in ("city", "code", "note")]
    assert active.signature.inputs == (*_numbers("warm"), *texts)
    assert active.answer(active.example()).shape == (1, 2)
    expected = active.model.predict_proba(table[:5]).tolist()
    columns = {name: table[name][:5].to_numpy() for name in table}
    assert active.answer(columns).tolist() == expected
    texts_alone = {**columns, "code": np.array([str(i % 4) for i in range(5)], dtype=object)}
    assert active.answer(texts_alone).tolist() == expected
    assert active.answer(table[:5].to_numpy().tolist()).tolist() == expected  # samples
    for inputs, message in (
        ({**columns, "town": columns["city"]}, "no input of the model is town"),
        ({"warm": columns["warm"]}, "no input city"),
    ):
        with pytest.raises(Refused, match=message) as caught:
            active.answer(inputs)
        assert caught.value.hint == "the model takes: warm, city, code, note"


def test_of_an_embedding_no_example_is_known() -> None:
    catboost = pytest.importorskip("catboost")
    np = pytest.importorskip("numpy")
    rows = [[float(i), [float(i % 2), 1.0]] for i in range(30)]
    table = np.empty((30, 2), dtype=object)
    for i, row in enumerate(rows):
        table[i] = row
    pool = catboost.Pool(table, [i % 2 for i in range(30)], embedding_features=[1])
    active = _active("catboost", catboost.CatBoostClassifier(**FAST).fit(pool))
    assert active.signature.inputs == (*_numbers("0"), Tensor("1", "float64", (None, None)))
    with pytest.raises(Refused, match="churn: nobody knows an input that the model takes"):
        active.example()
    columns = {"0": [1.0, 2.0], "1": np.array([[1.0, 1.0], [0.0, 1.0]])}
    assert active.answer(columns).tolist() == active.model.predict_proba(table[1:3]).tolist()


def test_several_inputs_are_refused_by_a_model_of_one() -> None:
    active = _active("catboost", _catboost("Regressor", ROWS, [float(i) for i in range(30)]))
    with pytest.raises(Refused, match="the model takes one input, and not: a, b"):
        active.answer({"a": ROWS, "b": ROWS})


# --- Keras


def _keras(tmp_path: Path, inputs: Any, outputs: Any) -> Any:
    """A model as it comes out of its file."""
    keras = pytest.importorskip("keras")
    loader = loaders.need(Path("model.keras"))
    loader.save(keras.Model(inputs, outputs), tmp_path / "model.keras")
    return loaders.load(loader, tmp_path / "model.keras")


def test_keras_answers_in_bounded_pieces_of_one_graph(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    np = pytest.importorskip("numpy")
    image = keras.Input((2, 3))
    flat = keras.layers.Flatten()(image)
    active = _active("keras", _keras(tmp_path, image, keras.layers.Dense(2)(flat)))
    assert active.signature == Signature(
        (Tensor("input-0", "float32", (None, 2, 3)),), (Tensor("output-0", "float32", (None, 2)),)
    )
    assert active.example().shape == (1, 2, 3)
    rows = np.arange(70 * 6, dtype="float64").reshape(70, 2, 3) / 100  # other numbers are converted
    asked: list[int] = []
    ask = active.model.predict_on_batch

    def counted(batch: Any) -> Any:
        asked.append(len(batch))
        return ask(batch)

    active.model.predict_on_batch = counted
    answers = active.answer(rows)
    assert asked == [32, 32, 6]
    assert active.answer({"x": rows[:1]}) == pytest.approx(answers[:1], abs=1e-5)
    assert active.answer(rows[:0]).shape == (0, 2)
    assert active.model.predict_function.experimental_get_tracing_count() == 1
    loader = loaders.need(Path("model.keras"))
    assert loader.predict(active.model, rows.tolist()) == pytest.approx(answers, abs=1e-5)


@pytest.mark.parametrize("form", ["lists", "by name"])
def test_several_inputs_and_outputs_of_keras_have_its_names(tmp_path: Path, form: str) -> None:
    keras = pytest.importorskip("keras")
    np = pytest.importorskip("numpy")
    size, word = keras.Input((1,), name="size"), keras.Input((1,), name="word", dtype="string")
    words = keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(word)
    price = keras.layers.Dense(1, name="price")(size)
    kind = keras.layers.Dense(3, name="kind")(words)
    model = (
        _keras(tmp_path, [size, word], [price, kind])
        if form == "lists"
        else _keras(tmp_path, {"word": word, "size": size}, {"price": price, "kind": kind})
    )
    active = _active("keras", model)
    inputs = (Tensor("size", "float32", (None, 1)), Tensor("word", "object", (None, 1)))
    outputs = {"price": Tensor("price", "float32", (None, 1))}
    outputs["kind"] = Tensor("kind", "float32", (None, 3))
    assert active.signature.inputs == inputs
    assert {tensor.name: tensor for tensor in active.signature.outputs} == outputs
    assert {n: a.tolist() for n, a in active.example().items()} == {"size": [[0]], "word": [[""]]}
    batch = {"size": np.ones((40, 1)), "word": np.array([["a"], ["b"]] * 20, dtype=object)}
    answers = active.answer(batch)
    assert {n: each.shape for n, each in answers.items()} == {
        "price": (40, 1),
        "kind": (40, 3),
    }

    samples = [{"size": [1.0], "word": ["a"]}, {"size": [1.0], "word": ["b"]}]
    released = [{name: each[i].tolist() for name, each in answers.items()} for i in range(2)]
    test = selftest.SelfTest(samples, released, 1e-5, 0)
    loader = loaders.need(Path("model.keras"))
    for ask in (active.answer, lambda inputs: loader.predict(model, inputs)):
        selftest.compare(test, ask, "churn")
    released[1]["price"][0] += 1
    with pytest.raises(SelfTestFailed, match=r"churn does not answer as it was released: number 7"):
        selftest.compare(test, active.answer, "churn")


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    """A float32 has no 16,777,217."""
    keras = pytest.importorskip("keras")
    number = keras.Input((1,), dtype="int32")
    active = _active("keras", _keras(tmp_path, number, keras.ops.mod(number, 10)))
    assert active.signature.inputs == (Tensor("input-0", "int32", (None, 1)),)
    loader = loaders.need(Path("model.keras"))
    for answers in (active.answer([[16777217]]), loader.predict(active.model, [[16777217]])):
        assert answers.tolist() == [[7]]


# --- a loader from elsewhere


class Linear:
    """What docs/loaders.md shows: a loader with none of the optional methods."""

    framework = "linear"
    suffixes: tuple[str, ...] = (".bin",)
    safe = True
    requirement = "tagship-linear"

    def load(self, path: Path) -> Any:
        return json.loads(path.read_bytes())

    def describe(self, model: Any) -> dict[str, Any]:
        return {}

    def predict(self, model: Any, inputs: Sequence[Any]) -> Any:
        if not inputs:  # an array would not tell
            raise ValueError("no inputs")
        return [[sum(weight * x for weight, x in zip(model, row, strict=True))] for row in inputs]

    def accepts(self, model: object) -> bool:
        return False

    def save(self, model: Any, path: Path) -> None:
        raise NotImplementedError


def _linear(bench: Workbench, released: float | None) -> Any:
    """A deployed model of that loader; with a self-test, if an answer is given for it."""
    meta = ""
    (bench.repo / "models/churn").mkdir(exist_ok=True)
    if released is not None:
        test = {"schema": 1, "inputs": [[1.0, 2.0]], "outputs": [[released]]}
        test["tolerance"] = {"absolute": 1e-6, "relative": 0}
        (bench.repo / "models/churn/self_test.json").write_text(json.dumps(test))
        meta = "\n    meta: {self_test: models/churn/self_test.json}"
    (bench.repo / "dvc.yaml").write_text(
        f"artifacts:\n  churn:\n    path: models/churn/model.bin{meta}\n"
    )
    bench.ship("[3.0, 4.0]")
    linear: Loader = Linear()
    return replace(load("churn", bench.repo, loader=linear.load), loader=linear)


def test_a_loader_without_the_optional_methods_is_asked_by_its_self_test(bench: Workbench) -> None:
    np = pytest.importorskip("numpy")
    active = _linear(bench, 11.0)
    assert active.example().tolist() == [[1.0, 2.0]]
    assert active.answer(np.array([[1, 2], [0, 1]])).tolist() == [[11.0], [4.0]]
    assert active.answer({"x": [[1, 2]]}).tolist() == [[11.0]]
    assert active.signature == Signature(
        (Tensor("input-0", "float64", (None, 2)),), (Tensor("output-0", "float64", (None, 1)),)
    )
    check_answers(active)


def test_without_a_self_test_too_it_is_refused_with_what_helps(bench: Workbench) -> None:
    active = _linear(bench, None)
    assert active.answer([[1, 2]]).tolist() == [[11.0]]
    for ask in (active.example, lambda: active.signature, lambda: check_answers(active)):
        with pytest.raises(Refused) as caught:
            ask()
        assert caught.value.message == "churn: nobody knows an input that the model takes"
        assert caught.value.hint == (
            "release it with a self-test, docs/self_test.md; or give its loader an example"
        )


def test_an_answer_that_is_not_the_released_one_is_refused(bench: Workbench) -> None:
    with pytest.raises(SelfTestFailed) as caught:
        check_answers(_linear(bench, 12.0))
    assert caught.value.message == (
        "churn 1.0.0 does not answer as it was released: number 0: 11 instead of 12"
    )


def test_a_loader_that_fails_is_named_and_not_the_model_of_the_framework() -> None:
    class Broken(Linear):
        def signature(self, model: Any) -> Signature:
            raise AttributeError("no such thing")

    with pytest.raises(Refused, match="churn: the loader linear fails: no such thing"):
        _ = ActiveModel([1.0], "churn", None, Path(), loader=Broken()).signature


def test_samples_of_numbers_and_texts_keep_both() -> None:
    rows: Any = loaders.stacked([[1.5, "a"]])
    assert rows.tolist() == [[1.5, "a"]]
    named: Any = loaders.stacked([{"n": 1, "t": "a"}, {"n": 2, "t": "b"}])
    assert [named["n"].tolist(), named["t"].tolist()] == [[1, 2], ["a", "b"]]


def test_without_numpy_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(Refused, match="answers are arrays of NumPy, which is not installed"):
        loaders.answer(Linear(), [1.0], [[2.0]])


# --- what is served


def test_flipped_bytes_that_load_and_pass_the_self_test_are_found_by_their_hash(
    bench: Workbench,
) -> None:
    model = _catboost("Classifier", ROWS, [int(row[1]) for row in ROWS])
    path = bench.repo / "models/churn/model.cbm"
    model.save_model(str(path))
    test = {"schema": 1, "inputs": ROWS[:1], "outputs": model.predict_proba(ROWS[:1]).tolist()}
    test["tolerance"] = {"absolute": 1e-6, "relative": 1e-6}
    path.with_name("self_test.json").write_text(json.dumps(test))
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.cbm\n"
        "    meta: {self_test: models/churn/self_test.json}\n"
    )
    bench.commit()
    bench.manager.release()
    bench.manager.deploy()
    active = load("churn", bench.repo, verify=True)
    check_answers(active)
    live = active.live
    assert live is not None
    good = live.path.read_bytes()
    live.path.chmod(0o644)
    for place in range(len(good) // 2, len(good)):  # most places are noticed, a leaf's value is not
        live.path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with contextlib.suppress(Corrupt, SelfTestFailed):
            check_answers(load(live))
            break
    else:
        raise AssertionError("each change is noticed")
    with pytest.raises(Corrupt, match=r"model\.cbm has other bytes than it was deployed with"):
        load(live, verify=True)
