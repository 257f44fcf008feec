"""The access log: a JSON line for each request. A reader that is slow never holds a request up.

Requests leave their values in a queue; a thread makes the lines and writes them, several at a time.
What the queue has no room for is dropped, and counted.
"""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagship.disk.appended import Appended
from tagship.errors import TagshipError
from tagship.serve import lines

if TYPE_CHECKING:
    from tagship.serve.observer import Answered

STANDARD_OUTPUT = "-"
MANY = 10_000  # lines that may wait
PAUSE = 0.05  # seconds in which lines are gathered
TOGETHER = select.PIPE_BUF  # bytes that a pipe takes whole, with several writers
LONGEST = 200  # characters of a text that a client chose


class AccessLog:
    """The access log of a server.

    Args:
        path: a file; ``-`` is standard output.
        root: the models folder, which must not contain the file.
        dropped: is told how many lines were dropped.

    Raises:
        Refused, OSError: as for ``Appended``.
    """

    def __init__(self, path: str, root: Path, dropped: Callable[[int], None]) -> None:
        self._dropped = dropped
        self._file = None
        self._write: Callable[[bytes], object] = _write_out
        if path != STANDARD_OUTPUT:
            self._file = Appended(Path(path), root, "the access log")
            self._write = self._file.write
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._wake, self._end = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, answered: "Answered") -> None:
        """Queue the line of a request."""
        if len(self._waiting) >= MANY:
            self._dropped(1)
            return
        self._waiting.append((
            time.time(), answered.id, answered.model, answered.version, answered.seq,
            answered.rows, answered.seconds, answered.code, answered.client,
        ))  # fmt: skip
        if not self._wake.is_set():
            self._begin()
            self._wake.set()

    def reopen(self) -> None:
        """Open the file by its name again: logrotate moved it. A signal's handler may call it."""
        if self._file is not None:
            self._file.reopen()

    def close(self) -> None:
        """Write what waits, unless the reader is stuck, and close the file."""
        self._end.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(1)
        if self._file is not None and not self._waiting:
            self._file.close()

    def _begin(self) -> None:
        """Start the thread; at the first line, as a fork would leave it behind."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="access log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._end.is_set():
            self._wake.wait()
            self._end.wait(PAUSE)
            self._wake.clear()
            self._drain()

    def _drain(self) -> None:
        batch: list[bytes] = []
        size = count = 0
        while self._waiting:
            text = _line(*self._waiting.popleft())
            if size + len(text) > TOGETHER:
                self._put(b"".join(batch), count)
                batch, size, count = [], 0, 0
            batch.append(text)
            size, count = size + len(text), count + 1
        if batch:
            self._put(b"".join(batch), count)

    def _put(self, data: bytes, count: int) -> None:
        try:
            self._write(data)
        except (OSError, TagshipError):  # a full disk, or nobody reads any more
            self._dropped(count)


def _write_out(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _line(
    at: float, identity: str | None, model: str, version: str | None, seq: int | None, rows: int,
    seconds: float, code: int, client: str | None,
) -> bytes:  # fmt: skip
    return lines.line(
        {
            "at": lines.stamp(at),
            "id": _short(identity),
            "client": _short(client),
            "model": _short(model),
            "version": _short(version),
            "seq": seq,
            "rows": rows,
            "ms": round(seconds * 1000, 3),
            "code": code,
        }
    )


def _short(text: str | None) -> str | None:
    return text[:LONGEST] if text else text
