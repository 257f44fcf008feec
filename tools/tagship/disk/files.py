"""Files with their sizes and digests: what a version directory must contain, and does."""

import contextlib
import errno
import fcntl
import functools
import hashlib
import itertools
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Annotated, BinaryIO, Self, TypeVar

from tagship.disk import access
from tagship.errors import Forbidden
from tagship.progress import Advance, Progress, silent
from tagship.text.json_reader import Is
from tagship.text.paths import PathText

BLOCK = 1 << 19  # bytes hashed and copied at a time: with 1 MiB a core's cache (L2) holds no block
AHEAD = 16  # blocks that can be read before the slower digest has had the first
FICLONE = 0x40049409  # ioctl of Linux, <linux/fs.h>: share the blocks of another file
METADATA = "metadata.json"
SIGNATURE = "model.sig"
DENIED = "cannot be checked: "
CUT_SHORT = "is cut short: "
OWN = (METADATA, SIGNATURE)  # files that tagship adds to those of a version
T = TypeVar("T")
Write = Callable[[bytes | memoryview], object]


class Unreadable(OSError):
    """An existing file that cannot be read: forbidden, not a regular file, or a bad disk."""


def _is_hex(text: str) -> bool:
    return re.fullmatch(r"(?:[0-9a-f]{2})*", text) is not None


HexText = Annotated[str, Is(_is_hex, "a digest")]  # empty if unknown


@dataclass(frozen=True)
class File:
    """One file of a version: path below the version directory, size in bytes, hex digests."""

    path: PathText
    size: int
    md5: HexText
    sha256: HexText
    executable: bool = False


@dataclass(frozen=True)
class Problem:
    """What is wrong with one file of a version directory.

    Attributes:
        path: the file, from the directory.
        what: what is wrong with it.
        mode: the one that chmod must set.
        denied: this account may not read it, so nothing is known to be wrong: what helps.
    """

    path: str
    what: str
    mode: str | None = None
    denied: str | None = None

    @property
    def is_lost(self) -> bool:
        """Whether bytes are not there any more, without which nothing can answer."""
        is_short = self.what == "is missing" or self.what.startswith(CUT_SHORT)
        return is_short and self.denied is None

    @classmethod
    def of_denial(cls, path: str, error: Forbidden) -> Self:
        """What a denial leaves unknown."""
        return cls(path, f"{DENIED}{error.message}", denied=error.hint)


def digest(path: Path, advance: Advance | None = None) -> File:
    """Hash a regular file; a link is not followed.

    Returns:
        The file by its own name; the caller sets its path in the version.

    Raises:
        Unreadable: the file cannot be read, or is a link.
    """
    with _open(path) as source:
        return _digest(source, path.name, None, advance)


def read(path: Path) -> bytes:
    """The bytes of a small regular file; a link is not followed.

    Raises:
        Unreadable: the file cannot be read, or is a link.
    """
    with _open(path) as source:
        return _reading(source.readall)


def opened(path: Path) -> FileIO:
    """Open a regular file to read it; a link is not followed.

    Raises:
        Unreadable: the file cannot be read, or is a link.
        FileNotFoundError: there is none.
    """
    try:
        return _open(path)
    except Unreadable as error:
        if error.errno == errno.ENOENT:
            raise FileNotFoundError(error.errno, error.strerror, str(path)) from None
        raise


def create(path: Path) -> BinaryIO:
    """Create a file that only its owner can write, under any umask.

    Raises:
        FileExistsError: it exists.
    """
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o644))


def copy(source: Path, target: Path, advance: Advance | None = None) -> File:
    """Copy a regular file to a new name and hash it, sharing blocks where the file system can.

    Never a hard or symbolic link: a write through one would corrupt the DVC cache.

    Returns:
        As ``digest`` of the target.

    Raises:
        Unreadable: the source cannot be read, or is a link.
    """
    with _open(source) as reader, create(target) as writer:
        # ENOTTY, EOPNOTSUPP, EXDEV, EINVAL: not possible on or between these file systems
        with contextlib.suppress(OSError):
            fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
            return digest(target, advance)
        large = os.fstat(reader.fileno()).st_size > BLOCK
        with through(writer) if large else contextlib.nullcontext(writer.write) as write:
            return _digest(reader, target.name, write, advance)


def receive(
    blocks: Iterable[bytes | memoryview],
    target: Path | None,
    advance: Advance | None = None,
    *beside: Write,
) -> File:
    """Write what arrives to a new file, hashed on its way.

    Args:
        blocks: the bytes in order; a file of more than one block is synced while it arrives.
        target: the new file; None to hash alone.
        advance: is called with the bytes that arrived.
        beside: are called with each block; of several blocks, on threads of their own.

    Returns:
        As ``digest`` of the target.
    """
    arriving = iter(blocks)
    first, second = next(arriving, b""), next(arriving, None)
    large = second is not None
    arriving = itertools.chain([first], [] if second is None else [second], arriving)
    with contextlib.ExitStack() as stack:
        write: Write | None = None
        if target is not None:
            writer = stack.enter_context(create(target))
            write = stack.enter_context(through(writer)) if large else writer.write
        name = target.name if target else ""
        return _hash(arriving, name, write, advance, beside, threaded=large)


@contextlib.contextmanager
def through(target: BinaryIO) -> Iterator[Write]:
    """Write blocks, and sync them meanwhile: a sync at the end would take as long as the copy.

    One sync at a time, of all that is written by then.
    """
    synced: Future[None] | None = None
    with ThreadPoolExecutor(1) as pool:

        def write(block: bytes | memoryview) -> None:
            nonlocal synced
            target.write(block)
            if synced is None or synced.done():
                _raise_of(synced)
                synced = pool.submit(os.fdatasync, target.fileno())

        yield write
    _raise_of(synced)


def pour(source: Path, write: Write | None, advance: Advance | None = None, *beside: Write) -> File:
    """Read a regular file once: hash it, and pass its blocks on.

    Args:
        source: the file; a link is not followed.
        write: is called with each block; None to hash alone.
        advance: is called with the bytes that were read.
        beside: are called as ``write`` is, of a large file on threads of their own: other hashes.

    Returns:
        As ``digest`` of the source.

    Raises:
        Unreadable: the source cannot be read, or is a link.
    """
    with _open(source) as reader:
        return _digest(reader, source.name, write, advance, beside)


def _raise_of(synced: Future[None] | None) -> None:
    """Raise the error of a sync: the kernel reports a failed write only once."""
    if synced is not None:
        synced.result()


def _digest(
    source: FileIO, name: str, write: Write | None, advance: Advance | None,
    beside: tuple[Write, ...] = (),
) -> File:  # fmt: skip
    """Hash, and copy, in one pass."""
    expected = os.fstat(source.fileno()).st_size
    blocks = _blocks(source, min(expected + 1, BLOCK))
    return _hash(blocks, name, write, advance, beside, threaded=expected > BLOCK)


def _blocks(source: FileIO, size: int) -> Iterator[memoryview]:
    """A file in blocks; each is good until ``AHEAD - 1`` more were read."""
    for buffer in itertools.cycle(bytearray(size) for _ in range(AHEAD)):
        count = _reading(functools.partial(source.readinto, buffer))
        if not count:
            return
        yield memoryview(buffer)[:count]


def _hash(
    blocks: Iterable[bytes | memoryview],
    name: str,
    write: Write | None,
    advance: Advance | None,
    beside: tuple[Write, ...] = (),
    *,
    threaded: bool,
) -> File:
    """Hash blocks, and write them; of several, all but SHA-256 is on threads of its own."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    others = (md5.update, *beside)
    behind: deque[list[Future[object]]] = deque()
    with contextlib.ExitStack() as stack:
        # a single thread for each: a hash needs the blocks in order
        count = len(others) if threaded else 0
        pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(count)]
        for block in blocks:
            if threaded:
                pairs = zip(pools, others, strict=True)
                behind.append([pool.submit(other, block) for pool, other in pairs])
            else:
                for other in others:
                    other(block)
            sha256.update(block)
            size += len(block)
            if write is not None:
                write(block)
            if advance is not None:
                advance(len(block))
            if len(behind) == AHEAD:  # the buffer of the next block is still in use
                for done in behind.popleft():
                    done.result()
    return File(name, size, md5.hexdigest(), sha256.hexdigest())


def _open(path: Path) -> FileIO:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(error.errno, error.strerror, str(path)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable(errno.EINVAL, "not a regular file", str(path))
    return FileIO(descriptor)


def _reading(read: Callable[[], T]) -> T:
    """Read; an error (EIO of a bad disk) is one of the source, and not of the copy's target."""
    try:
        return read()
    except OSError as error:
        raise Unreadable(error.errno, error.strerror) from None


def verify(
    directory: Path,
    files: Iterable[File],
    *,
    deep: bool = True,
    untouched: Mapping[str, str] = MappingProxyType({}),
    progress: Progress = silent,
) -> list[Problem]:
    """Compare a version directory with the files that it must contain, besides tagship's own.

    Args:
        directory: the version directory.
        files: those that it must contain.
        deep: hash every byte; else compare only names, kinds, sizes and executable bits.
        untouched: stamps by path: a file that still has its ``stamp`` is not hashed.
        progress: reports the bytes hashed.
    """
    expected = {file.path: file for file in files}
    folders = {".", *(str(above) for path in expected for above in PurePosixPath(path).parents)}
    problems: list[Problem] = []
    denials: list[Problem] = []
    with progress("hashing", sum(file.size for file in expected.values())) as advance:
        for path, entry in _scan(directory, denials):
            if entry.is_dir() and not entry.is_symlink():
                if path not in folders | expected.keys() and not _has_entries(entry):
                    problems.append(Problem(path, "is not of this version"))
                continue
            file = expected.pop(path, None)
            if file is None:
                if path not in OWN:
                    problems.append(Problem(path, "is not of this version"))
            else:
                stamp_then = untouched.get(path)
                problems += _differences(entry, file, stamp_then, advance if deep else None)
    for denied in denials:
        expected = {path: expected[path] for path in expected if not _is_below(path, denied.path)}
    problems += [*denials, *(Problem(path, "is missing") for path in expected)]
    return sorted(problems, key=lambda problem: problem.path)


def _has_entries(folder: Path) -> bool:
    with contextlib.suppress(PermissionError):  # told by ``_scan``
        return any(folder.iterdir())
    return True


def _is_below(path: str, folder: str) -> bool:
    return folder == "." or path.startswith(f"{folder}/")


def stamp(path: Path) -> str:
    """A text that changes when the file is touched: inode number and times, in nanoseconds.

    No program can set the second time, ``st_ctime``.
    """
    return _stamp(path.stat(follow_symlinks=False))


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"


def _differences(
    path: Path, file: File, untouched: str | None, hashed: Advance | None
) -> list[Problem]:
    """How a file differs from ``file``, or why this account cannot tell."""
    try:
        what = _difference(path, file, untouched, hashed)
    except OSError as error:
        if denied := access.forbidden(error):
            return [Problem.of_denial(file.path, denied)]
        raise
    return [Problem(file.path, what)] if what else []


def _difference(path: Path, file: File, untouched: str | None, hashed: Advance | None) -> str:
    """How a file differs from ``file``; empty if it does not. Bytes are hashed with ``hashed``."""
    status = path.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_size != file.size:
        short = CUT_SHORT if status.st_size < file.size else ""
        return f"{short}has {status.st_size} bytes instead of {file.size}"
    if bool(status.st_mode & stat.S_IXUSR) != file.executable:
        return "has another executable bit"
    if hashed is not None and untouched == _stamp(status):
        hashed(file.size)
        hashed = None
    try:
        changed = hashed is not None and digest(path, hashed).sha256 != file.sha256
    except Unreadable as error:
        if access.forbidden(error):
            raise
        return f"cannot be read: {error.strerror}"
    return "has other bytes than it was deployed with" if changed else ""


def modes(directory: Path, files: Iterable[File]) -> list[Problem]:
    """The parts of a version that are not read-only: files 0444, folders and executables 0555."""
    executable = {file.path for file in files if file.executable}
    problems: list[Problem] = []
    for path, entry in _scan(directory, []):
        status = entry.stat(follow_symlinks=False).st_mode
        if not stat.S_ISLNK(status):
            expected = 0o555 if stat.S_ISDIR(status) or path in executable else 0o444
            mode = stat.S_IMODE(status) & 0o777  # setgid does not matter
            if mode != expected:
                what = f"has the mode {mode:04o} instead of {expected:04o}"
                problems.append(Problem(path, what, f"{expected:04o}"))
    return sorted(problems, key=lambda problem: problem.path)


def _scan(directory: Path, denials: list[Problem]) -> Iterable[tuple[str, Path]]:
    """What is in a directory; the folders that this account may not read are put into a list."""

    def deny(error: OSError) -> None:
        if denied := access.forbidden(error):
            path = Path(os.fsdecode(error.filename)).relative_to(directory)
            denials.append(Problem.of_denial(path.as_posix(), denied))

    for folder, folders, names in os.walk(directory, onerror=deny):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield Path(folder).relative_to(directory).as_posix(), Path(folder)
        for name in names + links:
            path = Path(folder, name)
            yield path.relative_to(directory).as_posix(), path
