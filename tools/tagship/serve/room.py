"""Room in memory for a second model beside the first, asked before it is loaded. Linux only."""

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from tagship.errors import NoRoom
from tagship.text import words

_GROUP = Path("/sys/fs/cgroup")


def used(process: int) -> int:
    """The bytes that a process has for itself, with its share of what it shares; 0 if unknown."""
    return _number(Path(f"/proc/{process}/smaps_rollup"), "Pss") * 1024


def available() -> int | None:
    """The bytes that programs can still get, also by the limit of a container; None if unknown."""
    total = _number(Path("/proc/meminfo"), "MemAvailable") * 1024
    if not total:
        return None
    return min([total, *_left_of_groups()])


def _left_of_groups() -> Iterable[int]:
    """What the limits of this process's control groups leave (version 2); files that are only
    cached count as free."""
    try:
        own = re.search(r"^0::(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    except OSError:
        return
    group = _GROUP / (own[1].strip("/") if own else "")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(_GROUP):
            return
        with contextlib.suppress(OSError, ValueError):
            limit = int((folder / "memory.max").read_text())  # "max" is no number
            now = int((folder / "memory.current").read_text())
            yield max(0, limit - now + _number(folder / "memory.stat", "inactive_file"))


def check(what: str, needed: int) -> None:
    """Check that something fits beside what is loaded.

    Args:
        what: ``churn 1.1.0``, for the message.
        needed: bytes.

    Raises:
        NoRoom: there are fewer; not where that is unknown.
    """
    free = available()
    if free is not None and needed > free:
        raise NoRoom(
            f"{what} needs about {words.of_bytes(needed)} of memory beside what answers now, and"
            f" {words.of_bytes(free)} are available",
            "make room: free -h; or restart the server, which loads one version alone",
        )


def _number(path: Path, key: str) -> int:
    try:
        text = path.read_text()
    except OSError:
        return 0
    match = re.search(rf"^{key}:?\s+(\d+)", text, re.MULTILINE)
    return int(match[1]) if match else 0
