"""Git where it talks to a remote: bounded in time and size, and ended with all that it started.

A remote that sends or takes bytes is not cut off, however long that takes; one that is silent is,
and one that sends more than it may. Traffic is measured from outside, a few times a second. What
must hold at any moment, also where Git ends sooner, the kernel holds: the bytes of a file and the
memory of each process (setrlimit(2)).
"""

import contextlib
import errno
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tagship.disk import scratch
from tagship.errors import NoAnswer, TagshipError, Unavailable
from tagship.git import run
from tagship.git.run import ENVIRONMENT, QUIET, CommandFailed, Repository
from tagship.progress import SLOW
from tagship.text import redact

STEP = 0.2  # seconds between two looks at a process
GRACE = 2.0  # seconds that it has to end by itself, when it is told to
MOST_WORDS = 1 << 16  # bytes of Git's messages that are read: a remote writes some of them
NOT_FOUND = 127  # the exit code of a shell that finds no program
TOO_LONG = os.strerror(errno.EFBIG)
NO_MEMORY = re.compile("[Oo]ut of memory|Cannot allocate memory")
HOOK = "the pre-push hook of this clone refused"
HOOK_LINES = 3  # of what it says: the last ones
# What Git says too where a push fails without that hook (2.39.5): send-pack, refspecs, remotes.
_OF_GIT = re.compile(r"^(fatal:| ! |remote:|To |error: src refspec )", re.MULTILINE)


@dataclass(frozen=True)
class Limit:
    """How long a remote is waited for, in seconds, and how much it may send.

    Attributes:
        silence: without a byte from Git or to it.
        total: in all; None for no end.
        traffic: bytes that Git's processes may read and write, all together; None for no end. They
            pass on by pipes and files what comes over the network: it is some ten times as much.
        file: bytes that each file may have which they write; None for no end.
        memory: bytes of memory that each of them may have, mapped files included; None for no end.
    """

    silence: float
    total: float | None = None
    traffic: int | None = None
    file: int | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Question:
    """What Git is told beside its arguments.

    Attributes:
        check: the command that checks the address of the remote.
        stdin: its standard input.
        environment: what is added to the usual one.
    """

    check: str
    stdin: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)


def act(
    repository: Repository, remote: str, limit: Limit, is_slow: Callable[[], object],
    *arguments: str, more: Question | None = None,
) -> str:  # fmt: skip
    """``run.act``, where a remote may be silent for ever.

    Args:
        repository: the clone.
        remote: the name of its remote.
        limit: how long it is waited for, and how much it may send.
        is_slow: is called when it has taken ``SLOW`` seconds.
        arguments: of Git.
        more: what it is told beside them.

    Raises:
        Unavailable: it ended with an error; or TooMuch: it sends more than it may.
        NoAnswer: it did not end within ``limit``, and was ended.
    """
    name = redact.text(remote)
    more = more or Question(f"git remote get-url {name}")
    command = [*_within(limit), "git", *QUIET, *arguments]
    environment = {
        **os.environ, "LANGUAGE": "C", "LC_ALL": "C", **ENVIRONMENT, **repository.environment,
        **more.environment,
    }  # fmt: skip
    # not pipes: a program that Git started could hold them open when Git itself has ended
    with scratch.file() as questions, scratch.file() as out, scratch.file() as err:
        questions.write(more.stdin)
        questions.seek(0)
        try:
            process = subprocess.Popen(
                command, cwd=repository.top, env=environment,
                stdin=questions, stdout=out, stderr=err, umask=run.umask(repository),
            )  # fmt: skip
        except FileNotFoundError as error:
            raise run.without_git(error) from None
        with process:
            try:
                status = _status(process, limit, is_slow)
            except _CutOff as cut:
                raise cut.error(name, f"check its address: {more.check}") from None
            finally:
                _end(process)
        if status != 0:
            words = _text(err, MOST_WORDS)
            raise (
                _too_much(name, limit, status, words)
                or _refused_by_hook(_text(out, MOST_WORDS), words)
                or run.failure(CommandFailed(status, words))
            )
        return _text(out)


def _within(limit: Limit) -> list[str]:
    """What starts Git under the limits of the kernel: they hold for all that Git starts, too.

    By the shell, before Git begins: prlimit(2) from here would come too late for a process that it
    has started by then, and code of Python between fork and exec is not safe beside threads. Where
    a system has no such limit, or has a lower one already, that stays. Without the signal of the
    first one, Git itself says what went wrong.
    """
    limits = [("f", limit.file, 512), ("v", limit.memory, 1024)]  # and their units: ulimit(1p)
    orders = [f"ulimit -{key} {size // unit} 2>/dev/null" for key, size, unit in limits if size]
    return ["sh", "-c", "; ".join(["trap '' XFSZ", *orders, 'exec "$@"']), "sh"] if orders else []


def _too_much(remote: str, limit: Limit, status: int, words: str) -> TagshipError | None:
    """The error where a limit of the kernel ended Git; None where it was something else."""
    if status == NOT_FOUND:
        return run.not_installed()
    what = f"{remote} sends too much: Git was ended at"
    if limit.file and TOO_LONG in words:
        return TooMuch(f"{what} {limit.file:,} bytes of a file", "")
    if limit.memory and NO_MEMORY.search(words):
        return TooMuch(f"{what} {limit.memory:,} bytes of memory", "")
    return None


def _refused_by_hook(said: str, words: str) -> Unavailable | None:
    """The error where this clone's own hook stops a push: Git itself says only that it failed.

    Args:
        said: standard output, which a hook shares with Git.
        words: standard error, the same.
    """
    *before, last = words.rstrip().split("\n")
    if not last.startswith("error: failed to push some refs to ") or _OF_GIT.search(words):
        return None
    lines = [line.strip() for line in (*said.splitlines(), *before)]
    lines = [line for line in lines if line and not line.startswith("hint:")]  # those are Git's
    text = redact.text("; ".join(lines[-HOOK_LINES:]) or "it does not say why")
    return Unavailable(f"{HOOK}: {text}")


def _text(file: BinaryIO, most: int = -1) -> str:
    file.seek(0)
    return file.read(most).decode(errors="surrogateescape")


class TooMuch(Unavailable):
    """A remote sent more than it may."""


class _CutOff(Exception):
    """A remote that is waited for no longer."""

    def error(self, remote: str, hint: str) -> TagshipError:
        """The error to raise for it."""
        return NoAnswer(f"{remote} did not answer within {self} seconds", hint)


class _Endless(_CutOff):
    def error(self, remote: str, hint: str) -> TagshipError:
        return TooMuch(f"{remote} sends too much: Git was ended after {self} bytes", hint)


def _status(process: "subprocess.Popen[bytes]", limit: Limit, is_slow: Callable[[], object]) -> int:
    """The exit code.

    Raises:
        _CutOff: it did not end within the limit.
    """
    began = heard = time.monotonic()
    traffic: dict[int, int] = {}
    before, is_told = None, False
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(STEP)
        now, count = time.monotonic(), _traffic(process.pid, traffic)
        if count is None or count != before:
            before, heard = count, now
        if now - began >= SLOW and not is_told:
            is_slow()
            is_told = True
        if limit.traffic is not None and (count or 0) > limit.traffic:
            raise _Endless(f"{count:,}")
        if limit.total is not None and now - began >= limit.total:
            raise _CutOff(f"{limit.total:g}")
        if now - heard >= limit.silence:
            raise _CutOff(f"{limit.silence:g}")


def _traffic(pid: int, counts: dict[int, int]) -> int | None:
    """The bytes that a process and its descendants have read and written; None if nobody says.

    Git and its helper for a remote pass on by pipes what goes over the network, and what the
    remote sends to keep the connection alive (git-config(1), receive.keepAlive).

    Args:
        pid: the process.
        counts: by process, also of those that have ended since the last call.
    """
    for each in (pid, *_descendants(pid)):
        with contextlib.suppress(OSError, ValueError, IndexError):
            read, written = Path(f"/proc/{each}/io").read_text().split("\n")[:2]
            counts[each] = int(read.split()[1]) + int(written.split()[1])
    return sum(counts.values()) if counts else None


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
