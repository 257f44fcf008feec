"""What happened on a host, and what was live when."""

import heapq
import itertools
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tagship.errors import InvalidName, Refused
from tagship.host import history, journal
from tagship.host.history import Event
from tagship.host.journal import Past
from tagship.text import clock
from tagship.workspace.host import Host
from tagship.workspace.source import Source


@dataclass(frozen=True)
class LiveThen:
    """What was live at a moment; ``period`` is None if nothing was."""

    model: str
    moment: datetime
    period: history.Period | None


def known_models(declared: Iterable[str], host: Host) -> list[str]:
    """The models that HEAD declares, and those that have a history on a host."""
    return sorted(host.models_with(history.FILE_NAME).union(declared))


def past_of(source: Source, host: Host, model: str) -> Past:
    """The history of a model on a host.

    Raises:
        NotFound: there is no such model, and nothing ever happened to it here.
        Corrupt: the history cannot be read.
    """
    store = host.store(model)
    if not (store.folder / history.FILE_NAME).exists():
        source.declared(model)
    return journal.events(store)


def events(
    pasts: Iterable[Past],
    limit: int | None = None,
    since: datetime | None = None,
    actions: Iterable[str] = (),
) -> list[Event]:
    """The events of some models on this host, by time; those of one model always by ``seq``.

    Args:
        pasts: their histories.
        limit: the last so many; None for all.
        since: only events that began then or later.
        actions: only events of these actions; of all where none is named.

    Raises:
        Corrupt: an event has no date.
        InvalidName: ``limit`` is not a number of events.
    """
    if limit is not None and (type(limit) is not int or limit < 1):
        raise InvalidName(f"{limit!r} is not a number of events", "give 1 or more")
    backwards = [reversed(past) for past in reversed(list(pasts))]
    newest = heapq.merge(*backwards, key=lambda event: event.at, reverse=True)
    most = min(limit or sys.maxsize, sys.maxsize)  # more than an iterator can count
    return list(itertools.islice(history.choose(newest, since, actions), most))[::-1]


def live_at(past: Past, model: str, moment: datetime) -> LiveThen:
    """What was live on this host at a moment, and why.

    Raises:
        Corrupt: an event has no date.
        Refused: that moment is in the future.
    """
    if moment > clock.now():
        what = f"{clock.stamp(moment)} is in the future"
        raise Refused(what, f"what is live now: tagship current {model}")
    return LiveThen(model, moment, history.live_at(past, moment))
