"""A carrier in a folder: of this machine, or of a network.

Below it no link is followed, neither to read nor to write: others may write there too. It must be
there: it may be one that is mounted, and a folder in its place would hide that it is not.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shlex
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from tagship.carry import carrier, reach
from tagship.carry.carrier import LARGEST_INDEX, Changed, Index, Name
from tagship.carry.reach import Advice
from tagship.disk import access, atomic
from tagship.disk.lock import NO_LOCKS
from tagship.errors import Corrupt, Unavailable
from tagship.progress import Advance
from tagship.stores import stream
from tagship.stores.stream import BLOCK, Allowance, TooLong

ADVICE = Advice("docs/carriers.md", "of the remote", "who releases needs the right to write there")
LOCK = "index.lock"
WAIT, AGAIN = 30.0, 0.05  # seconds for which another writer is waited, and between two tries
LINKED = (errno.ELOOP, errno.ENOTDIR)


@dataclass(frozen=True)
class Folder:
    """A folder, as a DVC remote has it."""

    path: Path

    @property
    def title(self) -> str:
        """As ``Carrier``."""
        return str(self.path)

    def index(self, model: str, seen: str = "") -> Index | None:
        """As ``Carrier``; the mark is the SHA-256 of the index."""
        with self._asked("read"):
            found = self._index(carrier.index_path(model))
        return None if seen and found.mark == seen else found

    def _index(self, name: str) -> Index:
        try:
            with self._file(name) as file:
                data = _whole(file, LARGEST_INDEX + 1)
        except FileNotFoundError:
            return Index()
        if len(data) > LARGEST_INDEX:
            raise TooLong
        return Index(data, hashlib.sha256(data).hexdigest())

    def write_index(self, model: str, data: bytes, before: str) -> None:
        """As ``Carrier``: one writer at a time, who looks again."""
        name = carrier.index_path(model)
        if len(data) > LARGEST_INDEX:
            raise TooLong
        with self._asked("written"), self._locked(str(PurePosixPath(name).with_name(LOCK))):
            if self._index(name).mark != before:
                raise Changed
            self._sweep(name)
            self._write(name, 0o644, lambda file: file.write(data))
            if self._index(name).data != data:
                raise Changed

    def size(self, name: Name) -> int | None:
        """As ``Carrier``."""
        with self._asked("read"):
            try:
                with self._file(carrier.check(name).path) as file:
                    return os.fstat(file.fileno()).st_size
            except FileNotFoundError:
                return None

    def blocks(self, name: Name, allowance: Allowance) -> Iterator[bytes]:
        """As ``Carrier``."""
        allowance.take(0)
        with self._asked("read"), self._file(carrier.check(name).path) as file:
            stream.check(os.fstat(file.fileno()).st_size, allowance)
            yield from allowance.limit(iter(lambda: file.read(BLOCK), b""))

    def put(self, name: Name, source: Path, advance: Advance, *, anew: bool = False) -> None:
        """As ``Carrier``."""
        if not anew and self.size(name) is not None:
            advance(source.stat().st_size)
            return

        def copy(target: BinaryIO) -> None:
            with open(source, "rb") as file:
                while block := file.read(BLOCK):
                    target.write(block)
                    advance(len(block))

        with self._asked("written"):
            self._write(name.path, 0o444, copy)

    def take(self, files: Mapping[Name, Path]) -> None:
        """Take durable files of the same file system: each is moved, also over what is there.

        Args:
            files: by their names; all are of one kind.

        Raises:
            Unavailable: it cannot be written to.
        """
        by_folder: dict[PurePosixPath, list[tuple[str, Path]]] = {}
        for name, source in files.items():
            path = PurePosixPath(carrier.check(name).path)
            by_folder.setdefault(path.parent, []).append((path.name, source))
        with self._asked("written"):
            for parent, pairs in by_folder.items():
                with self._opened(parent, make=True) as folder:
                    for last, source in pairs:
                        self._rename(source, last, folder, parent / last)
                    _sync(folder)

    def _rename(self, source: Path, name: str, folder: int, path: PurePosixPath) -> None:
        try:
            os.rename(source, name, dst_dir_fd=folder)
        except OSError as error:  # not what it comes from: that is gone soon
            denies = path.parent if error.errno in access.DENIED else path
            error.filename, error.filename2 = str(self.path / denies), None
            raise

    # --- below the folder, without a link on the way

    @contextlib.contextmanager
    def _opened(self, folder: PurePosixPath, *, make: bool = False) -> Iterator[int]:
        """A folder below this one, as a descriptor: what it names cannot be another one by now."""
        self._check_there()
        with contextlib.ExitStack() as stack:
            here = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, here)
            # so a group that shares it shares all; who makes a folder writes into it
            mode = stat.S_IMODE(os.fstat(here).st_mode) | stat.S_IRWXU
            for depth, part in enumerate(folder.parts):
                if make:
                    self._make(part, here, mode, self.path.joinpath(*folder.parts[:depth]))
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                here = self._open(part, flags, here, folder)
                stack.callback(os.close, here)
            yield here

    def _make(self, name: str, here: int, mode: int, parent: Path) -> None:
        try:
            _make(name, here, mode)
        except OSError as error:
            error.filename = str(parent)  # what is there, and denies it
            raise

    def _open(self, name: str, flags: int, folder: int, path: PurePosixPath) -> int:
        """Open what is not reached by a link.

        Args:
            name: in the folder.
            flags: of open(2).
            folder: as a descriptor.
            path: below the place, for errors.

        Raises:
            FileNotFoundError: there is nothing.
            Unavailable: it is a link, or of another kind.
        """
        place = self.path / path
        try:
            return os.open(name, flags, dir_fd=folder)
        except OSError as error:
            if error.errno in LINKED:
                what = f"{place} is reached by a link, or is of another kind"
                raise Unavailable(what, f"namei -l {shlex.quote(str(place))}") from None
            error.filename = str(place)
            raise

    def _check_there(self) -> None:
        if not self.path.is_dir():
            place = shlex.quote(str(self.path))
            raise Unavailable(
                f"{self.path} is not there", f"mount it, or make it: mkdir -p {place}"
            )

    @contextlib.contextmanager
    def _file(self, name: str) -> Iterator[IO[bytes]]:
        """A regular file; what is none is not waited for."""
        path = PurePosixPath(name)
        with self._opened(path.parent) as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            number = self._open(path.name, flags, folder, path)
            try:
                self._check_file(os.fstat(number).st_mode, self.path / name)
                with open(number, "rb", buffering=0, closefd=False) as file:
                    yield file
            finally:
                os.close(number)

    @staticmethod
    def _check_file(mode: int, place: Path) -> None:
        """Refuse what is no file.

        Raises:
            Corrupt: a folder, or another thing; the rest of the place may be as it should.
        """
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            away = f"mv {shlex.quote(str(place))} {shlex.quote(f'{place}.old')}"
            hint = f"move it away: {away}; then publish it again, or take its bundle in again"
            raise Corrupt(f"{place} is {what}", hint)

    def _write(self, name: str, mode: int, write: Callable[[BinaryIO], object]) -> None:
        """Write a file: it appears whole, durably, or not at all."""
        path = PurePosixPath(name)
        temporary = atomic.temporary_name(Path(path.name)).name
        with self._opened(path.parent, make=True) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            try:
                with open(os.open(temporary, flags, 0o600, dir_fd=folder), "wb") as file:
                    write(file)
                    file.flush()
                    os.fchmod(file.fileno(), mode)
                    os.fsync(file.fileno())
                os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            _sync(folder)

    def _sweep(self, name: str) -> None:
        """Remove what killed runs have left of a file: nobody else writes it now."""
        path = PurePosixPath(name)
        with self._opened(path.parent) as folder:
            for left in os.listdir(folder):  # noqa: PTH208 - of a descriptor: no link is followed
                if atomic.is_temporary(left) and left.startswith(f".{path.name}."):
                    os.unlink(left, dir_fd=folder)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold a lock, which the kernel releases when its holder ends.

        Raises:
            Unavailable: another process holds it for too long.
        """
        path = PurePosixPath(name)
        with self._opened(path.parent, make=True) as folder:
            file = self._lock_file(path, folder)
            try:
                self._wait(file, name)
                yield
            finally:
                os.close(file)

    def _lock_file(self, path: PurePosixPath, folder: int) -> int:
        """A file to lock: NFS locks one that is open to write, so a group that shares it may."""
        flags = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            file = self._open(path.name, flags | os.O_RDWR, folder, path)
        except PermissionError:
            return self._open(path.name, flags | os.O_RDONLY, folder, path)
        with contextlib.suppress(PermissionError):  # somebody else made it
            os.fchmod(file, 0o644 | os.fstat(folder).st_mode & 0o022)
        return file

    def _wait(self, file: int, name: str) -> None:
        end = time.monotonic() + WAIT
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    place = shlex.quote(str(self.path / name))
                    what = f"another process has written into {self.path} for {WAIT:.0f} s"
                    raise Unavailable(what, f"who is it? fuser -v {place}") from None
                time.sleep(AGAIN)
            except OSError as error:  # without locks: who writes looks whether it stayed
                if error.errno not in NO_LOCKS:
                    raise
                return
            else:
                return

    def _asked(self, done: str) -> contextlib.AbstractContextManager[None]:
        return reach.asked(self.title, done, ADVICE)


def _whole(file: IO[bytes], most: int) -> bytes:
    """The bytes of a file, at most so many."""
    parts: list[bytes] = []
    while most > 0 and (block := file.read(min(most, BLOCK))):
        parts.append(block)
        most -= len(block)
    return b"".join(parts)


def _make(name: str, folder: int, mode: int) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=folder)
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        try:
            os.fchmod(made, mode)
        finally:
            os.close(made)
        _sync(folder)


def _sync(folder: int) -> None:
    """Make the names in a folder durable; some file systems of networks cannot, and need not."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in atomic.UNSUPPORTED:
            raise
