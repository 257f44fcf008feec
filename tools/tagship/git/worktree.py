"""The work tree and the index: what differs from HEAD, and commits of just that."""

from collections.abc import Iterable
from pathlib import Path

from tagship.errors import Unavailable
from tagship.git import commits, run
from tagship.git.run import NO_HOOKS, Repository


def changed(repository: Repository, names: Iterable[str]) -> list[str]:
    """Those of ``names`` that differ from HEAD, in the index or the work tree, or are untracked."""
    answer = run.ask(
        repository,
        "--literal-pathspecs",
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--",
        *names,
    )
    return [line[3:] for line in answer.split("\0")[:-1]]


def index(folder: Path, name: str) -> dict[str, str]:
    """What Git's index has at or below ``name``: mode by path, both relative to ``folder``."""
    asked = ("--literal-pathspecs", "ls-files", "--stage", "-z", "--", name)
    answer = run.output(run.runner(folder), "-c", NO_HOOKS, *asked)
    entries = (line.partition("\t") for line in answer.split("\0")[:-1])
    return {path: facts[:6] for facts, _, path in entries}


def is_ignored(repository: Repository, name: str) -> bool:
    """Whether Git ignores a path."""
    try:
        run.ask(repository, "check-ignore", "--quiet", "--no-index", "--", name)
    except Unavailable:
        return False
    return True


def commit_only(repository: Repository, names: list[str], message: str) -> str:
    """Commit just these files; what else is changed or staged stays as it was.

    Returns:
        The id of the new commit, or of HEAD where the files have not changed.
    """
    run.act(repository, "--literal-pathspecs", "add", "--", *names)
    if changed(repository, names):
        run.act(
            repository, "--literal-pathspecs", "commit", "--quiet", f"--message={message}",
            "--only", "--", *names,
        )  # fmt: skip
    return commits.commit(repository, "HEAD").id


def unstage(repository: Repository, names: list[str]) -> None:
    """Set the index back to HEAD for these files."""
    run.act(repository, "--literal-pathspecs", "reset", "--quiet", "HEAD", "--", *names)


def identity(repository: Repository) -> str:
    """``Name <mail>`` of whoever runs Git here, or an empty string where Git does not know."""
    try:
        line = run.ask(repository, "var", "GIT_COMMITTER_IDENT")
    except Unavailable:
        return ""
    return line.rpartition(">")[0] + ">"
