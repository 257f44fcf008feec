"""Who decided what a server answered: its line in the audit, and why that version was live."""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from tagship.disk import access
from tagship.errors import InvalidName, NotFound, TagshipError
from tagship.host import audit, history, installed, journal, link
from tagship.host.audit import Answer, Damaged, Wanted
from tagship.host.history import Event, Period
from tagship.host.journal import Past
from tagship.host.metadata import CommitInfo, TagInfo
from tagship.host.store import Store
from tagship.text import clock
from tagship.workspace.source import Source

Stores = Callable[[str], Store]  # the folder of a model; raises NotFound


@dataclass(frozen=True)
class Origin:
    """Why a version was live, as far as this host still knows it.

    Attributes:
        event: what made it live; None where the history has it no more.
        tag, commit: of the version; None where neither its directory nor its tag is here.
        directory: its name below versions/; None where it is gone.
        notes: what is not as one would expect.
    """

    event: Event | None = None
    tag: TagInfo | None = None
    commit: CommitInfo | None = None
    directory: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """An answer of a server, and where its version came from."""

    answer: Answer
    origin: Origin


@dataclass(frozen=True)
class Decisions:
    """What was found in an audit file.

    Attributes:
        damaged: the numbers of the lines that are no answers, or not whole; of those read.
        is_more: whether there are more answers than were asked for.
    """

    found: tuple[Decision, ...]
    damaged: tuple[int, ...]
    is_more: bool


def wanted(identity: str | None, at: str | None, model: str | None) -> Wanted:
    """Which answers are asked for.

    Args:
        identity: the id of the request.
        at: a day, a minute or a second, in ISO 8601.
        model: its name.

    Raises:
        InvalidName: ``at`` is not a date.
    """
    if at is None:
        return Wanted(identity, model)
    since, until = clock.span(at)
    return Wanted(identity, model, clock.fine(since), clock.fine(until))


def decisions(
    file: BinaryIO, asked: Wanted, limit: int, stores: Stores, source: Source | None
) -> Decisions:
    """The answers that are asked for, with the origin of their versions.

    Args:
        file: an audit file, opened for bytes. It is read a line at a time.
        asked: which answers.
        limit: the first so many.
        stores: where the histories and the versions are.
        source: where the tags are; None where there is no repository.

    Raises:
        NotFound: there is none.
        InvalidName: ``limit`` is not a number of answers.
    """
    if limit < 1:
        raise InvalidName(f"{limit} is not a number of answers", "give 1 or more")
    found: list[Answer] = []
    damaged: dict[int, None] = {}
    for part in audit.find(file, asked):
        if isinstance(part, Damaged):
            damaged[part.line] = None
        elif len(found) == limit:
            return Decisions(tuple(_with_origins(found, stores, source)), tuple(damaged), True)
        else:
            found.append(part)
    if not found:
        lines = ", ".join(map(str, damaged))
        raise NotFound(
            "the file has no such answer"
            + (f"; these lines are damaged: {lines}" if lines else ""),
            f"look in older files too: zcat FILE.2.gz | tagship audit -{_asking(asked)}",
        )
    return Decisions(tuple(_with_origins(found, stores, source)), tuple(damaged), False)


def _asking(asked: Wanted) -> str:
    """The option of a question by an id, which is the usual one."""
    return f" --id {shlex.quote(asked.id)}" if asked.id is not None else " ..."


def _with_origins(
    answers: list[Answer], stores: Stores, source: Source | None
) -> Iterator[Decision]:
    known: dict[str, Model] = {}
    for answer in answers:
        if answer.model not in known:
            known[answer.model] = Model(stores, source, answer.model)
        yield Decision(answer, known[answer.model].origin(answer))


class Model:
    """What this host knows of a model; read once for all of its answers."""

    def __init__(self, stores: Stores, source: Source | None, model: str) -> None:
        self._source, self._model = source, model
        self._notes: tuple[str, ...] = ()
        self._store: Store | None = None
        self._past: Past | None = None
        self._periods: tuple[Period, ...] = ()
        self._known: dict[tuple[int, str], Origin] = {}
        try:
            self._store = stores(model)
            self._past = journal.events(self._store)
            self._periods = history.periods(self._past)
        except (TagshipError, OSError) as error:
            self._notes = (access.explain(error)[0],)

    def origin(self, answer: Answer) -> Origin:
        """The origin of the version that gave an answer."""
        key = (answer.seq, answer.version)
        if key not in self._known:
            self._known[key] = self._look(answer)
        origin = self._known[key]
        return replace(origin, notes=(*origin.notes, *self._of_time(answer, origin.event)))

    def _look(self, answer: Answer) -> Origin:
        event, notes = self._event(answer), list(self._notes)
        if event is None and not notes:
            notes.append(f"event {answer.seq} of {answer.version} is not in the history here")
        directory = self._directory(answer.version, event)
        described = None
        if directory is not None and self._store is not None:
            described = installed.read_metadata(self._store, directory)
        if described is not None:
            return Origin(event, described.tag, described.commit, directory, tuple(notes))
        try:
            tag, commit = self._tagged(answer.version)
        except (TagshipError, OSError) as error:
            notes.append(access.explain(error)[0])
            return Origin(event, None, None, directory, tuple(notes))
        if event is not None and event.tag_object not in (None, tag.object):
            notes.append(f"{tag.name} was moved since: it was {event.tag_object}")
        return Origin(event, tag, commit, directory, tuple(notes))

    def _event(self, answer: Answer) -> Event | None:
        """The event of its number, where that is of its version: a history can begin anew."""
        text = b'"seq": %d,' % answer.seq
        events = (event for _, event in self._past.last(text)) if self._past else ()
        of_number = (event for event in events if event.seq == answer.seq)
        return next((event for event in of_number if event.version == answer.version), None)

    def _directory(self, version: str, event: Event | None) -> str | None:
        """The directory of the version that is on disk still; that of the event, where it is."""
        if self._store is None:
            return None
        there = [name for name in installed.by_seq(self._store) if link.version_of(name) == version]
        if event is not None and event.directory is not None:
            return event.directory if event.directory in there else None
        return there[-1] if there else None

    def _tagged(self, version: str) -> tuple[TagInfo, CommitInfo]:
        known = self._source.versions(self._model) if self._source is not None else None
        release = known.get(version) if known is not None else None
        if self._source is None or release is None:
            raise NotFound(f"{self._model} has no tag of {version} here")
        return self._source.origin(release)

    def _of_time(self, answer: Answer, event: Event | None) -> tuple[str, ...]:
        """Whether another version was live when it was given."""
        if event is None:
            return ()
        begun = [period for period in self._periods if clock.fine(period.since) <= answer.at]
        live = begun[-1].event if begun else None
        if live is None or live.seq == event.seq:
            return ()
        if live.version == answer.version:  # the server read the history before it was recorded
            return (f"event {live.seq} had made it live again: {live.action} by {live.actor}",)
        return (
            f"{live.version} was live then, by the history: the request asked for"
            f" {answer.version}, or the server had not switched yet",
        )
