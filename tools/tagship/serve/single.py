"""A server of one process."""

import signal
from collections.abc import Callable

from tagship.serve import listen, sockets, web
from tagship.serve.settings import Settings


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Answer until SIGTERM or SIGINT.

    Args:
        settings: what is served, and where.
        announce: is told the address, once connections are accepted.

    Raises:
        TagshipError: it cannot start.
    """
    app = web.standalone(settings)
    signal.signal(signal.SIGHUP, lambda *_: app.state.monitor.reopen())
    with sockets.bind(settings.host, settings.port) as listener:
        address = sockets.address_of(listener, settings.host)
        listen.run(app, listener, settings, lambda: announce(address))
    listen.leave(app.state.pools)
