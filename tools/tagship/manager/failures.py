"""The message and hint for an unexpected error of the operating system."""

from tagship.disk import access, capacity


def explain(error: OSError) -> tuple[str, str]:
    """The message and the hint: how to make room if a disk is full."""
    what, hint = access.explain(error)
    return what, capacity.hint(error, hint)
