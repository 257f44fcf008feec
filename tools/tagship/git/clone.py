"""What a clone may lack of its remote, and the command that fetches it."""

from tagship.errors import Unavailable
from tagship.git import run
from tagship.git.run import Repository


def fetch_objects(repository: Repository) -> str:
    """The command that brings an object which a commit here refers to."""
    if _settings(repository, r"^remote\..*\.promisor$"):
        return run.refetch(repository.git)
    if _remotes(repository):
        return "git fetch --refetch --tags; if that does not help: git fsck"
    return "git fsck"


def fetch_tags(repository: Repository) -> str | None:
    """The command that brings tags from the remote, or from all of them; None without a remote."""
    remotes = _remotes(repository)
    if not remotes:
        return None
    return "git fetch --tags" if remotes == ["origin"] else "git fetch --all --tags"


def is_without_tags(repository: Repository) -> bool:
    """Whether this clone was made without the tags of its remote, or with few commits."""
    if not _remotes(repository):
        return False
    shallow = run.ask(repository, "rev-parse", "--is-shallow-repository").strip() == "true"
    return shallow or "--no-tags" in _settings(repository, r"^remote\..*\.tagopt$")


def has(repository: Repository, object_id: str) -> bool:
    """Whether Git has an object, here."""
    try:
        run.ask(repository, "cat-file", "-e", object_id)
    except Unavailable:
        return False
    return True


def _remotes(repository: Repository) -> list[str]:
    return run.ask(repository, "remote").splitlines()


def _settings(repository: Repository, pattern: str) -> list[str]:
    """The values of the settings whose names match."""
    try:
        answer = run.ask(repository, "config", "--get-regexp", pattern)
    except Unavailable:  # there are none
        return []
    return [line.partition(" ")[2] for line in answer.splitlines()]
