"""The history: what it says may be rolled back to, and its file."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship import history, pointer
from tagship.errors import Corrupt
from tagship.history import Event, Place

AT = "2026-11-20T12:00:00Z"


def place(text: str) -> Place:
    """``2`` is version 2.0.0 in the directory a; ``2b`` is the same version in another one."""
    return Place(f"{text[0]}.0.0", f"v{text[0]}.0.0_{text[1:] or 'a'}")


def events(story: str) -> list[Event]:
    """Events from a story: ``+1`` deploy, ``-1`` rollback to 1, ``x`` instead where it failed,

    ``!1`` rejected after the switch, ``~1`` cleaned up.
    """
    kinds = {
        "+": ("deploy", "succeeded"),
        "-": ("rollback", "succeeded"),
        "x+": ("deploy", "failed"),
        "x-": ("rollback", "failed"),
        "!": ("reject", "succeeded"),
        "~": ("cleanup", "succeeded"),
    }
    told = []
    for seq, word in enumerate(story.split(), 1):
        sign = word.rstrip("0123456789ab")
        (action, status), where = kinds[sign], place(word.removeprefix(sign))
        told.append(
            Event(
                seq, f"20261120_{seq:06}", AT, action, status, "m", where.version,
                directory=where.directory,
            )
        )  # fmt: skip
    return told


def short(places: Sequence[Place | None]) -> str:
    """Places as in a story."""
    return " ".join(
        f"{one.version[0]}{one.directory[-1].replace('a', '')}" if one else "none" for one in places
    )


@pytest.mark.parametrize(
    ("story", "left"),
    [
        ("", False),
        ("+1 +2", False),
        ("+1 +2 -1", True),
        ("+1 +2 -1 +3", True),
        ("+1 +2 -1 +2", False),
        ("+1 +2 x-1", False),
        ("+1 +2 +3 -2", False),
        ("+1 +2 +3 -2 -1", True),
    ],
)
def test_what_a_rollback_left(story: str, left: bool) -> None:
    told: list[Event] = []
    live: Place | None = None
    for event in events(story):
        told.append(replace(event, previous=live))
        live = event.place if event.switched else live
    found = history.left_by_rollback(told, "2.0.0")
    assert (found is not None) == left
    assert found is None or found.action == "rollback"


@pytest.mark.parametrize(
    ("story", "live", "line", "target"),
    [
        ("", None, "", "none"),
        ("+1", "1", "1", "none"),
        ("+1 +2", "2", "1 2", "1"),
        ("+1 +2 +3", "3", "1 2 3", "2"),
        ("+1 +2 +3 -2", "2", "1 2", "1"),
        ("+1 +2 +3 -2 -1", "1", "1", "none"),
        ("+1 +2 +3 -1", "1", "1", "none"),
        ("+1 +2 +3 +4 -2", "2", "1 2", "1"),
        # forward again
        ("+1 +2 +3 -2 +4", "4", "1 2 4", "2"),
        ("+1 +2 +3 -2 +3", "3", "1 2 3", "2"),
        ("+1 +2 +3 -2 -3", "3", "1 2 3", "2"),
        ("+1 +2 +3 -1 +4", "4", "1 4", "1"),
        # what failed is no target
        ("+1 x+2 +3", "3", "1 3", "1"),
        ("+1 +2 x+3", "2", "1 2", "1"),
        ("+1 +2 +3 x-2", "3", "1 2 3", "2"),
        # nor what was rejected, until it is deployed again
        ("+1 +2 !2 -1", "1", "1", "none"),
        ("+1 +2 !2 -1 +3", "3", "1 3", "1"),
        ("+1 +2 !2 -1 +2b +3", "3", "1 2b 3", "2b"),
        ("+1 +2 +3 -2 !2 -3", "3", "1 3", "1"),
        ("+1 !1", None, "", "none"),
        # the same version again, in another directory
        ("+1 +2 +2b", "2b", "1 2 2b", "1"),
        ("+1 +2 +3 +2b", "2b", "1 2 3 2b", "3"),
        ("+1 +2 +3 -2b", "2b", "1 2b", "1"),
        ("+1 +2 +1", "1", "1 2 1", "2"),
        ("+1 +2 +1 -2", "2", "1 2", "1"),
        ("+1 +2 +1b +3 -1b", "1b", "1 2 1b", "2"),
        # the directory of the target is gone: it is the target still
        ("+1 +2 ~1", "2", "1 2", "1"),
        # the link was changed by hand
        ("+1 +2 +3", "1", "1 2 3", "none"),
        ("+1 +2 +3", "2", "1 2 3", "1"),
        ("+1 +2 +3", "9", "1 2 3", "3"),
        ("+1 +2 +3", None, "1 2 3", "3"),
    ],
)
def test_a_rollback_goes_to_the_last_good_version_before_the_live_one(
    story: str, live: str | None, line: str, target: str
) -> None:
    told = events(story)
    assert short(history.good(told)) == line
    assert short([history.rollback_target(told, place(live) if live else None)]) == target


@pytest.mark.parametrize(
    ("story", "deployed"),
    [
        ("", ""),
        ("+1 +2 +3", "1 2 3"),
        ("+1 +2 +3 -2", "1 3 2"),
        ("+1 +2 -1 +2", "1 2"),
        ("+1 +2 +2b", "1 2 2b"),
        ("+1 x+2 +3 !3 -1", "1"),
        ("+1 +2 !2 -1 +2", "1 2"),
        ("+1 +2 ~1", "1 2"),
    ],
)
def test_what_was_ever_good_stands_by_when_it_was_last_live(story: str, deployed: str) -> None:
    assert short(history.deployed(events(story))) == deployed


steps = st.tuples(
    st.sampled_from(["+", "-", "x+", "x-", "!", "~"]), st.sampled_from(["1", "2", "2b", "3"])
)
stories = st.lists(steps.map("".join), max_size=10).map(" ".join)
places = st.sampled_from(["1", "2", "2b", "3", "9"]).map(place)


@given(stories, st.none() | places)
def test_rollbacks_always_leave_the_live_version_and_come_to_an_end(
    story: str, live: Place | None
) -> None:
    told = events(story)
    for _ in range(len(told) + 1):
        target = history.rollback_target(told, live)
        if target is None:
            return
        assert live is None or target.version != live.version
        told += events(f"-{short([target])}")
        live = target
    pytest.fail("the rollbacks go on and on")


@given(stories)
def test_each_rollback_goes_further_back(story: str) -> None:
    told = events(story)
    line = history.good(told)
    while line:
        target = history.rollback_target(told, line[-1])
        if target is None:
            return
        told += events(f"-{short([target])}")
        shorter = history.good(told)
        assert shorter == line[: len(shorter)]
        assert len(shorter) < len(line)
        line = shorter


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "taken", "identity"),
    [
        pytest.param(NOON, [], "20261120_120000", id="free"),
        pytest.param(
            NOON.astimezone(timezone(timedelta(hours=9))), [], "20261120_120000", id="in UTC"
        ),
        pytest.param(
            NOON.replace(microsecond=999_999),
            ["20261120_120000"],
            "20261120_120001",
            id="two in one second",
        ),
        pytest.param(
            NOON,
            ["20261120_120000", "20261120_120001", "20261120_120003"],
            "20261120_120002",
            id="the next free second",
        ),
        pytest.param(NOON, ["20261120_130000"], "20261120_120000", id="a clock that went back"),
        pytest.param(
            NOON.replace(month=12, day=31, hour=23, minute=59, second=59),
            ["20261231_235959"],
            "20270101_000000",
            id="over the year's end",
        ),
    ],
)
def test_a_deployment_id_is_the_first_second_that_is_not_taken(
    now: datetime, taken: list[str], identity: str
) -> None:
    assert history.next_id(now, taken) == identity


@given(
    st.from_regex(r"[0-9]\.[0-9]{1,3}\.0(-rc\.[0-9])?(\+b-7)?", fullmatch=True),
    st.integers(0, 1 << 32),
)
def test_a_directory_name_and_its_version_and_id_are_inverses(text: str, seconds: int) -> None:
    identity = history.next_id(datetime.fromtimestamp(seconds, UTC), [])
    name = history.directory_name(text, identity)
    assert (pointer.version_of(name), history.id_of(name)) == (text, identity)


def test_the_order_is_that_of_seq_when_the_clock_goes_back(tmp_path: Path) -> None:
    path = tmp_path / history.FILE_NAME
    first, second = events("+2 +1")
    late = history.append(path, (), first)
    both = history.append(path, late, Event(**{**vars(second), "id": "20200101_000000"}))
    assert [(event.seq, event.version) for event in both] == [(1, "2.0.0"), (2, "1.0.0")]
    assert short(history.good(history.read(path))) == "2 1"


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


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history") / history.FILE_NAME


@given(past=st.lists(some_events, max_size=2), new=st.lists(some_events, max_size=3))
def test_what_is_appended_is_read_again_and_numbered_on(
    file: Path, past: list[Event], new: list[Event]
) -> None:
    file.unlink(missing_ok=True)
    first = history.append(file, (), *past)
    together = history.append(file, first, *new)
    assert history.read(file) == together
    assert together[: len(past)] == first
    assert [event.seq for event in together] == [1 + number for number in range(len(together))]


def test_what_the_file_held_is_not_written_anew(tmp_path: Path) -> None:
    """Nor what a later release, or a person, put into it."""
    file = tmp_path / history.FILE_NAME
    first = history.append(file, (), ONE)
    old = file.read_text().replace('"seq": 1,', '"seq": 1,\n    "added later": [1, 2],')
    file.write_text(old)
    both = history.append(file, first, ONE)
    assert file.read_text().startswith(old.removesuffix("\n]\n") + ",\n  {\n")
    assert history.read(file) == both
    file.write_text(json.dumps(json.loads(file.read_text())))  # in another form
    assert history.read(file) == both
    assert history.append(file, both, ONE) == history.read(file)
    assert '"added later"' in file.read_text()


def test_a_history_that_changes_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / history.FILE_NAME
    past: tuple[Event, ...] = ()
    for _ in range(50):
        past = history.append(file, past, ONE)
        assert history.read(file) == past
    long_ago = 1_600_000_000
    os.utime(file, (long_ago, long_ago))
    assert history.read(file) == past
    file.write_text(file.read_text().replace('"seq": 1,', '"seq": 7,'))
    os.utime(file, (long_ago, long_ago))
    assert history.read(file)[0].seq == 7


def test_no_file_is_an_empty_history(tmp_path: Path) -> None:
    assert history.read(tmp_path / history.FILE_NAME) == ()


def test_an_event_stands_in_the_file_as_it_is_documented(tmp_path: Path) -> None:
    path = tmp_path / history.FILE_NAME
    event = Event(
        0, "20261120_120000", AT, "deploy", "succeeded", "m", "2.0.0", "m@v2.0.0", "a1", "c1",
        "v2.0.0_20261120_120000", place("1"), "ada", "engine", "wärmer", 1.5,
    )  # fmt: skip
    history.append(path, (), event)
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
    "error": null
  }
]
"""
    )


def test_fields_of_a_later_release_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / history.FILE_NAME
    known = Event(1, "i", AT, "deploy", "succeeded", "m", previous=place("1"))
    value = known.to_json()
    value["mood"] = "calm"
    value["previous"]["mood"] = "calm"
    path.write_text(json.dumps([value]))
    assert history.read(path) == (known,)


ONE = Event(1, "i", AT, "deploy", "succeeded", "m")
EVENT = ONE.to_json()


@pytest.mark.parametrize(
    ("data", "where"),
    [
        pytest.param(b"", ", line 1", id="empty"),
        pytest.param(b'[\n  {\n    "seq": 1,\n', ", line 4", id="cut short"),
        pytest.param(b"[\n\xff]", ": it is not UTF-8", id="no UTF-8"),
        pytest.param(b"{}", ": it is {}, no array", id="no array"),
        pytest.param(b'""', ": it is '', no array", id="a text"),
        pytest.param(b"null", ": it is None, no array", id="null"),
        pytest.param(b"[1]", ": [0] is 1, no object", id="no objects"),
        pytest.param(b"[{}]", ": [0].action is missing", id="an object without fields"),
        pytest.param(
            json.dumps([{**EVENT, "previous": "1"}]).encode(),
            ": [0].previous is '1', no object",
            id="no place",
        ),
        pytest.param(
            json.dumps([{**EVENT, "seq": "1"}]).encode(),
            ": [0].seq is '1', no whole number",
            id="no number",
        ),
        *(
            pytest.param(
                json.dumps([{**EVENT, "directory": name}]).encode(),
                f": [0].directory is {name!r}, no name of a folder",
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
        history.read(path)
    assert caught.value.message == f"{path} is no readable history{where}"
    assert caught.value.hint == f"mend it, or begin a new one: mv {path} {path}.broken"
    assert path.read_bytes() == data


def test_the_tag_object_of_a_version_is_that_of_its_last_deployment_here() -> None:
    told = [
        Event(**{**vars(event), "tag_object": f"t{event.seq}"})
        for event in events("+1 +2 +1b x+1 ~1")
    ]
    assert history.tag_object_of(told, "1.0.0") == "t3"
    assert history.tag_object_of(told, "3.0.0") is None
