"""The store that options of a remote describe."""

import os
from collections.abc import Mapping
from typing import Any

from tagship.stores import options as store_options
from tagship.stores.options import NoCounterpart
from tagship.stores.store import Store


def of(options: Mapping[str, Any]) -> Store | None:
    """The store by obstore that DVC's options of a remote describe; no address is asked yet.

    None where an option has no counterpart, or obstore is not installed.

    Raises:
        OSError: a file that an option names cannot be read.
    """
    try:
        plan = store_options.plan(options, os.environ)
        import obstore  # noqa: F401 - comes with the extras
    except (NoCounterpart, ImportError):
        return None
    times: dict[str, float] = {}
    for option in ("connect_timeout", "connection_timeout", "read_timeout"):
        if option in options:
            times[option.replace("connection", "connect")] = float(options[option])
    return Store(plan, times)
