"""What the work tree of a clone lacks, where it looks like no DVC repository."""

import shlex
from pathlib import Path

from tagship.errors import NotFound, TagshipError, Unavailable
from tagship.git import commits, run
from tagship.git.run import Repository

CONFIGURATION = ".dvc"  # the folder that makes a folder a DVC repository


def why_no_project(start: Path, error: NotFound) -> TagshipError:
    """The error to raise for a folder without ``.dvc``, in it and above.

    Args:
        start: the folder.
        error: the one where it is in no Git repository, or in one that DVC was never used in.
    """
    try:
        repository = run.find(start)
    except NotFound as no_repository:
        return no_repository if "GIT_DIR" in no_repository.hint else error
    except TagshipError as refused:  # by Git: an owner that it does not trust
        return refused
    if repository.bare:
        clone = f"git clone {shlex.quote(str(repository.top))} FOLDER"
        return NotFound(f"a bare repository has no files to work with: {start}", clone)
    try:
        commits.commit(repository, "HEAD")
    except NotFound:
        return _no_branch(repository) or error
    folder = _in_head(repository, start)
    if folder is None:
        return error
    what = f"{folder} is in the last commit, and not in this work tree"
    return NotFound(what, _check_out(repository, folder))


def _no_branch(repository: Repository) -> NotFound | None:
    """The error where the remote has commits, and none is checked out: its HEAD names no branch."""
    answer = run.ask(repository, "for-each-ref", "--format=%(refname:strip=3)", "refs/remotes/")
    branches = [name for name in answer.splitlines() if name != "HEAD"]
    if not branches:
        return _only_tags(repository)
    branch = next((name for name in ("main", "master") if name in branches), branches[0])
    return NotFound(
        "nothing is checked out: the HEAD of the remote names no branch",
        f"git switch {shlex.quote(branch)}",
    )


def _only_tags(repository: Repository) -> NotFound | None:
    """The error where the remote has tags, and no branch: nobody pushed the commits' branch."""
    if not run.ask(repository, "for-each-ref", "--count=1", "refs/tags/"):
        return None
    return NotFound(
        "nothing is checked out: the remote has tags, and no branch",
        "where they were made: git push origin HEAD; then here: git pull",
    )


def _in_head(repository: Repository, start: Path) -> str | None:
    """The nearest ``.dvc`` that HEAD has, from a folder upwards; from the repository's top."""
    below = start.resolve().relative_to(repository.top.resolve())
    places = [(folder / CONFIGURATION).as_posix() for folder in (below, *below.parents)]
    answer = run.ask(
        repository, "--literal-pathspecs", "ls-tree", "-z", "--name-only", "--full-tree", "HEAD",
        "--", *places,
    )  # fmt: skip
    return max(answer.split("\0")[:-1], key=len, default=None)


def _check_out(repository: Repository, folder: str) -> str:
    """The command that puts a folder of HEAD into the work tree."""
    if not run.ask(repository, "ls-files", "-z"):  # git clone --no-checkout
        return "git checkout HEAD"
    try:
        sparse = run.ask(repository, "config", "--type=bool", "core.sparseCheckout").strip()
    except Unavailable:  # not set
        sparse = "false"
    name = shlex.quote(folder)
    return f"git sparse-checkout add {name}" if sparse == "true" else f"git checkout HEAD -- {name}"
