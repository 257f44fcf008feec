"""Content: the bytes of a model's files, listed, fetched, copied, read; every byte is hashed."""

import contextlib
import hashlib
import json
import posixpath
import shlex
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tagship.disk import access, atomic
from tagship.disk import files as disk_files
from tagship.disk.files import File
from tagship.dvc import stages
from tagship.dvc.cache import Cache, bad_object
from tagship.dvc.pointers import Blob, Cached, Pointer, check_hex
from tagship.dvc.remote import Remote, Wanted, push_again
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
        kept: the files of version directories here, by their md5; they are hashed when copied.
        progress: is called with the bytes fetched and pushed.
        offline: ask no remote; then what the cache lacks is not available.
    """

    blobs: tree.Blobs
    cache: Cache
    remote: Remote
    kept: Callable[[], Mapping[str, Path]] = dict
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

    def bring(self, pointers: Iterable[Pointer], folder: Path) -> tuple[File, ...]:
        """Write files below a folder, every byte hashed and compared.

        What the cache or a version directory here has is copied; the rest comes from the remote, in
        one pass. The cache is not filled; an object of it that has other bytes is dropped.

        Args:
            pointers: files, each with a path of its own.
            folder: where they go; nothing of them is there yet.

        Returns:
            The files in the same order.

        Raises:
            Corrupt: the bytes are not what the commit says.
            Unavailable: they are in neither cache nor remote.
        """
        wanted = tuple(pointers)
        firsts = _unique(wanted)
        atomic.make_folders(*dict.fromkeys((folder / each.path).parent for each in wanted))
        files = self._copy_what_is_here(firsts.values(), folder)
        rest = [each for each in firsts.values() if each.path not in files]
        files |= self._fetch(rest, folder, _to_come(rest, wanted, files, firsts))
        return tuple(self._finish(each, firsts[_key(each)], files, folder) for each in wanted)

    def digest(self, pointer: Pointer) -> File:
        """What ``bring`` would return, without a copy of what is in the cache.

        Raises:
            Corrupt, Unavailable: as for ``bring``.
        """
        if isinstance(pointer, Cached) and (source := self.place(pointer)):
            with contextlib.suppress(disk_files.Unreadable):
                file = disk_files.digest(source)
                if pointer.matches(source, file.md5):
                    return _as(pointer, file)
            self._drop(pointer)
        if isinstance(pointer, Cached) and not pointer.legacy:
            return _as(pointer, self.remote.fetch([Wanted(pointer, None)], self.progress)[0])
        with tempfile.TemporaryDirectory() as folder:  # small: Git's, or text that DVC 2 hashed
            return self.bring([pointer], Path(folder))[0]

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

    def place(self, pointer: Pointer) -> Path | None:
        """Where an object is on this machine; whoever reads it hashes it.

        None for what Git keeps, and for what is not here.
        """
        if isinstance(pointer, Blob):
            return None
        if self.cache.holds(pointer):
            return self.cache.path(pointer)
        return None if pointer.legacy else self.kept().get(pointer.digest)

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

    def list_bytes(self, folder: Cached) -> bytes:
        """The object that lists the files of a tracked folder, compared with its digest.

        Raises:
            Corrupt: it has other bytes.
            Unavailable: it is in neither cache nor remote.
        """
        data = self.read(folder)
        if data is None and self.offline:  # a question asks no remote
            if self.cache.holds(folder):
                raise bad_object(folder, self.cache.path(folder))
            raise Unavailable(f"the DVC cache lacks {folder}", "dvc fetch --all-tags")
        return self._list_of_remote(folder) if data is None else data

    def _listed(self, folder: Cached) -> list[Cached]:
        data = self.list_bytes(folder)
        share = None if folder.size is None else (folder.digest, folder.size)
        try:
            return [
                replace(
                    folder, path=check_path(_text(entry["relpath"])),
                    digest=check_hex(entry["md5"]), size=None, executable=False, within="",
                    share=share,
                )
                for entry in json.loads(data)
            ]  # fmt: skip
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Corrupt(
                f"the list of files {folder} cannot be read", _track_again(folder)
            ) from None

    def _list_of_remote(self, folder: Cached) -> bytes:
        was_bad = self._drop(folder)
        try:
            data = self.remote.read(folder)
        except Unavailable as error:
            raise (_lost(f"the list of {folder.path}", error) if was_bad else error) from None
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != folder.digest.partition(".")[0]:
            raise Corrupt(
                f"the DVC remote has other bytes for {folder} than it was released with",
                push_again(self.remote.where(folder)),
            )
        return data

    def _copy_what_is_here(self, pointers: Iterable[Pointer], folder: Path) -> dict[str, File]:
        """Copy what Git, the cache or a version directory has, by path; what is bad is left out."""
        here = {pointer: self.place(pointer) for pointer in pointers}
        sizes = [
            place.stat().st_size if place else pointer.size or 0
            for pointer, place in here.items()
            if place or isinstance(pointer, Blob)
        ]
        files: dict[str, File] = {}
        if not sizes:
            return files
        with self.progress("copying", sum(sizes)) as advance:
            for pointer, place in here.items():
                target = folder / pointer.path
                if isinstance(pointer, Blob):
                    files[pointer.path] = self._write_blob(pointer, target, advance)
                elif place and (file := self._copy(pointer, place, target, advance)):
                    files[pointer.path] = file
        return files

    def _copy(self, pointer: Cached, place: Path, target: Path, advance: Advance) -> File | None:
        """Copy what is here; None where it has other bytes, or cannot be read."""
        try:
            file = disk_files.copy(place, target, advance)
            if pointer.matches(target, file.md5):
                return file
        except disk_files.Unreadable as error:
            denied = access.forbidden(error)
            if denied and not access.is_own(place):  # its owner can read it
                raise denied from None
        target.unlink(missing_ok=True)
        return None

    def _fetch(
        self, pointers: Sequence[Pointer], folder: Path, total: int | None
    ) -> dict[str, File]:
        """Receive the rest from the remote, by path; ``total`` is its bytes where known."""
        objects = [pointer for pointer in pointers if isinstance(pointer, Cached)]
        if not objects:
            return {}
        bad = [pointer for pointer in objects if self._drop(pointer)]
        wanted = [Wanted(pointer, folder / pointer.path) for pointer in objects]
        try:
            files = self.remote.fetch(wanted, self.progress, total)
        except Unavailable as error:
            raise (_lost(bad[0].path, error) if bad else error) from None
        return {pointer.path: file for pointer, file in zip(objects, files, strict=True)}

    def _drop(self, pointer: Cached) -> bool:
        """Remove a bad object of the cache, which DVC would always trust; whether there was one.

        Where this account may not, it stays.
        """
        is_bad = self.cache.holds(pointer)
        if is_bad:
            with contextlib.suppress(OSError):
                self.cache.drop(pointer)
        return is_bad

    def _finish(
        self, pointer: Pointer, first: Pointer, files: Mapping[str, File], folder: Path
    ) -> File:
        """A file in its place; of bytes that several have, the first one was brought."""
        target, file = folder / pointer.path, files[first.path]
        if pointer.path != first.path:
            file = disk_files.copy(folder / first.path, target)
            if file.md5 != files[first.path].md5:
                raise Corrupt(f"{target} changes while it is written", "try again")
        if pointer.executable:
            target.chmod(0o755)
        return _as(pointer, file)

    def _write_blob(self, pointer: Blob, target: Path, advance: Advance | None) -> File:
        self.blobs.write(pointer.digest, target)
        file = disk_files.digest(target, advance)
        if not pointer.matches(target, file.md5):
            raise Corrupt(
                f"Git has other bytes for {pointer.path} than its commit says", "git fsck"
            )
        return file


def _key(pointer: Pointer) -> tuple[str, str | None]:
    """Equal for pointers to the same bytes."""
    return (pointer.digest, "Git") if isinstance(pointer, Blob) else pointer.key


def _unique(pointers: Iterable[Pointer]) -> dict[tuple[str, str | None], Pointer]:
    """The first pointer to each content."""
    firsts: dict[tuple[str, str | None], Pointer] = {}
    for pointer in pointers:
        firsts.setdefault(_key(pointer), pointer)
    return firsts


def _to_come(
    rest: Iterable[Pointer], wanted: Iterable[Pointer], files: Mapping[str, File],
    firsts: Mapping[tuple[str, str | None], Pointer],
) -> int | None:  # fmt: skip
    """The bytes that are to be fetched; None where nobody recorded them.

    Of files whose folder alone has a size that is the folder's, less its files that are here. If
    several of those that are fetched have the same bytes, these come once, and it is less.

    Args:
        rest: what is fetched, each content once.
        wanted: all that is brought.
        files: what is here, by the path of the first pointer to it.
        firsts: the first pointer to each content.
    """
    objects = [each for each in rest if isinstance(each, Cached)]
    unsized = [each for each in objects if each.size is None]
    if any(each.share is None or each.within for each in unsized):
        return None
    shares = dict(each.share for each in unsized if each.share)
    here = sum(
        files[first.path].size
        for each in wanted
        if isinstance(each, Cached) and each.size is None and each.share
        if each.share[0] in shares and (first := firsts[_key(each)]).path in files
    )
    return sum(each.size or 0 for each in objects) + sum(shares.values()) - here


def _lost(name: str, error: Unavailable) -> Corrupt:
    return Corrupt(
        f"the DVC cache had other bytes for {name} than it was released with,"
        f" and they cannot be fetched again: {error.message}",
        "dvc push from a machine that has them, then try again",
    )


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
        place = f"{folder.place}/{name}"
        yield replace(member, path=check_path(path), place=place, within=folder.within)


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
