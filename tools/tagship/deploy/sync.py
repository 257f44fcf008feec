"""A pass of ``sync``: the tags are fetched, and each model is made what it should be.

What it can do alone is decided by ``workspace.step``; this module collects the facts. Most passes
find nothing to do: what acts, ``deploy.follow``, is imported by one that does.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from tagship.deploy.act import Options
from tagship.disk import access, atomic, lock
from tagship.errors import Locked, TagshipError, Unavailable
from tagship.host import agent, decisions, history, installed, journal, process
from tagship.host.agent import Agent, Refusal
from tagship.host.history import Place
from tagship.host.store import Store
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Wanted
from tagship.registry.seen import Seen
from tagship.text import clock
from tagship.workspace import condition, desired, rollout, step, turns, witness
from tagship.workspace.desired import Desired
from tagship.workspace.host import Host
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.rollout import Others, nobody_said
from tagship.workspace.state import Followed, Reason, Why, unfetched
from tagship.workspace.step import Act, Facts, Live, Retry, Step
from tagship.workspace.turns import Fleet

UNDER_WAY = "another command is under way, or was cut short: the next pass puts that in order"


@dataclass(frozen=True)
class Pass:
    """One pass over the models of a host.

    Attributes:
        source, host: the mirror, and where versions go.
        options: of the deploys.
        seen: how the tags of the upstream differ from those that were seen.
        unfetched: why the tags could not be fetched; None where they were.
        fleet: what is known of the other hosts.
    """

    source: Mirrored
    host: Host
    options: Options
    seen: Seen
    unfetched: TagshipError | None = None
    fleet: Fleet = turns.ALONE

    @property
    def root(self) -> Path:
        """The folder of the host."""
        return self.host.root


def sync(
    source: Mirrored, host: Host, models: Sequence[str], options: Options, *,
    dry_run: bool = False, others: Others = nobody_said, roster: Sequence[str] = (),
) -> tuple[Followed, ...]:  # fmt: skip
    """One pass.

    Args:
        source, host: the mirror, and where versions go.
        models: those to look after.
        options: of the deploys; ``retry``: nothing waits, and what is blocked is tried again.
        dry_run: only fetch, and say what would be done.
        others: what the other hosts say of themselves; only a rollout asks.
        roster: the names of all hosts, where a file of this host has them.

    Raises:
        Locked: another pass is under way on this host.
        Refused: tagship.toml says something that may not be.
    """
    with _alone(host.root, options):
        one = replace(_fetched(source, host, options), fleet=Fleet(others, tuple(roster)))
        before = None if dry_run or options.retry else witness.stamps(source, host)
        repaired = {model: () if dry_run else _repaired(one, model) for model in models}
        steps = {model: next_step(one, model) for model in models}
        if dry_run or all(each.act is Act.NOTHING for each in steps.values()):
            rows = tuple(
                _followed(one, model, each, repaired[model]) for model, each in steps.items()
            )
            witness.keep(host, before, rows)
            return rows
        from tagship.deploy import follow

        done = follow.act_on(one, steps, repaired)
        after = replace(one, options=replace(options, retry=False))  # it was tried
        return tuple(
            _followed(after, model, _left(next_step(after, model)), did)
            for model, did in done.items()
        )


def _left(now: Step) -> Step:
    """How a model is at the end of a pass: a gate that has no verdict by now waits for the next."""
    if now.act is not Act.WATCH:
        return now
    return replace(now, reasons=(*now.reasons[:-1], replace(now.reasons[-1], why=Why.WAITING)))


def _alone(root: Path, options: Options) -> contextlib.AbstractContextManager[None]:
    """One pass at a time on a host."""
    folder = agent.lock_in(root).parent
    make = partial(atomic.make_folder, folder)  # else the umask says who may write to it
    return lock.locked(agent.lock_in(root), process.owner("sync"), options.wait, options.tell, make)


def _fetched(source: Mirrored, host: Host, options: Options) -> Pass:
    """A pass with the newest tags; with those that were seen where the server does not answer."""
    try:
        seen = source.fetch(options.tell, signed=host.policy.require_signed)
    except (Unavailable, Locked) as error:
        return Pass(source, host, options, source.last_seen, error)
    return Pass(source, host, options, seen)


def _repaired(one: Pass, model: str) -> tuple[str, ...]:
    """What a killed run left of a model and was put in order, in words: nothing else may follow."""
    if not one.host.store(model).has_intent:
        return ()
    from tagship.deploy import follow

    return follow.recover(one, model)


# --- the facts, and the step that follows from them


def next_step(one: Pass, model: str) -> Step:
    """What is to be done with a model now, and how it is until then.

    One that cannot be read is told, and does not keep the others from what they need.
    """
    try:
        decided = step.next_step(_facts(one, model))
    except (TagshipError, OSError) as error:
        decided = Step(Act.NOTHING, (Reason(Why.UNKNOWN, access.explain(error)[0]),))
    if one.host.store(model).has_intent:
        # what failed may be live still
        known = [each for each in decided.reasons if each.why is not Why.FAILED]
        decided = replace(decided, reasons=(*known, Reason(Why.WAITING, UNDER_WAY)))
    unread = []
    if index := one.seen.unread_of(model):
        unread = [Reason(Why.UNKNOWN, index.what, index.fix)]
    if one.unfetched is not None:
        unread = [unfetched(one.unfetched)]
    return replace(decided, reasons=(*decided.reasons, *unread))


def _facts(one: Pass, model: str) -> Facts:
    store, known = one.host.store(model), one.source.versions(model)
    rule = one.host.rules.get(model, Wanted())
    past = journal.foreseen(store)
    decided = decisions.read(past, rule)
    wish = desired.desired(known, rule, decided, retry=one.options.retry)
    live, drifted = _live(one.host, store, known, past)
    now, window = clock.now(), one.source.file.window
    is_behind = wish.release is not None and not step.is_live(wish, live)
    good = [place.version for place in history.good(past)] if is_behind else []
    is_way_back = step.is_way_back(wish, live.release if live else None, good)
    return Facts(
        wish,
        now,
        live,
        step.chosen_by(known, rule, wish),
        one.seen.refused(model),
        None if window is None or window.is_open(now) else window.opens_at(now),
        retry_of(agent.read(one.root), model),
        is_way_back,
        desired.failure(known, decided),
        decisions.undeployed(past),
        drifted,
        one.options.retry,
        _turn(one, known, rule, wish, now) if is_behind and not is_way_back else None,
        _accepted(past, wish),
        _refusal(one, known, wish.release),
        one.source.upstream.again(),
        _absent(one, known, rule, follows=live is None and wish.release is None),
    )


def _absent(
    one: Pass, known: Catalog, rule: Wanted, *, follows: bool
) -> tuple[str, str] | None:  # fmt: skip
    """What was not brought here: a version that a stage names, or anything of the model.

    Or, where the host is to begin to follow it, any version that its rule selects.
    """
    is_told = one.seen.refused(known.model) or one.seen.unread_of(known.model) or one.unfetched
    if follows and not is_told and (nothing := one.source.unpublished(known)):
        return nothing
    absent = one.source.absent(known, rule)
    if absent is None and follows and known.tags and known.selected(rule) is None:
        return desired.nothing_selected(known.model, rule)
    return absent


def _turn(
    one: Pass, known: Catalog, rule: Wanted, wish: Desired, now: datetime
) -> rollout.Turn | None:
    """Whether it is this host's turn, and note it for the next pass; None without a rollout."""
    if wish.release is None:
        return None
    by, state = desired.tag_of(known, rule, wish.release), agent.read(one.root)
    before = state.staged_by(known.model, by.object_id)
    fleet = one.fleet if wish.hold is None else turns.ALONE  # during a hold nobody is asked
    found = turns.of(one.source, wish.release, by, fleet, before, now)
    if found is None:
        return None
    if found[1] != before:
        agent.write(one.root, state.stages(known.model, found[1]))
    return found[0]


def _accepted(past: journal.Past, wish: desired.Desired) -> set[str]:
    if wish.release is None:
        return set()
    version = str(wish.release.version)
    return history.accepted(past.about(version), version)


def _refusal(one: Pass, known: Catalog, release: Release | None) -> Refusal | None:
    """What the last passes did not accept, unless this host trusts others or other tags decide."""
    refusal = agent.read(one.root).refused.get(known.model)
    if refusal is None or refusal.policy != trust(one, known, release):
        return None
    return refusal


def trust(one: Pass, known: Catalog, release: Release | None) -> str:
    """A digest of what it depends on whether a version is accepted, beside its own tag."""
    rule = one.host.rules.get(known.model, Wanted())
    deciding = known.deciding(rule, release) if release is not None else []
    ids = [tag.object_id for tag in deciding]
    return hashlib.sha256(repr((one.host.policy.fingerprint, ids)).encode()).hexdigest()


def _live(
    host: Host, store: Store, known: Catalog, past: journal.Past
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
        broken, drifted = _condition(store, place)
    tag_object = history.tag_object_of(past.about(place.version), place.version)
    is_watched = known.model not in host.gated or history.ungated(past) != place
    release = known.get(place.version)
    return Live(place, tag_object, release, broken, is_watched), drifted


def _condition(store: Store, place: Place) -> tuple[str, tuple[Reason, ...]]:
    """Why what is live cannot answer; and in which ways it is not as it was deployed."""
    described = installed.read_metadata(store, place.directory)
    if described is None:
        return "its directory is gone", ()
    told = tuple(condition.live(store, place.directory, described))
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


def _followed(one: Pass, model: str, now: Step, did: tuple[str, ...] = ()) -> Followed:
    live = installed.told_live(one.host.store(model))
    return Followed(model, did, live.version if live else None, now.why, now.reasons, now.until)
