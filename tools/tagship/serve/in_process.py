"""A model that answers in this process."""

import logging
from typing import TYPE_CHECKING, Any, cast

from tagship.errors import TagshipError
from tagship.host import active as host_active
from tagship.host.active import ActiveModel
from tagship.host.live import Live
from tagship.serve.generation import ModelFailed

if TYPE_CHECKING:
    from tagship.loaders import Signature
    from tagship.serve.generation import Arrays

logger = logging.getLogger("tagship.serve")


class InProcess:
    """A loaded model, warm and checked.

    Args:
        active: the model, which answers.
    """

    is_alive = True
    processes: tuple[int, ...] = ()

    def __init__(self, active: ActiveModel) -> None:
        self.signature: Signature = active.signature
        self._active: ActiveModel | None = active
        self._input = self.signature.inputs[0].name if len(self.signature.inputs) == 1 else None
        self._output = self.signature.outputs[0].name
        self._what = f"{active.name} {active.version}"

    def answer(self, inputs: "Arrays") -> "Arrays":
        """The outputs for a batch, by name.

        Raises:
            ModelFailed: the framework says that it cannot.
        """
        active = self._active
        if active is None:
            raise ModelFailed(f"{self._what} is not loaded any more")
        given: Any = inputs if self._input is None else next(iter(inputs.values()))
        try:
            outputs = active.answer(given)
        except TagshipError:
            raise
        except Exception:  # each framework has its own errors, and they are no client's business
            logger.exception("%s does not answer", self._what)
            raise ModelFailed(f"{self._what} does not answer to these inputs") from None
        if isinstance(outputs, dict):
            return outputs
        return {cast("str", self._output): outputs}

    def close(self) -> None:
        """Let go of the model, and of its directory."""
        active, self._active = self._active, None
        if active is not None:
            active.lock.close()


def load(live: Live) -> InProcess:
    """Load a version into this process: its bytes are hashed, and its answers compared.

    Raises:
        TagshipError: it is damaged, does not load, or does not answer as it was released.
    """
    active = host_active.load(live, verify=True)
    try:
        host_active.check_answers(active)
        return InProcess(active)
    except BaseException:
        active.lock.close()
        raise
