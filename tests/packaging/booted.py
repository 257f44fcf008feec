"""A machine that systemd boots, without a network: the base image of ``container``."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.packaging import container
from tests.workbench import Result

SECONDS = 300  # from boot to halt on a busy machine
UNIT = """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash -eu -o pipefail /story
ExecStopPost=/bin/sh -c 'systemctl exit "$EXIT_STATUS"'
StandardOutput=file:/said
StandardError=file:/said
Environment=HOME=/root LANG=C.UTF-8 PIP_NO_INDEX=1 PIP_QUIET=1 PIP_FIND_LINKS=/wheels
WorkingDirectory=/root
"""
# What services said is printed where something fails.
JOURNAL = "trap 'journalctl --no-pager --output cat --unit tagship* --lines 30' ERR\n"


def lacking() -> str | None:
    """Why there can be no such machine here; None if there can."""
    if shutil.which("systemd-nspawn") is None:
        return "needs systemd-nspawn"
    return container.lacking()


@dataclass(frozen=True)
class Booted:
    """The machine. Its folders are there while it is off, too.

    Attributes:
        root: its root folder.
        bound: folders of this machine, by their places there.
    """

    root: Path
    bound: Mapping[str, Path]

    def cannot(self) -> str | None:
        """Why systemd cannot boot it here, before there is anything of tagship; None if it can."""
        result = self._boot("echo up\n")
        return None if result.out == "up\n" else f"needs a kernel that systemd boots: {result.err}"

    def run(self, commands: str) -> str:
        """Boot, run commands as root that must succeed, and halt; what they print."""
        result = self._boot(f"{JOURNAL}{commands}")
        assert result.code == 0, result.out or result.err
        return result.out

    def _boot(self, commands: str) -> Result:
        (self.root / "story").write_text(commands)
        (self.root / "said").write_text("")
        bound = [f"--bind={here}:{there}" for there, here in self.bound.items()]
        done = subprocess.run(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network",
             f"--directory={self.root}", *bound, "--console=passive", "--boot",
             "systemd.unit=multi-user.target"],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=SECONDS,
        )  # fmt: skip
        return Result(done.returncode, (self.root / "said").read_text(), done.stdout + done.stderr)


@contextmanager
def machine(folder: Path, bound: Mapping[str, Path]) -> Iterator[Booted]:
    """An empty machine; it has Git, Python, systemd, a clone of this repository, and the wheels."""
    root = folder / "root"
    root.mkdir(mode=0o755)
    with tarfile.open(container.BASE) as base:
        base.extractall(root, filter="fully_trusted")
    unit = root / "etc/systemd/system/story.service"
    unit.write_text(UNIT)
    wanted = unit.parent / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / unit.name).symlink_to(f"../{unit.name}")
    yield Booted(root, {"/root/tagship": container.ROOT, "/wheels": container.WHEELS, **bound})
    shutil.rmtree(root)
