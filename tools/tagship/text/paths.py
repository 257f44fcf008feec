"""Paths that anybody may have written: whether one stays inside of a version's folder. Pure."""

import functools
import reprlib
import unicodedata
from typing import Annotated

from tagship.errors import Corrupt
from tagship.text.json_reader import Is

NAME_MAX, PATH_MAX = 255, 2048  # bytes; Linux takes 4096, and what is above the file counts too


@functools.lru_cache(1 << 14)  # asked of each file of a version by all who name it
def is_path(path: str) -> bool:
    """Whether ``path`` stays below the folder that it is relative to, under any system's rules.

    Not absolute, leaving, of a drive's form, through ``.git`` or ``.dvc``, nor with control codes,
    nor what no file can be named: longer than 255 bytes a part, or no text of UTF-8.
    """
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
    """What another file system may take a name for.

    HFS+ passes over format characters, NTFS over dots and blanks at the end and a stream after
    ``:``, and knows ``.git`` by its short name too (fsck.hasDotgit in git-fsck(1)).
    """
    kept = "".join(letter for letter in part if unicodedata.category(letter) != "Cf")
    return kept.partition(":")[0].rstrip(". ").lower()


PathText = Annotated[str, Is(is_path, "a valid path in a version")]


def check_path(path: str) -> str:
    """Return ``path`` if it may be written below a version directory.

    A ``.dir`` object is data from a bucket: DVC 3.67 follows ``../`` in it out of the workspace.

    Raises:
        Corrupt: it may not.
    """
    if not is_path(path):
        raise Corrupt(
            f"{reprlib.repr(path)} is not a valid path in a version",
            "rename it and release again",
        )
    return path
