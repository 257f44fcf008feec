"""What an export makes: where it may be, and how it appears whole or not at all."""

import contextlib
import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from tagship.disk import atomic, capacity, shared_lock
from tagship.disk.shared_lock import SharedLock
from tagship.errors import NoRoom, NotFound, Refused, Unavailable
from tagship.host.link import CURRENT, VERSIONS
from tagship.host.store import PRIVATE


def check(target: Path, *reserved: Path, before: str = "-o ") -> Path:
    """The real path of a folder that may be created.

    Args:
        target: the path.
        reserved: folders of others.
        before: what stands before the path on the command line.

    Raises:
        NotFound: its parent folder does not exist.
        Refused: it is not empty, it is the working directory, or it is where versions or the
            files of Git or DVC are.
    """
    place = check_place(target, reserved, f"give a folder elsewhere: {before}../export")
    if place == Path.cwd().resolve():  # the rename would replace it
        raise Refused(
            f"{target} is the folder that you are in", f"give a new one: {before}./export"
        )
    if place.exists() and not _is_empty(place):
        raise Refused(
            f"{target} exists and is not an empty folder", "give a folder that does not exist"
        )
    return place


def check_file(target: Path, *reserved: Path) -> Path:
    """The real path of a file that may be created.

    Raises:
        NotFound: its folder does not exist.
        Refused: it exists, or is where versions or the files of Git or DVC are.
    """
    place = check_place(target, reserved, f"give a file elsewhere: -o ../{target.name}")
    if place.exists():
        what = "is a folder" if place.is_dir() else "exists"
        raise Refused(f"{target} {what}", "give the name of a file that does not exist")
    return place


def check_place(target: Path, reserved: Iterable[Path], elsewhere: str) -> Path:
    """The real path of what may be written, but for what is there already.

    Args:
        target: the path.
        reserved: folders of others.
        elsewhere: the hint where it is in one.

    Raises:
        NotFound, Refused: as for ``check``.
    """
    place, *others = (Path(os.path.realpath(path)) for path in (target, *reserved))
    if any(folder in others or _is_reserved(folder) for folder in (place, *place.parents)):
        raise Refused(
            f"{target} lies where models are deployed, or where Git or DVC keep their own",
            elsewhere,
        )
    if not place.parent.is_dir():
        raise NotFound(
            f"there is no folder {target.parent}", f"mkdir -p {shlex.quote(str(target.parent))}"
        )
    return place


def _is_reserved(folder: Path) -> bool:
    """Whether a folder is Git's, DVC's, or tagship's in a model's folder, of any workspace."""
    if folder.name.lower() in (".git", ".dvc"):
        return True
    return folder.name in (VERSIONS, CURRENT, PRIVATE) and (folder.parent / PRIVATE).is_dir()


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


@contextlib.contextmanager
def new(place: Path) -> Iterator[Path]:
    """A temporary folder, renamed to ``place`` when it is complete; removed after an error.

    What a killed run left of the same ``place`` is removed first. A lock on the temporary folder
    says that it is no such thing.
    """
    _sweep(place)
    temporary, lock = _begin(place)
    with lock:
        appeared = temporary
        try:
            yield temporary
            if place.exists():
                temporary.chmod(stat.S_IMODE(place.stat().st_mode))
            atomic.sync_tree(temporary)
            os.rename(temporary, place)  # over an empty folder, never over one that is not
            appeared = place
            atomic.sync_directory(place.parent)
        except BaseException:
            atomic.remove_tree(appeared)
            raise


def _begin(place: Path) -> tuple[Path, SharedLock]:
    """A new folder beside ``place``, and the lock that keeps it; again if it was swept at once."""
    while True:
        temporary = atomic.temporary_name(place)
        temporary.mkdir()
        if (lock := shared_lock.acquire(temporary)) is not None:
            return temporary, lock


def _sweep(place: Path) -> None:
    """Remove what nobody writes any more; where there are no locks, that is not known."""
    with contextlib.suppress(OSError):  # what another account has left
        for left in atomic.temporaries_of(place):
            with shared_lock.of(left) as lock:
                is_known = lock.held
            with shared_lock.exclusive(left) as is_free:
                if is_known and is_free:
                    atomic.remove_tree(left)


def not_written(
    target: Path, place: Path, error: OSError, again: str, kind: str = "a folder"
) -> NoRoom | Unavailable:
    """Why there is nothing: which disk is full and how to make room, or what else failed.

    Args:
        target: what was to be written, as a person named it.
        place: its real path.
        error: of the disk; it names no path where a ``write`` failed.
        again: what to do once the disk is fixed.
        kind: what may lie on another disk instead.
    """
    is_there = isinstance(error.filename, str) and os.path.lexists(error.filename)
    where = error.filename if is_there else place.parent
    what = f"{target} could not be written: {error.strerror or error} ({where})"
    if capacity.is_full(error):
        folder = shlex.quote(str(place.parent))
        return NoRoom(what, f"make room: df -h {folder}; or give {kind} on another disk")
    return Unavailable(what, capacity.hint(error, f"fix that, and {again}: nothing is left of it"))
