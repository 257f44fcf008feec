"""Artifacts in a registry of images: each is one blob, and has a tag of its own.

A registry knows blobs by their SHA-256, and removes those that no manifest names. So there is a
manifest for each, which names the one blob, and a tag for each manifest (image-spec 1.1,
"Guidelines for Artifact Usage").
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tagship.disk import files
from tagship.errors import InvalidName, Refused
from tagship.progress import Advance
from tagship.stores import stream
from tagship.stores.registry import Registry
from tagship.stores.registry_address import Address
from tagship.stores.stream import Allowance
from tagship.text import json_reader, redact

SCHEME = "docker://"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"  # image-spec 1.1, "Guidance for an Empty Descriptor"
KIND = "application/vnd.tagship.{}.v1"
OBJECT = "object"
NOTHING = b"{}"
LARGEST = 1 << 16  # bytes of a manifest of ours
_DIGEST = re.compile("sha256:[0-9a-f]{64}")


class Blob(NamedTuple):
    """What a manifest names."""

    digest: str
    size: int


@dataclass(frozen=True)
class Artifacts:
    """A repository in a registry, whose artifacts are tagship's.

    Attributes:
        registry: reaches it.
    """

    registry: Registry

    @property
    def title(self) -> str:
        """Its address."""
        return f"{SCHEME}{self.registry.address}"

    def manifest(self, tag: str, seen: str = "") -> bytes | None:
        """As ``Registry.manifest``."""
        return self.registry.manifest(tag, MANIFEST, LARGEST, seen)

    def find(self, tag: str) -> Blob | None:
        """The blob that has a tag; None where none has.

        Raises:
            Refused, Unavailable, Corrupt: the registry does not give it, or it is none of ours.
        """
        data = self.manifest(tag)
        return self.blob(data) if data is not None else None

    def blob(self, data: bytes) -> Blob:
        """The one blob that a manifest names.

        Raises:
            Refused: it is no manifest of ours.
        """
        try:
            value = json_reader.parse(data)
            (layer,) = value["layers"]
            digest, size = layer["digest"], layer["size"]
            if not (_DIGEST.fullmatch(digest) and isinstance(size, int) and size >= 0):
                raise ValueError(digest)
        except (ValueError, LookupError, TypeError):
            what = f"{self.title} has an image where tagship keeps versions"
            raise Refused(what, "give it a repository of its own: docker://HOST/NAME") from None
        return Blob(digest, size)

    def blocks(self, tag: str, allowance: Allowance) -> Iterator[bytes]:
        """The bytes of what has a tag; nobody has checked them.

        Raises:
            FileNotFoundError: there is none.
            OSError: it is longer than its manifest says.
            TooLong, Stopped: as for ``Allowance.take``.
            Refused, Unavailable, Corrupt: as for ``find``.
        """
        allowance.take(0)
        blob = self.find(tag)
        if blob is None:
            raise FileNotFoundError(tag)
        stream.check(blob.size, allowance)
        yield from allowance.limit(self.registry.blocks(*blob))

    def put(
        self, tag: str, kind: str, source: Path, advance: Advance, *, anew: bool = False
    ) -> None:
        """Take a file: nobody sees it before its manifest has the tag.

        What is there stays, unless it is written ``anew``.

        Raises:
            Refused, Unavailable, Corrupt: the registry does not take it.
        """
        if not anew and self.find(tag) is not None:
            advance(source.stat().st_size)
            return
        file = files.digest(source)
        blob = Blob(f"sha256:{file.sha256}", file.size)
        if self.registry.has(*blob):
            advance(file.size)
        else:
            self.registry.send(blob.digest, source, advance)
        self.send(NOTHING, "empty")
        self.name(tag, described(blob, kind))

    def send(self, data: bytes, kind: str) -> bytes:
        """Send a small blob; the manifest that names it, which is not sent."""
        blob = Blob(sha256(data), len(data))
        if not self.registry.has(*blob):
            with tempfile.NamedTemporaryFile(prefix="tagship-") as file:
                file.write(data)
                file.flush()
                self.registry.send(blob.digest, Path(file.name), _nobody)
        return described(blob, kind)

    def name(self, tag: str, manifest: bytes) -> None:
        """Give a manifest a tag; what it names must be there, ``NOTHING`` too."""
        self.registry.send_manifest(tag, MANIFEST, manifest, sha256(manifest))


def at(address: str) -> Artifacts:
    """The artifacts at ``docker://HOST/NAME``; no registry is asked.

    Raises:
        InvalidName, Refused: it is no such address.
        Corrupt, Unavailable: the login for it cannot be read.
    """
    return Artifacts(Registry.at(parsed(address)))


def parsed(address: str) -> Address:
    """The repository that ``docker://HOST/NAME`` names.

    Raises:
        InvalidName, Refused: it is no such address.
    """
    if redact.text(address) != address:
        raise Refused(
            f"{redact.text(address)} should have no login in it", "podman login HOST does that"
        )
    try:
        place = Address.parse(address.removeprefix(SCHEME))
    except InvalidName:
        hint = f"give {SCHEME}HOST/NAME in lower case: {SCHEME}registry.example.com/models/churn"
        raise InvalidName(f"{address!r} is no repository in a registry", hint) from None
    if place.tag or place.digest:
        raise Refused(f"{address} names an image", f"without it: {SCHEME}{place.bare}")
    return place


def of_object(digest: str) -> str:
    """The tag of an object of DVC, by its digest."""
    return f"md5-{digest}"


def described(blob: Blob, kind: str, annotations: dict[str, str] | None = None) -> bytes:
    """The manifest of an artifact: equal ones have equal bytes."""
    empty = {"mediaType": EMPTY, "digest": sha256(NOTHING), "size": len(NOTHING)}
    layer = {"mediaType": KIND.format(kind), "digest": blob.digest, "size": blob.size}
    value: dict[str, Any] = {
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": KIND.format(kind),
        "config": empty, "layers": [layer],
    }  # fmt: skip
    if annotations:
        value["annotations"] = annotations
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def sha256(data: bytes) -> str:
    """A digest, as registries have it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _nobody(_: int) -> None:
    """A few kilobytes are not counted."""
