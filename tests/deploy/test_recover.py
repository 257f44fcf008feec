"""What a killed run leaves is mended by the next command, as the link says."""

import json
import os
import stat
from dataclasses import replace

import pytest

from tagship.deploy import act
from tagship.host import actions, history, journal, process
from tagship.host.history import Event
from tagship.host.journal import Past
from tagship.host.store import Store
from tests.workbench import Workbench


def _intent(bench: Workbench, directory: str, version: str) -> None:
    """The intent of a deploy that was killed."""
    store, past = bench.store, bench.manager.get_deployment_history()
    event = replace(
        past[-1], id="20261120_120001", directory=directory, version=version, action="deploy"
    )
    store.open_intent({"event": event.to_json(), "creates": True})


@pytest.mark.live
def test_killed_before_the_switch_the_old_version_is_live_and_nothing_is_left(
    bench: Workbench,
) -> None:
    bench.release("model 2\n")
    live = os.readlink(bench.current)
    _intent(bench, "v1.1.0_20261120_120001", "1.1.0")
    (bench.folder / "versions/v1.1.0_20261120_120001").mkdir()
    (bench.folder / ".tagship/staging/half").mkdir()
    (bench.folder / ".current.0123456789ab.tmp").symlink_to("nowhere")
    result = bench.cli("rollback", "churn", "--to", "1.0", "--yes")
    assert result.err == (
        "note: the deploy of churn@1.1.0 was cut short before the switch: what was live is live\n"
        "note: removed leftover files: .current.0123456789ab.tmp, half,"
        " v1.1.0_20261120_120001\n"
        "note: nobody went back from anything, so nothing is blocked: 1.1.0 may go live by itself;"
        " to prevent that: tagship hold churn\n"
    )
    assert os.readlink(bench.current) == live
    assert len(os.listdir(bench.folder / "versions")) == 1
    assert bench.actions() == [
        ("deploy", "succeeded", "1.0.0"),
        ("deploy", "failed", "1.1.0"),
        ("recover", "succeeded", None),
    ]
    _assert_tidy(bench)


@pytest.mark.live
def test_killed_after_the_switch_the_new_version_is_live_and_recorded(bench: Workbench) -> None:
    bench.ship("model 2\n")
    path = bench.folder / history.FILE_NAME
    events = journal.read(path)
    path.unlink()
    journal.append(path, events[0])  # the last event was not yet written
    directory = events[1].directory or ""
    _intent(bench, directory, "1.1.0")
    assert bench.manager.rollback_to_version().place.version == "1.0.0"
    assert bench.actions() == [
        ("deploy", "succeeded", "1.0.0"),
        ("deploy", "succeeded", "1.1.0"),
        ("recover", "succeeded", None),
        ("rollback", "succeeded", "1.0.0"),
    ]
    _assert_tidy(bench)


@pytest.mark.live
def test_killed_after_the_history_only_the_intent_is_closed(bench: Workbench) -> None:
    event = bench.manager.get_deployment_history()[0]
    store = bench.store
    store.open_intent({"event": event.to_json(), "creates": True})
    assert bench.manager.deploy().event is None
    assert bench.actions() == [("deploy", "succeeded", "1.0.0")]
    _assert_tidy(bench)


def test_a_cleanup_killed_before_it_moved_a_version_leaves_it_read_only_again(
    shipped: Workbench,
) -> None:
    first = next(shipped.folder.glob("versions/v1.0.0_*"))
    first.chmod(0o755)  # a folder that moves to another one must be writable
    other = shipped.folder / "versions" / "mine"
    other.mkdir(mode=0o755)
    mended = f"made read-only again: {first.name}"
    assert shipped.cli("deploy", "churn", "--yes").err == f"note: {mended}\n"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (first, other)] == [0o555, 0o755]
    event = shipped.manager.get_deployment_history()[-1]
    assert (event.action, event.reason) == ("recover", mended)


@pytest.mark.live
def test_a_recovery_is_recorded_in_one_step(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    _intent(bench, "v1.1.0_20261120_120001", "1.1.0")
    store = bench.store
    written: list[tuple[str, ...]] = []
    record = journal.record

    def note(store: Store, *new: Event) -> Past:
        written.append(tuple(event.action for event in new))
        return record(store, *new)

    monkeypatch.setattr(journal, "record", note)
    act.recover(store, "churn")
    assert written == [("deploy", "recover")]


@pytest.mark.live
def test_files_of_others_are_not_swept_away(bench: Workbench) -> None:
    mine = bench.folder / "notes.tmp"
    mine.write_text("mine")
    bench.manager.deploy(force=True)
    assert mine.read_text() == "mine"


@pytest.mark.live
def test_with_nothing_to_mend_recovery_writes_nothing(bench: Workbench) -> None:
    store, before = bench.store, bench.state()
    with store.locked(process.owner("test")):
        assert act.recover(store, "churn") == ()
    assert bench.state() == before


@pytest.mark.live
def test_a_history_that_was_lost_does_not_give_an_id_or_a_name_twice(bench: Workbench) -> None:
    (bench.folder / history.FILE_NAME).unlink()
    outcome = bench.manager.deploy(force=True)
    assert len(os.listdir(bench.folder / "versions")) == 2
    assert outcome.event is not None


@pytest.mark.parametrize("command", ["deploy", "rollback", "cleanup"])
@pytest.mark.live
def test_every_command_that_writes_recovers_first(bench: Workbench, command: str) -> None:
    bench.ship("model 2\n")
    (bench.folder / ".tagship/staging/half").mkdir()
    result = bench.cli(command, "churn", "--yes")
    assert (result.code, result.err) == (0, "note: removed leftover files: half\n")


def _assert_tidy(bench: Workbench) -> None:
    private = bench.folder / ".tagship"
    assert not (private / "intent.json").exists()
    assert [os.listdir(private / name) for name in ("staging", "trash")] == [[], []]
    seqs = [event.seq for event in bench.manager.get_deployment_history()]
    assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.parametrize("command", ["pin churn@1.0.0", "unpin churn@1.1.0", "pin churn@1.1.0"])
def test_each_command_that_mends_says_what_it_mended(shipped: Workbench, command: str) -> None:
    shipped.manager.pin("1.1.0")
    _intent(shipped, "v1.1.0_20261120_120009", "1.1.0")
    result = shipped.cli(*command.split())
    notes = [line for line in result.err.splitlines() if line.startswith("note: ")]
    mended = "the deploy of churn@1.1.0 was cut short before the switch: what was live is live"
    assert notes == [f"note: {mended}"]
    assert result.code == (1 if command == "pin churn@1.1.0" else 0)  # it is pinned already


def test_json_of_a_pin_has_what_was_mended(shipped: Workbench) -> None:
    _intent(shipped, "v1.1.0_20261120_120009", "1.1.0")
    answer = json.loads(shipped.cli("pin", "churn@1.0.0", "--json").out)
    assert [answer[key] for key in ("model", "version", "pinned")] == ["churn", "1.0.0", True]
    assert len(answer["repaired"]) == 1


def test_killed_while_a_rejected_version_is_taken_back_the_next_command_takes_it_back(
    shipped: Workbench,
) -> None:
    store = shipped.store
    first, second = journal.events(store)
    rejected = replace(second, id="20261120_120008", action=actions.REJECT)
    back = replace(first, id="20261120_120009", action=actions.ROLLBACK, previous=second.place)
    journal.open_intent(store, journal.Intent(back, rejected=rejected))
    journal.record(store, rejected)
    result = shipped.cli("cleanup", "churn", "--keep", "1000", "--yes")
    mended = "the rollback of churn@1.0.0 was cut short before the switch: it is live now"
    assert (result.code, result.err) == (0, f"note: {mended}\n")
    assert shipped.live() == "model 1\n"
    assert shipped.actions() == [
        ("deploy", "succeeded", "1.0.0"),
        ("deploy", "succeeded", "1.1.0"),
        ("reject", "succeeded", "1.1.0"),
        ("rollback", "succeeded", "1.0.0"),
        ("recover", "succeeded", None),
        ("cleanup", "succeeded", "1.1.0"),
    ]
    _assert_tidy(shipped)


# --- what is decided before recovery is what it comes to


def _unrecorded(bench: Workbench) -> None:
    """The last event is not in the history yet: its run was killed after the link was changed."""
    *before, last = bench.manager.get_deployment_history()
    path = bench.folder / history.FILE_NAME
    path.unlink()
    journal.append(path, *before)
    with bench.store.locked(process.owner("test")):
        bench.store.open_intent({"event": last.to_json(), "creates": last.action == actions.DEPLOY})


def test_a_hold_that_a_killed_undeploy_ended_stops_no_deploy(shipped: Workbench) -> None:
    shipped.manager.deploy("1.0.0")  # which holds
    shipped.manager.undeploy()
    _unrecorded(shipped)
    status = shipped.cli("status", "churn")
    assert status.code == 3  # it was 5: "current is gone"
    assert status.out.splitlines()[1:3] == [
        "  nothing is deployed", "    fix: tagship deploy churn",
    ]  # fmt: skip
    assert shipped.cli("deploy", "churn", "--dry-run").code == 0
    result = shipped.cli("deploy", "churn", "--yes")
    note = "note: the undeploy of churn was cut short: it is done now\n"
    assert (result.code, result.err) == (0, note)
    assert shipped.live() == "model 2\n"


def test_a_hold_that_a_killed_deploy_ended_stops_no_deploy(shipped: Workbench) -> None:
    shipped.manager.deploy("1.0.0")
    shipped.manager.deploy("1.1.0")  # what is desired: the hold is over
    _unrecorded(shipped)
    assert "held" not in shipped.cli("status", "churn").out
    result = shipped.cli("deploy", "churn", "--yes")
    assert (result.code, shipped.live()) == (0, "model 2\n")


def test_a_hold_that_a_killed_rollback_ended_stops_no_deploy(shipped: Workbench) -> None:
    shipped.release("model 3\n")
    shipped.manager.deploy("1.1.0", force=True)
    shipped.manager.deploy("1.0.0")
    shipped.manager.rollback_to_version("1.1.0")
    _unrecorded(shipped)
    assert shipped.cli("deploy", "churn", "--yes").code == 0


def test_a_plan_knows_the_hold_of_a_killed_deploy(shipped: Workbench) -> None:
    event = shipped.manager.deploy("1.0.0").event
    assert event is not None
    _unrecorded(shipped)
    for options in (["--dry-run"], ["--yes"]):
        result = shipped.cli("deploy", "churn", *options)
        assert result.code == 3
        assert "churn is held by" in result.err


def test_a_plan_knows_what_a_killed_rollback_passes_over(shipped: Workbench) -> None:
    shipped.manager.rollback_to_version()
    _unrecorded(shipped)
    plan = shipped.manager.plan()
    assert (plan.version, plan.passed_over is not None) == ("1.0.0", True)
    assert shipped.cli("deploy", "churn", "--yes").code == 0
    assert shipped.live() == "model 1\n"
