"""The DVC repository that contains a folder, or a host's folder; standard library, for speed.

A shell prompt that shows the live version waits for this at each line.
"""

import os
from itertools import chain
from pathlib import Path

from tagship import errors
from tagship.host import link as host_link
from tagship.host.link import VERSIONS, LinkState
from tagship.registry.project_files import HOST_FILE, PARAMS_FILE, ROOT

VARIABLE = "TAGSHIP_ROOT"


def named_root(start: Path, root: Path | str | None = None) -> Path | None:
    """The folder of the models that somebody names: ``root``; else the variable TAGSHIP_ROOT.

    That counts where ``start`` is the working directory, and not another folder that was given.
    """
    if root is None and start == Path():
        root = os.environ.get(VARIABLE) or None
    if root is None:
        return None
    return Path(os.path.normpath(absolute(root)))  # links stay


def absolute(path: Path | str) -> Path:
    """A path from the root folder on.

    Raises:
        NotFound: it is relative to a working directory that is gone.
        InvalidName: it is no path at all.
    """
    try:
        return Path(path).absolute()
    except TypeError:
        raise errors.InvalidName(f"{path!r} is not a folder", "give its path as text") from None
    except FileNotFoundError:
        raise errors.of_gone_folder() from None


def find_project(start: Path) -> Path | None:
    """The nearest folder from ``start`` upwards with a ``.dvc``."""
    top = absolute(start).resolve()
    return next((path for path in chain([top], top.parents) if (path / ".dvc").is_dir()), None)


def find_host(start: Path) -> Path | None:
    """The folder itself where it is a host's: it has tagship.toml, and is in no DVC repository.

    Never one above it: tagship.toml names programs, and counts where somebody points to it.
    """
    folder = absolute(start).resolve()
    if (folder / HOST_FILE).is_file() and find_project(folder) is None:
        return folder
    return None


def find_top(project: Path) -> Path:
    """The top of the work tree, found without Git: the nearest folder with ``.git``."""
    return next((f for f in (project, *project.parents) if (f / ".git").exists()), project)


def is_sparse(start: Path) -> bool:
    """Whether a folder is in a work tree that Git filled in part, by sparse-checkout."""
    top = find_top(start.resolve())
    return (top / ".git" / "info" / "sparse-checkout").is_file()


def usual_root(project: Path) -> Path | None:
    """The default folder of the models; None where params.yaml may say otherwise.

    This needs no YAML parser, which would be too slow for a prompt.
    """
    try:
        params = (project / PARAMS_FILE).read_bytes()
    except FileNotFoundError:
        return project / ROOT
    except OSError:
        return None
    is_usual = b"root" not in params and b"\\" not in params  # plainly, or with escapes
    return project / ROOT if is_usual else None


def glance(model: str, start: Path, named: Path | None = None) -> tuple[str, Path] | None:
    """The live version and its directory; None if anything is unusual.

    Then ``active.current`` looks closer.

    Args:
        model: its name.
        start: as for ``active.store``.
        named: the folder of the models, if it is named: from ``named_root``.
    """
    if not model.replace("_", "").replace("-", "").isalnum():
        return None
    root = _usual(start) if named is None else named
    if root is None:
        return None
    folder = root / model
    link = host_link.read(folder)
    if link.state is not LinkState.OK or link.directory is None:
        return None
    version = host_link.version_of(link.directory)
    return (version, (folder / VERSIONS / link.directory).resolve()) if version else None


def _usual(start: Path) -> Path | None:
    project = find_project(start)
    return usual_root(project) if project is not None else find_host(start)
