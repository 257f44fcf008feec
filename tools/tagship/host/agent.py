"""agent.json: what a host that follows by itself has to wait for. Losing it costs a repeat.

Whether a version may go live at all is decided from the history and the tags, never from this.
"""

import contextlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tagship.disk import atomic
from tagship.errors import Corrupt, Forbidden
from tagship.host.store import PRIVATE
from tagship.text import escape, json_reader

MOST_STAGED = 4  # of a model: the newest


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
class Reported:
    """What was told of a model to others.

    Attributes:
        key: a digest of what the pass found then: what is the same need not be told again.
        at: when its status object was written last; empty where it never was.
        seq: how often it was written.
        digest: of its bytes.
        twin: the id of another host that writes under the same name.
        why, live: of which ``notify`` was told last; empty where it never was.
    """

    key: str = ""
    at: str = ""
    seq: int = 0
    digest: str = ""
    twin: str | None = None
    why: str = ""
    live: str | None = None


@dataclass(frozen=True)
class Staged:
    """A version of a staged rollout, and what it waited for when the last pass looked.

    Attributes:
        tag_object: the id of the tag that makes it desired.
        first_seen: when a pass saw that first.
        kind: what it waits for: see ``workspace.rollout.Kind``.
        since: since when for that.
        waits: the same in words; empty where it waits for nothing.
        until: when its turn comes; empty where that is not known.
    """

    tag_object: str
    first_seen: str
    kind: str = ""
    since: str = ""
    waits: str = ""
    until: str = ""


@dataclass(frozen=True)
class Agent:
    """What a pass leaves to the next one.

    Attributes:
        fetched_at: when the repository's server answered last; empty if it never did.
        waiting: by model.
        staged: by model, the newest first.
        id: of this folder, at random: tells two hosts of one name apart; empty until it is needed.
        reported: by model.
    """

    fetched_at: str = ""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    staged: dict[str, tuple[Staged, ...]] = field(default_factory=dict)
    id: str = ""
    reported: dict[str, Reported] = field(default_factory=dict)

    def waits(self, model: str, waiting: Waiting) -> "Agent":
        """The same, once something could not be done."""
        return replace(self, waiting={**self.waiting, model: waiting})

    def done(self, model: str) -> "Agent":
        """The same, once it could be done."""
        return replace(self, waiting={k: v for k, v in self.waiting.items() if k != model})

    def staged_by(self, model: str, tag_object: str) -> Staged | None:
        """What is known of a version by the tag that makes it desired; None if it is new."""
        entries = self.staged.get(model, ())
        return next((entry for entry in entries if entry.tag_object == tag_object), None)

    def stages(self, model: str, staged: Staged) -> "Agent":
        """The same, once a pass looked whose turn it is."""
        before = [e for e in self.staged.get(model, ()) if e.tag_object != staged.tag_object]
        kept = (staged, *before[: MOST_STAGED - 1])
        return replace(self, staged={**self.staged, model: kept})


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
