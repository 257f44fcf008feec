"""An image, held to its tag: every byte of it follows from the tag, or it is refused.

What the image says of its files (in ``metadata.json``) is compared with what the tag promises, and
with the bytes. From there its configuration and its manifest are made anew, and must be the same.
The bytes of the version are needed from nowhere else.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tagship.disk import tar
from tagship.disk.files import METADATA, SIGNATURE, File, Problem
from tagship.dvc.pointers import Pointer
from tagship.errors import Corrupt, TagshipError
from tagship.export import image, layer_check, oci
from tagship.export.image import Blob, Manifest
from tagship.export.layer_check import Expected
from tagship.export.oci import Versions
from tagship.host import metadata
from tagship.host.metadata import Metadata
from tagship.inspect import find
from tagship.inspect.verify import Verification
from tagship.progress import Advance, Progress, Tell, nobody, silent
from tagship.registry.refs import Action, Ref, TagName, Wanted
from tagship.signing.statement import Signature
from tagship.workspace.host import Host
from tagship.workspace.source import Source

LARGEST = 64 << 20  # bytes of metadata.json, of a model of 200,000 files
MANIFEST, CONFIG = "manifest", "configuration"  # what a problem is in


class Place(Protocol):
    """Where an image is. ``str()`` gives its name."""

    @property
    def digest(self) -> str | None:
        """Of the manifest; None if the place has one image, and any will do."""

    @property
    def again(self) -> str:
        """The hint where it is damaged: what makes it anew."""

    def manifest(self) -> bytes:
        """The manifest; nobody has checked it."""

    def blocks(self, blob: Blob) -> Iterator[bytes]:
        """The bytes of a blob, never more than it should have; nobody has checked them.

        Raises:
            OSError: they cannot be read.
        """


def verify(
    source: Source,
    host: Host,
    place: Place,
    progress: Progress = silent,
    tell: Tell = nobody,
) -> Verification:
    """Hold an image to the tag that it names.

    Args:
        source: where the tag is.
        host: for its policy, and its history.
        place: where the image is.
        progress: is called with the bytes read.
        tell: is told which remote is waited for.

    Raises:
        Corrupt: it is no image of a version.
        NotFound, Refused: there is no such version, or its tag does not count here.
        Unavailable: the registry, or the list of files of a folder, cannot be had.
    """
    data = place.manifest()
    manifest, config, ref = _opened(place, data)
    version = oci.of(source, host, find.find(source, ref), progress, tell)
    name = str(place) if place.digest else f"{place}@{image.digest(data)}"
    pointers = version.pointers
    check = _Check(place, version, manifest, pointers)
    total = sum(layer.size for layer in manifest.layers)
    with progress("verifying the image", total) as advance:
        described, problems = check.run(data, config, advance)
    files = described.files if described else ()
    return Verification(
        ref.model, str(version.release.version), name, len(pointers),
        sum(file.size for file in files), tuple(problems),
    )  # fmt: skip


def _opened(place: Place, data: bytes) -> tuple[Manifest, bytes, Ref]:
    """The manifest, the configuration, and the version that its label names."""
    try:
        manifest = Manifest.of(data, place.digest)
        if manifest.config.size > image.LARGEST:
            raise ValueError("its configuration is too long")
        config = layer_check.whole(manifest.config, place.blocks(manifest.config))
        if config is None:
            raise ValueError("its configuration has other bytes than its digest says")
        label = image.labels_of(config).get(image.TAG, "")
        if (tag := TagName.parse(label)) is None or tag.action is not Action.REGISTER:
            raise ValueError(f"it has no label {image.TAG} with the tag of a version")
    except (ValueError, OSError) as error:
        raise Corrupt(f"{place} is no image of a version: {_said(error)}", place.again) from None
    return manifest, config, Ref(tag.model, Wanted(exact=tag.version))


@dataclass(frozen=True)
class _Check:
    place: Place
    version: Versions
    manifest: Manifest
    pointers: Sequence[Pointer]

    def run(
        self, data: bytes, config: bytes, advance: Advance
    ) -> tuple[Metadata | None, list[Problem]]:
        """What the image says of the version, and what is wrong with it."""
        runs, own = list(image.layered(self.pointers)), self._own_names()
        if problems := self._layers(len(runs) + len(own)):
            return None, problems
        layers = self.manifest.layers
        texts = self._own_files(own, layers[len(runs) :])
        if isinstance(texts, Problem):
            return None, [texts]
        try:
            described = metadata.of_bytes(texts[METADATA])
        except ValueError as error:
            return None, [Problem(METADATA, f"is not valid: {error}")]
        if problems := list(self._promised(described)) or list(self._too_long(described.files)):
            return described, problems
        known = {file.path: file for file in described.files}
        for run, layer in zip(runs, layers, strict=False):
            expected = [Expected(known[pointer.path], pointer) for pointer in run]
            problems += self._layer(layer, expected, advance)
        return described, problems or self._from_tag(described, texts, (data, config))

    def _own_names(self) -> list[str]:
        """The files of ours that the image of this tag has."""
        is_signed = Signature.of_tag(self.version.release.tag.trailers) is not None
        return [METADATA, SIGNATURE] if is_signed else [METADATA]

    def _layers(self, count: int) -> list[Problem]:
        """What is wrong with the number or the kind of the layers."""
        layers = self.manifest.layers
        if len(layers) != count:
            return [Problem(MANIFEST, f"has {len(layers)} layers instead of {count}")]
        what = self.manifest.other_layer
        return [Problem(MANIFEST, what)] if what else []

    def _own_files(
        self, names: Sequence[str], layers: Sequence[Blob]
    ) -> dict[str, bytes] | Problem:
        """The small files of ours, from their layers."""
        texts = {}
        for name, layer in zip(names, layers, strict=True):
            if layer.size > LARGEST:
                return Problem(name, f"has {layer.size} bytes: too many")
            try:
                data = layer_check.whole(layer, self.place.blocks(layer))
            except OSError as error:
                return Problem(name, f"cannot be read: {_said(error)}")
            if data is None:
                return Problem(name, layer_check.OTHER_BYTES)
            text = layer_check.body(data, name)
            if text is None:
                return Problem(name, "is not alone in its layer, or not as its tag gives it")
            texts[name] = text
        return texts

    def _promised(self, described: Metadata) -> Iterator[Problem]:
        """Where the image says something else of its files than the tag does."""
        known = {file.path: file for file in described.files}
        if len(known) != len(described.files):
            yield Problem(METADATA, "names a file twice")
        for pointer in self.pointers:
            file = known.pop(pointer.path, None)
            if file is None:
                yield Problem(METADATA, f"does not name {pointer.path}")
            elif differs := _differs(file, pointer):
                yield Problem(METADATA, f"names another {differs} for {pointer.path} than the tag")
        for path in known:
            yield Problem(METADATA, f"names {path}, which the tag does not have")

    def _too_long(self, files: Sequence[File]) -> Iterator[Problem]:
        """Layers that are not as long as their files make them: before a byte of them is read."""
        ordered = sorted(files, key=lambda file: file.path)
        for run, layer in zip(image.layered(ordered), self.manifest.layers, strict=False):
            size = sum(tar.length(image.FOLDER + file.path, file.size) for file in run)
            if layer.size != size + len(tar.END):
                what = f"has a layer of {layer.size} bytes instead of {size + len(tar.END)}"
                yield Problem(run[0].path, what)

    def _layer(self, layer: Blob, expected: list[Expected], advance: Advance) -> list[Problem]:
        try:
            return layer_check.check(layer, self.place.blocks(layer), expected, advance)
        except OSError as error:
            return [Problem(expected[0].file.path, f"cannot be read: {_said(error)}")]

    def _from_tag(
        self, described: Metadata, texts: dict[str, bytes], found: tuple[bytes, bytes]
    ) -> list[Problem]:
        """What is not as the tag and these files give it."""
        try:
            expected = self.version.describe(described.files)
        except TagshipError as error:
            return [Problem(SIGNATURE, f"is of a version that may not go live: {error.message}")]
        given = image.own_files(expected)
        made = self.version.image(expected, self.manifest.layers)
        pairs = itertools.chain(
            ((name, text, given[name]) for name, text in texts.items()),
            ((CONFIG, found[1], made.config), (MANIFEST, found[0], made.manifest)),
        )
        return [
            Problem(name, "is not as its tag gives it")
            for name, here, there in pairs
            if here != there
        ]


def _differs(file: File, pointer: Pointer) -> str:
    """What of a file is not as its pointer says; empty if all is."""
    if pointer.md5 and pointer.md5 != file.md5:
        return "MD5"
    if pointer.size is not None and pointer.size != file.size:
        return "size"
    return "executable bit" if pointer.executable != file.executable else ""


def _said(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "a part of it is missing"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
