"""The conflict markers that Git leaves in a file, see git-merge(1). Pure."""

import re

from tagship.errors import Corrupt

_BEGIN, _BASE, _MIDDLE, _END = (re.compile(rb"^%s{7,}( |\r?$)" % mark, re.MULTILINE)
                                for mark in (b"<", rb"\|", b"=", b">"))  # fmt: skip


class Conflicted(Corrupt):
    """A file that has conflict markers: it is the text of two sides."""


def line(data: bytes) -> int | None:
    """The number of the first line with a marker; None where the file has no conflict."""
    if b"<<<<<<<" not in data:  # 50 MB without one take 4 s line by line
        return None
    begin = _BEGIN.search(data)
    if begin is None or _END.search(data, begin.end()) is None:
        return None
    return data.count(b"\n", 0, begin.start()) + 1


def ours(data: bytes) -> bytes:
    """The text of the side that was checked out: without what the other side brings."""
    kept, skip = [], False
    for text in data.split(b"\n"):
        if _BEGIN.match(text) or _END.match(text):
            skip = False
        elif _BASE.match(text) or _MIDDLE.match(text):
            skip = True
        elif not skip:
            kept.append(text)
    return b"\n".join(kept)


def error(name: str, number: int) -> Conflicted:
    """The error for a file with markers, wherever it is read."""
    what = "run dvc repro" if name.endswith("dvc.lock") else "remove the markers"
    return Conflicted(
        f"{name} has conflict markers, line {number}",
        f"resolve it: choose one of the two sides, {what}, then commit",
    )
