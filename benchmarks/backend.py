"""Run git-http-backend, and note what it took: fcgiwrap waits for no program that it starts.

A separate and small program: ``python -I -S backend.py PROGRAM FILE``. FILE gets a line with the
CPU seconds of PROGRAM and all below it that was waited for; what this program itself takes is not
among them. The answer ends after that, as the pipe of the answer is this program's too.
"""

import os
import sys


def main() -> int:
    """Run the program; its exit code."""
    program, target = sys.argv[1:]
    pid = os.posix_spawn(program, [program], os.environ)
    _, status, usage = os.wait4(pid, 0)
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(file, f"{usage.ru_utime + usage.ru_stime:.6f}\n".encode())
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
