"""A server of one process."""

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from tagship.serve import listen, signals, sockets, web
from tagship.serve.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Follow what is live and answer, until SIGTERM or SIGINT; then this process may end.

    Args:
        settings: what is served, and where.
        announce: is told the address, once connections are accepted.

    Raises:
        TagshipError: it cannot start.
    """
    app = web.standalone(settings)
    answer(app, settings, announce)
    listen.leave(app.state.pools)


def answer(app: "FastAPI", settings: Settings, announce: Callable[[str], None]) -> None:
    """Answer with an app of ``web.standalone`` until SIGTERM or SIGINT; SIGHUP reopens its logs.

    Args:
        app: answers.
        settings: where it listens, and the limits.
        announce: is told the address, once connections are accepted.

    Raises:
        TagshipError: it cannot listen there.
    """
    reopening = {signal.SIGHUP: lambda *_: app.state.monitor.reopen()}
    with (
        signals.handled(reopening),
        sockets.bind(settings.host, settings.port) as listener,
    ):
        address = sockets.address_of(listener, settings.host)
        listen.run(app, listener, settings, lambda: announce(address))
