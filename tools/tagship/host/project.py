"""The DVC repository that a folder lies in; with the standard library alone, since prompts ask.

A shell that shows the live version in its prompt waits for it at each line.
"""

from itertools import chain
from pathlib import Path

from tagship.host import link as host_link
from tagship.host.link import VERSIONS, LinkState
from tagship.registry.project_files import PARAMS_FILE

ROOT = "models"  # where params.yaml does not say otherwise


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
    found = host_link.read(folder)
    if found.state is not LinkState.OK or found.directory is None:
        return None
    return host_link.version_of(found.directory), (folder / VERSIONS / found.directory).resolve()
