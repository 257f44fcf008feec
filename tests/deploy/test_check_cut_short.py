"""A run that is killed while it checks what it made live: nothing unchecked stays live unseen."""

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tagship.host import journal
from tests.conftest import prepared
from tests.deploy.test_interrupted import PATIENCE, SlowDeploy, slowly
from tests.workbench import Workbench

DEPLOY = "deploy churn --no-smoke-test --yes"
NOT_CHECKED = "1.1.0 is live, and not checked yet"
AGAIN = "note: the check of churn 1.1.0 was cut short: it is run again\n"
PASSED = "note: the check of churn 1.1.0 was cut short: it passed now\n"
WRONG = "model.bin is cut short: has 3 bytes instead of 8"
FAILED = f"churn 1.1.0 failed its check once it was live: {WRONG}; 1.0.0 is live again"
SHIPPED = [("deploy", "succeeded", "1.0.0"), ("deploy", "succeeded", "1.1.0")]
TAKEN_BACK = [*SHIPPED, ("reject", "succeeded", "1.1.0"), ("rollback", "succeeded", "1.0.0")]


@contextlib.contextmanager
def _checking(bench: Workbench, command: str, site: Path) -> Iterator[SlowDeploy]:
    """A command that is in its check, and hangs there."""
    (bench.repo / "params.yaml").write_text("tagship: {after_switch: self_test}\n")
    with slowly(bench, command, site) as slow:
        yield slow


def _kill(bench: Workbench, command: str, site: Path) -> None:
    """A command that is killed while it checks what it made live."""
    with _checking(bench, command, site) as slow:
        slow.process.kill()
        assert slow.process.wait(PATIENCE) == -signal.SIGKILL
        assert select.select([slow.loading], [], [], PATIENCE)[0]
        assert os.read(slow.loading, 1) == b""  # its self-test is gone too


@pytest.fixture(scope="module")
def templates(template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """1.0.0 is live and 1.1.0 released; and the same, its deploy killed in its check."""
    before, after = tmp_path_factory.mktemp("released"), tmp_path_factory.mktemp("killed")
    with prepared(template, before) as bench:
        bench.ship()
        bench.release("model 2\n")
    with prepared(before, after) as bench:
        _kill(bench, DEPLOY, tmp_path_factory.mktemp("site"))
        assert bench.actions() == SHIPPED
    return before, after


@pytest.fixture
def released(templates: tuple[Path, Path], copied: Callable[[Path], Workbench]) -> Workbench:
    return copied(templates[0])


@pytest.fixture
def killed(templates: tuple[Path, Path], copied: Callable[[Path], Workbench]) -> Workbench:
    return copied(templates[1])


def _damage(bench: Workbench, version: str = "1.1.0") -> None:
    """What the check of a version finds."""
    (file,) = bench.folder.glob(f"versions/v{version}_*/model.bin")
    file.chmod(0o644)
    file.write_bytes(b"bad")
    file.chmod(0o444)


def _unchecked(bench: Workbench) -> str | None:
    intent = journal.unchecked(bench.store, journal.intent(bench.store))
    return intent.event.version if intent else None


def test_status_tells_that_what_is_live_is_not_checked_and_current_answers(
    killed: Workbench,
) -> None:
    result = killed.cli("status", "churn")
    assert (result.code, result.out) == (
        3,
        "churn: drifted, live 1.1.0, latest 1.1.0\n"
        f"  {NOT_CHECKED}: a run was cut short\n"
        "    fix: tagship cleanup churn --keep 1000 --yes\n",
    )
    assert killed.cli("current", "churn").out == "1.1.0\n"
    assert _unchecked(killed) == "1.1.0"


def test_while_it_is_checked_others_are_told_so(
    released: Workbench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = tmp_path_factory.mktemp("site")
    with _checking(released, DEPLOY, site) as slow:
        busy = "deploy of churn@1.1.0 is under way: "
        result = released.cli("status", "churn")
        assert (result.code, f"; {NOT_CHECKED}\n" in result.out) == (0, True)
        assert busy in result.out
        refused = released.cli("pin", "churn@1.1.0")
        assert (refused.code, refused.err.startswith(f"error: {busy}")) == (1, True)
        assert released.cli("current", "churn").out == "1.1.0\n"
        assert slow.finish() == 0
    assert journal.intent(released.store) is None


@pytest.mark.parametrize(
    "command", ["deploy churn --yes", "cleanup churn --yes", "rollback churn --to 1.1.0 --yes"]
)
def test_the_next_command_that_can_runs_the_check_again(killed: Workbench, command: str) -> None:
    result = killed.cli(*command.split())
    told = "" if command.startswith("rollback") else AGAIN + PASSED
    assert (result.code, result.err) == (0, told)
    assert killed.actions() == SHIPPED
    assert journal.intent(killed.store) is None
    assert killed.cli("status", "churn").code == 0


@pytest.mark.parametrize("command", ["deploy churn --yes", "cleanup churn --keep 9 --yes"])
def test_what_fails_then_is_taken_back_and_not_tried_again(killed: Workbench, command: str) -> None:
    _damage(killed)
    result = killed.cli(*command.split())
    assert (result.code, result.err) == (0, f"{AGAIN}note: {FAILED}\n")
    assert killed.live() == "model 1\n"
    done = [event for event in killed.actions() if event[0] != "cleanup"]
    assert done == TAKEN_BACK
    assert killed.cli("deploy", "churn", "--yes").code == 0
    assert killed.live() == "model 1\n"
    status = killed.cli("status", "churn")
    assert (status.code, "1.1.0 failed, " in status.out) == (4, True)


def test_who_asks_for_just_that_version_is_told_that_it_failed(killed: Workbench) -> None:
    _damage(killed)
    result = killed.cli("deploy", "churn@1.1.0", "--yes")
    assert (result.code, result.err) == (
        1,
        f"{AGAIN}note: {FAILED}\n"
        "error: churn 1.1.0 was live, and failed its check just now\n"
        "hint: tagship history churn\n",
    )
    assert (killed.live(), killed.actions()) == ("model 1\n", TAKEN_BACK)


def test_a_rollback_to_what_is_live_and_damaged_checks_it_out_again(killed: Workbench) -> None:
    _damage(killed)
    assert killed.cli("rollback", "churn", "--to", "1.1.0", "--yes").code == 0
    assert (killed.live(), journal.intent(killed.store)) == ("model 2\n", None)
    assert killed.actions() == [*SHIPPED, ("rollback", "succeeded", "1.1.0")]


@pytest.mark.parametrize("command", ["pin churn@1.0.0", "hold churn", "unpin churn@1.1.0"])
def test_a_command_that_runs_no_check_leaves_it_to_another(killed: Workbench, command: str) -> None:
    if command.startswith("unpin"):
        killed.manager.pin("1.1.0")
    assert (killed.cli(*command.split()).code, _unchecked(killed)) == (0, "1.1.0")


def test_a_rollback_waits_for_no_check_and_ends_it(killed: Workbench) -> None:
    _damage(killed)
    result = killed.cli("rollback", "churn", "--yes")
    assert (result.code, result.err) == (0, "")
    assert (killed.live(), journal.intent(killed.store)) == ("model 1\n", None)
    assert killed.actions() == [*SHIPPED, ("rollback", "succeeded", "1.0.0")]
    outcome = killed.manager.deploy()  # it is blocked, as after each rollback
    assert (outcome.event, outcome.place.version) == (None, "1.0.0")


def test_an_undeploy_ends_it(killed: Workbench) -> None:
    assert killed.cli("undeploy", "churn", "--yes").code == 0
    assert not (killed.folder / ".tagship").exists()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_rollback_cut_short_before_its_switch_leaves_it_unchecked(
    killed: Workbench, tmp_path_factory: pytest.TempPathFactory, end: signal.Signals
) -> None:
    _damage(killed, "1.0.0")  # it is checked out again, and tested
    with slowly(killed, "rollback churn --yes", tmp_path_factory.mktemp("site")) as slow:
        slow.process.send_signal(end)
        slow.process.wait(PATIENCE)
    assert killed.cli("pin", "churn@1.0.0").code == 0
    assert killed.live() == "model 2\n"
    assert [event for event in killed.actions() if event[0] not in ("pin", "recover")] == [
        *SHIPPED, ("rollback", "failed", "1.0.0")
    ]  # fmt: skip
    assert _unchecked(killed) == "1.1.0"


def test_an_undeploy_cut_short_before_it_removed_anything_leaves_it_unchecked(
    killed: Workbench,
) -> None:
    store, past = killed.store, killed.manager.get_deployment_history()
    event = replace(
        past[-1], id="20991231_000000", action="undeploy", version=None, directory=None,
        previous=past[-1].place,
    )  # fmt: skip
    unchecked = journal.unchecked(store, journal.intent(store))
    journal.open_intent(store, journal.Intent(event, unchecked=unchecked))
    assert killed.cli("pin", "churn@1.0.0").code == 0
    assert _unchecked(killed) == "1.1.0"


def test_a_rollback_killed_in_its_check_is_checked_again_and_taken_back(
    shipped: Workbench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _kill(shipped, "rollback churn --yes", tmp_path_factory.mktemp("site"))
    rolled = [*SHIPPED, ("rollback", "succeeded", "1.0.0")]
    assert (shipped.actions(), _unchecked(shipped)) == (rolled, "1.0.0")
    _damage(shipped, "1.0.0")
    assert shipped.cli("cleanup", "churn", "--keep", "9", "--yes").code == 0
    assert shipped.live() == "model 2\n"
    back = [("reject", "succeeded", "1.0.0"), ("rollback", "succeeded", "1.1.0")]
    assert [event for event in shipped.actions() if event[0] != "cleanup"] == [*rolled, *back]
    assert shipped.manager.deploy().event is None  # what is live again is not blocked


def test_an_interrupt_leaves_it_to_the_next_command(
    released: Workbench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = tmp_path_factory.mktemp("site")
    with _checking(released, DEPLOY, site) as slow:
        slow.process.send_signal(signal.SIGINT)
        _, err = slow.process.communicate(timeout=PATIENCE)
    assert (slow.process.returncode, err) == (
        130,
        f"\ninterrupted\nnote: churn {NOT_CHECKED}\nhint: tagship deploy churn@1.1.0\n",
    )
    assert _unchecked(released) == "1.1.0"
    assert released.cli("deploy", "churn@1.1.0", "--yes").err == AGAIN + PASSED


def test_a_check_that_hangs_ends_with_its_time(
    released: Workbench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = "tagship: {after_switch: self_test, smoke_timeout: 1}\n"
    (released.repo / "params.yaml").write_text(settings)
    site = tmp_path_factory.mktemp("site")
    with slowly(released, DEPLOY, site) as slow:
        _, err = slow.process.communicate(timeout=PATIENCE)
    assert (slow.process.returncode, "took longer than 1 s; 1.0.0 is live again" in err) == (
        1,
        True,
    )
    assert released.actions() == TAKEN_BACK
