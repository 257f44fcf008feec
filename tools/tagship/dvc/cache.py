"""DVC's cache: objects by their digest."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from tagship.dvc import cachedir
from tagship.dvc import config as dvc_config
from tagship.errors import Corrupt, Refused

GIT, MD5, LEGACY_MD5 = "git", "md5", "md5-dos2unix"


@dataclass(frozen=True)
class Object:
    """Bytes with a digest: in DVC's cache (md5, ``.dir`` for a list of files), or a blob of Git.

    ``hash_name`` is DVC's: ``md5``, or ``md5-dos2unix`` for an output of DVC 2.
    """

    hash_name: str
    digest: str
    size: int | None = None
    remote: str | None = None

    @property
    def is_list(self) -> bool:
        """Whether this is a ``.dir`` object: JSON, one ``{"md5", "relpath"}`` a file."""
        return self.digest.endswith(".dir")

    def __str__(self) -> str:
        return f"{self.hash_name}:{self.digest}"


@dataclass(frozen=True)
class Cache:
    """DVC's cache on this machine, and the DVC repository that configures it.

    ``named``: this host's own configuration names the folder.
    """

    project: Path
    folder: Path
    named: bool = False

    def path(self, wanted: Object) -> Path:
        """Where DVC keeps an object (``dvc/cachemgr.py``)."""
        top = self.folder if wanted.hash_name == LEGACY_MD5 else self.folder / "files" / "md5"
        return top / wanted.digest[:2] / wanted.digest[2:]

    def holds(self, wanted: Object) -> bool:
        """Whether there is a file of that name; what is in it, its reader checks."""
        return self.path(wanted).is_file()

    def drop(self, wanted: Object) -> None:
        """Remove an object whose bytes are wrong: DVC would trust it for ever.

        Raises:
            Refused: as ``check_ours``.
        """
        self.check_ours(wanted)
        self.path(wanted).unlink(missing_ok=True)

    def check_ours(self, wanted: Object) -> None:
        """Refuse to write into a folder that only the repository names: it may be anybody's.

        Raises:
            Refused: neither is it below ``.dvc``, nor does the host's own configuration name it.
        """
        real, top = self.folder.resolve(), self.project.resolve() / ".dvc"
        if not self.named and not real.is_relative_to(top):
            raise Refused(
                f"the DVC cache is {real}, which this host's own configuration does not name",
                f"if it is right, say so: dvc cache dir --local {shlex.quote(str(real))}",
            )
        place = self.path(wanted).parent
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
    usual = project / ".dvc" / "cache"
    if told := cachedir.read(project):
        dvc_config.check_local(project)
        return Cache(project, told.folder or usual, told.named)
    config = dvc_config.read(project)
    folder = config.whole["cache"].get("dir")
    named = folder is not None and folder == config.host["cache"].get("dir")
    return Cache(project, Path(folder) if folder else usual, named)


def bad_object(wanted: Object, path: Path) -> Corrupt:
    """The error for an object of the cache whose bytes are wrong."""
    hint = f"rm {shlex.quote(str(path))} && dvc commit --force"
    return Corrupt(f"the DVC cache has other bytes for {wanted}", hint)


def matches(wanted: Object, path: Path, md5: str) -> bool:
    """Whether the file at ``path``, whose plain md5 is ``md5``, is the object."""
    if wanted.hash_name == MD5 or wanted.is_list:
        return md5 == wanted.digest.removesuffix(".dir")
    # DVC 2 hashed text with its line ends made LF; DVC knows what it calls text
    from dvc_data.hashfile.hash import file_md5
    from dvc_objects.fs import LocalFileSystem

    return bool(file_md5(str(path), LocalFileSystem(), name=LEGACY_MD5) == wanted.digest)
