"""agent.json: what a host that follows by itself has to wait for. Losing it costs a repeat.

Whether a version may go live at all is decided from the history and the tags, never from this.
"""

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from tagship.disk import atomic
from tagship.errors import Corrupt, Forbidden, InvalidName
from tagship.registry.project_files import PRIVATE
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

LONGEST_FAILURE = 500  # letters
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
    at: Time
    reason: str


@dataclass(frozen=True)
class Refusal:
    """A version that this host does not accept, until what it trusts or the tag changes.

    Attributes:
        tag_object: of the version.
        policy: the digest of what the host trusted then, and of the tags that decided.
        reason: why.
    """

    tag_object: str
    policy: str
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
        git: the address that was fetched from; empty where ``place`` has one.
        mirror: the repository that was fetched into.
        patterns: of the tags.
        live: the version of each followed model that is live, if any.
        told: what was said of each.
        entries: the stamp of each file, folder and link; and of where none may come.
        targets: the stamp of what is at a path, or of what a link there leads to.
        rights: who may write to a folder, which may have other files by now.
        place: the address of capsules; empty where Git is asked.
        options: DVC's of a remote there.
        has_bundles: it is a folder that ``tagship unbundle`` fills.
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
    place: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    has_bundles: bool = False


@dataclass(frozen=True)
class Agent:
    """What a pass leaves to the next one.

    Attributes:
        fetched_at: when a fetch of the tags succeeded last; empty if none ever did.
        failing_since: when the first one after that failed; empty if none did.
        failure: why the last one failed, if it did.
        waiting: by model.
        staged: by model, the newest first.
        id: of this folder, at random: tells two hosts of one name apart; empty until it is needed.
        reported: by model.
        wishes: a digest of [report] in tagship.toml, as it was then.
        textfile: the folder of the metrics; empty for none.
        settled: the last pass that found all in order, as far as one was kept.
        refused: the same.
        told: by model, a digest of what was not in order when it was told last.
    """

    fetched_at: TimeOrNone = ""
    failing_since: TimeOrNone = ""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    staged: dict[str, tuple[Staged, ...]] = field(default_factory=dict)
    id: str = ""
    reported: dict[str, Reported] = field(default_factory=dict)
    wishes: str = ""
    textfile: str = ""
    settled: Settled | None = None
    refused: dict[str, Refusal] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    failure: str = ""

    def fetched(self, now: str, failure: str | None) -> "Agent":
        """The same, after a fetch, or after its failure."""
        if failure is None:
            return replace(self, fetched_at=now, failing_since="", failure="")
        since = self.failing_since or now
        return replace(self, failing_since=since, failure=failure[:LONGEST_FAILURE])

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
    data = escape.json(vars(agent), None, vars).encode() + b"\n"
    with contextlib.suppress(OSError):
        atomic.write(place_in(root), data, durable=False)
