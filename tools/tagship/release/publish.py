"""Release: check, push the bytes, tag, push the tag; in that order, so no tag lacks its bytes.

``plan`` checks and changes nothing, ``publish`` carries the plan out.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semver import Version

from tagship.dvc import freshness, stages
from tagship.dvc.content import Content
from tagship.dvc.freshness import Answer
from tagship.dvc.snapshot import Snapshot
from tagship.errors import (
    Corrupt,
    InvalidName,
    Locked,
    NotFound,
    Refused,
    TagshipError,
    Unavailable,
)
from tagship.git import commits, remotes, worktree
from tagship.host import project
from tagship.progress import Progress, silent
from tagship.registry import refs, tags
from tagship.registry.catalog import Catalog, Release
from tagship.registry.project_files import LOCK_FILE
from tagship.registry.refs import Action, TagName
from tagship.signing.statement import Signature, Statement
from tagship.text import escape, redact
from tagship.workspace.source import Source

BUMPS = ("minor", "major", "patch")


@dataclass(frozen=True)
class Options:
    """How a version is published.

    Attributes:
        bump: ``minor``, ``major`` or ``patch``.
        version: the version itself, instead of a bump.
        message: what is new, for the tag.
        push: push the tag to Git's remote.
        force: release bytes that equal the last version's, or a commit that carries a version.
        progress: is called with the bytes pushed.
    """

    bump: str = "minor"
    version: str | None = None
    message: str | None = None
    push: bool = False
    force: bool = False
    progress: Progress = silent


class AlreadyReleased(Refused):
    """There is nothing to release: ``version`` has what HEAD has of the model."""

    def __init__(self, message: str, hint: str, version: Version) -> None:
        super().__init__(message, hint)
        self.version = version


@dataclass(frozen=True)
class ReleasePlan:
    """What a release would publish.

    Attributes:
        tag_name: of the version.
        commit: HEAD's.
        previous: the highest version before it.
        size: of the model and its self-test, in bytes; None where only a remote knows it.
        metrics: as DVC has them at the commit.
        waiting: this commit was released as that version, and only the push is left to do.
        push_to: Git's remote that would get the tag; None where it would not be pushed.
        warnings: what the user should know.
    """

    model: str
    version: Version
    tag_name: TagName
    commit: str
    previous: Version | None
    size: int | None
    metrics: dict[str, Any]
    waiting: bool
    push_to: str | None
    warnings: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """The tag's name as text."""
        return str(self.tag_name)


@dataclass(frozen=True)
class Released:
    """A version that was published.

    Attributes:
        previous: the highest version before it.
        size: of the model and its self-test, in bytes.
        pushed_objects: how many objects the DVC remote lacked; None without a DVC remote.
        pushed_to: Git's remote that has the tag; None where it was not pushed.
        signed: ``tag``, where Git signs tags; ``files``, where there is a key.
        warnings: what the user should know.
    """

    model: str
    version: Version
    tag: str
    commit: str
    previous: Version | None
    size: int | None
    metrics: dict[str, Any]
    pushed_objects: int | None
    pushed_to: str | None
    signed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def release(
    source: Source, model: str, options: Options = Options(), signing_key: Path | None = None
) -> Released:
    """Publish what HEAD has of a model as its next version.

    Raises:
        NotFound, Refused, Locked: as for ``plan``.
        Corrupt, Unavailable: the bytes cannot be pushed, or the tag; then no tag is left.
    """
    release_plan = plan(source, model, options)
    return publish(source, release_plan, options.message, options.progress, signing_key)


def plan(source: Source, model: str, options: Options = Options()) -> ReleasePlan:
    """What ``release`` would publish. Touches nothing.

    Raises:
        NotFound: there is no such model, or no commit, or neither DVC nor Git tracks the model.
        Refused: its files are not committed, the commit did not build it, or the version exists.
        Locked: another DVC process works on the stages that make it.
        AlreadyReleased: the commit carries a version already, or the bytes are the last version's.
        Unavailable: with ``push``, the Git remote does not answer.
    """
    refs.check_model(model)
    if options.bump not in BUMPS:
        raise InvalidName(f"there is no bump {options.bump!r}", "there are: " + ", ".join(BUMPS))
    head = commits.commit(source.repository, "HEAD")
    snapshot = _snapshot_of_head(source, head.id, model)
    content = source.content(offline=True)
    _check_committed(source, snapshot.recorded_in)
    notes = _check_built(source, snapshot, force=options.force)
    _check_branch(source, head.id)
    remote, theirs, warnings = _their_tags(source, model, push=options.push)
    warnings += [*notes, *source.unread(snapshot)]
    known = source.catalog(model)
    version = _next_version(known, theirs, options)
    waiting = _waiting(known, theirs, snapshot) if options.push and not options.version else None
    if waiting is not None:
        name, version, previous = waiting.tag.name, waiting.version, None
    else:
        _check_new(source, known, theirs, snapshot, version, force=options.force)
        name = TagName(model, Action.REGISTER, version)
        tags.check_can_tag(source.repository, name)
        previous = max((v for v in known.taken if v < version), default=None)
        highest = known.latest
        if highest is not None and version < highest.version:
            warnings.append(f"{version} is lower than {highest.version}, which stays the latest")
    return ReleasePlan(
        model, version, name, head.id, previous, _known_size(content, snapshot),
        source.metrics(snapshot), waiting is not None,
        redact.text(remote) if options.push and remote else None, tuple(warnings),
    )  # fmt: skip


def publish(
    source: Source,
    plan: ReleasePlan,
    text: str | None = None,
    progress: Progress = silent,
    signing_key: Path | None = None,
) -> Released:
    """Publish the version of a plan, with the commit that it names, whatever HEAD is by now.

    Args:
        source: the repository that the plan was made in.
        plan: the plan.
        text: what is new, for the tag.
        progress: is called with the bytes fetched and pushed.
        signing_key: signs every file's digest; None for none.

    Raises:
        Refused: the tag exists by now.
        Corrupt, Unavailable: the bytes cannot be pushed, or the tag; then no tag is left.
    """
    snapshot = source.snapshot(plan.commit, plan.model)
    content = source.content(progress=progress)
    pushed_objects, warnings = _push_objects(content, snapshot)
    size = plan.size if plan.size is not None else content.total(snapshot.pointers)
    signed: tuple[str, ...] = ()
    if not plan.waiting:
        signature = _sign_files(content, plan, snapshot, signing_key)
        words = message(plan, text, snapshot, size, signature)
        tag_is_signed = tags.create(source.repository, plan.tag_name, plan.commit, words)
        signed = (*(("tag",) if tag_is_signed else ()), *(("files",) if signature else ()))
    if plan.push_to is not None:
        _push_tag(source, plan.tag_name, take_back=not plan.waiting)
    return Released(
        plan.model, plan.version, plan.tag, plan.commit, plan.previous, size, plan.metrics,
        pushed_objects, plan.push_to, signed, (*plan.warnings, *warnings),
    )  # fmt: skip


def message(
    plan: ReleasePlan,
    text: str | None,
    snapshot: Snapshot,
    size: int | None,
    signature: Signature | None,
) -> str:
    """The tag's message: a subject, the user's words, and trailers that ``list`` reads again."""
    trailers = [f"Metrics: {escape.json(plan.metrics, indent=None)}"]
    if size is not None:
        trailers.append(f"Size: {size}")
    trailers.append(f"Digest: {snapshot.identity}")
    if signature is not None:
        trailers += signature.trailers()
    paragraphs = [f"{plan.model} {plan.version}", text.strip() if text else "", "\n".join(trailers)]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _sign_files(
    content: Content, plan: ReleasePlan, snapshot: Snapshot, key: Path | None
) -> Signature | None:
    """The signature of every file's digest as this version; None without a key.

    Raises:
        Refused: the key cannot be used.
        Corrupt, Unavailable: a file is not as the commit has it, or is not available.
    """
    if key is None:
        return None
    files = tuple(content.digest(pointer) for pointer in content.files(snapshot.pointers))
    statement = Statement(plan.model, str(plan.version), plan.commit, files)
    from tagship.signing import keys  # imports cryptography, which only signing needs

    return keys.sign(statement, key)


def _snapshot_of_head(source: Source, head: str, model: str) -> Snapshot:
    artifact = source.declared(model)
    try:
        return source.snapshot(head, model)
    except NotFound as error:
        pointer = f"{artifact.path}.dvc"
        if (source.repository.top / pointer).is_file():
            hint = f'git add {pointer} && git commit -m "..."'
            raise NotFound(f"{pointer} is not committed yet", hint) from None
        raise error from None


def _check_committed(source: Source, names: list[str]) -> None:
    """Refuse where these files differ from HEAD in index or work tree, or are not in it."""
    changed = worktree.changed(source.repository, names) if not source.repository.bare else []
    if changed:
        raise _not_committed(changed)


def _not_committed(names: Sequence[str], fix: str = "") -> Refused:
    what = f"{' '.join(names)} differ{'s' if len(names) == 1 else ''} from the last commit"
    if fix:
        return Refused(what, f"undo the change; or {fix}, and commit all that you changed")
    return Refused(what, f'git add {shlex.join(names)} && git commit -m "..."')


def _check_built(source: Source, snapshot: Snapshot, *, force: bool) -> tuple[str, ...]:
    """Refuse a commit that the model was not built from: its tag would show the wrong inputs.

    Returns:
        What could not be compared.
    """
    paths = snapshot.artifact.paths
    place = (source.repository.top / paths[0]).parent
    try:
        nearest = project.find_project(place) or source.project
        answer = freshness.ask(source.repository, nearest, paths, snapshot.recorded_in)
    except (Locked, Refused) as error:
        if not force:
            raise
        return (f"not compared with {LOCK_FILE}: {error.message}",)
    _check_unedited(snapshot, answer)
    if not force:
        _check_inputs(snapshot.artifact.model, answer)
    return answer.notes


def _check_unedited(snapshot: Snapshot, answer: Answer) -> None:
    """Refuse a model whose files in the work tree have other bytes than the release would."""
    for path in answer.edited:
        out = next((o for o in snapshot.outs if stages.holds(path, o.path)), snapshot.outs[0])
        command = f"dvc commit {out.stage}" if out.stage else f"dvc add {path}"
        raise Refused(
            f"{path} was changed: it differs from {out.recorded_in}",
            f"{command}, then commit {out.recorded_in}; or undo the change: dvc checkout {path}",
        )


def _check_inputs(model: str, answer: Answer) -> None:
    differences = [str(difference) for difference in answer.differences]
    if answer.uncommitted:
        raise _not_committed(answer.uncommitted, answer.fix if differences else "")
    if differences:
        more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise Refused(
            f"{model} was not built from this commit: {'; '.join(differences[:3])}{more}",
            f"{answer.fix}, and commit all that you changed; or release it anyway with --force",
        )


def _check_branch(source: Source, commit: str) -> None:
    if commits.is_detached(source.repository) and not commits.branches_with(
        source.repository, commit
    ):
        raise Refused(
            f"HEAD is detached, and its commit {commit[:10]} is on no branch",
            "create a branch first: git switch -c NAME",
        )


def _remote(source: Source) -> str | None:
    return source.git_remote or remotes.default_remote(source.repository)


def _no_remote() -> Refused:
    return Refused("Git has no remote to push to", "git remote add origin URL")


def _their_tags(
    source: Source, model: str, *, push: bool
) -> tuple[str | None, dict[TagName, str], list[str]]:
    """The remote's tags too: a clone without tags would begin at 1.0.0 again."""
    remote = _remote(source)
    if remote is None:
        if push:
            raise _no_remote()
        return None, {}, []
    try:
        theirs = tags.of_remote(source.repository, remote)
    except Unavailable as error:
        if push:
            raise
        return (
            remote,
            {},
            [f"the tags of {redact.text(remote)} could not be read: {error.message}"],
        )
    return remote, {name: at for name, at in theirs.items() if name.model == model}, []


def _next_version(known: Catalog, theirs: Iterable[TagName], options: Options) -> Version:
    if options.version is not None:
        return refs.check_version(options.version)
    versions = [*known.taken, *(name.version for name in theirs if name.version is not None)]
    return refs.next_version(versions, options.bump)


def _waiting(known: Catalog, theirs: dict[TagName, str], snapshot: Snapshot) -> Release | None:
    """A version of this very commit that was released without --push."""
    here = [r for r in known.offered if r.commit == snapshot.commit and r.tag.name not in theirs]
    return here[-1] if here else None


def _check_new(
    source: Source,
    known: Catalog,
    theirs: dict[TagName, str],
    snapshot: Snapshot,
    version: Version,
    *,
    force: bool,
) -> None:
    model = known.model
    on_remote = any(
        name.action is Action.REGISTER and str(name.version) == str(version) for name in theirs
    )
    if known.get(str(version)) or on_remote:
        there = f"tagship show {model}@{version}"
        raise Refused(
            f"{model} {version} exists", there if known.get(str(version)) else "git fetch --tags"
        )
    carried = [str(r.version) for r in known.offered if r.commit == snapshot.commit]
    carried += [
        str(name.version)
        for name, at in theirs.items()
        if at == snapshot.commit
        and name.action is Action.REGISTER
        and not known.get(str(name.version))
    ]
    if carried and not force:
        here = known.get(carried[0])
        what = f"this commit carries {model} {carried[0]} already"
        hint = (
            f"commit a change first, or deploy it: {'' if here else 'git fetch --tags && '}"
            f"tagship deploy {model}@{carried[0]}"
        )
        raise AlreadyReleased(what, hint, here.version) if here else Refused(what, hint)
    last = known.offered[-1] if known.offered else None
    if last and not force and _identity(source, last.commit, model) == snapshot.identity:
        raise AlreadyReleased(
            f"the bytes of {model} are those of {last.version}",
            "train it again, or release them again with --force",
            last.version,
        )


def _identity(source: Source, commit: str, model: str) -> str | None:
    try:
        return source.snapshot(commit, model).identity
    except TagshipError:  # that version's commit does not declare the model as we do
        return None


def _push_objects(content: Content, snapshot: Snapshot) -> tuple[int | None, list[str]]:
    """Push what DVC keeps; how many objects the remote lacked, and warnings."""
    if all(out.in_git for out in snapshot.outs):
        return None, []
    if not content.has_remote(snapshot.pointers):
        content.check_cached(snapshot.pointers)
        return None, ["DVC has no remote: the bytes are on this machine alone (dvc remote add -d)"]
    return content.push(snapshot.pointers), []


def _known_size(content: Content, snapshot: Snapshot) -> int | None:
    """The size in bytes, as far as it is known here."""
    try:
        return content.total(snapshot.pointers)
    except (Unavailable, Corrupt):  # the list of a folder is in a remote alone
        return None


def _push_tag(source: Source, name: TagName, *, take_back: bool) -> None:
    """Push the tag, or delete a new one: another clone could give the same version again."""
    remote = _remote(source)
    if remote is None:  # it was removed since the plan was made
        raise _no_remote()
    where = redact.text(remote)
    try:
        tags.push(source.repository, remote, name)
    except TagshipError as error:
        what = f"{where} did not accept the tag {name}"
        if not take_back:
            raise Unavailable(f"{what}: {error.message}", f"git fetch --tags {where}") from None
        tags.delete(source.repository, name)
        raise Unavailable(
            f"{what}, so it was deleted here again: {error.message}",
            f"git fetch --tags {where}, then release again",
        ) from None
