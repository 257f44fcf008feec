"""What DVC asks of the account that runs it, and which a service or a container may not have.

DVC asks platformdirs where the user's configuration is (``dvc/dirs.py``, 3.67), and getpass for the
user's name (``dvc/repo/__init__.py``). Of an account without a home, platformdirs gives a path
below the working directory, which others may fill, or since 4.4 no answer at all.
"""

import getpass
import os
from pathlib import Path

import platformdirs

from tagship.disk import home

GLOBAL = "DVC_GLOBAL_CONFIG_DIR"
NONE = "/nonexistent"  # as Debian names the home of an account that has none


def system_config() -> Path:
    """Where the configuration of this host is."""
    named = os.environ.get("DVC_SYSTEM_CONFIG_DIR")
    return Path(named or platformdirs.site_config_dir("dvc", "iterative"))


def user_config() -> Path:
    """Where the configuration of this account is; a folder that is not there where it has none."""
    if named := os.environ.get(GLOBAL):
        return Path(named)
    try:
        usual = Path(platformdirs.user_config_dir("dvc", "iterative"))
    except RuntimeError:  # neither HOME nor the list of accounts has an absolute path
        usual = Path()
    if usual.is_absolute() and not _is_below_a_file(usual):
        return usual
    folder = home.configuration()
    return folder / "dvc" if folder else Path(NONE)


def settle() -> None:
    """Tell DVC, and what it starts, what it would not find: by the environment."""
    folder = user_config()
    os.environ.setdefault(GLOBAL, str(folder))
    if _is_below_a_file(Path(os.environ.get("HOME", NONE), ".gitconfig")):  # which dulwich opens
        os.environ["HOME"] = NONE
    try:
        getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        os.environ["LOGNAME"] = str(os.getuid())


def _is_below_a_file(path: Path) -> bool:
    """As of HOME=/dev/null."""
    try:
        path.lstat()
    except NotADirectoryError:
        return True
    except OSError:
        return False
    return False
