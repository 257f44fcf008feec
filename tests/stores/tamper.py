"""A proxy on loopback before a store: it changes the answers to what is asked of objects.

It hands the Host header on, so that the signature of a request stays valid. What is no object's
(a bucket, a list, an upload) passes as it is.
"""

import contextlib
import http.client
import http.server
import os
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

BLOCK = 1 << 16
MOST = 256 << 20  # bytes of a body that never ends, where nobody hangs up
PATIENCE = 120  # seconds, of a connection that stalls
HOP = ("connection", "keep-alive", "transfer-encoding", "expect", "content-length")
OBJECT = re.compile(r"files/md5/[0-9a-f]{2}/[0-9a-f]{30}")
Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Original:
    """What the store answers."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """A header's value; empty if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def without(self, *names: str) -> Headers:
        """The headers but these, and but those of a connection."""
        return [(key, value) for key, value in self.headers if key.lower() not in (*names, *HOP)]


@dataclass(frozen=True)
class Request:
    """What was asked: kept, so that a test can look at it."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def is_object(self) -> bool:
        """Whether it is about an object."""
        return self.method in ("GET", "HEAD") and bool(OBJECT.search(unquote(self.path)))

    @property
    def is_data(self) -> bool:
        """Whether it asks for the bytes of an object; Google has two addresses for an object."""
        parts = urlsplit(self.path)
        is_of_google = parts.path.startswith("/storage/v1/b/")
        is_bytes = "alt=media" in parts.query if is_of_google else "comp=" not in parts.query
        return self.method == "GET" and self.is_object and is_bytes


@dataclass
class Exchange:
    """A request, and the connection that waits for the answer.

    Attributes:
        number: how many requests that the answer is for came before.
    """

    request: Request
    number: int
    handler: "Handler"

    @property
    def proxy(self) -> "Proxy":
        """The proxy that it came to."""
        return self.handler.proxy

    @cached_property
    def original(self) -> Original:
        """What the store answers; it is asked once."""
        return self.handler.ask()

    @property
    def first(self) -> int:
        """The first byte that was asked for."""
        headers = self.request.headers
        asked = headers.get("x-ms-range") or headers.get("range", "")
        bounds = re.match(r"bytes=(\d+)-", asked)
        return int(bounds[1]) if bounds else 0

    def send(
        self, status: int, headers: Headers, body: bytes = b"", length: int | str | None = None
    ) -> None:
        """Answer; ``length`` is what the header says of it, by default the truth."""
        length = len(body) if length is None else length
        self.start(status, [*headers, ("Content-Length", str(length))])
        self.write(body)

    def start(self, status: int, headers: Headers) -> None:
        """Begin to answer."""
        self.handler.send_response_only(status)
        for name, value in headers:
            self.handler.send_header(name, value)
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        """Send bytes of a body, in blocks, counted."""
        if self.request.method == "HEAD":
            return
        for start in range(0, len(data), BLOCK):
            block = data[start : start + BLOCK]
            self.handler.wfile.write(block)
            self.proxy.count(len(block))
            if self.proxy.pace:
                threading.Event().wait(len(block) / self.proxy.pace)

    def pass_on(self) -> None:
        """Answer as the store does."""
        original = self.original
        length = original.header("content-length") if self.request.method == "HEAD" else None
        self.send(original.status, original.without(), original.body, length or None)

    def hang_up(self) -> None:
        """End the connection in an orderly way."""
        self.handler.close_connection = True

    def reset(self) -> None:
        """Cut the connection: what the other side has not read yet is lost."""
        self.hang_up()
        self.handler.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        os.close(self.handler.connection.detach())

    def stall(self) -> None:
        """Say nothing any more, until the other side hangs up."""
        self.handler.wfile.flush()
        self.handler.connection.settimeout(PATIENCE)
        with contextlib.suppress(OSError):
            while self.handler.connection.recv(BLOCK):
                pass
        self.hang_up()


Answer = Callable[[Exchange], None]


def honest(exchange: Exchange) -> None:
    """As the store answers."""
    exchange.pass_on()


class Handler(http.server.BaseHTTPRequestHandler):
    """A connection to the proxy."""

    protocol_version = "HTTP/1.1"
    proxy: "Proxy"

    def setup(self) -> None:
        """Keep what the system buffers small, for what was sent is counted."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BLOCK)
        super().setup()
        self.proxy.connections.add(self.request)

    def finish(self) -> None:
        """Forget the connection."""
        self.proxy.connections.discard(self.request)
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def handle(self) -> None:
        """Until the other side has enough."""
        with contextlib.suppress(OSError, ValueError):
            super().handle()

    def do_GET(self) -> None:
        """Answer any method."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers)
        self.body = self._read_body()
        self.proxy.answer_to(request, self)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def ask(self) -> Original:
        """Ask the store what was asked here."""
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in HOP:
                    connection.putheader(name, value)
            if self.body or self.command in ("PUT", "POST"):
                connection.putheader("Content-Length", str(len(self.body)))
            connection.endheaders(self.body or None)
            response = connection.getresponse()
            return Original(response.status, response.getheaders(), response.read())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class Server(http.server.ThreadingHTTPServer):
    """A server whose threads nobody waits for."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody who hangs up is no error here."""


@dataclass
class Proxy:
    """The proxy: where it is, what it was asked, and what it sent.

    Attributes:
        upstream: host and port of the store.
        answer: what is answered to a request for an object.
        kind: of the store, as DVC calls it.
        every: whether it is the answer to each request about an object, or to those for bytes.
        elsewhere: the address of another host.
        pace: bytes a second of each connection, as of a far store; 0 for no limit.
        requests: about objects, in the order in which they came.
        sent: bytes of bodies of objects.
        asked: how many requests came, whatever they were about.
    """

    upstream: str
    answer: Answer = honest
    kind: str = "http"
    every: bool = False
    elsewhere: str = ""
    pace: float = 0
    requests: list[Request] = field(default_factory=list)
    sent: int = 0
    port: int = 0
    scheme: str = "http"
    asked: int = 0
    connections: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: int = 0

    @property
    def address(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def count(self, size: int) -> None:
        """Count bytes that were sent."""
        with self._lock:
            self.sent += size

    def answer_to(self, request: Request, handler: Handler) -> None:
        """Answer as the store, or as told."""
        is_meant = request.is_object if self.every else request.is_data
        with self._lock:
            self.asked += 1
            if request.is_object:
                self.requests.append(request)
            number = self._numbers
            self._numbers += is_meant
        exchange = Exchange(request, number, handler)
        (self.answer if is_meant else honest)(exchange)


@contextlib.contextmanager
def running(proxy: Proxy, context: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy until the block ends, with TLS where there is a context."""

    class OfProxy(Handler):
        pass

    OfProxy.proxy = proxy
    with Server(("127.0.0.1", 0), OfProxy) as server:
        if context:
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
            proxy.scheme = "https"
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
            for connection in list(proxy.connections):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
