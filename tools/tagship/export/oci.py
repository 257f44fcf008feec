"""The OCI image of a version: written as a layout, or hashed alone.

A file is read once: its digests and that of its layer are computed while it is written. What
neither DVC's cache nor a version directory here has is fetched first, into a temporary folder.
"""

import contextlib
import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from tagship.disk import files as disk_files
from tagship.disk import tar
from tagship.disk.files import File, Write
from tagship.dvc.content import Content
from tagship.dvc.pointers import Pointer
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt
from tagship.export import image
from tagship.export import target as target_folder
from tagship.export.image import Blob, Image
from tagship.host import installed, journal
from tagship.host.metadata import Metadata
from tagship.inspect import find
from tagship.progress import Advance, Progress, Tell, nobody, silent
from tagship.registry.catalog import Release
from tagship.registry.refs import Ref
from tagship.signing.policy import Policy
from tagship.workspace import moved
from tagship.workspace.host import Host
from tagship.workspace.source import Source

LAYOUT = {"imageLayoutVersion": "1.0.0"}
BLOBS = Path("blobs", "sha256")


@dataclass(frozen=True)
class Exported:
    """An image, and where it is.

    Attributes:
        digest: of its manifest, ``sha256:HEX``: its name anywhere.
        name: in the layout.
        directory: the layout; None where none was asked for.
        files: of the version, with sizes in bytes and digests.
        pushed: ``HOST/NAME:TAG``; None where it was not pushed.
        sent: bytes of it that the registry did not have.
    """

    model: str
    version: str
    tag: str
    commit: str
    digest: str
    name: str
    directory: Path | None
    files: tuple[File, ...]
    pushed: str | None = None
    sent: int = 0

    @classmethod
    def of(cls, made: Image, directory: Path | None) -> Self:
        """What there is to say of an image."""
        return cls(
            made.model, made.version, made.tag, made.commit, made.digest, made.name, directory,
            made.files,
        )  # fmt: skip


@dataclass(frozen=True)
class Versions:
    """A version to make an image of, and where its bytes are.

    Attributes:
        snapshot: without the metrics that DVC keeps: not every clone has them.
        content: the bytes.
        policy: of this host: which signatures it asks for.
    """

    source: Source
    release: Release
    snapshot: Snapshot
    content: Content
    policy: Policy

    @property
    def pointers(self) -> tuple[Pointer, ...]:
        """Every file, in the order of the layers."""
        return tuple(sorted(self.content.files(self.snapshot.pointers), key=_path))

    def describe(self, files: tuple[File, ...]) -> Metadata:
        """What the tag says of these files.

        Raises:
            Refused, Corrupt: they are not signed as this host asks for, or as the tag says.
        """
        described = image.undeployed(self.source.released(self.release, self.snapshot, files))
        self.policy.check_files(described.statement, described.signature)
        return described

    def image(self, described: Metadata, layers: tuple[Blob, ...]) -> Image:
        """The image of these layers."""
        dvc = self.snapshot.identity
        return image.image(described, self.snapshot.artifact, dvc, layers)


def of(
    source: Source, host: Host, release: Release, progress: Progress = silent, tell: Tell = nobody
) -> Versions:
    """A version to make an image of, or to compare one with.

    Raises:
        Refused: its tag was moved, or is not signed as this host asks for.
        NotFound, Corrupt, Unavailable: its commit cannot be read.
    """
    model = release.tag.name.model
    store = host.store(model)
    moved.check(source.repository, journal.events(store), release)
    host.policy.check_tag(source.repository, release.tag)
    source.complete([release], tell)
    snapshot = source.tagged(release)
    in_git = tuple(out for out in snapshot.metric_outs if out.in_git)
    kept = functools.cache(functools.partial(installed.files_by_md5, store))
    content = source.content(progress, kept=kept, tell=tell)
    return Versions(source, release, replace(snapshot, metric_outs=in_git), content, host.policy)


def export(
    source: Source,
    host: Host,
    ref: Ref,
    target: Path,
    progress: Progress = silent,
    tell: Tell = nobody,
) -> Exported:
    """Write the image of a version as an OCI layout, into a new folder.

    Args:
        source: where the version is.
        host: where it may be deployed.
        ref: the version; deregistered ones can be exported too.
        target: a folder that does not exist, or is empty.
        progress: is called with the bytes fetched and written.
        tell: is told which remote is waited for.

    Raises:
        NotFound: there is no such version.
        Refused: the tag was moved, or ``target`` may not be written. Nothing is left behind.
        Corrupt, Unavailable: the bytes are not available as they were released, or cannot be
            written.
    """
    version = of(source, host, find.find(source, ref), progress, tell)
    return write(version, place_of(version, host, target), target, progress)


def place_of(version: Versions, host: Host, target: Path) -> Path:
    """Where a layout is written.

    Raises:
        NotFound, Refused: it may not be there.
    """
    return target_folder.check(target, host.root, *version.content.folders)


def write(version: Versions, place: Path, target: Path, progress: Progress = silent) -> Exported:
    """Write the image of a version as a layout.

    Args:
        version: which.
        place: of ``place_of``.
        target: the same, as a person named it.
        progress: is called with the bytes fetched and written.

    Raises:
        TagshipError: as for ``export``.
    """
    try:
        with target_folder.new(place) as folder:
            made = _write(version, folder, progress)
    except OSError as error:
        raise target_folder.not_written(target, place, error, "export again") from None
    return Exported.of(made, place)


def digest(
    source: Source, host: Host, ref: Ref, progress: Progress = silent, tell: Tell = nobody
) -> str:
    """The digest of the image of a version: its bytes are read, and nothing is written.

    Raises:
        TagshipError: as for ``export``.
    """
    return compute(of(source, host, find.find(source, ref), progress, tell), progress).digest


def compute(version: Versions, progress: Progress = silent) -> Image:
    """The image of a version, from its bytes; of them nothing is written."""
    return _made(version, _Hashing(), progress)


def _write(version: Versions, folder: Path, progress: Progress) -> Image:
    """The blobs, and the two files that make a folder a layout."""
    (folder / BLOBS).mkdir(parents=True)
    made = _made(version, _Writing(folder / BLOBS), progress)
    for data in (made.config, made.manifest):
        _create(folder / BLOBS / image.digest(data).removeprefix("sha256:"), data)
    _create(folder / "index.json", made.index)
    _create(folder / "oci-layout", json.dumps(LAYOUT).encode())
    return made


def _made(version: Versions, place: "_Hashing | _Writing", progress: Progress) -> Image:
    pointers = version.pointers
    size = version.content.total(pointers)
    with place.scratch() as scratch, progress("writing the image", size) as advance:
        layers = _Layers(version.content, place, scratch, advance)
        layers.fetch(pointers)
        for run in image.layered(pointers):
            layers.add(run)
        described = version.describe(tuple(layers.files))
        for name, data in image.own_files(described).items():
            layers.add_own(name, data)
    return version.image(described, tuple(layers.blobs))


class _Hashing:
    """Layers that are hashed, and written nowhere."""

    def scratch(self) -> AbstractContextManager[str]:
        """Where fetched files are meanwhile."""
        return tempfile.TemporaryDirectory()

    @contextlib.contextmanager
    def layer(self) -> Iterator["_Layer"]:
        """A new layer."""
        yield _Layer(None)


@dataclass(frozen=True)
class _Writing:
    """Layers that become files, named by their digests."""

    folder: Path

    def scratch(self) -> AbstractContextManager[str]:
        """Beside the blobs: a model may be larger than what is free below /tmp."""
        return tempfile.TemporaryDirectory(dir=self.folder.parents[1], prefix="fetched")

    @contextlib.contextmanager
    def layer(self) -> Iterator["_Layer"]:
        """A new layer; when the block ends, it has its name."""
        path = self.folder / "layer"
        path.unlink(missing_ok=True)  # of a file that was bad
        with disk_files.create(path) as file, disk_files.through(file) as write:
            made = _Layer(write)
            yield made
        os.rename(path, self.folder / made.blob.digest.removeprefix("sha256:"))


class _Layer:
    """A tar, hashed while it is written."""

    def __init__(self, write: Write | None) -> None:
        self._write, self._sha256, self._size = write, hashlib.sha256(), 0

    @property
    def blob(self) -> Blob:
        """Its digest and its size."""
        return Blob(image.LAYER, f"sha256:{self._sha256.hexdigest()}", self._size)

    def put(self, data: bytes) -> None:
        """Add bytes."""
        self._sha256.update(data)
        self._size += len(data)
        if self._write is not None and data:
            self._write(data)

    def add(self, path: Path, size: int, advance: Advance) -> File:
        """Add the bytes of a file, which has so many: others are noticed by whoever asks."""
        file = disk_files.pour(path, self._write, advance, self._sha256.update)
        self._size += size
        return file


@dataclass
class _Layers:
    """Puts files into layers, one after the other.

    Attributes:
        scratch: a folder with the files that were fetched.
        files: those of all layers so far.
        blobs: the layers so far.
    """

    content: Content
    place: _Hashing | _Writing
    scratch: str
    advance: Advance

    def __post_init__(self) -> None:
        self.files: list[File] = []
        self.blobs: list[Blob] = []

    def fetch(self, pointers: tuple[Pointer, ...]) -> None:
        """Bring what is not a file on this machine."""
        lacking = [pointer for pointer in pointers if self.content.place(pointer) is None]
        if lacking:
            self.content.bring(lacking, Path(self.scratch))

    def add(self, pointers: tuple[Pointer, ...]) -> None:
        """Add a layer with these files; again, once what is bad here was fetched."""
        while (bad := self._bad(pointers)) is not None:
            self.content.bring([bad], Path(self.scratch))
        for pointer in pointers:
            Path(self.scratch, pointer.path).unlink(missing_ok=True)

    def _bad(self, pointers: tuple[Pointer, ...]) -> Pointer | None:
        """Add a layer; the file of which this machine has other bytes, and then no layer."""
        try:
            with self.place.layer() as layer:
                files = [self._put(layer, pointer) for pointer in pointers]
                layer.put(tar.END)
        except _Bad as bad:
            return bad.pointer
        self.files += files
        self.blobs.append(layer.blob)
        return None

    def add_own(self, name: str, data: bytes) -> None:
        """Add a layer with a small file of ours."""
        with self.place.layer() as layer:
            layer.put(image.own_layer(name, data))
        self.blobs.append(layer.blob)

    def _put(self, layer: _Layer, pointer: Pointer) -> File:
        fetched = Path(self.scratch, pointer.path)
        place = None if fetched.exists() else self.content.place(pointer)
        path, executable = place or fetched, pointer.executable
        try:
            size = path.stat().st_size
            layer.put(tar.head(image.FOLDER + pointer.path, size, executable=executable))
            file = layer.add(path, size, self.advance)
            is_good = file.size == size and pointer.matches(path, file.md5)
        except (disk_files.Unreadable, FileNotFoundError):
            is_good = False
        if not is_good and place is None:
            raise Corrupt(f"{path} changes while it is read", "try again")
        if not is_good:
            raise _Bad(pointer)
        layer.put(tar.padding(size))
        return replace(file, path=pointer.path, executable=executable)


@dataclass
class _Bad(Exception):
    """This machine has other bytes for a file, or cannot read them."""

    pointer: Pointer


def _path(pointer: Pointer) -> str:
    return pointer.path


def _create(path: Path, data: bytes) -> None:
    with disk_files.create(path) as file:
        file.write(data)
