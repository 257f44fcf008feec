"""What to say of an error of the operating system that nobody has foreseen."""

from tagship import errors
from tagship.disk import capacity


def explain(error: OSError) -> tuple[str, str]:
    """What is wrong, and what helps: room, where a disk is full."""
    what, hint = errors.explain(error)
    return what, capacity.hint(error, hint)
