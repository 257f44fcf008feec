"""The words that some arguments take, read where they are defined.

Each function imports what it reads: the command line asks only for the words that it needs.
"""

OCI = "oci"  # an image: ``ModelVersionManager.export_image`` makes it


def bumps() -> tuple[str, ...]:
    """Parts of a version that a release can increment."""
    from tagship.registry import refs

    return refs.BUMPS


def formats() -> tuple[str, ...]:
    """Formats that a version can be exported in."""
    from tagship.export import formats as export_formats

    return (*export_formats.FORMATS, OCI)


def actions() -> tuple[str, ...]:
    """Kinds of events in the history of a model."""
    from tagship.host import actions as host_actions

    return host_actions.ACTIONS
