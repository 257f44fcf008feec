"""The machine and its load, without which the figures mean nothing."""

import importlib.metadata
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import tell

PACKAGES = ("tagship", "dvc", "gto", "click", "GitPython", "catboost", "keras", "tensorflow-cpu")
MEMORY = ("tmpfs", "ramfs")  # file systems in memory


@dataclass(frozen=True)
class Machine:
    """The machine and the programs.

    Attributes:
        cores: that this process may use.
        memory: in bytes.
        file_system: of the folder that the benchmark works in.
        load: the run queue of the last minute when it began; above 0 somebody else worked too.
        versions: of programs and packages.
    """

    cores: int
    cpu: str
    memory: int
    file_system: str
    kernel: str
    load: float
    versions: dict[str, str]


def describe(folder: Path) -> Machine:
    """This machine, for a benchmark that works in ``folder``."""
    versions = {"Python": platform.python_version()}
    versions["Git"] = tell(folder, "git", "--version").split()[2]
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Machine(
        len(os.sched_getaffinity(0)),
        _cpu(),
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        file_system(folder),
        platform.release(),
        round(os.getloadavg()[0], 2),
        versions,
    )


def file_system(folder: Path) -> str:
    """The type of the file system of a folder (``ext4``), from proc(5)."""
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    place, kind, longest = folder.resolve(), "unknown", -1
    for line in text.splitlines():
        facts, _, source = line.partition(" - ")
        mount = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), facts.split()[4]))
        # a later mount hides an earlier one
        if place.is_relative_to(mount) and len(mount.parts) >= longest:
            kind, longest = source.split()[0], len(mount.parts)
    return kind


def _cpu() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return name[1].strip() if name else platform.machine()
