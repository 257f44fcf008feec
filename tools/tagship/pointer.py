"""The link ``current``, and what it leads to; with the standard library alone, since prompts ask.

A shell that shows the live version in its prompt waits for it at each line.
"""

import enum
import errno
import os
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

ROOT = "models"  # where params.yaml does not say otherwise
PARAMS_FILE = "params.yaml"
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


def link(folder: Path) -> Link:
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


def find_project(start: Path) -> Path | None:
    """The folder, from ``start`` up, that is a DVC repository: it has ``.dvc``."""
    top = start.resolve()
    return next((one for one in chain([top], top.parents) if (one / ".dvc").is_dir()), None)


def find_top(project: Path) -> Path:
    """The work tree's top, found without Git: the nearest folder with ``.git``, or the project."""
    return next((f for f in (project, *project.parents) if (f / ".git").exists()), project)


def is_usual(project: Path) -> bool:
    """Whether params.yaml leaves the models in their usual folder; False where it may not.

    Read without a parser of YAML, which takes a prompt's time.
    """
    try:
        params = (project / PARAMS_FILE).read_bytes()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return b"root" not in params and b"\\" not in params  # as it stands, or spelt by escapes


def glance(model: str, start: Path) -> tuple[str, Path] | None:
    """The live version and its directory; None where anything is out of the ordinary.

    Then ``active.current`` looks closer, and says what it is.
    """
    project = find_project(start)
    if project is None or not model.replace("_", "").replace("-", "").isalnum():
        return None
    if not is_usual(project):
        return None
    folder = project / ROOT / model
    found = link(folder)
    if found.state is not LinkState.OK or found.directory is None:
        return None
    return version_of(found.directory), (folder / VERSIONS / found.directory).resolve()
