"""Which version is live on which host, and what to look at. Pure: from what was read, and the time.

Nothing that a host says of itself is believed where something else speaks against it: the clock of
the store, the roster, its signature, what the same host said before.
"""

import enum
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tagship.fleet.place import Contents, Name
from tagship.fleet.publish import INTERVAL
from tagship.fleet.reading import Reading
from tagship.fleet.signature import Signed
from tagship.fleet.status_object import SKIPPED, Hold, StatusObject
from tagship.text import clock, words
from tagship.workspace.state import Why

LATE, SILENT = 2 * INTERVAL, timedelta(days=1)
SKEW = timedelta(minutes=10)  # between two clocks that are right


class Mark(enum.Enum):
    """What to look at, besides the state of the model."""

    STATE = "state"  # what the host itself says is not in order
    LATE = "late"  # nothing was heard for two intervals
    SILENT = "silent"  # nor for a day
    MISSING = "missing"  # the roster has the host, and nothing was ever heard of it
    STRANGER = "not in roster"  # the roster does not have it
    TWIN = "duplicate"  # two hosts have one name
    REPLAYED = "replayed"  # an older object was put back
    CLOCK = "clock"  # its clock is wrong
    FORGED = "forged"  # not signed by the key of this host
    UNSIGNED = "unsigned"  # although signatures are asked for
    DAMAGED = "damaged"  # it cannot be read
    UNTESTED = "not tested"  # the smoke test was skipped: to be known, and in order
    SAID = "said"  # why what is live is not the newest, or nothing is: likewise


_FINE = (Mark.UNTESTED, Mark.SAID)
_OVERRIDES = (
    Mark.FORGED, Mark.TWIN, Mark.REPLAYED, Mark.DAMAGED, Mark.SILENT, Mark.MISSING,
)  # fmt: skip


@dataclass(frozen=True)
class Note:
    """One thing that should be known of a model on a host."""

    mark: Mark
    what: str


@dataclass(frozen=True)
class Row:
    """A model on a host; all models of a host that is missing are one row without a model.

    Attributes:
        live, desired: the versions that are and should be live; None for nothing, or unknown.
        why: how it is, as the host says; None where that is not known.
        notes: what should be known, the state first.
        at: when it was heard of last; None for never.
        since: since when its version is live.
        hold: what keeps it as it is.
        signed: what its signature says; None where there is no object.
        tagship: the version of tagship there.
    """

    model: str
    host: str
    live: str | None = None
    desired: str | None = None
    why: Why | None = None
    notes: tuple[Note, ...] = ()
    at: datetime | None = None
    since: str | None = None
    hold: Hold | None = None
    signed: Signed | None = None
    tagship: str = ""

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to look at."""
        return all(note.mark in _FINE for note in self.notes)

    @property
    def word(self) -> str:
        """How it is, in a word: what speaks against what the host says comes first."""
        marks = [note.mark for note in self.notes if note.mark not in (Mark.STATE, *_FINE)]
        first = [mark for mark in marks if mark in _OVERRIDES]
        if self.why is None or first or (marks and self.why is Why.IN_ORDER):
            return str((first or marks)[0].value)
        return self.why.value[0].replace("_", " ")

    @property
    def is_broken(self) -> bool:
        """Whether what is live there cannot answer, as far as that can be believed."""
        is_forged = any(note.mark is Mark.FORGED for note in self.notes)
        return self.why is Why.BROKEN and not is_forged


@dataclass(frozen=True)
class Overview:
    """All models on all hosts.

    Attributes:
        place: where it was read, in words.
        at: when.
        rows: by model and host.
        odd: names of files there that are no status object.
        is_cut: there is more than is read.
    """

    place: str
    at: datetime
    rows: tuple[Row, ...]
    odd: tuple[str, ...] = ()
    is_cut: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(sorted({row.model for row in self.rows if row.model}))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(sorted({row.host for row in self.rows}))

    @property
    def exit_code(self) -> int:
        """0: all is well; 3: there is something to look at; 5: what is live somewhere is broken."""
        if any(row.is_broken for row in self.rows):
            return Why.BROKEN.exit_code
        is_whole = bool(self.rows) and not self.odd and not self.is_cut
        is_well = is_whole and all(row.is_well for row in self.rows)
        return 0 if is_well else Why.BEHIND.exit_code

    def versions(self, model: str) -> list[tuple[str, int]]:
        """The versions of a model that are live, and on how many hosts, the most first."""
        counts: dict[str, int] = defaultdict(int)
        for row in self.rows:
            if row.model == model:
                counts[row.live or "-"] += 1
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


@dataclass(frozen=True)
class Heard:
    """What was heard of a host and a model last, by who looks again: to know what is put back."""

    id: str
    seq: int
    at: str


def of(
    title: str,
    readings: Collection[Reading],
    contents: Contents,
    now: datetime,
    *,
    roster: Collection[str] | None = None,
    signers: bool = False,
    heard: Mapping[Name, Heard] | None = None,
) -> Overview:
    """All models on all hosts, and what to look at.

    Args:
        title: of the place.
        readings: what hosts say.
        contents: what is in the place, besides.
        now: the time.
        roster: the names of all hosts; None where nobody says.
        signers: whether signatures are asked for.
        heard: what was heard last time.
    """
    names = {name.host for name in contents.names} | {each.name.host for each in readings}
    twins = _two_ids(readings, now)
    rows = []
    for each in readings:
        found = [*_of_host(each, twins, roster), *_of_reading(each, now, heard or {}, signers)]
        rows.append(_row(each, now, found))
    for host in sorted(set(roster or ()) - names):
        note = Note(Mark.MISSING, "it is in the roster, and nothing was ever heard of it")
        rows.append(Row("", host, notes=(note,)))
    return Overview(title, now, tuple(rows), contents.odd, contents.is_cut)


def _row(each: Reading, now: datetime, notes: Iterable[Note]) -> Row:
    status = each.status
    if status is None:
        return Row(each.name.model, each.name.host, notes=tuple(notes), at=each.stored)
    return Row(
        status.model,
        status.host,
        status.live.version if status.live else None,
        status.desired.version if status.desired else None,
        status.state,
        (*_state(status, now), *notes, *_untested(status)),
        heard_at(each, now),
        status.live.since if status.live else None,
        status.hold,
        each.signed,
        status.tagship,
    )


def heard_at(each: Reading, now: datetime) -> datetime:
    """When a host was heard of last: by the store's clock where the two do not agree."""
    if each.status is None:
        return each.stored
    written = each.status.written
    return each.stored if abs(written - each.stored) > SKEW else min(written, now)


def _state(status: StatusObject, now: datetime) -> Iterator[Note]:
    hold = status.hold
    if hold is not None:
        until = f" until {words.moment(hold.until)} UTC" if hold.until else ""
        what = f"held by {hold.by}{until}" + (f": {hold.reason}" if hold.reason else "")
        if hold.until and clock.moment(hold.until) < now:
            what = f"{what}; that is over, and it was not resumed"
        yield Note(Mark.STATE, what)
    if status.state.exit_code and (hold is None or status.state is not Why.HELD):
        yield Note(Mark.STATE, status.reason or status.why.replace("_", " "))
    usual = f"{status.live.version} is live" if status.live else ""
    if status.state is Why.IN_ORDER and hold is None and status.reason not in ("", usual):
        yield Note(Mark.SAID, status.reason)


def _untested(status: StatusObject) -> Iterator[Note]:
    if status.smoke_test == SKIPPED:
        yield Note(Mark.UNTESTED, "its smoke test was skipped")


def _of_host(
    each: Reading, twins: Collection[str], roster: Collection[str] | None
) -> Iterator[Note]:
    host, status = each.name.host, each.status
    if host in twins or (status is not None and status.twin is not None):
        yield Note(Mark.TWIN, "two hosts have this name: give one of them another name")
    if roster is not None and host not in roster:
        yield Note(Mark.STRANGER, "the roster does not have this host")


def _of_reading(
    each: Reading, now: datetime, heard: Mapping[Name, Heard], signers: bool
) -> Iterator[Note]:
    if each.status is None:
        yield Note(Mark.DAMAGED, each.problem)
        return
    if each.signed is Signed.FORGED:
        yield Note(Mark.FORGED, "it is not signed by the key of this host: do not believe it")
    if signers and each.signed is Signed.UNSIGNED:
        yield Note(Mark.UNSIGNED, "it is not signed")
    if (before := heard.get(each.name)) and is_older(each.status, before):
        last = words.moment(before.at)
        yield Note(Mark.REPLAYED, f"an older status was put back: one of {last} UTC was seen here")
    yield from _clock(each, each.status, now)
    age = now - heard_at(each, now)
    if age > LATE:
        mark = Mark.SILENT if age > SILENT else Mark.LATE
        yield Note(mark, f"nothing was heard of it for {span(age)}")


def is_older(status: StatusObject, before: Heard) -> bool:
    """Whether an object was written before one that was seen: by its number, or by its date."""
    if status.id == before.id:
        return status.seq < before.seq
    return status.at < before.at


def _clock(each: Reading, status: StatusObject, now: datetime) -> Iterator[Note]:
    ahead = status.written - each.stored
    if abs(ahead) <= SKEW:
        ahead = max(status.written - now, timedelta(0))
    if ahead > SKEW:
        yield Note(Mark.CLOCK, f"its clock is ahead by {span(ahead)}")
    elif ahead < -SKEW:
        what = f"its clock is behind by {span(-ahead)}, or an older status was put back"
        yield Note(Mark.CLOCK, what)


def _two_ids(readings: Iterable[Reading], now: datetime) -> set[str]:
    """The hosts whose models have objects of two ids, both of them recent."""
    ids: dict[str, set[str]] = defaultdict(set)
    for each in readings:
        if each.status is not None and now - heard_at(each, now) <= LATE:
            ids[each.name.host].add(each.status.id)
    return {host for host, known in ids.items() if len(known) > 1}


def remembered(readings: Iterable[Reading], heard: Mapping[Name, Heard]) -> dict[Name, Heard]:
    """What to know the next time: the newest of each; what is forged or older is not taken."""
    after = dict(heard)
    for each in readings:
        status, before = each.status, heard.get(each.name)
        if status is None or each.signed is Signed.FORGED:
            continue
        if before is None or not is_older(status, before):
            after[each.name] = Heard(status.id, status.seq, status.at)
    return after


def span(age: timedelta) -> str:
    """A time for people: ``3 hours``."""
    seconds = age.total_seconds()
    for unit, noun in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            return words.count(int(seconds // unit), noun)
    return "less than a minute"
