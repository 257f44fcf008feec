"""``tagship init``: what Git and DVC must ignore, and a first model in dvc.yaml."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from tagship.disk import atomic
from tagship.errors import Corrupt, Refused
from tagship.host import link, store
from tagship.host.history import FILE_NAME
from tagship.registry import artifacts, refs
from tagship.registry.project_files import PIPELINE_FILE
from tagship.text import paths, yaml
from tagship.workspace.source import Source

HEADING = "# what tagship puts live on this host"


@dataclass(frozen=True)
class Prepared:
    """The files that were written; none where everything was there already."""

    written: tuple[str, ...]
    model: str | None


def prepare(
    source: Source, root: str, model: str | None = None, path: str | None = None
) -> Prepared:
    """Write ignore rules for deployed state, and an artifact's entry where one is asked for.

    Args:
        source: the work tree.
        root: the folder of the deployments, as the settings have it.
        model: the name of a new model; needs ``path``.
        path: its file or folder, from the DVC repository's top.

    Raises:
        InvalidName: the name is not one of ours.
        Refused: another artifact has the name; or the path begins in another folder.
        Corrupt: the path leaves the repository, or dvc.yaml cannot be read.
    """
    added = None
    if model is not None and path is not None:
        _check_from_project(source, model, path)
        source.check_apart(model, source.project / path)
        added = _declare(source.project / PIPELINE_FILE, refs.check_new_model(model), path)
    root = root.strip("/")
    state = [
        f"/{root}/*/{name}" for name in (link.VERSIONS, link.CURRENT, FILE_NAME, store.PRIVATE)
    ]
    names = {
        source.project / ".gitignore": _with_lines(source.project / ".gitignore", state),
        source.project / ".dvcignore": _with_lines(source.project / ".dvcignore", state),
        source.project / PIPELINE_FILE: added,
    }
    written = []
    for target, data in names.items():
        if data is not None:
            atomic.write(target, data)
            written.append(target.name)
    return Prepared(tuple(written), model)


def _check_from_project(source: Source, model: str, path: str) -> None:
    """Refuse a path that leads to a file from the working directory alone."""
    start, project = source.start.resolve(), source.project.resolve()
    if (start / path).exists() and not (project / path).exists():
        if not (start / path).resolve().is_relative_to(project):
            return
        right = shlex.quote(os.path.relpath(start / path, project))
        raise Refused(
            f"{path} is not in {project}: the path begins there",
            f"tagship init --model {model} --path {right}",
        )


def _with_lines(path: Path, lines: list[str]) -> bytes | None:
    """The file's text with the lines that it lacks; None where it has them all."""
    text = path.read_text() if path.exists() else ""
    lacking = [line for line in lines if line not in text.splitlines()]
    if not lacking:
        return None
    before = text if not text or text.endswith("\n") else text + "\n"
    heading = [] if HEADING in before else [HEADING]
    return (before + "\n".join([*heading, *lacking]) + "\n").encode()


def _declare(path: Path, model: str, artifact: str) -> bytes | None:
    """dvc.yaml with one more artifact; None where it has it."""
    artifact = paths.check_path(artifact.removeprefix("./").rstrip("/"))
    data = path.read_bytes() if path.exists() else b""
    declared = artifacts.read(yaml.parse(data, path.name))
    if model in declared:
        known = artifacts.readable(declared[model]).path
        if known == artifact:
            return None
        raise Refused(f"{model} is declared with the path {known}", f"edit {path.name}")
    written = _insert(data.decode(), model, artifact).encode()
    if not _declares(written, path.name, model):
        raise Refused(
            f"artifacts: in {path.name} is not written one line a key",
            f"add {model} to it by hand: {{path: {artifact}, type: model}}",
        )
    return written


def _declares(data: bytes, name: str, model: str) -> bool:
    try:
        return model in artifacts.read(yaml.parse(data, name))
    except Corrupt:  # artifacts: is there twice by now
        return False


def _insert(text: str, model: str, artifact: str) -> str:
    """The entry as text under ``artifacts:``, so that not one other character changes."""
    lines = text.splitlines(keepends=True)
    entry = [f"{model}:\n", f"  path: {artifact}\n", "  type: model\n"]
    for index, line in enumerate(lines):
        if line.rstrip() == "artifacts:":
            indent = (
                next((_indent(other) for other in lines[index + 1 :] if other.strip()), "") or "  "
            )
            return "".join(
                [*lines[: index + 1], *(indent + part for part in entry), *lines[index + 1 :]]
            )
    end = "" if not text or text.endswith("\n") else "\n"
    return text + end + "".join(["artifacts:\n", *("  " + part for part in entry)])


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
