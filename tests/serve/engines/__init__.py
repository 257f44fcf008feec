"""MLServer and Ray, each with tagship in an environment of its own: ``tests.serve.environments``.

A test that needs one is skipped where it cannot be installed.
"""

import contextlib
import subprocess
import sys
from pathlib import Path

from tests.serve import environments

HERE = Path(__file__).parent
TARGET = environments.ROOT / "build" / "engines"
NAMES = ("mlserver", "ray")
TOO_NEW = {"mlserver": (3, 13)}  # the first Python that it does not install on


def python_of(name: str) -> Path:
    """The Python of an engine; it need not be there."""
    return TARGET / name / "bin" / "python"


def missing(name: str) -> str:
    """Why an engine cannot be run here; empty if it can."""
    if sys.version_info >= TOO_NEW.get(name, (4,)):
        return f"{name} needs a Python before {'.'.join(map(str, TOO_NEW[name]))}"
    if not (TARGET / name / "pins").exists():
        return f"{name} is not installed: python -m tests.serve.engines"
    return ""


def install(name: str) -> None:
    """Install an engine, if this Python can. pip says why where it cannot be had."""
    if sys.version_info >= TOO_NEW.get(name, (4,)):
        return
    with contextlib.suppress(subprocess.CalledProcessError):
        environments.python_of(
            HERE / f"{name}.txt", TARGET / name, "--editable", str(environments.ROOT)
        )
