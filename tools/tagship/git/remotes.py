"""The remotes that Git knows here."""

from tagship.errors import Refused
from tagship.git import run
from tagship.git.run import Repository
from tagship.text import redact


def check_remote(repository: Repository, remote: str) -> None:
    """Refuse an address for a remote: params.yaml, which names one, comes with the repository."""
    if remote not in run.ask(repository, "remote").splitlines():
        raise Refused(
            f"Git has no remote {redact.text(remote)}",
            "name one of `git remote`; a new one is made by: git remote add NAME URL",
        )


def default_remote(repository: Repository) -> str | None:
    """The remote to release to: ``origin``, else the only one there is."""
    names = run.ask(repository, "remote").split()
    if "origin" in names:
        return "origin"
    return names[0] if len(names) == 1 else None
