"""What an error means, where those who raise it cannot ask Git, the disk or the accounts."""

from tagship.disk import access, capacity
from tagship.errors import NoProject, TagshipError


def explain(error: OSError) -> tuple[str, str]:
    """The message and the hint: how to make room if a disk is full."""
    what, hint = access.explain(error)
    return what, capacity.hint(error, hint)


def of_clone(error: NoProject) -> TagshipError:
    """The error of a folder without DVC, where Git knows what its clone lacks; else the same."""
    from tagship.workspace import checkout

    return checkout.why_no_project(error.start, error)
