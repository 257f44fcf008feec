"""The remotes of a Git repository."""

from tagship.errors import Refused
from tagship.git import run
from tagship.git.run import Repository
from tagship.text import redact


def check_remote(repository: Repository, remote: str) -> None:
    """Check that ``remote`` is the name of a remote, and not an address.

    params.yaml, which may name it, comes with the repository: others must not choose the address.

    Raises:
        Refused: Git has no remote of that name.
    """
    if remote not in run.ask(repository, "remote").splitlines():
        raise Refused(
            f"Git has no remote {redact.text(remote)}",
            "give a name that `git remote` shows, or add one: git remote add NAME URL",
        )


def default_remote(repository: Repository) -> str | None:
    """The remote to release to: ``origin``, or else the only one."""
    names = run.ask(repository, "remote").split()
    if "origin" in names:
        return "origin"
    return names[0] if len(names) == 1 else None
