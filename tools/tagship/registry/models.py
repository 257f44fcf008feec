"""Names of models: for who needs no other names, and should start quickly. See ``refs``."""

import functools
import re
from urllib.parse import quote

from tagship.errors import InvalidName

LONGEST = 255  # bytes in the name of a folder
NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?"
FOLDER = r"[a-zA-Z0-9._/-]+"
_MODEL = re.compile(rf"(?:(?P<folder>{FOLDER}):)?{NAME}")


@functools.lru_cache(1 << 10)
def is_model(text: str) -> bool:
    """Whether GTO accepts a name for a model, and a folder can have it; ``..`` is refused."""
    match = _MODEL.fullmatch(text)
    if match is None or ".." in (match["folder"] or "").split("/"):
        return False
    return len(folder_name(text)) <= LONGEST


def check_model(text: str) -> str:
    """Return ``text`` if GTO accepts it as the name of a model.

    Raises:
        InvalidName: it does not.
    """
    if not isinstance(text, str):
        raise InvalidName(f"{text!r} is not the name of a model", 'give it as text: "churn"')
    if not is_model(text):
        raise InvalidName(
            f"{text!r} is not a model name",
            "a name has letters, digits, '-' and '_', and starts and ends with a letter or a digit",
        )
    return text


@functools.lru_cache(1 << 10)  # called at each load by a program that serves
def folder_name(model: str) -> str:
    """The folder of a model, one path component (``a/b`` becomes ``a%2Fb``)."""
    return quote(model, safe="")
