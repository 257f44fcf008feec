"""The command line, with copies of its disk taken on the way, and with syncs left out.

``python driver.py PLAN ARGUMENT ...``; the plan is JSON, the fields of ``Plan``. It must be the
only program that writes to the disk.
"""

import functools
import json
import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.power.image import Device

# after each of these the disk may hold something else
CALLS = ("fsync", "replace", "rename", "symlink", "unlink", "mkdir", "rmdir", "chmod", "fchmod")


@dataclass(frozen=True)
class Plan:
    """What is done beside the command.

    Attributes:
        left_out: a pattern of what is not synced: its path, and ``/`` behind a folder's.
        image, device: the disk, to be copied after each call; none is where ``copies`` is empty.
        copies: the folder of the copies, ``<number> <call> <name>``.
    """

    left_out: str = ""
    image: str = ""
    device: str = ""
    copies: str = ""


def main(plan: Plan, arguments: list[str]) -> None:
    """Run the command line as the plan says."""
    from tagship.cli import main as cli_main

    if plan.left_out:
        os.fsync = _without(plan.left_out, os.fsync)  # type: ignore[assignment] # of descriptors alone
    if plan.copies:
        copier = Copier(Device(Path(plan.image), plan.device), Path(plan.copies))
        for name in CALLS:
            setattr(os, name, copier.after(name, getattr(os, name)))
    sys.argv = ["tagship", *arguments]
    cli_main.main()


def _without(pattern: str, sync: Callable[[int], None]) -> Callable[[int], None]:
    def fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        slash = "/" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else ""
        if not re.search(pattern, path + slash):
            sync(descriptor)

    return fsync


class Copier:
    """Copies a disk after each call by which it has changed."""

    def __init__(self, device: Device, folder: Path) -> None:
        self._device, self._folder, self._number = device, folder, 0
        self._written = device.written()

    def after(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, with a copy taken behind it."""

        @functools.wraps(call)
        def called(first: Any, *arguments: Any, **named: Any) -> Any:
            what = first if not isinstance(first, int) else os.readlink(f"/proc/self/fd/{first}")
            result = call(first, *arguments, **named)
            if self._device.written() != self._written:
                self._number += 1
                text = f"{self._number:03d} {name} {Path(os.fsdecode(what)).name}"
                self._written = self._device.copy(self._folder / text)
            return result

        return called


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])), sys.argv[2:])
