"""Content: the bytes of a model's files, listed, fetched, copied, read; every byte is hashed."""

import hashlib
import json
import posixpath
import shlex
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tagship.disk import access, atomic
from tagship.disk import files as disk_files
from tagship.disk.files import File
from tagship.dvc import stages
from tagship.dvc.cache import Cache, bad_object
from tagship.dvc.pointers import Blob, Cached, Pointer, check_hex
from tagship.dvc.remote import Remote
from tagship.errors import Corrupt, NotFound, Unavailable
from tagship.git import tree
from tagship.progress import Advance, Progress, silent
from tagship.text.paths import check_path


@dataclass(frozen=True)
class Content:
    """The bytes behind pointers: Git's blobs, and DVC's objects in its cache and its remote.

    Attributes:
        blobs: files that Git keeps.
        cache: DVC's cache on this machine.
        remote: where objects come from that the cache lacks, and where they are pushed.
        incoming: a folder to receive objects in, which a later run empties.
        progress: is called with the bytes fetched and pushed.
        offline: ask no remote; then what the cache lacks is not available.
    """

    blobs: tree.Blobs
    cache: Cache
    remote: Remote
    incoming: Path
    progress: Progress = silent
    offline: bool = False

    def listing(self, pointer: Pointer) -> tuple[Pointer, ...]:
        """The files of a tracked folder, from its list; of a file, itself.

        Raises:
            Corrupt: a path leads out of the version directory, or the list cannot be read.
            NotFound: the tracked folder has no such file.
            Unavailable: the list is in neither cache nor remote.
        """
        if isinstance(pointer, Blob) or not pointer.is_folder:
            check_path(pointer.path)
            return (pointer,)
        files = tuple(_below(pointer, self._list(pointer)))
        if not files:
            raise _not_in(pointer)
        return files

    def files(self, pointers: Iterable[Pointer]) -> tuple[Pointer, ...]:
        """Every file, tracked folders opened.

        Raises:
            Corrupt, NotFound, Unavailable: as for ``listing``.
        """
        return tuple(file for pointer in pointers for file in self.listing(pointer))

    def lacking(self, pointers: Iterable[Pointer]) -> tuple[Cached, ...]:
        """The objects that the cache lacks, each once; folders are not opened."""
        return tuple(pointer for pointer in _objects(pointers) if not self.cache.holds(pointer))

    def fetch(self, pointers: Iterable[Pointer]) -> None:
        """Fetch what the cache lacks.

        Raises:
            Unavailable, Corrupt, Refused: as for ``Remote.fetch``.
        """
        lacking = self.lacking(pointers)
        if lacking and self.offline:
            raise Unavailable(f"the DVC cache lacks {lacking[0]}", "dvc fetch --all-tags")
        if lacking:
            self.remote.fetch(lacking, self.cache, self.incoming, self.progress)

    def bring(self, pointer: Pointer, target: Path, advance: Advance | None = None) -> File:
        """Copy one file, every byte hashed and compared.

        An object of the cache that has other bytes is dropped and fetched once more.

        Raises:
            Corrupt: the bytes are not what the commit says.
            Unavailable: they are in neither cache nor remote.
        """
        atomic.make_folder(target.parent)
        if isinstance(pointer, Blob):
            file = self._write_blob(pointer, target, advance)
        else:
            file = self._copy_cached(pointer, target, advance)
        if pointer.executable:
            target.chmod(0o755)
        return _as(pointer, file)

    def digest(self, pointer: Pointer) -> File:
        """What ``bring`` would return, without a copy of what is in the cache.

        Raises:
            Corrupt, Unavailable: as for ``bring``.
        """
        if isinstance(pointer, Blob):  # those of Git are small
            with tempfile.TemporaryDirectory() as folder:
                return self.bring(pointer, Path(folder, "blob"))
        self.fetch([pointer])
        path = self.cache.path(pointer)
        return _as(pointer, self._verified(pointer, path, lambda: disk_files.digest(path)))

    def read(self, pointer: Pointer) -> bytes | None:
        """The bytes of a small file, or of a folder's list; None where none are here that match."""
        if isinstance(pointer, Blob):
            return self.blobs.content(pointer.digest)
        path = self.cache.path(pointer)
        try:
            data = disk_files.read(path)
        except disk_files.Unreadable as error:
            if denied := access.forbidden(error):
                raise denied from None
            return None
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return data if pointer.matches(path, md5) else None

    def size(self, pointer: Pointer) -> int | None:
        """The bytes of a file in the cache; else as recorded, None where nobody did."""
        if isinstance(pointer, Cached) and self.cache.holds(pointer):
            return self.cache.path(pointer).stat().st_size
        return pointer.size

    def total(self, pointers: Iterable[Pointer]) -> int | None:
        """The bytes of all files as recorded; folders are opened where that is not enough.

        None where only a remote has a file whose size was not recorded.

        Raises:
            Corrupt, NotFound, Unavailable: as for ``listing``.
        """
        sizes: list[int | None] = []
        for pointer in pointers:
            if isinstance(pointer, Cached) and (pointer.size is None or pointer.within):
                sizes += [self.size(file) for file in self.listing(pointer)]
            else:
                sizes.append(pointer.size)
        return None if None in sizes else sum(size or 0 for size in sizes)

    def room(self, pointers: Iterable[Pointer], files: Iterable[Pointer]) -> tuple[Path, int, int]:
        """What a fetch of the files writes: into which folder, and how many bytes and files.

        Args:
            pointers: what the commit promises; the size of a folder is recorded there.
            files: the same, folders opened.
        """
        objects = _objects(files)
        present = [pointer for pointer in objects if self.cache.holds(pointer)]
        if len(present) == len(objects):
            return self.cache.folder, 0, 0
        size = sum(pointer.size or 0 for pointer in pointers if isinstance(pointer, Cached))
        size -= sum(self.cache.path(pointer).stat().st_size for pointer in present)
        return self.cache.folder, max(0, size), len(objects) - len(present)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the objects are: no place for any other file."""
        return (self.cache.folder,)

    def push(self, pointers: Iterable[Pointer]) -> int:
        """Push all objects behind pointers, folders opened; see ``Remote.push``.

        Returns:
            How many the remote lacked.

        Raises:
            NotFound, Corrupt, Unavailable: as for ``Remote.push`` and ``listing``.
        """
        return self.remote.push(self._all_objects(pointers), self.cache, self.progress)

    def check_cached(self, pointers: Iterable[Pointer]) -> None:
        """Refuse what the cache does not have as promised, folders opened.

        Raises:
            Unavailable: an object is not in it.
            Corrupt: it has other bytes.
        """
        for pointer in self._all_objects(pointers):
            path = self.cache.path(pointer)
            if not path.is_file():
                place = shlex.quote(pointer.place)
                raise Unavailable(
                    f"the DVC cache lacks {pointer.place} ({pointer})",
                    f"dvc commit {place}; or, where the file is gone: dvc repro",
                )
            if not pointer.matches(path, disk_files.digest(path).md5):
                raise bad_object(pointer, path)

    def _all_objects(self, pointers: Iterable[Pointer]) -> tuple[Cached, ...]:
        """Every DVC object, each once: the files, then the lists of folders."""
        pointers = tuple(pointers)
        return _objects([*self.files(pointers), *pointers])

    def _list(self, folder: Cached) -> list[Cached]:
        """The files of a tracked folder, paths relative to it; of its list, which is hashed."""
        members = list(folder.members) or self._listed(folder)
        _check_names([member.path for member in members], folder)
        return members

    def _listed(self, folder: Cached) -> list[Cached]:
        self.fetch([folder])
        data = self.read(folder)
        if data is None:
            if self.offline:  # a question changes no cache
                raise bad_object(folder, self.cache.path(folder))
            self._fetch_again(folder, f"the list of {folder.path}")
            data = self.read(folder)
        if data is None:
            raise _changing(self.cache.path(folder))
        try:
            return [
                replace(
                    folder, path=check_path(_text(entry["relpath"])),
                    digest=check_hex(entry["md5"]), size=None, executable=False, within="",
                )
                for entry in json.loads(data)
            ]  # fmt: skip
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Corrupt(
                f"the list of files {folder} cannot be read", _track_again(folder)
            ) from None

    def _write_blob(self, pointer: Blob, target: Path, advance: Advance | None) -> File:
        self.blobs.write(pointer.digest, target)
        file = disk_files.digest(target, advance)
        if not pointer.matches(target, file.md5):
            raise Corrupt(
                f"Git has other bytes for {pointer.path} than its commit says", "git fsck"
            )
        return file

    def _copy_cached(self, pointer: Cached, target: Path, advance: Advance | None) -> File:
        def copy() -> File:
            target.unlink(missing_ok=True)
            return disk_files.copy(self.cache.path(pointer), target, advance)

        return self._verified(pointer, target, copy)

    def _verified(self, pointer: Cached, path: Path, read: Callable[[], File]) -> File:
        """What ``read`` hashes of an object of the cache, which is at ``path`` then.

        Where the cache has other bytes, or none that can be read, it is fetched and read once more.
        """
        try:
            file = read()
            if pointer.matches(path, file.md5):
                return file
        except disk_files.Unreadable as error:
            denied = access.forbidden(error)
            if denied and not access.is_own(self.cache.path(pointer)):  # its owner can read it
                raise denied from None
        self._fetch_again(pointer, pointer.path)
        file = read()
        if not pointer.matches(path, file.md5):
            raise _changing(self.cache.path(pointer))
        return file

    def _fetch_again(self, pointer: Cached, name: str) -> None:
        """Drop a bad object of the cache, and fetch it once more."""
        self.cache.drop(pointer)
        try:
            self.fetch([pointer])
        except Unavailable as error:
            raise Corrupt(
                f"the DVC cache had other bytes for {name} than it was released with,"
                f" and they cannot be fetched again: {error.message}",
                "dvc push from a machine that has them, then try again",
            ) from None


def _not_in(folder: Cached) -> NotFound:
    place = folder.place or folder.path
    again = f"dvc add {shlex.quote(place)}, or dvc repro; then commit what DVC wrote"
    if not folder.within:
        return NotFound(f"{place} is an empty folder", f"put the model into it; then {again}")
    return NotFound(
        f"{folder.within} is not in {place}, which DVC tracks",
        f"put it there, or fix its path in dvc.yaml; then {again}",
    )


def _track_again(folder: Cached) -> str:
    place = shlex.quote(folder.place)
    return f"track it again: dvc add {place}, or dvc repro; then commit, and release a new version"


def _objects(pointers: Iterable[Pointer]) -> tuple[Cached, ...]:
    """What DVC keeps of these, each object once; a folder that lists its files is no object."""
    by_key = {
        pointer.key: pointer
        for pointer in pointers
        if isinstance(pointer, Cached) and not pointer.members
    }
    return tuple(by_key.values())


def _as(pointer: Pointer, file: File) -> File:
    return replace(file, path=pointer.path, executable=pointer.executable)


def _below(folder: Cached, members: Iterable[Cached]) -> Iterator[Cached]:
    """The files that are meant: those below ``within``, or that file itself."""
    for member in members:
        name = check_path(member.path)
        if not folder.within:
            path = f"{folder.path}/{name}"
        elif name == folder.within:
            path = folder.path
        elif stages.holds(folder.within, name):
            path = f"{folder.path}/{posixpath.relpath(name, folder.within)}"
        else:
            continue
        yield replace(member, path=check_path(path), place=f"{folder.place}/{name}")


def _check_names(names: list[str], folder: Cached) -> None:
    """Refuse a list that names a file twice, or a file and a folder alike."""
    folders = {above for name in names for above in stages.parents(name)}
    twice = {name for name, count in Counter(names).items() if count > 1} | (folders & set(names))
    if twice:
        raise Corrupt(
            f"the list of files {folder} has two things of the name {min(twice)!r}",
            _track_again(folder),
        )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _changing(path: Path) -> Corrupt:
    return Corrupt(
        f"{path} changes while it is read", "find the program that writes into the DVC cache"
    )
