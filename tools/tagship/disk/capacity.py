"""Free space: what is needed, what is free, and a hint if the disk is full."""

import errno
import os
from pathlib import Path

from tagship.disk import access
from tagship.errors import NoRoom
from tagship.text import words

FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: OSError) -> bool:
    """Whether a call failed because a disk or a quota is full, of bytes or of inodes."""
    return error.errno in FULL


def is_cause(error: BaseException | None) -> bool:
    """Whether an error comes of a disk without room, also where it was told in other words."""
    while error is not None:
        if isinstance(error, NoRoom) or (isinstance(error, OSError) and is_full(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def hint(error: OSError, otherwise: str, model: str = "MODEL") -> str:
    """A hint for an error of the disk: how to make room if it is full, else ``otherwise``.

    Where something is denied to this account, it is the command that changes this.
    """
    if error.errno in access.DENIED and error.filename is not None:
        return access.explain(error)[1]
    return make_room(model) if is_full(error) else otherwise


def make_room(model: str) -> str:
    """A hint that says how to free bytes and inodes.

    Not ``dvc gc``: a cache or a remote may be shared, and it removes what others need.
    """
    return f"make room: df -h and df -i; old versions go with: tagship cleanup {model}"


def check(folder: Path, needed: int, files: int, model: str, min_free: int = 0) -> None:
    """Check that something fits on the disk of a folder, which need not exist yet.

    Args:
        folder: where it is to go.
        needed: bytes.
        files: number of files and folders; ignored if the file system has no inode count (btrfs).
        model: for the hint: cleaning up its versions makes room.
        min_free: bytes that have to stay free.

    Raises:
        NoRoom: there are fewer bytes, or fewer inodes.
    """
    free = os.statvfs(_nearest(folder))
    free_bytes = free.f_bavail * free.f_frsize
    if needed + min_free > free_bytes:
        stay = f", {words.of_bytes(min_free)} have to stay free (min_free)" if min_free else ""
        what = (
            f"{words.of_bytes(needed)} are needed{stay}, and {words.of_bytes(free_bytes)} are free"
        )
    elif free.f_files and files > free.f_favail:
        what = f"{files:,} inodes are needed, and {free.f_favail:,} are free"
    else:
        return
    raise NoRoom(f"{folder} has no room for {model}: {what}", make_room(model))


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
