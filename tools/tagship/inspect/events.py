"""What happened on a host, and what was live when."""

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from tagship.errors import InvalidName, Refused
from tagship.host import history, journal
from tagship.host.history import Event
from tagship.host.journal import Past
from tagship.registry import refs
from tagship.text import clock
from tagship.workspace.workspace import Workspace


@dataclass(frozen=True)
class LiveThen:
    """What was live at a moment; no period: nothing was."""

    model: str
    moment: datetime
    period: history.Period | None


def known_models(space: Workspace) -> list[str]:
    """The models that HEAD declares, and those that once were and have a history here."""
    past = {
        unquote(path.parent.name)
        for path in space.root.glob(f"*/{history.FILE_NAME}")
        if refs.is_model(unquote(path.parent.name))
    }
    return sorted(past.union(space.artifacts()))


def events(
    space: Workspace,
    models: Iterable[str],
    limit: int | None = None,
    since: datetime | None = None,
    actions: Iterable[str] = (),
) -> list[Event]:
    """What happened to some models here, by time; of each model always by ``seq``.

    Args:
        space: the workspace.
        models: their names.
        limit: the last so many; None for all.
        since: only events that began then or later.
        actions: only events of these actions; of all where none is named.

    Raises:
        NotFound: there is no such model, and nothing ever happened to it here.
        Corrupt: a history cannot be read, or an event has no date.
        InvalidName: ``limit`` is no number of events.
    """
    if limit is not None and limit < 1:
        raise InvalidName(f"{limit} is no number of events", "give 1 or more")
    past = [_past(space, model) for model in models]
    newest = heapq.merge(*map(reversed, reversed(past)), key=lambda event: event.at, reverse=True)
    found = list(itertools.islice(history.choose(newest, since, actions), limit))
    return found[::-1]


def _past(space: Workspace, model: str) -> Past:
    store = space.store(model)
    if not (store.folder / history.FILE_NAME).exists():
        space.declared(model)
    return journal.events(store)


def live_at(space: Workspace, model: str, moment: datetime) -> LiveThen:
    """What was live on this host at a moment, and why.

    Raises:
        NotFound, Corrupt: as for ``events``.
        Refused: that moment has not come yet.
    """
    if moment > clock.now():
        what = f"{clock.stamp(moment)} has not come yet"
        raise Refused(what, f"what is live now: tagship current {model}")
    return LiveThen(model, moment, history.live_at(_past(space, model), moment))
