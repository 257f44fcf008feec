"""deployment_history.json: what happened to a model here, oldest first, one object an event.

The link ``current`` is the truth of what is live; the history explains it. What may be rolled back
to is decided here, from values alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self, cast

from tagship.errors import Corrupt, InvalidName
from tagship.registry.refs import VersionText
from tagship.text import clock, json_reader, redact
from tagship.text.json_reader import Is

FILE_NAME = "deployment_history.json"
ID_FORM = "%Y%m%d_%H%M%S"
DEPLOY, ROLLBACK = "deploy", "rollback"
SWITCHES = (DEPLOY, ROLLBACK)
REJECT = "reject"  # a version that failed its check once it was live
ACTIONS = (*SWITCHES, REJECT, "recover", "cleanup", "pin", "unpin")
SUCCEEDED, FAILED = "succeeded", "failed"
RECENT = 64  # events that are looked at first, from the end


def _is_name(text: str) -> bool:
    halves = not text.isascii() and text != text.encode(errors="ignore").decode()  # of characters
    return not (text in ("", ".", "..") or "/" in text or "\0" in text or halves)


DirectoryText = Annotated[str, Is(_is_name, "a folder name")]


@dataclass(frozen=True)
class Place:
    """A version and the directory below ``versions/`` that holds it."""

    version: VersionText
    directory: DirectoryText


@dataclass(frozen=True)
class Event:
    """One event; times are ISO 8601 in UTC, ``duration_s`` is in seconds.

    ``directory`` is a name below ``versions/``. ``error`` says why a failed event failed.
    """

    seq: int
    id: str
    at: str
    action: str
    status: str
    model: str
    version: VersionText | None = None
    tag: str | None = None
    tag_object: str | None = None
    commit: str | None = None
    directory: DirectoryText | None = None
    previous: Place | None = None
    actor: str = ""
    host: str = ""
    reason: str | None = None
    duration_s: float = 0.0
    error: str | None = None

    @property
    def place(self) -> Place | None:
        """Where the event's version lies, if it has one."""
        if self.version is None or self.directory is None:
            return None
        return Place(self.version, self.directory)

    @property
    def switched(self) -> bool:
        """Whether this event made its version live, for good."""
        return self.action in SWITCHES and self.status == SUCCEEDED

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read one object; fields that a later release may have added are passed over.

        Raises:
            ValueError: a field is missing, or of another type.
        """
        return json_reader.read(cls, value)

    def to_json(self) -> dict[str, Any]:
        """The object as the file holds it."""
        return cast("dict[str, Any]", redact.json(asdict(self)))


def next_id(now: datetime, is_taken: Callable[[str], bool]) -> str:
    """A deployment id, ``YYYYMMDD_HHMMSS`` in UTC, that is not taken.

    Two in one second, or a clock that went back, get the next free second; ``seq`` is the order.
    """
    moment = now.astimezone(UTC)
    while is_taken(moment.strftime(ID_FORM)):
        moment += timedelta(seconds=1)
    return moment.strftime(ID_FORM)


def directory_name(version: str, identity: str) -> str:
    """The name below versions/ of a version: ``v1.2.0_20261123_053122``."""
    return f"v{version}_{identity}"


def is_directory(name: str) -> bool:
    """Whether a name below versions/ is one of ours."""
    return re.fullmatch(r"v[0-9]+\.[0-9]+\.[0-9]+\S*_[0-9]{8}_[0-9]{6}", name) is not None


def id_of(directory: str) -> str:
    """The deployment id in a directory's name."""
    return directory[-15:]


def deployed(events: Iterable[Event]) -> tuple[Place, ...]:
    """Every place that was ever live and was not rejected, by when it was last made live."""
    places: dict[Place, None] = {}
    for event in events:
        if event.place is not None and (event.switched or event.action == REJECT):
            places.pop(event.place, None)
            if event.switched:
                places[event.place] = None
    return tuple(places)


def good(events: Iterable[Event]) -> tuple[Place, ...]:
    """The line of good versions that leads to the live one: oldest first, the live one last.

    A deploy adds to the line, a rollback cuts it back to its target, a rejection takes its version
    out. So rolling back again goes further back, and what was left behind, or failed, is never come
    back to unasked.
    """
    return tuple(_line(events, whole=True))


def _line(events: Iterable[Event], *, whole: bool) -> list[Place]:
    """The line that events tell; of the last events alone, the end of it that is sure."""
    line: list[Place] = []
    for event in events:
        place = event.place
        if place is not None and event.action == REJECT:
            line = [other for other in line if other != place]
        if not event.switched or place is None:
            continue
        if event.action == ROLLBACK:
            at = _last(line, place.version)
            # not to be found: it was left behind, or comes before these events
            line = line[:at] if at is not None else line if whole else []
        line.append(place)
    return line


def _last(line: Sequence[Place], version: str) -> int | None:
    found = [index for index, place in enumerate(line) if place.version == version]
    return found[-1] if found else None


def _ends(events: Sequence[Event]) -> Iterator[tuple[list[Place], bool]]:
    """What the last events tell of the end of the line, then more of them; whether it is all."""
    count = RECENT
    while count < len(events):
        yield _line(events[-count:], whole=False), False
        count *= 8
    yield _line(events, whole=True), True


def last_good(events: Sequence[Event]) -> Place | None:
    """The last of the line of good versions: what should be live."""
    return next((line[-1] for line, _ in _ends(events) if line), None)


@dataclass(frozen=True)
class Period:
    """What was live for a while, and the event that made it live.

    Attributes:
        since: when it went live: the event's beginning and its duration.
        until: when another version, or none, took its place; None while it is live.
    """

    place: Place
    event: Event
    since: datetime
    until: datetime | None = None


def periods(events: Iterable[Event]) -> tuple[Period, ...]:
    """What was live when, in the order of the events.

    A version that was rejected was live until its rejection. A clock that went back gives a period
    that ends before it begins; the order is that of ``seq`` all the same.
    """
    found: list[Period] = []
    for event in events:
        ends = event.switched or (
            event.action == REJECT and found and found[-1].place == event.place
        )
        if ends and found and found[-1].until is None:
            found[-1] = replace(found[-1], until=moment_of(event))
        if event.switched and event.place is not None:
            found.append(Period(event.place, event, moment_of(event)))
    return tuple(found)


def live_at(events: Iterable[Event], moment: datetime) -> Period | None:
    """What was live at a moment: the last to go live by then, unless it had ended by then too."""
    begun = [period for period in periods(events) if period.since <= moment]
    if not begun or (begun[-1].until is not None and begun[-1].until <= moment):
        return None
    return begun[-1]


def choose(
    events: Iterable[Event], since: datetime | None = None, actions: Iterable[str] = ()
) -> Iterator[Event]:
    """The events that began at ``since`` or later, of these actions (of all where none is named).

    Raises:
        Corrupt: an event has no date.
    """
    wanted = set(actions)
    return (
        event
        for event in events
        if (not wanted or event.action in wanted) and (since is None or _began(event) >= since)
    )


def moment_of(event: Event) -> datetime:
    """When an event took effect: ``at`` is when it began.

    Raises:
        Corrupt: ``at`` is not a date, or ``duration_s`` no number of seconds.
    """
    try:
        return _began(event) + timedelta(seconds=event.duration_s)
    except (TypeError, ValueError, OverflowError):
        what = f"event {event.seq} has {event.duration_s!r} for a duration in seconds"
        raise Corrupt(what, "fix its duration_s") from None


def _began(event: Event) -> datetime:
    try:
        return clock.moment(event.at)
    except InvalidName:
        raise Corrupt(f"event {event.seq} has {event.at!r} for a date", "fix its at") from None


def rollback_target(events: Sequence[Event], live: Place | None) -> Place | None:
    """The last good version before the live one; None where there is none.

    Args:
        events: the history.
        live: what ``current`` points at, which somebody may have changed by hand.
    """
    for line, whole in _ends(events):
        before = _before(line, live, whole=whole)
        if before:
            return before[-1]
    return None


def _before(line: list[Place], live: Place | None, *, whole: bool) -> list[Place]:
    """What of a line, or of its end, comes before the live version."""
    if live is None:
        return line
    at = _last(line, live.version)
    if at is None and not whole:  # it may come earlier
        return []
    return [place for place in line[:at] if place.version != live.version]


def left_by_rollback(events: Iterable[Event], version: str) -> Event | None:
    """The rollback that left ``version``; None where it was deployed again since, or never left."""
    found = None
    for event in events:
        if not event.switched:
            continue
        if event.version == version:
            found = None
        elif event.action == ROLLBACK and event.previous and event.previous.version == version:
            found = event
    return found


def tag_object_of(events: Iterable[Event], version: str) -> str | None:
    """The tag object that a version had when it was last deployed here."""
    ids = [e.tag_object for e in events if e.version == version and e.switched and e.tag_object]
    return ids[-1] if ids else None
