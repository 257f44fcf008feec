"""git-http-backend behind a small server on loopback, which counts, and misbehaves when told to."""

import contextlib
import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

# Answers instead of Git: gets the handler, and Git's answer; True where it did.
Misbehave = Callable[["Handler", bytes], bool]


class Server(http.server.ThreadingHTTPServer):
    """The repositories of a folder.

    Attributes:
        sent: bytes of all answers.
        asked: the paths of all requests.
        old: knows no version 2 of Git's protocol.
        misbehave: answers instead.
    """

    daemon_threads = True

    def __init__(self, folder: Path, ip: str, certificate: Path | None) -> None:
        super().__init__((ip, 0), Handler)
        self.scheme = "http"
        if certificate is not None:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.folder = folder
        self.sent, self.asked, self.old = 0, list[str](), False
        self.misbehave: Misbehave = lambda _handler, _answer: False

    @property
    def address(self) -> str:
        ip, port, *_ = self.server_address
        return f"{self.scheme}://{ip!s}:{port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: some clients are cut off."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One request, answered by ``git http-backend``: gitprotocol-http(5)."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.path)
        answer = self._of_git(body)
        if self.server.misbehave(self, answer):
            self.close_connection = True
            return
        self.reply(answer)

    def _of_git(self, body: bytes) -> bytes:
        path, _, query = self.path.partition("?")
        protocol = "" if self.server.old else self.headers.get("Git-Protocol", "")
        environment = {
            **os.environ, "GIT_PROJECT_ROOT": str(self.server.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "GIT_PROTOCOL": protocol,
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "CONTENT_LENGTH": str(len(body)),
        }  # fmt: skip
        command = ["git", "http-backend"]
        return subprocess.run(
            command, input=body, capture_output=True, env=environment, check=True
        ).stdout

    def reply(self, answer: bytes, cut: int | None = None) -> None:
        """Send what Git answered; with ``cut`` only so many bytes of it, and then nothing."""
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200")[:3]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:cut])
        self.server.sent += len(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name above
        """Say nothing."""


@contextlib.contextmanager
def serve(folder: Path, ip: str = "127.0.0.1", certificate: Path | None = None) -> Iterator[Server]:
    """Serve the repositories of a folder until the block ends; with a certificate by https."""
    with Server(folder, ip, certificate) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        yield server
        server.shutdown()
