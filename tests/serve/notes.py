"""An observer that notes what it is told; and waiting for what other threads do."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tagship.serve.generation import Facts
from tagship.serve.observer import Nobody

PATIENCE = float(os.environ.get("TEST_PATIENCE", "60"))  # seconds, on a busy machine


@dataclass
class Notes(Nobody):
    """In the order of the calls, as words."""

    words: list[str] = field(default_factory=list)

    def swapped(self, model: str, old: Facts | None, new: Facts, seconds: float) -> None:
        self.words.append(f"{old.version if old else None} -> {new.version}")

    def refused(self, model: str, version: str | None, reason: str) -> None:
        self.words.append(f"refused {version}")

    def freed(self, facts: Facts) -> None:
        self.words.append(f"freed {facts.version}")


def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so."""
    end, pause = time.monotonic() + PATIENCE, threading.Event()
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        pause.wait(0.003)
