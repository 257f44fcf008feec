"""The stages of dvc.lock as values, and which of them made or evaluate a model. Pure.

The format is DVC's (dvc 3.67, ``dvc/schema.py``). Paths in a lock are relative to the stage's
``wdir``, which only dvc.yaml tells; here they are from the repository's top.
"""

import hashlib
import json
import posixpath
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tagship.errors import Corrupt
from tagship.registry.project_files import PARAMS_FILE
from tagship.text import yaml

Plots = tuple[tuple[str, dict[str, Any]], ...]
"""Path or name, and options (``template``, ``x``, ``y``, ...)."""


@dataclass(frozen=True)
class Definition:
    """A stage as dvc.yaml defines it, resolved. Paths are from the repository's top.

    Attributes:
        wdir: its working directory.
        outs: options (``cache``, ``remote``, ``push``, ...) by path, of metrics and plots too.
        metrics: paths of its metric files.
        plots: paths of its plots, and their options.
        problem: why a part of it is left out; None where nothing is.
    """

    wdir: str
    outs: dict[str, dict[str, Any]]
    metrics: tuple[str, ...] = ()
    plots: Plots = ()
    problem: Corrupt | None = None

    def flags(self, path: str) -> dict[str, Any]:
        """``remote`` and ``push`` of an output: dvc.yaml has them, dvc.lock has not."""
        given = self.outs.get(path, {})
        return {key: given[key] for key in ("remote", "push") if key in given}


NOWHERE = Definition("", {})


@dataclass(frozen=True)
class Pipeline:
    """A dvc.yaml, resolved.

    Attributes:
        definitions: the stages by their names in dvc.lock, those of foreach and matrix included.
        problems: why a stage, or all of a foreach or matrix, cannot be resolved.
        metrics: paths of metric files on the top level.
        plots: plots on the top level, as declared: relative to dvc.yaml.
        notes: what of the top level cannot be resolved.
    """

    definitions: dict[str, Definition] = field(default_factory=dict)
    problems: dict[str, Corrupt] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    plots: Plots = ()
    notes: tuple[str, ...] = ()

    def problem(self, stage: str) -> Corrupt | None:
        """Why a stage of dvc.lock has no definition; None where dvc.yaml has no such stage."""
        return self.problems.get(stage) or self.problems.get(stage.rpartition("@")[0])


@dataclass(frozen=True)
class Stage:
    """A stage as it last ran.

    Attributes:
        deps: md5 by path; None where DVC gives none (a dependency outside, say).
        outs: DVC's entry (``md5``, ``size``, ...) by path, with dvc.yaml's ``remote`` and ``push``.
        params: value by name; those of another file than params.yaml in the stage's working
            directory are ``file:name``.
        metrics: paths of its metric files.
        recorded_in: the path of its dvc.lock.
        plots: paths of its plots, and their options.
        wdir: its working directory.
        problem: why its definition, or a part of it, cannot be resolved; None where it can.
    """

    name: str
    command: str
    deps: dict[str, str | None]
    outs: dict[str, dict[str, Any]]
    params: dict[str, Any]
    metrics: tuple[str, ...]
    recorded_in: str
    plots: Plots = ()
    wdir: str = ""
    problem: Corrupt | None = None

    @property
    def address(self) -> tuple[str, str]:
        """Its dvc.lock, and its name there: no other stage has both."""
        return self.recorded_in, self.name

    def to_json(self) -> dict[str, Any]:
        """The stage as ``lineage`` in metadata.json has it."""
        return {
            "stage": self.name,
            "command": self.command,
            "deps": [{"path": path, "md5": md5} for path, md5 in self.deps.items()],
            "outs": [{"path": path, "md5": digest(out)} for path, out in self.outs.items()],
            "params": self.params,
        }


@dataclass(frozen=True)
class Places:
    """Which stages have a path: found without a look at the others.

    Attributes:
        at: the positions of stages by the paths that they have.
        below: the same, by the folders above those paths.
    """

    at: dict[str, list[int]] = field(default_factory=dict)
    below: dict[str, list[int]] = field(default_factory=dict)

    def add(self, position: int, paths: Iterable[str]) -> None:
        """A stage that has these paths."""
        for path in paths:
            self.at.setdefault(path, []).append(position)
            for folder in parents(path):
                self.below.setdefault(folder, []).append(position)

    def touching(self, path: str) -> Iterator[int]:
        """The stages that have a path, a folder above it, or something below it."""
        for upper in (path, *parents(path)):
            yield from self.at.get(upper, ())
        yield from self.below.get(path, ())


class Stages(tuple[Stage, ...]):
    """The stages of one dvc.lock, in its order."""

    @cached_property
    def outs(self) -> Places:
        """Which of them write a path."""
        places = Places()
        for position, stage in enumerate(self):
            places.add(position, stage.outs)
        return places

    @cached_property
    def deps(self) -> Places:
        """Which of them read a path."""
        places = Places()
        for position, stage in enumerate(self):
            places.add(position, stage.deps)
        return places

    @cached_property
    def problems(self) -> tuple[Corrupt, ...]:
        """Why some of them, or parts of them, cannot be resolved."""
        return tuple(stage.problem for stage in self if stage.problem is not None)

    def chosen(self, positions: Iterable[int]) -> list[Stage]:
        """The stages at these positions, each once, in order."""
        return [self[position] for position in sorted(set(positions))]


def read(name: str, lock: bytes, pipeline: Pipeline) -> Stages:
    """The stages of one dvc.lock that the dvc.yaml beside it has.

    A stage that cannot be resolved has a problem, and nothing but its name.

    Args:
        name: its path.
        lock: its content.
        pipeline: the dvc.yaml.

    Raises:
        Corrupt: it cannot be read, or is not of DVC's form.
    """
    locked = yaml.parse(lock, name)
    try:
        return Stages(_stages(name, locked.get("stages") or {}, pipeline))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Corrupt(
            f"{name} is not of DVC's form", f"write it again: rm {shlex.quote(name)} && dvc repro"
        ) from None


def _stages(name: str, locked: dict[str, Any], pipeline: Pipeline) -> Iterator[Stage]:
    for stage_name, entry in locked.items():
        definition = pipeline.definitions.get(stage_name)
        stage = _stage(name, stage_name, entry, definition or NOWHERE)
        # DVC leaves the entry of a stage that was renamed or removed in the lock
        if definition is not None:
            yield stage
        elif (problem := pipeline.problem(stage_name)) is not None:
            yield Stage(stage_name, "", {}, {}, {}, (), name, problem=problem)


def _stage(lock: str, name: str, entry: dict[str, Any], definition: Definition) -> Stage:
    command, wdir = entry.get("cmd") or "", definition.wdir
    return Stage(
        name,
        " && ".join(command) if isinstance(command, list) else str(command),
        {join(wdir, dep["path"]): digest(dep) for dep in entry.get("deps") or ()},
        {
            path: {**out, **definition.flags(path)}
            for out in entry.get("outs") or ()
            for path in (join(wdir, out["path"]),)
        },
        {
            (key if file == PARAMS_FILE else f"{join(wdir, file)}:{key}"): value
            for file, values in (entry.get("params") or {}).items()
            for key, value in (values or {}).items()
        },
        definition.metrics,
        lock,
        definition.plots,
        wdir,
        definition.problem,
    )


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


def writer(recorded: Sequence[Stages], path: str) -> tuple[Stage, str] | None:
    """The stage that writes ``path``, and its output that holds it; None where there is none."""
    for stages in recorded:
        writers = [
            (position, out_path)
            for out_path in (path, *parents(path))
            for position in stages.outs.at.get(out_path, ())
            if digest(stages[position].outs[out_path])
        ]
        if writers:
            position, out_path = min(writers)
            return stages[position], out_path
    return None


def makers(recorded: Sequence[Stages], path: str) -> list[Stage]:
    """The stage that writes ``path`` and all stages upstream of it, in the order of a run."""
    ordered: list[Stage] = []
    seen: set[tuple[str, str]] = set()

    def visit(stage: Stage) -> None:
        seen.add(stage.address)
        for other in _writers(recorded, stage.deps):
            if other.address not in seen:
                visit(other)
        ordered.append(stage)

    last = writer(recorded, path)
    if last is not None:
        visit(last[0])
    return ordered


def related(recorded: Sequence[Stages], path: str) -> list[Stage]:
    """The makers of ``path``, and the stages downstream: they evaluate it, or what it became."""
    chosen = {stage.address: stage for stage in makers(recorded, path)}
    last = writer(recorded, path)
    outs = [path, *(last[0].outs if last else ())]
    while outs:
        more = [stage for stage in _readers(recorded, outs) if stage.address not in chosen]
        chosen |= {stage.address: stage for stage in more}
        outs = [out for stage in more for out in stage.outs]
    return list(chosen.values())


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
    while (path := posixpath.dirname(path)).strip("/"):  # the top may be "//" too
        folders.append(path)
    return folders


def _writers(recorded: Sequence[Stages], deps: Iterable[str]) -> Iterator[Stage]:
    for stages in recorded:
        yield from stages.chosen(at for dep in deps for at in stages.outs.touching(dep))


def _readers(recorded: Sequence[Stages], outs: Iterable[str]) -> Iterator[Stage]:
    for stages in recorded:
        yield from stages.chosen(at for out in outs for at in stages.deps.touching(out))
