"""Why a version was not taken, in words that a client may see: no path, nothing of a framework."""

import re
from pathlib import Path

from tagship.errors import TagshipError

_INTERNAL = re.compile(r"(does not (?:load|answer)): .*", re.DOTALL)


def of(error: TagshipError | OSError, folder: Path) -> str:
    """The reason in an error.

    Args:
        error: what went wrong.
        folder: of all models: its path is cut out.
    """
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or 'input/output error'}"
    message = _INTERNAL.sub(r"\1", error.message)
    for place in dict.fromkeys((folder, folder.resolve())):
        message = message.replace(f"{place}/", "").replace(str(place), "the models folder")
    return message.encode(errors="backslashreplace").decode()  # a link may lead to any bytes
