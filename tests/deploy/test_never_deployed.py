"""A model of which no version ever was live here, whatever else was done to it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tagship.deploy import act
from tagship.errors import NotFound, SelfTestFailed
from tagship.host import history, journal, process
from tagship.loaders import selftest
from tests.workbench import Workbench

NEVER, DEPLOY = "churn was never deployed here", "tagship deploy churn"
NOTHING_BEFORE = "churn has no good version to go back to", "tagship list churn"
DIRECTORY = "v1.0.0_20261120_120001"


def _killed_before_the_intent(bench: Workbench) -> None:
    """At its second change of a file: there is an empty versions/."""
    (bench.folder / "versions").mkdir()


def _killed_with_a_link_on_trial(bench: Workbench) -> None:
    with bench.store.locked({}):
        (bench.folder / ".tagship" / ".link.0123456789ab.tmp").symlink_to("target")


def _killed_while_it_was_built(bench: Workbench) -> None:
    _open_intent(bench)
    (bench.folder / ".tagship" / "staging" / "20261120_120001").mkdir()


def _killed_before_the_switch(bench: Workbench) -> None:
    _open_intent(bench)
    (bench.folder / "versions" / DIRECTORY).mkdir()


def _recovered(bench: Workbench) -> None:
    """The history has the deploy, which failed."""
    _killed_before_the_switch(bench)
    assert bench.cli("cleanup", "churn", "--yes").code == 0
    assert bench.actions() == [("deploy", "failed", "1.0.0"), ("recover", "succeeded", None)]


def _failed(bench: Workbench) -> None:
    def fail(*_: object) -> selftest.Report:
        raise SelfTestFailed("wrong answer", "")

    with bench.monkeypatch.context() as patched, pytest.raises(SelfTestFailed):
        patched.setattr(selftest, "run", fail)
        bench.manager.deploy("1.0.0")
    assert bench.actions() == [("deploy", "failed", "1.0.0")]


def _pinned(bench: Workbench) -> None:
    bench.manager.pin("1.0.0")


def _undeployed_with_its_history(bench: Workbench) -> None:
    bench.manager.deploy()
    bench.manager.undeploy(history=True)
    bench.manager.pin("1.0.0")


def _open_intent(bench: Workbench) -> None:
    """The intent of a first deploy that was killed."""
    with bench.store.locked({}):
        event = act.event_of_now(journal.events(bench.store), "deploy", "churn")
        event = replace(event, id=DIRECTORY[-15:], version="1.0.0", directory=DIRECTORY)
        bench.store.open_intent({"event": event.to_json(), "creates": True})


Arrange = Callable[[Workbench], None]
LEFTOVERS = [
    _killed_before_the_intent, _killed_with_a_link_on_trial, _killed_while_it_was_built,
    _killed_before_the_switch, _recovered, _failed, _pinned, _undeployed_with_its_history,
]  # fmt: skip


def _named(arrange: Arrange) -> str:
    return arrange.__name__.strip("_")


@pytest.fixture
def tagged(bench: Workbench) -> Workbench:
    """With a version, in one process of Git."""
    bench.git("tag", "--annotate", "churn@v1.0.0", "--message", "by GTO")
    return bench


@pytest.mark.parametrize("arrange", LEFTOVERS, ids=_named)
def test_there_is_nothing_to_roll_back_to_and_nothing_to_hold(
    tagged: Workbench, arrange: Arrange
) -> None:
    before = tagged.state()
    arrange(tagged)
    tagged.refuses("rollback churn --to 1 --hold --yes", NEVER, DEPLOY)
    tagged.refuses("hold churn", NEVER, DEPLOY)
    assert f"  nothing is deployed\n    fix: {DEPLOY}\n" in tagged.cli("status", "churn").out
    assert tagged.cli("cleanup", "churn", "--yes").code == 0
    private = tagged.folder / ".tagship"
    assert not (private / "intent.json").exists()
    assert not [*private.glob(".*.tmp"), *private.glob("staging/*"), *private.glob("trash/*")]
    assert tagged.cli("undeploy", "churn", "--history", "--force", "--yes").code == 0
    assert tagged.changes(before) == set()


@pytest.mark.parametrize("arrange", [_killed_while_it_was_built, _failed], ids=_named)
def test_the_hint_makes_a_version_live_that_a_rollback_then_finds(
    tagged: Workbench, arrange: Arrange
) -> None:
    arrange(tagged)
    version = "@1.0.0" if arrange is _failed else ""  # no rule tries again what failed
    assert tagged.cli("deploy", f"churn{version}", "--yes").code == 0
    assert tagged.cli("rollback", "churn", "--to", "1", "--yes").code == 0
    tagged.refuses("rollback churn --yes", *NOTHING_BEFORE)
    assert tagged.cli("hold", "churn").code == 0


def test_each_way_to_roll_back_and_to_hold_says_so(tagged: Workbench) -> None:
    _killed_before_the_intent(tagged)
    for options in ("", "--to 1.0.0 --yes", "--to latest --yes", "--to '#prod' --yes"):
        tagged.refuses(f"rollback churn {options}", NEVER, DEPLOY)
    for call in (tagged.manager.rollback_plan, tagged.manager.rollback_to_version,
                 tagged.manager.hold):  # fmt: skip
        with pytest.raises(NotFound, match=NEVER):
            call()
    tagged.refuses("resume churn", "churn is not held", "tagship status churn")


@pytest.mark.live
def test_killed_after_the_switch_it_was_deployed(bench: Workbench) -> None:
    bench.release("model 2\n")
    store = bench.store
    (event,) = bench.manager.get_deployment_history()
    with store.locked(process.owner("test")):
        (bench.folder / history.FILE_NAME).unlink()  # it was not written yet
        store.open_intent({"event": event.to_json(), "creates": True})
    result = bench.cli("rollback", "churn", "--to", "1.0.0", "--hold", "--yes")
    assert (result.code, result.err) == (
        0,
        "note: the deploy of churn@1.0.0 was cut short after the switch: it is live, and in the"
        " history\n",
    )
    assert bench.cli("deploy", "churn", "--yes").code == 3


@pytest.mark.live
def test_what_failed_its_check_once_it_was_live_was_deployed(bench: Workbench) -> None:
    """A person may go back to it by its number; without one there is nothing to go back to."""
    (event,) = bench.manager.get_deployment_history()
    bench.store.unlink()
    with bench.store.locked(process.owner("test")):
        deed = act.Act(bench.store, "churn", act.PLAIN, journal.events(bench.store), (), dict)
        deed.record(deed.event("reject", event.place))
    bench.refuses("rollback churn --yes", *NOTHING_BEFORE)
    assert bench.cli("rollback", "churn", "--to", "1.0.0", "--yes").code == 0
