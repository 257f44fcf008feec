"""The OCI image of a version: what follows from its tag and its files. Pure.

A version has one image, on any machine: https://github.com/opencontainers/image-spec (1.1).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from tagship.disk import tar
from tagship.disk.files import METADATA, SIGNATURE, File
from tagship.dvc.pointers import Pointer
from tagship.export import facts
from tagship.host.metadata import Metadata
from tagship.registry.artifacts import Artifact
from tagship.signing import statement
from tagship.text import escape, json_reader, redact

FOLDER = "models/"  # of all files: KServe reads nothing else
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
INDEX = "application/vnd.oci.image.index.v1+json"
NAME = "org.opencontainers.image.ref.name"
TAG = "tagship.tag"  # the label with the Git tag
MOST = 100  # layers of files: overlayfs and Docker refuse images with some more than 120
LONGEST = 1000  # characters of a label
LARGEST = 4 << 20  # bytes of a manifest, of a configuration: what registries take
AGAIN = "write a new one: tagship export MODEL@VERSION --format oci -o DIR"
T = TypeVar("T", File, Pointer)
_OF_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")  # distribution-spec


@dataclass(frozen=True)
class Blob:
    """What an image names: its media type, its SHA-256 as ``sha256:HEX``, its bytes."""

    media_type: str
    digest: str
    size: int

    @classmethod
    def of(cls, media_type: str, data: bytes) -> Self:
        """The name of a small blob."""
        return cls(media_type, digest(data), len(data))

    def to_json(self) -> dict[str, Any]:
        """The descriptor."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class Image:
    """An image.

    Attributes:
        model, version, tag, commit: of the version.
        config, manifest: JSON as it is stored.
        layers: in their order.
        files: of the version, with digests and sizes in bytes.
    """

    model: str
    version: str
    tag: str
    commit: str
    config: bytes
    manifest: bytes
    layers: tuple[Blob, ...]
    files: tuple[File, ...]

    @property
    def digest(self) -> str:
        """Of the manifest: the name of the image."""
        return digest(self.manifest)

    @property
    def name(self) -> str:
        """The name that it has in a layout: ``REPOSITORY:TAG``."""
        return f"{repository(self.model)}:{tag(self.version)}"

    @property
    def index(self) -> bytes:
        """``index.json`` of a layout with this image alone."""
        entry = Blob.of(MANIFEST, self.manifest).to_json()
        entry["annotations"] = {NAME: self.name}
        return _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})


def digest(data: bytes) -> str:
    """The digest of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def repository(model: str) -> str:
    """The name of a model as that of an image: lower case, ``/`` for ``:``, ``-`` for the rest.

    Two models can have the same name there: labels have the real one.
    """
    parts = (
        re.sub(r"[^a-z0-9]+", "-", part).strip("-") for part in re.split("[:/]", model.lower())
    )
    return "/".join(part for part in parts if part)


def tag(version: str) -> str:
    """A version as the tag of an image: ``_`` for ``+``, which SemVer does not have.

    A version of more than 128 characters is cut off.
    """
    return version.replace("+", "_")[:128]


def is_tag(text: str) -> bool:
    """Whether a registry takes it as a tag."""
    return _OF_TAG.fullmatch(text) is not None


def layered(files: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """The files of each layer: one, unless there are too many for that."""
    ordered = sorted(files, key=lambda file: file.path)
    many = -(-len(ordered) // MOST)
    for start in range(0, len(ordered), many or 1):
        yield tuple(ordered[start : start + many])


def own_files(described: Metadata) -> dict[str, bytes]:
    """metadata.json of a version that is not deployed, and model.sig where it is signed."""
    text = escape.json(described.to_json())
    texts = {METADATA: text.encode() + b"\n"}
    if described.signature is not None:
        texts[SIGNATURE] = statement.bundle(described.statement, described.signature)
    return texts


def undeployed(described: Metadata) -> Metadata:
    """Without what depends on the machine: deployment, smoke test, framework, tools."""
    files = tuple(sorted(described.files, key=lambda file: file.path))
    tag_info = replace(described.tag, signer="")
    return replace(
        described, tag=tag_info, files=files, framework=None, architecture=None, smoke_test="",
        tools={}, deployment=None,
    )  # fmt: skip


def own_layer(name: str, data: bytes) -> bytes:
    """The layer of a small file."""
    return tar.head(FOLDER + name, len(data)) + data + tar.padding(len(data)) + tar.END


def image(described: Metadata, artifact: Artifact, dvc: str, layers: Iterable[Blob]) -> Image:
    """The image of a version.

    Args:
        described: the version, as ``undeployed`` gives it.
        artifact: as its commit declares it.
        dvc: DVC's digest of the model.
        layers: those of its files, in order, and those of ``own_files``.
    """
    known = tuple(layers)
    config = _json({
        "architecture": "amd64", "os": "linux", "created": described.tag.at,
        "config": {"Labels": labels(described, artifact, dvc)},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in known]},
    })  # fmt: skip
    manifest = _json({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": Blob.of(CONFIG, config).to_json(),
        "layers": [layer.to_json() for layer in known],
    })  # fmt: skip
    return Image(
        described.model, described.version, described.tag.name, described.commit.id, config,
        manifest, known, described.files,
    )  # fmt: skip


def labels(described: Metadata, artifact: Artifact, dvc: str) -> dict[str, str]:
    """What an image says of its version: redacted, without control characters, cut off."""
    prefix = "org.opencontainers.image"
    values = {
        TAG: described.tag.name,
        "tagship.tag.object": described.tag.object,
        "tagship.commit": described.commit.id,
        "tagship.model": described.model,
        "tagship.version": described.version,
        "tagship.digest": f"sha256:{described.statement.digest}",
        "tagship.dvc": dvc,
        f"{prefix}.title": described.model,
        f"{prefix}.version": described.version,
        f"{prefix}.revision": described.commit.id,
        f"{prefix}.authors": described.tag.tagger,
        f"{prefix}.description": artifact.description,
        f"{prefix}.licenses": facts.license_name(artifact) or "",
    }
    return {name: plain for name, value in values.items() if (plain := label(value))}


def label(text: str) -> str:
    """A text as a label: one line, without secrets, not too long."""
    return escape.line(redact.text(text))[:LONGEST]


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Manifest:
    """What the manifest of an image names, read from its bytes."""

    config: Blob
    layers: tuple[Blob, ...]

    @property
    def other_layer(self) -> str:
        """What is said of a layer that is no plain tar; empty if all are."""
        others = [layer.media_type for layer in self.layers if layer.media_type != LAYER]
        return f"has a layer of another kind than a plain tar: {others[0][:100]}" if others else ""

    @classmethod
    def of(cls, data: bytes, name: str | None) -> Self:
        """Read the manifest of an image that is called by a digest, or by none.

        Raises:
            ValueError: it has another digest, or is not one of an image.
        """
        if name not in (None, digest(data)):
            raise ValueError("its manifest has other bytes than its digest says")
        return cls.parse(data)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a manifest.

        Raises:
            ValueError: it is not one of an image.
        """
        value = _object(json_reader.parse(data))
        if value.get("mediaType", MANIFEST) != MANIFEST:
            raise ValueError(f"it is of the type {_shown(value['mediaType'])}")
        layers = value.get("layers")
        if not isinstance(layers, list):
            raise ValueError("it names no layers")
        return cls(blob_of(value.get("config")), tuple(blob_of(layer) for layer in layers))


def blob_of(value: Any) -> Blob:
    """A descriptor, from JSON.

    Raises:
        ValueError: it is none.
    """
    entry = _object(value)
    media_type, name, size = (entry.get(key) for key in ("mediaType", "digest", "size"))
    if not isinstance(media_type, str) or not isinstance(name, str) or not is_digest(name):
        raise ValueError("it names something without a SHA-256")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"it names {name} without a size")
    return Blob(media_type, name, size)


def is_digest(text: str) -> bool:
    """Whether a text is ``sha256:HEX``."""
    return re.fullmatch(r"sha256:[0-9a-f]{64}", text) is not None


def labels_of(config: bytes) -> dict[str, str]:
    """The labels in a configuration; those that are texts.

    Raises:
        ValueError: it is not one of an image.
    """
    value = _object(_object(json_reader.parse(config)).get("config", {})).get("Labels") or {}
    return {key: text for key, text in _object(value).items() if isinstance(text, str)}


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return value


def _shown(value: Any) -> str:
    return escape.line(str(value))[:100]
