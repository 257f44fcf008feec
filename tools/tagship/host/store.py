"""A model's folder on a host: versions/, the link ``current``, pins, staging and trash.

``Store`` is the one owner of that state. It knows directories, not what they mean.
"""

import contextlib
import errno
import os
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from tagship.disk import access, atomic, capacity, lock, shared_lock
from tagship.errors import Corrupt, Refused, hint_of
from tagship.host import link as host_link
from tagship.host.link import CURRENT, VERSIONS, Link, LinkState
from tagship.progress import Tell, nobody
from tagship.registry import project_files
from tagship.registry.refs import VersionText
from tagship.text import json_reader

PRIVATE = project_files.PRIVATE
OLD = "incoming"  # where tagship 0.1 received objects; a killed run may have left some

T = TypeVar("T")


@dataclass(frozen=True)
class Pin:
    """Why a version is kept, since when, and who said so."""

    version: VersionText
    reason: str | None
    at: str
    by: str


@dataclass(frozen=True)
class Stuck:
    """Something that could not be removed: why, and the command that helps.

    ``in_use``: it could be, but a process holds a shared lock on it.
    """

    path: Path
    why: str
    fix: str
    in_use: bool = False

    def __str__(self) -> str:
        """In one line."""
        return f"{self.path} cannot be removed: {self.why} ({self.fix})"


@dataclass(frozen=True)
class Store:
    """The folder of one model: ``<root>/<model>``."""

    folder: Path

    @property
    def versions(self) -> Path:
        """The folder of the version directories."""
        return self.folder / VERSIONS

    @property
    def current(self) -> Path:
        """The link to the live version directory."""
        return self.folder / CURRENT

    @property
    def private(self) -> Path:
        """Lock, staging, trash, intent and pins: on the same file system as versions/."""
        return self.folder / PRIVATE

    @property
    def intent_file(self) -> Path:
        """What an act writes down before it begins."""
        return self.private / "intent.json"

    @property
    def _lock(self) -> Path:
        return self.private / "lock"

    @property
    def _pins(self) -> Path:
        return self.private / "pins.json"

    @property
    def staging(self) -> Path:
        """Where version directories are built."""
        return self.private / "staging"

    @property
    def trash(self) -> Path:
        """Where version directories go first when they are removed."""
        return self.private / "trash"

    @property
    def _inner(self) -> tuple[Path, ...]:
        return self.staging, self.trash

    @contextlib.contextmanager
    def locked(self, owner: dict[str, Any], wait: float = 0, tell: Tell = nobody) -> Iterator[None]:
        """Hold the model's lock, its folders made.

        Raises:
            Locked: another process holds it.
            Refused: a folder cannot be written, or is a file.
        """
        self._check_links()
        for folder in (self.folder.parent, self.folder, self.versions, self.private, *self._inner):
            if folder.exists() and not folder.is_dir():
                path = shlex.quote(str(folder))
                raise Refused(f"{folder} is not a folder", f"mv {path} {path}.old")
        for folder in (self.folder, self.versions, self.private, *self._inner):
            if folder.exists() and (denied := access.cannot_write(folder)):
                self._refuse(*denied)
        if self._lock.exists() and (denied := access.cannot_change(self._lock)):
            self._refuse(*denied)
        with lock.locked(self._lock, owner, wait, tell, self._make_folders):
            yield

    def _refuse(self, what: str, fix: str) -> NoReturn:
        """Refuse to work; where the folder is this account's, all in it is to be."""
        is_foreign = fix.startswith("sudo chown") and not access.cannot_write(self.folder)
        raise Refused(what, access.give_back(self.folder) if is_foreign else fix)

    def _make_folders(self) -> None:
        try:
            atomic.make_folders(self.versions, self.staging, self.trash)
            has_links = os.path.lexists(self.current) or atomic.can_link(self.private)
        except OSError as error:
            what = f"{error.filename or self.folder} cannot be made: {error.strerror}"
            raise Refused(what, capacity.hint(error, hint_of(error))) from None
        if not has_links:
            self._remove_empty()
            raise Refused(
                f"the file system of {self.folder} has no symbolic links",
                "put the models on another one: tagship: root: in params.yaml",
            )

    def _remove_empty(self) -> None:
        """Remove the folders that were made, where nothing is in them."""
        for folder in (*self._inner, self.versions, self.private, self.folder):
            atomic.remove_empty(folder)

    def _check_links(self) -> None:
        """Nothing is written through a link: it may have come with the repository.

        Raises:
            Refused: where only folders and files of ours belong, there is a link.
        """
        for path in (self.versions, self.private, self._lock, *self._inner):
            if path.is_symlink():
                what = f"{path} is a link to {path.readlink()}, and must not be a link"
                name = shlex.quote(str(path))
                if path == self.versions and any(map(host_link.version_of, self.directories())):
                    target, folder = (shlex.quote(str(f)) for f in (path.resolve(), self.folder))
                    raise Refused(
                        what,
                        f"move the versions back: rm {name} && mv {target} {name};"
                        f" for another disk, make {folder} a link",
                    )
                raise Refused(what, f"remove it: rm {name}")

    def holder(self) -> str | None:
        """Who works on the model right now, in words; None where nobody does.

        Raises:
            Refused: there is a link where the lock is to be.
        """
        self._check_links()
        return lock.holder(self._lock)

    def link(self) -> Link:
        """What ``current`` is, read once."""
        return host_link.read(self.folder)

    def live(self) -> str | None:
        """The name below versions/ that ``current`` means; None where nothing is deployed.

        Raises:
            Refused: ``current`` is not a link of ours.
        """
        return self.own_link().directory

    def own_link(self) -> Link:
        """What ``current`` is, read once, where it is ours or not there.

        Raises:
            Refused: it is not a link of ours.
        """
        link, path = self.link(), shlex.quote(str(self.current))
        if link.state is LinkState.FOLDER:
            raise Refused(
                f"{self.current} is not a link but a file or a folder",
                f"move it away: mv {path} {path}.old",
            )
        if link.state is LinkState.FOREIGN:
            raise Refused(
                f"{self.current} leads to {link.target}, which is not a version",
                f"remove the link and deploy again: rm {path}",
            )
        return link

    def directories(self) -> list[str]:
        """The names below versions/, in no order that means anything."""
        try:
            return [entry.name for entry in os.scandir(self.versions) if entry.is_dir()]
        except FileNotFoundError:
            return []
        except NotADirectoryError:
            raise host_link.obstructed(self.versions) from None

    def entries(self) -> list[str]:
        """All names in versions/, in no order that means anything."""
        with contextlib.suppress(FileNotFoundError):
            return [path.name for path in self.versions.iterdir()]
        return []

    def path(self, directory: str) -> Path:
        """The path of a version directory.

        Raises:
            Corrupt: the name, from the history or an intent, is not one below versions/.
        """
        if directory in ("", ".", "..") or "/" in directory or "\0" in directory:
            raise Corrupt(
                f"{directory!r} is not a version directory of {self.folder}",
                "fix the history, or move it away",
            )
        return self.versions / directory

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[Path]:
        """An empty directory to build a version in, gone afterwards unless it was published."""
        staged = self.staging / name
        staged.mkdir(mode=0o755)
        try:
            yield staged
        finally:
            atomic.remove_tree(staged)

    def publish(self, staged: Path, directory: str) -> None:
        """Make a staged directory a version: read-only, durable, then renamed into versions/."""
        atomic.protect_tree(staged)
        atomic.sync_tree(staged)
        atomic.move(staged, self.path(directory))

    def protect(self, directory: str) -> None:
        """Make a version read-only again; where that is forbidden, it stays what it is."""
        with contextlib.suppress(OSError):
            atomic.protect_tree(self.path(directory))

    def open_to(self) -> list[tuple[Path, int]]:
        """The folders that the group (0o020) or others (0o002) can write to, and which of both.

        Who can rename in one of them can make other bytes live, read-only as versions are.
        """
        modes = (
            (folder, folder.stat().st_mode & 0o022)
            for folder in (self.folder.parent, self.folder, self.versions, self.private)
            if folder.is_dir()
        )
        return [(folder, mode) for folder, mode in modes if mode]

    def switch(self, directory: str) -> None:
        """Make a version live. The commit point of a deploy."""
        atomic.swap_link(self.current, f"{VERSIONS}/{self.path(directory).name}")

    def unlink(self) -> None:
        """Take ``current`` away: nothing is live any more."""
        self.current.unlink()
        atomic.sync_directory(self.folder)

    def discard(self, directory: str) -> None:
        """Take a version out of versions/, into the trash. Of a link, the link alone is removed.

        An overlay file system cannot rename a folder of a lower layer: it is removed in its place.
        """
        source, target = self.path(directory), self.trash / directory
        if source.is_symlink():  # a move would change the mode of what it leads to
            source.unlink()
            atomic.sync_directory(self.versions)
            return
        atomic.remove_tree(target)
        try:
            atomic.move(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            atomic.remove_tree(source)
            atomic.sync_directory(self.versions)

    def discard_all(self, directories: Iterable[str]) -> list[Stuck]:
        """The same of several; one that is in use, or cannot be removed, stays whole.

        It stops no other.
        """
        stuck = []
        for path in map(self.path, directories):
            with shared_lock.exclusive(path) as is_free:  # until it is in the trash
                kept = self._discarded(path) if is_free else _in_use(path)
            if kept is not None:
                stuck.append(kept)
        return stuck

    def _discarded(self, path: Path) -> Stuck | None:
        try:
            why = access.keeps(path)
            if why is None:
                self.discard(path.name)
        except OSError as error:
            if not os.path.lexists(path):  # it is in the trash, but not durably
                raise
            why = access.why_kept(path, error)
        return None if why is None else Stuck(path, *why)

    def in_use(self) -> dict[str, list[int]]:
        """The version directories with a shared lock, and the processes that hold it, if known."""
        users = {name: shared_lock.users(self.path(name)) for name in self.directories()}
        return {name: processes for name, processes in users.items() if processes is not None}

    def seal(self, directory: str) -> bool:
        """Make a version directory itself read-only again; whether it was not, and is now."""
        path = self.path(directory)
        if path.is_symlink() or not stat.S_IMODE(path.stat().st_mode) & 0o222:
            return False
        try:
            path.chmod(0o555)
        except PermissionError:  # another user's: status tells
            return False
        return True

    def hollow_trash(self) -> None:
        """Delete the bytes of what was discarded; its names stay, for the event in the history."""
        for entry in list(self.trash.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                with contextlib.suppress(OSError):  # empty_trash tries again, and tells
                    entry.chmod(0o700)
                    for inner in list(entry.iterdir()):
                        atomic.remove_tree(inner)

    def empty_trash(self) -> list[Stuck]:
        """Delete for good what was discarded."""
        return _remove(self.trash.iterdir())

    def remove(self, directories: Iterable[str]) -> list[Stuck]:
        """Delete versions for good; one that cannot be deleted stops no other."""
        names = list(directories)
        stuck = self.discard_all(names)
        kept = {left.path.name for left in stuck}
        return stuck + _remove(self.trash / name for name in names if name not in kept)

    def clear(self, files: Iterable[Path]) -> None:
        """Remove pins, lock and ``files``, and then the folders that are empty.

        Needs the lock, whose file goes last: who waits for it makes a new one.
        """
        for path in (lock.card(self._lock), self._pins, *files):
            path.unlink(missing_ok=True)
        for folder in (self.staging, self.private / OLD, self.trash, self.versions):
            atomic.remove_empty(folder)
        self._lock.unlink(missing_ok=True)
        atomic.remove_empty(self.private)
        atomic.sync_directory(self.folder)
        atomic.remove_empty(self.folder)

    @property
    def has_intent(self) -> bool:
        """Whether an act is under way, or a killed one left its intent."""
        return self.intent_file.exists()

    def open_intent(self, intent: dict[str, Any]) -> None:
        """Write down, durably, what is about to be done."""
        atomic.write_json(self.intent_file, intent)

    def close_intent(self) -> None:
        """It is done, and the history says so."""
        self.intent_file.unlink(missing_ok=True)
        atomic.sync_directory(self.private)

    def intent(self, read: Callable[[Any], T]) -> T | None:
        """What a killed run was about to do, as ``read`` takes it from the JSON value.

        Raises:
            Corrupt: nobody can carry on with it.
        """
        hint = f"remove it: rm {shlex.quote(str(self.intent_file))}"
        try:
            return atomic.read_json(self.intent_file, read, "intent", hint)
        except FileNotFoundError:
            return None

    def sweep(self) -> tuple[list[str], list[Stuck]]:
        """Remove what a killed run left lying about: what was removed, and what cannot be."""
        left = [*self.staging.iterdir(), *self.trash.iterdir()]
        if (old := self.private / OLD).is_dir() and not old.is_symlink():
            left += old.iterdir()
        left += [*atomic.temporaries(self.folder), *atomic.temporaries(self.private)]
        stuck = _remove(left)
        kept = {path.path for path in stuck}
        return sorted(path.name for path in left if path not in kept), stuck

    def pins(self) -> dict[str, Pin]:
        """The pinned versions, by version.

        Raises:
            Corrupt: the file of pins cannot be read.
        """
        hint = f"fix {self._pins}"
        try:
            pins = atomic.read_json(self._pins, json_reader.array(Pin), "pins", hint)
        except FileNotFoundError:
            return {}
        return {pin.version: pin for pin in pins}

    def write_pins(self, pins: dict[str, Pin]) -> None:
        """Replace the pins."""
        atomic.write_json(self._pins, [asdict(pin) for pin in pins.values()])


def _in_use(path: Path) -> Stuck:
    processes = lock.holders(path)
    fix = (
        f"end what uses it: ps -fp {','.join(map(str, processes))}"
        if processes
        else "end what uses it"
    )
    return Stuck(path, shared_lock.in_words(processes), fix, in_use=True)


def _remove(paths: Iterable[Path]) -> list[Stuck]:
    """Remove trees; one that cannot be removed stops no other."""
    stuck = []
    for path in list(paths):
        try:
            atomic.remove_tree(path)
        except OSError as error:
            stuck.append(Stuck(path, *access.why_kept(path, error)))
    return stuck
