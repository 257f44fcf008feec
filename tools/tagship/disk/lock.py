"""A lock on a folder, which the kernel releases when its holder dies."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagship.disk import atomic
from tagship.errors import Locked, Refused
from tagship.progress import Tell, nobody
from tagship.text import escape, json_reader

if TYPE_CHECKING:
    from filelock import BaseFileLock

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)  # of file systems without flock(2)
GLANCE = 0.2  # seconds: ``holder`` takes a lock for a moment


@dataclass(frozen=True)
class Owner:
    """The holder of a lock, from the file beside it."""

    what: str
    actor: str
    host: str
    pid: int
    since: str


@contextlib.contextmanager
def locked(
    path: Path,
    owner: dict[str, Any],
    wait: float = 0,
    tell: Tell = nobody,
    prepare: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Hold ``path`` with flock(2), which the kernel releases when its holder dies.

    Args:
        path: the lock file; its holder is written to ``<path>.json``.
        owner: what other processes are told: ``what``, ``actor``, ``host``, ``pid``, ``since``.
        wait: how long to wait for it, in seconds.
        tell: called with a message if it must wait: who holds the lock.
        prepare: makes the folders; called again if the last holder has removed them.

    Raises:
        Locked: another process holds it.
        Refused: the file system has no locks.
    """
    named = card(path)
    lock = _acquire(path, wait, tell, prepare)
    try:
        prepare()  # the last holder may have removed some while this one waited
        try:
            atomic.write_json(named, owner)
        except OSError:  # a full disk: the lock works all the same, without a name
            named.unlink(missing_ok=True)
        yield
    finally:
        named.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def at_once(path: Path, owner: dict[str, Any]) -> Iterator[bool]:
    """Hold a lock as ``locked`` does, if its file is there and nobody holds it; else give False."""
    import fcntl

    with contextlib.ExitStack() as stack:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, file)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            stack.callback(card(path).unlink, missing_ok=True)
            with contextlib.suppress(OSError):
                atomic.write(card(path), escape.json(owner).encode(), durable=False)
            yield True


def _acquire(path: Path, wait: float, tell: Tell, prepare: Callable[[], None]) -> "BaseFileLock":
    """Acquire the lock; again if its file was removed meanwhile: that one keeps nobody out."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, mode=0o644)  # else the umask decides
    while True:
        prepare()
        before = _identity(path)
        try:
            try:
                lock.acquire(timeout=GLANCE)
            except Timeout:
                if wait <= GLANCE:
                    raise
                tell(f"waiting up to {wait:g} s: {_locked_by(path).message}")
                lock.acquire(timeout=wait - GLANCE)
        except Timeout:
            raise _locked_by(path) from None
        except FileNotFoundError:  # with its folder
            continue
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in NO_LOCKS:
                raise
            raise Refused(
                f"the file system of {path.parent} has no file locks (flock)",
                "put the models on another one: tagship: root: in params.yaml",
            ) from None
        after = _identity(path)
        if after is not None and before in (None, after):
            return lock
        lock.release()


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of its name; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def card(path: Path) -> Path:
    """The file that names the holder of a lock."""
    return path.with_name(path.name + ".json")


def _owner(path: Path) -> Owner | None:
    try:
        return json_reader.read(Owner, json_reader.parse(card(path).read_bytes()))
    except (OSError, ValueError):
        return None


def holders(path: Path) -> list[int]:
    """The processes that hold flock(2) on a file or folder, as far as proc_locks(5) names them."""
    try:
        status, locks = path.stat(), Path("/proc/locks").read_text()
    except OSError:
        return []
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    held = [
        line.split() for line in locks.splitlines() if " FLOCK " in line and f" {file} " in line
    ]
    pids = {int(words[4]) for words in held if words[1] == "FLOCK"}  # else it waits: "->"
    return sorted(pids - {0})  # 0: of another container


def holder(path: Path) -> str | None:
    """Who holds the lock at ``path``, in words; None if it is free. Never waits."""
    import fcntl

    try:
        file = os.open(path, os.O_RDONLY)  # who asks may have no right to write
    except (FileNotFoundError, PermissionError):  # there is none, or it cannot be told
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _locked_by(path).message
    except OSError:  # this file system has no such locks
        return None
    finally:
        os.close(file)
    return None


def _locked_by(path: Path) -> Locked:
    """Who holds the lock: as its card says, if that is of the process that holds it."""
    by, others = _owner(path), [pid for pid in holders(path) if pid != os.getpid()]
    if by is None or (others and by.pid not in others and by.host == os.uname().nodename):
        # the holder has not written the card yet, or releases the lock; or is no tagship: whoever
        # may read the file can lock it
        which = f": process {others[0]} holds {path}" if others else ""
        return Locked(f"another process works on this model{which}", "try again when it is done")
    return Locked(
        f"{by.what} is under way: {by.actor}@{by.host}, process {by.pid}, since {by.since}",
        "try again when it is done, or wait for it with --wait SECONDS",
    )
