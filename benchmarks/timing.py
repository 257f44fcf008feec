"""Time programs: each in its own processes, the sides in turn."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")
Command = tuple[str, ...]


class Failed(Exception):
    """A program that should have succeeded did not; its words."""


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Side:
    """What is measured: commands, one after another, with no shell.

    Attributes:
        name: for the table.
        prepare: is called before each run, and ``check`` after it; neither is on the clock.
        warm: whether a first run is not counted; not for what takes a minute.
    """

    name: str
    commands: tuple[Command, ...]
    folder: Path
    prepare: Callable[[], object] = _nothing
    check: Callable[[], object] = _nothing
    environment: Mapping[str, str] = field(default_factory=dict)
    warm: bool = True


@dataclass(frozen=True)
class Run:
    """One run, see ``launcher``.

    Attributes:
        seconds: on the clock.
        peak: the bytes of its largest process.
        cpu: seconds of all its processes.
        written: the bytes that they sent to the disk.
        begun: in seconds since the epoch.
        received: bytes that a server sent, where it is one of the benchmark.
        held: bytes of memory that a server's processes hold (PSS).
    """

    seconds: float
    peak: int
    cpu: float = 0.0
    written: int = 0
    begun: float = 0.0
    received: int = 0
    held: int = 0


Runs = dict[str, list[Run]]


def run(side: Side) -> Run:
    """Run one side once.

    Raises:
        Failed: one of its commands did.
    """
    side.prepare()
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile() as errors:
        target = Path(name, "run.json")
        result = subprocess.run(
            [sys.executable, "-I", "-S", LAUNCHER, json.dumps(side.commands), target],
            cwd=side.folder,
            env={**os.environ, **side.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            check=False,
        )
        if result.returncode:
            errors.seek(0)
            raise Failed(f"{side.name}: {errors.read().decode(errors='replace')}")
        measured = Run(**json.loads(target.read_bytes()))
    side.check()
    return measured


def in_turn(sides: Sequence[Side], runs: int, measure: Callable[[Side], Run] = run) -> Runs:
    """Run the sides A B A B ..., so that other load on the machine affects all of them.

    Args:
        sides: what is measured.
        runs: of each.
        measure: runs a side once.

    Raises:
        Failed: one of them did.
    """
    for side in sides:
        if side.warm:
            measure(side)
    measured: Runs = {side.name: [] for side in sides}
    for _ in range(runs):
        for side in sides:
            measured[side.name].append(measure(side))
    return measured


def tell(folder: Path, *command: str) -> str:
    """Run a program to its end, without timing it, and return its output.

    Raises:
        Failed: it did.
    """
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise Failed(f"{' '.join(command)}: {result.stdout}{result.stderr}")
    return result.stdout


def feed(folder: Path, data: Iterable[bytes], *command: str) -> None:
    """Run a program to its end, without timing it, with ``data`` on its standard input.

    Raises:
        Failed: it did.
    """
    result = subprocess.run(
        command, cwd=folder, input=b"".join(data), capture_output=True, check=False
    )
    if result.returncode:
        raise Failed(f"{' '.join(command)}: {result.stderr.decode(errors='replace')}")
