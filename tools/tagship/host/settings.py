"""The settings of a host: those of params.yaml in the work tree."""

import re
import shlex
from pathlib import Path

from tagship.errors import Corrupt, NoProject, TagshipError
from tagship.host import project as host_project
from tagship.host.link import VERSIONS
from tagship.progress import Tell, nobody
from tagship.registry import settings
from tagship.registry.project_files import PARAMS_FILE, ROOT
from tagship.registry.settings import Settings
from tagship.text import conflicts, encoded, yaml

NEW = "git init && dvc init && tagship init"
_ROOT_KEY = re.compile(rb"\broot[\"']?\s*:")


def require_project(start: Path) -> Path:
    """The folder, from ``start`` up, that is a DVC repository: it has ``.dvc``.

    Raises:
        NoProject: there is none.
    """
    project = host_project.find_project(start)
    if project is None:
        hint = _unpacked(start) or _init(start)
        if _is_folder_of_models(start):
            hint = _elsewhere(start)
        if host_project.is_sparse(start):
            hint = "git sparse-checkout add .dvc; or, where DVC is new: dvc init && tagship init"
        raise NoProject(f"not a DVC repository: {start}", hint, start)
    return project


def _is_folder_of_models(start: Path) -> bool:
    """Whether it is a plain folder of models, as a copy of a host's is."""
    return next(start.glob(f"*/{VERSIONS}"), None) is not None


def _elsewhere(start: Path) -> str:
    """Where commands work that ask more than what is live, and what works here."""
    folder = shlex.quote(str(start.absolute()))
    return (
        "this folder of models has neither a DVC repository nor tagship.toml: name one that has,"
        f" with -C DIR; what works here: TAGSHIP_ROOT={folder} tagship current MODEL"
    )


def _unpacked(start: Path) -> str:
    """The same of a folder with the files of one version, as from an image; empty for another."""
    from tagship.host import metadata  # a prompt that shows the live version does without

    try:
        main = metadata.read_main(start.absolute())
    except (TagshipError, OSError):
        return ""
    current = f"TAGSHIP_ROOT={shlex.quote(str(start.absolute()))} tagship current {main.model}"
    return (
        f"this folder has the files of one version, {main.model} {main.version}, and no repository:"
        f" name one with -C DIR; what works here: {current}; so does `serve {main.model}`, and"
        " `unpack` of its image compares the files"
    )


def _init(start: Path) -> str:
    """The commands that begin with DVC: at the top of the Git repository that there may be."""
    here = start.resolve()
    top = host_project.find_top(here)
    if not (top / ".git").exists():
        return "go into the repository, or name it with -C DIR; to begin one: " + NEW
    place = "" if top == here else f"cd {shlex.quote(str(top))} && "
    return f"{place}dvc init && tagship init"


def root_of(start: Path) -> Path:
    """The folder of the models of a host, or of the DVC repository that contains a folder.

    Raises:
        NotFound: it is neither.
        Corrupt, Refused: as for ``read_root``.
    """
    return host_project.find_host(start) or read_root(require_project(start))


def read_root(project: Path) -> Path:
    """The folder of the models, for commands that only read them.

    Other mistakes in params.yaml do not affect a live model.

    Raises:
        Corrupt: params.yaml cannot be read, and may name a folder: another one may have old models.
        Refused: the folder is not in the repository; or two sections name different ones.
    """
    root = host_project.usual_root(project)
    if root is not None:
        return root
    try:
        data = _ours(project)
    except FileNotFoundError:
        return project / ROOT
    try:
        params = yaml.parse(data, PARAMS_FILE)
    except Corrupt:
        if _ROOT_KEY.search(data):
            raise
        return project / ROOT
    return project / settings.root(params)


def read(project: Path, tell: Tell = nobody) -> Settings:
    """The settings of today: those in the work tree, not those of a tag.

    Raises:
        Conflicted: a merge has left its markers in params.yaml.
        NotUtf8: it is of another encoding.
        Corrupt, Refused: it cannot be read, or has a setting that is none.
    """
    try:
        return settings.parse((project / PARAMS_FILE).read_bytes(), tell)
    except FileNotFoundError:
        return Settings()


def read_ours(project: Path, tell: Tell = nobody) -> Settings:
    """The settings of a params.yaml with conflict markers, without what the other side brings.

    What is not UTF-8 in it is left out too.

    Raises:
        Corrupt, Refused: as for ``read``.
    """
    return settings.parse(_ours(project), tell)


def _ours(project: Path) -> bytes:
    return conflicts.ours(encoded.readable((project / PARAMS_FILE).read_bytes()))
