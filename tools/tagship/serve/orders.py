"""What the proposer and its members tell each other, and how it goes through a socket.

With one worker both are in one process, and hand each other the same values.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, get_args

from tagship.serve.slot import Refusal


@dataclass(frozen=True)
class Name:
    """What is followed: the live version of a model, or a version that answers beside it.

    Attributes:
        challenger: the version as it was asked for; None is the live one.
    """

    model: str
    challenger: str | None = None

    def __str__(self) -> str:
        return self.model if self.challenger is None else f"{self.model}@{self.challenger}"


@dataclass(frozen=True)
class Prepare:
    """Load a version, check it, and keep it ready; answered by ``Ready`` or ``Failed``.

    Attributes:
        directory: its name below ``versions/``.
        seq, since: see ``Facts``.
    """

    name: Name
    number: int
    directory: str
    seq: int
    since: str


@dataclass(frozen=True)
class Switched:
    """The cell has the number: that generation answers now. ``seconds`` since it was proposed."""

    name: Name
    number: int
    seconds: float


@dataclass(frozen=True)
class Drop:
    """A generation will not be live: it need not be loaded any more."""

    name: Name
    number: int


@dataclass(frozen=True)
class Amend:
    """The live version became live once more, by another event."""

    name: Name
    number: int
    seq: int
    since: str


@dataclass(frozen=True)
class Note:
    """What was to be live and is not; None: what is live is what should be."""

    name: Name
    refusal: Refusal | None


@dataclass(frozen=True)
class Accept:
    """Take connections: all that is live is loaded."""


@dataclass(frozen=True)
class Reopen:
    """Open log files again: they were moved away."""


@dataclass(frozen=True)
class Ping:
    """Say that you are there; answered by ``Pong``."""


@dataclass(frozen=True)
class Pong:
    """A worker is there, and reads its orders."""


@dataclass(frozen=True)
class Ready:
    """A generation is loaded and checked.

    Attributes:
        seconds: it took.
        processes: that have its memory, if they are not the member's own.
    """

    name: Name
    number: int
    seconds: float
    processes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Started:
    """A worker takes connections."""


@dataclass(frozen=True)
class Failed:
    """A generation cannot be loaded, or does not answer as it should.

    Attributes:
        reason: in words that a client may see.
        said: the same in the words of the error, and its hint, for the log.
    """

    name: Name
    number: int
    reason: str
    said: str = ""


Order = Prepare | Switched | Drop | Amend | Note | Accept | Reopen | Ping
Reply = Ready | Failed
Message = Order | Reply | Started | Pong
_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Message)}


def to_line(message: Message) -> bytes:
    """A message as one line."""
    return json.dumps([type(message).__name__, asdict(message)]).encode() + b"\n"


def of_line(line: bytes) -> Message:
    """The message of a line that ``to_line`` gave."""
    kind, values = json.loads(line)
    if "name" in values:
        values["name"] = Name(**values["name"])
    if values.get("refusal") is not None:
        values["refusal"] = Refusal(**values["refusal"])
    if "processes" in values:
        values["processes"] = tuple(values["processes"])
    message: Message = _KINDS[kind](**values)
    return message
