"""agent.json: what a host that follows by itself has to wait for. Losing it costs a repeat.

Whether a version may go live at all is decided from the history and the tags, never from this.
"""

import contextlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

from tagship.disk import atomic
from tagship.errors import Corrupt, Forbidden, InvalidName
from tagship.host.store import PRIVATE
from tagship.text import clock, escape, json_reader
from tagship.text.json_reader import Is


def _is_time(text: str) -> bool:
    try:
        clock.moment(text)
    except InvalidName:
        return False
    return True


Time = Annotated[str, Is(_is_time, "a time")]
TimeOrNone = Annotated[str, Is(lambda text: not text or _is_time(text), "a time, or empty")]


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
    at: Time
    reason: str


@dataclass(frozen=True)
class Refusal:
    """A version that this host does not accept, until what it trusts or the tag changes.

    Attributes:
        tag_object: of the version.
        policy: the digest of what the host trusted then.
        reason: why.
    """

    tag_object: str
    policy: str
    reason: str


@dataclass(frozen=True)
class Agent:
    """What a pass leaves to the next one.

    Attributes:
        fetched_at: when a fetch of the tags succeeded last; empty if none ever did.
        failing_since: when the first one after that failed; empty if none did.
        waiting: by model.
        refused: the same.
        told: by model, a digest of what was not in order when it was told last.
    """

    fetched_at: TimeOrNone = ""
    failing_since: TimeOrNone = ""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    def fetched(self, now: str, *, succeeded: bool) -> "Agent":
        """The same, after a fetch."""
        if succeeded:
            return replace(self, fetched_at=now, failing_since="")
        return replace(self, failing_since=self.failing_since or now)

    def waits(self, model: str, waiting: Waiting) -> "Agent":
        """The same, once something could not be done."""
        return replace(self, waiting={**self.waiting, model: waiting})

    def refuses(self, model: str, refusal: Refusal) -> "Agent":
        """The same, once a version was refused: it waits for no time."""
        return replace(self.done(model), refused={**self.refused, model: refusal})

    def done(self, model: str) -> "Agent":
        """The same, once it could be done."""
        waiting = {name: each for name, each in self.waiting.items() if name != model}
        refused = {name: each for name, each in self.refused.items() if name != model}
        return replace(self, waiting=waiting, refused=refused)


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
    """Leave it to the next pass, where the disk has room; not durably: losing it costs a repeat."""
    data = escape.json(asdict(agent)).encode() + b"\n"
    with contextlib.suppress(OSError):
        atomic.write(_file(root), data, durable=False)
