"""Whole numbers in text that anybody may have written: Python reads no more than 4,300 digits."""

import contextlib
from collections.abc import Iterator

TOO_LONG = "a number in it has more digits than anybody would write"


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Say of such a number that it is too long: Python's own words tell of ``sys``.

    Raises:
        ValueError: as it was raised in the block, or with ``TOO_LONG``.
    """
    try:
        yield
    except ValueError as error:
        if str(error).startswith("Exceeds the limit"):
            raise ValueError(TOO_LONG) from None
        raise
