"""Stages, and versions that are taken back: tags in the grammar of GTO, beside those of versions.

``plan`` checks and changes nothing, ``carry_out`` makes the tag and pushes it. Of two tags the
later one counts, by its date in whole seconds: so a new tag is dated after all that the model has.
Whoever pushes decides by the tags that the remote has: what is here alone, no other clone sees.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import MAXYEAR, timedelta

from semver import Version

from tagship.errors import NotFound, Refused
from tagship.git import worktree
from tagship.progress import Tell, nobody
from tagship.registry import catalog, refs, tags
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Action, Ref, TagName, Wanted
from tagship.registry.tags import Tag
from tagship.release import numbers
from tagship.release import remotes as release_remotes
from tagship.text import clock, redact, yaml
from tagship.workspace.source import Source

GTO_FILE = ".gto"  # at the top of a repository: GTO's settings, with the stages that there may be
FUTURE = 60  # seconds that the clocks of two machines may differ without a word
VERBS = {
    Action.ASSIGN: "assign",
    Action.UNASSIGN: "unassign",
    Action.DEREGISTER: "withdraw",
    Action.DEPRECATE: "deprecate",
}


@dataclass(frozen=True)
class Order:
    """What somebody asks for.

    Attributes:
        action: assign, unassign, deregister or deprecate.
        wanted: the version to assign or to withdraw.
        stage: the stage to assign or unassign.
    """

    model: str
    action: Action
    wanted: Wanted | None = None
    stage: str | None = None

    @property
    def verb(self) -> str:
        """The command's name."""
        return VERBS[self.action]


@dataclass(frozen=True)
class Move:
    """What a rule, ``latest`` or ``#prod``, selects before and after; None for nothing."""

    rule: str
    before: str | None
    after: str | None


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


@dataclass(frozen=True)
class _Known:
    """The tags of a model.

    Attributes:
        here: those of this clone.
        seen: those that count: of this clone, or of the remote that is pushed to.
        names: every tag's name, here and there.
        pushed: the names of those on the remote; None where it was not asked.
        where: Git's remote; None without one.
        warnings: what the user should know.
    """

    here: Catalog
    seen: Catalog
    names: frozenset[TagName]
    pushed: frozenset[TagName] | None
    where: str | None
    warnings: tuple[str, ...]

    @property
    def unpushed(self) -> list[Tag]:
        """What is here alone, as far as the remote was asked; the newest last."""
        pushed = self.pushed
        return [] if pushed is None else [t for t in self.here.tags if t.name not in pushed]


@dataclass(frozen=True)
class _Target:
    """The tag that an order asks for: its name without a counter, and what it points at."""

    name: TagName
    commit: str
    version: Version | None
    warnings: tuple[str, ...] = ()


def plan(source: Source, order: Order, *, push: bool = False, tell: Tell = nobody) -> StagePlan:
    """What an order would do. Touches no ref and no file.

    Raises:
        InvalidName: the stage cannot have that name.
        NotFound: there is no such model or version, or no version holds the stage.
        Refused: the version was withdrawn, or the model is deprecated; the tags here contradict
            those of the remote; or Git does not know who you are.
        Unavailable: with ``push``, the Git remote does not answer.
    """
    if order.stage is not None:
        refs.check_stage(order.stage)
    known = _known(source, order.model, push=push, tell=tell)
    target = _target(source, order, known)
    settled = _settled(order, target, known)
    if settled is not None:
        version, latest = target.version, known.seen.latest
        return StagePlan(
            order, version, settled.name, settled.commit, settled=True, waiting=False, moves=(),
            latest=latest.version if latest else None, push_to=None, warnings=known.warnings,
        )  # fmt: skip
    return _planned(source, order, target, known, push=push)


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
        NoAnswer: it was silent for too long; the tag stays, and the same command pushes it.
        Interrupted: the same, of a user who did not wait.
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
    return changed(plan, signed=signed)


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
    words = {
        Action.ASSIGN: f"{order.model} {plan.version} is assigned to {order.stage}",
        Action.UNASSIGN: f"{order.stage} is taken from {order.model} {plan.version or ''}".rstrip(),
        Action.DEREGISTER: f"{order.model} {plan.version} is withdrawn",
        Action.DEPRECATE: f"{order.model} is deprecated",
    }
    paragraphs = (words[order.action], text.strip() if text else "")
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def command(plan: StagePlan) -> str:
    """The command that does the same."""
    order = plan.order
    of_version = order.action in (Action.ASSIGN, Action.DEREGISTER)
    what = f"{order.model}@{plan.version}" if of_version else order.model
    stage = f" {order.stage}" if order.stage else ""
    push = " --push" if plan.push_to is not None else ""
    return f"tagship {order.verb} {what}{stage}{push}"


def _go_on(plan: StagePlan) -> str:
    """The command that pushes the tag, whether the remote has it by now or not.

    ``unassign`` would take the stage from the next version where it has.
    """
    if plan.order.action is not Action.UNASSIGN:
        return command(plan)
    return f"git push {shlex.quote(plan.push_to or '')} {shlex.quote(str(plan.tag_name))}"


# ---- the tags here, and those of the remote


def _known(source: Source, model: str, *, push: bool, tell: Tell) -> _Known:
    """The tags of a model, where those here and those of the remote agree.

    Raises:
        NotFound: there is no such model.
        Refused: they contradict each other; or with ``push``, Git has no remote.
        Unavailable: with ``push``, the remote does not answer.
    """
    known = numbers.known(source, model, push=push, tell=tell)
    ours = source.tag_ids(model)
    if known.remote is not None:
        _check_agree(ours, known.theirs, redact.text(known.remote))
    here, pushed = known.here, frozenset(known.theirs)
    seen = catalog.of([t for t in here.tags if t.name in pushed], model) if push else here
    return _Known(
        here, seen, pushed.union(ours), pushed if push else None, known.remote, known.warnings
    )


def _check_agree(
    ours: dict[TagName, str], theirs: dict[TagName, tags.RemoteTag], where: str
) -> None:
    """Refuse to decide by tags that are others than the remote's, or by a part of them."""
    fetch = f"git fetch --tags{{}} {shlex.quote(where)}"
    moved = [name for name, tag in theirs.items() if ours.get(name, tag.object_id) != tag.object_id]
    if moved:
        raise Refused(f"the tag {moved[0]} is another one on {where}", fetch.format(" --force"))
    absent = [name for name, tag in theirs.items() if tag.annotated and name not in ours]
    if absent:
        more = f", nor are {len(absent) - 1} more" if len(absent) > 1 else ""
        raise Refused(f"{absent[0]} of {where} is not in this clone{more}", fetch.format(""))


# ---- which tag


def _target(source: Source, order: Order, known: _Known) -> _Target:
    """The tag that an order asks for.

    Raises:
        NotFound, Refused: as for ``plan``.
    """
    if not known.seen.releases:
        raise _no_version(order, known)
    if order.action is Action.DEPRECATE:
        return _Target(TagName(order.model, order.action), known.seen.tags[-1].commit, None)
    if known.seen.deprecated:
        raise _deprecated(known.seen)
    if order.action is Action.UNASSIGN:
        return _unassigning(order, known)
    release = _release(source, order, known)
    if order.action is Action.DEREGISTER:
        name = TagName(order.model, order.action, release.version)
        return _Target(name, release.commit, release.version)
    return _assigning(source, order, release, known)


def _no_version(order: Order, known: _Known) -> NotFound:
    if not known.here.releases:
        return refs.no_such_version(Ref(order.model))
    return _not_pushed(known, known.here.releases[-1].tag.name)


def _not_pushed(known: _Known, name: TagName) -> NotFound:
    where = redact.text(known.where or "")
    return NotFound(
        f"{where} does not have the tag {name}",
        f"push it first: git push {shlex.quote(where)} {shlex.quote(str(name))}",
    )


def _deprecated(seen: Catalog) -> Refused:
    return Refused(
        f"{seen.model} is deprecated, and any other tag would end that",
        f"to offer it again, release a version: tagship release {seen.model}",
    )


def _release(source: Source, order: Order, known: _Known) -> Release:
    """The version that is to be assigned or withdrawn.

    Raises:
        NotFound, Refused: there is none, or it was withdrawn; or the remote does not have it.
    """
    wanted = order.wanted or Wanted()
    exact = known.seen.get(str(wanted.exact)) if wanted.exact is not None else None
    if exact is not None and order.action is Action.DEREGISTER:
        return exact
    here = source.find(known.here, Ref(order.model, wanted))
    try:
        release = source.find(known.seen, Ref(order.model, wanted))
    except NotFound:
        release = None
    if release is None or release.version != here.version:
        by_stage = known.here.assignments.get(wanted.stage or "")
        names = (here.tag.name, by_stage.name if by_stage else here.tag.name)
        unpushed = [tag.name for tag in known.unpushed if tag.name in names]
        raise _not_pushed(known, unpushed[0] if unpushed else here.tag.name)
    return release


def _assigning(source: Source, order: Order, release: Release, known: _Known) -> _Target:
    """The tag of an assignment. It names a commit: that must stand for this version alone.

    Raises:
        Refused: a higher version of the same commit would hold the stage; or GTO's settings do not
            have the stage.
    """
    stage = order.stage or ""
    same = [r for r in known.seen.releases if r.commit == release.commit]
    holder = [r for r in same if r.active][-1]
    if holder != release:
        raise Refused(
            f"{holder.version} is of the same commit as {release.version}, and would hold {stage}:"
            " a stage belongs to a commit",
            f"tagship assign {order.model}@{holder.version} {stage}",
        )
    allowed = _allowed(source)
    if allowed is not None and stage not in allowed:
        raise Refused(
            f"{GTO_FILE} has no stage {stage}",
            f"choose one of {', '.join(allowed)}; or add it to {GTO_FILE}",
        )
    warnings = []
    if len(same) > 1:
        versions = ", ".join(str(r.version) for r in same)
        warnings.append(f"gto cannot read a stage of a commit with several versions: {versions}")
    used = sorted({t.name.stage for t in known.here.tags if t.name.stage})
    if allowed is None and used and stage not in used:
        so_far = ", ".join(used)
        warnings.append(f"{stage} is a new stage of {order.model}; so far there is {so_far}")
    name = TagName(order.model, order.action, stage=stage)
    return _Target(name, release.commit, release.version, tuple(warnings))


def _allowed(source: Source) -> list[str] | None:
    """The stages that GTO's settings allow; None for all.

    Raises:
        Corrupt: the file cannot be read.
    """
    file = source.repository.top / GTO_FILE
    if not file.is_file():
        return None
    stages = yaml.parse(file.read_bytes(), GTO_FILE).get("stages")
    return [str(stage) for stage in stages] if isinstance(stages, list) else None


def _unassigning(order: Order, known: _Known) -> _Target:
    """The tag that takes a stage from the commit that holds it.

    Raises:
        NotFound: none does.
    """
    stage = order.stage or ""
    assignment = known.seen.assignments.get(stage)
    if assignment is not None:
        versions = [r.version for r in known.seen.releases if r.commit == assignment.commit]
        name = TagName(order.model, order.action, stage=stage)
        return _Target(name, assignment.commit, versions[-1] if versions else None)
    if here := known.here.assignments.get(stage):
        raise _not_pushed(known, here.name)
    what = f"no version of {order.model} holds the stage {stage}"
    raise NotFound(what, f"tagship list {order.model}")


# ---- what it does


def _holds(order: Order, target: _Target, known: Catalog) -> bool:
    """Whether it is as ordered. A stage that nobody holds cannot be taken from anybody."""
    if order.action is Action.ASSIGN:
        assignment = known.assignments.get(order.stage or "")
        return assignment is not None and assignment.commit == target.commit
    if order.action is Action.DEREGISTER:
        release = known.get(str(target.version))
        return release is not None and not release.active
    if order.action is Action.UNASSIGN:
        assignment = known.assignments.get(order.stage or "")
        return assignment is None or assignment.commit != target.commit
    return known.deprecated


def _settled(order: Order, target: _Target, known: _Known) -> Tag | None:
    """The tag by which it is as ordered, here and on the remote; None where it is not."""
    if not (_holds(order, target, known.seen) and _holds(order, target, known.here)):
        return None
    return _newest(known.seen.tags, target)


def _newest(among: Iterable[Tag], target: _Target) -> Tag | None:
    """The newest tag that says the same, with whatever counter."""
    same = [
        tag
        for tag in among
        if tag.name._replace(counter=None) == target.name and tag.commit == target.commit
    ]
    return same[-1] if same else None


def _planned(
    source: Source, order: Order, target: _Target, known: _Known, *, push: bool
) -> StagePlan:
    """The plan of what is not so yet."""
    waiting = _newest(known.unpushed, target)
    if waiting is not None and not _holds(order, target, _after(known.seen, waiting)):
        waiting = None  # a tag that came later counts
    warnings = [*known.warnings, *target.warnings]
    name, at = (waiting.name, None) if waiting else (_numbered(target.name, known.names), None)
    if waiting is None:
        tags.check_can_tag(source.repository, name)
        at, note = _date(source, known)
        warnings += note
    after = _after(known.seen, waiting or _tag(known, name, target))
    latest = after.latest
    return StagePlan(
        order, target.version, name, target.commit, settled=False, waiting=waiting is not None,
        moves=_moves(known.seen, after), latest=latest.version if latest else None,
        push_to=known.where if push else None, at=at, warnings=tuple(warnings),
    )  # fmt: skip


def _numbered(name: TagName, names: Iterable[TagName]) -> TagName:
    """The name of a new tag, as GTO gives it: a stage's always has a counter, others if taken."""
    taken = frozenset(names)
    if name.stage is None and name not in taken:
        return name
    counters = (int(other.counter) for other in taken if other.counter is not None)
    return name._replace(counter=str(max(counters, default=0) + 1))


def _date(source: Source, known: _Known) -> tuple[int | None, list[str]]:
    """The date of a new tag, where Git's would not be the latest of the model; and what to know.

    Raises:
        Refused: there is no later date.
    """
    now, last = worktree.commit_time(source.repository), known.here.tags[-1]
    newest = int(last.at.timestamp())
    if now > newest:
        return None, []
    date = clock.stamp(last.at)
    if last.at.year == MAXYEAR:
        raise Refused(
            f"the tag {last.name} has the date {date}, and a later one can have none after it",
            f"remove it here, and on each remote: git tag -d {shlex.quote(str(last.name))}",
        )
    if newest - now <= FUTURE:
        return newest + 1, []
    return newest + 1, [f"{last.name} has a date in the future, {date}: this tag has the one after"]


def _tag(known: _Known, name: TagName, target: _Target) -> Tag:
    """The tag as it will be, as far as its effect goes."""
    at = known.here.tags[-1].at + timedelta(seconds=1)
    return Tag(name, "", target.commit, "", at, "", str(name))


def _after(before: Catalog, tag: Tag) -> Catalog:
    return catalog.of([*before.tags, tag], before.model, before.lightweight)


def _moves(before: Catalog, after: Catalog) -> tuple[Move, ...]:
    """The rules that select another version."""
    stages = sorted({*before.assignments, *after.assignments})
    pairs = [("latest", before.latest, after.latest)]
    pairs += [(f"#{stage}", before.holder(stage), after.holder(stage)) for stage in stages]
    moves = [Move(rule, _number(old), _number(new)) for rule, old, new in pairs]
    return tuple(move for move in moves if move.before != move.after)


def _number(release: Release | None) -> str | None:
    return None if release is None else str(release.version)
