"""The stages of dvc.lock as values, and which of them made or evaluate a model. Pure.

The format is DVC's (dvc 3.67, ``dvc/schema.py``). Paths in a lock are relative to the stage's
``wdir``, which only dvc.yaml tells; here they are from the repository's top.
"""

import hashlib
import json
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tagship.errors import Corrupt
from tagship.registry.project_files import PARAMS_FILE, PIPELINE_FILE
from tagship.text import yaml


@dataclass(frozen=True)
class Stage:
    """A stage as it last ran.

    Attributes:
        deps: md5 by path; None where DVC gives none (a dependency outside, say).
        outs: DVC's entry (``md5``, ``size``, ...) by path, with dvc.yaml's ``remote`` and ``push``.
        params: value by name; those of another file than params.yaml are ``file:name``.
        metrics: paths of its metric files.
        recorded_in: the path of its dvc.lock.
        plots: paths of its plots, and their options (``template``, ``x``, ``y``, ...).
    """

    name: str
    command: str
    deps: dict[str, str | None]
    outs: dict[str, dict[str, Any]]
    params: dict[str, Any]
    metrics: tuple[str, ...]
    recorded_in: str
    plots: tuple[tuple[str, dict[str, Any]], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The stage as ``lineage`` in metadata.json has it."""
        return {
            "stage": self.name,
            "command": self.command,
            "deps": [{"path": path, "md5": md5} for path, md5 in self.deps.items()],
            "outs": [{"path": path, "md5": digest(out)} for path, out in self.outs.items()],
            "params": self.params,
        }


def read(name: str, lock: bytes, pipeline: bytes) -> list[Stage]:
    """The stages of one dvc.lock.

    Args:
        name: its path.
        lock: its content.
        pipeline: the content of the dvc.yaml beside it.

    Raises:
        Corrupt: one of the two cannot be read, or is not of DVC's form.
    """
    folder = posixpath.dirname(name)
    declared = yaml.parse(pipeline, posixpath.join(folder, PIPELINE_FILE))
    locked = yaml.parse(lock, name)
    try:
        locked_stages = list(_stages(name, folder, locked, declared))
        # DVC leaves the entry of a stage that was renamed or removed in the lock
        known = declared.get("stages") or {}
        return [stage for stage in locked_stages if stage.name.partition("@")[0] in known]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Corrupt(f"{name} is not of DVC's form", "write it again: dvc repro") from None


def _stages(
    name: str, folder: str, locked: dict[str, Any], written: dict[str, Any]
) -> Iterator[Stage]:
    for stage_name, stage in (locked.get("stages") or {}).items():
        declared = (written.get("stages") or {}).get(stage_name.partition("@")[0]) or {}
        # an item of foreach or matrix is "name@item" in the lock, and its declaration is in do:
        declared = declared.get("do", declared)
        place = posixpath.join(folder, str(declared.get("wdir") or ""))
        command = stage.get("cmd") or ""
        flags = out_flags(declared, place)
        yield Stage(
            stage_name,
            " && ".join(command) if isinstance(command, list) else str(command),
            {join(place, dep["path"]): digest(dep) for dep in stage.get("deps") or ()},
            {
                path: {**out, **flags.get(path, {})}
                for out in stage.get("outs") or ()
                for path in (join(place, out["path"]),)
            },
            {
                (key if file == PARAMS_FILE else f"{file}:{key}"): value
                for file, values in (stage.get("params") or {}).items()
                for key, value in (values or {}).items()
            },
            tuple(join(place, path) for path in metric_files(declared.get("metrics"))),
            name,
            tuple((join(place, path), options) for path, options in plots(declared.get("plots"))),
        )


def out_flags(declared: dict[str, Any], place: str) -> dict[str, dict[str, Any]]:
    """``remote`` and ``push`` of a stage's outputs, by path: dvc.yaml has them, dvc.lock has not.

    Args:
        declared: the stage as dvc.yaml defines it, with what a template stands for.
        place: its working directory, from the repository's top.
    """
    flags: dict[str, dict[str, Any]] = {}
    for kind in ("outs", "metrics", "plots"):
        items = declared.get(kind) or ()
        for item in [items] if isinstance(items, dict) else items:
            for path, given in item.items() if isinstance(item, dict) else ():
                if isinstance(given, dict):
                    chosen = {key: given[key] for key in ("remote", "push") if key in given}
                    flags.setdefault(join(place, str(path)), {}).update(chosen)
    return flags


def digest(entry: dict[str, Any]) -> str | None:
    """The md5 of an entry of DVC's; None where it has none (a dependency outside, say).

    ``dvc push`` to a ``version_aware`` remote writes ``files:`` instead of a folder's digest. It is
    the one that their list has as an object (``dvc_data/hashfile/tree.py``).
    """
    if not entry.get("files"):
        return entry.get("md5")
    members = [{"md5": file["md5"], "relpath": file["relpath"]} for file in listed(entry)]
    md5 = hashlib.md5(json.dumps(members, sort_keys=True).encode(), usedforsecurity=False)
    return f"{md5.hexdigest()}.dir"


def listed(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """What ``files:`` of an entry of DVC's lists, in the order of the list's digest."""
    return sorted(entry.get("files") or (), key=lambda file: str(file["relpath"]))


def writer(stages: list[Stage], path: str) -> tuple[Stage, str] | None:
    """The stage that writes ``path``, and its output that holds it; None where there is none."""
    for stage in stages:
        for out_path, out in stage.outs.items():
            if holds(out_path, path) and digest(out):
                return stage, out_path
    return None


def makers(stages: list[Stage], path: str) -> list[Stage]:
    """The stage that writes ``path`` and all stages upstream of it, in the order of a run."""
    ordered: list[Stage] = []

    def visit(stage: Stage, above: tuple[Stage, ...]) -> None:
        for other in stages:
            if other not in (*ordered, *above, stage) and _feeds(other, stage):
                visit(other, (*above, stage))
        if stage not in ordered:
            ordered.append(stage)

    last = writer(stages, path)
    if last is not None:
        visit(last[0], ())
    return ordered


def related(stages: list[Stage], path: str) -> list[Stage]:
    """The makers of ``path``, and the stages downstream: they evaluate it, or what it became."""
    stages_of_path = makers(stages, path)
    last = writer(stages, path)
    outs = {path} | set(last[0].outs if last else ())
    while True:
        more = [
            stage
            for stage in stages
            if stage not in stages_of_path
            and any(_touch(dep, out) for dep in stage.deps for out in outs)
        ]
        if not more:
            return stages_of_path
        stages_of_path += more
        outs.update(out for stage in more for out in stage.outs)


def metric_files(declared: Any) -> Iterator[str]:
    """The paths of a ``metrics:`` list, whose items are ``path`` or ``path: {options}``."""
    for item in declared if isinstance(declared, list) else ():
        for path in item if isinstance(item, dict) else (item,):
            if isinstance(path, str) and "${" not in path:
                yield path


def plots(declared: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path or name, and options, of a ``plots:`` list, or of the mapping that DVC takes too."""
    items = [declared] if isinstance(declared, dict) else declared
    for item in items if isinstance(items, list) else ():
        for path, options in item.items() if isinstance(item, dict) else ((item, None),):
            if isinstance(path, str):
                yield path, dict(options) if isinstance(options, dict) else {}


def join(folder: str, path: str) -> str:
    """A path that is relative to ``folder``, from the repository's top."""
    if (
        "://" in path
    ):  # a dependency outside keeps its URL as it is, so that ``redact`` recognizes it
        return path
    return posixpath.normpath(posixpath.join(folder, path))


def holds(outer: str, inner: str) -> bool:
    """Whether ``inner`` is ``outer``, or lies below it."""
    return inner == outer or inner.startswith(outer + "/")


def parents(path: str) -> list[str]:
    """The folders above a path, nearest first, without the top."""
    folders = []
    while (path := posixpath.dirname(path)) not in ("", "/"):
        folders.append(path)
    return folders


def _feeds(upstream: Stage, downstream: Stage) -> bool:
    return any(_touch(out, dep) for out in upstream.outs for dep in downstream.deps)


def _touch(left: str, right: str) -> bool:
    return holds(left, right) or holds(right, left)
