"""A program of the operator's, run within bounds: its time, what it started, what it prints.

A check, a notification and the smoke test are started so: not by a shell, in ``/``, without input
that nobody gave, in a session of its own, and with an environment that holds no credentials.
"""

import contextlib
import ctypes
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from tagship.disk import home, scratch
from tagship.errors import Unavailable
from tagship.text import escape, redact

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEPT = 4096  # bytes of the end of what a program prints
LONGEST = 300  # characters of the line that is shown
GRACE = 1.0  # seconds to end by itself, once it is told to
PR_SET_PDEATHSIG = 1  # prctl(2)
STEP = 0.02  # seconds between two looks at whether it has ended

# What a framework and the interpreter need to start as they do for the user. It names no token and
# no account; TF_VAR_*, TF_TOKEN_* and the like are credentials of other programs.
_FRAMEWORK = re.compile(
    r"PYTHON[A-Z0-9]+|LD_(?:LIBRARY_PATH|PRELOAD)|DYLD_[A-Z_]+|VIRTUAL_ENV|CONDA_PREFIX"
    r"|PATH|TMPDIR|TZ|LC_[A-Z]+|XDG_CACHE_HOME|TAGSHIP_[A-Z0-9_]+"
    r"|(?:CUDA|CUDNN|NCCL|ROCR|HIP|NVIDIA|XLA|KERAS)_[A-Z0-9_]+"
    r"|(?:OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|NUMEXPR)_[A-Z0-9_]+"
    r"|TF_(?:CPP|ENABLE|FORCE|GPU|NUM|XLA|DETERMINISTIC|CUDNN|USE|CONFIG|AUTOTUNE)[A-Z0-9_]*"
)
_PATHS = ("PYTHONPATH", "LD_LIBRARY_PATH")  # a relative one is meant from where the user is


class NotStarted(Unavailable):
    """A program that is not there, or that this account may not execute."""


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        code: its exit code; ``-n`` where signal ``n`` ended it; None if it was ended for its time,
            or because nobody needs its answer any more.
        last: the last line that it printed, safe to show; empty if it printed none.
        seconds: how long it ran.
    """

    code: int | None
    last: str
    seconds: float


def clean(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that the operator named.

    PATH, HOME, LANG, and the ``variables`` of tagship: neither a variable nor a credential of who
    runs tagship.
    """
    environment = {"PATH": PATH, "LANG": os.environ.get("LANG", "C.UTF-8"), **variables}
    folder = home.folder()
    return {**environment, "HOME": str(folder)} if folder else environment


def for_framework() -> dict[str, str]:
    """The environment in which a model is loaded: this one, without what may be a credential.

    The user's PATH, and what decides how the interpreter and the frameworks start. ``TAGSHIP_*`` is
    for the loader of another package.
    """
    environment = {name: value for name, value in os.environ.items() if _FRAMEWORK.fullmatch(name)}
    for name in _PATHS:
        if name in environment:
            environment[name] = _absolute(environment[name])
    return clean({}) | environment


def _absolute(paths: str) -> str:
    return os.pathsep.join(str(Path(path).absolute()) for path in paths.split(os.pathsep) if path)


def run(
    command: Sequence[str],
    seconds: float,
    environment: Mapping[str, str],
    *,
    given: bytes = b"",
    pass_fds: Iterable[int] = (),
    errors_only: bool = False,
    is_needed: Callable[[], bool] = lambda: True,
) -> Ended:
    """Run a program to its end, or to the end of its time.

    What it started is ended with it: by SIGKILL where it ended by itself, and by SIGTERM and then
    SIGKILL where its time was over. Only a process that left its session goes on, and is not waited
    for.

    Args:
        command: the program, by an absolute path, and its arguments.
        seconds: the time that it has.
        environment: all of its variables: see ``clean``.
        given: its standard input.
        pass_fds: descriptors that it inherits.
        errors_only: of what it prints, only standard error counts.
        is_needed: it is ended once this is false.

    Raises:
        NotStarted: it is not there, or may not be executed.
    """
    began = time.monotonic()
    with scratch.file() as text:
        text.write(given)
        text.seek(0)
        try:
            process = subprocess.Popen(
                command, cwd="/", env=dict(environment), start_new_session=True,
                stdin=text, stdout=subprocess.DEVNULL if errors_only else subprocess.PIPE,
                stderr=subprocess.PIPE if errors_only else subprocess.STDOUT,
                pass_fds=tuple(pass_fds),
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise _not_started(command[0], error) from None
    with cast("IO[bytes]", process.stdout or process.stderr) as pipe:
        output = _Output(pipe)
        try:
            is_over = _wait(process, output, began + seconds, is_needed)
        finally:
            _end(process)
        output.read()
    return Ended(process.returncode if is_over else None, output.last, time.monotonic() - began)


def _not_started(name: str, error: OSError | ValueError) -> NotStarted:
    """Why a program cannot be executed; it is not there too where its interpreter is not."""
    what = error.strerror if isinstance(error, OSError) else str(error)
    return NotStarted(f"{escape.line(redact.text(name))} cannot be executed: {what}")


class _Output:
    """What a program prints: read so that it never waits for a reader, and only the end is kept."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe, self._kept = pipe, b""
        os.set_blocking(pipe.fileno(), False)
        self.is_open = True

    def read(self, rounds: int = 16) -> None:
        """Read what is there; at most so many times, as a program may print without end."""
        for _ in range(rounds):
            try:
                data = os.read(self.pipe.fileno(), 1 << 16)
            except BlockingIOError:
                return
            if not data:
                self.is_open = False
                return
            self._kept = (self._kept + data)[-KEPT:]

    @property
    def last(self) -> str:
        """The last line that has something."""
        lines = self._kept.decode(errors="replace").split("\n")
        line = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return escape.line(redact.text(line))[:LONGEST]


def _wait(
    process: "subprocess.Popen[bytes]",
    output: _Output,
    end: float,
    is_needed: Callable[[], bool],
) -> bool:
    """Whether a process ended by itself before its time was over."""
    with selectors.DefaultSelector() as selector:
        selector.register(output.pipe, selectors.EVENT_READ)
        while not _has_ended(process):
            left = end - time.monotonic()
            if left <= 0 or not is_needed():
                return False
            if not output.is_open:
                time.sleep(min(STEP, left))
            elif selector.select(min(STEP, left)):
                output.read()
    return True


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a process ended. It is not reaped: its id stays that of its group."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return process.poll() is not None
    how = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, how) is not None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its group, and reap it."""
    if not _has_ended(process):
        _signal(process, signal.SIGTERM)
        end = time.monotonic() + GRACE
        while not _has_ended(process) and time.monotonic() < end:
            time.sleep(STEP)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def die_with_parent(parent: int | None = None) -> None:
    """Have Linux kill this process when the thread that started it ends: it is in another session.

    Args:
        parent: the process that started this one, which may have ended by now.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
