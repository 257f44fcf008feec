"""A capsule: one tag, with what tagship reads of its commit, in a few kilobytes. Pure.

A line of JSON, ``{"schema": 1, "tag": "churn@v1.0.0", "object": ID, "commit": ID}``, and a pack
of Git: the tag object, its commit, and of a version the folders on the way and the small files that
say what it is. Nothing else of the repository is needed to deploy it. Equal tags give equal bytes.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

from tagship.carry import forms
from tagship.carry.forms import ObjectId
from tagship.registry.refs import TagName
from tagship.text import json_reader

SCHEMA = 1
LONGEST = 4096  # bytes of the first line


@dataclass(frozen=True)
class Head:
    """The first line.

    Attributes:
        tag: its name.
        object: the id of the tag object.
        commit: the id of its commit, whose parents are in no capsule.
    """

    schema: int
    tag: str
    object: ObjectId
    commit: ObjectId


class Capsule(NamedTuple):
    """A capsule that was read: its pack is not looked at."""

    head: Head
    pack: bytes

    @property
    def name(self) -> TagName:
        """The tag."""
        name = TagName.parse(self.head.tag)
        assert name is not None, self.head.tag  # ``parse`` looked
        return name


def write(tag: str, object_id: str, commit: str, pack: bytes) -> bytes:
    """A capsule."""
    head = asdict(Head(SCHEMA, tag, object_id, commit))
    return json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" + pack


def digest(data: bytes) -> str:
    """The name of a capsule: the SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()


def parse(data: bytes, where: str) -> Capsule:
    """Read a capsule.

    Args:
        data: its bytes.
        where: it is, for errors.

    Raises:
        Corrupt: it is out of form.
        Refused: it is of a newer tagship.
    """
    what = f"the capsule {where}"
    line, newline, pack = data.partition(b"\n")
    if not newline or len(line) > LONGEST or not pack.startswith(b"PACK"):
        raise forms.damaged(what, "it is no capsule, or is cut short")
    value = forms.parsed(line, what, SCHEMA)
    try:
        head = json_reader.read(Head, value)
    except ValueError as error:
        raise forms.damaged(what, str(error)) from None
    name = TagName.parse(head.tag)
    if name is None or str(name) != head.tag:
        raise forms.damaged(what, f"{head.tag!r:.200} is no tag")
    return Capsule(head, pack)
