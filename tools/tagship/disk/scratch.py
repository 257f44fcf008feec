"""Room for what nobody needs afterwards: a text for another process; files that are built."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tagship.disk import atomic


def file() -> BinaryIO:
    """A new file without a name; in memory where the system can, as no folder may be writable.

    Not for what may be large: Linux counts it as memory of this process.
    """
    if hasattr(os, "memfd_create"):  # Linux 3.17
        try:
            return os.fdopen(os.memfd_create("tagship"), "w+b")
        except OSError:  # forbidden by a sandbox
            pass
    import tempfile

    return tempfile.TemporaryFile()


@contextlib.contextmanager
def folder(path: Path) -> Iterator[Path]:
    """A new folder beside ``path``, with a name of ``atomic.temporary_name``; removed afterwards.

    What killed runs have left there is removed first: nobody holds the lock on it any more.
    """
    for left in _left(path):
        with _locked(left) as is_ours:
            if is_ours:
                atomic.remove_tree(left)
    while True:
        made = atomic.temporary_name(path)
        made.mkdir(0o700)
        with _locked(made, fcntl.LOCK_EX):  # waits for who took it for one that was left
            if not made.exists():
                continue
            try:
                yield made
            finally:
                atomic.remove_tree(made)
            return


def _left(path: Path) -> list[Path]:
    start = f".{path.name}."
    try:
        return [each for each in atomic.temporaries(path.parent) if each.name.startswith(start)]
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _locked(path: Path, how: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> Iterator[bool]:
    """Hold a lock on a folder; whether it is held: not where another process has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        yield _flock(descriptor, how)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        return False
    return True
