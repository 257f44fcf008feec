"""How long a DVC remote may be silent: around every call of DVC that asks one.

The libraries of the clouds have limits of their own, and repeat what failed: a silent S3 endpoint
holds a transfer for 25 minutes. Here the bytes count that arrive at this process, and those that
the other side has taken. A large transfer that goes on is never cut off.
"""

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tagship.errors import NoAnswer
from tagship.progress import SLOW, WAITING, Tell, nobody

# Seconds, fewer than the 60 after which the libraries try again. DVC's options can make it more.
SILENCE = 45.0
OPTIONS = ("read_timeout", "connect_timeout", "connection_timeout", "timeout")  # of DVC 3.67
STEP = 0.2  # seconds between two looks
# An attempt that is repeated sends a request each time, which a silent remote's system takes.
REQUEST = 1 << 14  # bytes
COUNTS = 120  # where tcpi_bytes_acked and tcpi_bytes_received are in linux/tcp.h, since Linux 4.2

T = TypeVar("T")


def silence(options: Mapping[str, object]) -> float:
    """The seconds that a remote may be silent, by its options."""
    values = [SILENCE]
    for name in OPTIONS:
        with contextlib.suppress(TypeError, ValueError):
            values.append(float(str(options.get(name))))
    return max(values)


@dataclass
class Patience:
    """Waits for a remote.

    Attributes:
        name: of the remote, with its address, for a person.
        silence: seconds that it may be silent.
        tell: is told whom is waited for, once.
    """

    name: str
    silence: float = SILENCE
    tell: Tell = nobody
    is_told: bool = False

    def wait(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Call a function of DVC that asks the remote.

        Raises:
            NoAnswer: the remote is silent. The call goes on in a thread that nobody waits for.
        """
        call = _Call(lambda: function(*arguments, **options))
        threading.Thread(target=call.run, name=WAITING, daemon=True).start()
        traffic, heard = _Traffic(), time.monotonic()
        while not call.is_over.wait(STEP):
            now = time.monotonic()
            if traffic.has_moved():
                heard = now
            if now - heard >= SLOW and not self.is_told:
                self.is_told = True
                self.tell(f"waiting for {self.name}")
            if now - heard >= self.silence:
                raise NoAnswer(
                    f"{self.name} did not answer within {self.silence:g} seconds",
                    "check its address: dvc remote list",
                )
        return call.result()  # type: ignore[no-any-return] # the function's


@dataclass
class _Call:
    """A call in a thread, and what came of it."""

    function: Callable[[], Any]
    is_over: threading.Event = field(default_factory=threading.Event)
    value: Any = None
    error: BaseException | None = None

    def run(self) -> None:
        try:
            self.value = self.function()
        except BaseException as error:  # noqa: BLE001 - it is raised where the call is waited for
            self.error = error
        self.is_over.set()

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


class _Traffic:
    """The bytes of this process's TCP connections since the last look."""

    def __init__(self) -> None:
        self._before = _counts() or {}
        self._taken = 0

    def has_moved(self) -> bool:
        """Whether a remote was heard of since the last time; yes, where the system does not say."""
        now = _counts()
        if now is None:
            return True
        before, self._before = self._before, now
        received = 0
        for key, (taken, arrived) in now.items():
            taken_before, arrived_before = before.get(key, (0, 0))
            self._taken += max(taken - taken_before, 0)
            received += max(arrived - arrived_before, 0)
        if received or self._taken >= REQUEST:
            self._taken = 0
            return True
        return False


def _counts() -> dict[str, tuple[int, int]] | None:
    """Bytes taken by the other side, and arrived from there, of each connection by its inode.

    None where it is not known: not on Linux, or without /proc.
    """
    folder = Path("/proc/self/fd")
    try:
        entries = list(folder.iterdir())
    except OSError:
        return None
    counts = {}
    for entry in entries:
        with contextlib.suppress(OSError, struct.error):
            name = str(entry.readlink())
            if name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as connection:
                    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                counts[name] = struct.unpack_from("QQ", info, COUNTS)
    return counts
