"""Which version directories are in use: a process has a file of them open, runs it, or is in it."""

import os
from collections.abc import Iterable
from pathlib import Path


def holders(versions: Path) -> dict[str, list[int]]:
    """The names below ``versions`` that processes of this host use, and the ids of these.

    Only Linux tells (``/proc``), and of other users' processes only root is told.
    """
    top = str(versions.resolve()) + "/"
    users: dict[str, set[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        for path in _open_paths(folder):
            if path.startswith(top):
                name = path[len(top) :].split("/")[0]
                users.setdefault(name, set()).add(int(folder.name))
    return {name: sorted(processes) for name, processes in users.items()}


def _open_paths(folder: Path) -> Iterable[str]:
    try:
        links = [folder / "cwd", folder / "exe", *(folder / "fd").iterdir()]
        maps = (folder / "maps").read_text(errors="replace")
    except OSError:  # it ended, or is another user's
        return
    for link in links:
        try:
            yield os.readlink(link)
        except OSError:
            continue
    for line in maps.splitlines():
        _, slash, path = line.partition("/")
        if slash:
            yield "/" + path
