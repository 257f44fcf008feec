"""Whether a model was built from what is in the work tree: DVC's own answer.

The question is that of ``dvc repro --dry --allow-missing`` (dvc 3.67, ``dvc/repo/reproduce.py``),
for the stages that make the model, and all stages upstream: ``Stage.changed``, under DVC's lock.
What is merely not here is no difference. No network is used: imports, and dependencies with a URL,
are not asked for news. Unlike DVC, frozen stages are compared too.
"""

import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagship.disk import atomic
from tagship.dvc import repo, stages
from tagship.errors import Refused
from tagship.git import worktree
from tagship.git.run import Repository
from tagship.registry.project_files import LOCK_FILE, PARAMS_FILE, PIPELINE_FILE
from tagship.text import redact

NOT_HERE = ("not in cache", "deleted")  # DVC's words for outputs that are no difference


@dataclass(frozen=True)
class Difference:
    """A stage that ``dvc repro`` would run, or would run if it were not frozen.

    Attributes:
        stage: as ``dvc repro`` takes it, in the folder of ``.dvc``.
        what: what differs, a phrase each; empty where the stage never ran.
        recorded_in: the file with the recorded values, from Git's top.
        kind: ``stage``; or ``frozen stage``, or ``skipped stage`` where only frozen ones use it:
            those ``dvc repro`` skips.
        data: paths of data from ``dvc add`` or an import that were changed since.
    """

    stage: str
    what: tuple[str, ...]
    recorded_in: str
    kind: str = "stage"
    data: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = self.data or self.what
        verb = "differ" if len(what) > 1 else "differs"
        stage = f"{self.kind} {self.stage}"
        if not what:
            return f"{stage} was never run"
        of = "" if self.data else f" of {stage}"
        return f"{', '.join(what)}{of} {verb} from {self.recorded_in}"


@dataclass(frozen=True)
class Answer:
    """What DVC and Git say of the stages that make a model. All paths are from Git's top.

    Attributes:
        differences: from the recorded values, in the order of a run.
        edited: outputs that hold the model or its self-test, and were edited.
        uncommitted: inputs that differ from HEAD, or that nobody added to Git.
        fix: the commands after which there are no differences.
        notes: what could not be compared.
    """

    differences: tuple[Difference, ...]
    edited: tuple[str, ...]
    uncommitted: tuple[str, ...]
    fix: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """The stages that make a model, and those upstream, in the order of a run.

    Attributes:
        top: Git's.
        makers: the stages whose outputs hold the model and its self-test.
        outs: those outputs.
        upstream: what feeds each stage directly.
        kinds: ``frozen stage`` or ``skipped stage``, of those that DVC skips.
        notes: what cannot be compared.
    """

    top: Path
    makers: tuple[Any, ...]
    outs: tuple[Any, ...]
    upstream: dict[Any, list[Any]]
    kinds: dict[Any, str]
    notes: tuple[str, ...]

    def name(self, path: str) -> str:
        """A path as a person is shown it."""
        name = os.path.relpath(path, self.top)
        return path if name.startswith("..") else name

    def holds(self, path: str) -> bool:
        """Whether DVC keeps a path, as an output of one of the stages or in one."""
        return any(
            out.use_cache and stages.holds(out.fs_path, path)
            for stage in self.upstream
            for out in stage.outs
        )

    def inputs(self) -> list[str]:
        """What Git should have: all that the stages are declared in, and depend on."""
        paths = {path for stage in self.upstream for path in _inputs(stage)}
        below = f"{self.top}/"
        return sorted(p[len(below) :] for p in paths if p.startswith(below) and not self.holds(p))


def ask(
    repository: Repository, project: Path, paths: tuple[str, ...], committed: Iterable[str] = ()
) -> Answer:
    """What differs between the work tree and what the model was built from.

    Args:
        repository: Git's.
        project: the folder of ``.dvc``.
        paths: the model's file or folder, and its self-test, from Git's top.
        committed: files that are known to be as in HEAD.

    Raises:
        Locked: another DVC process works on these stages.
        Refused: DVC cannot load them; or the repository is bare.
    """
    if repository.bare:
        top = shlex.quote(str(repository.top))
        raise Refused(
            f"{repository.top} is a bare repository: it has no work tree for DVC to compare",
            f"git clone {top}, and release from the clone",
        )
    with repo.opened(project) as dvc:
        plan = _plan(dvc.repo, repository.top, paths)
        _check_submodules(repository, plan)
        _check_read(repository, plan, paths, dvc.unread)
        absent = _absent(plan)
        missing = _missing(repository, plan, absent)
        differences = [_difference(plan, stage, missing) for stage in plan.upstream]
        notes = [
            f"{name} was not compared: it is not here" for name in absent if name not in missing
        ]
        notes += [f"DVC cannot load {plan.name(str(path))}" for path in dvc.unread]
        return Answer(
            tuple(difference for difference in differences if difference),
            tuple(plan.name(out.fs_path) for out in plan.outs if _is_edited(out)),
            tuple(_uncommitted(repository, plan, dvc.repo.dvcignore, set(committed))),
            _fix(plan, repository.top, project, [d for d in differences if d]),
            (*plan.notes, *notes),
        )


def _plan(dvc_repo: Any, top: Path, paths: tuple[str, ...]) -> _Plan:
    from dvc.repo.reproduce import get_active_graph, plan_repro

    graph = dvc_repo.index.graph
    outs = tuple(
        out
        for stage in graph
        for out in stage.outs
        if out.protocol == "local" and any(_overlap(out.fs_path, str(top / path)) for path in paths)
    )
    makers = tuple(dict.fromkeys(out.stage for out in outs))
    planned = plan_repro(graph, makers) if makers else []
    active = set(plan_repro(get_active_graph(graph), makers)) if makers else set()
    kinds = {stage: "skipped stage" for stage in planned if stage not in active}
    frozen = [stage for stage in planned if stage.frozen and not stage.is_import]
    kinds |= dict.fromkeys(frozen, "frozen stage")
    upstream = {stage: list(graph.successors(stage)) for stage in planned}
    notes = tuple(note for stage in planned for note in _make_comparable(stage))
    return _Plan(top, makers, outs, upstream, kinds, notes)


def _overlap(first: str, second: str) -> bool:
    """Whether one path is the other, or in it: DVC may keep a folder's files one by one."""
    return stages.holds(first, second) or stages.holds(second, first)


def _make_comparable(stage: Any) -> Iterator[str]:
    """Have DVC compare a stage that it would skip or run anyway, and ask no network; notes."""
    stage.frozen = stage.is_import
    if stage.is_import:
        return
    if stage.always_changed and _is_pipeline(stage):
        stage.always_changed = False
        yield f"stage {_address(stage)} is always_changed: only what dvc.lock records was compared"
    for kind in ("deps", "outs"):
        here = [item for item in getattr(stage, kind) if item.protocol in ("local", None)]
        for item in getattr(stage, kind):
            if item not in here:
                yield f"{redact.text(item.def_path)} was not compared: it is on the network"
        setattr(stage, kind, here)
    _drop_folders(stage)


def _drop_folders(stage: Any) -> None:
    """Remove folders at the places of objects in DVC's cache: DVC removes other bad objects itself,
    and fails on these."""
    for out in stage.outs:
        if out.use_cache and out.hash_info:
            place = Path(out.cache.oid_to_path(out.hash_info.value))
            if place.is_dir():
                atomic.remove_tree(place)


def _difference(plan: _Plan, stage: Any, missing: set[str]) -> Difference | None:
    gone = [dep for dep in _files(stage) if plan.name(dep.fs_path) in missing]
    is_pipeline = _is_pipeline(stage)
    has_run = not is_pipeline or any(item.hash_info for item in (*stage.deps, *stage.outs))
    changed = stage.changed(allow_missing=True, upstream=plan.upstream[stage])
    if has_run and not changed and not gone:
        return None
    what = [*_what(plan, stage), *(f"missing dependency {plan.name(dep.fs_path)}" for dep in gone)]
    return Difference(
        _address(stage),
        tuple(what) if has_run else (),
        plan.name(_lock(stage) if is_pipeline else stage.path),
        plan.kinds.get(stage, "stage"),
        () if is_pipeline else tuple(plan.name(out.fs_path) for out in stage.outs),
    )


def _what(plan: _Plan, stage: Any) -> Iterator[str]:
    """What differs, in words; the rules of ``Stage.changed`` (dvc 3.67, ``dvc/stage``)."""
    if stage.changed_stage():
        yield "the command"
    for dep in () if stage.frozen else stage.deps:
        for status in dep.status().values():
            if isinstance(status, dict):  # by name of the parameter
                of = "" if dep.def_path == PARAMS_FILE else f" of {plan.name(dep.fs_path)}"
                yield from (f"parameter `{name}`{of}" for name in status)
            elif status != "deleted" or _is_another(dep, plan.upstream[stage]):
                yield f"dependency {plan.name(dep.fs_path)}"
    for out in stage.outs:
        if any(status not in NOT_HERE for status in out.status().values()):
            yield f"output {plan.name(out.fs_path)}"


def _is_another(dep: Any, upstream: list[Any]) -> bool:
    """Whether what is not here is recorded with other bytes where it comes from."""
    outs = [out for stage in upstream for out in stage.outs if out.fs_path == dep.fs_path]
    return any(out.hash_info != dep.hash_info for out in outs)


def _absent(plan: _Plan) -> dict[str, None]:
    """Dependencies that are not here, and of which no stage upstream has a record to compare."""
    return {
        plan.name(dep.fs_path): None
        for stage, upstream in plan.upstream.items()
        for dep in _files(stage)
        if not dep.exists
        and not any(out.fs_path == dep.fs_path for above in upstream for out in above.outs)
    }


def _missing(repository: Repository, plan: _Plan, absent: Iterable[str]) -> set[str]:
    """Those of them that are neither in Git nor DVC's: no clone of this commit has them."""
    names = set(absent).intersection(plan.inputs())
    if not names:
        return set()
    kept = worktree.tracked(repository, names)  # a sparse work tree lacks what Git has
    scm = plan.makers[0].repo.scm
    return {
        name
        for name in names
        if not _any_at(name, kept) and not scm.is_ignored(str(repository.top / name))
    }


def _check_submodules(repository: Repository, plan: _Plan) -> None:
    """Refuse where an input is in a submodule that this clone has not checked out."""
    absent = worktree.absent_submodules(repository, plan.inputs())
    if absent:
        raise Refused(
            f"not checked out: the submodule {', '.join(absent)}",
            f"git submodule update --init {shlex.join(absent)}",
        )


def _check_read(
    repository: Repository, plan: _Plan, paths: tuple[str, ...], unread: dict[Path, str]
) -> None:
    """Refuse where a file that DVC cannot load may track the model or one of its inputs."""
    if not unread:
        return
    held = [plan.name(out.fs_path) for out in plan.outs]
    names = [p for p in paths if not any(stages.holds(name, p) for name in held)] + plan.inputs()
    kept = worktree.tracked(repository, names)
    broken = [plan.name(str(path)) for path in unread]
    for name in names:
        if not _any_at(name, kept) or any(stages.holds(name, path) for path in broken):
            path, why = next(iter(unread.items()))
            raise repo.unreadable(why if path.name in why else f"{plan.name(str(path))}: {why}")


def _any_at(name: str, paths: Iterable[str]) -> bool:
    return any(stages.holds(name, path) for path in paths)


def _is_edited(out: Any) -> bool:
    """Whether the work tree has other bytes than recorded; also where the cache has none."""
    return bool(out.use_cache and out.hash_info and "modified" in out.workspace_status().values())


def _uncommitted(
    repository: Repository, plan: _Plan, ignored: Any, committed: set[str]
) -> list[str]:
    inputs = [name for name in plan.inputs() if name not in committed]
    names = [*inputs, *_behind_links(repository, plan, inputs)]
    changed = worktree.changed(repository, names) if names else []
    return [
        name
        for name in changed
        if not plan.holds(path := str(repository.top / name))
        and (name in names or not ignored.is_ignored_file(path))
    ]


def _behind_links(repository: Repository, plan: _Plan, names: list[str]) -> list[str]:
    """What is read where an input is, leads through, or holds a symbolic link."""
    top = os.path.realpath(repository.top)
    links = worktree.links(repository, names)
    paths = {os.path.realpath(repository.top / name) for name in (*names, *links)}
    targets = {os.path.relpath(path, top) for path in paths if path.startswith(f"{top}/")}
    return sorted(
        name for name in targets.difference(names) if not plan.holds(str(repository.top / name))
    )


def _fix(plan: _Plan, top: Path, project: Path, differences: list[Difference]) -> str:
    """The commands to run at Git's top."""
    commands = [] if project == top else [f"cd {shlex.quote(os.path.relpath(project, top))}"]
    first = ""
    if any(difference.kind != "stage" for difference in differences):
        frozen = [stage for stage, kind in plan.kinds.items() if kind == "frozen stage"]
        generated = {_generated(plan, stage): None for stage in frozen if _is_generated(stage)}
        if generated:  # dvc unfreeze takes no stage of foreach or matrix
            first = f"remove frozen: true from {' and '.join(generated)}, then "
        plain = [_address(stage) for stage in frozen if not _is_generated(stage)]
        commands += [f"dvc unfreeze {shlex.join(plain)}"] if plain else []
    data = [stage for stage in plan.upstream if not _is_pipeline(stage)]
    # a folder that is here in part differs for DVC
    parts = [
        _address(stage) for stage in plan.upstream if differences and _is_absent_part(plan, stage)
    ]
    commands += [f"dvc pull {shlex.join(parts)}"] if parts else []
    for stage in data:
        if _address(stage) in {difference.stage for difference in differences}:
            paths = [os.path.relpath(out.fs_path, project) for out in stage.outs]
            commands.append(f"dvc {'checkout' if stage.is_import else 'add'} {shlex.join(paths)}")
    makers = [_address(stage) for stage in plan.makers if _is_pipeline(stage)]
    absent = any(
        not out.exists for stage in data if _address(stage) not in parts for out in stage.outs
    )
    repro = "dvc repro --pull" if absent else "dvc repro"
    return first + " && ".join([*commands, *([f"{repro} {shlex.join(makers)}"] if makers else [])])


def _is_generated(stage: Any) -> bool:
    """Whether a stage is one of those that ``foreach`` or ``matrix`` makes."""
    return _is_pipeline(stage) and bool(stage.raw_data.generated_from)


def _generated(plan: _Plan, stage: Any) -> str:
    return f"{stage.raw_data.generated_from} in {plan.name(stage.path)}"


def _is_absent_part(plan: _Plan, stage: Any) -> bool:
    folders = [dep.fs_path for other in plan.upstream for dep in _files(other)]
    return any(
        not out.exists and any(out.fs_path.startswith(f"{folder}/") for folder in folders)
        for out in stage.outs
    )


def _inputs(stage: Any) -> Iterator[str]:
    yield stage.path
    if stage.is_import:  # its dependency is elsewhere
        return
    yield from (dep.fs_path for dep in _files(stage))
    if _is_pipeline(stage):
        yield _lock(stage)
        # files that templates took values from; DVC names them relative to this process
        yield from (os.path.abspath(path) for path in stage.tracked_vars if path)  # noqa: PTH100
        if stage.raw_data.generated_from:
            files = stage.dvcfile.resolver.context.imports
            yield from (os.path.abspath(path) for path in files)  # noqa: PTH100


def _files(stage: Any) -> list[Any]:
    """The dependencies that are files or folders, params files among them."""
    return [dep for dep in stage.deps if dep.protocol == "local" and not stage.is_import]


def _is_pipeline(stage: Any) -> bool:
    """Whether dvc.yaml declares the stage; else a ``.dvc`` file does."""
    return Path(stage.path).name == PIPELINE_FILE


def _lock(stage: Any) -> str:
    return str(Path(stage.path).with_name(LOCK_FILE))


def _address(stage: Any) -> str:
    """A stage as ``dvc repro`` takes it in the folder of ``.dvc``."""
    path = str(stage.path_in_repo)
    if not _is_pipeline(stage):
        return path
    return str(stage.name) if path == PIPELINE_FILE else f"{path}:{stage.name}"
