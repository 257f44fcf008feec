"""A proxy on loopback that can be slow, and that notes what passes: a store that is far away."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

BLOCK = 1 << 18  # bytes
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Pace:
    """How far away the store is.

    Attributes:
        rate: bytes per second of each connection, in each direction; 0: as fast as it goes.
        delay: seconds that a new connection waits, and then each request.
    """

    rate: float = 0.0
    delay: float = 0.0

    @property
    def block(self) -> int:
        """How much is sent at a time: a hundredth of a second's worth where there is a rate."""
        return min(BLOCK, max(1, int(self.rate / 100))) if self.rate else BLOCK


@dataclass
class Passed:
    """What passed, with the time of each in seconds since the epoch.

    Attributes:
        connections: when each was opened.
        requests: the first line of each (``GET /bucket/key HTTP/1.1``).
        answers: bytes on their way back.
    """

    connections: list[float] = field(default_factory=list)
    requests: list[tuple[float, str]] = field(default_factory=list)
    answers: list[tuple[float, int]] = field(default_factory=list)


Asked = Callable[[str], object]


def _nothing(_: str) -> None:
    return None


@contextlib.contextmanager
def before(
    port: int, pace: Pace | None = None, asked: Asked = _nothing
) -> Iterator[tuple[int, Passed]]:
    """A proxy before a server on this machine.

    Args:
        port: of the server.
        pace: how slow it is; by default not at all.
        asked: is called with the first line of each request before it is passed on.

    Yields:
        The proxy's own port, and what has passed so far.
    """
    passed = Passed()
    with socket.create_server((LOOPBACK, 0)) as listener:
        accept = threading.Thread(
            target=_accept, args=(listener, port, pace or Pace(), asked, passed), daemon=True
        )
        accept.start()
        try:
            yield listener.getsockname()[1], passed
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # a close alone does not wake accept()
            accept.join()


def _accept(listener: socket.socket, port: int, pace: Pace, asked: Asked, passed: Passed) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        passed.connections.append(time.time())
        connection = _Connection(client, pace, asked, passed)
        threading.Thread(target=connection.serve, args=(port,), daemon=True).start()


class _Connection:
    """One connection of a client, and that to the server behind it."""

    def __init__(self, client: socket.socket, pace: Pace, asked: Asked, passed: Passed) -> None:
        self._client, self._pace, self._asked, self._passed = client, pace, asked, passed
        self._answered = True  # whether what the client sends next begins a request

    def serve(self, port: int) -> None:
        """Pass on both directions until one of them ends."""
        time.sleep(self._pace.delay)
        with self._client, socket.create_connection((LOOPBACK, port)) as server:
            back = threading.Thread(target=self._answer, args=(server,), daemon=True)
            back.start()
            self._request(server)
            back.join()

    def _request(self, server: socket.socket) -> None:
        for data in _blocks(self._client, server, self._pace.block):
            if self._answered:
                self._answered = False
                line = data.partition(b"\r\n")[0].decode("ascii", "replace")
                self._passed.requests.append((time.time(), line))
                self._asked(line)
                time.sleep(self._pace.delay)
            _send(server, self._client, data)

    def _answer(self, server: socket.socket) -> None:
        begun, sent = time.monotonic(), 0
        for data in _blocks(server, self._client, self._pace.block):
            if not self._answered:
                self._answered = True
                begun, sent = time.monotonic(), 0
            _send(self._client, server, data)
            self._passed.answers.append((time.time(), len(data)))
            if self._pace.rate:
                sent += len(data)
                time.sleep(max(0.0, begun + sent / self._pace.rate - time.monotonic()))


def _blocks(source: socket.socket, target: socket.socket, size: int) -> Iterator[bytes]:
    """What arrives, until the source ends or is cut; then the target ends too."""
    with contextlib.suppress(OSError):
        while data := source.recv(size):
            yield data
    _cut(source, target)


def _send(target: socket.socket, source: socket.socket, data: bytes) -> None:
    """Pass on to the target; where that is gone the source ends too."""
    try:
        target.sendall(data)
    except OSError:
        _cut(source, target)


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
