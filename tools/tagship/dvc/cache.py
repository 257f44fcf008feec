"""DVC's cache on this machine: objects by their digest."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from tagship.disk import access
from tagship.dvc import cachedir
from tagship.dvc import config as dvc_config
from tagship.dvc.pointers import Cached
from tagship.errors import Corrupt


@dataclass(frozen=True)
class Cache:
    """DVC's cache on this machine.

    Attributes:
        project: the DVC repository that configures it.
        folder: where it is.
        named: whether this host's own configuration names the folder.
    """

    project: Path
    folder: Path
    named: bool = False

    def path(self, pointer: Cached) -> Path:
        """Where DVC keeps an object (``dvc/cachemgr.py``)."""
        top = self.folder if pointer.legacy else self.folder / "files" / "md5"
        return top / pointer.digest[:2] / pointer.digest[2:]

    def holds(self, pointer: Cached) -> bool:
        """Whether there is a file of that name; its bytes are checked when they are read.

        Raises:
            Forbidden: this account may not look.
        """
        try:
            return self.path(pointer).is_file()
        except PermissionError as error:
            raise access.forbidden(error) or error from None

    def drop(self, pointer: Cached) -> None:
        """Remove an object whose bytes are wrong, which DVC would always trust.

        Not from a folder that only the repository names, or that a link leads to: it may be
        anybody's.
        """
        real, top = self.folder.resolve(), self.project.resolve() / ".dvc"
        is_ours = self.named or real.is_relative_to(top)
        if is_ours and self.path(pointer).parent.resolve().is_relative_to(real):
            self.path(pointer).unlink(missing_ok=True)


def of_project(project: Path) -> Cache:
    """The cache that DVC's own configuration names.

    Raises:
        Refused: the configuration cannot be read, or its local part is in Git.
    """
    if configured := cachedir.read(project):
        dvc_config.check_local(project)
        folder, named = configured.folder, configured.named
    else:
        config = dvc_config.read(project)
        chosen = config.whole["cache"].get("dir")
        folder = Path(chosen) if chosen else None
        named = chosen is not None and chosen == config.host["cache"].get("dir")
    return Cache(project, folder or usual(project).folder, named)


def none() -> Cache:
    """The cache of a host without a work tree, which has none: it holds nothing."""
    nowhere = Path(os.devnull)  # a file: nothing is below it
    return Cache(nowhere, nowhere)


def usual(project: Path) -> Cache:
    """The cache where no configuration names another one."""
    return Cache(project, project / ".dvc" / "cache")


def bad_object(pointer: Cached, path: Path) -> Corrupt:
    """The error for an object of the cache whose bytes are wrong."""
    hint = f"rm {shlex.quote(str(path))} && dvc commit --force {shlex.quote(pointer.place)}"
    return Corrupt(f"the DVC cache has other bytes for {pointer}", hint)
