"""The settings of a host: the ``deploy:`` part of params.yaml."""

import difflib
import posixpath
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tagship.errors import Corrupt, NotFound, Refused
from tagship.host import project as host_project
from tagship.host.project import ROOT
from tagship.registry.metrics import DIRECTIONS
from tagship.registry.project_files import PARAMS_FILE
from tagship.text import conflicts, yaml
from tagship.text.paths import is_path

LONGEST = 365 * 86400  # seconds that anything may take


@dataclass(frozen=True)
class Settings:
    """The ``deploy:`` part of params.yaml.

    Attributes:
        root: the folder that holds a folder per model, relative to the repository's top.
        keep: how many good versions cleanup keeps.
        auto_cleanup: clean up after each deploy.
        smoke_test: load each model, and run its self-test, before it goes live.
        smoke_timeout: seconds that the smoke test may take.
        after_switch: what is checked once the version is live: ``files`` (the link, and every
            file's size and mode) or ``self_test`` (that, and the self-test, through the link).
        git_remote, dvc_remote: where tags and bytes go; None for Git's ``origin``, DVC's default.
        demo: for each model, dotted parameters of params.yaml, and the values that ``tagship demo``
            trains with: the better one, or the first and the better one.
        better: which way a metric is better, by its name: ``higher``, ``lower``, ``neither``.
    """

    root: str = ROOT
    keep: int = 5
    auto_cleanup: bool = False
    smoke_test: bool = True
    smoke_timeout: float = 300.0
    after_switch: str = "files"
    git_remote: str | None = None
    dvc_remote: str | None = None
    demo: Mapping[str, Any] = field(default_factory=dict)
    better: Mapping[str, str] = field(default_factory=dict)


def parse(data: bytes) -> Settings:
    """The settings that a params.yaml holds; the defaults where it has none.

    Raises:
        Corrupt: the file is not YAML.
        Refused: an unknown key, or a value of the wrong kind.
    """
    given = yaml.parse(data, PARAMS_FILE).get("deploy") or {}
    if not isinstance(given, dict):
        raise Refused(f"deploy: in {PARAMS_FILE} is not a mapping", f"fix {PARAMS_FILE}")
    kinds = {field.name: field.type for field in fields(Settings)}
    for key, value in given.items():
        if key not in kinds:
            near = difflib.get_close_matches(str(key), kinds, 1)
            hint = f"did you mean {near[0]}?" if near else "there are: " + ", ".join(kinds)
            raise Refused(f"deploy: in {PARAMS_FILE} has an unknown key {key!r}", hint)
        _check_setting(key, value)
    return Settings(**given)


def require_project(start: Path) -> Path:
    """The folder, from ``start`` up, that is a DVC repository: it has ``.dvc``.

    Raises:
        NotFound: there is none.
    """
    project = host_project.find_project(start)
    if project is None:
        hint = _init(start)
        if host_project.is_sparse(start):
            hint = "git sparse-checkout add .dvc; or, where DVC is new: dvc init && tagship init"
        raise NotFound(f"not a DVC repository: {start}", hint)
    return project


def _init(start: Path) -> str:
    """The commands that begin with DVC: at the top of the Git repository that there may be."""
    here = start.resolve()
    top = host_project.find_top(here)
    if not (top / ".git").exists():
        return "git init && dvc init && tagship init"
    place = "" if top == here else f"cd {shlex.quote(str(top))} && "
    return f"{place}dvc init && tagship init"


def read_root(project: Path) -> Path:
    """The folder of the models, for commands that only read them.

    Other mistakes in params.yaml do not affect a live model.

    Raises:
        Refused: the folder is not in the repository.
    """
    if host_project.is_usual(project):
        return project / ROOT
    try:
        data = conflicts.ours((project / PARAMS_FILE).read_bytes())
        given = yaml.parse(data, PARAMS_FILE).get("deploy")
    except (FileNotFoundError, Corrupt):
        given = None
    root = given.get("root", Settings.root) if isinstance(given, dict) else Settings.root
    _check_setting("root", root)
    return project / str(root)


def read(project: Path) -> Settings:
    """The settings of today: those in the work tree, not those of a tag.

    Raises:
        Conflicted: a merge has left its markers in params.yaml.
        Corrupt, Refused: it cannot be read, or has a setting that is none.
    """
    try:
        return parse((project / PARAMS_FILE).read_bytes())
    except FileNotFoundError:
        return Settings()


def read_ours(project: Path) -> Settings:
    """The settings of a params.yaml with conflict markers, without what the other side brings.

    Raises:
        Corrupt, Refused: as for ``read``.
    """
    return parse(conflicts.ours((project / PARAMS_FILE).read_bytes()))


def _check_setting(key: str, value: Any) -> None:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    allowed = {
        "root": isinstance(value, str) and is_path(posixpath.normpath(value)),
        "keep": is_count and value >= 1,
        "auto_cleanup": isinstance(value, bool),
        "smoke_test": isinstance(value, bool),
        "smoke_timeout": (is_count or isinstance(value, float)) and 0 < value < LONGEST,
        "after_switch": value in ("files", "self_test"),
        "git_remote": value is None or isinstance(value, str),
        "dvc_remote": value is None or isinstance(value, str),
        "demo": isinstance(value, dict),
        "better": isinstance(value, dict) and all(way in DIRECTIONS for way in value.values()),
    }
    if not allowed[key]:
        raise Refused(f"deploy.{key} in {PARAMS_FILE} may not be {value!r}", "see docs/settings.md")
