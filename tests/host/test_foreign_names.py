"""``current`` leads to a folder whose name is not one of tagship's: another script made it."""

from dataclasses import replace

import pytest

from tagship.errors import Corrupt
from tagship.host import history, journal, link
from tagship.host.history import Event, Place
from tagship.host.journal import Intent
from tagship.registry import refs
from tests.workbench import Workbench

NAMES = ["v1", "v1.0.0", "v1.0.0_bak", "2026-01-01", "old-v1.0.0_20261127_230935", "nope"]


@pytest.mark.parametrize("name", [*NAMES, "v1.0_20261127_230935", ""])
def test_a_name_of_another_form_has_no_version(name: str) -> None:
    assert link.version_of(name) == ""
    assert not history.is_directory(name)


@pytest.mark.parametrize("version", ["1.0.0", "10.0.12-rc.1+b-2"])
def test_a_name_of_ours_has_its_version(version: str) -> None:
    assert refs.is_version(version)
    assert link.version_of(history.directory_name(version, "20261123_053122")) == version


@pytest.fixture
def foreign(shipped: Workbench) -> Workbench:
    """1.1.0 was live, and 1.0.0 before; ``current`` leads to versions/v1 now."""
    (shipped.folder / "versions").chmod(0o755)
    shipped.current.unlink()
    shipped.current.symlink_to("versions/v1")
    return shipped


def make(bench: Workbench) -> None:
    (bench.folder / "versions/v1").mkdir()
    (bench.folder / "versions/v1/model.bin").write_text("old\n")


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("command", ["deploy churn --yes", "rollback churn --to 1.0.0 --yes"])
def test_what_follows_can_be_read_and_has_nothing_before_it(
    command: str, is_there: bool, foreign: Workbench
) -> None:
    if is_there:
        make(foreign)
    done = foreign.cli(*command.split())
    assert done.code == 0, done.err
    assert "(before:" not in done.out
    event = foreign.manager.get_deployment_history()[-1]
    assert event.previous is None
    assert event.reason == "current led to v1, not a version of tagship"
    assert foreign.cli("history", "churn").code == 0
    assert foreign.cli("rollback", "churn", "--to", "1.0.0", "--yes").code == 0
    assert foreign.cli("status", "churn").code in (0, 3)
    assert (foreign.folder / "versions/v1").exists() == is_there


@pytest.mark.parametrize("is_there", [True, False])
def test_its_hints_name_no_version(is_there: bool, foreign: Workbench) -> None:
    what = f"{foreign.current} leads to v1, which is gone"
    asked = what
    if is_there:
        make(foreign)
        what = f"{foreign.current} leads to v1, which is not a version of tagship"
        asked = f"{foreign.folder}/versions/v1/metadata.json is missing"
    told = foreign.cli("status", "churn")
    assert (told.code, told.out) == (
        5,
        "churn: broken, live -, latest 1.1.0\n"
        f"  {what}\n"
        "    fix: tagship rollback churn --to 1.1.0\n",
    )
    again = "deploy it again: tagship deploy churn" if is_there else "tagship deploy churn"
    foreign.refuses("current churn", asked, again)


def test_a_folder_of_a_script_before_any_release(bench: Workbench) -> None:
    (bench.folder / "versions").mkdir()
    make(bench)
    bench.current.symlink_to("versions/v1")
    told = bench.cli("status", "churn")
    what = f"{bench.current} leads to v1, which is not a version of tagship"
    assert f"  {what}\n    fix: tagship release churn\n" in told.out
    bench.ship()
    assert bench.live() == "model 1\n"


def test_an_event_that_nobody_could_read_is_not_written(shipped: Workbench) -> None:
    path = shipped.folder / history.FILE_NAME
    before = path.read_bytes()
    event = Event(0, "i", "2026-11-20T12:00:00Z", "deploy", "succeeded", "churn", "1.0.0")
    unreadable = replace(event, directory="v1.0.0_20261123_053122", previous=Place("", "v1"))
    with pytest.raises(Corrupt, match=r"previous.version is '', not a version"):
        journal.append(path, unreadable)
    with pytest.raises(Corrupt, match=r"previous.version is '', not a version"):
        journal.open_intent(shipped.store, Intent(unreadable))
    assert path.read_bytes() == before
    assert not shipped.store.has_intent
