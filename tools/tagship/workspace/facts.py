"""The facts that a step depends on, from the mirror, the history and agent.json. Nobody is asked.

``sync`` acts by what follows from them, and ``status`` tells by them what a pass would find: so the
two say the same of a host.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tagship.disk import files
from tagship.disk.files import Problem
from tagship.host import agent, decisions, history, installed, journal
from tagship.host.agent import Agent, Refusal
from tagship.host.history import Place
from tagship.host.journal import Past
from tagship.host.store import Store
from tagship.registry.catalog import Catalog, Release
from tagship.registry.project_files import HOST_FILE
from tagship.registry.refs import Wanted
from tagship.registry.seen import Seen
from tagship.text import clock
from tagship.workspace import condition, desired, moved, step
from tagship.workspace.desired import Desired
from tagship.workspace.host import Host
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.rollout import Turn
from tagship.workspace.state import Reason, Why
from tagship.workspace.step import Facts, Live, Retry

AskTurn = Callable[[Catalog, Wanted, Desired, datetime], Turn | None]


@dataclass(frozen=True)
class Fetched:
    """What is known of the tags.

    Attributes:
        seen: how those of the upstream differ from those that were seen.
        is_whole: the last fetch succeeded: what is not here is not there.
    """

    seen: Seen
    is_whole: bool


def of(
    source: Mirrored, host: Host, model: str, fetched: Fetched, turn: AskTurn, *,
    retry: bool = False,
) -> Facts:  # fmt: skip
    """The facts of a model.

    Args:
        source, host: the mirror, and where versions go.
        model: one that is followed.
        fetched: what is known of the tags.
        turn: whether it is this host's turn to take what is desired.
        retry: nothing waits, and what is blocked is tried again.

    Raises:
        TagshipError, OSError: the mirror or the history cannot be read.
    """
    store, known = host.store(model), source.versions(model)
    rule = host.rules.get(model, Wanted())
    past, state = journal.foreseen(store), agent.read(source.project)
    decided = decisions.read(past, rule)
    wish = desired.desired(known, rule, decided, retry=retry)
    live, drifted = _live(source, host, store, known, past)
    now, window = clock.now(), source.file.window
    is_behind = wish.release is not None and not step.is_live(wish, live)
    good = [place.version for place in history.good(past)] if is_behind else []
    is_way_back = step.is_way_back(wish, live.release if live else None, good)
    return Facts(
        wish,
        now,
        live,
        step.chosen_by(known, rule, wish),
        fetched.seen.refused(model),
        None if window is None or window.is_open(now) else window.opens_at(now),
        retry_of(state, model),
        is_way_back,
        desired.failure(known, decided),
        decisions.undeployed(past),
        drifted,
        retry,
        turn(known, rule, wish, now) if is_behind and not is_way_back else None,
        _accepted(past, wish),
        _refusal(state, host, known, wish.release),
        source.upstream.again(),
        tuple(_of_upstream(source, known, rule, wish, live, fetched)),
        rule,
        known.latest,
    )


def _of_upstream(
    source: Mirrored, known: Catalog, rule: Wanted, wish: Desired, live: Live | None,
    fetched: Fetched,
) -> Iterator[Reason]:  # fmt: skip
    """What should be known of where the tags come from."""
    model, seen, title = known.model, fetched.seen, source.upstream.title
    if seen.emptied([model]):
        yield Reason(Why.UNKNOWN, *source.emptied(model))
    elif others := seen.unknown(model):
        what = f"of the tags of {model} that were seen, {title} has none: is it another repository?"
        accept = moved.accepting(others[0])
        fix = f"correct its address in {HOST_FILE}; or, if that is right: {accept}"
        yield Reason(Why.REFUSED, f"{what} Nothing new of it goes live", fix)
    elif live is not None and live.release and live.release.tag.name in seen.vanished:
        what = f"{live.place.version} is live, and its tag is not in {title} any more"
        yield Reason(Why.IN_ORDER, f"{what}; what was seen counts all the same")
    if distrusted := source.distrusted(known):
        fix = f"take it back where the model is released: tagship release {model}"
        yield Reason(Why.REFUSED, distrusted, fix)
    if absent := _absent(source, known, rule, wish, live, fetched):
        yield absent


def _absent(
    source: Mirrored, known: Catalog, rule: Wanted, wish: Desired, live: Live | None,
    fetched: Fetched,
) -> Reason | None:  # fmt: skip
    """What was not brought here: a version that a stage names, or anything of the model.

    Or any version that its rule selects.
    """
    model, follows = known.model, live is None and wish.release is None
    is_told = fetched.seen.refused(model) or fetched.seen.unread_of(model) or not fetched.is_whole
    if follows and not is_told and (nothing := source.unpublished(known)):
        return Reason(Why.WAITING, *nothing)
    if absent := source.absent(known, rule):
        return Reason(Why.WAITING, *absent)
    if wish.release is not None or not known.tags or known.selected(rule) is not None:
        return None
    if live is not None and (live.release is None or not live.release.active):
        return None  # that is told, and more
    version = live.place.version if live is not None else None
    return Reason(Why.WAITING, *desired.nothing_selected(model, rule, version))


def _accepted(past: Past, wish: Desired) -> set[str]:
    if wish.release is None:
        return set()
    version = str(wish.release.version)
    return history.accepted(past.about(version), version)


def _refusal(state: Agent, host: Host, known: Catalog, release: Release | None) -> Refusal | None:
    """What the last passes did not accept, unless this host trusts others or other tags decide."""
    refusal = state.refused.get(known.model)
    if refusal is None or refusal.policy != trust(host, known, release):
        return None
    return refusal


def trust(host: Host, known: Catalog, release: Release | None) -> str:
    """A digest of what it depends on whether a version is accepted, beside its own tag."""
    rule = host.rules.get(known.model, Wanted())
    deciding = known.deciding(rule, release) if release is not None else []
    ids = [tag.object_id for tag in deciding]
    return hashlib.sha256(repr((host.policy.fingerprint, ids)).encode()).hexdigest()


def _live(
    source: Mirrored, host: Host, store: Store, known: Catalog, past: Past
) -> tuple[Live | None, tuple[Reason, ...]]:
    """What is live, or should be by the history; and how it differs from what was deployed."""
    place = installed.told_live(store)
    broken, drifted = "", tuple[Reason, ...]()
    if place is None:
        place = history.last_good(past)
        broken = "its link is gone"
    if place is None:
        return None, ()
    if not broken:
        broken, drifted = _condition(source, host, store, known, place)
    tag_object = history.tag_object_of(past.about(place.version), place.version)
    is_watched = known.model not in host.gated or history.ungated(past) != place
    release = known.get(place.version)
    return Live(place, tag_object, release, broken, is_watched, known.deprecated), drifted


def _condition(
    source: Mirrored, host: Host, store: Store, known: Catalog, place: Place
) -> tuple[str, tuple[Reason, ...]]:  # fmt: skip
    """Why what is live cannot answer; and in which ways it is not as it was deployed."""
    described = installed.read_metadata(store, place.directory)
    if described is None:
        return "its directory is gone", ()
    told = tuple(condition.live(store, place.directory, described))
    if host.policy.asks:
        folder, file = store.path(place.directory), f"{place.directory}/{files.METADATA}"
        for what in condition.against_policy(host.policy, source, described, known):
            fix = condition.fix(folder, Problem(files.METADATA, what), "")
            told += (Reason(Why.REFUSED, f"{file} {what}", fix),)
    missing = [each.what for each in told if each.why is Why.BROKEN]
    return (missing[0], ()) if missing else ("", told)


def retry_of(state: Agent, model: str) -> Retry | None:
    """What could not be done with a model, and when it is tried again."""
    waiting = state.waiting.get(model)
    if waiting is None:
        return None
    return Retry(
        waiting.tag_object, clock.moment(waiting.at), waiting.reason, waiting.tries
    )  # fmt: skip
