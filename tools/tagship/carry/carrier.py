"""A place that carries versions to hosts which ask no Git server: what every such place can do.

It has three kinds of things: objects (bytes of models, by the digests that DVC gives them),
capsules (``capsule``), and one index for each model (``index``). Objects and capsules are named by
what is in them, so they never change, and are written again only where they were damaged; the index
of a model grows, and nothing else there changes. Whoever reads trusts none of it: bytes are
compared with their digest, what a tag says with its signature.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from tagship.errors import InvalidName
from tagship.progress import Advance
from tagship.registry.models import check_model, folder_name
from tagship.stores.stream import Allowance

FOLDER = "tagship"  # beside the objects: dvc gc looks for objects alone, and leaves it
OBJECTS, CAPSULES, INDEX = "files/md5", "capsules", "index.json"
LARGEST_CAPSULE = 64 << 20  # bytes: a model that Git keeps is in it
LARGEST_INDEX = 16 << 20  # bytes: 50,000 tags
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_SHA256 = re.compile("[0-9a-f]{64}")


class Changed(Exception):
    """Somebody else has written the index meanwhile: it is read again, and what is new added."""


class Object(NamedTuple):
    """The name of an object: the MD5 of its bytes; DVC adds ``.dir`` to that of a list of files."""

    digest: str

    @property
    def path(self) -> str:
        """Below the place, as in a DVC remote (``dvc/data_cloud.py``)."""
        return f"{OBJECTS}/{self.digest[:2]}/{self.digest[2:]}"


class Capsule(NamedTuple):
    """The name of a capsule: the SHA-256 of its bytes."""

    model: str
    digest: str

    @property
    def path(self) -> str:
        """Below the place."""
        return f"{FOLDER}/{folder_name(self.model)}/{CAPSULES}/{self.digest}"


Name = Object | Capsule


class Index(NamedTuple):
    """The index of a model, as it was read.

    Attributes:
        data: its bytes; none where the place has none yet.
        mark: of the place, for ``index`` and ``write_index``: an ETag, say; empty if there is none.
    """

    data: bytes = b""
    mark: str = ""


class Carrier(Protocol):
    """A place. Whatever asks it raises Unavailable where it does not do its part."""

    @property
    def title(self) -> str:
        """Its address, as it is shown: without secrets."""

    def index(self, model: str, seen: str = "") -> Index | None:
        """The index of a model, by one request; None where it is the one with the mark ``seen``.

        More than ``LARGEST_INDEX`` bytes are cut off, and TooLong is raised.
        """

    def write_index(self, model: str, data: bytes, before: str) -> None:
        """Write the index of a model: it appears whole, or not at all.

        Args:
            model: whose.
            data: its bytes.
            before: the mark of the index that it takes the place of; empty where there was none.

        Raises:
            Changed: there is another one by now.
            TooLong: it has more than ``LARGEST_INDEX`` bytes, which nobody would read.
        """

    def size(self, name: Name) -> int | None:
        """The bytes of what is there by this name; None where nothing is."""

    def blocks(self, name: Name, allowance: Allowance) -> Iterator[bytes]:
        """The bytes of what has this name, in order.

        Raises:
            FileNotFoundError: there is no such thing.
            TooLong, Stopped: as for ``Allowance.take``.
        """

    def put(self, name: Name, source: Path, advance: Advance, *, anew: bool = False) -> None:
        """Take a file: it appears whole, or not at all.

        Args:
            name: what it is.
            source: the file.
            advance: is called with the bytes that are sent.
            anew: also over what is there by this name, which else stays.
        """


def index_path(model: str) -> str:
    """Where the index of a model is, below the place.

    Raises:
        InvalidName: it is no name of a model.
    """
    return f"{FOLDER}/{folder_name(check_model(model))}/{INDEX}"


def check(name: Name) -> Name:
    """A name, if it is one: others would lead elsewhere.

    Raises:
        InvalidName: it is none.
    """
    form = _MD5 if isinstance(name, Object) else _SHA256
    if not form.fullmatch(name.digest):
        raise InvalidName(f"{name.digest!r:.200} is no digest", "it should be hexadecimal digits")
    if isinstance(name, Capsule):
        check_model(name.model)
    return name
