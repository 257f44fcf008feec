"""The conflict markers that Git leaves in a file, see git-merge(1). Pure."""

import re

from tagship.errors import Corrupt

_BEGIN, _BASE, _MIDDLE, _END = (re.compile(rb"%s{7,}( |\r?$)" % mark) for mark in
                                (b"<", rb"\|", b"=", b">"))  # fmt: skip


class Conflicted(Corrupt):
    """A file that has conflict markers: it is the text of two sides."""


def line(data: bytes) -> int | None:
    """The number of the first line with a marker; None where the file has no conflict."""
    lines = data.split(b"\n")
    begin = next((n for n, text in enumerate(lines, 1) if _BEGIN.match(text)), None)
    ends = (text for text in lines[begin or 0 :] if _END.match(text))
    return begin if next(ends, None) is not None else None


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
