"""A bare mirror of a repository's tags, for a host without a work tree.

It has two namespaces of refs. ``refs/seen/`` has what the server shows now: a fetch changes and
removes refs there. ``refs/tags/`` has what it ever showed: a fetch creates refs there, and never
changes or removes one. So a server cannot take back what was seen, and how the two differ says
what it tried. Nor can another address of the repository: what was seen at the old one stays.

A ref that names no annotated tag of a commit is no version, whatever its name. It gets no ref in
``refs/tags/``, so it does not take the name from the tag that may come after it. Only a person
gives a name in ``refs/tags/`` another object (``accept``); ``refs/before/`` keeps the first one.

What it has comes from a server of Git (``fetch``), or from a place that carries sealed tags
(``keep``, ``show``); what was seen, and how that is compared, is the same.

The blobs are left out; few of them are needed, and ``bring_blobs`` fetches those. The file of the
mirror's configuration names no remote: what fetches is told it on its command line. So no question
can start a fetch of what is missing, whatever the version of Git, and ``git cat-file`` answers
that an object is missing, instead of ending.
"""

import contextlib
import errno
import fcntl
import os
import re
import shlex
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol

from tagship.disk import atomic
from tagship.errors import Locked, NoAnswer, NotFound, Refused, TagshipError, Unavailable
from tagship.git import address, advice, bounded, run
from tagship.git.bounded import STEP, Limit, Question, TooMuch
from tagship.git.carried import CARRIED
from tagship.git.run import FSYNC, NO_HOOKS, CommandFailed, Repository
from tagship.progress import Tell, nobody

# A first fetch brings some 800 bytes a tag, and the trees of all its commits.
FETCH = Limit(silence=30, total=600, traffic=1 << 30, file=1 << 29, memory=1 << 30)
# What keeps Git's own needs far below that: it maps packs as a whole, and each thread has a heap.
SMALL = (
    "core.packedGitWindowSize=16m", "core.packedGitLimit=128m", "core.bigFileThreshold=1m",
    "core.deltaBaseCacheLimit=16m", "pack.threads=1", "pack.windowMemory=32m",
)  # fmt: skip
SEEN, TAGS = "refs/seen/", "refs/tags/"
BEFORE = "refs/before/"  # by id: what a tag was, until a person accepted another object for it
DEEPEST = 50  # folders on the way to a file of the mirror: a tag may have a thousand slashes
LARGEST = 1 << 20  # bytes of a tag object: a message with metrics has some thousand
ENDING = 15.0  # seconds in which a process that was killed is gone, on a busy disk too
SHALLOW = "shallow"  # the file that names commits whose parents are not here
REMOTE = "tagship"  # its name, on command lines alone
AT_ONCE = 500  # refs that are created by one process
MANY_PACKS = 50  # each fetch makes one: from so many on, they are put together
# Not fetch.fsckObjects: it refuses a whole repository for an old commit with a bad time zone, and
# what it guards against needs a checkout. Objects are named by their hash in any case.
FETCHING = (
    "fetch", "--quiet", "--no-tags", "--filter=blob:none", "--refmap=", "--no-write-fetch-head",
    "--no-auto-maintenance", "--no-recurse-submodules",
)  # fmt: skip
LACKS = re.compile("not our ref|unadvertised object")  # a server does not give objects by id
ALLOW = (
    "on the server: git config uploadpack.allowFilter true"
    " && git config uploadpack.allowAnySHA1InWant true"
)
DAMAGED = 2 | 4 | 8  # exit codes of git-fsck(1): an object is missing; a pack, a ref is damaged
# What some Git has written and every Git reads; or what is about links, as a capsule has the commit
# alone, without its parents and most of its files: see fsck(1).
HARMLESS = (
    "badDate", "badDateOverflow", "badEmail", "badName", "badTimezone", "gitattributesMissing",
    "gitmodulesMissing", "missingAuthor", "missingEmail", "missingNameBeforeEmail",
    "missingSpaceBeforeDate", "missingSpaceBeforeEmail", "multipleAuthors", "zeroPaddedDate",
)  # fmt: skip
HEAD = b"ref: refs/heads/none\n"
# The whole file: another one could name programs.
CONFIGURATION = (
    b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogAllRefUpdates = false\n"
)
REPACK = ("repack", "-a", "-d", "--quiet")
FOLDERS = ("objects/info", "objects/pack", "refs")


@dataclass(frozen=True)
class Changes:
    """How what a server shows differs from what it showed before, as names of tags.

    Attributes:
        new: seen for the first time; they are in ``refs/tags/`` now.
        moved: they name another object than before; ``refs/tags/`` keeps the first one.
        vanished: the server does not show them any more.
        impossible: they were not seen before, and cannot be kept: a tag that was has the name of
            a folder of theirs, or theirs is the name of such a folder.
        lightweight: they name no annotated tag of a commit, or one without end; they never count.
        foreign: they were not seen before, and are not kept: of what was seen of the same model,
            nothing is shown as it was. So this may be another repository.
        lost: what was seen of such models, and is moved or vanished.
    """

    new: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    impossible: tuple[str, ...] = ()
    lightweight: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def of(folder: Path) -> Repository:
    """The mirror in a folder, to read; also by an account that may only read it.

    Raises:
        NotFound: there is none yet.
    """
    run.forget_the_repository_of_a_hook()
    if not (folder / "HEAD").exists():
        raise NotFound(f"nothing was fetched yet: there is no {folder}", "tagship fetch")
    return _repository(folder)


def open_or_make(
    folder: Path, url: str, *, plain: bool = False, signed: bool = False
) -> Repository:
    """The mirror of a repository, to fetch into it; made where there is none.

    What was seen at another address stays: a server could else forget it under a new name.

    Args:
        folder: the mirror. The folder above it must be the host's own.
        url: the repository's.
        plain: as in ``address.check``.
        signed: as in ``address.check``.

    Raises:
        Refused: the URL is none that is allowed, or the mirror belongs to another account.
        Locked: another process fetches into it.
    """
    address.check(url, plain=plain, signed=signed)
    return made(folder)


def made(folder: Path) -> Repository:
    """The mirror in a folder, whoever feeds it; made where there is none.

    Raises:
        Refused, Locked: as for ``open_or_make``.
    """
    run.forget_the_repository_of_a_hook()
    atomic.make_folder(folder.parent)
    with _alone(folder):
        _finish(folder)
        if not folder.is_dir() or folder.is_symlink():
            _replace(folder, make_empty(folder))
        _lay_out(folder)
    return _repository(folder)


def _repository(folder: Path) -> Repository:
    return Repository(folder.absolute(), bare=True, ours=True)


def _check_owner(folder: Path) -> None:
    """Check that it belongs to this account: what Git writes, that one could not change any more.

    Raises:
        Refused: it does not.
    """
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise Refused(
            f"{folder} belongs to another account, of the number {owner}",
            f"fetch as that account: sudo -u '#{owner}' tagship fetch",
        )


def _lay_out(folder: Path) -> None:
    """Write what every bare repository has, where it is missing or changed: no template counts."""
    for name in FOLDERS:
        atomic.make_folder(folder / name)
    for name, data in (("HEAD", HEAD), ("config", CONFIGURATION)):
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            atomic.remove_tree(path)
            atomic.write(path, data)


def make_empty(folder: Path) -> Path:
    """An empty mirror beside a folder, under a name of its own; ``open_or_make`` removes it."""
    beside = atomic.temporary_name(folder)
    beside.mkdir(mode=0o755)
    _lay_out(beside)
    atomic.sync_tree(beside)
    return beside


def _aside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.old")


def _replace(folder: Path, beside: Path) -> None:
    """Put another mirror in the place of one, durably; ``_finish`` does the rest after a crash."""
    if folder.is_symlink() or folder.exists():
        os.rename(folder, _aside(folder))
    os.rename(beside, folder)
    atomic.sync_directory(folder.parent)
    atomic.remove_tree(_aside(folder))


def _finish(folder: Path) -> None:
    """Finish what a killed process has left."""
    if not folder.exists() and _aside(folder).exists():
        os.rename(_aside(folder), folder)
    atomic.remove_tree(_aside(folder))
    for path in atomic.temporaries(folder.parent):
        if path.name.startswith(f".{folder.name}."):
            atomic.remove_tree(path)


@contextlib.contextmanager
def _alone(folder: Path, wait: float = FETCH.silence) -> Iterator[None]:
    """Keep other processes of tagship from changing a mirror.

    Raises:
        Locked: another one does, for more than ``wait`` seconds.
        Refused: the mirror belongs to another account, or the file system has no locks.
    """
    if folder.exists():
        _check_owner(folder)
    until = time.monotonic() + wait
    lock = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        while not _locks(lock, folder):
            if time.monotonic() > until:
                raise Locked(f"another process fetches into {folder}", "try again when it is done")
            time.sleep(STEP)
        yield
    finally:
        os.close(lock)


def _locks(lock: int, folder: Path) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, *atomic.UNSUPPORTED):
            raise
        what = f"the file system of {folder.parent} has no file locks (flock)"
        raise Refused(what, "put the host's folder on another one") from None
    return True


# --- fetching


def fetch(
    repository: Repository, url: str, patterns: Sequence[str], tell: Tell = nobody,
    limit: Limit = FETCH,
) -> Changes:  # fmt: skip
    """Fetch the tags that match, without blobs, and keep those that were not seen before.

    A mirror that is damaged is made anew: what was seen and can still be read is kept.

    Args:
        repository: of ``open_or_make``.
        url: the repository that is mirrored.
        patterns: names of tags with one ``*`` each, which stands for anything.
        tell: is told whom is waited for, and what was repaired.
        limit: how long the server is waited for, and how much it may send.

    Returns:
        How what the server shows differs from what was seen.

    Raises:
        Unavailable: Git, or the server, failed; or NoAnswer, where it is silent; or TooMuch.
        Locked: another process fetches into the mirror.
    """
    if not patterns:  # Git would fetch HEAD
        return Changes()
    server = _Server(url, patterns, limit, tell)
    with _alone(repository.top, limit.silence):
        _sweep(repository.top)
        if _is_carried(repository):  # a server leaves out what Git believes to be here
            _renew(
                repository, server, "the mirror was fed from another place, and was fetched anew"
            )
        try:
            return _fetch(repository, server)
        except (NoAnswer, TooMuch):
            raise
        except Unavailable:
            if not _repair(repository, server):
                raise
        return _fetch(repository, server)


def look(
    repository: Repository, url: str, patterns: Sequence[str], tell: Tell = nobody,
    limit: Limit = FETCH,
) -> None:  # fmt: skip
    """Fetch what the server shows, for who sees by the files of the mirror whether that changed it.

    Where it did, ``fetch`` does the rest. The arguments, and what is raised, are as of ``fetch``;
    a damaged mirror stays as it is.
    """
    with _alone(repository.top, limit.silence):
        _sweep(repository.top)
        _Server(url, patterns, limit, tell).see(repository)


def repair(
    repository: Repository, url: str, patterns: Sequence[str], tell: Tell = nobody,
    limit: Limit = FETCH,
) -> bool:  # fmt: skip
    """Make a mirror anew if it is damaged: for who could not read an object that it has.

    Returns:
        Whether it was. The arguments, and what is raised, are as of ``fetch``.
    """
    with _alone(repository.top, limit.silence):
        return _repair(repository, _Server(url, patterns, limit, tell))


class Feed(Protocol):
    """What a mirror is fed from."""

    @property
    def is_refilled(self) -> bool:
        """Whether people fill it, who are asked there, and may begin anew: see ``compare``."""

    @property
    def tell(self) -> Tell:
        """Is told what was repaired."""

    def see(self, repository: Repository) -> None:
        """Have ``refs/seen/`` show what there is now, with the objects."""

    def pack(self, repository: Repository) -> None:
        """Put the packs together."""


@dataclass(frozen=True)
class _Server:
    """A server of Git, and which tags are fetched from it."""

    url: str
    patterns: Sequence[str]
    limit: Limit
    tell: Tell
    is_refilled: ClassVar[bool] = False

    def see(self, repository: Repository) -> None:
        patterns = dict.fromkeys(self.patterns)
        refspecs = [f"+{TAGS}{pattern}:{SEEN}{pattern}" for pattern in patterns]
        self._transfer(repository, *FETCHING, "--prune", REMOTE, *refspecs)
        _flatten(repository.top)

    def pack(self, repository: Repository) -> None:
        self._transfer(repository, *REPACK, tell=nobody)

    def _transfer(self, repository: Repository, *arguments: str, tell: Tell | None = None) -> None:
        _transfer(repository, self.url, tell or self.tell, self.limit, *arguments)


def _fetch(repository: Repository, server: _Server) -> Changes:
    server.see(repository)
    return _keep_seen(repository, server.patterns, server)


def _keep_seen(repository: Repository, patterns: Sequence[str], feed: Feed) -> Changes:
    """Compare what is shown with what was ever seen, and keep what is new."""
    seen, tags = _refs(repository, patterns)
    changes, plain = _compared(repository, seen, tags, is_refilled=feed.is_refilled)
    _delete(repository, plain)  # an older tagship kept them
    if changes.new:
        _create(repository, TAGS, {name: seen[name] for name in changes.new})
        _tidy(repository, feed.pack)
    return changes


def _compared(
    repository: Repository, seen: Mapping[str, str], tags: Mapping[str, str], *, is_refilled: bool
) -> tuple[Changes, dict[str, str]]:
    """How two lists of ``_refs`` differ; and the tags of the second that are no tag objects."""
    ids = {identity for _, identity in seen.items() ^ tags.items()}
    if not ids:
        return Changes(), {}
    kinds = _kinds(repository, ids, set(seen.values()))
    lightweight = {name for name in seen if seen[name] in ids - kinds.annotated}
    plain = {name: identity for name, identity in tags.items() if identity in kinds.plain}
    kept = {name: identity for name, identity in tags.items() if name not in plain}
    return compare(seen, kept, lightweight, is_refilled=is_refilled), plain


def compare(
    seen: Mapping[str, str], tags: Mapping[str, str], lightweight: Collection[str] = (), *,
    is_refilled: bool = False,
) -> Changes:  # fmt: skip
    """Compare what a server shows with what was ever seen.

    Args:
        seen, tags: the ids of objects by names of tags.
        lightweight: those of ``seen`` that never count.
        is_refilled: what shows them was emptied and filled anew, for all that is known: what is
            new is not foreign, though nothing else is shown.
    """
    folders = {folder for name in tags for folder in _folders(name)}
    added = sorted(seen.keys() - tags.keys() - set(lightweight))
    impossible = {name for name in added if name in folders or tags.keys() & set(_folders(name))}
    kept = {_stem(name) for name in tags if seen.get(name) == tags[name]}
    lost = {_stem(name) for name in tags} - kept
    if is_refilled:
        lost -= {_stem(name) for name in added}
    foreign = {name for name in added if _stem(name) in lost} - impossible
    return Changes(
        tuple(name for name in added if name not in impossible | foreign),
        tuple(sorted(name for name in seen.keys() & tags.keys() if seen[name] != tags[name])),
        tuple(sorted(tags.keys() - seen.keys())),
        tuple(sorted(impossible)),
        tuple(sorted(set(lightweight) - tags.keys())),
        tuple(sorted(foreign)),
        tuple(sorted(name for name in tags if _stem(name) in lost)),
    )


def _stem(name: str) -> str:
    """What all tags of a model begin with."""
    return re.split("[@#]", name, maxsplit=1)[0]


def _folders(name: str) -> list[str]:
    """The folders that a name is in: ``a`` and ``a/b`` of ``a/b/c``."""
    return [name[: slash.start()] for slash in re.finditer("/", name)]


class _Kinds(NamedTuple):
    """Of some objects: those that are annotated tags of commits, and those that are no tags."""

    annotated: set[str]
    plain: set[str]


def _kinds(repository: Repository, ids: set[str], shown: set[str]) -> _Kinds:
    """What objects are, by their ids.

    Raises:
        Unavailable: one that the server shows cannot be read: it was fetched.
    """
    names = sorted(ids)
    rows = [line.split(" ") for line in _checked(repository, names)]
    if missing := {row[0] for row in rows if len(row) != 3} & shown:
        raise Unavailable(f"git: missing object {min(missing)}", "tagship fetch")
    sizes = {row[0]: int(row[2]) for row in rows if row[1] == "tag"}
    small = [name for name in names if sizes.get(name, LARGEST + 1) <= LARGEST]
    peeled = _checked(repository, [f"{name}^{{commit}}" for name in small])
    annotated = {name for name, line in zip(small, peeled, strict=True) if " commit " in line}
    return _Kinds(annotated, {row[0] for row in rows if row[1] in ("commit", "tree", "blob")})


def _checked(repository: Repository, names: Sequence[str]) -> list[str]:
    """A line for each object: its id, type and size; or its name, and that it is missing."""
    if not names:
        return []
    questions = "".join(f"{name}\n" for name in names).encode()
    return (
        _answer(repository, "cat-file", "--batch-check", questions=questions)
        .decode()
        .split("\n")[:-1]
    )


def _refs(
    repository: Repository, patterns: Sequence[str] = ("*",)
) -> tuple[dict[str, str], dict[str, str]]:
    """What the server shows, and what was ever seen: the ids of objects by names of tags."""
    refs = _listed(repository, SEEN, TAGS)
    wanted = re.compile("|".join(re.escape(pattern).replace(r"\*", ".*") for pattern in patterns))
    seen, tags = (
        {name: identity for name, identity in refs[space].items() if wanted.fullmatch(name)}
        for space in (SEEN, TAGS)
    )
    return seen, tags


def _listed(repository: Repository, *spaces: str) -> dict[str, dict[str, str]]:
    """The ids of objects by names of refs, without their space; no object is read."""
    form = "--format=%(objectname) %(refname)"
    text = os.fsdecode(_answer(repository, "for-each-ref", form, *spaces))
    refs: dict[str, dict[str, str]] = {space: {} for space in spaces}
    for line in text.split("\n")[:-1]:
        object_id, _, ref = line.partition(" ")
        space = next(space for space in spaces if ref.startswith(space))
        refs[space][ref[len(space) :]] = object_id
    return refs


def name_tags(repository: Repository, tags: Mapping[str, str]) -> None:
    """Create tags, by their names, where none of them is.

    Raises:
        Unavailable: Git failed; or one has the name of a folder of another one.
    """
    _create(repository, TAGS, tags)


def _create(repository: Repository, space: str, refs: Mapping[str, str]) -> None:
    _update(repository, [f"create {space}{name}\0{i}\0" for name, i in refs.items()])


def _delete(repository: Repository, tags: Mapping[str, str]) -> None:
    _update(repository, [f"delete {TAGS}{name}\0{i}\0" for name, i in tags.items()])


def _update(repository: Repository, orders: Sequence[str]) -> None:
    """Change refs, durably: a slow disk syncs some hundred in the time of a question."""
    for start in range(0, len(orders), AT_ONCE):
        questions = os.fsencode("".join(orders[start : start + AT_ONCE]))
        _answer(repository, *FSYNC, "update-ref", "-z", "--stdin", questions=questions)


def _tidy(repository: Repository, pack: Callable[[Repository], None]) -> None:
    """Put refs and packs together, now and then: else a mirror gets slow with the years."""
    try:
        _answer(repository, *FSYNC, "pack-refs", "--all")
        packs = list((repository.top / "objects" / "pack").glob("*.pack"))
        if len(packs) > MANY_PACKS:
            pack(repository)
    except Unavailable:  # what is new is kept and told all the same
        _sweep(repository.top)


def _answer(repository: Repository, *arguments: str, questions: bytes = b"") -> bytes:
    try:
        return run.answer(repository, *arguments, questions=questions)
    except CommandFailed as error:
        raise run.failure(error) from None


def _transfer(
    repository: Repository, url: str, tell: Tell, limit: Limit, *arguments: str, stdin: str = ""
) -> None:
    """Run Git where the server is its remote, which has what is missing here.

    Raises:
        Unavailable: it ended with an error, or NoAnswer.
    """
    shown = address.shown_as(url)
    check = f"git ls-remote --heads {shlex.quote(shown)}"
    settings = [
        f"remote.{REMOTE}.url={url}", f"remote.{REMOTE}.promisor=true",
        f"remote.{REMOTE}.partialCloneFilter=blob:none", "protocol.version=2",
        "http.followRedirects=false", NO_HOOKS, *SMALL,
    ]  # fmt: skip
    if address.check(url, plain=True, signed=True) == "file":  # it runs under the same limits
        upload = " ".join(["git", *(f"-c {setting}" for setting in SMALL), "upload-pack"])
        settings.append(f"remote.{REMOTE}.uploadpack={upload}")
    words = [word for setting in settings for word in ("-c", setting)]
    more = Question(check, stdin.encode(), _environment(url))
    try:
        bounded.act(
            repository, shown, limit, lambda: tell(f"waiting for {shown}"),
            *words, *FSYNC, *arguments, more=more,
        )  # fmt: skip
    except Unavailable as error:
        _sweep(repository.top, ENDING)  # half a pack would fill the disk until the next fetch
        raise _explained(error, shown, check, repository.top) from None


def _environment(url: str) -> dict[str, str]:
    """Which protocols Git may use: this wins over all that is configured.

    A person's ``url.*.insteadOf`` may lead from one that is allowed to another.
    """
    allowed = {*address.SECURE, address.check(url, plain=True, signed=True)}
    if "GIT_ALLOW_PROTOCOL" in os.environ:  # a person allows fewer
        allowed &= set(os.environ["GIT_ALLOW_PROTOCOL"].split(":"))
    return {"GIT_ALLOW_PROTOCOL": ":".join(sorted(allowed)) or "none", "GIT_NO_LAZY_FETCH": "1"}


def _explained(error: Unavailable, shown: str, check: str, top: Path) -> TagshipError:
    """The error with a hint that helps here, where Git knows the remote by no name."""
    if isinstance(error, NoAnswer | TooMuch):
        return error
    if "No space left on device" in error.message:
        return Unavailable(error.message, f"make room: df -h {shlex.quote(str(top))}")
    if re.search(r"returned error: 30\d|redirect", error.message):
        return Unavailable(error.message, "the server names another address: use that one")
    if "terminal prompts disabled" in error.message:
        log_in = "git config --global credential.helper store"
        return Unavailable(error.message, f"log in with a credential helper: {log_in} && {check}")
    if known := advice.of(error.message, shown, check):
        return Unavailable(error.message, known)
    if not error.hint or "git remote -v" in error.hint:
        return Unavailable(error.message, f"check its address, and what it asks for: {check}")
    return error


# --- what was seen, without asking the server


def changes(
    repository: Repository, patterns: Sequence[str], *, is_refilled: bool = False
) -> Changes:  # fmt: skip
    """What the last fetch found, but for what was new then.

    Args:
        repository: of ``of``.
        patterns: as for ``fetch``.
        is_refilled: as of the ``Feed`` it was.

    Raises:
        Unavailable: the mirror cannot be read.
    """
    found = _compared(repository, *_refs(repository, patterns), is_refilled=is_refilled)[0]
    return replace(found, new=())


def moved(repository: Repository, name: str) -> tuple[str, str] | None:
    """The id of a tag that was seen first, and the one that the server shows; None where it is one.

    The first is empty where the tag is shown and was not kept, as all else of its model is lost.

    Raises:
        Refused: what it shows is no annotated tag of a commit.
        Unavailable: the mirror cannot be read.
    """
    seen, tags = _refs(repository, [name])
    if name not in seen or seen[name] == tags.get(name):
        return None
    if not _kinds(repository, {seen[name]}, {seen[name]}).annotated:
        raise Refused(f"{name} is no annotated tag any more", "tagship fetch")
    return tags.get(name, ""), seen[name]


def accept(repository: Repository, name: str, first: str, then: str) -> None:
    """Have a tag name another object from now on: a person says so. The first one is kept too.

    Args:
        repository: of ``open_or_make``.
        name: of the tag.
        first, then: the ids of ``moved``.

    Raises:
        Unavailable: it is another one by now; or the mirror cannot be changed.
        Locked: another process fetches into the mirror.
    """
    kept = f"update {BEFORE}{first}\0{first}\0\0"
    with _alone(repository.top):
        if not first:
            _create(repository, TAGS, {name: then})
            return
        _update(repository, [kept, f"update {TAGS}{name}\0{then}\0{first}\0"])


# --- what a killed process, or a bad disk, has left


def _workers(top: Path) -> bool:
    """Whether another process of this machine is at work in the mirror, such as Git's.

    Git goes on for a while when the tagship is killed that started it.
    """
    here = str(top.resolve())
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it is of another account, or has just ended
            if os.readlink(link) == here and link.parent.name != str(os.getpid()):
                return True
    return False


def _sweep(top: Path, patience: float = 0) -> None:
    """Remove what a killed Git has left: locks, and halves of files.

    Args:
        top: the mirror.
        patience: seconds to wait for processes that have just been ended.
    """
    packs = (top / "objects" / "pack").glob("*")
    left = [path for path in packs if path.name.startswith("tmp_") or path.suffix == ".keep"]
    left += [path for path in top.glob("*") if path.name == "packed-refs.new"]
    for folder in (top, *_below(top)):
        left += [path for path in folder.glob("*.lock") if path.is_file()]  # no ref may end so
    until = time.monotonic() + patience
    while left and _workers(top):
        if time.monotonic() > until:
            return
        time.sleep(STEP)
    for path in left:
        path.unlink(missing_ok=True)
    _flatten(top)


def _below(top: Path) -> Iterator[Path]:
    """The folders below one, each before those in it: before Python 3.12 os.walk calls itself."""
    folders = [top]
    while folders:
        with contextlib.suppress(FileNotFoundError), os.scandir(folders.pop()) as entries:
            inner = [Path(each) for each in entries if each.is_dir(follow_symlinks=False)]
            folders += inner
            yield from inner


def _flatten(top: Path) -> None:
    """Have no ref in so many folders that they cannot be walked through; Git leaves empty ones."""
    folders = list(_below(top / "refs"))
    if all(len(folder.relative_to(top).parts) <= DEEPEST for folder in folders):
        return
    with contextlib.suppress(Unavailable):
        _answer(_repository(top), *FSYNC, "pack-refs", "--all")
    for folder in reversed(folders):
        atomic.remove_empty(folder)


def _repair(repository: Repository, feed: Feed) -> bool:
    """``repair``, where no other process fetches."""
    if not _is_damaged(repository):
        return False
    _renew(repository, feed, "the mirror was damaged, and was fetched anew")
    return True


def _renew(repository: Repository, feed: Feed, why: str) -> None:
    """Make a mirror anew, and keep what was ever seen."""
    top = repository.top
    beside = make_empty(top)
    try:
        anew = _repository(beside)
        feed.see(anew)
        lost = _carry(repository, anew)
        _replace(top, beside)
    except BaseException:
        atomic.remove_tree(beside)
        raise
    kept = f"; {len(lost)} tags could not be read, and count as not seen" if lost else ""
    feed.tell(f"{why}{kept}")


def _is_damaged(repository: Repository) -> bool:
    """Whether objects or refs of a mirror cannot be read, as far as Git can tell."""
    settings = [f"remote.{REMOTE}.promisor=true", *(f"fsck.{each}=ignore" for each in HARMLESS)]
    words = [word for setting in settings for word in ("-c", setting)]  # it may lack blobs
    try:
        run.answer(repository, *words, "fsck", "--no-progress", "--no-dangling")
    except CommandFailed as error:
        status = error.status
        return isinstance(status, int) and (status >= 128 or bool(status & DAMAGED))
    except OSError:
        return True
    except Unavailable:  # it took too long
        return False
    return False


def _carry(old: Repository, new: Repository) -> list[str]:
    """Keep what was ever seen, in another mirror; the refs that cannot be read."""
    try:
        spaces = _listed(old, TAGS, BEFORE)
    except (Unavailable, OSError):
        return []
    here = _present(new, (identity for refs in spaces.values() for identity in refs.values()))
    lost: list[str] = []
    for space, refs in spaces.items():
        _create(new, space, {name: identity for name, identity in refs.items() if identity in here})
        away = [f"{space}{name}" for name, identity in refs.items() if identity not in here]
        lost += _bring_refs(old, new, away)
    return lost


def _bring_refs(old: Repository, new: Repository, refs: list[str]) -> list[str]:
    """Take refs out of a damaged mirror: what cannot be read is found by halves."""
    if not refs:
        return []
    try:
        (_salvage if _is_carried(old) else _fetch_from)(old, new, refs)
    except Unavailable:
        half = len(refs) // 2
        if not half:
            return refs
        return [ref for part in (refs[:half], refs[half:]) for ref in _bring_refs(old, new, part)]
    return []


def _fetch_from(old: Repository, new: Repository, refs: list[str]) -> None:
    upload = "--upload-pack=git -c uploadpack.allowFilter=true upload-pack"
    refspecs = "".join(f"{ref}:{ref}\n" for ref in refs)
    _transfer(
        new, str(old.top), nobody, FETCH, *FETCHING, upload, "--stdin", REMOTE, stdin=refspecs
    )


def _salvage(old: Repository, new: Repository, refs: list[str]) -> None:
    """The same where the old mirror lacks folders: a fetch would find that it cannot give them."""
    names = "".join(f"{ref}\n" for ref in refs).encode()
    options = ("--no-walk", "--missing=allow-any", "--stdin")
    commits = _answer(old, "rev-list", *options, questions=names)
    ids = _answer(old, "rev-list", "--objects", "--no-object-names", *options, questions=names)
    pack = _answer(old, "pack-objects", "--stdout", "--quiet", questions=ids)
    _answer(new, *FSYNC, "index-pack", "--stdin", f"--promisor={REMOTE}", questions=pack)
    _append(new, set(commits.decode().split()))  # their parents may be lost
    known = {
        f"{space}{name}": i
        for space, of in _listed(old, TAGS, BEFORE).items()
        for name, i in of.items()
    }
    _create(new, "", {ref: known[ref] for ref in refs})


# --- what comes without a server of Git


def keep(
    repository: Repository, put: Callable[[Repository], None], commits: Mapping[str, Sequence[str]]
) -> None:
    """Put objects into a mirror that come from no server, of commits without their parents.

    Whoever cuts this short finds objects that nothing names yet, and does it again.

    Args:
        repository: of ``made``.
        put: puts them into a repository, durably.
        commits: the ids of their parents, by id.

    Raises:
        Unavailable: Git failed, or the disk is full.
        Locked: another process fetches into the mirror.
    """
    with _alone(repository.top):
        _sweep(repository.top)
        fill(repository, put, commits)


def fill(
    repository: Repository, put: Callable[[Repository], None], commits: Mapping[str, Sequence[str]]
) -> None:
    """``keep``, for who has the mirror alone: a ``Feed``, in ``see``."""
    if not _is_carried(repository):
        atomic.write(repository.top / CARRIED, b"")
    put(repository)
    here = _present(repository, {parent for parents in commits.values() for parent in parents})
    _append(repository, {each for each, parents in commits.items() if not here.issuperset(parents)})


def show(
    repository: Repository, shown: Mapping[str, str], patterns: Sequence[str]
) -> tuple[str, ...]:
    """Have ``refs/seen/`` show what a place does: for a ``Feed``, in ``see``.

    Args:
        repository: which has the objects already.
        shown: the ids of tag objects, by the names of the tags.
        patterns: those that the place could show.

    Returns:
        The names that cannot be kept beside others that it shows.

    Raises:
        Unavailable: Git failed.
    """
    before, _ = _refs(repository, patterns)
    after = _fitting(shown, before)
    gone = [name for name in before if name not in after]
    _update(repository, [f"delete {SEEN}{name}\0\0" for name in gone])  # may be a folder's name
    changed = {name: i for name, i in after.items() if before.get(name) != i}
    _update(repository, [f"update {SEEN}{name}\0{i}\0\0" for name, i in changed.items()])
    return tuple(sorted(shown.keys() - after.keys()))


def _fitting(shown: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Those that can be kept side by side; of two that cannot, the one that was there before."""
    after: dict[str, str] = {}
    folders: set[str] = set()
    for name in sorted(shown, key=lambda name: (name not in before, name)):
        if name not in folders and not after.keys() & set(_folders(name)):
            after[name] = shown[name]
            folders.update(_folders(name))
    return after


def take(repository: Repository, feed: Feed, patterns: Sequence[str]) -> Changes:
    """``fetch``, from what is no server of Git. A mirror that is damaged is made anew.

    Args:
        repository: of ``made``.
        feed: shows what there is.
        patterns: names of tags, as for ``fetch``.

    Raises:
        Unavailable: Git failed; or what ``feed`` raises.
        Locked: another process fetches into the mirror.
    """
    with _alone(repository.top):
        _sweep(repository.top)
        try:
            feed.see(repository)
            return _keep_seen(repository, patterns, feed)
        except Unavailable:
            if not _repair(repository, feed):
                raise
        feed.see(repository)
        return _keep_seen(repository, patterns, feed)


def repair_from(repository: Repository, feed: Feed) -> bool:
    """``repair``, of a mirror that no server of Git feeds."""
    with _alone(repository.top):
        return _repair(repository, feed)


def pack(repository: Repository) -> None:
    """Put the packs of such a mirror together: for a ``Feed``."""
    promisor = ("-c", f"remote.{REMOTE}.promisor=true")
    _answer(repository, *promisor, *FSYNC, *REPACK)


def shown(repository: Repository, patterns: Sequence[str]) -> dict[str, str]:
    """What was shown last: the ids of objects by names of tags.

    Raises:
        Unavailable: the mirror cannot be read.
    """
    return _refs(repository, patterns)[0]


def lacks(repository: Repository, ids: Collection[str]) -> set[str]:
    """Those of some objects that the mirror does not have.

    Raises:
        Unavailable: the mirror cannot be read.
    """
    return set(ids) - _present(repository, ids) if ids else set()


def _is_carried(repository: Repository) -> bool:
    """Whether some of the commits came without the folders that they have."""
    return (repository.top / CARRIED).is_file()


def _shallow(repository: Repository) -> set[str]:
    file = repository.top / SHALLOW
    return set(file.read_text().split()) if file.is_file() else set()


def _append(repository: Repository, commits: set[str]) -> None:
    """Name commits in ``shallow``, whose parents are not here: Git asks for none of those.

    The file has a line for each (technical/shallow.txt of Git's documentation).
    """
    before = _shallow(repository)
    if not commits <= before:
        data = "".join(f"{each}\n" for each in sorted(commits | before))
        atomic.write(repository.top / SHALLOW, data.encode())


# --- blobs


def bring_blobs(
    repository: Repository, url: str, ids: Iterable[str], tell: Tell = nobody,
    limit: Limit = FETCH,
) -> None:  # fmt: skip
    """Fetch blobs by their ids, in one round trip.

    A server that does not give objects by id is asked for the tags with all their blobs instead.

    Args:
        repository: of ``open_or_make``, with the tags whose commits have the blobs.
        url: the repository that is mirrored.
        ids: of the blobs.
        tell: is told whom is waited for.
        limit: how long the server is waited for, and how much it may send.

    Raises:
        Unavailable: the server does not have them, or does not give them; or NoAnswer.
        Locked: another process fetches into the mirror.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return
    noop = ("-c", "fetch.negotiationAlgorithm=noop")
    lines = "".join(f"{identity}\n" for identity in wanted)
    with _alone(repository.top, limit.silence):
        try:
            _transfer(
                repository, url, tell, limit, *noop, *FETCHING, "--stdin", REMOTE, stdin=lines
            )
        except NoAnswer:
            raise
        except Unavailable as error:
            if not LACKS.search(error.message):
                raise
            _bring_all(repository, url, tell, limit)
    missing = set(wanted) - _present(repository, wanted)
    if missing:
        what = f"{address.shown_as(url)} does not give {len(missing)} of {len(wanted)} blobs"
        raise Unavailable(f"{what}, such as {min(missing)[:10]}", ALLOW)


def _bring_all(repository: Repository, url: str, tell: Tell, limit: Limit) -> None:
    """Fetch all that the server shows once more, now with its blobs."""
    seen, _ = _refs(repository)
    if not seen:
        return
    whole = [word for word in FETCHING if not word.startswith("--filter")]
    names = "".join(f"{TAGS}{name}\n" for name in seen)
    _transfer(
        repository, url, tell, limit, *whole, "--no-filter", "--refetch", "--stdin", REMOTE,
        stdin=names,
    )  # fmt: skip


def _present(repository: Repository, ids: Iterable[str]) -> set[str]:
    """Those of some objects that the mirror has."""
    questions = "".join(f"{identity}\n" for identity in ids).encode()
    answer = _answer(repository, "cat-file", "--batch-check=%(objectname)", questions=questions)
    return {line for line in answer.decode().splitlines() if " " not in line}
