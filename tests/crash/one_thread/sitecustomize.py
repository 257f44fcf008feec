"""For a fetch under strace, which counts the calls of each thread by itself: one thread."""

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any


class _OneThread(concurrent.futures.Executor):
    """Does at once what it is given."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(
        self, function: Callable[..., Any], /, *arguments: Any, **named: Any
    ) -> concurrent.futures.Future[Any]:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:
            future.set_exception(error)
        return future


concurrent.futures.ThreadPoolExecutor = _OneThread  # type: ignore[assignment,misc] # on purpose

_start = threading.Thread.start


def _run_at_once(thread: threading.Thread) -> None:
    """What waits for a remote is run by who would wait for it."""
    if thread.name == "waits for a remote":
        thread.run()
    else:
        _start(thread)


threading.Thread.start = _run_at_once  # type: ignore[assignment,method-assign] # on purpose
