"""Merges that are not finished: told as such before any hint could commit their markers."""

import contextlib
import posixpath
from collections.abc import Iterator

from tagship.dvc import stages
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Refused, TagshipError
from tagship.git import worktree
from tagship.git.worktree import Conflict
from tagship.registry.project_files import LOCK_FILE, PARAMS_FILE, PIPELINE_FILE
from tagship.text import conflicts
from tagship.workspace.source import Source

LARGEST = 4 << 20  # bytes of a file that is looked through: what a person merges is smaller


def check(source: Source, commit: str, model: str) -> None:
    """Refuse while a file that DVC or the model needs is in conflict, whatever HEAD has.

    Args:
        source: the repository.
        commit: HEAD's.
        model: what is to be released.

    Raises:
        Refused: with what is under way, and the way out of it.
    """
    conflict = worktree.conflict(source.repository)
    if conflict is None:
        return
    inputs: set[str] = set()
    with contextlib.suppress(TagshipError):  # it is not in HEAD yet: DVC's own files count
        inputs = set(_files(source.snapshot(commit, model)))
    ours = [p for p in conflict.paths if _is_dvcs(p) or any(stages.holds(i, p) for i in inputs)]
    if ours:
        raise _refused(ours, conflict)


def check_markers(source: Source, snapshot: Snapshot) -> None:
    """Refuse where a file in the work tree still has the markers of a conflict.

    ``git add`` and ``git reset`` end a conflict for Git, whatever the file holds.

    Raises:
        Conflicted: the file, and the line.
    """
    if source.repository.bare:
        return
    for name in dict.fromkeys(_files(snapshot)):
        path = source.repository.top / name
        with contextlib.suppress(OSError):  # a folder, or what the clone has not pulled
            if path.stat().st_size <= LARGEST and (number := conflicts.line(path.read_bytes())):
                raise conflicts.error(name, number)


def _is_dvcs(path: str) -> bool:
    """Whether DVC reads the file in every command, or tagship its settings from it."""
    name = posixpath.basename(path)
    return (
        name in (PIPELINE_FILE, LOCK_FILE, PARAMS_FILE, ".dvcignore")
        or name.endswith(".dvc")
        or path.startswith(".dvc/")
        or "/.dvc/" in path
    )


def _files(snapshot: Snapshot) -> Iterator[str]:
    """What the model is made from, and what records it: from the repository's top."""
    yield from snapshot.recorded_in
    yield from (out.path for out in snapshot.metric_outs)
    for stage in snapshot.makers:
        yield from (path for path in stage.deps if "://" not in path)
        folder = posixpath.dirname(stage.recorded_in)
        files = (name.rpartition(":")[0] or PARAMS_FILE for name in stage.params)
        yield from (stages.join(folder, file) for file in files)


def _refused(paths: list[str], conflict: Conflict) -> Refused:
    first = min(paths, key=lambda path: (path.endswith(LOCK_FILE), path))
    names = ", ".join(sorted(paths)[:3]) + (" and more" if len(paths) > 3 else "")
    state = f" ({conflict.under_way} is under way)" if conflict.under_way else ""
    written = first.endswith((LOCK_FILE, ".dvc"))  # by DVC: nobody edits it
    how = f"git checkout --ours {first} (or --theirs)" if written else f"edit {first}"
    again = ", run dvc repro" if any(path.endswith(LOCK_FILE) for path in paths) else ""
    return Refused(
        f"{names} {'is' if len(paths) == 1 else 'are'} in conflict{state}",
        f"{how}{again}, git add what is resolved, then {conflict.finish};"
        f" or give up: {conflict.give_up}",
    )
