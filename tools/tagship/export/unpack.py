"""The files of an image, in a new folder: all are compared before the folder has its name.

Git and DVC are not asked. What is trusted is the digest of the image, and the signature of the
files where this host asks for one. ``image_check`` holds an image to its tag.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tagship.disk import files as disk_files
from tagship.disk import tar
from tagship.disk.files import METADATA, SIGNATURE, File
from tagship.dvc.pointers import Cached
from tagship.errors import Corrupt, NotTrusted
from tagship.export import image, image_check, layer_check
from tagship.export import target as target_folder
from tagship.export.image import Blob, Manifest
from tagship.export.image_check import Place
from tagship.export.layer_check import Expected
from tagship.host import metadata
from tagship.host.metadata import Metadata
from tagship.progress import Advance, Progress, silent
from tagship.signing import policy as signing_policy


@dataclass(frozen=True)
class Unpacked:
    """A version whose files are in a folder.

    Attributes:
        digest: of the image, ``sha256:HEX``.
        directory: has the files, and metadata.json.
        files: of the version, with sizes in bytes and digests.
    """

    model: str
    version: str
    tag: str
    commit: str
    digest: str
    directory: Path
    files: tuple[File, ...]


def unpack(place: Place, target: Path, progress: Progress = silent) -> Unpacked:
    """Write the files of an image into a new folder.

    An init container may run again: a folder that has them already, intact, is left as it is.

    Args:
        place: where the image is.
        target: a folder that does not exist, is empty, or has these files.
        progress: is called with the bytes that arrived.

    Raises:
        NotFound: there is no such image.
        NotTrusted: this host asks for a signature that the image does not have.
        Corrupt: it has other bytes than its digest says, or is not the image of a version.
        Refused: ``target`` may not be written.
        Unavailable: it cannot be written; or the registry does not answer. Nothing is left of it.
    """
    folder = Path(os.path.realpath(target))
    policy = signing_policy.read(folder)
    if policy.require_signed:
        raise NotTrusted(
            f"this host asks for signed tags, and an image has no tag: {place}",
            f"set model_keys in {signing_policy.FILE} instead: the files of an image are signed",
        )
    digest, manifest = _manifest(place)
    described, texts = _described(place, manifest)
    policy.check_files(described.statement, described.signature)
    if not _has(folder, described, texts[METADATA]):
        _write(_Unpacking(place, manifest, described, texts), target, progress)
    return Unpacked(
        described.model, described.version, described.tag.name, described.commit.id, digest,
        folder, described.files,
    )  # fmt: skip


def _has(folder: Path, described: Metadata, text: bytes) -> bool:
    """Whether a folder has the files of that version, and no others; each is hashed."""
    try:
        is_of_it = (folder / METADATA).read_bytes() == text
    except OSError:
        return False
    return is_of_it and not metadata.verify(folder, described)


def _write(unpacking: "_Unpacking", target: Path, progress: Progress) -> None:
    """Write the files; the folder appears whole, or not at all."""
    folder = target_folder.check(target, before="tagship unpack IMAGE ")
    total = sum(layer.size for layer in unpacking.manifest.layers)
    try:
        with target_folder.new(folder) as new, progress("unpacking the image", total) as advance:
            unpacking.run(new, advance)
    except OSError as error:
        raise target_folder.not_written(target, folder, error, "unpack again") from None


def _manifest(place: Place) -> tuple[str, Manifest]:
    """The manifest, and its digest."""
    data = place.manifest()
    try:
        manifest = Manifest.of(data, place.digest)
    except ValueError as error:
        _refuse(place, str(error))
    if what := manifest.other_layer:
        _refuse(place, f"it {what}")
    return image.digest(data), manifest


def _described(place: Place, manifest: Manifest) -> tuple[Metadata, dict[str, bytes]]:
    """What the image says of its version, and the files of ours in it.

    They are its last layers: metadata.json, and model.sig behind it where there is one.
    """
    texts = _own(place, manifest, [METADATA]) or _own(place, manifest, [METADATA, SIGNATURE])
    if not texts:
        _refuse(place, f"it has no {METADATA}")
    return _parsed(place, texts), texts


def _own(place: Place, manifest: Manifest, names: Sequence[str]) -> dict[str, bytes]:
    """The files of these names, where they are the last layers; else nothing."""
    layers = manifest.layers[-len(names) :]
    if len(layers) < len(names) or any(each.size > image_check.LARGEST for each in layers):
        return {}
    texts = {}
    for name, layer in zip(names, layers, strict=True):
        data = layer_check.whole(layer, _blocks(place, layer))
        if data is None:
            _refuse(place, f"{name} {layer_check.OTHER_BYTES}")
        if (text := layer_check.body(data, name)) is None:
            return {}
        texts[name] = text
    return texts


def _parsed(place: Place, texts: dict[str, bytes]) -> Metadata:
    try:
        described = metadata.of_bytes(texts[METADATA])
    except ValueError as error:
        _refuse(place, f"its {METADATA} is not valid: {error}")
    paths = [file.path for file in described.files]
    if paths != sorted(set(paths)):
        _refuse(place, f"its {METADATA} names a file twice, or files in another order")
    own = image.own_files(described)  # metadata.json of a later tagship may have more keys
    if own.get(SIGNATURE) != texts.get(SIGNATURE):
        _refuse(place, f"{SIGNATURE} is not the signature of this version")
    return described


@dataclass(frozen=True)
class _Unpacking:
    """An image whose files are to be written; ``texts`` are those of ours, by name."""

    place: Place
    manifest: Manifest
    described: Metadata
    texts: dict[str, bytes]

    def run(self, folder: Path, advance: Advance) -> None:
        """Write all files.

        Raises:
            Corrupt: a layer is not what metadata.json says.
        """
        runs = list(image.layered(self.described.files))
        layers = self.manifest.layers[: -len(self.texts)]
        if len(runs) != len(layers):
            _refuse(self.place, f"it has {len(layers)} layers of files instead of {len(runs)}")
        for run, layer in zip(runs, layers, strict=True):
            self._check_size(run, layer)
            expected = [Expected(file, _pointer(file), folder / file.path) for file in run]
            self._write(expected, layer, advance)
        for name, text in self.texts.items():
            with disk_files.create(folder / name) as file:
                file.write(text)
            (folder / name).chmod(0o444)

    def _check_size(self, files: Sequence[File], layer: Blob) -> None:
        """Check that a layer is as long as its files make it, before a byte of it is read."""
        size = sum(tar.length(image.FOLDER + file.path, file.size) for file in files)
        if layer.size != size + len(tar.END):
            what = f"has a layer of {layer.size} bytes instead of {size + len(tar.END)}"
            _refuse(self.place, f"{files[0].path} {what}")

    def _write(self, files: Sequence[Expected], layer: Blob, advance: Advance) -> None:
        """Write the files of a layer."""
        targets = [(each.target, each.file) for each in files if each.target is not None]
        for target, _ in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
        for problem in layer_check.check(layer, _blocks(self.place, layer), files, advance):
            _refuse(self.place, f"{problem.path} {problem.what}")
        for target, file in targets:
            target.chmod(0o555 if file.executable else 0o444)


def _pointer(file: File) -> Cached:
    return Cached(file.path, file.md5, file.size, file.executable)


def _blocks(place: Place, layer: Blob) -> Iterator[bytes]:
    """The bytes of a layer; what fails there is no fault of this disk."""
    try:
        yield from place.blocks(layer)
    except OSError as error:
        _refuse(place, f"{layer.digest} cannot be read: {error.strerror}")


def _refuse(place: Place, what: str) -> NoReturn:
    raise Corrupt(f"{place} is not unpacked: {what}", place.again)
