"""status, verify, list, show, models: what is on disk, held against what should be."""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tagship import Workspace
from tagship.deploy import act
from tagship.disk.atomic import remove_tree
from tagship.errors import SelfTestFailed
from tagship.host import journal
from tagship.host.actions import GATE
from tagship.loaders import selftest
from tests.workbench import MODEL, Workbench


def _edit(path: Path, content: str) -> None:
    path.chmod(0o644)
    path.write_text(content)
    path.chmod(0o444)


@pytest.mark.live
def test_in_order_is_exit_0(bench: Workbench) -> None:
    result = bench.cli("status", "churn")
    assert (result.code, result.out) == (0, "churn: in order, live 1.0.0, latest 1.0.0\n")


@pytest.mark.live
def test_behind_is_exit_3_and_names_the_deploy(bench: Workbench) -> None:
    bench.release("model 2\n")
    result = bench.cli("status")
    assert (result.code, result.out) == (
        3,
        "churn: behind, live 1.0.0, latest 1.1.0\n"
        "  1.1.0 is released, 1.0.0 is live\n"
        "    fix: tagship deploy churn\n",
    )


LEFT = "HEAD declares no model churn"
WAY_OUT = "tagship undeploy churn, or declare it again under artifacts: in dvc.yaml and commit"


NEW_NAME = """attrition: in order, live -, latest -
  nothing is released yet
    next: git fetch --tags; or: tagship release attrition
"""


def _rename(bench: Workbench) -> None:
    """The live model has another name from now on."""
    pipeline = bench.repo / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("  churn:", "  attrition:"))
    bench.commit("Rename the model")


@pytest.mark.live
def test_status_has_a_live_model_that_left_dvc_yaml(bench: Workbench) -> None:
    _rename(bench)
    expected = f"churn: drifted, live 1.0.0, latest 1.0.0\n  {LEFT}\n    fix: {WAY_OUT}\n"
    everything = bench.cli("status")
    assert (everything.code, everything.out) == (
        3, f"{NEW_NAME}{expected}"
    )  # fmt: skip
    alone = bench.cli("status", "churn")
    assert (alone.code, alone.out) == (3, expected)


@pytest.mark.live
def test_status_has_a_model_that_left_dvc_yaml_and_whose_link_is_lost(bench: Workbench) -> None:
    _rename(bench)
    bench.current.unlink()
    result = bench.cli("status")
    assert result.code == 5
    assert LEFT in result.out
    assert f"{bench.current} is gone" in result.out


@pytest.mark.live
def test_models_has_a_live_model_that_left_dvc_yaml(bench: Workbench) -> None:
    _rename(bench)
    result = bench.cli("models", "--json")
    rows = {row["model"]: row for row in json.loads(result.out)}
    assert list(rows) == ["attrition", "churn"]
    assert (rows["churn"]["live"], rows["churn"]["path"]) == ("1.0.0", None)
    assert rows["churn"]["note"] == f"{LEFT}: {WAY_OUT}"
    table = bench.cli("models")
    assert f"churn: {LEFT}: {WAY_OUT}" in table.err
    assert "not declared" in table.out


@pytest.mark.live
def test_verify_hashes_a_live_model_that_left_dvc_yaml(bench: Workbench) -> None:
    _rename(bench)
    _edit(bench.current / "model.bin", "other\n")
    result = bench.cli("verify")
    assert result.code == 1
    assert "churn" in result.out


@pytest.mark.released
def test_a_model_that_left_dvc_yaml_and_is_not_live_is_in_no_list(bench: Workbench) -> None:
    _rename(bench)
    assert [row.model for row in Workspace(bench.repo).models()] == ["attrition"]
    assert bench.cli("status", "churn").code == 1


@pytest.mark.live
def test_the_command_that_status_names_for_a_model_that_left_dvc_yaml_ends_it(
    bench: Workbench,
) -> None:
    _rename(bench)
    assert bench.cli("undeploy", "churn", "--yes").code == 0
    assert bench.cli("status").out == NEW_NAME
    assert [row.model for row in Workspace(bench.repo).models()] == ["attrition"]


def test_a_failed_version_is_fixed_by_a_newer_one(shipped: Workbench) -> None:
    shipped.release("model 3\n")

    def fails(*_: object) -> None:
        raise SelfTestFailed("no model", "train it")

    with shipped.monkeypatch.context() as patch:
        patch.setattr(selftest, "run", fails)
        assert shipped.cli("deploy", "churn", "--yes").code == 1
    fix = "    fix: release a better one; or, to try it again: tagship deploy churn@1.2.0\n"
    assert fix in shipped.cli("status").out
    shipped.release("model 4\n")
    status = shipped.cli("status")
    assert (status.code, fix in status.out, status.out.count("fix: tagship deploy churn\n")) == (
        4, False, 1,
    )  # fmt: skip


@pytest.mark.live
def test_a_damaged_model_stops_the_status_of_no_other(bench: Workbench) -> None:
    _rename(bench)
    (bench.folder / "deployment_history.json").write_text("[")
    assert bench.cli("status").out.startswith("attrition: in order")


def test_nothing_deployed_is_exit_3(bench: Workbench) -> None:
    assert bench.cli("status").code == 0  # and nothing released
    bench.release()
    assert bench.cli("status").code == 3


def test_what_was_released_after_a_rollback_is_not_what_was_rolled_back(
    shipped: Workbench,
) -> None:
    shipped.manager.rollback_to_version(reason="wrong on snow")
    shipped.release("model 3\n")
    assert shipped.cli("status").out == (
        "churn: behind, live 1.0.0, latest 1.2.0\n"
        "  1.2.0 is released, 1.0.0 is live\n"
        "    fix: tagship deploy churn\n"
    )


def test_a_plan_tells_that_the_version_was_rolled_back(shipped: Workbench) -> None:
    assert shipped.manager.plan("1.0").left is None
    shipped.manager.rollback_to_version(reason="wrong on snow")
    told = shipped.cli("deploy", "churn@1.1.0", "--dry-run").out.splitlines()[-1]
    event = shipped.manager.get_deployment_history()[-1]
    at = event.at.replace("T", " ").removesuffix("Z")
    assert told == f"  1.1.0 was rolled back by {event.actor}, {at} UTC: wrong on snow"
    told = shipped.cli("deploy", "churn", "--dry-run").out.splitlines()[-1]
    assert told == (
        f"1.1.0 is passed over (rolled back to 1.0.0 by {event.actor}, {at} UTC: wrong on snow);"
        " to deploy it: tagship deploy churn@1.1.0"
    )
    shipped.manager.deploy("1.1.0")
    assert shipped.manager.plan("1.1").left is None


MENDED = {
    "edited": 3,
    "extra file": 3,
    "missing file": 5,
    "no metadata": 5,
    "directory gone": 5,
    "foreign link": 5,
    "folder": 5,
    "link moved by hand": 3,
    "moved tag": 3,
}


@pytest.mark.parametrize("damage", MENDED)
@pytest.mark.live
def test_every_damage_is_found_and_the_command_that_status_names_mends_it(
    bench: Workbench, damage: str
) -> None:
    bench.ship("model 2\n")
    live = bench.current.resolve()
    if damage == "edited":
        _edit(live / "model.bin", "model X\n")
    elif damage == "extra file":
        live.chmod(0o755)
        (live / "extra").touch()
    elif damage == "missing file":
        live.chmod(0o755)
        (live / "model.bin").unlink()
    elif damage == "no metadata":
        live.chmod(0o755)
        (live / "metadata.json").unlink()
    elif damage == "directory gone":
        remove_tree(live)
    elif damage == "moved tag":
        bench.git("tag", "--force", "-m", "moved", "churn@v1.1.0", "HEAD~1")
    else:
        bench.current.unlink()
        if damage == "folder":
            bench.current.mkdir()
        elif damage == "foreign link":
            bench.current.symlink_to("/etc")
        else:
            first = next(name for name in os.listdir(live.parent) if name.startswith("v1.0.0"))
            bench.current.symlink_to(f"versions/{first}")
    result = bench.cli("status", "churn", "--json")
    assert result.code == MENDED[damage]
    (told,) = json.loads(result.out)
    if damage == "moved tag":
        return  # nobody but a person can say which of the two is right
    _follow(bench, told["findings"][0]["fix"])
    assert bench.cli("status", "churn").code == 0
    assert bench.live() == "model 2\n"


def _follow(bench: Workbench, mend: str) -> None:
    """Type what the message says, part by part."""
    for part in mend.split(" && "):
        words = part.split()
        if words[0] == "tagship":
            assert bench.cli(*words[1:], "--yes").code == 0, part
        else:
            subprocess.run(words, check=True)


@pytest.mark.live
def test_verify_names_the_file_and_exits_1(bench: Workbench) -> None:
    assert bench.cli("verify").code == 0
    _edit(bench.current.resolve() / "model.bin", "model X\n")
    result = bench.cli("verify", "churn@1.0.0")
    directory = bench.current.resolve().name
    assert (result.code, result.out) == (
        1,
        f"churn {directory} is NOT as it was released (1 file, 8 B)\n"
        "  model.bin has other bytes than it was deployed with\n"
        "  fix what is live: tagship status churn\n",
    )


def test_a_damaged_version_is_brought_anew_by_a_rollback(shipped: Workbench) -> None:
    [old] = shipped.folder.glob("versions/v1.0.0_*/model.bin")
    old.chmod(0o644)
    old.write_bytes(b"damaged\n")
    assert "rolled back to\n" in shipped.cli("verify").out
    assert shipped.cli("rollback", "churn", "--yes").code == 0
    assert (shipped.current / "model.bin").read_bytes() == b"model 1\n"


@pytest.mark.live
def test_what_was_damaged_is_told_where_it_is_replaced_and_cleanup_ends_it(
    bench: Workbench,
) -> None:
    damaged = bench.current.resolve().name
    _edit(bench.current.resolve() / "model.bin", "model X\n")
    [fix] = [line for line in bench.cli("status").out.splitlines() if "fix: " in line]
    told = bench.cli(*fix.split()[2:], "--yes", "--reason", "as told")
    what = f"{damaged} was damaged (model.bin has other bytes than it was deployed with)"
    assert told.err == f"note: {what}: {bench.current.resolve().name} takes its place\n"
    [*_, event] = bench.manager.get_deployment_history()
    assert event.reason == f"as told; {what}"
    verified = bench.cli("verify", "churn")
    hint = "  remove what is damaged and replaced by now: tagship cleanup churn"
    assert (verified.code, verified.out.splitlines()[-1]) == (1, hint)
    assert bench.cli("cleanup", "churn", "--yes").code == 0
    assert bench.cli("verify", "churn").code == 0
    again = bench.cli("deploy", "churn@1.0.0", "--force", "--yes")
    assert (again.code, again.err) == (0, "")


@pytest.mark.live
def test_a_live_version_without_metadata_is_replaced_by_a_deploy_that_says_so(
    bench: Workbench,
) -> None:
    live = bench.current.resolve()
    live.chmod(0o755)
    (live / "metadata.json").unlink()
    told = bench.cli("deploy", "churn", "--yes")
    assert f"note: {live.name} was damaged (metadata.json is missing, or cannot be" in told.err


def test_a_damaged_directory_is_named_where_it_cannot_be_replaced(shipped: Workbench) -> None:
    [old] = shipped.folder.glob("versions/v1.0.0_*/model.bin")
    _edit(old, "damaged\n")
    store, cache = shipped.repo.parent / "dvc-remote", shipped.repo / ".dvc/cache"
    store.rename(store.with_name("unmounted"))
    cache.rename(store.with_name("cache"))
    what = "damaged (model.bin has other bytes than it was deployed with)"
    why = f"{old.parent.name} is {what}, so the version has to be checked out anew; the DVC remote"
    for command in ("rollback churn --yes", "deploy churn@1.0.0 --yes"):
        told = shipped.cli(*command.split())
        assert (told.code, told.err.partition(" store ")[0]) == (1, f"error: {why}")
        [*_, event] = shipped.manager.get_deployment_history()
        assert (event.error or "").startswith(why)
    assert shipped.live() == "model 2\n"
    store.with_name("unmounted").rename(store)
    note = f"note: {old.parent.name} was {what}: "
    assert shipped.cli("rollback", "churn", "--yes").err.startswith(note)
    [*_, event] = shipped.manager.get_deployment_history()
    assert event.reason == f"{old.parent.name} was {what}"


def test_status_tells_of_a_deploy_that_an_outage_ended(shipped: Workbench) -> None:
    shipped.release("model 3\n")
    store, cache = shipped.repo.parent / "dvc-remote", shipped.repo / ".dvc/cache"
    store.rename(store.with_name("unmounted"))
    cache.rename(store.with_name("cache"))
    assert shipped.cli("deploy", "churn", "--yes").code == 1
    told = shipped.cli("status")
    assert told.code == 3
    what = f" UTC: the DVC remote store is a folder, which is not here: {store}\n"
    assert "  the last deploy failed, " in told.out
    assert what in told.out
    store.with_name("unmounted").rename(store)
    assert shipped.cli("deploy", "churn", "--yes").code == 0
    assert "failed" not in shipped.cli("status").out


def test_a_fix_of_several_findings_is_printed_once(shipped: Workbench) -> None:
    shipped.git("tag", "--force", "--annotate", "--message=moved", "churn@v1.1.0", "HEAD")
    shipped.git("remote", "remove", "origin")
    lines = shipped.cli("status").out.splitlines()
    assert [line.strip().partition(" ")[0] for line in lines[2:]] == ["the", "fix:"]
    shipped.git(*lines[-1].strip().removeprefix("fix: git ").split())
    assert shipped.cli("status").code == 0


@pytest.mark.live
def test_verify_holds_the_metadata_against_the_tag(bench: Workbench) -> None:
    """Somebody who edits a file and its metadata alike is found all the same."""
    live = bench.current.resolve()
    _edit(live / "model.bin", "model X\n")
    told = json.loads((live / "metadata.json").read_text())
    told["files"][0]["md5"] = hashlib.md5(b"model X\n").hexdigest()
    told["files"][0]["sha256"] = hashlib.sha256(b"model X\n").hexdigest()
    _edit(live / "metadata.json", json.dumps(told))
    (found,) = bench.manager.verify()
    assert [p.what for p in found.problems] == ["names another md5 for model.bin than churn@v1.0.0"]


@pytest.mark.live
def test_list_tells_each_version_and_its_state(bench: Workbench) -> None:
    bench.ship("model 2\n")
    bench.release("model 3\n")
    bench.manager.pin("1.0.0")
    result = bench.cli("list", "churn")
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert [(row[0], row[1], row[4], row[5]) for row in rows] == [
        ("VERSION", "STATE", "SIZE", "METRICS"),
        ("1.2.0", "", "8 B", "accuracy=0.75"),
        ("1.1.0", "live", "8 B", "accuracy=0.75"),
        ("1.0.0", "on disk, pinned", "8 B", "accuracy=0.75"),
    ]


@pytest.mark.released
def test_show_has_null_for_what_only_a_deploy_knows(bench: Workbench) -> None:
    values = json.loads(bench.cli("show", "churn@1.0.0", "--json").out)
    unknown = ("framework", "architecture", "smoke_test", "deployment")
    assert [values[name] for name in unknown] == [None] * 4


@pytest.mark.released
def test_show_tells_of_a_version_that_was_never_deployed(bench: Workbench) -> None:
    before = bench.state()
    value = bench.manager.show("1.0.0")
    assert bench.state() == before
    assert value.deployment is None
    assert [(f.path, f.size) for f in value.files] == [("model.bin", 8)]
    assert value.metrics == {"accuracy": 0.75}


@pytest.mark.live
def test_show_says_why_the_framework_of_what_is_deployed_is_not_known(bench: Workbench) -> None:
    why = "not known, as the smoke test was skipped: no loader reads model.bin"
    assert f"  framework:    {why}\n" in bench.cli("show", "churn").out


@pytest.mark.live
def test_models_tells_what_is_live_and_what_is_the_latest(bench: Workbench) -> None:
    bench.release("model 2\n")
    assert bench.cli("models").out == (
        "MODEL\tLIVE\tLATEST\tSTATE\tSIZE\tPATH\n"
        "churn\t1.0.0\t1.1.0\tbehind\t8 B\tmodels/churn/model.bin\n"
    )


def test_a_version_is_described_with_its_lineage(bench: Workbench) -> None:
    (bench.repo / "data.csv").write_text("1,2\n")
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n"
        "  prepare:\n    cmd: cp data.csv clean.csv\n    deps: [data.csv]\n    outs: [clean.csv]\n"
        "  train:\n    cmd: cp clean.csv out.bin\n    deps: [clean.csv]\n    outs: [out.bin]\n"
        "    params: [train.depth]\n"
        '  evaluate:\n    cmd: \'echo "{\\"f1\\": 0.5}" > scores.json\'\n    deps: [out.bin]\n'
        "    metrics: [scores.json]\n"
        '  other:\n    cmd: \'echo "{\\"f1\\": 0.1}" > other.json\'\n    metrics: [other.json]\n'
        "artifacts:\n  churn:\n    path: out.bin\n"
    )
    bench.dvc("repro", "--quiet")
    bench.commit()
    bench.manager.release()
    bench.manager.deploy()
    value = bench.manager.show()
    assert [stage["stage"] for stage in value.lineage] == ["prepare", "train"]
    assert value.lineage[0]["command"] == "cp data.csv clean.csv"
    assert [dep["path"] for dep in value.lineage[1]["deps"]] == ["clean.csv"]
    assert value.params == {"train.depth": 4}
    assert value.metrics == {"f1": 0.5}  # a cached metric, and none of another model's


def test_cleanup_tells_why_each_directory_stays(bench: Workbench) -> None:
    for number in range(1, 6):
        bench.ship(f"model {number}\n" if number > 1 else None)
    bench.manager.pin("1.0.0", reason="the audit")
    held = next(bench.folder.glob("versions/v1.1.0_*/model.bin"))
    with held.open() as reader:
        assert reader.read()
        result = bench.cli("cleanup", "churn", "--keep", "1", "--yes")
    rows = [line.split("\t") for line in result.out.splitlines()[1:-1]]
    assert [(row[0][:6], row[1], row[2]) for row in rows] == [
        ("v1.0.0", "stays", "pinned"),
        ("v1.1.0", "stays", "open in a process"),
        ("v1.2.0", "removed", "old"),
        ("v1.3.0", "stays", "rollback target"),
        ("v1.4.0", "stays", "live"),
    ]
    assert bench.actions()[-1] == ("cleanup", "succeeded", "1.2.0")
    assert os.listdir(bench.folder / ".tagship/trash") == []
    bench.manager.unpin("1.0.0")
    assert bench.cli("cleanup", "churn", "--keep", "1", "--yes").code == 0
    assert len(os.listdir(bench.folder / "versions")) == 2


def test_a_cleanup_that_is_dry_removes_nothing(bench: Workbench) -> None:
    for number in range(1, 5):
        bench.ship(f"model {number}\n" if number > 1 else None)
    before = bench.state()
    result = bench.cli("cleanup", "churn", "--keep", "1", "--dry-run")
    assert result.out.splitlines()[-1].startswith("2 of 4 directories would be removed")
    assert bench.state() == before


def test_after_a_lost_history_cleanup_still_keeps_good_versions(bench: Workbench) -> None:
    for number in range(1, 5):
        bench.ship(f"model {number}\n" if number > 1 else None)
    (bench.folder / "deployment_history.json").rename(bench.folder / "lost")
    result = bench.cli("cleanup", "churn", "--keep", "3", "--yes")
    rows = [line.split("\t") for line in result.out.splitlines()[1:-1]]
    assert [(row[0][:6], row[1]) for row in rows] == [
        ("v1.0.0", "removed"),
        ("v1.1.0", "stays"),
        ("v1.2.0", "stays"),
        ("v1.3.0", "stays"),
    ]


@pytest.mark.live
def test_redeploys_of_one_version_take_one_place(bench: Workbench) -> None:
    bench.ship("model 2\n")
    for _ in range(3):
        bench.manager.deploy(force=True)
    verdicts = bench.manager.cleanup_old_versions(keep=2).verdicts
    assert [(v.version, v.keep) for v in verdicts] == [
        ("1.0.0", True),
        ("1.1.0", False),
        ("1.1.0", False),
        ("1.1.0", False),
        ("1.1.0", True),
    ]


@pytest.mark.live
def test_what_was_gone_back_from_is_not_advised_again(bench: Workbench) -> None:
    bench.ship("model 2\n")
    event = bench.manager.rollback_to_version(reason="wrong on snow").event
    assert event is not None
    at = event.at.replace("T", " ").removesuffix("Z")
    result = bench.cli("status", "churn")
    assert (result.code, result.out) == (
        0,
        "churn: in order, live 1.0.0, latest 1.1.0\n"
        f"  1.1.0 is passed over: rolled back to 1.0.0 by {event.actor}, {at} UTC: wrong on snow;"
        " tagship deploy churn@1.1.0 brings it back\n",
    )


@pytest.mark.live
def test_a_link_that_was_removed_is_mended_with_what_was_live(bench: Workbench) -> None:
    bench.release("model 2\n")
    bench.current.unlink()
    result = bench.cli("status", "churn")
    assert (result.code, result.out) == (
        5,
        "churn: broken, live -, latest 1.1.0\n"
        f"  {bench.current} is gone\n"
        "    fix: tagship rollback churn --to 1.0.0\n",
    )
    assert bench.cli("rollback", "churn", "--to", "1.0.0", "--yes").code == 0
    assert bench.live() == "model 1\n"
    assert bench.cli("deploy", "churn", "--yes").code == 0
    assert bench.live() == "model 2\n"


@pytest.mark.live
def test_a_tag_that_this_clone_has_not_is_fetched(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "churn@v1.0.0")
    bench.git("tag", "--delete", "churn@v1.0.0")
    result = bench.cli("status", "churn", "--json")
    (finding,) = json.loads(result.out)[0]["findings"]
    assert finding["fix"] == "git fetch --tags"
    bench.git("fetch", "--quiet", "--tags")
    assert bench.cli("status", "churn").code == 0


@pytest.mark.live
def test_cleanup_leaves_what_is_not_ours(bench: Workbench) -> None:
    (bench.folder / "versions/backup").mkdir()
    verdicts = bench.manager.cleanup_old_versions(keep=1).verdicts
    assert {v.directory: v.why for v in verdicts}["backup"] == "not made by tagship"
    assert (bench.folder / "versions/backup").is_dir()


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "model": lambda metadata: metadata.update(model="other"),
    "path": lambda metadata: metadata.update(path="other.bin"),
    "self_test": lambda metadata: metadata.update(self_test="other.json"),
    "size": lambda metadata: metadata.update(size=9),
    "lineage": lambda metadata: metadata["lineage"].append(
        {"stage": "a", "command": "b", "deps": [], "outs": [], "params": {}}
    ),
    "tag.name": lambda metadata: metadata["tag"].update(name="churn@v9.9.9"),
    "tag.tagger": lambda metadata: metadata["tag"].update(tagger="Eve <eve@example.com>"),
    "tag.at": lambda metadata: metadata["tag"].update(at="2020-01-01T00:00:00Z"),
    "tag.message": lambda metadata: metadata["tag"].update(message="audited"),
    "commit.author": lambda metadata: metadata["commit"].update(author="Eve <eve@example.com>"),
    "commit.at": lambda metadata: metadata["commit"].update(at="2020-01-01T00:00:00Z"),
    "commit.message": lambda metadata: metadata["commit"].update(message="audited"),
    "params.train.depth": lambda metadata: metadata["params"]["train"].update(depth=5),
    "params.train.new": lambda metadata: metadata["params"]["train"].update(new=5),
    "metrics.accuracy": lambda metadata: metadata["metrics"].update(accuracy=0.99),
    "metrics.f1": lambda metadata: metadata["metrics"].update(f1=0.99),
}
NOT_IN_THE_TAG: dict[str, Callable[[dict[str, Any]], object]] = {
    "framework": lambda metadata: metadata.update(framework="other"),
    "architecture": lambda metadata: metadata.update(architecture={"trees": 9}),
    "smoke_test": lambda metadata: metadata.update(smoke_test="passed"),
    "tools": lambda metadata: metadata["tools"].update(python="3.99"),
    "deployment": lambda metadata: metadata["deployment"].update(actor="eve"),
}


def test_verify_finds_what_is_edited_in_metadata_and_follows_from_the_tag(
    shipped: Workbench,
) -> None:
    file = shipped.current.resolve() / "metadata.json"
    whole = file.read_text()
    file.parent.chmod(0o755)

    def problems_after(edit: Callable[[dict[str, Any]], object]) -> list[str]:
        edited = json.loads(whole)
        edit(edited)
        assert edited != json.loads(whole)
        _edit(file, json.dumps(edited))
        (verification,) = shipped.manager.verify("1.1")
        return [p.what for p in verification.problems if p.path == "metadata.json"]

    for name, edit in NOT_IN_THE_TAG.items():
        assert problems_after(edit) == [], name
    for name, edit in EDITS.items():
        assert problems_after(edit) == [f"has another {name} than churn@v1.1.0"], name
    status = shipped.cli("status", "churn")
    assert status.code == 3
    assert "has another metrics.f1 than churn@v1.1.0\n    fix: tagship deploy" in status.out
    assert shipped.cli("deploy", "churn@1.1.0", "--force", "--yes").code == 0
    assert shipped.cli("status", "churn").code == 0


def test_what_only_this_host_knows_may_be_another_thing(shipped: Workbench) -> None:
    directory = shipped.current.resolve()
    file = directory / "metadata.json"
    told = json.loads(file.read_text())
    told |= {"framework": "x", "architecture": {"a": 1}, "smoke_test": "y", "tools": {"z": "1"}}
    told["deployment"]["host"] = "elsewhere"
    file.chmod(0o644)
    file.write_text(json.dumps(told))
    file.chmod(0o444)
    assert [one.problems for one in shipped.manager.verify()] == [(), ()]


def test_metrics_that_dvc_keeps_are_held_as_far_as_the_cache_has_them(bench: Workbench) -> None:
    bench.git("rm", "--quiet", "--cached", "metrics.json")
    bench.track("metrics.json")
    bench.commit()
    bench.ship()
    assert bench.manager.show().metrics == {"accuracy": 0.75}
    remove_tree(bench.repo / ".dvc" / "cache")
    assert [one.problems for one in bench.manager.verify()] == [()]


def test_a_version_that_failed_its_gate_is_told_and_does_not_come_back(shipped: Workbench) -> None:
    """The events of a gate, in the history as it is: no list of what they block."""
    past = journal.events(shipped.store)
    live = past[-1].place
    verdict = act.event_of_now(past, GATE, MODEL, place=live, reason="2 of 5 answers were wrong")
    journal.record(shipped.store, replace(verdict, status="failed"))
    told = r"  1\.1\.0 failed, \S+ \S+ UTC: 2 of 5 answers were wrong\n"
    status = shipped.cli("status", "churn")
    assert status.code == 4
    assert re.search(told, status.out), status.out
    assert shipped.cli("rollback", "churn", "--yes").code == 0
    status = shipped.cli("status", "churn")
    assert (status.code, bool(re.search(told, status.out))) == (4, True), status.out
    assert shipped.cli("deploy", "churn", "--yes").code == 0
    assert shipped.live() == "model 1\n"
    listed = shipped.cli("history", "churn", "--action", "gate")
    assert listed.out.splitlines()[-1].split("\t")[2:5] == ["gate", "failed", "1.1.0"]
    shipped.release("model 3\n")
    assert shipped.cli("deploy", "churn", "--yes").code == 0
    assert shipped.cli("status", "churn").code == 0
    assert shipped.manager.rollback_to_version().place.version == "1.0.0"
