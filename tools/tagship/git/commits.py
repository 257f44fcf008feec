"""Commits: who made them, when, and what lies between two of them."""

from dataclasses import dataclass
from datetime import datetime

from tagship.errors import Corrupt, NotFound, Unavailable
from tagship.git import run
from tagship.git.run import Repository


@dataclass(frozen=True)
class Commit:
    """Who made a commit, when, and its message."""

    id: str
    author: str
    at: datetime
    message: str


def commit(repository: Repository, name: str) -> Commit:
    """The commit that ``name`` means.

    Raises:
        NotFound: there is none (yet).
    """
    form = "--format=%H%x00%an <%ae>%x00%at%x00%B"
    try:
        answer = run.ask(
            repository, "show", "--no-patch", form, "--end-of-options", f"{name}^{{commit}}"
        )
    except Unavailable:
        if name == "HEAD":
            raise NotFound("the repository has no commit yet", "git commit") from None
        raise NotFound(f"there is no commit {name}", "git fetch --tags") from None
    try:
        object_id, author, at, message = answer.split("\0")
    except ValueError:  # it says it is of an encoding that it is not
        raise Corrupt(f"Git cannot show the commit {name}", "release another commit") from None
    return Commit(object_id, run.as_utf8(author), date(object_id, at), run.as_utf8(message.strip()))


def branches_with(repository: Repository, commit_id: str) -> list[str]:
    """The local and remote branches that a commit is on."""
    form = "--format=%(refname)"
    answer = run.ask(
        repository, "for-each-ref", form, "--contains", commit_id, "refs/heads/", "refs/remotes/"
    )
    return answer.splitlines()


def is_detached(repository: Repository) -> bool:
    """Whether HEAD names a commit instead of a branch."""
    return run.ask(repository, "rev-parse", "--symbolic-full-name", "HEAD").strip() == "HEAD"


def apart(repository: Repository, one: str, other: str) -> tuple[list[Commit], list[Commit]]:
    """The commits that ``one`` has and ``other`` has not, and the reverse; the newest first.

    Of their messages the first line alone.

    Raises:
        Unavailable: the repository has not both, or is a shallow clone that ends among them.
    """
    form = "--format=%m%x00%P%x00%H%x00%an <%ae>%x00%at%x00%s"
    answer = run.ask(repository, "log", "--left-right", form, f"{one}...{other}", "--")
    sides: dict[str, list[Commit]] = {"<": [], ">": []}
    ends = False
    for line in answer.split("\n")[:-1]:  # a subject may hold what splitlines() takes for an end
        side, parents, object_id, author, at, subject = line.split("\0")
        ends = ends or not parents
        sides[side].append(
            Commit(object_id, run.as_utf8(author), date(object_id, at), run.as_utf8(subject))
        )
    # what lies behind the end of a shallow clone, both may have, or one alone
    if ends and run.ask(repository, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise Unavailable("this clone is shallow", "git fetch --unshallow --tags")
    return sides["<"], sides[">"]


def date(commit_id: str, seconds: str) -> datetime:
    """The date of a commit, from seconds since 1970.

    Raises:
        Corrupt: no calendar has it.
    """
    try:
        return run.time_of(seconds)
    except (ValueError, OverflowError, OSError):
        raise Corrupt(
            f"commit {commit_id[:10]} has a date that no calendar has", "release another commit"
        ) from None
