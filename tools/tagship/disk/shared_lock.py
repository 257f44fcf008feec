"""A shared lock on a folder in use: whoever is about to remove the folder sees it.

It is flock(2) on the folder itself, opened for reading: any account that may read the folder can
take it, also on a read-only mount and from a container, and the kernel releases it with its last
holder. Some file systems have no such locks, NFS often for folders: there nothing is locked.
"""

import contextlib
import fcntl
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tagship.disk import lock

PATIENCE, PAUSE = 0.2, 0.01  # seconds: who has the folder for itself tries it, or moves it away
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class SharedLock:
    """A shared lock, held until ``close``, or until this object is gone.

    A process that is forked holds it too, until it ends or closes it. A copy, or what is pickled
    for another process, holds nothing.

    Args:
        descriptor: of the folder, locked; None holds nothing.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._close: weakref.finalize[..., SharedLock] | None = None
        if descriptor is not None:  # never unlocked, only closed: a child may hold it still
            self._close = weakref.finalize(self, _close, descriptor)
            self._close.atexit = False

    @property
    def held(self) -> bool:
        """Whether the folder is locked by this object."""
        return self._close is not None and self._close.alive

    def close(self) -> None:
        """Release it; again does nothing."""
        if self._close is not None:
            self._close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.close()

    def __reduce__(self) -> tuple[type["SharedLock"], tuple[()]]:
        """Pickled, or copied: without the lock."""
        return SharedLock, ()


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # a daemon closes all that it inherits
        os.close(descriptor)


def acquire(folder: Path) -> SharedLock | None:
    """Lock a folder that is about to be read; None if it is gone. Nothing ever stops it for long.

    Returns:
        The lock; one that holds nothing where the file system has none, or somebody keeps the
        folder to itself.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            descriptor = os.open(folder, _FLAGS)
        except FileNotFoundError:
            return None
        except OSError:
            return SharedLock()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), folder.stat()):  # else it was just moved
                return SharedLock(descriptor)
        except BlockingIOError:
            time.sleep(PAUSE)
        except OSError:
            os.close(descriptor)
            return SharedLock() if folder.exists() else None
        os.close(descriptor)
        if time.monotonic() > end:
            return SharedLock()


def of(folder: Path) -> SharedLock:
    """The same of a folder that may as well be gone: then it holds nothing."""
    return acquire(folder) or SharedLock()


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[bool]:
    """Keep a folder to oneself, unless somebody holds a shared lock on it: then False is given.

    True where that cannot be told.
    """
    try:
        descriptor = os.open(folder, _FLAGS | os.O_NOFOLLOW)
    except OSError:
        yield True
        return
    try:
        yield _is_free(descriptor)
    finally:
        os.close(descriptor)


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # there are no such locks
        return True
    return True


def users(folder: Path) -> list[int] | None:
    """The processes that hold a shared lock on a folder, as far as is known; None without one."""
    with exclusive(folder) as is_free:
        return None if is_free else lock.holders(folder)


def in_words(processes: list[int]) -> str:
    """Who uses a folder: ``in use by process 7``."""
    return f"in use by process {', '.join(map(str, processes))}" if processes else "in use"
