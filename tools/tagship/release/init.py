"""``tagship init``: what Git and DVC must ignore, and a first model in dvc.yaml."""

import os
import posixpath
import reprlib
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tagship.disk import atomic
from tagship.dvc.snapshot import check_names
from tagship.errors import Corrupt, Refused
from tagship.git import ignore
from tagship.progress import Tell, nobody
from tagship.registry import artifacts, refs
from tagship.registry.project_files import PIPELINE_FILE
from tagship.text import paths, yaml
from tagship.workspace import ignored
from tagship.workspace.source import Source

# Folders below / in which nobody trains a model (hier(7)): nothing of them is copied.
SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr")


@dataclass(frozen=True)
class Prepared:
    """The files that were written; none where everything was there already.

    Attributes:
        written: their names.
        model: the name by which every command knows the new model: in a DVC repository that is a
            subfolder, it begins with the folder.
    """

    written: tuple[str, ...]
    model: str | None


def prepare(
    source: Source,
    root: str,
    model: str | None = None,
    path: str | None = None,
    tell: Tell = nobody,
) -> Prepared:
    """Write ignore rules for deployed state, and an artifact's entry where one is asked for.

    Args:
        source: the work tree.
        root: the folder of the deployments, as the settings have it.
        model: the name of a new model; needs ``path``.
        path: its file or folder, from the DVC repository's top.
        tell: is told that DVC has the folder of the deployments in an output.

    Raises:
        InvalidName: the name is not one of ours.
        Refused: another artifact has the name; or the path begins in another folder, leaves the
            repository, or is none that dvc.yaml can have; or no tag can have the folder's name.
        Corrupt: dvc.yaml cannot be read, or the file would be named as one of tagship's own.
    """
    added = None
    if model is not None and path is not None:
        _check_folder(source, refs.check_new_model(model))
        _check_path(source, root, model, path)
        source.check_apart(source.full_name(model), source.project / path)
        added = _declare(source.project / PIPELINE_FILE, model, path)
    rules = ignored.patterns(root)
    names = {
        file: ignore.with_lines(file, ignored.HEADING, rules)
        for file in (source.project / ".gitignore", source.project / ".dvcignore")
    }
    names[source.project / PIPELINE_FILE] = added
    written = []
    for target, data in names.items():
        if data is not None:
            atomic.write(target, data)
            written.append(target.name)
    origin = _tracked_by(source.project, posixpath.normpath(root))
    if origin is not None:
        tell(
            f"{root} is in an output of DVC ({origin}), which dvc checkout --force replaces, with"
            " what is live: track each model by itself, or set tagship: root: in params.yaml"
        )
    return Prepared(tuple(written), None if model is None else source.full_name(model))


def _tracked_by(project: Path, root: str) -> str | None:
    """The ``.dvc`` file or the stage of dvc.yaml that has a folder in one of its outputs."""
    folders = [root, *(folder.as_posix() for folder in PurePosixPath(root).parents[:-1])]
    names = [f"{folder}.dvc" for folder in folders]
    file = next((name for name in names if (project / name).is_file()), None)
    if file is not None or not (project / PIPELINE_FILE).is_file():
        return file
    declared = yaml.parse((project / PIPELINE_FILE).read_bytes(), PIPELINE_FILE)
    stages = declared.get("stages")
    for name, stage in stages.items() if isinstance(stages, dict) else ():
        for out in (stage.get("outs") or ()) if isinstance(stage, dict) else ():
            path = next(iter(out), None) if isinstance(out, dict) else out
            if isinstance(path, str) and posixpath.normpath(path) in folders:
                return f"stage {name}"
    return None


def _check_folder(source: Source, model: str) -> None:
    """Refuse a folder that can be part of no model's name, and so of no tag."""
    name = source.full_name(model)
    if not refs.is_model(name):
        raise Refused(
            f"{name!r} is the model's name here, and no tag can have it",
            "rename the folder of the DVC repository: letters, digits, '.', '_', '-' and '/'",
        )


def _check_path(source: Source, root: str, model: str, path: str) -> None:
    """Refuse a path that begins in another folder, or leads out of the DVC repository."""
    start, project = source.start.resolve(), source.project.resolve()
    is_of_project = paths.is_path(_cleaned(path))
    place = (start / path).parent.resolve() / Path(path).name
    if is_of_project and (os.path.lexists(project / path) or not os.path.lexists(place)):
        if not _is_written_plainly(_cleaned(path)):
            raise _no_path(path)
        return check_names(artifacts.Artifact(model, _cleaned(path)))
    if not place.is_relative_to(project):
        what = f"{reprlib.repr(path)} is outside of the repository {project}"
        raise Refused(what, _bring_in(project, root, model, place))
    right = place.relative_to(project).as_posix()
    if not paths.is_path(right):
        raise _no_path(path)
    raise Refused(
        f"{path} is not in {project}: the path begins there"
        if is_of_project
        else f"{path} is not relative to {project}, where the path begins",
        f"tagship init --model {model} --path {shlex.quote(right)}",
    )


def _no_path(path: str) -> Refused:
    what = f"{reprlib.repr(path)} cannot be the path of a model"
    return Refused(what, "give the file a plain name: letters, digits, _ and -")


def _is_written_plainly(path: str) -> bool:
    """Whether dvc.yaml has a path as it is: as no other value of YAML, and as no template."""
    try:
        return "${" not in path and yaml.parse(f"path: {path}".encode(), "") == {"path": path}
    except Corrupt:
        return False


def _cleaned(path: str) -> str:
    return path.removeprefix("./").rstrip("/")


def _bring_in(project: Path, root: str, model: str, place: Path) -> str:
    """The commands that copy a model into the repository, over nothing, and declare it."""
    inner = posixpath.normpath(posixpath.join(root, model, place.name))
    declare = f"tagship init --model {model} --path {shlex.quote(inner)}"
    if place == Path("/") or place.parts[1] in SYSTEM:
        named = f"tagship init --model {model} --path {posixpath.join(root, model)}/FILE"
        return f"name the file of the model, in the repository: {named}"
    if not place.exists() or os.path.lexists(project / inner):
        return f"copy its file into the repository, and name it there, such as: {declare}"
    here = Path.cwd()
    folder = (project / inner).parent
    near = os.path.relpath(folder, here) if here.is_relative_to(project) else str(folder)
    copy = "cp -R" if place.is_dir() else "cp"
    into = shlex.quote(near)
    return f"mkdir -p {into} && {copy} {shlex.quote(str(place))} {into} && {declare}"


def _declare(path: Path, model: str, artifact: str) -> bytes | None:
    """dvc.yaml with one more artifact; None where it has it."""
    artifact = _cleaned(artifact)
    data = path.read_bytes() if path.exists() else b""
    declared = artifacts.read(yaml.parse(data, path.name))
    if model in declared:
        known = artifacts.readable(declared[model]).path
        if known == artifact:
            return None
        raise Refused(f"{model} is declared with the path {known}", f"edit {path.name}")
    written = _insert(data.decode(), model, artifact).encode()
    if not _declares(written, model):
        raise Refused(
            f"artifacts: in {path.name} is not written one line a key",
            f"add {model} to it by hand: {{path: {artifact}, type: model}}",
        )
    return written


def _declares(data: bytes, model: str) -> bool:
    try:
        return model in artifacts.read(yaml.parse(data, PIPELINE_FILE))
    except Corrupt:  # the text around the new lines does not go with them: {}
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
