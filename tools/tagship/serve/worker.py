"""One of several workers: answers on the socket that all of them share, and does as it is told.

``python -m tagship.serve.worker INDEX LISTENER CONTROL EPOCHS TALLIES``, all but the first are
descriptors. Its first line from the supervisor has the settings, each further one an order.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

from tagship.serve import listen, log, orders, supervisor, web
from tagship.serve.epoch import Epochs
from tagship.serve.member import Member
from tagship.serve.monitor import Monitor
from tagship.serve.orders import Accept, Message, Ping, Pong, Reopen, Reply, Started
from tagship.serve.runners import Runners
from tagship.serve.serving import Plan
from tagship.serve.settings import Settings
from tagship.serve.supervisor import MARGIN
from tagship.serve.tallies import Memory


class Control:
    """The way to the supervisor. Its end is the end of this process too."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lines = channel.makefile("rb")
        self._lock = threading.Lock()

    def settings(self) -> Settings:
        """What the supervisor says first."""
        return supervisor.settings_of(self._lines.readline())

    def orders(self) -> Iterator[Message]:
        """Its orders, until it is gone."""
        for line in self._lines:
            if not line.endswith(b"\n"):
                return
            yield orders.of_line(line)

    def tell(self, message: Reply | Started | Pong) -> None:
        """Tell it something."""
        with self._lock, contextlib.suppress(OSError):  # it is gone: orders() ends
            self._channel.sendall(orders.to_line(message))


def main(index: int, listener: socket.socket, control: Control, epochs: int, tallies: int) -> None:
    """Answer until a signal, or until the supervisor is gone."""
    settings = control.settings()
    plan = Plan.of(settings)
    monitor = Monitor(
        plan.stores, plan.root, access_log=settings.access_log, audit=settings.audit,
        audit_inputs=settings.audit_inputs, memory=Memory(settings.workers, tallies), worker=index,
    )  # fmt: skip
    slots = plan.slots(Epochs(len(plan.names), epochs), monitor)
    runners = Runners(plan.root, settings.isolate, settings.request_timeout)
    member = Member(slots, plan.root, runners, control.tell)
    may_accept = threading.Event()
    arguments = (control, member, monitor, may_accept, settings.stop_timeout + MARGIN)
    threading.Thread(target=_obey, args=arguments, name="obey", daemon=True).start()
    try:
        app = web.build(settings, slots, monitor)
        may_accept.wait()
        listen.run(app, listener, settings, lambda: control.tell(Started()))
    finally:
        for slot in slots.values():
            slot.close()
        monitor.close()
    listen.leave(app.state.pools)


def _obey(
    control: Control, member: Member, monitor: Monitor, may_accept: threading.Event, seconds: float
) -> None:
    """Do what the supervisor says; once it is gone, end within so many seconds."""
    for order in control.orders():
        match order:
            case Accept():
                may_accept.set()
            case Reopen():
                monitor.reopen()
            case Ping():
                control.tell(Pong())
            case Started() | Pong() | orders.Ready() | orders.Failed():
                pass  # none of these is an order
            case _:
                member.obey(order)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's orders say the same
    log.show()
    _index, *_descriptors = map(int, sys.argv[1:])
    _listener, _control = (socket.socket(fileno=each) for each in _descriptors[:2])
    main(_index, _listener, Control(_control), *_descriptors[2:])
