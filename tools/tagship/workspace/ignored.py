"""Deployed files belong to a host: what Git has to ignore of them, and whether it does."""

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from tagship.errors import TagshipError
from tagship.git import ignore, run
from tagship.git.run import Repository
from tagship.host import link, store
from tagship.host.history import FILE_NAME
from tagship.progress import Tell
from tagship.workspace.host import Host

HEADING = "# what tagship puts live on this host"
STATE = (link.VERSIONS, link.CURRENT, FILE_NAME, store.PRIVATE)
FOLDERS = (link.VERSIONS, store.PRIVATE)  # the others are a link and a file


@dataclass(frozen=True)
class InGit:
    """What Git has of a model's deployed files, and what ``git add --all`` would add.

    Attributes:
        tracked, unignored: names in the model's folder, such as ``versions``.
    """

    tracked: tuple[str, ...] = ()
    unignored: tuple[str, ...] = ()


def patterns(root: str) -> list[str]:
    """The ignore rules for the deployed files of all models.

    Args:
        root: the folder of the models, from the folder of the file with the rules.
    """
    escaped = _escaped(posixpath.normpath(root))
    return [f"/{escaped}/*/{name}" for name in STATE]


def _escaped(path: str) -> str:
    """A path in which no letter stands for others."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", path)


def exclude(repository: Repository, host: Host, model_folder: Path, tell: Tell) -> None:
    """Have Git ignore what a deploy makes, by the exclude file of this clone.

    For a project that never ran ``tagship init``. Git is asked only where the rules of ``init`` are
    not there: the project may have rules of its own.

    Args:
        repository: the one that the work tree is of.
        host: where the models are deployed.
        model_folder: the folder of the model.
        tell: is told what was added, or why it could not be.
    """
    if host.within is None or repository.bare or has_rules(repository, host):
        return
    try:
        if ignore.ignores(repository, _samples(repository, model_folder)):
            return
        file = ignore.exclude_file(repository)
        ignore.add_lines(file, HEADING, patterns(os.path.relpath(host.root, repository.top)))
    except (TagshipError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        tell(f"Git does not ignore deployed files (.git/info/exclude: {why}): tagship init")
        return
    tell(f"Git now ignores deployed files in this clone, by {file}; for all clones: tagship init")


def has_rules(repository: Repository, host: Host) -> bool:
    """Whether the rules of ``init`` or of ``exclude`` are there, by a look without a process."""
    within = host.within or host.root
    inside = patterns(os.path.relpath(host.root, within))
    if ignore.has_lines(within / ".gitignore", inside):
        return True
    try:
        file = ignore.exclude_file(repository)
    except OSError:
        return False
    return ignore.has_lines(file, patterns(os.path.relpath(host.root, repository.top)))


def _samples(repository: Repository, model_folder: Path) -> list[str]:
    """A path for each thing that a deploy makes; the folders need not be there yet."""
    folder = os.path.relpath(model_folder, repository.top)
    return [f"{folder}/{name}/x" if name in FOLDERS else f"{folder}/{name}" for name in STATE]


def in_git(repository: Repository, host: Host) -> dict[str, InGit]:
    """What Git has of deployed files, by model, from one process.

    Raises:
        Unavailable: Git cannot say.
    """
    if repository.bare:
        return {}
    tracked: dict[str, dict[str, None]] = {}
    unignored: dict[str, dict[str, None]] = {}
    for tag, model, name in _listed(repository, os.path.relpath(host.root, repository.top)):
        by_model = unignored if tag == "?" else tracked
        by_model.setdefault(model, {})[name] = None
    return {
        model: InGit(tuple(tracked.get(model, ())), tuple(unignored.get(model, ())))
        for model in tracked | unignored
    }


def _listed(repository: Repository, root: str) -> Iterator[tuple[str, str, str]]:
    """The tag of ``git ls-files -t``, the model, and the name in its folder."""
    escaped = _escaped(root)
    answer = run.ask(
        repository, "ls-files", "-t", "-z", "--cached", "--others", "--directory",
        "--no-empty-directory", "--exclude-standard", "--",
        *(f":(top,glob){escaped}/*/{name}{'/**' if name in FOLDERS else ''}" for name in STATE),
    )  # fmt: skip
    for line in answer.split("\0")[:-1]:
        tag, _, path = line.partition(" ")
        folder, name, *_ = path.removeprefix(f"{root}/").split("/")
        yield tag, unquote(folder), name
