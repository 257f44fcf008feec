"""The CPU time of a process that still runs, and of the processes that it started."""

import os
import time
from pathlib import Path

_SCHEDULED = 2  # CPUCLOCK_SCHED of Linux: the time that all threads of a process ran


def cpu(pid: int) -> float:
    """Seconds that a process and all below it have computed so far, in user and system mode."""
    children: dict[int, list[int]] = {}
    waited_for: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts = path.read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()
        except OSError:  # it has ended
            continue
        number = int(path.parent.name)
        children.setdefault(int(facts[1]), []).append(number)
        waited_for[number] = int(facts[13]) + int(facts[14])  # cutime, cstime: see proc(5)
    family = [pid]
    for member in family:
        family += children.get(member, [])
    ticks = sum(waited_for.get(member, 0) for member in family)
    return sum(map(_own, family)) + ticks / os.sysconf("SC_CLK_TCK")


def _own(pid: int) -> float:
    """The clock of a process, see clock_getcpuclockid(3): finer than the ticks of proc(5)."""
    try:
        return time.clock_gettime(~pid << 3 | _SCHEDULED)
    except OSError:
        return 0.0
