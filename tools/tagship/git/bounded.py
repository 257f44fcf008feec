"""Git where it talks to a remote: bounded in time, and ended with all that it started.

A remote that sends or takes bytes is not cut off, however long that takes; one that is silent is.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tagship.disk import scratch
from tagship.errors import NoAnswer
from tagship.git import run
from tagship.git.run import ENVIRONMENT, QUIET, CommandFailed, Repository
from tagship.progress import SLOW
from tagship.text import redact

STEP = 0.2  # seconds between two looks at a process
GRACE = 2.0  # seconds that it has to end by itself, when it is told to


@dataclass(frozen=True)
class Limit:
    """How long a remote is waited for, in seconds.

    Attributes:
        silence: without a byte from Git or to it.
        total: in all; None for no end.
    """

    silence: float
    total: float | None = None


def act(
    repository: Repository, remote: str, limit: Limit, is_slow: Callable[[], object],
    *arguments: str,
) -> str:  # fmt: skip
    """``run.act``, where a remote may be silent for ever.

    Args:
        repository: the clone.
        remote: the name of its remote.
        limit: how long it is waited for.
        is_slow: is called when it has taken ``SLOW`` seconds.
        arguments: of Git.

    Raises:
        Unavailable: it ended with an error.
        NoAnswer: it did not end within ``limit``, and was ended.
    """
    command = ["git", *QUIET, *arguments]
    environment = {**os.environ, "LANGUAGE": "C", "LC_ALL": "C", **ENVIRONMENT}
    # not pipes: a program that Git started could hold them open when Git itself has ended
    with scratch.file() as out, scratch.file() as err:
        try:
            process = subprocess.Popen(
                command, cwd=repository.top, env=environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip
        except FileNotFoundError:
            raise run.not_installed() from None
        with process:
            try:
                status = _status(process, limit, is_slow)
            except TimeoutError as error:
                name = redact.text(remote)
                what = f"{name} did not answer within {error} seconds"
                hint = f"check its address: git remote get-url {name}"
                raise NoAnswer(what, hint) from None
            finally:
                _end(process)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="surrogateescape"))
    if status != 0:
        raise run.failure(CommandFailed(status, texts[1]))
    return texts[0]


def _status(process: "subprocess.Popen[bytes]", limit: Limit, is_slow: Callable[[], object]) -> int:
    """The exit code.

    Raises:
        TimeoutError: it did not end in time; with the seconds.
    """
    began = heard = time.monotonic()
    before, is_told = None, False
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(STEP)
        now, traffic = time.monotonic(), _traffic(process.pid)
        if traffic is None or traffic != before:
            before, heard = traffic, now
        if now - began >= SLOW and not is_told:
            is_slow()
            is_told = True
        if limit.total is not None and now - began >= limit.total:
            raise TimeoutError(f"{limit.total:g}")
        if now - heard >= limit.silence:
            raise TimeoutError(f"{limit.silence:g}")


def _traffic(pid: int) -> int | None:
    """The bytes that a process and its descendants have read and written; None if nobody says.

    Git and its helper for a remote pass on by pipes what goes over the network, and what the
    remote sends to keep the connection alive (git-config(1), receive.keepAlive).
    """
    total, is_known = 0, False
    for each in (pid, *_descendants(pid)):
        with contextlib.suppress(OSError, ValueError, IndexError):
            read, written = Path(f"/proc/{each}/io").read_text().split("\n")[:2]
            total += int(read.split()[1]) + int(written.split()[1])
            is_known = True
    return total if is_known else None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its descendants, where it has not ended by itself."""
    if process.poll() is not None:
        return
    everyone = (*_descendants(process.pid), process.pid)
    _signal(everyone, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    _signal(everyone, signal.SIGKILL)


def _signal(pids: tuple[int, ...], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs: Git leaves its helper for a remote behind.

    A process group of its own would be simpler; but then ssh could not ask for a passphrase.
    """
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has just ended, or this is no Linux: there they end with their connection
        return []
    return [
        descendant for child in map(int, children) for descendant in (*_descendants(child), child)
    ]
