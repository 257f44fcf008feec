"""The message and hint for an unexpected error of the operating system."""

from tagship import errors
from tagship.disk import capacity


def explain(error: OSError) -> tuple[str, str]:
    """The message and the hint: how to make room if a disk is full."""
    what, hint = errors.explain(error)
    return what, capacity.hint(error, hint)
