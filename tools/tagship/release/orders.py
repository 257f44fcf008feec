"""What is asked of stages and versions, which tag says so, and which versions are selected then.

All but ``read`` decide by values. Whoever pushes decides by the tags that the remote has: what is
here alone, no other clone sees.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from semver import Version

from tagship.errors import NotFound, Refused
from tagship.progress import Tell
from tagship.registry import catalog, refs, tags
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Action, Ref, TagName, Wanted
from tagship.registry.tags import Tag
from tagship.release import numbers
from tagship.text import redact, yaml
from tagship.workspace.source import Source

GTO_FILE = ".gto"  # at the top of a repository: GTO's settings, with the stages that there may be
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
        force: make a new tag, though it is so already.
    """

    model: str
    action: Action
    wanted: Wanted | None = None
    stage: str | None = None
    force: bool = False

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
class Known:
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
class Target:
    """The tag that an order asks for: its name without a counter, and what it points at."""

    name: TagName
    commit: str
    version: Version | None
    warnings: tuple[str, ...] = ()


# ---- the tags here, and those of the remote


def read(source: Source, model: str, *, push: bool, tell: Tell) -> Known:
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
    return Known(
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


def target_of(source: Source, order: Order, known: Known) -> Target:
    """The tag that an order asks for.

    Raises:
        NotFound, Refused: as for ``plan``.
    """
    if not known.seen.releases:
        raise _no_version(order, known)
    if order.action is Action.DEPRECATE:
        return Target(TagName(order.model, order.action), known.seen.tags[-1].commit, None)
    if known.seen.deprecated:
        raise _deprecated(known.seen)
    if order.action is Action.UNASSIGN:
        return _unassigning(order, known)
    release = _release(source, order, known)
    if order.action is Action.DEREGISTER:
        name = TagName(order.model, order.action, release.version)
        return Target(name, release.commit, release.version)
    return _assigning(source, order, release, known)


def _no_version(order: Order, known: Known) -> NotFound:
    if not known.here.releases:
        return refs.no_such_version(Ref(order.model))
    return _not_pushed(known, known.here.releases[-1].tag.name)


def _not_pushed(known: Known, name: TagName) -> NotFound:
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


def _release(source: Source, order: Order, known: Known) -> Release:
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
    if release is None or release.tag.object_id != here.tag.object_id:
        by_stage = known.here.assignments.get(wanted.stage or "")
        names = (here.tag.name, by_stage.name if by_stage else here.tag.name)
        unpushed = [tag.name for tag in known.unpushed if tag.name in names]
        raise _not_pushed(known, unpushed[0] if unpushed else here.tag.name)
    return release


def _assigning(source: Source, order: Order, release: Release, known: Known) -> Target:
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
    return Target(name, release.commit, release.version, tuple(warnings))


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


def _unassigning(order: Order, known: Known) -> Target:
    """The tag that takes a stage from the commit that holds it.

    Raises:
        NotFound: none does.
    """
    stage = order.stage or ""
    assignment = known.seen.assignments.get(stage)
    if assignment is not None:
        versions = [r.version for r in known.seen.releases if r.commit == assignment.commit]
        name = TagName(order.model, order.action, stage=stage)
        return Target(name, assignment.commit, versions[-1] if versions else None)
    if here := known.here.assignments.get(stage):
        raise _not_pushed(known, here.name)
    what = f"no version of {order.model} holds the stage {stage}"
    raise NotFound(what, f"tagship list {order.model}")


# ---- what it does


def is_done(order: Order, target: Target, known: Catalog) -> bool:
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


def settled_by(order: Order, target: Target, known: Known) -> Tag | None:
    """The tag by which it is as ordered, here and on the remote; None where it is not."""
    both = (known.seen, known.here)
    if order.force or not all(is_done(order, target, tags) for tags in both):
        return None
    return newest(known.seen.tags, target)


def taken(order: Order, known: Known) -> Tag | None:
    """The tag that took a stage from who held it last; None where it is held, or never was."""
    if order.action is not Action.UNASSIGN or order.stage in known.seen.assignments:
        return None
    of_stage = [tag for tag in known.seen.tags if tag.name.stage == order.stage is not None]
    return of_stage[-1] if of_stage and of_stage[-1].name.action is Action.UNASSIGN else None


def newest(among: Iterable[Tag], target: Target) -> Tag | None:
    """The newest tag that says the same, with whatever counter; a stage's, of the same commit."""
    of_stage = target.name.stage is not None
    same = [
        tag
        for tag in among
        if tag.name._replace(counter=None) == target.name
        and (tag.commit == target.commit or not of_stage)
    ]
    return same[-1] if same else None


def numbered(name: TagName, names: Iterable[TagName]) -> TagName:
    """The name of a new tag, as GTO gives it: a stage's always has a counter, others if taken."""
    taken = frozenset(names)
    if name.stage is None and name not in taken:
        return name
    counters = (int(other.counter) for other in taken if other.counter is not None)
    return name._replace(counter=str(max(counters, default=0) + 1))


def draft(known: Known, target: Target) -> Tag:
    """The tag as it will be, as far as its effect goes."""
    name = numbered(target.name, known.names)
    at = known.here.tags[-1].at + timedelta(seconds=1)
    return Tag(name, "", target.commit, "", at, "", str(name))


def after(before: Catalog, tag: Tag) -> Catalog:
    """The versions with one more tag."""
    return catalog.of([*before.tags, tag], before.model, before.lightweight)


def moves(before: Catalog, after: Catalog) -> tuple[Move, ...]:
    """The rules that select another version."""
    stages = sorted({*before.assignments, *after.assignments})
    pairs = [("latest", before.latest, after.latest)]
    pairs += [(f"#{stage}", before.holder(stage), after.holder(stage)) for stage in stages]
    moves = [Move(rule, _number(old), _number(new)) for rule, old, new in pairs]
    return tuple(move for move in moves if move.before != move.after)


def _number(release: Release | None) -> str | None:
    return None if release is None else str(release.version)
