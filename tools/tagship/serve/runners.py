"""Where a version is loaded: in this process, or in one of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tagship import loaders
from tagship.host.live import Live
from tagship.serve import in_process, isolated
from tagship.serve.generation import Runner

AUTO, PROCESS, THREAD = "auto", "process", "thread"


@dataclass(frozen=True)
class Runners:
    """Loads versions.

    Attributes:
        root: the folder of all models.
        isolate: ``process``: each in a process of its own; ``thread``: in this one; ``auto``: in
            one of its own if its framework keeps the memory of models that are gone.
        seconds: that an answer of another process may take.
    """

    root: Path
    isolate: str = AUTO
    seconds: float = 30.0

    def __call__(self, live: Live, is_needed: Callable[[], bool]) -> Runner:
        """Load a version, and check it: see ``member.Open``."""
        loader = loaders.need(live.path)
        is_isolated = self.isolate == PROCESS or (
            self.isolate == AUTO and not getattr(loader, "returns_memory", True)
        )
        if is_isolated:
            return isolated.Isolated(live, self.root, self.seconds, is_needed)
        return in_process.load(live)
