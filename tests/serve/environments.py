"""Environments of the packages of others: each has a folder of its own, as their versions differ.

``NAME.txt`` pins what is installed; uv writes it from ``NAME.in``: ``uv pip compile NAME.in
--universal --python-version 3.11 --no-header --no-annotate --quiet --output-file NAME.txt``.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python_of(pins: Path, folder: Path, *more: str) -> Path:
    """The Python of an environment; it is made first, if it is not there as it should be.

    Args:
        pins: what is installed.
        folder: where.
        more: what is installed after that, without what it depends on, as arguments of pip.

    Raises:
        CalledProcessError: it cannot be had here; pip has said why.
    """
    stamp, digest = folder / "pins", hashlib.sha256(pins.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != digest:
        venv.create(folder, with_pip=True, clear=True)
        _pip(python, "--requirement", str(pins))
        if more:
            _pip(python, "--no-deps", *more)
        stamp.write_text(digest)
    return python


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr)
