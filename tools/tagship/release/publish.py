"""Release: check, push the bytes, tag, push the tag; in that order, so no tag lacks its bytes.

``plan`` checks and changes nothing, ``publish`` carries the plan out.
"""

import posixpath
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semver import Version

from tagship.dvc import freshness, stages
from tagship.dvc.content import Content
from tagship.dvc.freshness import Answer
from tagship.dvc.pointers import Out
from tagship.dvc.snapshot import Snapshot
from tagship.errors import (
    Corrupt,
    Interrupted,
    InvalidName,
    Locked,
    NotFound,
    Refused,
    Unavailable,
)
from tagship.git import commits, remotes, worktree
from tagship.git.run import Repository
from tagship.host import project
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry import refs, tags
from tagship.registry.project_files import LOCK_FILE, PIPELINE_FILE
from tagship.registry.refs import Action, TagName
from tagship.release import capsules, dates, kept_by_git, merges, numbers
from tagship.release import remotes as release_remotes
from tagship.release.numbers import AlreadyReleased, Known
from tagship.signing.statement import Signature, Statement
from tagship.text import escape, redact
from tagship.workspace.source import Source

SMALL = 10_000  # bytes: a model of a few lines of text is at home in Git


@dataclass(frozen=True)
class Options:
    """How a version is published.

    Attributes:
        bump: ``minor``, ``major`` or ``patch``.
        version: the version itself, instead of a bump.
        message: what is new, for the tag.
        push: push the tag to Git's remote.
        push_branch: push HEAD's branch with it, where the remote does not have the commit.
        capsule: once the tag is pushed, write what a host needs that asks no Git server.
        capsule_to: to this place, with the objects; empty for the DVC remote.
        force: release bytes that equal the last version's, or a commit that carries a version.
        progress: is called with the bytes pushed.
        deployed: the versions that this host's history names: their numbers are not given again.
        tell: is told whom is waited for.
    """

    bump: str = "minor"
    version: str | None = None
    message: str | None = None
    push: bool = False
    force: bool = False
    progress: Progress = silent
    deployed: tuple[str, ...] = ()
    tell: Tell = nobody
    push_branch: bool = False
    capsule: bool = False
    capsule_to: str = ""


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
        push_branch: the branch there that would get the commit; None where none would be pushed.
        capsule: whether the place of the objects gets the capsules that it lacks.
        capsule_to: another place; empty for the DVC remote.
        force: it is released though bytes, commit or inputs would keep it from that.
        at: the date of the tag, in seconds since 1970; None for that of Git.
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
    push_branch: str | None = None
    capsule: bool = False
    capsule_to: str = ""
    force: bool = False
    at: int | None = None

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
        pushed_branch: the branch of that remote that was pushed too; None for none.
        capsule_in: the place that has the capsules of all tags now; None where none was written.
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
    pushed_branch: str | None = None
    capsule_in: str | None = None


def release(
    source: Source, model: str, options: Options = Options(), signing_key: Path | None = None
) -> Released:
    """Publish what HEAD has of a model as its next version.

    Raises:
        NotFound, Refused, Locked: as for ``plan``.
        Corrupt, Unavailable: the bytes cannot be pushed, or the tag; then no tag is left.
    """
    release_plan = plan(source, model, options)
    return publish(
        source, release_plan, options.message, options.progress, signing_key, options.tell
    )


def plan(source: Source, model: str, options: Options = Options()) -> ReleasePlan:
    """What ``release`` would publish. Touches no ref and no file.

    Raises:
        NotFound: there is no such model, or no commit, or neither DVC nor Git tracks the model.
        Refused: its files are not committed, the commit did not build it, its rollout is wrong, or
            the version exists, here or on the remote.
        Locked: another DVC process works on the stages that make it.
        Unchanged: the commit carries a version already, or the bytes are the last version's.
        Unavailable: with ``push``, the Git remote does not answer.
    """
    refs.check_model(model)
    if options.bump not in refs.BUMPS:
        raise InvalidName(
            f"there is no bump {options.bump!r}", "there are: " + ", ".join(refs.BUMPS)
        )
    source.check_owner(model, f"release {model}")
    head = commits.commit(source.repository, "HEAD").id
    snapshot, notes = _releasable(source, head, model, options)
    known = numbers.known(
        source, model, push=options.push, deployed=options.deployed, tell=options.tell
    )
    capsule = options.capsule and (options.push or known.remote is None)
    if capsule:
        capsules.check(source, snapshot, options.capsule_to)
    number = _number(source, known, snapshot, options)
    push_to, branch, on_no_branch = None, None, list[str]()
    if options.push and known.remote:
        push_to = redact.text(known.remote)
    if push_to and known.remote and not number.commit:
        branch, on_no_branch = release_remotes.branch_to_push(
            source.repository, known.remote, head, options.tell, push_branch=options.push_branch
        )
    if options.capsule and not capsule:
        on_no_branch.append(capsules.later(f"release {model}"))
    return ReleasePlan(
        model, number.version, number.tag, number.commit or head, number.previous,
        _known_size(source.content(offline=True), snapshot), source.metrics(snapshot),
        number.waiting, push_to,
        (*notes, *known.warnings, *number.notes, *on_no_branch, *_in_git(snapshot, number)), branch,
        capsule, options.capsule_to, options.force, number.at,
    )  # fmt: skip


def _releasable(
    source: Source, head: str, model: str, options: Options
) -> tuple[Snapshot, tuple[str, ...]]:
    """What HEAD has of the model, checked; and what could not be compared or read.

    Raises:
        NotFound, Refused, Locked: as for ``plan``.
    """
    merges.check(source, head, model)
    snapshot = _snapshot_of_head(source, head, model)
    merges.check_markers(source, snapshot)
    _check_committed(source, snapshot)
    in_git = kept_by_git.check(source.repository, snapshot)
    source.rollout(head, model)  # a wrong one would stop the version on each host
    notes = _check_built(source, snapshot, force=options.force)
    content = source.content(offline=True)
    is_pushed = release_remotes.check_bytes(content, snapshot, push=options.push)
    elsewhere = _elsewhere(source, content, snapshot, options) if is_pushed else []
    _check_branch(source, head)
    return snapshot, (*notes, *in_git, *source.unread(snapshot), *elsewhere)


@dataclass(frozen=True)
class _Number:
    """The number of a version.

    Attributes:
        previous: the highest version before it.
        waiting: it was released as that version, and only the push is left to do, or the capsule.
        notes: what the user should know.
        commit: where only the capsule is left to do, that of the version; else empty.
        at: the date of a new tag; None for that of Git.
    """

    version: Version
    tag: TagName
    previous: Version | None = None
    waiting: bool = False
    notes: tuple[str, ...] = ()
    commit: str = ""
    at: int | None = None


def _number(source: Source, known: Known, snapshot: Snapshot, options: Options) -> _Number:
    version, notes = _version(source, known, options)
    waiting = numbers.waiting(known, snapshot) if options.push and not options.version else None
    if waiting is not None:
        return _Number(waiting.version, waiting.tag.name, waiting=True)
    numbers.check_number(source, known, version)
    if not options.force:
        try:
            numbers.check_new(
                source, known, snapshot, options.tell,
                push=options.push, push_branch=options.push_branch,
            )  # fmt: skip
        except AlreadyReleased as error:
            if left := _left(source, known, error, options):
                return left
            raise
    tag = TagName(known.here.model, Action.REGISTER, version)
    tags.check_can_tag(source.repository, tag)
    highest = known.here.latest
    if highest is not None and version < highest.version:
        notes.append(f"{version} is lower than {highest.version}, which stays the latest")
    previous = max((v for v in known.here.taken if v < version), default=None)
    at, future = dates.of_release(source, known.here.tags)
    return _Number(version, tag, previous, notes=(*notes, *future), at=at)


def _left(source: Source, known: Known, error: AlreadyReleased, options: Options) -> _Number | None:
    """A version that is released and pushed, where a capsule of the model is left to do."""
    release = known.here.get(str(error.version))
    is_asked = options.capsule and (options.push or known.remote is None)
    if release is None or error.unpushed or not is_asked:
        return None
    if not capsules.lacking(source, known.here.model, options.capsule_to, options.tell):
        return None
    return _Number(release.version, release.tag.name, waiting=True, commit=release.commit)


def _in_git(snapshot: Snapshot, number: _Number) -> list[str]:
    """That Git has the bytes of a first version, which is easily not what was meant."""
    is_first, is_small = number.previous is None, (snapshot.size or 0) < SMALL
    if not is_first or number.waiting or is_small or not snapshot.outs[0].in_git:
        return []
    path = shlex.quote(snapshot.artifact.path)
    return [
        f"Git has the bytes of {path}, and DVC has not: the repository grows with each version"
        f" (to give them to DVC: git rm --cached {path} && dvc add {path}, and commit)"
    ]


def publish(
    source: Source,
    plan: ReleasePlan,
    text: str | None = None,
    progress: Progress = silent,
    signing_key: Path | None = None,
    tell: Tell = nobody,
) -> Released:
    """Publish the version of a plan, with the commit that it names, whatever HEAD is by now.

    Args:
        source: the repository that the plan was made in.
        plan: the plan.
        text: what is new, for the tag.
        progress: is called with the bytes fetched and pushed.
        signing_key: signs every file's digest; None for none.
        tell: is told whom is waited for.

    Raises:
        Refused: the tag exists by now.
        Corrupt, Unavailable: the bytes cannot be pushed, or the tag; then no tag is left.
    """
    snapshot = source.snapshot(plan.commit, plan.model)
    content = source.content(progress=progress, tell=tell)
    try:
        pushed_objects, warnings = _push_objects(source, content, snapshot, plan)
    except KeyboardInterrupt:
        what = f"{plan.model} {plan.version} is not released; its bytes may be in the DVC remote"
        raise Interrupted(what, _again(plan, text)) from None
    size = plan.size if plan.size is not None else content.total(snapshot.pointers)
    signed: tuple[str, ...] = ()
    if not plan.waiting:
        signature = _sign_files(content, plan, snapshot, signing_key)
        words = message(plan, text, snapshot, size, signature)
        tag_is_signed = tags.create(source.repository, plan.tag_name, plan.commit, words, plan.at)
        signed = (*(("tag",) if tag_is_signed else ()), *(("files",) if signature else ()))
    if plan.push_to is not None:
        _push_tag(source, plan, tell)
    published = None
    if plan.capsule:
        push = "" if plan.push_to is None else " --push"
        retry = f"tagship release {plan.model}{push} --capsule"
        published = capsules.after_push(
            source, plan.tag_name, retry, plan.capsule_to, tell, progress
        )
    notes = published.notes if published else ()
    return Released(
        plan.model, plan.version, plan.tag, plan.commit, plan.previous, size, plan.metrics,
        pushed_objects, plan.push_to, signed, (*plan.warnings, *warnings, *notes),
        plan.push_branch, published.place if published else None,
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
    artifact = source.declared_at(head, model)
    try:
        return source.snapshot(head, model)
    except NotFound as error:
        pointer = f"{artifact.path}.dvc"
        file = source.repository.top / pointer
        if file.is_file():
            hint = f'git add {shlex.quote(pointer)} && git commit -m "..."'
            if file.read_bytes() == source.blobs.read(
                head, pointer
            ):  # dvc import-url --no-download
                update = f"dvc update {shlex.quote(pointer)}"
                raise NotFound(f"{pointer} has no bytes yet", f"{update} && {hint}") from None
            raise NotFound(f"{pointer} is not committed yet", hint) from None
        raise error from None


def _elsewhere(source: Source, content: Content, snapshot: Snapshot, options: Options) -> list[str]:
    """What another clone would have to configure; a tag that stays here needs no refusal yet."""
    try:
        notes = release_remotes.check_shared(source, content, snapshot)
    except Refused as error:
        if options.push:
            raise
        return [f"{error.message} ({error.hint})"]
    return notes if options.push else []


def _check_committed(source: Source, snapshot: Snapshot) -> None:
    """Refuse where the files that record the model differ from HEAD, or are not in it.

    The hint commits all that belongs to it: with a part of it the next release were refused too.
    """
    if source.repository.bare:
        return
    changed = worktree.changed(source.repository, snapshot.recorded_in)
    if not changed:
        return
    try:
        answer = _ask(source, snapshot)
    except (Locked, Refused):
        raise _not_committed(source.repository, changed) from None
    names = [*changed, *answer.uncommitted]
    raise _not_committed(source.repository, _with_metrics(source, snapshot, names), answer)


def _with_metrics(source: Source, snapshot: Snapshot, names: Iterable[str]) -> list[str]:
    """The files, and the metrics in Git that a run of the stages wrote anew."""
    metrics = [out.path for out in snapshot.metric_outs if out.in_git]
    changed = worktree.changed(source.repository, metrics) if metrics else []
    return sorted({*names, *changed})


def _not_committed(
    repository: Repository, names: Sequence[str], answer: Answer | None = None
) -> Refused:
    what = f"{' '.join(names)} differ{'s' if len(names) == 1 else ''} from the last commit"
    if answer and answer.differences:
        return Refused(what, f"undo the change; or {answer.fix}, and commit all that you changed")
    return Refused(what, _commit(repository, names))


def _commit(repository: Repository, names: Sequence[str]) -> str:
    """The commands that commit these files: those of a submodule first, and then itself."""
    modules: dict[str, list[str]] = {}
    plain: list[str] = []
    for name in names:
        module = worktree.submodule(repository.top, name)
        if module not in (None, name):
            modules.setdefault(str(module), []).append(name.removeprefix(f"{module}/"))
        else:
            plain.append(name)
    inner = [
        f"git -C {shlex.quote(module)} add {shlex.join(paths)}"
        f' && git -C {shlex.quote(module)} commit -m "..."'
        for module, paths in modules.items()
    ]
    top = shlex.join(dict.fromkeys([*plain, *modules]))
    return " && ".join([*inner, f'git add {top} && git commit -m "..."'])


def _check_built(source: Source, snapshot: Snapshot, *, force: bool) -> tuple[str, ...]:
    """Refuse a commit that the model was not built from: its tag would show the wrong inputs.

    Returns:
        What could not be compared.
    """
    try:
        answer = _ask(source, snapshot, snapshot.recorded_in)
    except (Locked, Refused) as error:
        if not force:
            raise
        return (f"not compared with {LOCK_FILE}: {error.message}",)
    _check_unedited(snapshot, answer)
    if not force:
        _check_inputs(source, snapshot, answer)
    return answer.notes


def _ask(source: Source, snapshot: Snapshot, committed: Iterable[str] = ()) -> Answer:
    paths = snapshot.artifact.paths
    place = (source.repository.top / paths[0]).parent
    nearest = project.find_project(place) or source.project
    return freshness.ask(source.repository, nearest, paths, committed)


def _check_unedited(snapshot: Snapshot, answer: Answer) -> None:
    """Refuse a model whose files in the work tree have other bytes than the release would."""
    for path in answer.edited:
        out = next((o for o in snapshot.outs if stages.holds(path, o.path)), snapshot.outs[0])
        command = _recording(out) if out.stage else f"dvc add {shlex.quote(path)}"
        raise Refused(
            f"{path} was changed: it differs from {out.recorded_in}",
            f"{command}, then commit {out.recorded_in};"
            f" or undo the change: dvc checkout --force {shlex.quote(path)}",
        )


def _recording(out: Out) -> str:
    """The command that records an output of a stage as it is, at the repository's top."""
    pipeline = posixpath.join(posixpath.dirname(out.recorded_in), PIPELINE_FILE)
    stage = out.stage if pipeline == PIPELINE_FILE else f"{pipeline}:{out.stage}"
    return f"dvc commit {shlex.quote(str(stage))}"


def _check_inputs(source: Source, snapshot: Snapshot, answer: Answer) -> None:
    differences = [str(difference) for difference in answer.differences]
    if answer.uncommitted:
        names = _with_metrics(source, snapshot, answer.uncommitted)
        raise _not_committed(source.repository, names, answer)
    if differences:
        more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
        what = "; ".join(differences[:3])
        raise Refused(
            f"{snapshot.artifact.model} was not built from this commit: {what}{more}",
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


def _version(source: Source, known: numbers.Known, options: Options) -> tuple[Version, list[str]]:
    if options.version is not None:
        return refs.check_version(options.version), []
    if not options.force:
        numbers.check_not_a_fork(source, known, options.tell)
    return numbers.next_version(known, options.bump)


def _remote(source: Source) -> str | None:
    return remotes.to_release_to(source.repository, source.git_remote)


def _push_objects(
    source: Source, content: Content, snapshot: Snapshot, plan: ReleasePlan
) -> tuple[int | None, list[str]]:
    """Push what DVC keeps; how many objects the remotes lacked, and warnings."""
    if all(out.in_git for out in snapshot.outs):
        return None, []
    if not release_remotes.check_bytes(content, snapshot, push=plan.push_to is not None):
        content.check_cached(snapshot.pointers)
        return None, [release_remotes.NO_REMOTE]
    is_first = not plan.waiting and not any(c.releases for c in source.catalogs().values())
    notes = release_remotes.new_folders(content, snapshot, is_first=is_first)
    pushed = content.push((*snapshot.pointers, *release_remotes.metrics(content, snapshot)))
    return pushed, notes


def _known_size(content: Content, snapshot: Snapshot) -> int | None:
    """The size in bytes, as far as it is known here."""
    try:
        return content.total(snapshot.pointers)
    except (Unavailable, Corrupt):  # the list of a folder is in a remote alone
        return None


def _again(plan: ReleasePlan, text: str | None) -> str:
    """The command that goes on where a release was interrupted."""
    number = "" if plan.waiting else f" --version {plan.version}"
    words = "" if plan.waiting or text is None else f" -m {shlex.quote(text)}"
    push = "" if plan.push_to is None else " --push-branch" if plan.push_branch else " --push"
    more = " --capsule" if plan.capsule and not plan.capsule_to else ""
    more += " --force" if plan.force else ""
    return f"tagship release {plan.model}{number}{words}{push}{more}"


def _push_tag(source: Source, plan: ReleasePlan, tell: Tell) -> None:
    remote = _remote(source)
    if remote is None:  # it was removed since the plan was made
        raise numbers.no_remote()
    branch = (plan.commit, plan.push_branch) if plan.push_branch else None
    release_remotes.push(
        source.repository, remote, plan.tag_name, branch, tell, take_back=not plan.waiting
    )
