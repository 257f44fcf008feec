"""Which version directories are mounted elsewhere, say in a container, or have a mount in them.

Linux tells (``/proc/PID/mountinfo``, proc_pid_mountinfo(5)), of every process whose mounts this
account may read. What is mounted is in use, also while no file of it is open.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """A mount: its device, which of its folders, and the path where that is seen.

    ``process``: who sees it there; empty where this process does.
    """

    device: str
    root: PurePosixPath
    point: PurePosixPath
    process: str = ""

    def __str__(self) -> str:
        """Where it is."""
        return f"{self.point} of process {self.process}" if self.process else f"{self.point}"


def parse(text: str, process: str = "") -> list[Mount]:
    """The mounts of a ``mountinfo``, in the order in which they were made."""
    fields = (line.split(" ") for line in text.splitlines())
    return [Mount(f[2], _path(f[3]), _path(f[4]), process) for f in fields if len(f) > 4]


def _path(text: str) -> PurePosixPath:
    """A path, in which blanks and the like are octal numbers."""
    octets = _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
    return PurePosixPath(octets)


def of_versions(versions: PurePosixPath, own: list[Mount], others: list[Mount]) -> dict[str, str]:
    """The names below a folder that are mounted, and where. Pure.

    Args:
        versions: the folder of the version directories, links resolved.
        own: the mounts that this process sees.
        others: those of other processes, which may see them under other paths.
    """
    mounted: dict[str, str] = {}
    for mount in own:
        if name := _first(mount.point, versions):
            mounted.setdefault(name, str(mount))
    around = [mount for mount in own if versions.is_relative_to(mount.point)]
    if not around:
        return mounted
    top = max(around, key=lambda mount: len(mount.point.parts))  # of several, the last one
    top = [mount for mount in around if mount.point == top.point][-1]
    inside = top.root / versions.relative_to(top.point)
    for mount in (*own, *others):
        name = _first(mount.root, inside) if mount.device == top.device else ""
        if name:
            mounted.setdefault(name, str(mount))
    return mounted


def _first(path: PurePosixPath, above: PurePosixPath) -> str:
    """The name in ``above`` that leads to a path below it; empty if it is not below."""
    if path == above or not path.is_relative_to(above):
        return ""
    return path.relative_to(above).parts[0]


def holders(versions: Path) -> dict[str, str]:
    """The names below ``versions`` that are mounted somewhere on this host, and where."""
    own = _read("/proc/self/mountinfo")
    others = {text: process for process, text in _of_others() if text != own}
    mounts = [mount for text, process in others.items() for mount in parse(text, process)]
    return of_versions(PurePosixPath(versions.resolve()), parse(own), mounts)


def _of_others() -> Iterator[tuple[str, str]]:
    """The mounts of other processes, those of a container once."""
    seen: set[str] = set()
    for process in _processes():
        try:
            namespace = os.readlink(f"/proc/{process}/ns/mnt")
        except OSError:  # another account's: its mounts can be read all the same
            namespace = process
        if namespace not in seen:
            seen.add(namespace)
            yield process, _read(f"/proc/{process}/mountinfo")


def _processes() -> Iterable[str]:
    return [path.name for path in Path("/proc").glob("[0-9]*")]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # it ended, or may not be read; or this is no Linux
        return ""
