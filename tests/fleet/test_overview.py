"""What to look at in a fleet: nothing that a host says is believed where something else differs."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tagship.fleet import overview
from tagship.fleet.overview import Heard, Mark, Overview
from tagship.fleet.place import Contents, Name
from tagship.fleet.reading import Reading
from tagship.fleet.signature import Signed
from tagship.fleet.status_object import Hold, StatusObject
from tagship.text import clock
from tests.fleet import objects
from tests.fleet.objects import NOON

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def read(each: StatusObject, stored: timedelta | None = None, **changes: Any) -> Reading:
    """An object as it was read; stored ``stored`` before noon, or when it says."""
    at = each.written if stored is None else NOON - stored
    return replace(Reading(Name(each.model, each.host), at, each), **changes)


def view(
    *readings: Reading,
    roster: Collection[str] | None = None,
    heard: Mapping[Name, Heard] | None = None,
    signers: bool = False,
    contents: Contents | None = None,
) -> Overview:
    """The overview at noon."""
    known = contents or Contents()
    return overview.of("there", readings, known, NOON, roster=roster, heard=heard, signers=signers)


def at(age: timedelta, **changes: Any) -> StatusObject:
    """An object that was written so long before noon."""
    return objects.status(at=clock.stamp(NOON - age), **changes)


def marks(shown: Overview) -> list[tuple[str, str]]:
    """The notes of the only row."""
    (row,) = shown.rows
    return [(note.mark.value, note.what) for note in row.notes]


def test_a_fleet_in_order_exits_with_0() -> None:
    shown = view(read(objects.status()), read(objects.status(host="edge-2", smoke_test="skipped")))
    assert (shown.exit_code, shown.models, shown.hosts) == (0, ("churn",), ("edge-1", "edge-2"))
    assert [row.word for row in shown.rows] == ["in order", "in order"]
    assert shown.rows[1].notes[0].what == "its smoke test was skipped"
    assert shown.versions("churn") == [("1.2.0", 2)]


@pytest.mark.parametrize(
    ("age", "mark"),
    [
        (timedelta(minutes=119), None),
        (2.1 * HOUR, ("late", "nothing was heard of it for 2 hours")),
        (DAY, ("late", "nothing was heard of it for 1 day")),
        (3 * DAY, ("silent", "nothing was heard of it for 3 days")),
    ],
)
def test_a_host_is_late_after_two_hours_and_silent_after_a_day(
    age: timedelta, mark: tuple[str, str] | None
) -> None:
    shown = view(read(at(age)))
    assert marks(shown) == ([mark] if mark else [])
    assert shown.rows[0].word == (mark[0] if mark else "in order")
    assert shown.exit_code == (3 if mark else 0)


@pytest.mark.parametrize(
    ("why", "reason", "code"),
    [
        ("behind", "1.3.0 is released", 3),
        ("waiting", "1.3.0 waits", 3),
        ("blocked", "1.3.0 is passed over", 3),
        ("refused", "the tag was moved", 3),
        ("drifted", "model.bin has another size", 3),
        ("unknown", "nothing could be fetched", 3),
        ("failed", "1.3.0 failed its gate", 3),
        ("broken", "its directory is gone", 5),
    ],
)
def test_what_a_host_says_of_itself_is_shown(why: str, reason: str, code: int) -> None:
    shown = view(read(objects.status(why=why, reason=reason)))
    assert marks(shown) == [("state", reason)]
    assert (shown.rows[0].word, shown.exit_code) == (why, code)


def test_a_hold_is_shown_with_by_whom_and_until_when() -> None:
    hold = Hold("ada", "2026-12-01T00:00:00Z", "audit")
    held = objects.status(why="held", hold=hold, reason="held by ada")
    assert marks(view(read(held))) == [
        ("state", "held by ada until 2026-12-01 00:00:00 UTC: audit")
    ]
    over = replace(held, hold=Hold("ada", "2026-11-29T00:00:00Z"))
    assert marks(view(read(over))) == [
        ("state", "held by ada until 2026-11-29 00:00:00 UTC; that is over, and it was not resumed")
    ]


def test_hosts_are_compared_with_the_roster() -> None:
    shown = view(
        read(objects.status()), read(objects.status(host="edge-9")), roster={"edge-1", "edge-2"}
    )
    assert {row.host: [note.mark for note in row.notes] for row in shown.rows} == {
        "edge-1": [],
        "edge-9": [Mark.STRANGER],
        "edge-2": [Mark.MISSING],
    }
    assert [row.word for row in shown.rows] == ["in order", "not in roster", "missing"]
    assert shown.exit_code == 3
    # of one model alone: the host has another one
    other = Contents(names=frozenset({Name("fraud", "edge-2")}))
    shown = view(read(objects.status()), roster={"edge-1", "edge-2"}, contents=other)
    assert shown.exit_code == 0


def test_two_hosts_of_one_name_are_told() -> None:
    told = [("duplicate", "two hosts have this name: give one of them another name")]
    assert marks(view(read(objects.status(twin="f" * 16)))) == told
    shown = view(read(objects.status()), read(objects.status("fraud", id="f" * 16)))
    assert [row.word for row in shown.rows] == ["duplicate", "duplicate"]
    # a host that was set up again left an old object of a model that it does not follow any more
    old = at(3 * DAY, model="fraud", id="f" * 16)
    assert [row.word for row in view(read(objects.status()), read(old)).rows] == [
        "in order",
        "silent",
    ]


@pytest.mark.parametrize(
    ("written", "stored", "what"),
    [
        (-DAY, timedelta(0), "its clock is ahead by 1 day"),
        (-DAY, -DAY, "its clock is ahead by 1 day"),  # the folder is its own
        (DAY, timedelta(0), "its clock is behind by 1 day, or an older status was put back"),
    ],
)
def test_a_clock_that_is_wrong_by_a_day_is_told_and_hides_nothing(
    written: timedelta, stored: timedelta, what: str
) -> None:
    shown = view(read(at(written), stored))
    assert marks(shown) == [("clock", what)]
    assert (shown.rows[0].word, shown.exit_code) == ("clock", 3)
    if stored == timedelta(0):  # it is silent by the clock of the store
        later = overview.of("there", [read(at(written), stored)], Contents(), NOON + 2 * DAY)
        assert ("silent", "nothing was heard of it for 2 days") in marks(later)


def test_an_older_status_that_was_put_back_is_known_by_who_saw_a_newer_one() -> None:
    new, old = objects.status(), objects.status(seq=3, why="broken")
    heard = overview.remembered([read(new)], {})
    assert heard == {Name("churn", "edge-1"): Heard(objects.ID, 5, "2026-11-30T11:59:00Z")}
    shown = view(read(old), heard=heard)
    assert ("replayed", "an older status was put back: one of 2026-11-30 11:59:00 UTC was seen here"
            ) in marks(shown)  # fmt: skip
    assert shown.rows[0].word == "replayed"
    assert overview.remembered([read(old)], heard) == heard
    again = objects.status(id="f" * 16, seq=1, at="2026-11-30T11:59:30Z")  # set up again
    assert marks(view(read(again), heard=heard)) == []
    assert overview.remembered([read(again)], heard)[Name("churn", "edge-1")].id == "f" * 16


def test_what_is_forged_is_not_believed() -> None:
    shown = view(read(objects.status(why="broken", reason="x"), signed=Signed.FORGED))
    assert (shown.rows[0].word, shown.exit_code) == ("forged", 3)
    assert overview.remembered([read(objects.status(seq=9), signed=Signed.FORGED)], {}) == {}


def test_what_is_not_signed_is_told_where_signatures_are_asked_for() -> None:
    assert marks(view(read(objects.status()), signers=True)) == [("unsigned", "it is not signed")]
    assert marks(view(read(objects.status(), signed=Signed.SIGNED), signers=True)) == []


def test_what_cannot_be_read_is_told_and_keeps_nothing_else_from_being_read() -> None:
    name = Name("churn", "edge-2")
    shown = view(read(objects.status()), Reading(name, NOON, None, problem="damaged: it is torn"))
    assert [row.word for row in shown.rows] == ["in order", "damaged"]
    assert shown.rows[1].notes[0].what == "damaged: it is torn"
    assert shown.exit_code == 3


@pytest.mark.parametrize("contents", [Contents(odd=("x",)), Contents(is_cut=True)])
def test_what_is_odd_in_the_place_is_to_be_looked_at(contents: Contents) -> None:
    assert view(read(objects.status()), contents=contents).exit_code == 3


def test_a_place_without_any_host_is_to_be_looked_at() -> None:
    assert view().exit_code == 3


@pytest.mark.parametrize(
    ("live", "reason"),
    [(True, "1.3.0 is passed over: rolled back to 1.2.0 by ada"), (False, "no version is there")],
)
def test_a_host_in_order_says_why_it_is_not_on_the_newest(live: bool, reason: str) -> None:
    status = objects.status(reason=reason)
    shown = view(read(status if live else replace(status, live=None)))
    assert marks(shown) == [("said", reason)]
    assert (shown.rows[0].word, shown.exit_code) == ("in order", 0)
    assert marks(view(read(objects.status(reason="1.2.0 is live")))) == []
