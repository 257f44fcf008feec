"""deployment_history.json: the events of a model on this host, oldest first.

The link ``current`` says what is live; the history explains why. The functions here decide, from
the events alone, what a rollback goes back to.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self, cast

from tagship.errors import Corrupt, InvalidName
from tagship.host.actions import ACCEPT, GATE, REJECT, ROLLBACK, SWITCHES, UNDEPLOY
from tagship.host.link import version_of
from tagship.registry.refs import VersionText
from tagship.text import clock, json_reader, redact
from tagship.text.json_reader import Is

FILE_NAME = "deployment_history.json"
ID_FORM = "%Y%m%d_%H%M%S"
SUCCEEDED, FAILED = "succeeded", "failed"
LATEST = "latest"  # the rule that is followed where none was named
RECENT = 64  # events at the end that are read first


def _is_name(text: str) -> bool:
    surrogates = not text.isascii() and text != text.encode(errors="ignore").decode()
    return not (text in ("", ".", "..") or "/" in text or "\0" in text or surrogates)


DirectoryText = Annotated[str, Is(_is_name, "a folder name")]


@dataclass(frozen=True)
class Place:
    """A version and its directory below ``versions/``."""

    version: VersionText
    directory: DirectoryText


@dataclass(frozen=True)
class Event:
    """One event; times are ISO 8601 in UTC, ``duration_s`` is in seconds.

    ``directory`` is a name below ``versions/``. ``error`` says why a failed event failed.
    ``rule`` is what selected the version of a deploy, such as ``#prod``; None for an exact version.
    ``passed_over`` are the ids of all tag objects that are blocked from this event on (None: it
    blocks nothing new). ``until`` is the end of a hold that the event begins. ``gated``: a deploy
    or a rollback after which a gate has to pass; the verdict is an event of its own. ``image`` is
    what a push made: ``HOST/NAME:TAG@sha256:HEX``.
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
    rule: str | None = None
    passed_over: tuple[str, ...] | None = None
    until: str | None = None
    gated: bool | None = None
    image: str | None = None

    @property
    def place(self) -> Place | None:
        """The event's version and directory, if it has both."""
        if self.version is None or self.directory is None:
            return None
        return Place(self.version, self.directory)

    @property
    def switched(self) -> bool:
        """Whether this event made its version live."""
        return self.action in SWITCHES and self.status == SUCCEEDED

    @property
    def undeployed(self) -> bool:
        """Whether nothing was live after this event."""
        return self.action == UNDEPLOY and self.status == SUCCEEDED

    @property
    def passed_gate(self) -> bool:
        """Whether its version passed its gate."""
        return self.action == GATE and self.status == SUCCEEDED

    @property
    def rejects(self) -> bool:
        """Whether its version, which was live, failed its check or its gate."""
        return self.action == REJECT or (self.action == GATE and self.status == FAILED)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Parse one object; unknown fields, perhaps of a later release, are ignored.

        Raises:
            ValueError: a field is missing, or has the wrong type.
        """
        return json_reader.read(cls, value)

    def to_json(self) -> dict[str, Any]:
        """The object as in the file."""
        return cast("dict[str, Any]", redact.json(asdict(self)))


def next_id(now: datetime, is_taken: Callable[[str], bool]) -> str:
    """A new deployment id, ``YYYYMMDD_HHMMSS`` in UTC.

    If the id exists (two in one second, a clock that went back), the next free second is used; the
    order is always by ``seq``.
    """
    moment = now.astimezone(UTC)
    while is_taken(moment.strftime(ID_FORM)):
        moment += timedelta(seconds=1)
    return moment.strftime(ID_FORM)


def directory_name(version: str, identity: str) -> str:
    """The name of a version's directory: ``v1.2.0_20261123_053122``."""
    return f"v{version}_{identity}"


def is_directory(name: str) -> bool:
    """Whether a name is that of a version directory."""
    return bool(version_of(name))


def id_of(directory: str) -> str:
    """The deployment id in the name of a version directory."""
    return directory[-15:]


def deployed(events: Iterable[Event]) -> tuple[Place, ...]:
    """Every place that was live and not rejected, in the order in which they last went live."""
    places: dict[Place, None] = {}
    for event in events:
        if event.place is not None and (event.switched or event.rejects):
            places.pop(event.place, None)
            if event.switched:
                places[event.place] = None
    return tuple(places)


def unproven(events: Iterable[Event]) -> frozenset[Place]:
    """The places that went live behind a gate which they did not pass: no verdict yet, or failed.

    A place that went live without a gate, or passed it once, is proven until it fails.
    """
    proofs = _proofs(events, whole=True)
    return frozenset(place for place, is_proven in proofs.items() if not is_proven)


def ungated(events: Sequence[Event]) -> Place | None:
    """The live version, if its gate has no verdict yet since it went live. None if it needs none.

    Only the last events are read: from the end to the switch that made it live.
    """
    verdicts = set()
    for event in reversed(events):
        if event.undeployed or event.action == REJECT:
            return None
        if event.action == GATE:
            verdicts.add(event.place)
        if event.switched:
            return event.place if event.gated and event.place not in verdicts else None
    return None


def _proofs(events: Iterable[Event], *, whole: bool) -> dict[Place, bool]:
    """Whether each place is proven; of the last events alone, those of which they are certain."""
    proofs: dict[Place, bool] = {}
    for event in events:
        if event.place is None:
            continue
        if event.rejects or event.passed_gate:
            proofs[event.place] = event.passed_gate
        elif event.switched and not event.gated:
            proofs[event.place] = True
        elif event.switched and (whole or id_of(event.place.directory) == event.id):
            proofs.setdefault(event.place, False)  # else it may have been live before
    return proofs


def good(events: Iterable[Event]) -> tuple[Place, ...]:
    """The good versions up to the live one: oldest first, the live one last.

    A deploy adds to this line. A rollback cuts it back to its target, and removes each version that
    it goes back from, also where that was live before. A rejection removes its version. So a second
    rollback goes further back, and never returns by itself to a version that was rolled back or has
    failed. What went live behind a gate is in it once it passed, or while it is live.
    """
    past = list(events)
    return tuple(_proven(past, _line(past, whole=True), _live(past), whole=True))


def _live(events: Sequence[Event]) -> Place | None:
    """What the events say is live; None if nothing is, or they do not say it."""
    for event in reversed(events):
        if event.undeployed or event.action == REJECT:
            return None
        if event.switched:
            return event.place
    return None


def _proven(
    events: Sequence[Event], line: list[Place], live: Place | None, *, whole: bool
) -> list[Place]:
    """The line without what did not pass its gate; the live version stays.

    From the last events alone it ends, going back, where they are not certain of a place.
    """
    proofs = _proofs(events, whole=whole)
    if not whole:
        unknown = [i for i, place in enumerate(line) if place not in proofs and place != live]
        line = line[unknown[-1] + 1 :] if unknown else line
    return [place for place in line if place == live or proofs.get(place, False)]


def _line(events: Iterable[Event], *, whole: bool) -> list[Place]:
    """The line of versions; from the last events alone, the certain end of it."""
    line: list[Place] = []
    for event in events:
        place = event.place
        if place is not None and event.action == REJECT:
            line = [other for other in line if other != place]
        if not event.switched or place is None:
            continue
        if event.action == ROLLBACK:
            at = _last(line, place.version)
            # not in the line: it was rolled back, or was deployed before these events
            left = [event.previous] if event.previous else []
            left += [] if at is None else line[at:]
            line = line[:at] if at is not None else line if whole else []
            versions = {other.version for other in left} - {place.version}
            line = [other for other in line if other.version not in versions]
        line.append(place)
    return line


def _last(line: Sequence[Place], version: str) -> int | None:
    indices = [index for index, place in enumerate(line) if place.version == version]
    return indices[-1] if indices else None


def _ends(events: Sequence[Event], live: Place | None) -> Iterator[tuple[list[Place], bool]]:
    """The end of the line from the last events, then from more; and whether it is the whole."""
    count = RECENT
    while count < len(events):
        end = list(events[-count:])
        yield _proven(end, _line(end, whole=False), live or _live(end), whole=False), False
        count *= 8
    past = list(events)
    yield _proven(past, _line(past, whole=True), live or _live(past), whole=True), True


def last_good(events: Sequence[Event]) -> Place | None:
    """The last good version: it should be live. None if there is none, or it was undeployed."""
    for event in reversed(events):
        if event.undeployed:
            return None
        if event.switched:
            break
    return next((line[-1] for line, _ in _ends(events, None) if line), None)


@dataclass(frozen=True)
class Period:
    """A time in which a version was live, and the event that made it live.

    Attributes:
        since: when it went live: the start of the event plus its duration.
        until: when it was replaced; None while it is live.
    """

    place: Place
    event: Event
    since: datetime
    until: datetime | None = None


def periods(events: Iterable[Event]) -> tuple[Period, ...]:
    """Which version was live when, in the order of the events.

    A rejected version was live until its rejection, and an undeploy ends the last period. If the
    clock went back, a period can end before it begins; the order is still that of ``seq``.
    """
    result: list[Period] = []
    for event in events:
        rejected = event.action == REJECT and result and result[-1].place == event.place
        ends = event.switched or event.undeployed or rejected
        if ends and result and result[-1].until is None:
            result[-1] = replace(result[-1], until=moment_of(event))
        if event.switched and event.place is not None:
            result.append(Period(event.place, event, moment_of(event)))
    return tuple(result)


def live_at(events: Iterable[Event], moment: datetime) -> Period | None:
    """What was live at a moment; None if nothing was."""
    begun = [period for period in periods(events) if period.since <= moment]
    if not begun or (begun[-1].until is not None and begun[-1].until <= moment):
        return None
    return begun[-1]


def choose(
    events: Iterable[Event], since: datetime | None = None, actions: Iterable[str] = ()
) -> Iterator[Event]:
    """The events that began at ``since`` or later, of these actions (default: all).

    Raises:
        Corrupt: an event has no valid date.
    """
    chosen = set(actions)
    return (
        event
        for event in events
        if (not chosen or event.action in chosen) and (since is None or _began(event) >= since)
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
        raise Corrupt(what, f"fix its duration_s in {FILE_NAME}") from None


def end_of(event: Event) -> datetime:
    """When the hold that an event begins should end.

    Raises:
        Corrupt: ``until`` is not a date.
    """
    try:
        return clock.moment(event.until or event.at)
    except InvalidName:
        what = f"event {event.seq} has {event.until!r} for a date"
        raise Corrupt(what, f"fix its until in {FILE_NAME}") from None


def _began(event: Event) -> datetime:
    try:
        return clock.moment(event.at)
    except InvalidName:
        what = f"event {event.seq} has {event.at!r} for a date"
        raise Corrupt(what, f"fix its at in {FILE_NAME}") from None


def rollback_target(events: Sequence[Event], live: Place | None) -> Place | None:
    """The last good version before the live one; None if there is none.

    Args:
        events: the history.
        live: what ``current`` points to, which can have been changed by hand.
    """
    for line, whole in _ends(events, live):
        before = _before(line, live, whole=whole)
        if before:
            return before[-1]
    return None


def _before(line: list[Place], live: Place | None, *, whole: bool) -> list[Place]:
    """The part of a line, or of its end, before the live version."""
    if live is None:
        return line
    at = _last(line, live.version)
    if at is None and not whole:  # it may come earlier
        return []
    return [place for place in line[:at] if place.version != live.version]


def left_by_rollback(events: Iterable[Event], version: str) -> Event | None:
    """The rollback away from ``version``; None if there is none, or it was deployed again."""
    rollback = None
    for event in events:
        if not event.switched:
            continue
        if event.version == version:
            rollback = None
        elif event.action == ROLLBACK and event.previous and event.previous.version == version:
            rollback = event
    return rollback


def tag_object_of(events: Iterable[Event], version: str) -> str | None:
    """The id of the tag object of a version when it was last deployed here."""
    ids = [e.tag_object for e in events if e.version == version and e.switched and e.tag_object]
    return ids[-1] if ids else None


def accepted(events: Iterable[Event], version: str) -> set[str]:
    """The ids of the tag objects that people accepted for a version whose tag was moved."""
    ids = (e.tag_object for e in events if e.version == version and e.action == ACCEPT)
    return {identity for identity in ids if identity}


def moved_from(events: Sequence[Event], version: str, tag_object: str) -> str | None:
    """The id of the tag object that a version was last deployed from, where its tag was moved.

    Args:
        events: at least all that are about the version.
        version: of the tag.
        tag_object: the id of what the tag names now; where a person accepted it, it was not moved.
    """
    before = tag_object_of(events, version)
    is_same = before in (None, tag_object) or tag_object in accepted(events, version)
    return None if is_same else before
