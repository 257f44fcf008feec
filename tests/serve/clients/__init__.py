"""Clients of others, each installed into a folder of its own: see ``tests.serve.environments``."""

from pathlib import Path

from tests.serve import environments

HERE = Path(__file__).parent
TARGET = environments.ROOT / "build" / "clients"
NAMES = ("triton", "kserve", "schemathesis", "storage")


def python_of(name: str) -> Path:
    """The Python that has a client; it is installed first, if it is not."""
    return environments.python_of(HERE / f"{name}.txt", TARGET / name)


def install() -> None:
    """Install all of them."""
    for name in NAMES:
        python_of(name)
