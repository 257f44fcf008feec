"""What DVC itself does in a work tree: add a file, and tell what it ignores."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from tagship.dvc import config as dvc_config
from tagship.errors import Unavailable


def add(project: Path, path: Path) -> list[Path]:
    """Have DVC track a file or folder, as ``dvc add`` does; what it wrote for Git to keep.

    Raises:
        Unavailable: DVC refuses it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with dvc_config.quiet(), contextlib.closing(Repo(str(project))) as repo:
            repo.add([str(path)], no_commit=False)
    except DvcException as error:
        raise Unavailable(f"DVC: {error}", f"dvc add {path}") from None
    return pointer_files(path)


def pointer_files(path: Path) -> list[Path]:
    """What ``dvc add`` of a path writes beside it: its ``.dvc`` file, and the ignore rule."""
    return [path.with_name(path.name + ".dvc"), path.with_name(".gitignore")]


def all_ignored(project: Path, paths: Iterable[Path]) -> bool:
    """Whether DVC ignores all these files (``.dvcignore``)."""
    from dvc.repo import Repo

    with dvc_config.quiet(), contextlib.closing(Repo(str(project))) as repo:
        return all(repo.dvcignore.is_ignored_file(str(path)) for path in paths)
