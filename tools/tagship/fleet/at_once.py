"""A question to a store or a shared folder, asked many times at once, within a time in all."""

import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from tagship.progress import WAITING

THREADS = 16
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


def ask(
    function: Callable[[K], T], keys: Iterable[K], seconds: float, threads: int = THREADS
) -> dict[K, T | Exception]:
    """Call a function for each key, several at a time.

    Args:
        function: may never come back: then nobody waits for its thread.
        keys: each once.
        seconds: for all of them.
        threads: how many at a time.

    Returns:
        What each call gave, or raised; without those that were not done in time.
    """
    todo: queue.SimpleQueue[K] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[K, T | Exception]] = queue.SimpleQueue()
    count = 0
    for key in keys:
        todo.put(key)
        count += 1
    for _ in range(min(threads, count)):
        threading.Thread(
            target=_work, args=(function, todo, answers), name=WAITING, daemon=True
        ).start()
    return _collected(answers, count, time.monotonic() + seconds)


def _collected(
    answers: "queue.SimpleQueue[tuple[K, T | Exception]]", count: int, end: float
) -> dict[K, T | Exception]:
    done: dict[K, T | Exception] = {}
    while len(done) < count:
        try:
            key, answer = answers.get(timeout=max(end - time.monotonic(), 0))
        except queue.Empty:
            break
        done[key] = answer
    return done


def _work(
    function: Callable[[K], T],
    todo: "queue.SimpleQueue[K]",
    answers: "queue.SimpleQueue[tuple[K, T | Exception]]",
) -> None:
    while True:
        try:
            key = todo.get_nowait()
        except queue.Empty:
            return
        try:
            answers.put((key, function(key)))
        except Exception as error:  # noqa: BLE001 - each store's library has errors of its own
            answers.put((key, error))
