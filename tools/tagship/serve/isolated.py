"""A model in a process of its own: its memory returns with it, and its crash is only its own.

TensorFlow keeps 29 MB of each model that it loaded, for as long as the process lives.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagship import errors
from tagship.disk import program
from tagship.errors import FailedHere, SelfTestFailed, TagshipError
from tagship.host.live import Live
from tagship.serve import wire
from tagship.serve.follow import back_off
from tagship.serve.generation import Gone, ModelFailed

if TYPE_CHECKING:
    from tagship.loaders import Signature
    from tagship.serve.generation import Arrays

logger = logging.getLogger("tagship.serve")
STEP = 0.1  # seconds between two looks at whether a version is still to be loaded
STEADY = 10.0  # seconds after which an end is no failure to start
KINDS: dict[str, type[TagshipError]] = {"ModelFailed": ModelFailed}


@dataclass(frozen=True)
class _Process:
    """A started process, and the socket to it."""

    process: "subprocess.Popen[bytes]"
    channel: socket.socket

    lock: threading.Lock  # nobody signals it while it is reaped: its id may be another's then

    def kill(self) -> None:
        """End it, with what it started; if it ended already, this does nothing."""
        with self.lock, contextlib.suppress(ProcessLookupError, PermissionError):
            if self.process.returncode is None:
                os.killpg(self.process.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end, and end what it started; its exit code."""
        if self.process.returncode is not None:
            return self.process.returncode
        if hasattr(os, "waitid"):  # macOS has it from Python 3.13 on
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
            self.kill()
        with self.lock:
            code = self.process.wait()
        with contextlib.suppress(OSError):  # closed when nobody waits for it any more
            self.channel.shutdown(socket.SHUT_RDWR)
        return code


class Isolated:
    """A version in a process of its own, which is started again when it ends.

    A thread of its own keeps it: Linux ends a child with the thread that started it.

    Args:
        live: the version.
        root: the folder of all models.
        seconds: that an answer may take; then the process is ended, as it may never answer.
        is_needed: it need not be loaded any more once this is false.

    Raises:
        TagshipError: it is damaged, does not load, or does not answer as it was released.
    """

    def __init__(
        self, live: Live, root: Path, seconds: float, is_needed: Callable[[], bool]
    ) -> None:
        self.signature: Signature
        self._live, self._root, self._seconds, self._is_needed = live, root, seconds, is_needed
        self._what = f"{live.model} {live.version}"
        self._lock = threading.Lock()  # a process answers one request at a time
        self._now: _Process | None = None
        self._closed = threading.Event()
        self._begun = threading.Event()
        self._error: Exception | None = None
        threading.Thread(target=self._keep, name=f"keep {self._what}", daemon=True).start()
        self._begun.wait()
        if self._error is not None:
            raise self._error

    @property
    def is_alive(self) -> bool:
        """Whether its process is there."""
        return self._now is not None

    @property
    def processes(self) -> tuple[int, ...]:
        """Its process."""
        now = self._now
        return () if now is None else (now.process.pid,)

    def answer(self, inputs: "Arrays") -> "Arrays":
        """The outputs for a batch, by name.

        Raises:
            Gone: its process has ended, or took too long and was ended.
            ModelFailed: the framework says that it cannot.
        """
        with self._lock:
            now = self._now
            if now is None:
                raise self._gone()
            try:
                wire.send(now.channel, {}, inputs)
                header, outputs = wire.receive(now.channel)
            except TimeoutError:
                logger.error("%s did not answer in %g s: it is ended", self._what, self._seconds)
                self._end(now)
                raise self._gone() from None
            except OSError:
                self._end(now)
                raise self._gone() from None
        if "error" in header:
            raise _error_in(header)
        return outputs

    def _gone(self) -> Gone:
        return Gone(f"the process of {self._what} has ended, and is being started again")

    def _end(self, now: _Process) -> None:
        """It is of no use any more; its keeper starts another one."""
        if self._now is now:
            self._now = None
        now.kill()

    def close(self) -> None:
        """End the process."""
        self._closed.set()
        now = self._now
        if now is not None:
            self._end(now)

    def _keep(self) -> None:
        """Start the process, and again whenever it ends."""
        tries = 0
        while not self._closed.is_set():
            started = time.monotonic()
            try:
                now = self._start()
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread that waits must hear of it
                if not self._begun.is_set():
                    self._error = error
                    self._begun.set()
                    return
                logger.warning("%s does not start again: %s", self._what, error)
            else:
                self._serve(now)
            is_steady = time.monotonic() - started > STEADY
            tries = 0 if is_steady else tries + 1
            if tries > 1:
                self._closed.wait(back_off(tries - 1))

    def _serve(self, now: _Process) -> None:
        """Let a process answer until it ends."""
        self._now = now
        self._begun.set()
        if self._closed.is_set():  # perhaps before it was there to be ended
            self._end(now)
        code = now.wait()
        self._now = None
        if not self._closed.is_set():
            logger.warning(
                "the process of %s ended %s: it is started again", self._what, _how(code)
            )

    def _start(self) -> _Process:
        """A process that is ready."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-m", "tagship.serve.child", str(theirs.fileno())]
            command += [str(self._root), self._live.model, self._live.directory.name]
            command += [str(os.getpid())]
            process = subprocess.Popen(
                command, cwd="/", env=program.for_framework(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        now = _Process(process, ours, threading.Lock())
        try:
            self.signature = self._wait_until_ready(now)
        except BaseException:
            now.kill()
            now.wait()
            raise
        ours.settimeout(self._seconds)
        return now

    def _wait_until_ready(self, now: _Process) -> "Signature":
        now.channel.settimeout(STEP)
        while not _has_data(now.channel):
            if not self._is_wanted():
                raise FailedHere(f"{self._what} is not to be loaded any more")
        now.channel.settimeout(self._seconds)
        try:
            header, _ = wire.receive(now.channel)
        except OSError:
            now.kill()
            how = _how(now.wait())
            raise SelfTestFailed(
                f"loading {self._what} ended its process {how}",
                f"see the log of the server; tagship verify {self._live.model}",
            ) from None
        if "error" in header:
            raise _error_in(header)
        return _signature_of(header["ready"])

    def _is_wanted(self) -> bool:
        return not self._closed.is_set() and (self._begun.is_set() or self._is_needed())


def _has_data(channel: socket.socket) -> bool:
    """Whether the other end said something, or ended."""
    try:
        channel.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def _error_in(header: dict[str, Any]) -> TagshipError:
    kind = KINDS.get(header["kind"], getattr(errors, header["kind"], TagshipError))
    error: TagshipError = kind(header["error"], header["hint"])
    return error


def _signature_of(value: dict[str, Any]) -> "Signature":
    from tagship.loaders import Signature, Tensor

    def tensors(side: str) -> tuple[Tensor, ...]:
        return tuple(Tensor(t["name"], t["type"], tuple(t["shape"])) for t in value[side])

    return Signature(tensors("inputs"), tensors("outputs"))


def _how(code: int) -> str:
    """How a process ended."""
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
