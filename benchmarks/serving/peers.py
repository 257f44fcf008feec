"""Environments of other servers of models, below build/: ``python -m benchmarks.serving.peers``.

Each is installed as its ``.txt`` says, which uv wrote from its ``.in`` (``make constraints``).
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.workspaces import ROOT

HERE = Path(__file__).parent
NAMES = ("mlserver", "litserve")
TOO_NEW = {"mlserver": (3, 13)}  # the first Python that it does not install on


def python_of(name: str) -> Path:
    """The Python of a peer's environment; it need not be there."""
    return ROOT / "build" / "peers" / name / "bin" / "python"


def missing(name: str) -> str:
    """Why a peer cannot be measured here; empty if it can."""
    if sys.version_info >= TOO_NEW.get(name, (4,)):
        return f"{name} needs a Python before {'.'.join(map(str, TOO_NEW[name]))}"
    if not (python_of(name).parent / "installed").exists():
        return f"{name} is not installed: python -m benchmarks.serving.peers"
    return ""


def environment(name: str) -> dict[str, str]:
    """What a peer must have in its environment: its own packages, and not those of this program."""
    path = os.environ.get("PATH", os.defpath)
    return {"PYTHONPATH": "", "PATH": f"{python_of(name).parent}{os.pathsep}{path}"}


def version_of(name: str) -> str:
    """The version that is pinned."""
    pins = (HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return next(line.partition("==")[2] for line in pins if line.startswith(f"{name}=="))


def install(name: str) -> None:
    """Make the environment of a peer, if this Python can, and it is not there yet.

    Raises:
        CalledProcessError: it cannot be had here; pip has said why.
    """
    python = python_of(name)
    if not missing(name) or sys.version_info >= TOO_NEW.get(name, (4,)):
        return
    folder = python.parent.parent
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pins = HERE / f"{name}.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", pins], check=True)
    (python.parent / "installed").touch()


if __name__ == "__main__":
    for each in NAMES:
        with contextlib.suppress(subprocess.CalledProcessError):  # its rows are skipped
            install(each)
