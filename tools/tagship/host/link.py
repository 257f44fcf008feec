"""The link ``current``, and the version that it points to; quick to import."""

import enum
import errno
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tagship.errors import Corrupt

VERSIONS, CURRENT = "versions", "current"
# the form of SemVer 2.0.0, and the deployment id, a time in UTC
_NAME = re.compile(r"v([0-9]+(?:\.[0-9]+){2}(?:[-+][0-9A-Za-z.+-]+)?)_[0-9]{8}_[0-9]{6}")


class LinkState(enum.StrEnum):
    """What ``current`` is."""

    NONE = "none"  # there is none: nothing was deployed yet
    OK = "ok"
    DANGLING = "dangling"  # its directory is gone
    FOREIGN = "foreign"  # it points outside of versions/
    FOLDER = "folder"  # it is not a link


@dataclass(frozen=True)
class Link:
    """``current`` on disk: its state, its target, and the name of the version directory."""

    state: LinkState
    target: str = ""
    directory: str | None = None


def read(folder: Path) -> Link:
    """The link in the folder of a model; read again if its target was removed meanwhile."""
    link = _look(folder)
    while link.state is LinkState.DANGLING and (again := _look(folder)).target != link.target:
        link = again
    return link


def _look(folder: Path) -> Link:
    try:
        target = os.readlink(folder / CURRENT)
    except FileNotFoundError:
        return Link(LinkState.NONE)
    except NotADirectoryError:
        raise obstructed(folder) from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # not "is not a link": the folder cannot be read
            raise
        return Link(LinkState.FOLDER)
    place = Path(os.path.normpath(folder / target))
    if place.parent != folder / VERSIONS:
        return Link(LinkState.FOREIGN, target)
    state = LinkState.OK if place.is_dir() else LinkState.DANGLING
    return Link(state, target, place.name)


def obstructed(folder: Path) -> Corrupt:
    """The error where a file lies on the way to a folder, or where that should be."""
    file = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    where = shlex.quote(str(file))
    return Corrupt(f"{file} is a file where a folder should be", f"mv {where} {where}.old")


def version_of(directory: str) -> str:
    """The version in the name of a version directory, ``v1.2.0_20261123_053122``; else empty."""
    name = _NAME.fullmatch(directory)
    return name[1] if name else ""
