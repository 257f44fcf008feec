"""A server in a thread of this process, and requests to it, byte by byte if need be."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tagship.serve import listen, sockets, web
from tagship.serve.settings import Settings
from tagship.serve.slot import Slot
from tests.serve.shelf import Shelf

JSON = {"Content-Type": "application/json"}
SECONDS = 20.0  # that anything may take


@dataclass(frozen=True)
class Reply:
    """Status, headers (in lower case) and body of an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a JSON value."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The words of an error; there is nothing else in it."""
        assert list(self.json) == ["error"], self.body
        assert self.headers["content-type"] == "application/json"
        text: str = self.json["error"]
        return text


def batch(*rows: list[Any], name: str = "input-0", kind: str = "FP64", **more: Any) -> bytes:
    """The body of a request."""
    shape = [len(rows), len(rows[0]) if rows else 0]
    tensor = {"name": name, "shape": shape, "datatype": kind, "data": rows}
    return json.dumps({"inputs": [tensor], **more}).encode()


@dataclass(frozen=True)
class Served:
    """Where it listens, and its slots."""

    address: tuple[str, int]
    slots: dict[str, Slot]
    log: list[str] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Reply:
        """Ask over a connection of its own."""
        connection = http.client.HTTPConnection(*self.address, timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, names, answer.read())

    def get(self, path: str, **headers: str) -> Reply:
        """GET."""
        return self.ask("GET", path, headers=headers)

    def infer(self, body: bytes, path: str = "/v2/models/churn/infer", **headers: str) -> Reply:
        """POST, with the type that JSON has."""
        return self.ask("POST", path, body, {**JSON, **headers})

    def connect(self) -> socket.socket:
        """A connection on which nothing was sent."""
        return socket.create_connection(self.address, timeout=SECONDS)


def all_of(connection: socket.socket) -> bytes:
    """What comes until the server closes a connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@contextlib.contextmanager
def served(shelf: Shelf, *, is_ready: bool = True, **options: Any) -> Iterator[Served]:
    """A server of the shelf in a thread.

    Args:
        is_ready: wait until what is live is loaded.
        options: of the settings.
    """
    models = options.pop("models", (shelf.model,))
    settings = Settings(
        **{
            "models": models,
            "root": shelf.root,
            "port": 0,
            "poll": 0.01,
            "stop_timeout": 1.0,
            **options,
        }
    )
    app = web.standalone(settings)
    listener = sockets.bind(settings.host, settings.port)
    started = threading.Event()
    server = listen.server(app, settings, started.set)
    thread = threading.Thread(target=server.run, args=([listener],))
    address = listener.getsockname()[:2]
    thread.start()
    try:
        assert started.wait(SECONDS)
        slots = app.state.slots
        if is_ready:
            until(lambda: all(slot.is_ready for slot in slots.values()))
        yield Served(address, slots)
    finally:
        server.should_exit = True
        thread.join(SECONDS)
    assert not thread.is_alive()


def until(condition: Any) -> None:
    """Wait until it is true."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
