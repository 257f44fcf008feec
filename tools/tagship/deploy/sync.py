"""A pass of ``sync``: the tags are fetched, and each model is made what it should be.

What it can do alone is decided by ``workspace.step``, from the facts that ``workspace.facts``
collects. Most passes find nothing to do: what acts, ``deploy.follow``, is imported by one that
does.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from tagship.deploy.act import Options
from tagship.disk import access, atomic, lock
from tagship.errors import Locked, TagshipError, Unavailable
from tagship.host import agent, installed, process
from tagship.registry.catalog import Catalog
from tagship.registry.refs import Wanted
from tagship.registry.seen import Seen
from tagship.workspace import desired, facts, rollout, step, turns, witness
from tagship.workspace.desired import Desired
from tagship.workspace.facts import Fetched
from tagship.workspace.host import Host
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.rollout import Others, nobody_said
from tagship.workspace.state import Followed, Reason, Why, unfetched
from tagship.workspace.step import Act, Step
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
            _followed(after, model, step.left(next_step(after, model)), did)
            for model, did in done.items()
        )


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


# --- the step that follows from the facts


def next_step(one: Pass, model: str) -> Step:
    """What is to be done with a model now, and how it is until then.

    One that cannot be read is told, and does not keep the others from what they need.
    """
    try:
        fetched = Fetched(one.seen, is_whole=one.unfetched is None)
        turn = partial(_turn, one)
        decided = step.next_step(
            facts.of(one.source, one.host, model, fetched, turn, retry=one.options.retry)
        )
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


def _followed(one: Pass, model: str, now: Step, did: tuple[str, ...] = ()) -> Followed:
    live = installed.told_live(one.host.store(model))
    return Followed(model, did, live.version if live else None, now.why, now.reasons, now.until)
