"""Undeploy: what goes, what stays, what forbids it, and how life goes on after it."""

import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

import tagship
from tagship.deploy import act
from tagship.disk import atomic
from tagship.errors import Refused
from tagship.host import actions, history, journal
from tagship.text import words
from tests import workbench
from tests.workbench import MODEL, PATH, Result, Workbench

OWN = {"model.bin", "model.bin.dvc", ".gitignore"}  # what the pipeline and DVC have in the folder


def names(bench: Workbench) -> set[str]:
    return set(os.listdir(bench.folder))


def versions(bench: Workbench) -> list[str]:
    return sorted(os.listdir(bench.folder / "versions"))


# --- what goes


def test_all_but_the_history_and_the_pipelines_own_files_is_gone(shipped: Workbench) -> None:
    first, second = versions(shipped)
    sizes = [removal.size for removal in shipped.manager.undeploy(dry_run=True).removals]
    result = shipped.cli("undeploy", "churn", "--yes", "--reason", "the runner is cleaned")
    assert result == Result(
        0,
        "DIRECTORY\tACTION\tWHAT\tSIZE\n"
        f"{first}\tremoved\t\t{words.size(sizes[0])}\n"
        f"{second}\tremoved\tlive\t{words.size(sizes[1])}\n"
        f"churn: 2 directories removed, {words.size(sum(sizes))} freed\n",
        "",
    )
    assert names(shipped) == {*OWN, "deployment_history.json"}
    assert shipped.git("status", "--porcelain") == ""
    event = shipped.manager.get_deployment_history()[-1]
    assert (event.seq, event.action, event.status) == (3, "undeploy", "succeeded")
    assert (event.version, event.reason) == (None, "the runner is cleaned")
    assert event.previous == history.Place("1.1.0", second)


def test_with_the_history_nothing_of_tagship_is_left(shipped: Workbench) -> None:
    result = shipped.cli("undeploy", "churn", "--history", "--yes")
    assert "\nchurn: 2 directories and the history removed, " in result.out
    assert names(shipped) == OWN
    assert shipped.git("clean", "-ndX", "models") == f"Would remove {PATH}\n"


def test_no_folder_that_is_left_stops_rm_of_who_owns_it(shipped: Workbench) -> None:
    shipped.manager.undeploy()
    folders = [path for path in shipped.repo.joinpath("models").rglob("*") if path.is_dir()]
    assert all(path.stat().st_mode & stat.S_IWUSR for path in folders)


def test_a_folder_that_only_deploys_were_in_goes_too(bench: Workbench) -> None:
    with (bench.repo / "params.yaml").open("a") as file:
        file.write("tagship:\n  root: deployed\n")
    bench.commit()
    bench.ship()
    bench.manager.undeploy(history=True)
    assert os.listdir(bench.repo / "deployed") == []
    assert (bench.repo / PATH).exists()


def test_a_folder_on_another_disk_that_a_link_leads_to_stays(bench: Workbench) -> None:
    with (bench.repo / "params.yaml").open("a") as file:
        file.write("tagship:\n  root: deployed\n")
    bench.commit()
    elsewhere = bench.repo.parent / "disk"
    elsewhere.mkdir()
    (bench.repo / "deployed").mkdir()
    (bench.repo / "deployed" / MODEL).symlink_to(elsewhere)
    bench.ship()
    assert (elsewhere / "current").is_symlink()
    assert bench.cli("undeploy", "churn", "--history", "--yes").code == 0
    assert os.listdir(elsewhere) == []


def test_after_git_clean_has_taken_link_and_history_the_versions_go(shipped: Workbench) -> None:
    """What git clean -ffdx removes before it fails on the read-only folders."""
    shipped.current.unlink()
    (shipped.folder / history.FILE_NAME).unlink()
    shutil.rmtree(shipped.folder / ".tagship")
    assert shipped.cli("undeploy", "churn", "--history", "--yes").code == 0
    assert names(shipped) == OWN


def test_a_model_that_left_dvc_yaml_and_has_no_tag_any_more_goes(shipped: Workbench) -> None:
    (shipped.repo / "dvc.yaml").write_text("{}\n")
    shipped.git("tag", "--delete", "churn@v1.0.0", "churn@v1.1.0")
    shipped.commit()
    assert shipped.cli("undeploy", "churn", "--yes").code == 0
    assert names(shipped) == {*OWN, "deployment_history.json"}
    again = shipped.cli("undeploy", "churn", "--yes")
    assert again == Result(0, "churn is not deployed here: nothing to remove\n", "")


@pytest.mark.parametrize("spoil", ["metadata", "dangling"])
def test_a_version_that_is_damaged_goes_too(shipped: Workbench, spoil: str) -> None:
    live = shipped.current.resolve()
    live.chmod(0o755)
    if spoil == "metadata":
        (live / "metadata.json").unlink()
    else:
        shutil.rmtree(live)
    assert shipped.cli("undeploy", "churn", "--yes").code == 0
    assert names(shipped) == {*OWN, "deployment_history.json"}


# --- what stays


def test_a_folder_that_tagship_did_not_make_stays_and_is_told(shipped: Workbench) -> None:
    mine = shipped.folder / "versions" / "notes"
    mine.mkdir()
    (mine / "mine").write_text("mine")
    result = shipped.cli("undeploy", "churn", "--yes")
    assert (result.code, result.err) == (
        0, "note: versions/notes was not made by tagship: it stays\n"
    )  # fmt: skip
    assert (mine / "mine").read_text() == "mine"
    assert versions(shipped) == ["notes"]


def test_the_backup_of_a_commit_that_was_killed_stays(shipped: Workbench) -> None:
    kept = shipped.folder / ".tagship" / "checkin" / "model.bin"
    kept.parent.mkdir()
    kept.write_text("the user's own")
    assert shipped.cli("undeploy", "churn", "--yes").code == 0
    assert os.listdir(shipped.folder / ".tagship") == ["checkin"]
    assert kept.read_text() == "the user's own"


@pytest.mark.parametrize("command", ["undeploy", "cleanup"])
def test_what_a_link_among_the_versions_leads_to_is_not_touched(
    shipped: Workbench, command: str
) -> None:
    outside = shipped.repo.parent / "outside"
    outside.mkdir(mode=0o755)
    (outside / "file").write_text("theirs")
    link = shipped.folder / "versions" / "v0.1.0_20260101_000000"
    link.symlink_to(outside)
    result = shipped.cli(command, "churn", "--yes")
    assert result.code == 0
    assert not link.is_symlink() or command == "cleanup"
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755
    assert (outside / "file").read_text() == "theirs"


def test_a_directory_of_another_user_stays_and_stops_no_other(
    shipped: Workbench,
    request: pytest.FixtureRequest,
) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can give a folder to another user")
    folder = Path(tempfile.mkdtemp())  # those of pytest are for their owner alone, from the top
    folder.chmod(0o755)
    request.addfinalizer(lambda: atomic.remove_tree(folder))
    workbench.copy(shipped.repo.parent, folder)
    shipped = replace(shipped, repo=folder / "repo")
    first, _ = versions(shipped)
    for path in [shipped.repo, *shipped.repo.rglob("*")]:
        if first not in path.parts:
            os.chown(path, 4242, 4242, follow_symlinks=False)
    caps = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    other = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", *caps]
    result = subprocess.run(
        [*other, sys.executable, "-m", "tagship", "undeploy", "churn", "--yes"],
        cwd=shipped.repo, capture_output=True, text=True, check=False,
    )  # fmt: skip
    denied = f"{first}: it belongs to root"
    assert (result.returncode, result.stderr) == (
        1,
        f"error: not all of churn could be removed: {denied}\n"
        f"hint: sudo chown -R 4242 {shipped.folder}/versions/{first};"
        " then again: tagship undeploy churn\n",
    )
    assert versions(shipped) == [first]
    event = shipped.manager.get_deployment_history()[-1]
    assert (event.action, event.status, event.error) == ("undeploy", "succeeded", denied)
    shipped.git("config", "--global", "safe.directory", "*")
    assert shipped.cli("undeploy", "churn", "--yes").code == 0  # as root
    assert names(shipped) == {*OWN, "deployment_history.json"}


# --- what forbids it


def test_while_a_process_has_a_version_open_nothing_goes(shipped: Workbench) -> None:
    first = shipped.folder / "versions" / versions(shipped)[0]
    with subprocess.Popen(["cat"], cwd=first, stdin=subprocess.PIPE) as user:
        shipped.refuses(
            "undeploy churn --yes --force",
            f"in use: {first.name} (process {user.pid})",
            f"end what uses it, then try again: ps -fp {user.pid}",
        )
        user.communicate()
    assert shipped.cli("undeploy", "churn", "--yes").code == 0


@pytest.mark.parametrize("options", ["", "--yes", "--dry-run"])
def test_a_pinned_version_goes_only_by_force(shipped: Workbench, options: str) -> None:
    shipped.manager.pin("1.0.0", reason="the audit of March")
    shipped.refuses(
        f"undeploy churn {options}",
        "churn has pinned versions: 1.0.0 (the audit of March)",
        "tagship unpin churn@1.0.0, or remove them too: --force",
    )
    plan = shipped.cli("undeploy", "churn", "--force", "--dry-run")
    assert [line.split("\t")[1:3] for line in plan.out.splitlines()[1:3]] == [
        ["would go", "pinned"],
        ["would go", "live"],
    ]
    assert shipped.cli("undeploy", "churn", "--force", "--yes").code == 0
    assert names(shipped) == {*OWN, "deployment_history.json"}
    assert not any(row.pinned for row in shipped.manager.list_versions())


def test_what_came_after_the_plan_was_shown_is_not_removed(shipped: Workbench) -> None:
    plan = shipped.manager.undeploy(dry_run=True)
    shipped.ship("model 3\n")
    live = shipped.current.resolve()
    with pytest.raises(Refused, match=rf"{live.name} would be removed by now too, so nothing was"):
        shipped.manager.undeploy(plan=plan)
    assert len(versions(shipped)) == 3
    assert shipped.live() == "model 3\n"


@pytest.mark.parametrize(
    ("target", "error"),
    [("elsewhere", "leads to elsewhere, which is not a version"), (None, "is not a link")],
)
def test_a_current_that_is_not_ours_is_not_removed(
    shipped: Workbench, target: str | None, error: str
) -> None:
    shipped.current.unlink()
    if target:
        shipped.current.symlink_to(target)
    else:
        shipped.current.write_text("mine")
    before = shipped.state()
    result = shipped.cli("undeploy", "churn", "--yes")
    assert result.code == 1
    assert error in result.err
    assert shipped.changes(before) == set()


def test_a_dry_run_shows_the_plan_and_changes_nothing(shipped: Workbench) -> None:
    before = shipped.state()
    result = shipped.cli("undeploy", "churn", "--dry-run", "--json")
    assert result.code == 0
    plan = json.loads(result.out)
    assert (plan["live"], plan["dry_run"], plan["history"]) == ("1.1.0", True, False)
    assert [removal["directory"] for removal in plan["removals"]] == versions(shipped)
    assert [removal["live"] for removal in plan["removals"]] == [False, True]
    text = shipped.cli("undeploy", "churn", "--dry-run").out
    assert "\nchurn: 2 directories would be removed, " in text
    assert shipped.changes(before) == set()


def test_where_nothing_is_deployed_it_says_so_and_changes_nothing(bench: Workbench) -> None:
    before = bench.state()
    result = bench.cli("undeploy", "churn")
    assert result == Result(0, "churn is not deployed here: nothing to remove\n", "")
    assert bench.changes(before) == set()
    bench.ship()
    bench.manager.undeploy()
    before = bench.state()
    assert bench.cli("undeploy", "churn") == result
    assert bench.changes(before) == set()


@pytest.mark.released
def test_folders_that_a_failed_first_deploy_left_go(bench: Workbench) -> None:
    with bench.store.locked({}):
        pass
    assert bench.cli("undeploy", "churn", "--yes").code == 0
    assert names(bench) == OWN


# --- after it


def test_the_commands_that_read_say_that_nothing_is_deployed(
    shipped: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    shipped.manager.undeploy(reason="moved to another host")
    assert shipped.cli("status", "churn") == Result(
        3,
        "churn: behind, live -, latest 1.1.0\n"
        "  nothing is deployed\n    fix: tagship deploy churn\n",
        "",
    )
    nothing = "error: no version of churn is live\nhint: tagship deploy churn\n"
    assert shipped.cli("current", "churn") == Result(1, "", nothing)
    assert shipped.cli("why", "churn") == Result(1, "", nothing)
    (row,) = json.loads(shipped.cli("models", "--json").out)
    assert (row["live"], row["latest"]) == (None, "1.1.0")
    rows = shipped.manager.list_versions()
    assert [(row.on_disk, row.live) for row in rows] == [(False, False)] * 2
    last = shipped.cli("history", "churn", "--action", "undeploy").out.splitlines()[-1]
    assert last.split("\t")[2:6] == ["undeploy", "succeeded", "", "1.1.0"]
    assert last.endswith("\tmoved to another host")
    event = shipped.manager.get_deployment_history()[-1]
    ended = history.moment_of(event)
    assert history.live_at(shipped.manager.get_deployment_history(), ended) is None
    with caplog.at_level(logging.WARNING, "tagship"):
        loaded = tagship.load("churn", shipped.repo, loader=Path.read_text)
    assert (loaded.version, loaded.model) == (None, "model 2\n")
    assert "no version of churn is live" in caplog.text
    page = shipped.repo.parent / "report.html"
    assert shipped.cli("report", "churn", "-o", str(page)).code == 0


def test_a_deploy_goes_on_with_the_history(shipped: Workbench) -> None:
    shipped.manager.undeploy()
    event = shipped.manager.deploy("1.0.0").event
    assert event is not None
    assert (event.seq, event.previous) == (4, None)
    assert shipped.cli("status", "churn").out.splitlines()[1:] == [
        f"  held by {event.actor} until {words.moment(str(event.until))} UTC"
        " (on purpose; once that is over: tagship resume churn)",
    ]


def test_a_rollback_makes_live_again_what_was_live_and_then_goes_further_back(
    shipped: Workbench,
) -> None:
    shipped.manager.undeploy()
    plan = shipped.manager.rollback_plan()
    assert (plan.source, plan.target.version, plan.on_disk) == (None, "1.1.0", False)
    assert shipped.cli("rollback", "churn", "--yes").code == 0
    assert shipped.live() == "model 2\n"
    assert shipped.cli("status", "churn").code == 0
    assert shipped.cli("rollback", "churn", "--yes").code == 0
    assert shipped.live() == "model 1\n"
    assert [action for action, _, _ in shipped.actions()[2:]] == ["undeploy", *["rollback"] * 2]


def test_without_its_history_a_rollback_has_nothing_to_go_back_to(shipped: Workbench) -> None:
    shipped.manager.undeploy(history=True)
    shipped.refuses("rollback churn --yes", "churn was never deployed here", "tagship deploy churn")


def test_a_link_that_somebody_made_after_it_is_drift(shipped: Workbench) -> None:
    shipped.manager.undeploy()
    shipped.manager.deploy("1.0.0")
    live = shipped.current.resolve()
    shutil.copytree(live, shipped.repo.parent / "copy")
    shipped.manager.undeploy()
    shutil.copytree(shipped.repo.parent / "copy", live)
    shipped.current.symlink_to(f"versions/{live.name}")
    result = shipped.cli("status", "churn")
    assert result.code == 3
    assert f"it means {live.name}, the history says nothing" in result.out


# --- cut short (tests/crash has every moment)


def _intent(bench: Workbench) -> None:
    """The intent of an undeploy that was killed."""
    last = bench.manager.get_deployment_history()[-1]
    event = replace(
        last, id="20261120_120009", action=actions.UNDEPLOY, version=None, tag=None,
        tag_object=None, commit=None, directory=None, previous=last.place,
    )  # fmt: skip
    bench.store.open_intent({"event": event.to_json(), "creates": False})


def test_killed_before_the_link_was_removed_nothing_is_removed(shipped: Workbench) -> None:
    _intent(shipped)
    result = shipped.cli("rollback", "churn", "--to", "1.1", "--yes")
    note = "note: the undeploy of churn was cut short before anything was removed\n"
    assert (result.code, result.err) == (0, note)
    assert shipped.live() == "model 2\n"
    assert len(versions(shipped)) == 2
    assert shipped.actions()[2:] == [("undeploy", "failed", None), ("recover", "succeeded", None)]
    assert shipped.cli("status", "churn").code == 0


def test_killed_after_the_link_was_removed_the_next_command_removes_the_rest(
    shipped: Workbench,
) -> None:
    first, second = versions(shipped)
    _intent(shipped)
    shipped.current.unlink()
    (shipped.folder / "versions" / first).chmod(0o755)
    (shipped.folder / "versions" / first).rename(shipped.folder / ".tagship" / "trash" / first)
    assert "a run was cut short" in shipped.cli("status", "churn").out
    result = shipped.cli("deploy", "churn@1.0", "--yes")
    assert (result.code, result.err) == (
        0,
        "note: the undeploy of churn was cut short: it is done now\n"
        f"note: removed leftover files: {first}\n",
    )
    assert second not in versions(shipped)
    assert [action for action, _, _ in shipped.actions()[2:]] == ["undeploy", "recover", "deploy"]
    assert [event.seq for event in shipped.manager.get_deployment_history()] == [1, 2, 3, 4, 5]


def test_killed_after_the_event_only_the_intent_is_closed(shipped: Workbench) -> None:
    shipped.manager.undeploy()
    event = shipped.manager.get_deployment_history()[-1]
    with shipped.store.locked({}):
        shipped.store.open_intent({"event": event.to_json(), "creates": False})
        assert act.recover(shipped.store, MODEL) == ()
    assert shipped.actions()[2:] == [("undeploy", "succeeded", None)]


def test_a_history_that_says_that_a_lost_version_is_live_is_closed(shipped: Workbench) -> None:
    """Somebody removed all by hand: chmod -R u+w and rm -rf."""
    for folder, _, _ in os.walk(shipped.folder / "versions"):
        Path(folder).chmod(0o755)
    shutil.rmtree(shipped.folder / "versions")
    shutil.rmtree(shipped.folder / ".tagship")
    shipped.current.unlink()
    assert shipped.cli("status", "churn").code == 5
    assert shipped.cli("undeploy", "churn", "--yes").code == 0
    assert shipped.cli("status", "churn").code == 3
    assert names(shipped) == {*OWN, "deployment_history.json"}


def test_who_waits_for_the_lock_goes_on_once_its_file_is_gone(shipped: Workbench) -> None:
    """The undeploy removes the lock's file, with its folder, while another waits for it."""
    with shipped.store.locked({}):
        waiting = subprocess.Popen(
            [sys.executable, "-m", "tagship", "deploy", "churn@1.0", "--yes", "--wait", "60"],
            cwd=shipped.repo, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("note: waiting up to 60 s")
        shipped.store.unlink()
        assert shipped.store.remove(versions(shipped)) == []
        shipped.store.clear([journal.digest_file(shipped.store)])
        assert not (shipped.folder / ".tagship").exists()
    out, err = waiting.communicate()
    assert (waiting.returncode, err) == (0, ""), out
    assert shipped.live() == "model 1\n"
