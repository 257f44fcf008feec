"""One question by HTTP, within bounds: its time, and the bytes of the answer.

Not ``requests``, nor ``urllib``: no redirect is followed, no proxy or netrc of the environment
counts, and the time is that of the whole answer, where a socket's is that of one read: a server
that sends a byte a second is cut off.
"""

import contextlib
import http.client
import io
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tagship.text import escape, redact

LONGEST = 64 << 10  # bytes of an answer, with its headers
STEP = 0.1  # seconds between two looks at whether the answer is still needed


class NoAnswer(Exception):
    """Nobody answered: the connection was refused or broken, or the time was over."""


class WrongAnswer(Exception):
    """What came is no answer of HTTP, or too long."""


@dataclass(frozen=True)
class Answer:
    """A status, such as 200, and the body."""

    status: int
    body: bytes


def get(url: str, seconds: float, is_needed: Callable[[], bool] = lambda: True) -> Answer:
    """Ask for a page.

    Args:
        url: of ``http`` or ``https``, without user and password.
        seconds: the time for all of it: name, connection, question and answer.
        is_needed: it is given up once this is false.

    Raises:
        NoAnswer: it could not be asked, or did not answer in time.
        WrongAnswer: it answered, and not as HTTP has it, or too much.
    """
    question, end = _Question(url, seconds), time.monotonic() + seconds
    # a thread: nothing bounds how long a name is resolved, or how slowly an answer drips
    threading.Thread(target=question.ask, daemon=True).start()
    while not question.is_over.wait(STEP):
        if time.monotonic() > end or not is_needed():
            question.give_up()
            raise NoAnswer(f"no answer within {seconds:g} s")
    if isinstance(question.result, Exception):
        raise question.result
    return question.result


class _Question:
    """A question under way, in a thread of its own."""

    def __init__(self, url: str, seconds: float) -> None:
        self._parts, self._seconds = urlsplit(url), seconds
        self._socket: socket.socket | None = None
        self._is_given_up = False
        self.result: Answer | NoAnswer | WrongAnswer = NoAnswer("no answer")
        self.is_over = threading.Event()

    def ask(self) -> None:
        """Ask, and keep the answer, or the reason why there is none."""
        try:
            self.result = self._answer()
        except Exception as error:  # noqa: BLE001 - its socket may be closed under it at any moment
            self.result = _of(error)
        finally:
            if self._socket is not None:
                self._socket.close()
            self.is_over.set()

    def give_up(self) -> None:
        """End the connection, and so the thread that reads from it, which closes the socket."""
        self._is_given_up = True
        if self._socket is not None:
            _shut_down(self._socket)

    def _answer(self) -> Answer:
        connection = self._connect()
        connection.sendall(self._text())
        response = http.client.HTTPResponse(_Counted(connection), method="GET")  # type: ignore[arg-type] # all that it needs is makefile
        response.begin()
        return Answer(response.status, response.read())

    def _connect(self) -> socket.socket:
        parts = self._parts
        is_safe = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if is_safe else 80)
        patience = self._seconds + 1  # for one read, where nobody could give up: see get
        connection = self._socket = socket.create_connection((host, port), patience)
        if is_safe:
            import ssl  # 15 ms, and only for https

            context = ssl.create_default_context()
            connection = self._socket = context.wrap_socket(
                connection, server_hostname=host, do_handshake_on_connect=False
            )
            connection.do_handshake()
        if self._is_given_up:
            raise ConnectionAbortedError
        return connection

    def _text(self) -> bytes:
        parts = self._parts
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = (
            f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", "User-Agent: tagship",
            "Accept: application/json, */*", "Accept-Encoding: identity", "Connection: close",
        )  # fmt: skip
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


class _Counted(io.RawIOBase):
    """The bytes of a socket, and no more than ``LONGEST``."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection, self._left = connection, LONGEST

    def makefile(self, _: str) -> io.BufferedReader:
        """What ``http.client`` reads from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Asked by the buffer above."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override] # so it is called
        """Read what there is."""
        if self._left == 0:
            raise WrongAnswer(f"the answer is longer than {LONGEST >> 10} kB")
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is not connected any more
        connection.shutdown(socket.SHUT_RDWR)


def _of(error: Exception) -> NoAnswer | WrongAnswer:
    """A server that hangs up has not answered; one that says something else has."""
    if isinstance(error, WrongAnswer):
        return error
    if isinstance(error, http.client.IncompleteRead):
        return NoAnswer("the connection was closed before the answer was complete")
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = escape.line(redact.text(str(text).strip()))[:200]
    is_answer = isinstance(error, http.client.HTTPException) and not isinstance(error, OSError)
    return WrongAnswer(f"no answer of HTTP: {text}") if is_answer else NoAnswer(text)
