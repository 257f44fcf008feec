"""Stages, and versions that are taken back: tags in the grammar of GTO, beside those of versions.

``plan`` checks and changes nothing, ``carry_out`` makes the tag and pushes it. Of two tags the
later one counts, by its date in whole seconds: so a new tag is dated after all that the model has.
Whoever pushes decides by the tags that the remote has: what is here alone, no other clone sees.
"""

import shlex
from dataclasses import dataclass, replace

from semver import Version

from tagship.carry import index
from tagship.errors import InvalidName, Refused
from tagship.progress import Tell, nobody
from tagship.registry import refs, tags
from tagship.registry.refs import Action, TagName
from tagship.registry.tags import Tag
from tagship.release import capsules, dates, orders
from tagship.release import remotes as release_remotes
from tagship.release.orders import Known, Move, Order, Target
from tagship.text import redact, words
from tagship.workspace.source import Source

ROOM = 8  # bytes in the name of a tag: for ``!``, and for a longer counter


@dataclass(frozen=True)
class StagePlan:
    """What an order would do.

    Attributes:
        version: that is assigned or withdrawn, or that held the stage; None where there is none.
        tag_name: the tag that does it; it exists where ``settled`` or ``waiting``.
        commit: what the tag points at.
        settled: it is so already: there is nothing to do.
        waiting: the tag is here, and only the push is left to do.
        moves: the rules that select another version then.
        latest: the highest available version then.
        push_to: Git's remote that would get the tag; None where it would not be pushed.
        at: the date of the tag, in seconds since 1970; None for that of Git.
        warnings: what the user should know.
        capsule: the command that gives the place of the objects the capsules that it lacks, where
            that is to be done.
        capsule_to: another place; empty for the DVC remote.
    """

    order: Order
    version: Version | None
    tag_name: TagName
    commit: str
    settled: bool
    waiting: bool
    moves: tuple[Move, ...]
    latest: Version | None
    push_to: str | None
    at: int | None = None
    warnings: tuple[str, ...] = ()
    capsule: str | None = None
    capsule_to: str = ""


@dataclass(frozen=True)
class StageChange:
    """What was done.

    Attributes:
        action: ``assign``, ``unassign``, ``withdraw`` or ``deprecate``.
        version: that was assigned or withdrawn, or that held the stage; None where there is none.
        stage: that was assigned or unassigned; None for a version or a model that was taken back.
        tag: the tag that says so.
        commit: what the tag points at.
        changed: False where there was nothing to do.
        moves: the rules that select another version now.
        latest: the highest available version now.
        pushed_to: Git's remote that has the tag; None where it was not pushed now.
        signed: the new tag is signed.
        dry_run: it was only planned.
        warnings: what the user should know.
        capsule_in: the place that has the capsules of all tags now; None where none was written.
    """

    model: str
    action: str
    version: Version | None
    stage: str | None
    tag: str
    commit: str
    changed: bool
    moves: tuple[Move, ...]
    latest: Version | None
    pushed_to: str | None
    signed: bool
    dry_run: bool
    warnings: tuple[str, ...]
    capsule_in: str | None = None


def plan(
    source: Source, order: Order, *, push: bool = False, capsule: bool = False,
    capsule_to: str = "", tell: Tell = nobody,
) -> StagePlan:  # fmt: skip
    """What an order would do. Touches no ref and no file.

    Args:
        source: the repository.
        order: what is asked for.
        push: push the tag.
        capsule: write the capsules that the place of the objects lacks, with the tag's.
        capsule_to: another place; empty for the DVC remote.
        tell: is told whom is waited for.

    Raises:
        InvalidName: the stage cannot have that name, or not with this model's.
        NotFound: there is no such model or version, or no version holds the stage.
        Refused: the version was withdrawn, or the model is deprecated; the tags here contradict
            those of the remote; or Git does not know who you are.
        Unavailable: with ``push``, the Git remote does not answer.
    """
    if order.stage is not None:
        refs.check_stage(order.stage)
    known = orders.read(source, order.model, push=push, tell=tell)
    if not capsule:
        return _of_tags(source, order, known, push=push)
    if not capsules.is_possible(source, push=push):
        plan = _of_tags(source, order, known, push=push)
        return replace(plan, warnings=(*plan.warnings, capsules.later(_words(plan))))
    # by a run that could not write the capsule of its tag
    taken = orders.taken(order, known)
    if taken is not None:
        plan = _settled(order, None, taken, known)
    else:
        plan = _of_tags(source, order, known, push=push)
    source.check_owner(order.model, f"{_words(plan)} --capsule")
    capsules.place_of(source, order.model, capsule_to)
    retry = f"tagship {_words(plan)}{' --push' if push else ''} --capsule"
    return replace(plan, capsule=retry, capsule_to=capsule_to)


def _of_tags(source: Source, order: Order, known: Known, *, push: bool) -> StagePlan:
    """What an order would do to the tags."""
    target = orders.target_of(source, order, known)
    settled = orders.settled_by(order, target, known)
    if settled is not None:
        return _settled(order, target.version, settled, known)
    return _planned(source, order, target, known, push=push)


def _settled(order: Order, version: Version | None, by: Tag, known: Known) -> StagePlan:
    """The plan of what is so already, by a tag."""
    latest = known.seen.latest
    return StagePlan(
        order, version, by.name, by.commit, settled=True, waiting=False, moves=(),
        latest=latest.version if latest else None, push_to=None, warnings=known.warnings,
    )  # fmt: skip


def carry_out(
    source: Source, plan: StagePlan, text: str | None = None, tell: Tell = nobody
) -> StageChange:
    """Make the tag of a plan, and push it.

    Args:
        source: the repository that the plan was made in.
        plan: the plan.
        text: why, for the tag.
        tell: is told whom is waited for.

    Raises:
        Refused: the tag exists by now, or it cannot be signed.
        Unavailable: the remote does not accept the tag; then no tag is left.
        NoAnswer: it was silent for too long; the tag stays, and the hint pushes it.
        Interrupted: the same, of a user who did not wait.
        Unavailable: the tag is pushed, and its capsule is not written: the hint does that.
    """
    again, signed = command(plan), False
    if not (plan.settled or plan.waiting):
        signed = tags.create(
            source.repository, plan.tag_name, plan.commit, message(plan, text), plan.at, again
        )
    if plan.push_to is not None:
        release_remotes.push(
            source.repository, plan.push_to, plan.tag_name, None, tell,
            take_back=not plan.waiting, go_on=_go_on(plan), retry=again,
        )  # fmt: skip
    if plan.capsule is None:
        return changed(plan, signed=signed)
    published = capsules.after_push(source, plan.tag_name, plan.capsule, plan.capsule_to, tell)
    done = changed(plan, signed=signed)
    notes = (*done.warnings, *published.notes)
    return replace(done, capsule_in=published.place, warnings=notes)


def changed(plan: StagePlan, *, signed: bool = False, dry_run: bool = False) -> StageChange:
    """What a plan did, or would do."""
    order, where = plan.order, plan.push_to
    return StageChange(
        order.model, order.verb, plan.version, order.stage, str(plan.tag_name), plan.commit,
        not plan.settled, plan.moves, plan.latest, redact.text(where) if where else None, signed,
        dry_run, plan.warnings,
    )  # fmt: skip


def check_same(shown: StageChange, plan: StagePlan) -> None:
    """Refuse to do something else than what somebody has confirmed.

    Raises:
        Refused: the tags have changed since.
    """
    if shown != changed(plan, dry_run=True):
        raise Refused(
            f"the tags of {plan.order.model} have changed meanwhile, so nothing was done",
            command(plan),
        )


def message(plan: StagePlan, text: str | None) -> str:
    """The tag's message: what it does, and the user's words."""
    order = plan.order
    said = {
        Action.ASSIGN: f"{order.model} {plan.version} is assigned to {order.stage}",
        Action.UNASSIGN: f"{order.stage} is taken from {order.model} {plan.version or ''}".rstrip(),
        Action.DEREGISTER: f"{order.model} {plan.version} is withdrawn",
        Action.DEPRECATE: f"{order.model} is deprecated",
    }
    paragraphs = (said[order.action], text.strip() if text else "")
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def command(plan: StagePlan) -> str:
    """The command that does the same."""
    return f"tagship {_words(plan)}{' --push' if plan.push_to is not None else ''}"


def _words(plan: StagePlan) -> str:
    """The command and its arguments, without options."""
    order = plan.order
    of_version = order.action in (Action.ASSIGN, Action.DEREGISTER)
    what = f"{order.model}@{plan.version}" if of_version else order.model
    return f"{order.verb} {what}" + (f" {order.stage}" if order.stage else "")


def _go_on(plan: StagePlan) -> str:
    """The command that pushes the tag, whether the remote has it by now or not.

    ``unassign`` would take the stage from the next version where it has.
    """
    if plan.order.action is not Action.UNASSIGN:
        return command(plan)
    return f"git push {shlex.quote(plan.push_to or '')} {shlex.quote(str(plan.tag_name))}"


def _planned(
    source: Source, order: Order, target: Target, known: Known, *, push: bool
) -> StagePlan:
    """The plan of what is not so yet."""
    waiting = orders.newest(known.unpushed, target)
    if waiting is not None and not orders.is_done(order, target, orders.after(known.seen, waiting)):
        waiting = None  # a tag that came later counts
    at, notes = (None, []) if waiting else dates.after(source, known.here.tags)
    tag = waiting or orders.draft(known, target)
    if waiting is None and order.action is Action.ASSIGN:
        _check_length(tag.name)
    after = orders.after(known.seen, tag)
    latest = after.latest
    return StagePlan(
        order, target.version, tag.name, target.commit, settled=False, waiting=waiting is not None,
        moves=orders.moves(known.seen, after), latest=latest.version if latest else None,
        push_to=known.where if push else None, at=at,
        warnings=(*known.warnings, *target.warnings, *notes),
    )  # fmt: skip


def _check_length(name: TagName) -> None:
    """Refuse an assignment that no carrier takes, or whose end none would.

    Raises:
        InvalidName: its tag has a name too long for that.
    """
    spare = index.LONGEST - ROOM - len(str(name).encode())
    if spare < 0:
        what = f"the tag {name!s:.60}... would have a longer name than hosts take"
        shorter = f"give the stage a name that is shorter by {words.count(-spare, 'character')}"
        raise InvalidName(what, shorter)
