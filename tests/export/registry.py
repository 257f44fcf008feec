"""A registry of images on loopback, in this process, which may misbehave."""

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]
# Called with the method, the path and the headers; None: the usual answer.
Misbehave = Callable[[str, str, dict[str, str]], Answer | None]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class FakeRegistry:
    """What it has, what it was asked, and how it misbehaves."""

    host: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # with the Authorization
    misbehave: Misbehave = lambda *_: None

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.asked.append((method, path, headers.get("Authorization", "")))
        wrong = self.misbehave(method, path, headers)
        return wrong or self._usual(method, path, body)

    def _usual(self, method: str, path: str, body: bytes) -> Answer:
        if method == "POST" and path.endswith("/blobs/uploads/"):
            return 202, {"Location": f"{path}one?state=a"}, b""
        if method == "PUT" and "/blobs/uploads/" in path:
            self.blobs[digest(body)] = body
            return 201, {"Docker-Content-Digest": digest(body)}, b""
        kind, _, name = path.rpartition("/")
        if method == "PUT":
            self.manifests[name] = self.manifests[digest(body)] = body
            return 201, {"Docker-Content-Digest": digest(body)}, b""
        known = (self.manifests if kind.endswith("manifests") else self.blobs).get(name)
        if known is None:
            return 404, {}, b'{"errors": [{"code": "UNKNOWN", "message": "nothing here"}]}'
        return 200, {"Content-Type": MANIFEST}, known

    @property
    def pushes(self) -> list[str]:
        """What was sent: ``blob`` or ``manifest``, in order."""
        puts = [path for method, path, _ in self.asked if method == "PUT"]
        return [re.findall("blob|manifest", path)[0] for path in puts]


def _handler(registry: FakeRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, data = registry.answer(
                self.command, self.path, dict(self.headers), body
            )
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                with contextlib.suppress(OSError):
                    self.wfile.write(data)

        do_GET = do_HEAD = do_POST = do_PUT = _any  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that left before it had read all: whoever asks sees to that."""


@contextlib.contextmanager
def running() -> Iterator[FakeRegistry]:
    """A registry that answers on a port of its own."""
    registry = FakeRegistry()
    server = _Server(("127.0.0.1", 0), _handler(registry))
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
