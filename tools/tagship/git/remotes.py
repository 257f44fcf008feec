"""The remotes of a Git repository."""

from collections.abc import Sequence

from tagship.errors import Refused
from tagship.git import run
from tagship.git.run import Repository
from tagship.progress import Tell
from tagship.text import redact

LIMIT = 15.0  # seconds in which a remote must list its tags


def check_remote(repository: Repository, remote: str) -> None:
    """Check that ``remote`` is the name of a remote, and not an address.

    params.yaml, which may name it, comes with the repository: others must not choose the address.

    Raises:
        Refused: Git has no remote of that name.
    """
    if remote not in names(repository):
        raise Refused(
            f"Git has no remote {redact.text(remote)}",
            "give a name that `git remote` shows, or add one: git remote add NAME URL",
        )


def ask(
    repository: Repository,
    remote: str,
    arguments: Sequence[str],
    tell: Tell,
    limit: float | None,
) -> str:
    """Run Git where it talks to a remote, which may never answer.

    Args:
        repository: the clone.
        remote: the name of one of its remotes.
        arguments: of Git.
        tell: is told whom it waits for, once that takes long.
        limit: seconds; None for no end.

    Raises:
        Unavailable: the remote does not answer, or refuses.
    """

    def is_slow() -> None:
        address = run.ask(repository, "ls-remote", "--get-url", "--end-of-options", remote).strip()
        tell(f"waiting for {redact.text(remote)}, {redact.text(address)}")

    return run.act_within(repository, remote, limit, is_slow, *arguments)


def names(repository: Repository) -> list[str]:
    """The names of all remotes."""
    return run.ask(repository, "remote").splitlines()


def default_remote(repository: Repository) -> str | None:
    """The remote to release to: ``origin``, or else the only one."""
    all_names = names(repository)
    if "origin" in all_names:
        return "origin"
    return all_names[0] if len(all_names) == 1 else None
