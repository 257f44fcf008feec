"""resolve and at: which version is meant, when it went live, and where the models are."""

from dataclasses import replace
from pathlib import Path

import pytest

from tagship import Corrupt, InvalidName, Live, NotFound, at, load, resolve
from tagship.host import actions, history, journal, project, went_live
from tagship.host.history import Event, Place
from tagship.host.journal import Intent
from tagship.host.store import Store
from tagship.host.went_live import Moment
from tests.host.test_journal import numbered
from tests.hosts import Following
from tests.workbench import MODEL, Workbench, copy_tree

UNKNOWN = Moment(0, "")


@pytest.fixture
def plain(shipped: Workbench) -> Path:
    """A copy of the folder of the models, with no repository around it."""
    folder = shipped.repo.parent / "plain"
    folder.mkdir()
    copy_tree(str(shipped.folder), str(folder / MODEL))
    return folder


# --- what a Live has


def test_it_has_the_metadata_and_what_the_history_says_of_it(shipped: Workbench) -> None:
    live, event = resolve(MODEL, shipped.repo), shipped.manager.get_deployment_history()[-1]
    assert (live.version, live.seq) == ("1.1.0", event.seq)
    assert history.moment_of(event).isoformat(timespec="seconds") == live.since[:-1] + "+00:00"
    assert live.metadata == shipped.manager.show("1.1.0")
    assert live.metadata.files[0].sha256 != live.digest  # of all files together
    assert live.metadata.statement.digest == live.digest


def test_the_digest_is_that_of_the_same_version_anywhere(shipped: Workbench) -> None:
    before = resolve(MODEL, shipped.repo)
    shipped.manager.deploy("1.1.0", force=True)
    again = resolve(MODEL, shipped.repo)
    assert again.directory != before.directory
    assert again.digest == before.digest != at(MODEL, "1.0.0", shipped.repo).digest


def test_its_number_rises_on_a_rollback_too(shipped: Workbench) -> None:
    seen = [resolve(MODEL, shipped.repo)]
    shipped.manager.rollback_to_version()
    seen.append(resolve(MODEL, shipped.repo))
    shipped.manager.pin("1.1.0")  # an event that makes nothing live
    assert resolve(MODEL, shipped.repo) == seen[-1]
    shipped.manager.deploy("1.1.0")
    seen.append(resolve(MODEL, shipped.repo))
    assert [live.version for live in seen] == ["1.1.0", "1.0.0", "1.1.0"]
    assert [live.seq for live in seen] == [2, 3, 5]
    assert seen[0].directory == seen[2].directory


# --- the history, and what is not in it yet


def _killed_after_the_switch(store: Store, event: Event, rejected: Event | None = None) -> None:
    """What a run leaves that was killed between its link and its event in the history."""
    journal.open_intent(store, Intent(event, rejected=rejected))
    assert event.directory is not None
    store.switch(event.directory)


@pytest.mark.parametrize("takes_back", [False, True])
def test_after_a_killed_run_it_is_the_number_that_recovery_records(
    shipped: Workbench, takes_back: bool
) -> None:
    store = shipped.store
    deploys = list(journal.events(store))
    again = replace(
        deploys[0], id="20301231_235959", action=actions.ROLLBACK, seq=0, previous=deploys[1].place
    )
    rejected = replace(deploys[1], id="20301231_235958", action="reject", seq=0)
    _killed_after_the_switch(store, again, rejected if takes_back else None)

    early = resolve(MODEL, shipped.repo)
    shipped.manager.pin("1.0.0")  # recovers first
    event = next(e for e in shipped.manager.get_deployment_history() if e.id == again.id)
    assert (event.status, event.seq) == ("succeeded", early.seq)
    assert early.seq == (4 if takes_back else 3)
    assert resolve(MODEL, shipped.repo) == early


def test_an_event_that_is_recorded_while_it_is_looked_for_counts_once(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, look = shipped.store, went_live.of_history
    first, second = journal.events(store)
    event = replace(
        first, id="20301231_235959", action=actions.ROLLBACK, seq=0, previous=second.place
    )
    _killed_after_the_switch(store, event)

    def recorded_after(path: Path, directory: str) -> Moment | None:
        found = look(path, directory)
        if found is None or found.id != event.id:
            journal.record(store, event)
        return found

    monkeypatch.setattr(went_live, "of_history", recorded_after)
    assert resolve(MODEL, shipped.repo).seq == 3


def test_an_intent_that_has_not_switched_yet_counts_for_nothing(shipped: Workbench) -> None:
    store, before = shipped.store, resolve(MODEL, shipped.repo)
    first, second = journal.events(store)
    for event in (
        replace(first, id="a", previous=second.place),  # of another directory
        replace(second, id="b", previous=second.place),  # of the live one: the link cannot tell
        replace(second, id="c", action="hold", previous=None),  # makes nothing live
        second,  # it is in the history: the check of what is live is not over
    ):
        journal.open_intent(store, Intent(event))
        assert resolve(MODEL, shipped.repo) == before
    other = at(MODEL, "1.0.0", shipped.repo)
    journal.open_intent(store, Intent(replace(first, id="d", previous=second.place)))
    assert at(MODEL, "1.0.0", shipped.repo) == other  # not live yet
    store.intent_file.write_text("no intent")
    assert resolve(MODEL, shipped.repo) == before


@pytest.mark.parametrize("damage", ["gone", "no JSON", "another's form", "says nothing of it"])
def test_what_the_history_does_not_say_is_as_the_deploy_wrote_it(
    shipped: Workbench, damage: str
) -> None:
    """The link is what counts: a history that cannot be read keeps nobody from serving."""
    file, before = shipped.folder / history.FILE_NAME, resolve(MODEL, shipped.repo)
    if damage == "gone":
        file.unlink()
    elif damage == "no JSON":
        file.write_bytes(file.read_bytes()[:-40])
    elif damage == "another's form":
        file.write_text(file.read_text().replace("\n", "").replace('"seq": 2', '"seq": 7'))
    else:
        journal.record(shipped.store)
        file.write_text("[]\n")
    live = resolve(MODEL, shipped.repo)
    seq = 7 if damage == "another's form" else 2
    assert live == replace(before, seq=seq, since=live.since)
    deployment = live.metadata.deployment
    assert deployment is not None
    if seq == 2:
        assert live.since == deployment.at


@pytest.mark.parametrize("after", [0, 3, 40, 3000])
def test_the_last_switch_is_found_however_much_came_after_it(tmp_path: Path, after: int) -> None:
    (tmp_path / ".tagship").mkdir()
    file, (event, *others) = tmp_path / history.FILE_NAME, numbered(after + 1)
    others = [replace(other, previous=event.place, action="pin") for other in others]
    failed = replace(event, id="f", status="failed")
    journal.append(file, event, replace(event, id="again", duration_s=90.0), failed, *others)
    found = went_live.of_history(file, event.directory or "")
    assert found == Moment(2, "2026-11-20T12:01:30Z", "again")
    assert went_live.of_history(file, "v9.9.9_20261120_120000") is None


def test_a_date_that_is_none_is_given_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".tagship").mkdir()
    (event,) = numbered(1)
    file = tmp_path / history.FILE_NAME
    journal.append(file, replace(event, at="yesterday"))
    assert went_live.of_history(file, event.directory or "") == Moment(1, "yesterday", event.id)


# --- a version that is kept


def test_a_kept_version_is_found_by_whatever_names_it(shipped: Workbench) -> None:
    old, new = (place.directory for place in _places(shipped))
    named = {
        text: at(MODEL, text, shipped.repo).directory.name
        for text in ("1.0.0", "v1.0.0", "1.0", "1", "^1", "latest", "churn@v1.0.0", old, new)
    }
    assert named == {
        "1.0.0": old, "v1.0.0": old, "1.0": old, "churn@v1.0.0": old, old: old,
        "1": new, "^1": new, "latest": new, new: new,
    }  # fmt: skip
    assert at(MODEL, "1.1.0", shipped.repo) == resolve(MODEL, shipped.repo)


def _places(bench: Workbench) -> list[Place]:
    return [event.place for event in bench.manager.get_deployment_history() if event.place]


def test_of_several_directories_it_is_the_live_one_and_else_the_newest(shipped: Workbench) -> None:
    shipped.manager.deploy("1.1.0", force=True)
    first, second = (place.directory for place in _places(shipped)[1:])
    assert at(MODEL, "1.1.0", shipped.repo).directory.name == second
    shipped.store.switch(first)
    assert at(MODEL, "1.1.0", shipped.repo).directory.name == first
    shipped.store.switch(_places(shipped)[0].directory)
    assert at(MODEL, "1.1.0", shipped.repo).directory.name == second


@pytest.mark.parametrize(
    ("version", "error", "message", "hint"),
    [
        ("2.0.0", NotFound, "churn 2.0.0 is not on this host", "on disk: 1.0.0, 1.1.0"),
        ("../v1.0.0_20261120_120000", InvalidName, "is not a version of churn", "give 1.2.0"),
        ("#prod", InvalidName, "'#prod' is a stage, and not a version of churn", "give 1.2.0"),
        (1.1, InvalidName, "the version 1.1 is a number, not text", "put it in quotes"),
    ],
)
def test_a_version_that_is_not_here_is_an_error(
    shipped: Workbench, version: str, error: type[NotFound], message: str, hint: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        at(MODEL, version, shipped.repo)
    assert caught.value.hint.startswith(hint)


def test_where_nothing_was_deployed_the_hint_is_to_deploy(bench: Workbench) -> None:
    with pytest.raises(NotFound) as caught:
        at(MODEL, "1.0.0", bench.repo)
    assert caught.value.hint == "tagship deploy churn"


def test_what_is_resolved_is_kept_from_a_cleanup(shipped: Workbench) -> None:
    with at(MODEL, "1.0.0", shipped.repo) as old:
        active = load(old, loader=Path.read_text)
        assert active.model == "model 1\n"
    assert active.live == old
    assert list(shipped.store.in_use()) == [old.directory.name]  # by the loaded model alone
    active.lock.close()
    assert shipped.store.in_use() == {}


def test_what_was_cleaned_up_meanwhile_is_not_loaded(shipped: Workbench) -> None:
    old = at(MODEL, "1.0.0", shipped.repo)
    old.lock.close()
    shipped.store.discard(old.directory.name)
    with pytest.raises(NotFound, match="is gone: nothing kept it from a cleanup"):
        load(old, loader=Path.read_text)


# --- where the models are


def _same(live: Live, other: Live, folder: Path) -> None:
    """The same version, in another folder."""
    directory = folder / MODEL / "versions" / other.directory.name
    assert live == replace(other, directory=directory, path=directory / other.path.name)


def test_a_plain_folder_of_models_is_enough(shipped: Workbench, plain: Path) -> None:
    live = resolve(MODEL, shipped.repo)
    _same(resolve(MODEL, root=plain), live, plain)
    _same(resolve(MODEL, shipped.repo, root=str(plain)), live, plain)  # whatever `start` is
    _same(at(MODEL, "1.1.0", root=plain), live, plain)
    assert load(MODEL, root=plain, loader=Path.read_text, verify=True).model == "model 2\n"


def test_a_relative_root_is_that_of_the_working_directory(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(plain / MODEL)
    assert resolve(MODEL, root="..").directory.parent == plain / MODEL / "versions"


def test_the_variable_names_it_where_no_folder_is_given(
    shipped: Workbench, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = resolve(MODEL, shipped.repo)
    monkeypatch.setenv(project.VARIABLE, str(plain))
    monkeypatch.chdir(shipped.repo)
    _same(resolve(MODEL), live, plain)
    assert resolve(MODEL, shipped.repo) == live
    _same(resolve(MODEL, root=shipped.repo / "models"), live, shipped.repo / "models")
    current = shipped.manager.get_current_version()
    assert current is not None
    assert current.directory == live.directory  # the manager is that of its folder
    monkeypatch.setenv(project.VARIABLE, "")
    assert resolve(MODEL) == live


@pytest.mark.parametrize(
    "command", ["current churn", "current churn --path", "current churn --json"]
)
def test_the_command_finds_the_same(
    shipped: Workbench, plain: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    expected = shipped.cli(*command.split())
    assert expected.code == 0
    there = expected.out.replace(str(shipped.folder), str(plain / MODEL))
    assert shipped.cli(*command.split(), "--root", str(plain)).out == there
    monkeypatch.setenv(project.VARIABLE, str(plain))
    assert shipped.cli(*command.split()) == expected  # -C comes first
    assert _cli_here(shipped, *command.split()) == there


def _cli_here(bench: Workbench, *arguments: str) -> str:
    """The same without -C."""
    from tagship.cli import main

    return bench._run(main.main, *arguments).out


@pytest.mark.following
def test_the_variable_is_the_folder_that_every_command_works_in(
    host: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(project.VARIABLE, str(host.folder))
    assert _cli_here(host.bench, "current", MODEL) == "1.0.0\n"
    assert (
        _cli_here(host.bench, "status", "--json")
        == host.bench.cli_in(host.folder, "status", "--json").out
    )


def test_what_is_missing_in_a_named_folder_is_said(
    shipped: Workbench, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(model: str, root: Path) -> tuple[str, str]:
        with pytest.raises(NotFound) as caught:
            load(model, root=root)
        return caught.value.message, caught.value.hint

    nowhere = plain / "nowhere"
    assert told(MODEL, nowhere) == (
        f"not a folder: {nowhere}", "name the folder of the models: root=, or TAGSHIP_ROOT",
    )  # fmt: skip
    assert told("chrun", plain) == (f"{plain} has no folder of the model chrun", "there are: churn")
    assert told(MODEL, shipped.repo) == (
        f"{shipped.repo} has no folder of the model churn",
        f"name the folder of the models: {shipped.repo}/models",
    )
    (plain / MODEL / "current").unlink()
    assert told(MODEL, plain) == (
        f"no version of churn is live in {plain}",
        "copy its folder with the link in it: cp -a, or rsync -a",
    )
    shipped.current.unlink()
    assert told(MODEL, shipped.repo / "models")[1] == (
        f"tagship -C {shipped.repo}/models deploy churn"
    )


def test_a_named_folder_has_no_pipeline_to_fall_back_to(
    shipped: Workbench, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain / MODEL / "current").unlink()
    monkeypatch.chdir(shipped.repo)
    monkeypatch.setenv(project.VARIABLE, str(plain))
    with pytest.raises(NotFound, match="no version of churn is live in "):
        load(MODEL, loader=Path.read_text)


def test_a_dangling_link_is_said_of_a_named_folder_too(plain: Path) -> None:
    link = plain / MODEL / "current"
    link.unlink()
    link.symlink_to("versions/v3.0.0_20261120_120000")
    with pytest.raises(Corrupt, match=r"which is gone"):
        resolve(MODEL, root=plain)
