"""What capsules, indexes and bundles share: JSON with a ``schema``, ids and digests. Pure."""

import re
from typing import Annotated, Any

from tagship.errors import Corrupt, Refused
from tagship.text import json_reader
from tagship.text.json_reader import Is

AGAIN = "write it again where the model is released: tagship release MODEL --push --capsule"
NEWER = "pip install --upgrade tagship"
ObjectId = Annotated[
    str, Is(lambda text: re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", text) is not None, "an id")
]
Sha256 = Annotated[
    str, Is(lambda text: re.fullmatch("[0-9a-f]{64}", text) is not None, "a SHA-256")
]


def parsed(data: bytes, what: str, schema: int) -> dict[str, Any]:
    """A JSON object of a schema that is known.

    Args:
        data: its bytes.
        what: it is, for errors.
        schema: the newest that is known.

    Raises:
        Corrupt: it is none.
        Refused: it is of a newer tagship.
    """
    try:
        value = json_reader.parse(data)
    except ValueError as error:
        raise damaged(what, str(error)) from None
    found = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise damaged(what, "it has no schema")
    if found > schema:
        raise Refused(
            f"{what} is of schema {found}; this tagship knows {schema}",
            NEWER,
        )
    return dict(value)


def damaged(what: str, why: str) -> Corrupt:
    """The error for what is out of form."""
    return Corrupt(f"{what} is damaged: {why:.300}", AGAIN)
