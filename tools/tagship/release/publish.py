"""Release: check, push the bytes, tag, push the tag; in that order, so no tag lacks its bytes.

``plan`` checks and touches nothing, ``publish`` does what it says.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semver import Version

from tagship.disk import files as disk_files
from tagship.dvc import cache, content, repo, snapshot
from tagship.dvc import remote as dvc_remote
from tagship.dvc.cache import Cache
from tagship.dvc.pointers import Out
from tagship.dvc.remote import Fetcher
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt, InvalidName, NotFound, Refused, TagshipError, Unavailable
from tagship.git import commits, remotes, worktree
from tagship.progress import Progress, silent
from tagship.registry import refs, tags
from tagship.registry.catalog import Catalog, Release
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
        progress: is told the bytes pushed.
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
        commit: HEAD's.
        previous: the highest version before it.
        size: of the model and its self-test, in bytes; None where only a remote knows it.
        metrics: as DVC has them at the commit.
        waiting: this commit was released as that version, but not pushed: just that is left to do.
        push_to: Git's remote that would get the tag; None where it would not be pushed.
        warnings: what the user should know.
    """

    model: str
    version: Version
    tag: str
    commit: str
    previous: Version | None
    size: int | None
    metrics: dict[str, Any]
    waiting: bool
    push_to: str | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Released:
    """A version that was published.

    Attributes:
        previous: the highest version before it.
        size: of the model and its self-test, in bytes.
        pushed_objects: how many objects the DVC remote lacked; None without a DVC remote.
        pushed_to: Git's remote that has the tag; None where it was not pushed.
        signed: what is: the ``tag``, where Git signs tags; the ``files``, where there is a key.
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
        NotFound, Refused: as for ``plan``.
        Corrupt, Unavailable: the bytes cannot be pushed, or the tag; then no tag is left.
    """
    made = plan(source, model, options)
    return publish(source, made, options.message, options.progress, signing_key)


def plan(source: Source, model: str, options: Options = Options()) -> ReleasePlan:
    """What ``release`` would publish. Touches nothing.

    Raises:
        NotFound: there is no such model, or no commit, or the model is tracked by nobody.
        Refused: its files are not committed, or the version exists.
        AlreadyReleased: the commit carries a version already, or the bytes are the last version's.
        Unavailable: with ``push``, the Git remote does not answer.
    """
    refs.check_model(model)
    if options.bump not in BUMPS:
        raise InvalidName(f"there is no bump {options.bump!r}", "there are: " + ", ".join(BUMPS))
    head = commits.commit(source.repository, "HEAD")
    taken = _snapshot_of_head(source, head.id, model)
    _check_committed(source, taken)
    _check_made(source, taken, force=options.force)
    _check_branch(source, head.id)
    remote, theirs, warnings = _their_tags(source, model, push=options.push)
    known = source.catalog(model)
    version = _next_version(known, theirs, options)
    waiting = _waiting(known, theirs, taken) if options.push and not options.version else None
    if waiting is not None:
        name, version, previous = waiting.tag.name, waiting.version, None
    else:
        _check_new(source, known, theirs, taken, version, force=options.force)
        name = TagName(model, Action.REGISTER, version)
        tags.check_can_tag(source.repository, name)
        previous = max((v for v in known.taken if v < version), default=None)
        highest = known.latest
        if highest is not None and version < highest.version:
            warnings.append(f"{version} is lower than {highest.version}, which stays the latest")
    return ReleasePlan(
        model, version, str(name), head.id, previous, _known_size(source, taken),
        source.metrics(taken), waiting is not None,
        redact.text(remote) if options.push and remote else None, tuple(warnings),
    )  # fmt: skip


def publish(
    source: Source,
    made: ReleasePlan,
    text: str | None = None,
    progress: Progress = silent,
    signing_key: Path | None = None,
) -> Released:
    """Do what a plan says, with the commit that it names, whatever HEAD is by now.

    Args:
        source: the repository that the plan was made in.
        made: the plan.
        text: what is new, for the tag.
        progress: is told the bytes pushed.
        signing_key: signs every file's digest; None for none.

    Raises:
        Refused: the tag exists by now.
        Corrupt, Unavailable: the bytes cannot be pushed, or the tag; then no tag is left.
    """
    taken = source.snapshot(made.commit, made.model)
    pushed_objects, more = _push_objects(source, taken, progress)
    size = made.size if made.size is not None else _size(taken, source.cache, source.fetcher())
    name = TagName.parse(made.tag)
    if name is None:
        raise AssertionError("a plan names a tag of the grammar")
    signed: tuple[str, ...] = ()
    if not made.waiting:
        signature = _sign_files(source, made, taken, signing_key)
        words = message(made, text, taken, size, signature)
        tag_is_signed = tags.create(source.repository, name, made.commit, words)
        signed = (*(("tag",) if tag_is_signed else ()), *(("files",) if signature else ()))
    if made.push_to is not None:
        _push_tag(source, name, take_back=not made.waiting)
    return Released(
        made.model, made.version, made.tag, made.commit, made.previous, size, made.metrics,
        pushed_objects, made.push_to, signed, (*made.warnings, *more),
    )  # fmt: skip


def message(
    made: ReleasePlan,
    text: str | None,
    taken: Snapshot,
    size: int | None,
    signature: Signature | None,
) -> str:
    """The tag's message: a subject, the user's words, and trailers that ``list`` reads again."""
    trailers = [f"Metrics: {escape.json(made.metrics, indent=None)}"]
    if size is not None:
        trailers.append(f"Size: {size}")
    trailers.append(f"Digest: {taken.identity}")
    if signature is not None:
        trailers += signature.trailers()
    paragraphs = [f"{made.model} {made.version}", text.strip() if text else "", "\n".join(trailers)]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _sign_files(
    source: Source, made: ReleasePlan, taken: Snapshot, key: Path | None
) -> Signature | None:
    """The signature of every file's digest as this version; None without a key.

    Raises:
        Refused: the key cannot be used.
        Corrupt, Unavailable: a file is not as the commit has it, or cannot be had.
    """
    if key is None:
        return None
    fetch = source.fetcher()
    files = content.files(taken, fetch)
    hashed = tuple(content.digest(file, source.blobs, fetch) for file in files)
    statement = Statement(made.model, str(made.version), made.commit, hashed)
    from tagship.signing import keys  # cryptography, for whoever needs it

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


def _check_committed(source: Source, taken: Snapshot) -> None:
    """The pointers are as HEAD has them, and so are the files that they point to."""
    changed = (
        worktree.changed(source.repository, taken.pointers) if not source.repository.bare else []
    )
    if changed:
        names = " ".join(changed)
        raise Refused(
            f"{names} differ{'s' if len(changed) == 1 else ''} from the last commit",
            f'git add {names} && git commit -m "..."',
        )
    for out in taken.outs:
        if not out.names and _is_edited(source, out):  # Git's own were compared by Git
            act = f"dvc commit {out.stage}" if out.stage else f"dvc add {out.path}"
            raise Refused(
                f"{out.path} is not what {out.pointer} says: it was changed since",
                f"{act}, then commit {out.pointer}; or bring it back: dvc checkout {out.path}",
            )


def _is_edited(source: Source, out: Out) -> bool:
    """Whether what lies in the work tree is not what the pointer says; nothing there is fine."""
    top = source.repository.top / out.path
    if not top.exists():
        return False
    try:
        fetch = Fetcher(source.cache, source.incoming, offline=True)
        files = list(content.files_of(out, fetch))
    except (Unavailable, Corrupt):  # no list of the folder here: it is compared when it is pushed
        return False
    found = {path for path in [top, *top.rglob("*")] if path.is_file()}
    for file in files:
        path = top.parent / file.path
        if path not in found:
            return True
        real = path.resolve()  # DVC may have linked it to its cache
        if not cache.matches(file.object, real, disk_files.digest(real).md5):
            return True
    extra = found - {top.parent / file.path for file in files}
    return bool(extra) and not repo.all_ignored(source.project, extra)


def _check_made(source: Source, taken: Snapshot, *, force: bool) -> None:
    """The commit is the one that made the model: what a version's tag shows must be true."""
    other = [] if force else snapshot.stale(taken, source.blobs)
    if other:
        names = ", ".join(other[:3]) + (" and more" if len(other) > 3 else "")
        raise Refused(
            f"this commit did not make {taken.artifact.model}: {names} differ from what dvc.lock"
            " was made with",
            "dvc repro, and commit all that you changed; or release it so with --force",
        )


def _check_branch(source: Source, commit: str) -> None:
    if commits.is_detached(source.repository) and not commits.branches_with(
        source.repository, commit
    ):
        raise Refused(
            f"HEAD is detached, and its commit {commit[:10]} is on no branch",
            "give it one first: git switch -c NAME",
        )


def _remote(source: Source) -> str | None:
    return source.git_remote or remotes.default_remote(source.repository)


def _their_tags(
    source: Source, model: str, *, push: bool
) -> tuple[str | None, dict[TagName, str], list[str]]:
    """The remote's tags too: a clone without tags would begin at 1.0.0 again."""
    remote = _remote(source)
    if remote is None:
        if push:
            raise Refused("Git has no remote to push to", "git remote add origin URL")
        return None, {}, []
    try:
        theirs = tags.of_remote(source.repository, remote)
    except Unavailable as error:
        if push:
            raise
        return (
            remote,
            {},
            [f"the tags of {redact.text(remote)} could not be looked at: {error.message}"],
        )
    return remote, {name: at for name, at in theirs.items() if name.model == model}, []


def _next_version(known: Catalog, theirs: Iterable[TagName], options: Options) -> Version:
    if options.version is not None:
        return refs.check_version(options.version)
    taken = [*known.taken, *(name.version for name in theirs if name.version is not None)]
    return refs.next_version(taken, options.bump)


def _waiting(known: Catalog, theirs: dict[TagName, str], taken: Snapshot) -> Release | None:
    """A version of this very commit that was released without --push."""
    here = [r for r in known.offered if r.commit == taken.commit and r.tag.name not in theirs]
    return here[-1] if here else None


def _check_new(
    source: Source,
    known: Catalog,
    theirs: dict[TagName, str],
    taken: Snapshot,
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
    carried = [str(r.version) for r in known.offered if r.commit == taken.commit]
    carried += [
        str(name.version)
        for name, at in theirs.items()
        if at == taken.commit
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
    if last and not force and _identity(source, last.commit, model) == taken.identity:
        raise AlreadyReleased(
            f"the bytes of {model} are those of {last.version}",
            "train it again, or release them once more with --force",
            last.version,
        )


def _identity(source: Source, commit: str, model: str) -> str | None:
    try:
        return source.snapshot(commit, model).identity
    except TagshipError:  # that version's commit does not declare the model as we do
        return None


def _objects(source: Source, taken: Snapshot) -> list[cache.Object]:
    return content.list_objects(taken, source.fetcher())


def _push_objects(
    source: Source, taken: Snapshot, progress: Progress
) -> tuple[int | None, list[str]]:
    if all(out.names for out in taken.outs):
        return None, []  # all of it is Git's own
    named = any(one.remote for out in taken.outs for one in out.objects)
    if not named and not dvc_remote.has_remote(source.cache, source.dvc_remote):
        _check_cached(source, taken)
        return None, ["DVC has no remote: the bytes are on this machine alone (dvc remote add -d)"]
    lists = _objects(source, taken)
    return dvc_remote.push(source.cache, lists, source.dvc_remote, progress), []


def _check_cached(source: Source, taken: Snapshot) -> None:
    for one in _objects(source, taken):
        path = source.cache.path(one)
        if not path.is_file():
            raise Unavailable(f"the DVC cache lacks {one}", "dvc commit, or dvc repro")
        if not cache.matches(one, path, disk_files.digest(path).md5):
            raise cache.bad_object(one, path)


def _known_size(source: Source, taken: Snapshot) -> int | None:
    """The size in bytes, as far as it is known here."""
    try:
        return _size(taken, source.cache, Fetcher(source.cache, source.incoming, offline=True))
    except (Unavailable, Corrupt):  # the list of a folder is in a remote alone
        return None


def _size(taken: Snapshot, cache: Cache, fetch: Fetcher) -> int | None:
    sizes = [one.size for out in taken.outs for one in out.objects]
    if any(out.within for out in taken.outs) or None in sizes:
        found = [o for o in content.list_objects(taken, fetch) if not o.is_list]
        paths = [cache.path(one) for one in found]
        if not all(path.is_file() for path in paths):
            return None  # they are in a remote alone
        return sum(path.stat().st_size for path in paths)
    return sum(size for size in sizes if size is not None)


def _push_tag(source: Source, name: TagName, *, take_back: bool) -> None:
    """Push the tag, or take a new one back: another clone would give the same version again."""
    remote = _remote(source)
    if remote is None:
        raise AssertionError("a push without a remote was refused")
    where = redact.text(remote)
    try:
        tags.push(source.repository, remote, name)
    except TagshipError as error:
        told = f"{where} did not take the tag {name}"
        if not take_back:
            raise Unavailable(f"{told}: {error.message}", f"git fetch --tags {where}") from None
        tags.delete(source.repository, name)
        raise Unavailable(
            f"{told}, so it was taken back: {error.message}",
            f"git fetch --tags {where}, then release again",
        ) from None
