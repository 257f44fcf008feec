"""What of a repository this account may not read.

Git passes over a ref that it may not read, and calls an object that it may not read a missing one:
a newer version is then not seen, and a commit is none. ``git fetch`` under the umask 077 makes
such files.
"""

import os
from pathlib import Path

from tagship.disk import access
from tagship.errors import Forbidden

# below Git's folder: "reftable" is another form of the other two (Git 2.45)
TAGS = ("HEAD", "packed-refs", "refs/tags", "reftable")
ALL = ("HEAD", "config", "packed-refs", "refs", "reftable", "shallow", "objects")


def check_tags(folder: Path) -> None:
    """Refuse to tell which tags there are, where this account may not read all of them.

    Args:
        folder: the repository's, or one in its work tree.

    Raises:
        Forbidden: so it is, with what lets it.
    """
    if error := _denied(folder, TAGS):
        raise error


def denied(folder: Path) -> Forbidden | None:
    """What keeps this account from reading all of a repository; None if nothing.

    It looks at every file: for after Git failed.
    """
    return _denied(folder, ALL)


def _denied(folder: Path, names: tuple[str, ...]) -> Forbidden | None:
    place = git_folder(folder)
    if place is None:
        return None
    if not os.access(place, os.X_OK, effective_ids=True):
        return access.cannot_read(place, place)
    paths = (_unreadable(f"{place}/{name}") for name in names)
    path = next(filter(None, paths), None)
    return access.cannot_read(Path(path), place) if path else None


def git_folder(folder: Path) -> Path | None:
    """The folder with the refs and objects of the repository that contains a folder."""
    for top in (folder, *folder.absolute().parents):
        inner = top / ".git"
        if inner.is_dir():
            return inner
        if inner.is_file():  # of a linked work tree, or of a submodule
            return _common(
                top / inner.read_text("utf-8", "surrogateescape").removeprefix("gitdir:").strip()
            )
        if (top / "objects").is_dir() and (top / "HEAD").exists():
            return top
    return None


def _common(place: Path) -> Path:
    """What the work trees of a repository share."""
    shared = place / "commondir"
    return (
        place / shared.read_text("utf-8", "surrogateescape").strip() if shared.is_file() else place
    )


def _unreadable(path: str) -> str | None:
    """The first thing in a tree, or that one itself, that this account may not read."""
    if not os.access(path, os.R_OK, effective_ids=True):
        return path if os.path.lexists(path) else None
    return _unreadable_in(path) if Path(path).is_dir() else None


def _unreadable_in(folder: str) -> str | None:
    if not os.access(folder, os.X_OK, effective_ids=True):
        return folder
    with os.scandir(folder) as entries:
        for entry in entries:  # of 10,000 tags: only folders are asked for more than one fact
            if entry.is_dir(follow_symlinks=False):
                found = _unreadable(entry.path)
            else:
                is_readable = os.access(entry.path, os.R_OK, effective_ids=True)
                found = None if is_readable or not os.path.lexists(entry.path) else entry.path
            if found:
                return found
    return None
