"""Workspace: what the command line can do with all models, from Python."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagship import InvalidName, ModelVersionManager, NotFound, Refused, Workspace
from tagship.cli import output
from tagship.host import history
from tagship.inspect.status import Status
from tagship.workspace.state import State
from tests.workbench import Workbench


@pytest.fixture
def two(shipped: Workbench) -> Workbench:
    """``churn`` with 1.0.0 and 1.1.0 deployed, and ``wine``, released but not deployed."""
    (shipped.repo / "wine.txt").write_text("red\n")
    (shipped.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.bin\n  wine:\n    path: wine.txt\n"
    )
    shipped.commit("Declare wine")
    ModelVersionManager("wine", shipped.repo).release()
    return shipped


def test_models_and_status_of_all(two: Workbench) -> None:
    workspace = Workspace(two.repo)
    rows = [(row.model, row.live, row.latest, row.behind) for row in workspace.models()]
    assert rows == [("churn", "1.1.0", "1.1.0", False), ("wine", None, "1.0.0", True)]
    states = {status.model: status.state for status in workspace.status()}
    assert states == {"churn": State.IN_ORDER, "wine": State.DRIFTED}
    assert [status.model for status in workspace.status(["wine"])] == ["wine"]
    with pytest.raises(NotFound, match="there is no model win"):
        workspace.status(["win"])


def test_a_model_of_it_is_a_manager(two: Workbench) -> None:
    manager = Workspace(str(two.repo)).model("churn")
    assert isinstance(manager, ModelVersionManager)
    assert [row.version for row in manager.list_versions()] == ["1.0.0", "1.1.0"]
    with pytest.raises(InvalidName):
        Workspace(two.repo).model("a b")


def test_verify_of_all_of_a_model_and_of_a_version(two: Workbench) -> None:
    workspace = Workspace(two.repo)
    assert [(row.version, row.problems) for row in workspace.verify()] == [
        ("1.0.0", ()), ("1.1.0", ()),
    ]  # fmt: skip
    assert [row.version for row in workspace.verify("churn@1.0")] == ["1.0.0"]
    assert workspace.verify("churn") == workspace.model("churn").verify()
    with pytest.raises(NotFound, match="wine was never deployed here"):
        workspace.verify("wine")


def test_history_and_live_at_of_all(two: Workbench) -> None:
    workspace = Workspace(two.repo)
    workspace.model("wine").deploy()
    events = workspace.history()
    assert [(event.model, event.version) for event in events] == [
        ("churn", "1.0.0"), ("churn", "1.1.0"), ("wine", "1.0.0"),
    ]  # fmt: skip
    assert workspace.history(limit=1) == events[2:]
    assert workspace.history(["churn"], since=events[0].at, actions=["deploy"]) == events[:2]
    path = two.folder / history.FILE_NAME
    values = json.loads(path.read_bytes())
    for hour, value in enumerate(values):
        value["at"] = f"2026-11-20T0{hour}:00:00Z"
    path.write_text(json.dumps(values))
    then = Workspace(two.repo).live_at("2026-11-20T00:30Z")
    live = {answer.model: answer.period.place.version if answer.period else None for answer in then}
    assert live == {"churn": "1.0.0", "wine": None}
    assert Workspace(two.repo).live_at("2026-11-20T00:30Z", ["churn"]) == then[:1]


def test_a_report_of_all_or_of_some(two: Workbench, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    page = Workspace(two.repo).report(tmp_path / "all.html")
    assert (page.path, page.models) == (tmp_path / "all.html", ("churn", "wine"))
    assert "wine" in page.path.read_text()
    assert Workspace(two.repo).report(tmp_path / "one.html", ["churn"]).models == ("churn",)


def test_init_declares_a_first_model(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=tmp_path, check=True)
    workspace = Workspace(tmp_path)
    with pytest.raises(InvalidName, match="needs a name and a path"):
        workspace.init("wine")
    prepared = workspace.init("wine", "models/wine/model.cbm")
    assert prepared.written == (".gitignore", ".dvcignore", "dvc.yaml")
    assert workspace.init("wine", "models/wine/model.cbm").written == ()


def test_init_in_a_subfolder_says_where_a_path_begins(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".dvc").mkdir()
    part = tmp_path / "part"
    part.mkdir()
    (part / "model.bin").write_bytes(b"m")
    with pytest.raises(Refused) as caught:
        Workspace(part).init("wine", "model.bin")
    assert caught.value.message == f"model.bin is not in {tmp_path}: the path begins there"
    assert caught.value.hint == "tagship init --model wine --path part/model.bin"
    assert not (tmp_path / ".gitignore").exists()
    Workspace(part).init("wine", "part/model.bin")
    assert "path: part/model.bin" in (tmp_path / "dvc.yaml").read_text()


@pytest.mark.parametrize("path", ["{repo}/sub/m.bin", "../repo/sub/m.bin", "sub/../sub/m.bin"])
def test_init_gives_the_path_in_the_repository_for_another_way_to_it(
    bench: Workbench, path: str
) -> None:
    (bench.repo / "sub").mkdir()
    (bench.repo / "sub" / "m.bin").write_bytes(b"m")
    given = path.format(repo=bench.repo)
    bench.monkeypatch.chdir(bench.repo)
    bench.refuses(
        f"init --model wine --path {given}",
        f"{given} is not relative to {bench.repo}, where the path begins",
        "tagship init --model wine --path sub/m.bin",
    )


@pytest.mark.parametrize("is_folder", [False, True])
def test_init_says_how_a_model_comes_into_the_repository(bench: Workbench, is_folder: bool) -> None:
    other = bench.repo.parent / "my model"
    other.mkdir() if is_folder else other.write_bytes(b"m")
    bench.monkeypatch.chdir(bench.repo)
    copy = "cp -R" if is_folder else "cp"
    bench.refuses(
        "init --model wine --path '../my model'",
        f"'../my model' is outside of the repository {bench.repo}",
        f"mkdir -p models/wine && {copy} '{other}' models/wine &&"
        f" tagship init --model wine --path 'models/wine/my model'",
    )


def test_init_prints_the_full_name_of_a_model_in_a_subfolder(bench: Workbench) -> None:
    (bench.repo / "ml" / ".dvc").mkdir(parents=True)
    (bench.repo / "ml" / "model.bin").write_bytes(b"m")
    folder = str(bench.repo / "ml")
    result = bench.cli("-C", folder, "init", "--model", "wine", "--path", "model.bin")
    assert result.code == 0, result.err
    *_, last = result.out.splitlines()
    assert last == "the name of the model is ml:wine"
    bench.git("add", "--all")
    bench.git("commit", "--quiet", "--message", "Declare wine")
    assert [row.model for row in Workspace(bench.repo / "ml").models()] == ["ml:wine"]


@pytest.mark.parametrize("tracked", ["models.dvc", "api.dvc", "stage train"])
def test_init_warns_where_an_output_of_dvc_has_the_deployments(
    tracked: str, bench: Workbench
) -> None:
    root = "models" if tracked == "models.dvc" else "api/models"
    (bench.repo / "params.yaml").write_text(f"tagship: {{root: {root}}}\n")
    if tracked == "stage train":
        (bench.repo / "dvc.yaml").write_text("stages: {train: {cmd: x, outs: [api/models/: {}]}}\n")
    else:
        (bench.repo / tracked).write_text(f"outs:\n- path: {tracked[:-4]}\n")
    notes: list[str] = []
    Workspace(bench.repo, tell=notes.append).init()
    (note,) = notes
    assert note.startswith(f"{root} is in an output of DVC ({tracked}), which dvc checkout --force")


def test_outside_a_repository_the_first_method_says_so(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(NotFound, match="not a DVC repository"):
        workspace.models()


def in_words(status: Status) -> dict[str, Any]:
    """What follows from the fields of a status, and is printed with them."""
    words = {"state": status.state.value, "why": status.why.value[0]}
    findings = [
        {"why": f.why.value[0], "what": f.what, "fix": f.fix, "state": f.state.value}
        for f in status.findings
    ]
    return {**words, "findings": findings}


@pytest.mark.parametrize("command", ["models", "status", "verify", "history --all"])
def test_the_command_line_prints_what_it_gives(two: Workbench, command: str) -> None:
    workspace = Workspace(two.repo)
    results: dict[str, Callable[[], list[Any]]] = {
        "models": workspace.models,
        "status": workspace.status,
        "verify": workspace.verify,
        "history --all": workspace.history,
    }
    printed = json.loads(two.cli(*command.split(), "--json").out)
    values = results[command]()
    states = [in_words(value) if command == "status" else {} for value in values]
    assert printed == [
        {**output.plain(value), **state} for value, state in zip(values, states, strict=True)
    ]


# ---- what ModelVersionManager decides for the command line


def test_release_and_deploy_gives_both_and_announces_the_release(bench: Workbench) -> None:
    announced: list[str] = []
    shipped = bench.manager.release_and_deploy(
        message="first", reason="try it", announce=lambda release: announced.append(release.tag)
    )
    assert announced == [shipped.released.tag] == ["churn@v1.0.0"]
    assert shipped.deployed.place.version == "1.0.0"
    assert shipped.deployed.event is not None
    assert shipped.deployed.event.reason == "try it"


def test_a_version_that_cannot_be_deployed_is_announced_and_stays_released(
    bench: Workbench,
) -> None:
    announced: list[str] = []

    def spoil(_: object) -> None:
        announced.append("released")
        bench.folder.joinpath("versions").write_text("in the way\n")

    with pytest.raises(Exception, match="versions"):
        bench.manager.release_and_deploy(announce=spoil)
    assert announced == ["released"]
    assert bench.git("tag") == "churn@v1.0.0\n"
    assert not bench.current.exists()


def test_one_version_is_compared_with_the_live_one(shipped: Workbench) -> None:
    comparison = shipped.manager.compare("1.0")
    assert (comparison.before.version, comparison.after.version) == ("1.1.0", "1.0.0")


def test_a_cleanup_removes_what_its_plan_says_and_nothing_else(shipped: Workbench) -> None:
    shipped.ship("model 3\n")
    plan = shipped.manager.cleanup_old_versions(1, dry_run=True)
    assert [verdict.version for verdict in plan.verdicts if not verdict.keep] == ["1.0.0"]
    shipped.ship("model 4\n")
    before = shipped.state()
    with pytest.raises(Refused, match=r"v1\.1\.0_.* would be removed by now too") as caught:
        shipped.manager.cleanup_old_versions(1, plan=plan)
    assert caught.value.hint == "look again: tagship cleanup churn --dry-run"
    assert shipped.changes(before) == set()
    plan = shipped.manager.cleanup_old_versions(1, dry_run=True)
    outcome = shipped.manager.cleanup_old_versions(1, plan=plan)
    assert [verdict.directory for verdict in outcome.verdicts if not verdict.keep] == [
        verdict.directory for verdict in plan.verdicts if not verdict.keep
    ]
