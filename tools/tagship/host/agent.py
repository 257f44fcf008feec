"""agent.json: what a host that follows by itself has to wait for. Losing it costs a repeat.

Whether a version may go live at all is decided from the history and the tags, never from this.
"""

import contextlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tagship.disk import atomic
from tagship.errors import Corrupt, Forbidden
from tagship.registry.project_files import PRIVATE
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
        at: when it was told last; empty where it could not be.
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
class Settled:
    """A pass that found every model in order, and all that this depended on.

    ``workspace.settled`` writes and compares it.

    Attributes:
        folder: the host's.
        at: when the pass was.
        account: the number of the account that made it.
        configuration: the folder of that account's configuration; None if it has none.
        git: the address that was fetched from.
        mirror: the repository that was fetched into.
        patterns: of the tags.
        live: the version of each followed model that is live, if any.
        told: what was said of each.
        entries: the stamp of each file, folder and link; and of where none may come.
        targets: the stamp of what is at a path, or of what a link there leads to.
        rights: who may write to a folder, which may have other files by now.
    """

    folder: str
    at: str
    account: int
    configuration: str | None
    git: str
    mirror: str
    patterns: list[str]
    live: dict[str, str | None]
    told: dict[str, list[str]]
    entries: dict[str, str]
    targets: dict[str, str]
    rights: dict[str, str]


@dataclass(frozen=True)
class Agent:
    """What a pass leaves to the next one.

    Attributes:
        fetched_at: when the repository's server answered last; empty if it never did.
        waiting: by model.
        staged: by model, the newest first.
        id: of this folder, at random: tells two hosts of one name apart; empty until it is needed.
        reported: by model.
        wishes: a digest of [report] in tagship.toml, as it was then.
        textfile: the folder of the metrics; empty for none.
        settled: the last pass that found all in order, as far as one was kept.
    """

    fetched_at: str = ""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    staged: dict[str, tuple[Staged, ...]] = field(default_factory=dict)
    id: str = ""
    reported: dict[str, Reported] = field(default_factory=dict)
    wishes: str = ""
    textfile: str = ""
    settled: Settled | None = None

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


def place_in(root: Path) -> Path:
    """Where it is, in the folder of a host."""
    return root / PRIVATE / "agent.json"


def lock_in(root: Path) -> Path:
    """The file that a pass locks: there is one at a time."""
    return root / PRIVATE / "sync"


def read(root: Path) -> Agent:
    """What the last pass left; nothing where that cannot be read."""
    try:
        return atomic.read_json(
            place_in(root), lambda value: json_reader.read(Agent, value), "agent.json", ""
        )
    except (FileNotFoundError, Corrupt, Forbidden):
        return Agent()


def write(root: Path, agent: Agent) -> None:
    """Leave it to the next pass, where the disk has room; not durably: losing it costs a repeat."""
    data = escape.json(asdict(agent)).encode() + b"\n"
    with contextlib.suppress(OSError):
        atomic.write(place_in(root), data, durable=False)
