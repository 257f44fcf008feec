"""DVC's cache on this machine: objects by their digest."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from tagship.disk import access
from tagship.dvc import cachedir
from tagship.dvc import config as dvc_config
from tagship.dvc.pointers import Cached
from tagship.errors import Corrupt, Refused

SHARED = 0o2775  # of the folders of a shared cache (``dvc_data/hashfile/db/local.py``)


@dataclass(frozen=True)
class Cache:
    """DVC's cache on this machine.

    Attributes:
        project: the DVC repository that configures it.
        folder: where it is.
        named: whether this host's own configuration names the folder.
        shared: whether all of a group write into it (``cache.shared`` of DVC).
    """

    project: Path
    folder: Path
    named: bool = False
    shared: bool = False

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

    def make_folder(self, pointer: Cached) -> Path:
        """The folder of an object, with the mode that DVC gives it.

        Under any umask: all of a group write into a shared cache (``dvc_objects/fs/utils.py``).
        """
        place = self.path(pointer).parent
        for folder in reversed([path for path in (place, *place.parents) if not path.exists()]):
            folder.mkdir(exist_ok=True)
            if self.shared:
                folder.chmod(SHARED)
        return place

    def drop(self, pointer: Cached) -> None:
        """Remove an object whose bytes are wrong: DVC would always trust it.

        Raises:
            Refused: as ``check_ours``.
        """
        self.check_ours(pointer)
        self.path(pointer).unlink(missing_ok=True)

    def check_ours(self, pointer: Cached) -> None:
        """Refuse to write into a folder that only the repository names: it may be anybody's.

        Raises:
            Refused: it is not below ``.dvc``, and the host's own configuration does not name it.
        """
        real, top = self.folder.resolve(), self.project.resolve() / ".dvc"
        if not self.named and not real.is_relative_to(top):
            raise Refused(
                f"the DVC cache is {real}, which this host's own configuration does not name",
                f"if this is right: dvc cache dir --local {shlex.quote(str(real))}",
            )
        place = self.path(pointer).parent
        if not place.resolve().is_relative_to(real):
            raise Refused(
                f"{place} leads out of the DVC cache, to {place.resolve()}",
                f"remove the link: rm {shlex.quote(str(place))}",
            )


def of_project(project: Path) -> Cache:
    """The cache that DVC's own configuration names.

    Raises:
        Refused: the configuration cannot be read, or its local part is in Git.
    """
    if configured := cachedir.read(project):
        dvc_config.check_local(project)
        folder, named, shared = configured.folder, configured.named, configured.shared
    else:
        config = dvc_config.read(project)
        chosen = config.whole["cache"].get("dir")
        folder = Path(chosen) if chosen else None
        named = chosen is not None and chosen == config.host["cache"].get("dir")
        shared = config.whole["cache"].get("shared") == "group"
    return Cache(project, folder or usual(project).folder, named, shared)


def usual(project: Path) -> Cache:
    """The cache where no configuration names another one."""
    return Cache(project, project / ".dvc" / "cache")


def bad_object(pointer: Cached, path: Path) -> Corrupt:
    """The error for an object of the cache whose bytes are wrong."""
    hint = f"rm {shlex.quote(str(path))} && dvc commit --force {shlex.quote(pointer.place)}"
    return Corrupt(f"the DVC cache has other bytes for {pointer}", hint)
