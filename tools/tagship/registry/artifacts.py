"""The models that a repository declares, under ``artifacts:`` in dvc.yaml."""

import difflib
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tagship.errors import Corrupt, NotFound
from tagship.registry.project_files import OLD_FILE, PIPELINE_FILE
from tagship.registry.refs import is_model
from tagship.text import yaml
from tagship.text.paths import check_path


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


LONGEST = 200  # characters of a path in an error

Resolve = Callable[[str, Any], tuple[str, Any]]
"""Fills in the templates of an entry under ``artifacts:``: its name, and what it has."""


def parse(data: bytes, folder: str = "") -> dict[str, Artifact]:
    """The models that a dvc.yaml declares; a path may be no template.

    Args:
        data: the file's content.
        folder: its folder, relative to the repository's top; empty for the top itself.

    Raises:
        Corrupt: the file or an entry is not valid.
    """
    declared = yaml.parse(data, posixpath.join(folder, PIPELINE_FILE))
    return {model: readable(entry) for model, entry in read(declared, folder).items()}


def readable(entry: Artifact | Corrupt) -> Artifact:
    """The artifact; raises the error where its entry is not valid."""
    if isinstance(entry, Corrupt):
        raise entry
    return entry


def _as_written(name: str, entry: Any) -> tuple[str, Any]:
    """An entry without templates where tagship reads a path; only DVC fills them in."""
    if isinstance(entry, dict):
        meta = entry.get("meta")
        for text in (entry.get("path"), meta.get("self_test") if isinstance(meta, dict) else None):
            if isinstance(text, str) and "${" in text:
                hint = f"write the path of {name} out in dvc.yaml"
                raise Corrupt(f"{text!r} is a template", hint)
    return name, entry


def read(
    declared: dict[str, Any], folder: str = "", resolve: Resolve = _as_written
) -> dict[str, Artifact | Corrupt]:
    """The models that a dvc.yaml declares; for an entry that is not valid, the error.

    Args:
        declared: the file's values.
        folder: its folder, relative to the repository's top; empty for the top itself.
        resolve: fills in templates.

    Raises:
        Corrupt: ``artifacts:`` is not a mapping.
    """
    name = posixpath.join(folder, PIPELINE_FILE)
    entries = declared.get("artifacts") or {}
    if not isinstance(entries, dict):
        raise Corrupt(f"artifacts: in {name} is not a mapping", f"fix {name} and commit it")
    models: dict[str, Artifact | Corrupt] = {}
    for key, entry in entries.items():
        model = _model(folder, key)
        try:
            resolved, content = resolve(str(key), entry)
            model = _model(folder, resolved)
            models[model] = _artifact(model, content, folder, f"artifacts: {resolved} in {name}")
        except Corrupt as error:
            models[model] = error
    # DVC only warns about another name; a tag cannot have it
    return {model: entry for model, entry in models.items() if is_model(model)}


def _model(folder: str, key: object) -> str:
    """GTO's full name."""
    return f"{folder}:{key}" if folder else str(key)


def _artifact(model: str, entry: Any, folder: str, where: str) -> Artifact:
    file = posixpath.join(folder, PIPELINE_FILE)
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        hint = f"add path: FILE to it in {file}, and commit"
        raise Corrupt(f"{where} has no path", hint)
    meta = entry.get("meta")
    self_test = meta.get("self_test") if isinstance(meta, dict) else None
    if self_test is not None and not isinstance(self_test, str):
        hint = f"write self_test: FILE in {file}, and commit"
        raise Corrupt(f"{where}: self_test is not a path", hint)
    if not isinstance(entry.get("labels") or [], list):
        hint = f"write labels: [LABEL] in {file}, and commit"
        raise Corrupt(f"{where}: labels is not a list", hint)
    return Artifact(
        model,
        _from_top(folder, entry["path"], where),
        None if self_test is None else _from_top(folder, self_test, where),
        str(entry.get("desc") or ""),
        tuple(str(label) for label in entry.get("labels") or ()),
    )


def _from_top(folder: str, path: str, where: str) -> str:
    try:
        return check_path(posixpath.normpath(posixpath.join(folder, path)))
    except Corrupt:
        raise Corrupt(
            f"{where}: {path[:LONGEST]!r} is not a path in the repository",
            f"fix {posixpath.join(folder, PIPELINE_FILE)} and commit it",
        ) from None


def pipeline_of(model: str) -> tuple[str, str]:
    """The folder of the dvc.yaml that declares a model, and that file's path."""
    folder = model.rpartition(":")[0]
    return folder, posixpath.join(folder, PIPELINE_FILE)


def check_not_old(data: bytes | None, model: str) -> None:
    """Refuse a model that only the file of GTO before version 1 declares.

    Args:
        data: artifacts.yaml, where the commit has one.
        model: its name.

    Raises:
        NotFound: that file declares it.
    """
    try:
        declared = yaml.parse(data or b"", OLD_FILE)
    except Corrupt:  # nobody reads it any more
        return
    if model in declared:
        raise NotFound(
            f"{model} is declared in {OLD_FILE}, which only GTO before version 1 reads",
            f"move it to artifacts: in {PIPELINE_FILE}, commit, and release it again",
        )


def unknown_model(model: str, known: Mapping[str, object]) -> NotFound:
    """The error for a model that no dvc.yaml declares; it suggests the nearest name."""
    near = difflib.get_close_matches(model, known, 1)
    if near:
        hint = f"did you mean {near[0]}?"
    elif known:
        hint = "there are: " + ", ".join(sorted(known))
    else:
        hint = "declare it, and commit dvc.yaml: tagship init --model NAME --path PATH"
    return NotFound(f"there is no model {model}", hint)
