"""Clients of others, each installed into a folder of its own: their versions need not agree.

``*.txt`` pins what is installed; uv writes it from ``*.in``: ``uv pip compile NAME.in --universal
--python-version 3.11 --no-header --no-annotate --quiet --output-file NAME.txt``.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
TARGET = Path(__file__).parents[3] / "build" / "clients"
NAMES = ("triton", "kserve", "schemathesis", "storage")


def python_of(name: str) -> Path:
    """The Python that has a client; it is installed first, if it is not."""
    pins = HERE / f"{name}.txt"
    folder = TARGET / name
    stamp, digest = folder / "pins", hashlib.sha256(pins.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != digest:
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", "-r", str(pins)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        stamp.write_text(digest)
    return python


def install() -> None:
    """Install all of them."""
    for name in NAMES:
        python_of(name)
