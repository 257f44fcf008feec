"""A carrier in a registry of images: each thing is an artifact of one blob, under a tag of its own.

An object's tag has its MD5 (``md5-<hex>``), a capsule's its model and SHA-256, an index's its
model.

A registry writes no tag on a condition. Who writes an index holds a lock, which is a tag too:
Fischer's algorithm (Lamport, A Fast Mutual Exclusion Algorithm, 1987). A writer that finds the
lock free writes its name there, waits, and holds the lock if its name is still there. Whoever
found it free as well has written by then: one whose own write took longer than the wait gives up.
"""

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tagship.carry import carrier
from tagship.carry.carrier import LARGEST_INDEX, Changed, Index, Name, Object
from tagship.errors import InvalidName, TagshipError, Unavailable
from tagship.progress import Advance
from tagship.registry import refs
from tagship.stores import artifacts
from tagship.stores.artifacts import NOTHING, Artifacts, Blob, sha256
from tagship.stores.registry import Unmodified
from tagship.stores.stream import Allowance, TooLong
from tagship.text import json_reader

HOLDER = "tagship.holder"  # the annotation of a lock: who holds it; empty for nobody
SETTLE = 2.0  # seconds that a writer waits before it looks whether the lock is its own
STALE = 60.0  # seconds after which a lock that did not change is one of a process that ended
AGAIN = 0.5  # seconds between two looks at a lock that somebody holds
_PLAIN = re.compile("[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True)
class Oci:
    """A repository in a registry.

    Attributes:
        artifacts: in it.
    """

    artifacts: Artifacts

    @property
    def title(self) -> str:
        """As ``Carrier``."""
        return self.artifacts.title

    def index(self, model: str, seen: str = "") -> Index | None:
        """As ``Carrier``; the mark is the digest of the manifest. A new one is a second request."""
        with self._asked("read"):
            try:
                data = self.artifacts.manifest(_of_index(model), seen)
            except Unmodified:
                return None
            if data is None:
                return Index()
            mark = sha256(data)
            if mark == seen:
                return None
            blob = self.artifacts.blob(data)
            if blob.size > LARGEST_INDEX:
                raise TooLong
            return Index(b"".join(self.artifacts.registry.blocks(*blob)), mark)

    def write_index(self, model: str, data: bytes, before: str) -> None:
        """As ``Carrier``: one writer at a time, who looks again."""
        tag = _of_index(model)
        if len(data) > LARGEST_INDEX:
            raise TooLong
        with self._asked("written"):
            self.artifacts.send(NOTHING, "empty")
            manifest = self.artifacts.send(data, "index")
            with self._locked(model) as since:
                now = self.artifacts.manifest(tag)
                if (sha256(now) if now else "") != before or time.monotonic() - since > STALE / 2:
                    raise Changed
                self.artifacts.name(tag, manifest)
            if self.artifacts.manifest(tag) != manifest:
                raise Changed

    def size(self, name: Name) -> int | None:
        """As ``Carrier``."""
        with self._asked("read"):
            blob = self.artifacts.find(_tag(name))
        return blob.size if blob else None

    def blocks(self, name: Name, allowance: Allowance) -> Iterator[bytes]:
        """As ``Carrier``."""
        with self._asked("read"):
            yield from self.artifacts.blocks(_tag(name), allowance)

    def put(self, name: Name, source: Path, advance: Advance, *, anew: bool = False) -> None:
        """As ``Carrier``."""
        kind = artifacts.OBJECT if isinstance(name, Object) else "capsule"
        with self._asked("written"):
            self.artifacts.put(_tag(name), kind, source, advance, anew=anew)

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
                self.artifacts.name(tag, _lock(""))

    def _took(self, tag: str, own: str) -> bool:
        """Take a lock once it is free; whether it is held then."""
        asked = self._free(tag, own)
        self.artifacts.name(tag, _lock(own))
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
        data = self.artifacts.manifest(tag)
        if data is None:
            return ""
        try:
            return str(json_reader.parse(data)["annotations"][HOLDER])
        except (ValueError, LookupError, TypeError):
            return ""

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


def _lock(holder: str) -> bytes:
    """The manifest of a lock."""
    return artifacts.described(Blob(sha256(NOTHING), len(NOTHING)), "lock", {HOLDER: holder})


def _tag(name: Name) -> str:
    """The tag of an object or a capsule.

    Raises:
        InvalidName: it is no name.
    """
    carrier.check(name)
    if isinstance(name, Object):
        return artifacts.of_object(name.digest)
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
