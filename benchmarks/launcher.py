"""Run commands one after another and say what they took: time, CPU, memory, bytes to disk.

A separate and small program: ``python -I -S launcher.py COMMANDS FILE`` with the commands
as JSON. The kernel counts to a new process the memory of the one that started it, up to the exec:
started by the benchmark itself, each command would seem to use the benchmark's memory.
"""

import json
import os
import sys
import time


def main() -> int:
    """Write what they took to FILE; exit with the code of the first command that fails.

    FILE gets ``{"begun", "seconds", "peak", "cpu", "written"}``. ``begun`` is in seconds since the
    epoch. ``seconds`` is on the clock, from before the first command is started to the end of the
    last. ``peak`` is in bytes: the largest resident set of any one process, that of wait4(2), which
    covers the command and every process below it that was waited for; never less than what this
    program needs itself, some 10 MB. ``cpu`` is user and system time in seconds, and ``written``
    the bytes that were sent to the disk (``write_bytes`` in proc(5)), both of the command and all
    below it that was waited for.
    """
    commands, target = json.loads(sys.argv[1]), sys.argv[2]
    peak, cpu, code, before = 0, 0.0, 0, _written()
    at, begun = time.time(), time.perf_counter()
    for command in commands:
        pid = os.posix_spawnp(command[0], command, os.environ)
        _, status, usage = os.wait4(pid, 0)
        peak = max(peak, usage.ru_maxrss)
        cpu += usage.ru_utime + usage.ru_stime
        code = os.waitstatus_to_exitcode(status)
        if code:
            break
    took = time.perf_counter() - begun
    measured = {
        "begun": at,
        "seconds": took,
        "peak": peak * 1024,  # Linux counts in kB
        "cpu": cpu,
        "written": _written() - before,
    }
    with open(target, "w", encoding="utf-8") as file:
        json.dump(measured, file)
    return abs(code)


def _written() -> int:
    """``write_bytes`` of this process; a child's are added when it was waited for."""
    with open("/proc/self/io", encoding="ascii") as file:
        facts = dict(line.split(": ") for line in file)
    return int(facts["write_bytes"])


if __name__ == "__main__":
    sys.exit(main())
