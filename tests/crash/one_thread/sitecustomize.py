"""For a fetch under strace, which counts the calls of each thread by itself: one thread."""

import concurrent.futures
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
