"""A template that cannot be filled in concerns one model or stage; every command goes on."""

import json
import shutil

import pytest

from tagship import TagshipError, load
from tests.workbench import Workbench

UNKNOWN = (
    "artifacts: fraud in dvc.yaml cannot be resolved: failed to parse 'artifacts.fraud' in"
    " 'dvc.yaml': Could not find 'nowhere'"
)


@pytest.fixture
def torn(shipped: Workbench) -> Workbench:
    """``shipped``, and a second model whose path nobody can tell."""
    text = (shipped.repo / "dvc.yaml").read_text()
    entry = '  fraud: {path: "models/${nowhere}.bin"}\n'
    (shipped.repo / "dvc.yaml").write_text(text.replace("artifacts:\n", f"artifacts:\n{entry}"))
    shipped.commit()
    return shipped


@pytest.mark.parametrize(
    "command",
    ["list churn", "show churn", "status churn", "deploy churn@1.0.0 --yes", "verify churn",
     "rollback churn --yes", "history churn", "compare churn 1.0.0 1.1.0", "why churn"],
)  # fmt: skip
def test_no_command_about_another_model_minds(torn: Workbench, command: str) -> None:
    result = torn.cli(*command.split())
    assert (result.code, "nowhere" in result.out + result.err) == (0, False)


def test_another_model_is_released(torn: Workbench) -> None:
    assert torn.release("model 3\n") == "1.2.0"


def test_the_model_itself_is_listed_with_its_error(torn: Workbench) -> None:
    result = torn.cli("models", "--json")
    rows = {row["model"]: row for row in json.loads(result.out)}
    assert {name: row["note"] for name, row in rows.items()} == {"churn": None, "fraud": UNKNOWN}
    assert (rows["fraud"]["path"], rows["churn"]["live"]) == (None, "1.1.0")
    status = torn.cli("status", "--json")
    states = {row["model"]: row["state"] for row in json.loads(status.out)}
    assert (status.code, states) == (3, {"churn": "in_order", "fraud": "drifted"})


@pytest.mark.parametrize("command", ["release fraud", "list fraud", "deploy fraud", "status fraud"])
def test_a_command_about_the_model_itself_is_refused(torn: Workbench, command: str) -> None:
    torn.refuses(command, UNKNOWN, "fix dvc.yaml and commit it")


def test_a_model_is_declared_and_loaded_beside_it(torn: Workbench) -> None:
    assert torn.cli("init", "--model", "wine", "--path", "wine.bin").code == 0
    shutil.rmtree(torn.folder / ".tagship")
    torn.current.unlink()
    loaded = load("churn", torn.repo, loader=lambda path: path.read_text())
    assert loaded.model == "model 2\n"
    with pytest.raises(TagshipError, match="is a template"):
        load("fraud", torn.repo)


def test_a_release_tells_of_metrics_that_it_could_not_read(bench: Workbench) -> None:
    (bench.repo / "dvc.yaml").write_text(
        "artifacts: {churn: {path: models/churn/model.bin}}\n"
        'metrics: [metrics.json, scores.json, "${nowhere}.json"]\n'
    )
    (bench.repo / "scores.json").write_text('{"auc": 0.5}\n')
    bench.track("scores.json")
    bench.commit()
    shutil.rmtree(bench.repo / ".dvc/cache/files/md5")
    bench.track("models/churn/model.bin")
    plan = bench.manager.release_plan()
    assert plan.metrics == {"accuracy": 0.75}
    assert plan.warnings == (
        "DVC cannot load dvc.yaml",
        "metrics: item 2 in dvc.yaml cannot be resolved: failed to parse 'metrics.2' in"
        " 'dvc.yaml': Could not find 'nowhere'",
        "the metrics in scores.json are not here (dvc fetch scores.json)",
    )


def test_a_model_without_a_stage_has_the_params_beside_its_dvc_yaml(bench: Workbench) -> None:
    (bench.repo / "sub").mkdir()
    (bench.repo / "sub/dvc.yaml").write_text(
        "artifacts: {wine: {path: m.bin}, beer: {path: ../README}}\n"
    )
    (bench.repo / "sub/params.yaml").write_text("train: {depth: 7}\ntagship: {keep: 2}\n")
    (bench.repo / "sub/m.bin").write_text("m\n")
    bench.track("sub/m.bin")
    commit = bench.commit()
    assert bench.manager.source.snapshot(commit, "sub:wine").params == {"train": {"depth": 7}}
    assert bench.manager.source.snapshot(commit, "churn").params == {"train": {"depth": 4}}
