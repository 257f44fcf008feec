"""Who runs this process, and where."""

import getpass
import os
from typing import Any

from tagship.text import clock


def actor() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return str(os.getuid())


def host_name() -> str:
    """This machine's name."""
    import socket  # 5 ms, and only for those who write

    return socket.gethostname()


def owner(what: str) -> dict[str, Any]:
    """The holder of a lock, as other processes report it."""
    return {
        "what": what,
        "actor": actor(),
        "host": host_name(),
        "pid": os.getpid(),
        "since": clock.stamp(clock.now()),
    }
