"""Several workers on one socket: started, told what to load, started again, and ended.

It loads no framework and answers nobody: what it does, it does in a few milliseconds.
"""

import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from types import FrameType
from typing import cast

from tagship.errors import TagshipError
from tagship.serve import orders, signals, sockets
from tagship.serve.epoch import Epochs
from tagship.serve.orders import Message, Order, Ping, Reopen, Started
from tagship.serve.proposer import Proposer
from tagship.serve.serving import Plan
from tagship.serve.settings import Settings
from tagship.serve.tallies import Memory

logger = logging.getLogger("tagship.serve")
LONGEST = 60.0  # seconds until a worker that ended is started again: 0, 1, 2, 4, ... 60
STEADY = 60.0  # seconds after which its end is not one more in a row
MARGIN = 5.0  # seconds that a worker has for its end besides those of its requests
PING, PINGS = 5.0, 12  # seconds between two, and how many in a row a worker may leave unanswered
BLOCK = 1 << 16
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT: in this process, or in several workers.

    Args:
        settings: all of it.
        tell: is called with the address, once connections are taken.

    Raises:
        TagshipError: the server cannot start.
    """
    if settings.workers == 1:
        from tagship.serve import single

        single.serve(settings, tell)
        return
    plan = Plan.of(settings)
    with sockets.bind(settings.host, settings.port) as listener:
        address = sockets.address_of(listener, settings.host)
        here = replace(settings, root=plan.root)  # the same folder for all, whatever is changed
        Supervisor(here, plan, listener).run(lambda: tell(address))


@dataclass(eq=False)
class _Worker:
    """A process, and the way to it."""

    member: int
    process: "subprocess.Popen[bytes]"
    control: socket.socket
    began: float
    heard: bytearray = field(default_factory=bytearray)  # the beginning of a line
    unanswered: int | None = None  # pings; None until it first says something: it starts

    def tell(self, order: Order) -> None:
        """Send an order."""
        self.send(orders.to_line(order))

    def send(self, line: bytes) -> None:
        """Send a line. A worker that does not read is as good as dead."""
        try:
            self.control.sendall(line)
        except OSError:  # it has ended, perhaps before it began; read() will say so
            self.process.kill()

    def read(self) -> list[Message] | None:
        """What it says; None once it is gone."""
        try:
            data = self.control.recv(BLOCK)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            return None
        *lines, rest = (bytes(self.heard) + data).split(b"\n")
        self.heard = bytearray(rest)
        try:
            return [orders.of_line(line) for line in lines]
        except (ValueError, TypeError, KeyError):  # whatever a model did to it
            return None


@dataclass
class _Place:
    """A worker's place: who has it, and when the next one may be started."""

    index: int
    worker: _Worker | None = None
    failures: int = 0  # ends in a row
    when: float = 0.0


class Supervisor:
    """All workers of a server.

    Args:
        settings: for the workers.
        plan: what they serve.
        listener: the socket that they share.
    """

    def __init__(self, settings: Settings, plan: Plan, listener: socket.socket) -> None:
        self._settings, self._listener = settings, listener
        self._epochs = Epochs(len(plan.names))
        self._tallies = Memory(settings.workers)
        self._proposer = Proposer(plan.stores, plan.names, self._epochs)
        self._places = [_Place(index) for index in range(settings.workers)]
        self._members = 0
        self._selector = selectors.DefaultSelector()
        self._has_served = False
        self._ping_at = 0.0
        self._stops = 0  # signals to stop
        self._is_to_reopen = False

    def run(self, started: Callable[[], None]) -> None:
        """Serve until a signal.

        Args:
            started: is called once, when the first worker takes connections.

        Raises:
            TagshipError: no worker can start.
        """
        with signals.handled(dict.fromkeys(SIGNALS, self._on_signal)):
            try:
                while not self._stops:
                    self._turn(started)
            finally:
                self._end()

    def _turn(self, started: Callable[[], None]) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.worker is None and place.when <= now:
                self._start(place, now)
        if self._is_to_reopen:
            self._is_to_reopen = False
            self._proposer.tell(Reopen())
        if now >= self._ping_at:
            self._ping_at = now + PING
            self._ping()
        self._proposer.step(now)
        had_served = self._has_served
        self._hear(self._settings.poll)
        if self._has_served and not had_served:
            started()

    def _start(self, place: _Place, now: float) -> None:
        ours, theirs = socket.socketpair()
        shared = (self._listener, theirs)
        descriptors = [each.fileno() for each in shared]
        descriptors += [self._epochs.descriptor, self._tallies.descriptor]
        with theirs:
            command = [sys.executable, "-P", "-m", "tagship.serve.worker", str(place.index)]
            process = subprocess.Popen(
                [*command, *map(str, descriptors)],
                pass_fds=descriptors, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        ours.setblocking(False)
        self._members += 1
        place.worker = _Worker(self._members, process, ours, now)
        place.worker.send(settings_line(self._settings))
        self._selector.register(ours, selectors.EVENT_READ, place)
        self._proposer.join(self._members, place.worker)

    def _ping(self) -> None:
        """Ask all workers whether they are there: one that hangs would hold up every version.

        Pings are counted, and not seconds: a machine that slept ends none of them.
        """
        for worker in filter(None, (place.worker for place in self._places)):
            if worker.unanswered is not None:
                worker.unanswered += 1
            if worker.unanswered is not None and worker.unanswered > PINGS:
                logger.warning(
                    "worker process %d has said nothing for %g s, and is ended",
                    worker.process.pid, PING * PINGS,
                )  # fmt: skip
                worker.process.kill()  # _hear() sees its end
            else:
                worker.tell(Ping())

    def _hear(self, seconds: float) -> None:
        """Wait for what workers say, or their end."""
        for key, _ in self._selector.select(seconds):
            place = cast("_Place", key.data)
            worker = cast("_Worker", place.worker)
            messages = worker.read()
            if messages is None:
                self._gone(place, worker)
                continue
            if messages:
                worker.unanswered = 0
            for message in messages:
                if isinstance(message, Started):
                    self._has_served = True
                elif isinstance(message, orders.Ready | orders.Failed):
                    self._proposer.hear(worker.member, message, time.monotonic())

    def _gone(self, place: _Place, worker: _Worker) -> None:
        """A worker has ended, or does not listen any more: another one takes its place."""
        self._selector.unregister(worker.control)
        worker.control.close()
        worker.process.kill()
        code = worker.process.wait()
        now = time.monotonic()
        place.worker = None
        place.failures = 1 if now - worker.began > STEADY else place.failures + 1
        wait = min(2.0 ** (place.failures - 2), LONGEST) if place.failures > 1 else 0.0
        place.when = now + wait
        if self._stops:  # it was told to: that says nothing of what it was loading
            return
        logger.warning(
            "worker %d (process %d) ended with code %d; the next one starts in %g s",
            place.index, worker.process.pid, code, wait,
        )  # fmt: skip
        if not self._has_served and code:
            raise TagshipError(
                f"a worker ended with code {code} before any could serve",
                "see what it wrote above; tagship -v serve --workers 1 shows more",
            )
        self._proposer.leave(worker.member, now)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._is_to_reopen = True
        else:
            self._stops += 1

    def _end(self) -> None:
        """End all workers: their requests end first, unless there is a second signal."""
        self._stops = max(self._stops, 1)
        self._listener.close()
        self._signal(signal.SIGTERM)
        end, told = time.monotonic() + self._settings.stop_timeout + MARGIN, self._stops
        while any(place.worker for place in self._places):
            if self._stops > told:
                told = self._stops
                self._signal(signal.SIGTERM)
            if time.monotonic() > end:
                self._signal(signal.SIGKILL)
            self._hear(self._settings.poll)
        self._selector.close()

    def _signal(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.worker is not None:
                place.worker.process.send_signal(number)


# ---- what a worker is told first


def settings_line(settings: Settings) -> bytes:
    """The settings as one line."""
    return json.dumps(asdict(settings), default=os.fspath).encode() + b"\n"


def settings_of(line: bytes) -> Settings:
    """The settings of a line that ``settings_line`` gave."""
    return Settings(**json.loads(line))
