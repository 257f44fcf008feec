"""Whether it is this host's turn to take a version: what the pure ``rollout`` needs, collected.

The rollout is in the commit of the version, when its tag was seen first is in agent.json.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from tagship.errors import Corrupt, Refused, TagshipError
from tagship.git.tree import MissingBlobs
from tagship.host import actions, agent, decisions, history
from tagship.host.agent import Agent, Staged
from tagship.host.decisions import Blocks
from tagship.host.journal import Past
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Wanted
from tagship.registry.tags import Tag
from tagship.text import clock
from tagship.workspace import desired, rollout, step
from tagship.workspace.desired import Desired
from tagship.workspace.host import Host
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.rollout import Kind, Others, Rollout, Turn, Wish
from tagship.workspace.source import Source

MOST_FAILED = 8  # tag objects that a status object names
DEEPEST = 20  # folders of which each may have a params.yaml that the mirror lacks


@dataclass(frozen=True)
class Fleet:
    """What a host knows of the others.

    Attributes:
        others: what they say of themselves.
        roster: their names; none where no file of this host has them.
    """

    others: Others = rollout.nobody_said
    roster: tuple[str, ...] = ()


ALONE = Fleet()


def of(
    source: Mirrored, release: Release, by: Tag, fleet: Fleet, before: Staged | None, now: datetime
) -> tuple[Turn, Staged] | None:
    """Whether it is this host's turn, and what the next pass should know of it.

    Args:
        source: the mirror.
        release: what would be deployed.
        by: the tag that makes it desired.
        fleet: what this host knows of the others.
        before: what the pass before knew; None where the tag was not seen yet.
        now: the time.

    Returns:
        None where the version has no rollout.
    """
    model, seen = release.tag.name.model, now if before is None else _moment(before, now)
    try:
        plan = _fetched(source, release, model)
    except TagshipError as error:
        kind = "is wrong" if isinstance(error, Refused | Corrupt) else "cannot be read"
        turn = Turn(Kind.WRONG, what=f"its rollout {kind}: {error.message}")
    else:
        if plan is None:
            return None
        wish = Wish(model, release.tag.object_id, by.object_id, by.at, seen)
        turn = rollout.turn(plan, wish, source.file.name, fleet.roster, now, fleet.others)
    return _noted(turn, release, by, seen, before, now)


def _fetched(source: Mirrored, release: Release, model: str) -> Rollout | None:
    """``Source.rollout``, with the files that the mirror lacks: no others, as most passes wait."""
    for _ in range(DEEPEST):
        try:
            return source.rollout(release.commit, model)
        except MissingBlobs as missing:
            source.bring({release: missing.ids})
    return source.rollout(release.commit, model)


def _moment(before: Staged, now: datetime) -> datetime:
    """When a tag was seen first; not in the future: then the clock was set back."""
    try:
        return min(clock.moment(before.first_seen), now)
    except TagshipError:  # the file was edited
        return now


def _noted(
    turn: Turn, release: Release, by: Tag, seen: datetime, before: Staged | None, now: datetime
) -> tuple[Turn, Staged]:
    """The turn with since when it waits for that, and what is kept of it."""
    staged = Staged(by.object_id, clock.stamp(seen))
    if turn.goes:
        return turn, staged
    is_same = before is not None and before.kind == turn.kind.value and before.since
    since = before.since if before is not None and is_same else clock.stamp(now)
    turn = replace(turn, since=since)
    waits = rollout.in_words(turn, release.tag.name.model, str(release.version))
    until = clock.stamp(turn.until) if turn.until is not None else ""
    return turn, replace(staged, kind=turn.kind.value, since=since, waits=waits, until=until)


def failed(known: Catalog, past: Past, most: int = MOST_FAILED) -> tuple[str, ...]:
    """The tag objects that were tried on this host and taken back: what brakes the other hosts.

    A version failed here, or was rolled back, and is still blocked for that. Its own id brakes the
    hosts that follow versions; the id of the assignment by which it was selected those that follow
    the stage, so that a later assignment of the same version is a new start.

    Args:
        known: the versions of the model.
        past: the history.
        most: at most so many, the newest first.

    Raises:
        Corrupt: an event cannot be read.
    """
    blocks = decisions.blocks(past)
    if blocks is None:
        return ()
    ids: dict[str, None] = {}
    for version in itertools.islice(_taken_back(past), most):
        release = known.get(version)
        if release is not None:
            ids |= dict.fromkeys(_blocked(known, blocks, release))
    return tuple(ids)[:most]


def _taken_back(past: Past) -> Iterator[str]:
    """The versions that failed or were rolled back from, the newest first; each once."""
    names: set[str] = set()
    for _, event in past.last(*decisions.BLOCKS):
        is_failure = event.rejects or event.status == history.FAILED
        left = event.previous if event.action == actions.ROLLBACK and event.switched else None
        version = event.version if is_failure else left.version if left is not None else None
        if version is not None and version not in names:
            names.add(version)
            yield version


def _blocked(known: Catalog, blocks: Blocks, release: Release) -> Iterator[str]:
    """The ids of the tag objects of a version that are blocked: its own, and of its stages."""
    tag = release.tag
    is_blocked = blocks.cover(tag.object_id, tag.at)
    if is_blocked:
        yield tag.object_id
    for assignment in known.assignments.values():
        counts = assignment.commit == release.commit and (
            is_blocked or tag.object_id not in blocks.since
        )
        if counts and blocks.cover(assignment.object_id, assignment.at):
            yield assignment.object_id


def by_hand(
    source: Source, host: Host, known: Catalog, rule: Wanted, release: Release, past: Past
) -> str:
    """What a version waits for here by its rollout, in words; empty where it waits for nothing.

    For a person, who does not ask the other hosts: as the last pass found it, or by the clock
    alone. In a work tree nothing is staged.

    Args:
        source, host: where versions come from, and where they go.
        known: the versions of the model.
        rule: what selects the version.
        release: that version.
        past: the history.

    Raises:
        Corrupt: the history cannot be read.
    """
    if not isinstance(source, Mirrored) or is_way_back(known, release, past):
        return ""
    now, by = clock.now(), desired.tag_of(known, rule, release)
    before = agent.read(host.root).staged_by(known.model, by.object_id)
    if before is not None:
        return before.waits if is_waiting(before, now) else ""
    found = of(source, release, by, ALONE, None, now)
    return found[1].waits if found is not None else ""


def noted(state: Agent, known: Catalog, rule: Wanted, wish: Desired, now: datetime) -> Turn | None:
    """Whether it is this host's turn, as far as the last pass has noted that; nobody is asked."""
    if wish.release is None:
        return None
    tag = desired.tag_of(known, rule, wish.release)
    staged = state.staged_by(known.model, tag.object_id)
    if staged is None or not is_waiting(staged, now):
        return None
    return Turn(Kind.NOTED, what=staged.waits)


def is_waiting(staged: Staged, now: datetime) -> bool:
    """Whether a version waits still, by what the last pass found."""
    try:
        return bool(staged.waits) and not (staged.until and clock.moment(staged.until) <= now)
    except TagshipError:  # the file was edited
        return True


def is_way_back(known: Catalog, release: Release, past: Past) -> bool:
    """Whether a version would only go back: see ``step.is_way_back``."""
    good = history.good(past)
    live = known.get(good[-1].version) if good else None
    wish = Desired(release)
    return step.is_way_back(wish, live, [place.version for place in good])
