"""The link ``current``, and the version that it leads to; with the standard library alone."""

import enum
import errno
import os
from dataclasses import dataclass
from pathlib import Path

VERSIONS, CURRENT = "versions", "current"


class LinkState(enum.StrEnum):
    """What ``current`` is."""

    NONE = "none"  # nothing was deployed yet
    OK = "ok"
    DANGLING = "dangling"  # its directory is gone
    FOREIGN = "foreign"  # it leads somewhere else than below versions/
    FOLDER = "folder"  # it is no link at all


@dataclass(frozen=True)
class Link:
    """``current`` as it is on disk: its state, its text, the name below versions/ that it means."""

    state: LinkState
    target: str = ""
    directory: str | None = None


def read(folder: Path) -> Link:
    """What ``current`` in a model's folder is; read again where a cleanup was faster than we."""
    found = _look(folder)
    while found.state is LinkState.DANGLING and (now := _look(folder)).target != found.target:
        found = now
    return found


def _look(folder: Path) -> Link:
    try:
        target = os.readlink(folder / CURRENT)
    except FileNotFoundError:
        return Link(LinkState.NONE)
    except OSError as error:
        if error.errno != errno.EINVAL:  # the folder itself cannot be read
            raise
        return Link(LinkState.FOLDER)
    place = Path(os.path.normpath(folder / target))
    if place.parent != folder / VERSIONS:
        return Link(LinkState.FOREIGN, target)
    state = LinkState.OK if place.is_dir() else LinkState.DANGLING
    return Link(state, target, place.name)


def version_of(directory: str) -> str:
    """The version in the name of a version directory, ``v1.2.0_20261123_053122``."""
    return directory[1:-16]
