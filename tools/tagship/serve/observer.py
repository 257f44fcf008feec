"""Who is told of what a server does: metrics, the access log, the audit."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from tagship.serve.generation import Facts
    from tagship.serve.slot import State


@dataclass(frozen=True)
class Answered:
    """A request that was answered, or refused.

    Attributes:
        model: as the request named it, where there is such a model; else empty.
        version, seq, generation: of what answered; None where nothing did.
        id: of the request, if it had one.
        code: the status of HTTP.
        rows: of the inputs.
        seconds: from the last byte of the request to the first of the answer.
        sha256: of the body of the request, in hex digits; None where nobody asks for it.
        inputs, outputs: None where nobody asks for them, or there are none.
        client: the address that the request came from, without its port.
    """

    model: str
    version: str | None
    seq: int | None
    generation: int | None
    id: str | None
    code: int
    rows: int
    seconds: float
    sha256: str | None = None
    inputs: "Mapping[str, np.ndarray] | None" = field(default=None, repr=False)
    outputs: "Mapping[str, np.ndarray] | None" = field(default=None, repr=False)
    client: str | None = None


class Observer(Protocol):
    """Is called from several threads, never under a lock of a slot. It must not raise.

    With several workers each process has its own: all of them are told of each swap and each
    refusal, and of the requests that they answered themselves.
    """

    def swapped(self, model: str, old: "Facts | None", new: "Facts", seconds: float) -> None:
        """Another version answers from now on.

        Args:
            model: its name.
            old: what answered until now; None where nothing did.
            new: what answers now.
            seconds: from the proposal to the switch: loading, the self-test, the other workers.
        """

    def refused(self, model: str, version: str | None, reason: str) -> None:
        """A version was not taken, and is tried again later.

        Args:
            model: its name.
            version: None where it is not known.
            reason: without a path of this machine, and without what a framework said.
        """

    def freed(self, facts: "Facts") -> None:
        """The last request of a version that was replaced has ended, and its model is gone."""

    def answered(self, answered: Answered) -> None:
        """A request has its answer."""


class Watcher(Observer, Protocol):
    """Is told of each answer, and has the metrics: ``monitor.Monitor``."""

    @property
    def wants_outputs(self) -> bool:
        """Whether answers should come with their outputs and the digest of the request."""

    @property
    def wants_inputs(self) -> bool:
        """Whether they should come with their inputs too."""

    def exposition(self, states: "Mapping[str, State]", accept: str = "") -> tuple[bytes, str]:
        """The metrics, and their content type."""


class Nobody:
    """Is told everything, and does nothing."""

    def swapped(self, model: str, old: "Facts | None", new: "Facts", seconds: float) -> None:
        """Nothing."""

    def refused(self, model: str, version: str | None, reason: str) -> None:
        """Nothing."""

    def freed(self, facts: "Facts") -> None:
        """Nothing."""

    def answered(self, answered: Answered) -> None:
        """Nothing."""
