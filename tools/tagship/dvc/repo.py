"""What DVC itself does in a work tree: add a file, and load all stages under its own lock."""

import contextlib
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagship.disk import access
from tagship.dvc import config as dvc_config
from tagship.errors import Locked, Refused, Unavailable
from tagship.text import redact

STATUS = "fix it, until dvc status works; or release the model unchecked with --force"


def add(project: Path, path: Path) -> list[Path]:
    """Have DVC track a file or folder, as ``dvc add`` does; what it wrote for Git to keep.

    Raises:
        Unavailable: DVC refuses it.
    """
    from dvc.exceptions import DvcException

    try:
        with dvc_config.quiet(), _repo(project) as repo:
            repo.add([str(path)], no_commit=False)
    except DvcException as error:
        raise Unavailable(f"DVC: {error}", f"dvc add {path}") from None
    return pointer_files(path)


@contextlib.contextmanager
def _repo(project: Path) -> Iterator[Any]:
    """DVC's repository; it keeps a database outside of it, for each account.

    Raises:
        Unavailable: that cannot be written.
        Refused: the name of the folder is not UTF-8, which DVC needs; or this account's own
            configuration cannot be read, or the repository not be written to.
    """
    try:
        str(project).encode()
    except UnicodeEncodeError:
        what = f"DVC cannot work in a folder whose name is not UTF-8: {project}"
        raise Refused(what, "rename it, or clone the repository elsewhere") from None
    from sqlite3 import OperationalError

    from dvc.dirs import site_cache_dir
    from dvc.repo import Repo

    try:
        repo = Repo(str(project))
    except (OSError, OperationalError) as error:
        if isinstance(error, OSError) and (refused := dvc_config.of_home(error)):
            raise refused from None
        if isinstance(error, OSError) and (refused := _of_repository(project, error)):
            raise refused from None
        reason = getattr(error, "strerror", None) or str(error)
        where = getattr(error, "filename", None) or site_cache_dir()
        hint = "name a folder that this account can write to: export DVC_SITE_CACHE_DIR=FOLDER"
        raise Unavailable(f"DVC cannot use {where}: {reason}", hint) from None
    with contextlib.closing(repo):
        yield repo


def _of_repository(project: Path, error: OSError) -> Refused | None:
    """The error where DVC may not write to the repository itself; None if it is elsewhere."""
    place = Path(str(error.filename or ""))
    if error.errno not in access.DENIED or not place.is_relative_to(project):
        return None
    return Refused(*access.explain(error))


def pointer_files(path: Path) -> list[Path]:
    """What ``dvc add`` of a path writes beside it: its ``.dvc`` file, and the ignore rule."""
    return [path.with_name(path.name + ".dvc"), path.with_name(".gitignore")]


@dataclass(frozen=True)
class Opened:
    """DVC's repository in a work tree.

    Attributes:
        repo: a ``dvc.repo.Repo``.
        unread: why DVC cannot load a file (``dvc.yaml``, ``.dvc``), by its path. DVC fills it when
            it loads the stages, and goes on with the others.
    """

    repo: Any
    unread: dict[Path, str] = field(default_factory=dict)

    def keep(self, path: str, error: Exception) -> None:
        """Remember a file that cannot be loaded; DVC gives its path relative to this process."""
        self.unread[Path(os.path.abspath(path))] = _in_one_line(error)  # noqa: PTH100 - no links


@contextlib.contextmanager
def opened(project: Path) -> Iterator[Opened]:
    """Open DVC's repository, and hold DVC's lock.

    Raises:
        Locked: another DVC process holds the lock, or works on the paths that are looked at.
        Refused: DVC cannot load the repository.
    """
    from dvc.config import ConfigError
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import lock_repo
    from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError
    from scmrepo.exceptions import SCMError

    try:
        with dvc_config.quiet(), _repo(project) as repo:
            in_use = Opened(repo)
            repo.stage_collection_error_handler = in_use.keep
            config = repo.config
            with lock_repo(repo):
                repo.config = config  # DVC forgets what it read a moment ago
                yield in_use
    except LockError as error:
        raise _locked(project, str(error)) from None
    except (RWLockFileCorruptedError, RWLockFileFormatError):
        raise Refused(
            "DVC's record of running processes cannot be read: .dvc/tmp/rwlock",
            f"if no dvc command is running: rm {shlex.quote(str(project / '.dvc/tmp/rwlock'))}",
        ) from None
    except ConfigError as error:
        raise dvc_config.unreadable(project, error) from None
    except (DvcException, SCMError, AttributeError, KeyError, RecursionError, TypeError,
            ValueError) as error:  # fmt: skip # those that are not its own, DVC does not catch
        raise unreadable(_in_one_line(error)) from error


def unreadable(what: str) -> Refused:
    """The error where DVC cannot say what a model was built from."""
    return Refused(f"DVC cannot load the stages: {what}", STATUS)


def _in_one_line(error: BaseException) -> str:
    return redact.text(" ".join(str(error).split()))[:300] or type(error).__name__


def _locked(project: Path, text: str) -> Locked:
    """Who works with DVC: the text names it, or the lock's file has its process id."""
    holder = re.search(r"\(PID (\d+)\): (.*)", text)
    if holder:
        program, _, arguments = holder[2].partition(" ")
        who = f"process {holder[1]} ({redact.text(f'{Path(program).name} {arguments}'.strip())})"
    else:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            holder = re.fullmatch(r"\s*(\d+)\s*", (project / ".dvc/tmp/lock").read_text())
        who = f"process {holder[1]}" if holder else "another process"
    return Locked(
        f"DVC is in use here: {who} holds its lock", "wait until it has ended, then try again"
    )
