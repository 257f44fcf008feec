"""Paths from a repository or a bucket: whether one stays in the folder of a version."""

import functools
import re
import reprlib
import unicodedata
from typing import Annotated

from tagship.errors import Corrupt
from tagship.text.json_reader import Is

NAME_MAX, PATH_MAX = 255, 2048  # bytes; Linux allows 4096, with the folders above
# Nearly all paths, told by one match: each part begins with a letter, a digit or an underscore, and
# does not end with a dot.
_PLAIN_PART = r"\w(?:[\w.-]*[\w-])?"
_PLAIN = re.compile(rf"{_PLAIN_PART}(?:/{_PLAIN_PART})*", re.ASCII)


@functools.lru_cache(1 << 14)  # called for each file of a version, several times
def is_path(path: str) -> bool:
    """Whether ``path`` stays below the folder that it is relative to, on any system.

    Refused are absolute paths, ``..``, drives, ``.git``, ``.dvc``, control characters, and names
    that no file can have: more than 255 bytes a part, or not UTF-8.
    """
    if len(path) <= NAME_MAX and _PLAIN.fullmatch(path):
        return True
    parts = path.split("/")
    return not (
        path[1:2] == ":"  # a drive of Windows
        or "\\" in path
        or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in path)
        or any(part in ("", ".", "..") for part in parts)
        or len(path.encode()) > PATH_MAX
        or any(len(part.encode()) > NAME_MAX for part in parts)
        or any(_folded(part) in (".git", ".dvc", "git~1") for part in parts)
    )


def _folded(part: str) -> str:
    """The name that another file system may read.

    HFS+ ignores format characters, NTFS dots and blanks at the end and a stream after ``:``, and
    NTFS knows ``.git`` by its short name too (fsck.hasDotgit in git-fsck(1)).
    """
    kept = "".join(letter for letter in part if unicodedata.category(letter) != "Cf")
    return kept.partition(":")[0].rstrip(". ").lower()


PathText = Annotated[str, Is(is_path, "a valid path in a version")]


def check_path(path: str) -> str:
    """Return ``path`` if it may be written below a version directory.

    A ``.dir`` object is data from a bucket: DVC 3.67 follows ``../`` in it out of the workspace.

    Raises:
        Corrupt: it may not be written there.
    """
    if not is_path(path):
        raise Corrupt(
            f"{reprlib.repr(path)} is not a valid path in a version",
            "rename it and release again",
        )
    return path
