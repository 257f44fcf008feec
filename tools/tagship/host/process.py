"""Who runs this process, and where."""

import getpass
import os
from typing import Any

from tagship.text import clock


def actor() -> str:
    """Who runs this process; with sudo, also who ran that: ``ada as deploy``."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        account = str(os.getuid())
    caller = os.environ.get("SUDO_USER", account)
    return account if caller == account else f"{caller} as {account}"


def host_name() -> str:
    """This machine's name."""
    return os.uname().nodename


def owner(what: str) -> dict[str, Any]:
    """The holder of a lock, as other processes report it."""
    return {
        "what": what,
        "actor": actor(),
        "host": host_name(),
        "pid": os.getpid(),
        "since": clock.stamp(clock.now()),
    }
