"""What the repository declares: models under ``artifacts:`` in dvc.yaml, settings in params.yaml.

Text is parsed and checked here, once; everything else gets frozen values.
"""

import difflib
import math
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tagship import pointer
from tagship.errors import Corrupt, NotFound, Refused
from tagship.manifest import check_path, is_path
from tagship.metrics import DIRECTIONS
from tagship.pointer import ROOT
from tagship.refs import is_model

PIPELINE_FILE = "dvc.yaml"
LOCK_FILE = "dvc.lock"
LONGEST = 365 * 86400  # seconds that anything may take
PARAMS_FILE = pointer.PARAMS_FILE


@dataclass(frozen=True)
class Artifact:
    """A model as dvc.yaml declares it.

    Attributes:
        model: GTO's full name, ``name`` or ``folder:name``.
        path: the model's file or folder, relative to the repository's top.
        self_test: its self-test (``meta: self_test:``), likewise; None where it has none.
        description, labels: as declared.
    """

    model: str
    path: str
    self_test: str | None = None
    description: str = ""
    labels: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """All that is released together: the model, and its self-test."""
        return (self.path,) if self.self_test is None else (self.path, self.self_test)


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
        demo: dotted parameters of params.yaml, and the values that ``tagship demo`` retrains with.
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


def parse(data: bytes, name: str) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        Corrupt: the text is no YAML, or no mapping.
    """
    from tagship import document  # 20 ms, and only where there is YAML to read

    try:
        value = document.values(data)
    except ValueError as error:
        where = f", {error}" if str(error) else ""
        raise Corrupt(f"{name} is no readable YAML{where}", f"mend {name} and commit it") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Corrupt(f"{name} is no YAML mapping", f"mend {name} and commit it")
    return value


def flat(value: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings under dotted names: ``{"train": {"depth": 4}}`` is ``{"train.depth": 4}``."""
    found: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{prefix}{key}"
        found.update(flat(inner, f"{name}.") if isinstance(inner, Mapping) else {name: inner})
    return found


def plain(value: Any) -> Any:
    """YAML's values as JSON's: dates, NaN and infinities, and what else JSON has not, are texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    finite = isinstance(value, float) and math.isfinite(value)
    return value if finite else str(value)


def artifacts(data: bytes, folder: str = "") -> dict[str, Artifact]:
    """The models that one dvc.yaml declares.

    Args:
        data: the file's content.
        folder: its folder, relative to the repository's top; empty for the top itself.

    Raises:
        Corrupt: the file, or an entry, is not of DVC's form.
    """
    name = posixpath.join(folder, PIPELINE_FILE)
    declared = parse(data, name).get("artifacts") or {}
    if not isinstance(declared, dict):
        raise Corrupt(f"artifacts: in {name} is no mapping", f"mend {name} and commit it")
    found = {}
    for key, entry in declared.items():
        model = f"{folder}:{key}" if folder else str(key)
        if not is_model(model):
            continue  # DVC warns of such a name and reads on; no tag can be made of it
        found[model] = _artifact(model, entry, folder, f"artifacts: {key} in {name}")
    return found


def _artifact(model: str, entry: Any, folder: str, where: str) -> Artifact:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise Corrupt(f"{where} has no path", "give it the path of the model's file or folder")
    meta = entry.get("meta")
    self_test = meta.get("self_test") if isinstance(meta, dict) else None
    if self_test is not None and not isinstance(self_test, str):
        raise Corrupt(f"{where}: self_test is no path", "give it the path of the self-test's file")
    if not isinstance(entry.get("labels") or [], list):
        raise Corrupt(f"{where}: labels is no list", "mend dvc.yaml and commit it")
    return Artifact(
        model,
        _from_top(folder, entry["path"], where),
        None if self_test is None else _from_top(folder, self_test, where),
        str(entry.get("desc") or ""),
        tuple(str(label) for label in entry.get("labels") or ()),
    )


def _from_top(folder: str, path: str, where: str) -> str:
    if "${" in path:
        raise Corrupt(f"{path!r} is a template", "write the artifact's path out in dvc.yaml")
    try:
        return check_path(posixpath.normpath(posixpath.join(folder, path)))
    except Corrupt:
        raise Corrupt(
            f"{where}: {path!r} is no path in the repository", "mend dvc.yaml and commit it"
        ) from None


def pipeline_of(model: str) -> tuple[str, str]:
    """The folder of the dvc.yaml that declares a model, and that file's path."""
    folder = model.rpartition(":")[0]
    return folder, posixpath.join(folder, PIPELINE_FILE)


def unknown_model(model: str, known: Mapping[str, Artifact]) -> NotFound:
    """The error for a model that no dvc.yaml declares, with the nearest name."""
    near = difflib.get_close_matches(model, known, 1)
    if near:
        hint = f"did you mean {near[0]}?"
    elif known:
        hint = "there are: " + ", ".join(sorted(known))
    else:
        hint = "declare it under artifacts: in dvc.yaml, or: tagship init --model NAME --path PATH"
    return NotFound(f"there is no model {model}", hint)


def settings(data: bytes) -> Settings:
    """The settings that a params.yaml holds; the defaults where it has none.

    Raises:
        Corrupt: the file is no YAML.
        Refused: an unknown key, or a value of the wrong kind.
    """
    given = parse(data, PARAMS_FILE).get("deploy") or {}
    if not isinstance(given, dict):
        raise Refused(f"deploy: in {PARAMS_FILE} is no mapping", f"mend {PARAMS_FILE}")
    kinds = {one.name: one.type for one in fields(Settings)}
    for key, value in given.items():
        if key not in kinds:
            near = difflib.get_close_matches(str(key), kinds, 1)
            hint = f"did you mean {near[0]}?" if near else "there are: " + ", ".join(kinds)
            raise Refused(f"deploy: in {PARAMS_FILE} has an unknown key {key!r}", hint)
        _check_setting(key, value)
    return Settings(**given)


def find_project(start: Path) -> Path:
    """The folder, from ``start`` up, that is a DVC repository: it has ``.dvc``.

    Raises:
        NotFound: there is none.
    """
    project = pointer.find_project(start)
    if project is None:
        raise NotFound(f"{start} is in no DVC repository", "git init && dvc init && tagship init")
    return project


def read_root(project: Path) -> Path:
    """The folder of the models, for whoever only reads them.

    Whatever else is wrong in params.yaml does not concern a model that is live.

    Raises:
        Refused: the folder is not in the repository.
    """
    if pointer.is_usual(project):
        return project / ROOT
    try:
        given = parse((project / PARAMS_FILE).read_bytes(), PARAMS_FILE).get("deploy")
    except (FileNotFoundError, Corrupt):
        given = None
    root = given.get("root", Settings.root) if isinstance(given, dict) else Settings.root
    _check_setting("root", root)
    return project / str(root)


def read_settings(project: Path) -> Settings:
    """The settings of today: those in the work tree, not those of a tag."""
    try:
        return settings((project / PARAMS_FILE).read_bytes())
    except FileNotFoundError:
        return Settings()


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
