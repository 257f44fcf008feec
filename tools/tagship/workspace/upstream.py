"""Where the tags of a host come from: a repository of Git, or a place that carries sealed versions.

tagship.toml names it (``Address``). What fetches is an ``Upstream``: one for each of the two.
"""

import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tagship.git import address, mirror
from tagship.git.run import Repository
from tagship.progress import Tell
from tagship.registry import seen
from tagship.registry.catalog import Release
from tagship.registry.seen import Seen
from tagship.text import redact
from tagship.workspace.source import Source

GIT, INDEX, BUNDLE = "git", "index", "bundle"  # keys of [source]: a host has one of them
KINDS = (GIT, INDEX, BUNDLE)


@dataclass(frozen=True)
class Address:
    """What tagship.toml names.

    Attributes:
        kind: one of ``KINDS``: a repository; a store or a folder with an index; the folder that
            ``tagship unbundle`` fills.
        text: the address, or an absolute path.
        options: DVC's of a remote there.
    """

    kind: str
    text: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The address without secrets."""
        return address.shown_as(self.text) if self.kind == GIT else redact.text(self.text)


class Upstream(Protocol):
    """What feeds the mirror of a host."""

    def work_tree(self) -> str:
        """What to do where a work tree is needed: a host has none."""

    @property
    def title(self) -> str:
        """What has the versions, for a sentence that says that it lacks one."""

    def bringing(self, model: str) -> str:
        """What to do where a tag of a model is not there."""

    def again(self) -> str:
        """What to do where something there is damaged."""

    def fetch(self, top: Path, models: Collection[str], tell: Tell, *, signed: bool) -> Seen:
        """Fetch the tags of models, and keep each as it was seen first.

        Args:
            top: the mirror.
            models: that are followed.
            tell: is told whom is waited for.
            signed: this host requires signed tags.

        Raises:
            Refused: the address is none that may be asked.
            Unavailable: it does not answer, or refuses.
            Locked: another process fetches.
        """

    def repair(self, repository: Repository, models: Collection[str], tell: Tell) -> bool:
        """Make the mirror anew if it is damaged; whether it was. As ``fetch`` else."""

    def bring(
        self, repository: Repository, missing: Mapping[Release, Collection[str]], tell: Tell
    ) -> None:
        """Bring files of versions, by the ids of their blobs.

        Raises:
            Unavailable: they are not given.
        """

    def last_seen(self, repository: Repository, models: Collection[str]) -> Seen:
        """What the last fetch found, but for what was new then; nobody is asked.

        Raises:
            Unavailable: the mirror cannot be read.
        """


def of(given: Address, opened: Callable[[Path], Source]) -> Upstream:
    """What fetches from an address.

    Args:
        given: the address.
        opened: reads versions in another repository as they are read in the mirror.
    """
    if given.kind == GIT:
        return Server(given)
    from tagship.workspace.place import Place  # a host of Git needs none of it

    return Place(given, opened)


@dataclass(frozen=True)
class Server:
    """A repository of Git."""

    address: Address

    def work_tree(self) -> str:
        """As ``Upstream``."""
        return f"in a clone of its own: git clone {shlex.quote(self.address.shown)}"

    @property
    def title(self) -> str:
        """As ``Upstream``."""
        return "the repository"

    def bringing(self, model: str) -> str:  # noqa: ARG002 - of one model as of another
        """As ``Upstream``."""
        return "push the tag of its version, then: tagship sync"

    def again(self) -> str:
        """As ``Upstream``."""
        return "tagship fetch"

    def fetch(self, top: Path, models: Collection[str], tell: Tell, *, signed: bool) -> Seen:
        """As ``Upstream``."""
        url = self.address.text
        repository = mirror.open_or_make(top, url, plain=signed, signed=signed)
        return seen.of(mirror.fetch(repository, url, seen.patterns(models), tell))

    def repair(self, repository: Repository, models: Collection[str], tell: Tell) -> bool:
        """As ``Upstream``."""
        return mirror.repair(repository, self.address.text, seen.patterns(models), tell)

    def bring(
        self, repository: Repository, missing: Mapping[Release, Collection[str]], tell: Tell
    ) -> None:
        """As ``Upstream``."""
        ids: Iterable[str] = {each for files in missing.values() for each in files}
        mirror.bring_blobs(repository, self.address.text, sorted(ids), tell)

    def last_seen(self, repository: Repository, models: Collection[str]) -> Seen:
        """As ``Upstream``."""
        return seen.of(mirror.changes(repository, seen.patterns(models)))
