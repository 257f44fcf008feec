"""A server that swaps versions after every few answers, and does it wrong in a chosen way."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EACH = 10  # answers of one generation
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
ROWS = (([1.0, 2.0],), ([3.0, 4.0],))  # the bodies that it knows
EXPECTED = {
    version: [[(number + 1) * value for value in rows[0]] for rows in ROWS]
    for number, version in enumerate(VERSIONS)
}
# How to be wrong at the fifth answer of each generation.
RIGHT, REFUSES, HANGS_UP, MIXES, GOES_BACK, STALLS, IS_NAMELESS, CONTRADICTS = (
    "right", "refuses", "hangs up", "mixes", "goes back", "stalls", "is nameless", "contradicts"
)  # fmt: skip
STALLING = 1.1  # seconds


@dataclass
class _Count:
    """Of all answers so far."""

    value: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> int:
        with self.lock:
            self.value += 1
            return self.value - 1


@contextlib.contextmanager
def serving(fault: str = RIGHT) -> Iterator[tuple[str, int]]:
    """Serve on loopback until the block ends; the address."""
    count = _Count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # headers and body in one packet

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = [list(row) for (row,) in ROWS].index(sent["inputs"][0]["data"])
            number = count.next()
            self._answer(body, number // EACH, fault if number % EACH == EACH // 2 else RIGHT)

        def _answer(self, body: int, generation: int, fault: str) -> None:
            if fault == HANGS_UP:
                self.close_connection = True
                return
            if fault == STALLS:
                time.sleep(STALLING)
            named = generation - (fault == GOES_BACK)
            claimed = VERSIONS[named % len(VERSIONS)]
            asked = VERSIONS[(named - (fault == MIXES)) % len(VERSIONS)]
            value = {"model_version": claimed, "outputs": [{"data": EXPECTED[asked][body]}]}
            if fault == IS_NAMELESS:
                del value["model_version"]
            headers = {"x-tagship-generation": str(named)}
            if fault == CONTRADICTS:
                headers["x-model-version"] = VERSIONS[(named + 1) % len(VERSIONS)]
            self._send(503 if fault == REFUSES else 200, value, headers)

        def _send(self, status: int, value: Any, headers: dict[str, str]) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            for name, text in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # a new connection that waits for a place stalls for a second

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield ("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join()
