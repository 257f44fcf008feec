"""What signals do, for a while.

Only the main thread can set it: elsewhere it stays as it is. A handler is a function, also one
that does nothing: a program that is started has the default again, which it has not of ``SIG_IGN``.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


@contextlib.contextmanager
def handled(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handle these signals so until the block ends, then as before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def starting(end: Handler) -> Iterator[None]:
    """Until the server handles them itself: there are no logs to reopen, and no request to end.

    Args:
        end: ends this process.
    """
    ends = dict.fromkeys((signal.SIGTERM, signal.SIGINT), end)
    with handled({signal.SIGHUP: lambda _number, _frame: None, **ends}):
        yield
