"""A carrier in a registry of images: each thing is an artifact of one blob, under a tag of its own.

A registry knows blobs by their SHA-256, and removes those that no manifest names. So an object's
tag has its MD5 (``md5-<hex>``), a capsule's its model and SHA-256, an index's its model; the
manifest names the one blob.

A registry writes no tag on a condition. Who writes an index holds a lock, which is a tag too:
Fischer's algorithm (Lamport, A Fast Mutual Exclusion Algorithm, 1987). A writer that finds the
lock free writes its name there, waits, and holds the lock if its name is still there. Whoever
found it free as well has written by then: one whose own write took longer than the wait gives up.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tagship.carry import carrier
from tagship.carry.carrier import LARGEST_INDEX, Changed, Index, Name, Object
from tagship.disk import files
from tagship.errors import InvalidName, Refused, TagshipError, Unavailable
from tagship.progress import Advance
from tagship.registry import refs
from tagship.stores import stream
from tagship.stores.registry import Registry, Unmodified
from tagship.stores.stream import Allowance, TooLong
from tagship.text import json_reader

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"  # image-spec 1.1, "Guidance for an Empty Descriptor"
KIND = "application/vnd.tagship.{}.v1"
NOTHING = b"{}"
LARGEST = 1 << 16  # bytes of a manifest of ours
HOLDER = "tagship.holder"  # the annotation of a lock: who holds it; empty for nobody
SETTLE = 2.0  # seconds that a writer waits before it looks whether the lock is its own
STALE = 60.0  # seconds after which a lock that did not change is one of a process that ended
AGAIN = 0.5  # seconds between two looks at a lock that somebody holds
_PLAIN = re.compile("[A-Za-z0-9_-]{1,40}")
_DIGEST = re.compile("sha256:[0-9a-f]{64}")


class Blob(NamedTuple):
    """What a manifest names."""

    digest: str
    size: int


@dataclass(frozen=True)
class Oci:
    """A repository in a registry.

    Attributes:
        registry: reaches it.
    """

    registry: Registry

    @property
    def title(self) -> str:
        """As ``Carrier``."""
        return f"docker://{self.registry.address}"

    def index(self, model: str, seen: str = "") -> Index | None:
        """As ``Carrier``; the mark is the digest of the manifest. A new one is a second request."""
        with self._asked("read"):
            try:
                data = self.registry.manifest(_of_index(model), MANIFEST, LARGEST, seen)
            except Unmodified:
                return None
            if data is None:
                return Index()
            mark = _sha256(data)
            if mark == seen:
                return None
            blob = self._blob(data)
            if blob.size > LARGEST_INDEX:
                raise TooLong
            return Index(b"".join(self.registry.blocks(blob.digest, blob.size)), mark)

    def write_index(self, model: str, data: bytes, before: str) -> None:
        """As ``Carrier``: one writer at a time, who looks again."""
        tag = _of_index(model)
        if len(data) > LARGEST_INDEX:
            raise TooLong
        with self._asked("written"):
            self._sent(NOTHING, "empty")
            manifest = self._sent(data, "index")
            with self._locked(model) as since:
                now = self.registry.manifest(tag, MANIFEST, LARGEST)
                if (_sha256(now) if now else "") != before or time.monotonic() - since > STALE / 2:
                    raise Changed
                self._name(tag, manifest)
            if self.registry.manifest(tag, MANIFEST, LARGEST) != manifest:
                raise Changed

    def size(self, name: Name) -> int | None:
        """As ``Carrier``."""
        with self._asked("read"):
            blob = self._find(name)
        return blob.size if blob else None

    def blocks(self, name: Name, allowance: Allowance) -> Iterator[bytes]:
        """As ``Carrier``."""
        allowance.take(0)
        with self._asked("read"):
            blob = self._find(name)
            if blob is None:
                raise FileNotFoundError(name.digest)
            stream.check(blob.size, allowance)
            yield from allowance.limit(self.registry.blocks(blob.digest, blob.size))

    def put(self, name: Name, source: Path, advance: Advance) -> None:
        """As ``Carrier``: nobody sees the blob before its manifest has the tag."""
        with self._asked("written"):
            if self._find(name) is not None:
                advance(source.stat().st_size)
                return
            file = files.digest(source)
            digest = f"sha256:{file.sha256}"
            if self.registry.has(digest, file.size):
                advance(file.size)
            else:
                self.registry.send(digest, source, advance)
            self._sent(NOTHING, "empty")
            kind = "object" if isinstance(name, Object) else "capsule"
            self._name(_tag(name), self._manifest(Blob(digest, file.size), kind))

    # --- manifests

    def _find(self, name: Name) -> Blob | None:
        """The blob that has a name; None where nothing has."""
        data = self.registry.manifest(_tag(name), MANIFEST, LARGEST)
        return self._blob(data) if data is not None else None

    def _blob(self, data: bytes) -> Blob:
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

    def _sent(self, data: bytes, kind: str) -> bytes:
        """Send a small blob; the manifest that names it."""
        blob = Blob(_sha256(data), len(data))
        if not self.registry.has(*blob):
            with tempfile.NamedTemporaryFile(prefix="tagship-") as file:
                file.write(data)
                file.flush()
                self.registry.send(blob.digest, Path(file.name), _nobody)
        return self._manifest(blob, kind)

    def _manifest(self, blob: Blob, kind: str, **annotations: str) -> bytes:
        empty = {"mediaType": EMPTY, "digest": _sha256(NOTHING), "size": len(NOTHING)}
        layer = {"mediaType": KIND.format(kind), "digest": blob.digest, "size": blob.size}
        value: dict[str, Any] = {
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": KIND.format(kind),
            "config": empty, "layers": [layer],
        }  # fmt: skip
        if annotations:
            value["annotations"] = annotations
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    def _name(self, tag: str, manifest: bytes) -> None:
        """Give a manifest a tag; what it names must be there, ``NOTHING`` too."""
        self.registry.send_manifest(tag, MANIFEST, manifest, _sha256(manifest))

    # --- the lock

    @contextlib.contextmanager
    def _locked(self, model: str) -> Iterator[float]:
        """Hold the lock of a model; since when, by ``time.monotonic``."""
        tag, own = _of_lock(model), os.urandom(8).hex()
        while not self._took(tag, own):
            pass
        try:
            yield time.monotonic()
        finally:
            if self._holder(tag) == own:  # else it took too long, and another one has it by now
                self._name(tag, self._lock(""))

    def _took(self, tag: str, own: str) -> bool:
        """Take a lock once it is free; whether it is held then."""
        asked = self._free(tag, own)
        self._name(tag, self._lock(own))
        if time.monotonic() - asked > SETTLE:  # somebody else may hold it by now
            return False
        time.sleep(SETTLE)
        return self._holder(tag) == own

    def _free(self, tag: str, own: str) -> float:
        """Wait until a lock is free, or was left by a process that ended; when that was asked."""
        before, since = "", time.monotonic()
        while True:
            asked = time.monotonic()
            now = self._holder(tag)
            if now in ("", own) or (now == before and asked - since > STALE):
                return asked
            if now != before:
                before, since = now, asked
            time.sleep(AGAIN)

    def _holder(self, tag: str) -> str:
        data = self.registry.manifest(tag, MANIFEST, LARGEST)
        if data is None:
            return ""
        try:
            return str(json_reader.parse(data)["annotations"][HOLDER])
        except (ValueError, LookupError, TypeError):
            return ""

    def _lock(self, holder: str) -> bytes:
        blob = Blob(_sha256(NOTHING), len(NOTHING))
        return self._manifest(blob, "lock", **{HOLDER: holder})

    @contextlib.contextmanager
    def _asked(self, done: str) -> Iterator[None]:
        """Say which place did not do its part.

        Raises:
            Unavailable: it did not.
        """
        try:
            yield
        except InvalidName:
            raise
        except TagshipError as error:
            what = f"{self.title} cannot be {done}: {error.message}"
            raise Unavailable(what, error.hint) from None
        except FileNotFoundError:
            raise
        except OSError as error:
            what = f"{self.title} cannot be {done}: {error.strerror or error}"
            raise Unavailable(what, "ask who runs the registry") from None


def _tag(name: Name) -> str:
    """The tag of an object or a capsule.

    Raises:
        InvalidName: it is no name.
    """
    carrier.check(name)
    if isinstance(name, Object):
        return f"md5-{name.digest}"
    return f"capsule-{_label(name.model)}-{name.digest}"


def _of_index(model: str) -> str:
    return f"index-{_label(refs.check_model(model))}"


def _of_lock(model: str) -> str:
    return f"lock-{_label(model)}"


def _label(model: str) -> str:
    """A model's name in a tag: itself, or a digest of one that is long or has other letters."""
    if _PLAIN.fullmatch(model):
        return model
    return f".{hashlib.sha256(model.encode()).hexdigest()[:32]}"


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _nobody(_: int) -> None:
    """A few kilobytes are not counted."""
