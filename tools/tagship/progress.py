"""How long reads, copies and transfers report their progress."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

Advance = Callable[[int], object]  # called with the bytes done since the last call, by any thread

# Starts to report an operation that may take long: its name (``copying``, ``hashing``,
# ``fetching``, ``pushing``), and its total bytes, None if unknown.
Progress = Callable[[str, int | None], AbstractContextManager[Advance]]


Tell = Callable[[str], object]  # called with a message: whom is waited for, what to know

SLOW = 2.0  # seconds after which a person is told whom is waited for
WAITING = "waits for a remote"  # the name of a thread that may never end


def nobody(text: str) -> None:
    """Show no message."""


@contextlib.contextmanager
def silent(doing: str, total: int | None) -> Iterator[Advance]:  # noqa: ARG001 - a Progress
    """Show no progress."""
    yield lambda _: None
