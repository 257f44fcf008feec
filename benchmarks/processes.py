"""CPU time and memory of a process that still runs, and of the processes that it started."""

import os
import re
import time
from pathlib import Path

_SCHEDULED = 2  # CPUCLOCK_SCHED of Linux: the time that all threads of a process ran


def cpu(pid: int) -> float:
    """Seconds that a process and all below it have computed so far, in user and system mode."""
    members = family(pid)
    ticks = sum(members.values())
    return sum(map(_own, members)) + ticks / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Bytes that a process and all below it hold, their share of what several map (PSS)."""
    return sum(map(_held, family(pid)))


def family(pid: int) -> dict[int, int]:
    """A process and all below it; with each the ticks of those that it has waited for."""
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
    members = [pid]
    for member in members:
        members += children.get(member, [])
    return {member: waited_for.get(member, 0) for member in members}


def _own(pid: int) -> float:
    """The clock of a process, see clock_getcpuclockid(3): finer than the ticks of proc(5)."""
    try:
        return time.clock_gettime(~pid << 3 | _SCHEDULED)
    except OSError:
        return 0.0


def _held(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:  # it has ended
        return 0
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) << 10 if match else 0
