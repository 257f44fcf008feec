"""agent.json: what a host that follows by itself has to wait for. Losing it costs a repeat.

Whether a version may go live at all is decided from the history and the tags, never from this.
"""

import random
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from tagship.disk import atomic
from tagship.errors import Corrupt, Forbidden
from tagship.host.store import PRIVATE
from tagship.text import clock, escape, json_reader

FIRST, LONGEST = 60.0, 3600.0  # seconds until what could not be done is tried again
SPREAD = 0.2  # hosts that failed together do not try again together


@dataclass(frozen=True)
class Waiting:
    """What could not be done, and when it is tried again.

    Attributes:
        tag_object: of the version that it is about.
        tries: how often it was tried.
        at: not before then.
        reason: why it could not be done.
    """

    tag_object: str
    tries: int
    at: str
    reason: str


@dataclass(frozen=True)
class Agent:
    """What a pass leaves to the next one.

    Attributes:
        fetched_at: when the repository's server answered last; empty if it never did.
        waiting: by model.
    """

    fetched_at: str = ""
    waiting: dict[str, Waiting] = field(default_factory=dict)

    def later(self, model: str, tag_object: str, reason: str, now: datetime) -> "Agent":
        """The same, once something could not be done: it is tried again later, each time more."""
        before = self.waiting.get(model)
        again = before is not None and before.tag_object == tag_object
        tries = before.tries + 1 if before is not None and again else 1
        seconds = min(FIRST * 2 ** min(tries - 1, 10), LONGEST)
        seconds *= 1 + random.uniform(-SPREAD, SPREAD)  # noqa: S311 - no secret
        at = clock.stamp(now + timedelta(seconds=seconds))
        entry = Waiting(tag_object, tries, at, reason)
        return replace(self, waiting={**self.waiting, model: entry})

    def done(self, model: str) -> "Agent":
        """The same, once it could be done."""
        return replace(self, waiting={k: v for k, v in self.waiting.items() if k != model})


def _file(root: Path) -> Path:
    return root / PRIVATE / "agent.json"


def read(root: Path) -> Agent:
    """What the last pass left; nothing where that cannot be read."""
    try:
        return atomic.read_json(
            _file(root), lambda value: json_reader.read(Agent, value), "agent.json", ""
        )
    except (FileNotFoundError, Corrupt, Forbidden):
        return Agent()


def write(root: Path, agent: Agent) -> None:
    """Leave it to the next pass; not durably, since losing it costs a repeat."""
    data = escape.json(asdict(agent)).encode() + b"\n"
    atomic.write(_file(root), data, durable=False)
