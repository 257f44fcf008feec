"""Durable changes to files: never half-written, and on disk when a function returns.

The order is always: write beside the target, fsync, rename, fsync the directory.
"""

import contextlib
import errno
import json
import os
import re
import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tagship.disk import access
from tagship.errors import Corrupt
from tagship.text import escape, json_reader

T = TypeVar("T")

MANY, SYNCS = 16, 8  # from so many files on, they are synced by so many threads
_STAYS = (
    errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOTDIR, errno.EACCES, errno.EPERM,
    errno.EROFS,
)  # fmt: skip
UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)  # what a file system does not have
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")


def is_temporary(name: str) -> bool:
    """Whether a name is from ``temporary_name``: nothing else may be removed."""
    return _TEMPORARY.fullmatch(name) is not None


def temporaries(folder: Path) -> list[Path]:
    """What a killed run has left half-written in a folder."""
    return [path for path in folder.iterdir() if is_temporary(path.name)]


def temporaries_of(path: Path) -> list[Path]:
    """What killed runs have left of ``temporary_name(path)``."""
    start, end = f".{path.name}.", len(".tmp") + 12
    left = temporaries(path.parent)
    return [
        each for each in left if each.name.startswith(start) and len(each.name) == len(start) + end
    ]


def temporary_name(path: Path) -> Path:
    """A random hidden name beside ``path``: a fixed one could publish the file of a crashed run."""
    return path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable; until then a rename is not.

    Some file systems of networks cannot, and need not.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of a regular file durable; a link is not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(*paths: Path) -> None:
    """Make several folders, as ``make_folder``."""
    for path in paths:
        make_folder(path)


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Make a folder, and those above it that are missing: only its owner may write, at any umask.

    Path.mkdir makes the folders above with 0777 and the umask. The names are made durable: without
    that, btrfs lost versions/ in a power cut, and kept what was synced beside it.
    """
    if path.is_dir():
        return
    for folder in reversed([folder for folder in (path, *path.parents) if not folder.exists()]):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=mode if folder == path else 0o755)
        sync_directory(folder.parent)


def write(path: Path, data: bytes, mode: int = 0o644, *, durable: bool = True) -> None:
    """Replace ``path`` by ``data``, durably: at any time it has the old bytes or the new.

    Args:
        path: the file.
        data: its bytes.
        mode: its mode.
        durable: whether it must survive a power cut; else it can have any bytes after one.
    """
    temporary = temporary_name(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise
    if durable:
        sync_directory(path.parent)


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """Replace ``path`` by ``value`` as JSON for people: indented, UTF-8, a final newline."""
    write(path, escape.json(value).encode() + b"\n", mode)


def read_file(path: Path, read: Callable[[bytes], T], what: str, hint: str) -> T:
    """Parse a file that users may have edited.

    Args:
        path: the file.
        read: parses the bytes; raises ValueError if they are wrong.
        what: the noun for the file in the error.
        hint: for a file whose content is wrong.

    Raises:
        FileNotFoundError: there is no such file.
        Corrupt: it cannot be read, or its content is wrong.
        Forbidden: this account may not read it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        if denied := access.forbidden(error):
            raise denied from None
        hint = f"ls -ld {shlex.quote(str(path))}"
        raise Corrupt(f"{path} cannot be read: {error.strerror}", hint) from None
    try:
        return read(data)
    except ValueError as error:
        why = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else f": {error}"
        raise Corrupt(f"{path} is not a valid {what} file{why}", hint) from None


def read_json(path: Path, read: Callable[[Any], T], what: str, hint: str) -> T:
    """The same for the value of the JSON in a file."""
    return read_file(path, lambda data: read(json_reader.parse(data, shallow=False)), what, hint)


def swap_link(link: Path, target: str) -> None:
    """Point the symbolic link ``link`` at ``target`` in one step, durably."""
    temporary = temporary_name(link)
    temporary.symlink_to(target)
    try:
        os.replace(temporary, link)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(link.parent)


def can_link(folder: Path) -> bool:
    """Whether the file system of a folder has symbolic links: symlink(2) says EPERM where not."""
    temporary = temporary_name(folder / "link")
    try:
        temporary.symlink_to("target")
    except OSError as error:
        if error.errno not in (errno.EPERM, *UNSUPPORTED):
            raise
        return False
    temporary.unlink()
    return True


def sync_tree(top: Path) -> None:
    """Make every file and directory below ``top`` durable, and ``top`` itself."""
    files: list[Path] = []
    folders: list[Path] = []
    for folder, _, names in os.walk(top, topdown=False, onerror=_raise):
        files += [Path(folder, name) for name in names]
        folders.append(Path(folder))
    if len(files) < MANY:
        for path in files:
            sync_file(path)
    else:  # a file system combines syncs that come at the same time
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(SYNCS) as pool:
            list(pool.map(sync_file, files))
    for path in folders:
        sync_directory(path)


def protect_tree(top: Path) -> None:
    """Make a tree read-only under any umask: files 0444 (0555 if executable), folders 0555."""
    for folder, _, files in os.walk(top, topdown=False, onerror=_raise):
        for name in files:
            if not Path(folder, name).is_symlink():  # chmod would follow it
                protect_file(Path(folder, name))
        _set_mode(Path(folder), 0o555)


def protect_file(path: Path) -> None:
    """Make a file read-only under any umask: 0444, or 0555 if it is executable."""
    executable = path.stat(follow_symlinks=False).st_mode & stat.S_IXUSR
    _set_mode(path, 0o555 if executable else 0o444)


def _set_mode(path: Path, mode: int) -> None:
    """Set a mode if it differs: only the owner may, even if nothing changes."""
    if stat.S_IMODE(path.stat(follow_symlinks=False).st_mode) != mode:
        path.chmod(mode)


def remove_tree(top: Path) -> None:
    """Remove a tree, read-only folders included; nothing to remove is fine."""
    if top.is_symlink() or not top.is_dir():
        top.unlink(missing_ok=True)
        return
    import shutil

    for folder, _, _ in os.walk(top):
        Path(folder).chmod(0o700)
    shutil.rmtree(top)


def remove_empty(folder: Path) -> bool:
    """Remove a folder if it is empty and may be removed; whether it is gone.

    It stays where it is a mount point, a link, or in a folder that another user owns.
    """
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in _STAYS:
            raise
        return False
    return True


def move(source: Path, target: Path) -> None:
    """Rename a directory to a name that must be free, durably on both sides.

    A directory that is moved to another parent must itself be writable (its ``..`` changes), so
    its own mode is opened for the move and set back.

    Raises:
        FileExistsError: ``target`` exists; rename(2) would silently replace an empty directory.
    """
    if target.exists() or target.is_symlink():
        raise FileExistsError(f"{target} exists")
    mode = stat.S_IMODE(source.stat().st_mode)
    source.chmod(mode | stat.S_IWUSR)
    try:
        os.rename(source, target)
    except OSError:
        source.chmod(mode)
        raise
    target.chmod(mode)
    sync_directory(target)
    sync_directory(target.parent)
    sync_directory(source.parent)


def _raise(error: OSError) -> None:
    """For os.walk, which otherwise skips a directory that it cannot read."""
    raise error
