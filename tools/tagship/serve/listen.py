"""uvicorn on a socket: with limits of time for who sends slowly, and of connections.

uvicorn itself waits for ever for the end of a request, and takes any number of connections.
"""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import TYPE_CHECKING, Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from tagship.serve import protocol, signals
from tagship.serve.settings import Settings
from tagship.serve.sockets import BACKLOG

if TYPE_CHECKING:
    from array import array

    from tagship.serve.guard import App

MAX_HEAD = 64 << 10  # bytes of the first line and the headers of a request
SWEEP = 0.5  # seconds between two looks at which connections are late
LINGER = 5.0  # seconds for the last bytes of a connection that is being closed
SPARE = 256  # descriptors besides those of connections
ANSWER = "answer "  # how the names of threads that answer begin
LEAVE = 1.0  # seconds for threads that answer, once all connections are closed
KIND = b"content-type: application/json\r\n"

logger = logging.getLogger("tagship.serve")


def allow_connections(count: int) -> None:
    """Allow this process so many connections, as far as its limit of open files can be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + SPARE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


# ---- a connection


class TooLarge(Exception):
    """The head of a request is."""


class Parser(httptools.HttpRequestParser):
    """httptools', for which a request to change the protocol is like any other.

    Else the body of such a request would be lost, or taken for the next request. Java's client
    asks for HTTP/2 so, with its first request.

    Args:
        connection: is told of what is parsed.
    """

    def __init__(self, connection: "Connection") -> None:
        super().__init__(connection)
        self._connection = connection
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does

    def feed_data(self, data: "bytes | bytearray | memoryview | array[int]") -> None:
        """Parse what was sent."""
        parser = self
        while True:
            try:
                super(Parser, parser).feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._connection.has_tunnel:
                    raise
                rest = memoryview(data)[upgrade.args[0] :]
                head = self._connection.plain_head()
                parser = self._connection.parser = Parser(self._connection)
                super(Parser, parser).feed_data(head)
                data = rest
            except httptools.HttpParserError:
                return self._connection.send_400_response("")
            else:
                return None


class Connection(HttpToolsProtocol):
    """uvicorn's, with limits. ``settings`` are those of the server, see ``run``.

    ``deadline`` is when what the client sends now has to be complete: the head of a request, then
    its body. None while it waits for an answer, or its connection is idle (uvicorn's own timer).
    """

    settings: Settings
    deadline: float | None = None
    closing: float | None = None  # when it has to be gone
    is_blocked = False  # the client does not read its answer
    head = 0  # bytes of a head that is not complete yet
    chunk = 0  # bytes that arrived last
    is_in_head = False  # of a request
    is_too_large = False  # the head
    is_in_body = False  # of a request, which may have its answer already

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.parser = Parser(self)
        self._asked: deque[RequestResponseCycle] = deque()  # in their order; the first is answered

    @property
    def has_tunnel(self) -> bool:
        """Whether the client asks for a tunnel, which has no body."""
        return bool(self.parser.get_method() == b"CONNECT")

    def plain_head(self) -> bytes:
        """The head of the request that was parsed last, without its wish for another protocol."""
        version = self.parser.get_http_version().encode()
        first = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)
        lines = [b"%s: %s" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([first, *lines, b"", b""])

    @property
    def _is_to_be_read_again(self) -> bool:
        return self.parser.should_upgrade() and not self.has_tunnel

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it if there are too many."""
        super().connection_made(transport)
        self._expect(self.settings.header_timeout)
        if len(self.connections) > self.settings.max_connections:
            self._turn_away(503, "too many connections", b"retry-after: 1\r\n")

    def data_received(self, data: bytes) -> None:
        """Take what was sent."""
        if self.transport.is_closing():
            return
        if self._is_idle and self.deadline is None:
            self._expect(self.settings.header_timeout)
        self.chunk = len(data)
        if not self.is_in_body:
            self.head += self.chunk
        super().data_received(data)
        if self.head > MAX_HEAD and self.deadline is not None and self._is_idle:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """The first byte of a request has arrived."""
        super().on_message_begin()
        self.is_in_head = True
        if self._is_idle:
            self._expect(self.settings.header_timeout)

    def on_headers_complete(self) -> None:
        """The head is complete: the body has its own time."""
        if self._is_to_be_read_again:
            return
        if max(self.head, self.chunk) > MAX_HEAD // 2 and self._head_size() > MAX_HEAD:
            self.is_too_large = True
            raise TooLarge  # for the parser, which calls send_400_response
        self.head, self.is_in_head, self.is_in_body = 0, False, True
        self._expect(self.settings.body_timeout)
        super().on_headers_complete()
        self._asked.append(self.cycle)

    def on_message_complete(self) -> None:
        """All of the request has arrived."""
        if self._is_to_be_read_again:
            return
        self.head, self.is_in_body = 0, False
        self.deadline = None
        if self._is_idle:  # it has its answer, and uvicorn waits for nothing
            self._expect(self.settings.idle_timeout)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next request may be answered, and has its time from now on if it is not whole."""
        self._asked.popleft()
        if self._is_idle and self.is_in_head:
            self._expect(self.settings.header_timeout)
        super().on_response_complete()
        if not self._is_idle and self.cycle.more_body and not self.pipeline:
            self._expect(self.settings.body_timeout)

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered."""
        super().pause_writing()
        self.is_blocked = True
        self._expect(self.settings.body_timeout)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        self.is_blocked, self.deadline = False, None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - of uvicorn
        """Say that what was sent is not HTTP."""
        cycle = self.cycle
        is_body = not self._is_idle and cycle.more_body and not cycle.response_started
        if self.is_too_large and self._is_idle:
            self._refuse_head()
        elif self._is_idle or (is_body and not self.pipeline):
            self._turn_away(400, "the request is not valid HTTP")
        else:  # in the middle of an answer
            self.transport.close()

    def sweep(self, now: float) -> None:
        """End the connection if it is late."""
        if self.transport.is_closing():
            self.closing = self.closing or now + LINGER
            if now > self.closing:
                self._drop()
        elif self.deadline is not None and now > self.deadline:
            self._end_late()

    def _end_late(self) -> None:
        cycle = self.cycle
        if self.is_blocked:
            self._drop()
        elif self.pipeline:  # it is not read before others are answered
            self.deadline = None
        elif self._is_idle and self.is_in_body:  # it was answered, and goes on sending
            self._drop()
        elif self._is_idle and not (self.head or self.is_in_head):  # nothing was sent
            self.transport.close()
        elif self._is_idle or (cycle.more_body and not cycle.response_started):
            self._turn_away(408, "the request took too long to arrive")
        elif cycle.more_body:  # it was answered, and goes on sending
            self._drop()
        else:  # the next request waits for this one's answer
            self.deadline = None

    def _drop(self) -> None:
        """Close at once: what was not sent yet is lost."""
        self._forget()
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or was cut off."""
        self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        """Write no answer any more: uvicorn knows so of the request that arrived last alone."""
        for cycle in self._asked:
            cycle.disconnected = True

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _expect(self, seconds: float) -> None:
        self.deadline = self.loop.time() + seconds

    def _head_size(self) -> int:
        """About the bytes of a head that is complete."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_head(self) -> None:
        self._turn_away(431, f"the head of the request is larger than {MAX_HEAD} bytes")

    def _turn_away(self, status: int, text: str, header: bytes = b"") -> None:
        """Answer without asking the application, and close."""
        body = protocol.error(text)
        length = b"content-length: %d\r\n" % len(body)
        end = b"connection: close\r\n\r\n"
        self.transport.write(b"".join([STATUS_LINE[status], KIND, length, header, end, body]))
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # its task must not answer too
            self.cycle.message_event.set()
        self.transport.close()


# ---- the server


class Server(uvicorn.Server):
    """uvicorn's, which ends on SIGTERM and SIGINT without raising them again.

    Args:
        config: of uvicorn.
        started: is called once, when connections are accepted.
    """

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        self._sweeper = asyncio.create_task(self._sweep())
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: no new connections, then no idle ones, then none."""
        await super().shutdown(sockets)
        self._sweeper.cancel()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP)
            now = loop.time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.sweep(now)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in order on these signals, at once on the second."""
        with signals.handled(dict.fromkeys((signal.SIGINT, signal.SIGTERM), self.handle_exit)):
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - of uvicorn
        """Begin to end."""
        self.force_exit = self.should_exit
        self.should_exit = True


def run(
    app: "App",
    listener: socket.socket,
    settings: Settings,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Answer on a socket until SIGTERM or SIGINT, then end the requests that are being answered.

    Args:
        app: answers.
        listener: see ``bind``.
        settings: the limits.
        started: is called once, when connections are accepted.
    """
    allow_connections(settings.max_connections)
    server(app, settings, started).run([listener])


def leave(pools: Iterable[ThreadPoolExecutor]) -> None:
    """End this process, if a model still works on a request: else Python would wait for it.

    Args:
        pools: in which models answer; they are shut down.
    """
    for pool in pools:
        pool.shutdown(wait=False, cancel_futures=True)
    end = time.monotonic() + LEAVE
    for thread in threading.enumerate():
        if thread.name.startswith(ANSWER):
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                logger.warning("a request that has not ended is cut off")
                os._exit(0)


def server(app: "App", settings: Settings, started: Callable[[], None]) -> Server:
    """The server of ``run``, which also ends once its ``should_exit`` is true."""
    config = uvicorn.Config(
        app,
        http=type("Connection", (Connection,), {"settings": settings}),
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.idle_timeout,  # type: ignore[arg-type] # call_later takes parts
        timeout_graceful_shutdown=settings.stop_timeout,  # type: ignore[arg-type] # of a second
    )
    return Server(config, started)
