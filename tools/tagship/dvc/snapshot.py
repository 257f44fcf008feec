"""What a commit has of a model: its files, metrics, parameters and lineage.

Everything is read from the commit with Git: opening a DVC repository at a revision is linear in its
``.dvc`` files, and fails where one of them cannot be read.
"""

import contextlib
import functools
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tagship.disk import files as disk_files
from tagship.dvc import pipeline, pointers, stages
from tagship.dvc.pointers import Out, Pointer
from tagship.dvc.stages import Stage, Stages
from tagship.dvc.templates import Read
from tagship.errors import Corrupt, NotFound
from tagship.git import tree
from tagship.registry import artifacts, settings
from tagship.registry.project_files import OLD_FILE, PARAMS_FILE
from tagship.text import yaml


@dataclass(frozen=True)
class Snapshot:
    """A model at a commit: what to release or deploy, and its origin.

    Attributes:
        outs: the model, and its self-test where it has one.
        makers: the stages that made the model, in the order of a run.
        metric_outs: the files of its metrics.
        params: of the stages, or else all of params.yaml.
        notes: what of the pipeline cannot be resolved: metrics and stages may be missing.
    """

    artifact: artifacts.Artifact
    commit: str
    outs: tuple[Out, ...]
    makers: tuple[Stage, ...] = ()
    metric_outs: tuple[Out, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Equal for models of equal bytes (the self-test does not count)."""
        return self.outs[0].identity

    @property
    def pointers(self) -> tuple[Pointer, ...]:
        """The bytes that the commit promises; tracked folders are not opened."""
        return tuple(pointer for out in self.outs for pointer in out.pointers)

    @property
    def size(self) -> int | None:
        """In bytes, as recorded; None where the size of one was not."""
        sizes = [pointer.size for pointer in self.pointers]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def recorded_in(self) -> list[str]:
        """The files in Git that hold the digests, and dvc.yaml, which names the model."""
        pipeline = artifacts.pipeline_of(self.artifact.model)[1]
        return sorted({pipeline, *(out.recorded_in for out in (*self.outs, *self.metric_outs))})

    @property
    def lineage(self) -> list[dict[str, Any]]:
        """The stages that made the model, in the order of a run."""
        return [yaml.plain(stage.to_json()) for stage in self.makers]


def snapshot(blobs: tree.Blobs, commit: str, model: str) -> Snapshot:
    """A model at a commit.

    Raises:
        NotFound: the commit declares no such model, or does not track its path.
        Corrupt: a file that records it cannot be read.
    """
    folder = artifacts.pipeline_of(model)[0]
    read = functools.partial(blobs.read, commit)
    declared = pipeline.models(read, folder)
    if model not in declared:
        artifacts.check_not_old(blobs.read(commit, OLD_FILE), model)
        raise NotFound(f"commit {commit[:10]} declares no model {model}", f"tagship list {model}")
    artifact = artifacts.readable(declared[model])
    check_names(artifact)
    recorded = pointers.stages_at(blobs, commit, folder, artifact.path)
    related = stages.related(recorded, artifact.path)
    top = pipeline.at(read, folder)
    metric_paths = _metric_paths(top.metrics, artifact, related, alone=len(declared) == 1)
    return Snapshot(
        artifact,
        commit,
        tuple(_out(blobs, commit, recorded, path) for path in artifact.paths),
        tuple(stages.makers(recorded, artifact.path)),
        tuple(_metric_outs(blobs, commit, recorded, metric_paths)),
        _params(read, folder, related),
        tuple(dict.fromkeys([*(error.message for error in _problems(recorded)), *top.notes])),
    )


def _out(blobs: tree.Blobs, commit: str, recorded: list[Stages], path: str) -> Out:
    """Who tracks a file of the model; where nobody seems to, the stage that cannot be resolved."""
    try:
        return pointers.find_out(blobs, commit, recorded, path)
    except NotFound as error:
        raise next(iter(_problems(recorded)), error) from None


def _problems(recorded: list[Stages]) -> list[Corrupt]:
    return [problem for of_lock in recorded for problem in of_lock.problems]


def check_names(artifact: artifacts.Artifact) -> None:
    """The model and its self-test are in one version directory, with tagship's own files.

    Raises:
        Corrupt: two of them have the same name.
    """
    names = [posixpath.basename(path) for path in artifact.paths]
    if len(set(names)) < len(names):
        raise Corrupt(
            f"two files of {artifact.model} would be named {names[0]}",
            "rename the file of the self-test, and its path in dvc.yaml",
        )
    for name in set(names).intersection(disk_files.OWN):
        raise Corrupt(
            f"a file of {artifact.model} would be named {name}, which is tagship's own",
            "rename that file, and its path in dvc.yaml",
        )


def _metric_paths(
    top: Iterable[str], artifact: artifacts.Artifact, related: list[Stage], *, alone: bool
) -> dict[str, None]:
    """The metric files of the related stages, and those on dvc.yaml's top level that are theirs.

    Where no stage is related (a model from ``dvc add``): all on the top level if the model is alone
    in its dvc.yaml; else those that name it, or are beside it.
    """
    paths = {path: None for stage in related for path in stage.metrics}
    outs = {path for stage in related for path in stage.outs}
    for path in top:
        if any(stages.holds(out, path) for out in outs) or (
            not related and (alone or _is_named(artifact, path))
        ):
            paths[path] = None
    return paths


def _is_named(artifact: artifacts.Artifact, path: str) -> bool:
    """``metrics/churn.json``, ``churn/metrics.json``, or a file in the folder of the artifact."""
    *folders, file = path.split("/")
    model = artifact.model.rpartition(":")[2]
    beside = posixpath.dirname(path) == posixpath.dirname(artifact.path) != ""
    return model in (*folders, posixpath.splitext(file)[0]) or beside


def _metric_outs(
    blobs: tree.Blobs, commit: str, recorded: list[Stages], paths: Iterable[str]
) -> Iterator[Out]:
    for path in paths:
        entries = blobs.entries(commit, path)
        if entries:
            yield pointers.git_out(path, entries)
        else:
            with contextlib.suppress(NotFound):  # declared, and not there at this commit
                yield pointers.find_out(blobs, commit, recorded, path)


def _params(read: Read, folder: str, related: list[Stage]) -> Any:
    """The parameters of the related stages; where there is none, params.yaml beside dvc.yaml.

    Where params.yaml of another folder has the same name, that one is ``file:name``.
    """
    if not related:
        name = posixpath.join(folder, PARAMS_FILE)
        whole = yaml.parse(read(name) or b"", name)
        ours = (settings.SECTION, *settings.sections(whole))
        return yaml.plain({key: value for key, value in whole.items() if key not in ours})
    values: dict[str, Any] = {}
    wdirs: dict[str, str] = {}
    for stage in related:
        for name, value in stage.params.items():
            is_first = wdirs.setdefault(name, stage.wdir) == stage.wdir or ":" in name
            file = stages.join(stage.wdir, PARAMS_FILE)
            values[name if is_first else f"{file}:{name}"] = value
    return yaml.plain(values)
