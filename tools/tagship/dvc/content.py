"""The bytes of a model's files: listed, copied, hashed."""

import contextlib
import hashlib
import json
import posixpath
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tagship.disk import atomic
from tagship.disk import files as disk_files
from tagship.disk.files import File
from tagship.dvc import pointers, stages
from tagship.dvc.cache import GIT, Cache, Object, bad_object, matches
from tagship.dvc.pointers import Out
from tagship.dvc.remote import Fetcher
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt, NotFound, Unavailable
from tagship.git import tree
from tagship.progress import Advance
from tagship.text.paths import check_path


@dataclass(frozen=True)
class TrackedFile:
    """One file to be put into a version directory: its path there, and what it must be."""

    path: str
    object: Object
    executable: bool = False


def content(out: Out, commit: str, blobs: tree.Blobs, cache: Cache) -> bytes | None:
    """The bytes of a small file at a commit; None where neither Git nor the cache here has them."""
    return blobs.read(commit, out.path) if out.names else cached(cache, out.objects[0])


def cached(cache: Cache, wanted: Object) -> bytes | None:
    """The bytes of a small object; None where the cache here has it not, or has others."""
    path = cache.path(wanted)
    if wanted.is_list or not path.is_file():
        return None
    data = path.read_bytes()
    return data if matches(wanted, path, hashlib.md5(data).hexdigest()) else None  # noqa: S324


def files(taken: Snapshot, fetch: Fetcher) -> tuple[TrackedFile, ...]:
    """Every file of a version, lists of files opened; what the cache lacks is fetched.

    Raises:
        Corrupt: a list holds a path that leaves the version directory.
        Unavailable: an object is in neither cache nor remote.
    """
    return tuple(file for out in taken.outs for file in files_of(out, fetch))


def files_of(out: Out, fetch: Fetcher) -> Iterator[TrackedFile]:
    """The files of one out; those of a tracked folder from its list, which is hashed."""
    base = posixpath.basename(out.path)
    if out.names:
        for name, blob, executable in zip(out.names, out.objects, out.executable, strict=True):
            yield TrackedFile(
                check_path(posixpath.join(base, name) if name else base), blob, executable
            )
        return
    wanted = out.objects[0]
    if not wanted.is_list:
        yield TrackedFile(check_path(base), wanted, out.executable[0])
        return
    listed = 0
    for name, inner in _read_list(wanted, base, fetch):
        if stages.holds(out.within, name) if out.within else True:
            rest = posixpath.relpath(name, out.within) if out.within else name
            yield TrackedFile(check_path(base if rest == "." else f"{base}/{rest}"), inner)
            listed += 1
    if not listed:
        raise NotFound(f"{out.path} is not in the tracked folder", f"see {out.pointer}")


def _read_list(wanted: Object, name: str, fetch: Fetcher) -> list[tuple[str, Object]]:
    wanted = replace(wanted, size=None)
    fetch([wanted])
    path = fetch.cache.path(wanted)
    data = _bytes_of_list(wanted, path)
    if data is None:
        if fetch.offline:  # who only looks changes no cache
            raise bad_object(wanted, path)
        _fetch_again(wanted, f"the list of {name}", fetch)
        data = _bytes_of_list(wanted, path)
    if data is None:
        raise _restless(path)
    try:
        listed = [
            (check_path(_text(entry["relpath"])),
             Object(wanted.hash_name, pointers.check_hex(entry["md5"]), None, wanted.remote))
            for entry in json.loads(data)
        ]  # fmt: skip
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Corrupt(
            f"the list of files {wanted} cannot be read", "release the model again"
        ) from None
    _check_apart([path for path, _ in listed], wanted)
    return listed


def _check_apart(names: list[str], wanted: Object) -> None:
    """Refuse a list that names a file twice, or a file and a folder alike."""
    folders = {above for name in names for above in stages.parents(name)}
    twice = {name for name, count in Counter(names).items() if count > 1} | (folders & set(names))
    if twice:
        raise Corrupt(
            f"the list of files {wanted} has two things of the name {min(twice)!r}",
            "release the model again",
        )


def _bytes_of_list(wanted: Object, path: Path) -> bytes | None:
    """What an object of the cache holds; None where it is not what its name says."""
    try:
        data = disk_files.read(path)
    except disk_files.Unreadable:
        return None
    return data if matches(wanted, path, hashlib.md5(data).hexdigest()) else None  # noqa: S324 - DVC's


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def copy(
    file: TrackedFile,
    blobs: tree.Blobs,
    fetch: Fetcher,
    target: Path,
    advance: Advance | None = None,
) -> File:
    """Put one file into a version directory, every byte hashed and compared.

    An object of the cache that has other bytes is dropped and fetched once more.

    Raises:
        Corrupt: the bytes are not what the commit says.
        Unavailable: they cannot be had.
    """
    atomic.make_folder(target.parent)
    if file.object.hash_name == GIT:
        blobs.write(file.object.digest, target)
        digests = disk_files.digest(target, advance)
        if _blob_id(target) != file.object.digest:
            raise Corrupt(f"Git has other bytes for {file.path} than its commit says", "git fsck")
    else:
        digests = _copy_cached(file, fetch, target, advance)
    if file.executable:
        target.chmod(0o755)
    return File(file.path, digests.size, digests.md5, digests.sha256, file.executable)


def digest(file: TrackedFile, blobs: tree.Blobs, fetch: Fetcher) -> File:
    """What ``copy`` would write, without a copy of what lies in the cache.

    Raises:
        Corrupt, Unavailable: as ``copy``.
    """
    if file.object.hash_name == GIT:  # Git's own are small
        with tempfile.TemporaryDirectory() as folder:
            return copy(file, blobs, fetch, Path(folder, "blob"))
    fetch([file.object])
    source = fetch.cache.path(file.object)
    digests = _hashed(file, fetch, source, lambda: disk_files.digest(source))
    return File(file.path, digests.size, digests.md5, digests.sha256, file.executable)


def _copy_cached(
    file: TrackedFile, fetch: Fetcher, target: Path, advance: Advance | None
) -> disk_files.Digests:
    def copied() -> disk_files.Digests:
        target.unlink(missing_ok=True)
        return disk_files.copy(fetch.cache.path(file.object), target, advance)

    return _hashed(file, fetch, target, copied)


def _hashed(
    file: TrackedFile, fetch: Fetcher, path: Path, read: Callable[[], disk_files.Digests]
) -> disk_files.Digests:
    """What ``read`` hashes of an object of the cache, which is at ``path`` then.

    Where the cache has other bytes, or none that can be read, it is fetched and read once more.
    """
    with contextlib.suppress(disk_files.Unreadable):
        digests = read()
        if matches(file.object, path, digests.md5):
            return digests
    _fetch_again(file.object, file.path, fetch)
    digests = read()
    if not matches(file.object, path, digests.md5):
        raise _restless(fetch.cache.path(file.object))
    return digests


def _fetch_again(wanted: Object, name: str, fetch: Fetcher) -> None:
    """Drop a bad object of the cache, and fetch it once more."""
    fetch.cache.drop(wanted)
    try:
        fetch([wanted])
    except Unavailable as error:
        raise Corrupt(
            f"the DVC cache had other bytes for {name} than it was released with,"
            f" and they cannot be fetched again: {error.message}",
            "dvc push from a machine that has them, then try again",
        ) from None


def _restless(path: Path) -> Corrupt:
    return Corrupt(f"{path} changes while it is read", "look who writes into the DVC cache")


def _blob_id(path: Path) -> str:
    sha1 = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(disk_files.BLOCK):
            sha1.update(block)
    return sha1.hexdigest()


def list_objects(taken: Snapshot, fetch: Fetcher) -> list[Object]:
    """Every DVC object that a version needs: lists, and the files in them."""
    lists = [one for out in taken.outs for one in out.objects if one.is_list]
    inner = [file.object for file in files(taken, fetch)]
    return [one for one in (*inner, *lists) if one.hash_name != GIT]
