"""The file of the history: what is read of it, and what is added."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.errors import Corrupt, InvalidName
from tagship.host import history, journal
from tagship.host.history import Event, Place
from tagship.text import json_reader
from tests.workbench import Workbench, run

AT = "2026-11-20T12:00:00Z"


BEFORE = Place("1.0.0", "v1.0.0_a")
ONE = Event(1, "i", AT, "deploy", "succeeded", "m")
EVENT = ONE.to_json()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the history is to be, in a model's folder."""
    (tmp_path / ".tagship").mkdir()
    return tmp_path / history.FILE_NAME


def numbered(count: int) -> list[Event]:
    """Deploys, each of a version of its own."""
    return [
        replace(ONE, id=f"i{n}", version=f"{n}.0.0", directory=f"v{n}.0.0_i{n}")
        for n in range(1, count + 1)
    ]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
optional = st.none() | texts
versions = st.sampled_from(["1.0.0", "2.0.0-rc.1+b"])
places = st.builds(Place, versions, st.sampled_from(["v1.0.0_a", "b c"]))
some_events = st.builds(
    Event,
    seq=st.integers(0, 9),
    id=texts,
    at=texts,
    action=texts,
    status=texts,
    model=texts,
    version=st.none() | versions,
    tag=optional,
    tag_object=optional,
    commit=optional,
    directory=st.sampled_from([None, "v1.0.0_a"]),
    previous=st.none() | places,
    actor=texts,
    host=texts,
    reason=optional,
    duration_s=st.floats(0, 1e6),
    error=optional,
)


ask = st.sampled_from(["1.0.0", "2.0.0-rc.1+b", "v1.0.0_a", "b c", "", "ä", '"', "\udcff"])


@given(past=st.lists(some_events, max_size=2), new=st.lists(some_events, max_size=3), name=ask)
def test_what_is_appended_is_read_again_and_numbered_on(
    tmp_path_factory: pytest.TempPathFactory, past: list[Event], new: list[Event], name: str
) -> None:
    """With the mark and without it."""
    folder = tmp_path_factory.getbasetemp() / "appended"
    mark, file = folder / ".tagship" / journal.MARK, folder / history.FILE_NAME
    mark.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    journal.append(file, *past)
    appended = journal.append(file, *new)
    events = [replace(event, seq=number) for number, event in enumerate([*past, *new], 1)]
    marked = journal.read(file)
    mark.unlink()
    for all_events in (appended, marked, journal.read(file)):
        assert list(all_events) == [all_events[index] for index in range(len(all_events))] == events
        assert list(all_events[-2:]) == events[-2:]
        assert all_events.last_seq == len(events)
        named = [event for event in all_events.about(name) if _names(event, name)]
        assert named == [event for event in events if _names(event, name)]
        assert all_events.has(name) == any(event.id == name for event in events)


def _names(event: Event, name: str) -> bool:
    before = event.previous
    return name in {
        event.id, event.version, event.directory, *(vars(before).values() if before else ())
    }  # fmt: skip


def test_what_a_later_release_or_a_person_put_in_stays(file: Path) -> None:
    journal.append(file, ONE)
    file.write_text(file.read_text().replace('"seq": 1,', '"seq": 7, "added later": [1, 2.50],'))
    assert [event.seq for event in journal.append(file, ONE)] == [7, 8]
    assert [event.seq for event in journal.append(file, ONE)] == [7, 8, 9]
    assert json.loads(file.read_text())[0]["added later"] == [1, 2.5]


def test_numbers_go_on_behind_the_highest_wherever_it_is(file: Path) -> None:
    file.write_text(json.dumps([{**EVENT, "seq": 5}, {**EVENT, "seq": 2}]))
    assert [event.seq for event in journal.append(file, ONE)] == [5, 2, 6]
    assert [event.seq for event in journal.append(file, ONE)] == [5, 2, 6, 7]


def test_the_mark_is_what_sha256sum_checks(file: Path) -> None:
    journal.append(file, ONE)
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    run(file.parent / ".tagship", "sha256sum", "--check", "--strict", journal.MARK)


@given(st.data())
def test_a_file_that_somebody_changed_is_checked_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "changed"
    (folder / ".tagship").mkdir(parents=True, exist_ok=True)
    file = folder / history.FILE_NAME
    file.unlink(missing_ok=True)
    journal.append(file, *numbered(3))
    text = bytearray(file.read_bytes())
    where = data.draw(st.integers(0, len(text) - 1))
    text[where] ^= data.draw(st.integers(1, 255))
    file.write_bytes(text)
    (folder / ".tagship" / journal.MARK).unlink()
    without = _outcome(file)
    file.unlink()
    journal.append(file, *numbered(3))
    file.write_bytes(text)
    assert _outcome(file) == without


def _outcome(file: Path) -> list[Event] | str:
    try:
        return list(journal.read(file))
    except Corrupt as error:
        return error.message


def test_of_a_marked_file_that_is_asked_for_alone_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(file, *numbered(1000))
    counts: list[int] = []
    monkeypatch.setattr(json_reader, "array", _counting(counts))
    past = journal.read(file)
    assert (len(past), past.last_seq, past.has("i500"), past.has("i")) == (1000, 1000, True, False)
    assert [event.seq for event in past.about("700.0.0", "v3.0.0_i3")] == [3, 700]
    target = history.rollback_target(past, past[-1].place)
    assert target is not None and target.version == "999.0.0"
    journal.append(file, ONE)
    assert sum(counts) < 100
    (file.parent / ".tagship" / journal.MARK).unlink()
    assert journal.read(file)[-1].seq == 1001
    assert sum(counts) > 1000


def _counting(counts: list[int]) -> Callable[[Any], Callable[[Any], list[Any]]]:
    array = json_reader.array

    def counted(kind: Any) -> Callable[[Any], list[Any]]:
        def reader(value: Any) -> list[Any]:
            counts.append(len(value))
            return array(kind)(value)

        return reader

    return counted


def test_a_forged_mark_makes_no_event_of_what_is_none(file: Path) -> None:
    """Who can write it can write the history: an error is told, and there is no traceback."""
    for wrong in ('"seq": "x"', '"seq": 1}, {"a": 1', '"seq": 1,,'):
        journal.append(file, ONE, ONE)
        file.write_text(file.read_text().replace('"seq": 1', wrong))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        (file.parent / ".tagship" / journal.MARK).write_text(f"{digest}  ../{file.name}\n")
        past = journal.read(file)
        for ask_for in (lambda past: past[0], list, lambda past: past.about("i")):
            with pytest.raises(Corrupt, match=f"{file} is not a valid history file: an event: "):
                ask_for(past)
        file.unlink()
    file.write_text("[1]")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (file.parent / ".tagship" / journal.MARK).write_text(f"{digest}  ../{file.name}\n")
    with pytest.raises(Corrupt, match="is 1, not an object"):
        journal.read(file)


def test_a_mark_that_cannot_be_written_stops_nothing(file: Path, tmp_path: Path) -> None:
    mark = file.parent / ".tagship" / journal.MARK
    mark.mkdir()
    assert len(journal.append(file, ONE)) == 1
    assert len(journal.append(file, ONE)) == len(journal.read(file)) == 2
    assert os.listdir(mark.parent) == [journal.MARK]
    mark.rmdir()
    other = tmp_path / "other"
    other.write_text("mine")
    mark.symlink_to(other)
    journal.append(file, ONE)
    assert (other.read_text(), mark.is_symlink()) == ("mine", False)


def test_a_history_that_changes_is_read_anew(file: Path) -> None:
    for count in range(50):
        journal.append(file, ONE)
        assert [event.seq for event in journal.read(file)] == list(range(1, count + 2))
    long_ago = 1_600_000_000
    os.utime(file, (long_ago, long_ago))
    assert journal.read(file)[0].seq == 1
    file.write_text(file.read_text().replace('"seq": 1,', '"seq": 7,'))
    os.utime(file, (long_ago, long_ago))
    assert journal.read(file)[0].seq == 7


def test_no_file_is_an_empty_history(tmp_path: Path) -> None:
    assert list(journal.read(tmp_path / history.FILE_NAME)) == []


def test_an_event_stands_in_the_file_as_it_is_documented(tmp_path: Path) -> None:
    path = tmp_path / history.FILE_NAME
    event = Event(
        0, "20261120_120000", AT, "deploy", "succeeded", "m", "2.0.0", "m@v2.0.0", "a1", "c1",
        "v2.0.0_20261120_120000", BEFORE, "ada", "engine", "wärmer", 1.5,
    )  # fmt: skip
    journal.append(path, event)
    assert path.read_text(encoding="utf-8") == (
        """[
  {
    "seq": 1,
    "id": "20261120_120000",
    "at": "2026-11-20T12:00:00Z",
    "action": "deploy",
    "status": "succeeded",
    "model": "m",
    "version": "2.0.0",
    "tag": "m@v2.0.0",
    "tag_object": "a1",
    "commit": "c1",
    "directory": "v2.0.0_20261120_120000",
    "previous": {
      "version": "1.0.0",
      "directory": "v1.0.0_a"
    },
    "actor": "ada",
    "host": "engine",
    "reason": "wärmer",
    "duration_s": 1.5,
    "error": null,
    "rule": null,
    "passed_over": null,
    "until": null,
    "gated": null,
    "image": null
  }
]
"""
    )


def test_fields_of_a_later_release_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / history.FILE_NAME
    known = Event(1, "i", AT, "deploy", "succeeded", "m", previous=BEFORE)
    value = known.to_json()
    value["mood"] = "calm"
    value["previous"]["mood"] = "calm"
    path.write_text(json.dumps([value]))
    assert list(journal.read(path)) == [known]


@pytest.mark.parametrize(
    ("data", "where"),
    [
        pytest.param(b"", ", line 1", id="empty"),
        pytest.param(b'[\n  {\n    "seq": 1,\n', ", line 4", id="cut short"),
        pytest.param(b"[\n\xff]", ": it is not UTF-8", id="no UTF-8"),
        pytest.param(b"{}", ": it is {}, not an array", id="no array"),
        pytest.param(b'""', ": it is '', not an array", id="a text"),
        pytest.param(b"null", ": it is None, not an array", id="null"),
        pytest.param(b"[1]", ": [0] is 1, not an object", id="no objects"),
        pytest.param(b"[{}]", ": [0].action is missing", id="an object without fields"),
        pytest.param(
            json.dumps([{**EVENT, "previous": "1"}]).encode(),
            ": [0].previous is '1', not an object",
            id="no place",
        ),
        pytest.param(
            json.dumps([{**EVENT, "seq": "1"}]).encode(),
            ": [0].seq is '1', not a whole number",
            id="no number",
        ),
        *(
            pytest.param(
                json.dumps([{**EVENT, "directory": name}]).encode(),
                f": [0].directory is {name!r}, not a folder name",
                id=ascii(name),
            )
            for name in ("", "..", "a/b", "a\0", "\ud800")
        ),
    ],
)
def test_an_unreadable_history_is_told_and_left_alone(
    tmp_path: Path, data: bytes, where: str
) -> None:
    path = tmp_path / history.FILE_NAME
    path.write_bytes(data)
    with pytest.raises(Corrupt) as caught:
        journal.read(path)
    assert caught.value.message == f"{path} is not a valid history file{where}"
    assert caught.value.hint == f"fix it, or start a new one: mv {path} {path}.broken"
    assert path.read_bytes() == data


@pytest.mark.live
def test_commands_read_few_events_of_a_long_history(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ship("model 2\n")
    file = bench.folder / history.FILE_NAME
    shipped = list(journal.read(file))
    file.unlink()
    journal.append(file, *numbered(1000), *shipped)
    counts: list[int] = []
    monkeypatch.setattr(json_reader, "array", _counting(counts))
    acts: dict[str, Callable[[], object]] = {
        "history": lambda: bench.manager.get_deployment_history(20),
        "status": bench.manager.status,
        "rollback": bench.manager.rollback_to_version,
        "rollback to what was left": lambda: bench.manager.rollback_to_version("1.1.0"),
        "deploy": lambda: bench.manager.deploy("1.0.0"),
        "cleanup": bench.manager.cleanup_old_versions,
    }
    events_read: dict[str, int] = {}
    for name, act in acts.items():
        counts.clear()
        act()
        events_read[name] = sum(counts)
    assert max(events_read.values()) < 300, events_read


def test_a_number_of_events_is_one_or_more(shipped: Workbench) -> None:
    assert len(shipped.manager.get_deployment_history(0)) == 2  # as ever: all
    with pytest.raises(InvalidName, match="-1 is not a number of events"):
        shipped.manager.get_deployment_history(-1)
