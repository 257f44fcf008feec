"""Commits: author, date and message; and the commits between two of them."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tagship.disk import scratch
from tagship.errors import Corrupt, NotFound, Unavailable
from tagship.git import clone, run
from tagship.git.run import Repository


@dataclass(frozen=True)
class Commit:
    """A commit: its id, author, date and message."""

    id: str
    author: str
    at: datetime
    message: str


def commit(repository: Repository, name: str) -> Commit:
    """The commit that ``name`` resolves to.

    Raises:
        NotFound: there is none.
    """
    form = "--format=%H%x00%an <%ae>%x00%at%x00%B"
    try:
        # not "show": it needs the tree too, which a treeless clone lacks
        answer = run.ask_raw(
            repository, "log", "--no-walk", "--no-patch", form, "--end-of-options",
            f"{name}^{{commit}}",
        )  # fmt: skip
    except Unavailable as error:
        if "unknown revision" not in error.message:
            raise
        if name == "HEAD":
            hint = 'git add --all && git commit -m "..."'
            raise NotFound("the repository has no commit yet", hint) from None
        raise NotFound(f"there is no commit {name}", "git fetch --tags") from None
    try:
        object_id, author, at, message = answer.split("\0")
    except ValueError:  # it is not in the encoding that it declares
        raise Corrupt(f"Git cannot show the commit {name}", "release another commit") from None
    return Commit(object_id, run.as_utf8(author), date(object_id, at), run.as_utf8(message.strip()))


def read(repository: Repository, ids: Iterable[str]) -> dict[str, Commit]:
    """Commits by their ids, all from one process; without those that are missing or cannot be read.

    ``commit`` gives the error for such a one.
    """
    ids = set(ids)
    if not ids:
        return {}
    form = "--format=%H%x00%an <%ae>%x00%at%x00%B"
    with scratch.file() as questions:
        questions.write("".join(f"{name}\n" for name in ids).encode())
        questions.seek(0)
        options = ("--no-patch", "--no-walk=unsorted", "--ignore-missing", "-z", "--stdin")
        command = ["git", *run.QUIET, "-c", run.NO_HOOKS, "log", *options, form]
        try:
            answer = run.execute(repository.git, command, istream=questions)
        except run.CommandFailed:
            return {}
    fields = iter(str(answer).split("\0"))
    commits = {}
    for object_id, author, at, message in zip(fields, fields, fields, fields, strict=False):
        if object_id not in ids:  # a message with a NUL: what follows is not known
            break
        with contextlib.suppress(Corrupt):
            commits[object_id] = Commit(
                object_id, run.as_utf8(author), date(object_id, at), run.as_utf8(message.strip())
            )
    return commits


def branches_with(repository: Repository, commit_id: str) -> list[str]:
    """The local and remote branches that contain a commit."""
    form = "--format=%(refname)"
    answer = run.ask(
        repository, "for-each-ref", form, "--contains", commit_id, "refs/heads/", "refs/remotes/"
    )
    return answer.splitlines()


def is_detached(repository: Repository) -> bool:
    """Whether HEAD names a commit instead of a branch."""
    return run.ask(repository, "rev-parse", "--symbolic-full-name", "HEAD").strip() == "HEAD"


def apart(repository: Repository, left: str, right: str) -> tuple[list[Commit], list[Commit]]:
    """The commits that only ``left`` has, and those that only ``right`` has; newest first.

    Messages are cut to their first line.

    Raises:
        Unavailable: one of the two is missing, or the clone is too shallow to tell.
    """
    form = "--format=%m%x00%P%x00%H%x00%an <%ae>%x00%at%x00%s"
    answer = run.ask(repository, "log", "--left-right", form, f"{left}...{right}", "--")
    sides: dict[str, list[Commit]] = {"<": [], ">": []}
    has_root = False
    for line in answer.split("\n")[:-1]:  # splitlines() would also split within a subject
        side, parents, object_id, author, at, subject = line.split("\0")
        has_root = has_root or not parents
        sides[side].append(
            Commit(object_id, run.as_utf8(author), date(object_id, at), run.as_utf8(subject))
        )
    # a shallow clone ends here: what both or one of them have beyond it is not known
    if has_root and clone.is_shallow(repository):
        raise Unavailable("this clone is shallow", "git fetch --unshallow --tags")
    return sides["<"], sides[">"]


def date(commit_id: str, seconds: str) -> datetime:
    """The date of a commit, from seconds since 1970.

    Raises:
        Corrupt: it is out of range.
    """
    try:
        return run.time_of(seconds)
    except (ValueError, OverflowError, OSError):
        raise Corrupt(
            f"the date of commit {commit_id[:10]} is out of range", "release another commit"
        ) from None
