"""The index of a model: every tag of it that was ever released, and the capsule of each. Pure.

JSON: ``{"schema": 1, "model": "churn", "tags": {"churn@v1.0.0": {"object": ID, "capsule": SHA-256,
"size": BYTES}}}``, tags sorted by name. docs/schemas/index.schema.json has the form. It says which
tags there are, as a server of Git does, and is trusted no more: what a tag says is in its capsule.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

from tagship.carry import forms
from tagship.carry.forms import ObjectId, Sha256
from tagship.errors import Corrupt, Refused
from tagship.registry.refs import ModelText, TagName
from tagship.text import json_reader
from tagship.text.json_reader import Is

SCHEMA = 1
LONGEST = 250  # bytes of a tag's name: Git adds .lock, and file systems have 255 for a name
# What git-check-ref-format(1) refuses, of what the grammar of tags has.
_NO_REF = re.compile(r"^/|//|\.\.|(^|/)\.|\.lock(/|$)")
TagText = Annotated[str, Is(lambda text: TagName.parse(text) is not None, "a tag of GTO's grammar")]


@dataclass(frozen=True)
class Entry:
    """A tag.

    Attributes:
        object: the id of the tag object.
        capsule: the SHA-256 of its capsule.
        size: of the capsule, in bytes.
    """

    object: ObjectId
    capsule: Sha256
    size: int


@dataclass(frozen=True)
class Index:
    """The tags of a model."""

    schema: int
    model: ModelText
    tags: dict[str, Entry]


def write(model: str, tags: Mapping[str, Entry]) -> bytes:
    """An index as it is kept: equal tags give equal bytes."""
    rows = {name: asdict(tags[name]) for name in sorted(tags)}
    data = {"schema": SCHEMA, "model": model, "tags": rows}
    return json.dumps(data, indent=0, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def parse(data: bytes, model: str, where: str) -> dict[str, Entry]:
    """The tags in an index, by their names; none in an empty one.

    Args:
        data: its bytes.
        model: whose it should be.
        where: it is, for errors.

    Raises:
        Corrupt: it is out of form, or of another model.
        Refused: it is of a newer tagship.
    """
    if not data:
        return {}
    value = forms.parsed(data, f"the index of {model} in {where}", SCHEMA)
    try:
        read = json_reader.read(Index, value)
    except ValueError as error:
        raise forms.damaged(f"the index of {model} in {where}", str(error)) from None
    if read.model != model:
        raise Corrupt(f"the index of {model} in {where} is of {read.model}", forms.AGAIN)
    for name, entry in read.tags.items():
        _check(name, entry, model, where)
    return dict(read.tags)


def takes(name: str) -> bool:
    """Whether Git can have a tag of this name on every file system: a host keeps it as a ref."""
    return len(name.encode()) <= LONGEST and not _NO_REF.search(name)


def _check(name: str, entry: Entry, model: str, where: str) -> None:
    tag = TagName.parse(name)
    if tag is None or str(tag) != name or not takes(name) or entry.size < 0:
        raise forms.damaged(f"the index of {model} in {where}", f"{name!r:.200} is no tag")
    if tag.model != model:
        raise Corrupt(f"the index of {model} in {where} has {name}, of another model", forms.AGAIN)


def merged(here: Mapping[str, Entry], new: Mapping[str, Entry], where: str) -> dict[str, Entry]:
    """Both: nothing that an index has is changed or removed.

    Raises:
        Refused: a tag has another object there.
    """
    for name in sorted(here.keys() & new.keys()):
        if here[name].object != new[name].object:
            first, then = here[name].object[:10], new[name].object[:10]
            raise Refused(
                f"{name} is the tag object {first} in {where}, and not {then}: a tag never moves",
                "if the version changed, release it under a new number",
            )
    return {**new, **here}
