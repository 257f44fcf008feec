"""What a clone may lack of its remote, and the command that fetches it."""

import shlex
from dataclasses import dataclass

from tagship.errors import Unavailable
from tagship.git import commits, remotes, run
from tagship.git.run import Repository
from tagship.text import redact


@dataclass(frozen=True)
class Tags:
    """What a clone has of the tags of its remotes.

    Attributes:
        fetch: the command that brings them; None where there is no remote.
        are_left_out: the clone was made without them, or with few commits.
    """

    fetch: str | None
    are_left_out: bool


def fetch_objects(repository: Repository) -> str:
    """The command that brings an object which a commit here refers to."""
    if repository.ours:
        return "tagship fetch"
    if _settings(repository, r"^remote\..*\.promisor$"):
        return run.refetch()
    if remotes.names(repository):
        return "git fetch --refetch --tags; if that does not help: git fsck"
    return "git fsck"


def fetch_tags(repository: Repository) -> str | None:
    """The command that brings tags from the remote, or from all of them; None without a remote."""
    names = remotes.names(repository)
    if not names:
        return None
    return "git fetch --tags" if names == ["origin"] else "git fetch --all --tags"


def tag_back(repository: Repository, tag: str, object_id: str) -> str:
    """The command that makes a tag in this clone what it was; and what its remote needs too.

    Where the remote has the moved tag, each ``git fetch --tags`` fails, as it takes no tag back.
    """
    command = f"git tag -f {shlex.quote(tag)} {object_id}"
    names = remotes.names(repository)
    if not names:
        return command
    name = "origin" if "origin" in names else names[0]
    where = shlex.quote(redact.text(name))
    push = f"git push --force {where} {shlex.quote(tag)}"
    return f"{command}; and on {where}, if the tag was moved there too: {push}"


def tags(repository: Repository) -> Tags:
    """What this clone has of the tags of its remotes."""
    fetch = fetch_tags(repository)
    if fetch is None:
        return Tags(None, are_left_out=False)
    left_out = "--no-tags" in _settings(repository, r"^remote\..*\.tagopt$")
    return Tags(fetch, left_out or is_shallow(repository))


def is_checked_out(repository: Repository, tag: str) -> bool:
    """Whether HEAD is detached at the commit of a tag."""
    if not commits.is_detached(repository):
        return False
    head, at = run.ask(repository, "rev-parse", "HEAD", f"refs/tags/{tag}^{{commit}}").split()
    return head == at


def is_shallow(repository: Repository) -> bool:
    """Whether this clone has only the last commits of its branches."""
    return run.ask(repository, "rev-parse", "--is-shallow-repository").strip() == "true"


def has(repository: Repository, object_id: str) -> bool:
    """Whether Git has an object, here."""
    try:
        run.ask(repository, "cat-file", "-e", object_id)
    except Unavailable:
        return False
    return True


def _settings(repository: Repository, pattern: str) -> list[str]:
    """The values of the settings whose names match."""
    try:
        answer = run.ask(repository, "config", "--get-regexp", pattern)
    except Unavailable:  # there are none
        return []
    return [line.partition(" ")[2] for line in answer.splitlines()]
