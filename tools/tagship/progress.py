"""What a long read, copy or transfer tells whoever watches it."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

Advance = Callable[[int], object]  # is told the bytes done since it was last told, by any thread

# Begins to tell of something that may take long: what it is (``copying``, ``hashing``,
# ``fetching``, ``pushing``), and its bytes in all, None where nobody knows.
Progress = Callable[[str, int | None], AbstractContextManager[Advance]]


Tell = Callable[[str], object]  # is told one thing in words: whose lock is waited for


def nobody(text: str) -> None:
    """Nobody is told."""


@contextlib.contextmanager
def silent(doing: str, total: int | None) -> Iterator[Advance]:  # noqa: ARG001 - a Progress
    """Nobody watches."""
    yield lambda _: None
