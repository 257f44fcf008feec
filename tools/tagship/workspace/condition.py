"""How what is live on a host differs from what was deployed there, and what brings it back."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from tagship.disk import files
from tagship.disk.files import Problem
from tagship.errors import Corrupt, Refused
from tagship.host import metadata
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.progress import Progress, silent
from tagship.registry.catalog import Catalog
from tagship.signing.policy import Policy
from tagship.workspace.source import Source
from tagship.workspace.state import Reason, Why


def problems(
    directory: Path, described: Metadata, *, touched: bool = False, progress: Progress = silent
) -> list[Problem]:
    """What is wrong with a version directory: names, sizes, bytes, signature and modes.

    Args:
        directory: the version directory.
        described: its metadata.
        touched: hash only files that changed since the deploy, by inode number and times.
        progress: reports the bytes hashed.
    """
    found = metadata.verify(directory, described, touched=touched, progress=progress)
    named = {problem.path for problem in found}
    modes = files.modes(directory, described.files)
    return [*found, *(problem for problem in modes if problem.path not in named)]


NOT_ALLOWED = "is of a version that may not go live here"


def cannot_tell(problem: Problem) -> str:
    """What this account may not read, in words; empty where it may."""
    return f"cannot tell: {problem.what.removeprefix(files.DENIED)}" if problem.denied else ""


def fix(path: Path, problem: Problem, again: str) -> str:
    """The command that brings a file back: ``again`` deploys the version again."""
    if problem.denied is not None:
        return problem.denied
    if problem.what.startswith(NOT_ALLOWED):
        return "release a version that is signed as host.toml asks for"
    return again if problem.mode is None else f"chmod {problem.mode} {shlex.quote(str(path))}"


def against_policy(
    policy: Policy, source: Source, described: Metadata, known: Catalog
) -> list[str]:  # fmt: skip
    """Requirements of this host that a version does not meet: a key may have been revoked."""
    release = known.get(described.version)
    try:
        if release is not None:
            policy.check_tag(source.repository, release.tag)
        policy.check_files(described.statement, described.signature)
    except (Refused, Corrupt) as error:
        return [f"{NOT_ALLOWED}: {error.message}"]
    return []


def live(store: Store, directory: str, described: Metadata) -> Iterator[Reason]:
    """How the live version differs from what was deployed, without hashing what nobody touched."""
    again = f"tagship deploy {described.model}@{described.version} --force"
    folder = store.path(directory)
    for each in problems(folder, described, touched=True):
        path = f"{directory}/{each.path}"
        why = Why.UNKNOWN if each.denied else Why.BROKEN if each.is_lost else Why.DRIFTED
        what = cannot_tell(each) or f"{path} {each.what}"
        yield Reason(why, what, fix(folder / each.path, each, again))
