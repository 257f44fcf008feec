"""A generation: one loaded version of a model, which lives until its last request has ended."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from tagship.errors import TagshipError, Unavailable

if TYPE_CHECKING:
    import numpy as np

    from tagship.loaders import Signature

    Arrays = dict[str, np.ndarray]


class Gone(Unavailable):
    """The process of a model has ended. The same version comes again by itself: a retry helps."""


class ModelFailed(TagshipError):
    """The framework raised an error for a request: the log has it, the client does not."""


@dataclass(frozen=True)
class Facts:
    """What is known of a loaded version.

    Attributes:
        seq: of the event that made it live; of its deploy, for a challenger.
        digest: hex sha256 of its metadata and so of all of its files.
        directory: the name of its directory below ``versions/``.
        since: when it became live, ISO 8601 in UTC.
        framework: of its loader.
        number: of the generation: rises with each version that this server takes.
    """

    model: str
    version: str
    seq: int
    digest: str
    directory: str
    since: str
    framework: str
    number: int


class Runner(Protocol):
    """Where a loaded model answers: in this process (``InProcess``), or its own (``Isolated``)."""

    @property
    def signature(self) -> "Signature":
        """What it takes and gives."""

    @property
    def is_alive(self) -> bool:
        """Whether it can answer now."""

    @property
    def processes(self) -> tuple[int, ...]:
        """The processes that have the model's memory, besides this one."""

    def answer(self, inputs: "Arrays") -> "Arrays":
        """The outputs for a batch, by name.

        Raises:
            Gone: its process has ended.
            TagshipError: the model does not take these inputs.
        """

    def close(self) -> None:
        """Free the model's memory; again does nothing."""


@dataclass(eq=False)
class Generation:
    """A loaded version, as a request uses it: ``with slot.acquire() as generation:``.

    The end of the block releases it. ``users`` is for its slot, under the slot's lock.
    """

    facts: Facts
    runner: Runner = field(repr=False)
    release: "Callable[[Generation], None]" = field(repr=False)
    users: int = 0

    @property
    def signature(self) -> "Signature":
        """What it takes and gives."""
        return self.runner.signature

    def answer(self, inputs: "Arrays") -> "Arrays":
        """The outputs for a batch, by name, wholly of this version.

        Raises:
            Gone: its process has ended.
            TagshipError: the model does not take these inputs.
        """
        return self.runner.answer(inputs)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release(self)
