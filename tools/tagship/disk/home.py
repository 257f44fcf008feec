"""The home folder of this account, which a service or a container may not have."""

import os
from pathlib import Path


def folder() -> Path | None:
    """What HOME names, or else the list of accounts; None where neither has an absolute path.

    None too where HOME names a file: ``/dev/null`` is the home of an account without one.
    """
    home = os.environ.get("HOME", "")
    if os.path.isabs(home):  # noqa: PTH117 - the text, before it is a path
        return Path(home) if os.path.isdir(home) or not os.path.exists(home) else None  # noqa: PTH110, PTH112
    import pwd  # only where HOME does not say it

    try:
        entry = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a user id without a name
        return None
    return Path(entry) if os.path.isabs(entry) else None  # noqa: PTH117


def configuration() -> Path | None:
    """Where programs keep the user's configuration (XDG Base Directory Specification 0.8).

    A relative path in XDG_CONFIG_HOME does not count: it would be one in the repository.
    """
    named = os.environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(named):  # noqa: PTH117
        return Path(named)
    home = folder()
    return home / ".config" if home else None


def cache() -> Path | None:
    """Where programs keep what they can do without; as ``configuration``."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):  # noqa: PTH117
        return Path(named)
    home = folder()
    return home / ".cache" if home else None
