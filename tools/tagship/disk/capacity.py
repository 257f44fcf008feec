"""Free space on a disk: what is needed, what is free, and what helps where it is full."""

import errno
import os
from pathlib import Path

from tagship.errors import Unavailable
from tagship.text import words

FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: OSError) -> bool:
    """Whether a call failed because a disk or a quota is full, of bytes or of inodes."""
    return error.errno in FULL


def hint(error: OSError, otherwise: str, model: str = "MODEL") -> str:
    """What helps against an error of the disk: room where it is full, else ``otherwise``."""
    return make_room(model) if is_full(error) else otherwise


def make_room(model: str) -> str:
    """What frees bytes and inodes."""
    return f"make room: tagship cleanup {model}, or dvc gc --all-tags; check with df -h and df -i"


def check(folder: Path, needed: int, files: int, model: str) -> None:
    """Refuse what does not fit on the disk of a folder, which need not be there yet.

    Args:
        folder: where it is to go.
        needed: bytes.
        files: files and folders; not counted where the file system has no number of inodes (btrfs).
        model: whose versions may go, for the hint.

    Raises:
        Unavailable: there are fewer bytes, or fewer inodes.
    """
    free = os.statvfs(_there(folder))
    free_bytes = free.f_bavail * free.f_frsize
    if needed > free_bytes:
        what = f"{words.of_bytes(needed)} are needed, and {words.of_bytes(free_bytes)} are free"
    elif free.f_files and files > free.f_favail:
        what = f"{files:,} inodes are needed, and {free.f_favail:,} are free"
    else:
        return
    raise Unavailable(f"{folder} has no room for {model}: {what}", make_room(model))


def same_disk(one: Path, other: Path) -> bool:
    """Whether two folders, which need not be there yet, are on one file system."""
    return _there(one).stat().st_dev == _there(other).stat().st_dev


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())
