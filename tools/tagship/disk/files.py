"""Files with their sizes and digests: what a version directory must hold, and whether it does."""

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
from typing import Annotated, BinaryIO, TypeVar

from tagship.progress import Advance, Progress, silent
from tagship.text.json_reader import Is
from tagship.text.paths import PathText

BLOCK = 1 << 20  # bytes hashed and copied at a time
AHEAD = 4  # blocks that are read before the slower digest has had the first of them
FICLONE = 0x40049409  # ioctl of Linux, <linux/fs.h>: share the blocks of another file
METADATA = "metadata.json"
SIGNATURE = "model.sig"
OWN = (METADATA, SIGNATURE)  # what tagship writes beside the files of a version
T = TypeVar("T")
Write = Callable[[memoryview], object]


class Unreadable(OSError):
    """A file that is there, and cannot be read: forbidden, not a regular file, or on a bad disk."""


def _is_hex(text: str) -> bool:
    return re.fullmatch(r"(?:[0-9a-f]{2})*", text) is not None


HexText = Annotated[str, Is(_is_hex, "a digest")]  # empty where it is not known


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
    """What is wrong with one file of a version directory; ``mode``: where chmod mends it."""

    path: str
    what: str
    mode: str | None = None


def digest(path: Path, advance: Advance | None = None) -> File:
    """Hash a regular file; a link is not followed.

    Returns:
        The file by its own name; whoever knows its path in a version sets it.

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
        return _told(source.readall)


def create(path: Path) -> BinaryIO:
    """A new file that only its owner can write, at any umask: it becomes a version's.

    Raises:
        FileExistsError: there is one.
    """
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o644))


def copy(source: Path, target: Path, advance: Advance | None = None) -> File:
    """Copy a regular file to a new name and hash it, sharing blocks where the file system can.

    Never a hard or symbolic link: a write through one has corrupted a DVC cache.

    Returns:
        As ``digest`` of the target.

    Raises:
        Unreadable: the source cannot be read, or is a link.
    """
    with _open(source) as reader, create(target) as writer:
        # ENOTTY, EOPNOTSUPP, EXDEV, EINVAL: this file system cannot, or not from there
        with contextlib.suppress(OSError):
            fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
            return digest(target, advance)
        large = os.fstat(reader.fileno()).st_size > BLOCK
        with _through(writer) if large else contextlib.nullcontext(writer.write) as write:
            return _digest(reader, target.name, write, advance)


@contextlib.contextmanager
def _through(target: BinaryIO) -> Iterator[Write]:
    """Write blocks, and have the disk take them meanwhile: else a sync takes as long as the copy.

    One sync at a time, of what there is by then.
    """
    synced: Future[None] | None = None
    with ThreadPoolExecutor(1) as pool:

        def write(block: memoryview) -> None:
            nonlocal synced
            target.write(block)
            if synced is None or synced.done():
                _raise_of(synced)
                synced = pool.submit(os.fdatasync, target.fileno())

        yield write
    _raise_of(synced)


def _raise_of(synced: Future[None] | None) -> None:
    """A disk says once, and to whoever syncs first, what it could not write."""
    if synced is not None:
        synced.result()


def _digest(source: FileIO, name: str, write: Write | None, advance: Advance | None) -> File:
    """Hash, and copy, in one pass: a file of several blocks with MD5 on a thread of its own."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    expected = os.fstat(source.fileno()).st_size
    buffers = (bytearray(min(expected + 1, BLOCK)) for _ in range(AHEAD))
    behind: deque[Future[None]] = deque()
    # a single thread: MD5 has to have the blocks in their order
    with ThreadPoolExecutor(1) if expected > BLOCK else contextlib.nullcontext() as pool:
        for buffer in itertools.cycle(buffers):
            if len(behind) == AHEAD:
                behind.popleft().result()  # it has this very buffer
            block = memoryview(buffer)[: _told(functools.partial(source.readinto, buffer))]
            if not block:
                break
            if pool is None:
                md5.update(block)
            else:
                behind.append(pool.submit(md5.update, block))
            sha256.update(block)
            size += len(block)
            if write is not None:
                write(block)
            if advance is not None:
                advance(len(block))
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


def _told(read: Callable[[], T]) -> T:
    """What a file says; EIO of a bad disk is no error of whoever writes what was read."""
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
    """Compare a version directory with what it must hold, beside tagship's own files.

    Args:
        directory: the version directory.
        files: what it must hold.
        deep: hash every byte; else compare names, kinds, sizes and executable bits alone.
        untouched: files that need no hashing as long as they have this ``stamp``.
        progress: is told the bytes hashed.
    """
    expected = {file.path: file for file in files}
    folders = {".", *(str(above) for path in expected for above in PurePosixPath(path).parents)}
    problems = []
    with progress("hashing", sum(file.size for file in expected.values())) as advance:
        for path, entry in _scan(directory):
            if entry.is_dir() and not entry.is_symlink():
                if path not in folders | expected.keys() and not any(entry.iterdir()):
                    problems.append(Problem(path, "is not of this version"))
                continue
            file = expected.pop(path, None)
            if file is None:
                if path not in OWN:
                    problems.append(Problem(path, "is not of this version"))
            elif what := _difference(entry, file, untouched.get(path), advance if deep else None):
                problems.append(Problem(path, what))
    problems += [Problem(path, "is missing") for path in expected]
    return sorted(problems, key=lambda problem: problem.path)


def stamp(path: Path) -> str:
    """What changes when a file is touched: its inode number and times, in nanoseconds.

    No program can set the second time, that of the last change of anything (``st_ctime``).
    """
    return _stamp(path.stat(follow_symlinks=False))


def _stamp(found: os.stat_result) -> str:
    return f"{found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"


def _difference(path: Path, file: File, untouched: str | None, hashed: Advance | None) -> str:
    """What is another thing than it should be; the bytes are read where somebody is told of it."""
    found = path.stat(follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if found.st_size != file.size:
        return f"has {found.st_size} bytes instead of {file.size}"
    if bool(found.st_mode & stat.S_IXUSR) != file.executable:
        return "has another executable bit"
    if hashed is not None and untouched == _stamp(found):
        hashed(file.size)
        hashed = None
    try:
        changed = hashed is not None and digest(path, hashed).sha256 != file.sha256
    except Unreadable as error:
        return f"cannot be read: {error.strerror}"
    return "has other bytes than it was deployed with" if changed else ""


def modes(directory: Path, files: Iterable[File]) -> list[Problem]:
    """What of a version is not read-only: files are 0444, folders and what is executable 0555."""
    executable = {file.path for file in files if file.executable}
    problems = []
    for path, entry in _scan(directory):
        found = entry.stat(follow_symlinks=False).st_mode
        if not stat.S_ISLNK(found):
            wanted = 0o555 if stat.S_ISDIR(found) or path in executable else 0o444
            mode = stat.S_IMODE(found) & 0o777  # setgid is no matter
            if mode != wanted:
                what = f"has the mode {mode:04o} instead of {wanted:04o}"
                problems.append(Problem(path, what, f"{wanted:04o}"))
    return sorted(problems, key=lambda problem: problem.path)


def _scan(directory: Path) -> Iterable[tuple[str, Path]]:
    for folder, folders, names in os.walk(directory):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield Path(folder).relative_to(directory).as_posix(), Path(folder)
        for name in names + links:
            path = Path(folder, name)
            yield path.relative_to(directory).as_posix(), path
