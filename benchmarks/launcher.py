"""Run commands one after another and say how long they took, and their peak memory.

A separate and small program: ``python -I -S launcher.py COMMANDS FILE`` with the commands
as JSON. The kernel counts to a new process the memory of the one that started it, up to the exec:
started by the benchmark itself, each command would seem to use the benchmark's memory.
"""

import json
import os
import sys
import time


def main() -> int:
    """Write ``{"seconds", "peak"}`` to FILE; exit with the code of the first command that fails.

    ``seconds`` is on the clock, from before the first command is started to the end of the last.
    ``peak`` is in bytes: the largest resident set of any one process, that of wait4(2), which
    covers the command and every process below it that was waited for; never less than what this
    program needs itself, some 10 MB.
    """
    commands, target = json.loads(sys.argv[1]), sys.argv[2]
    peak, code = 0, 0
    begun = time.perf_counter()
    for command in commands:
        pid = os.posix_spawnp(command[0], command, os.environ)
        _, status, usage = os.wait4(pid, 0)
        peak = max(peak, usage.ru_maxrss)
        code = os.waitstatus_to_exitcode(status)
        if code:
            break
    took = time.perf_counter() - begun
    with open(target, "w", encoding="utf-8") as file:
        json.dump({"seconds": took, "peak": peak * 1024}, file)  # Linux counts in kB
    return abs(code)


if __name__ == "__main__":
    sys.exit(main())
