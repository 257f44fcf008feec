"""What one process needs to answer: its slots, and whom it takes versions from."""

import contextlib
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tagship.errors import Unavailable
from tagship.host import live as host_live
from tagship.host.store import Store
from tagship.serve.epoch import Epochs
from tagship.serve.follow import LiveLink, Target
from tagship.serve.member import Member
from tagship.serve.observer import Observer
from tagship.serve.orders import Accept, Name, Order, Reply
from tagship.serve.proposer import Proposer
from tagship.serve.slot import Refusal, Slot

if TYPE_CHECKING:
    from tagship.serve.settings import Settings


@dataclass(frozen=True)
class Plan:
    """What a server follows.

    Attributes:
        stores: the folders of its models.
        names: each model, then each challenger: in the order of the cells.
        root: the folder of all models.
    """

    stores: Mapping[str, Store]
    names: tuple[Name, ...]
    root: Path

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """What the settings name.

        Raises:
            NotFound: there is no folder of models, or it is that of one model.
            InvalidName: a model cannot have that name.
        """
        models = dict.fromkeys((*settings.models, *(model for model, _ in settings.challengers)))
        stores = {model: host_live.store(model, settings.start, settings.root) for model in models}
        pinned = (Name(model, version) for model, version in dict.fromkeys(settings.challengers))
        root = next(iter(stores.values())).folder.parent.absolute()
        host_live.check_root(root)
        return cls(stores, (*map(Name, models), *pinned), root)

    def slots(self, epochs: Epochs, observer: Observer) -> dict[str, Slot]:
        """A slot for each model, by its name."""
        cells = dict(zip(self.names, epochs.cells, strict=True))
        return {
            model: Slot(
                model,
                cells[Name(model)],
                {n.challenger: cells[n] for n in self.names if n.model == model and n.challenger},
                observer,
            )
            for model in self.stores
        }


class Alone:
    """The only process of a server: it follows the links itself, in a thread.

    Attributes:
        slots: by model.
        has_ended: whether it was closed.

    Args:
        settings: what is served.
        observer: is told what happens.
        targets: what is followed instead of the link of a model.
    """

    def __init__(
        self,
        settings: "Settings",
        observer: Observer,
        targets: Mapping[Name, Target] | None = None,
    ) -> None:
        from tagship.serve.runners import Runners

        plan = Plan.of(settings)
        epochs = Epochs(len(plan.names))
        self.slots = plan.slots(epochs, observer)
        self.has_ended = False
        self._poll = settings.poll
        self._replies: queue.SimpleQueue[Reply | None] = queue.SimpleQueue()
        runners = Runners(plan.root, settings.isolate, settings.request_timeout)
        self._member = Member(self.slots, plan.root, runners, self._replies.put)
        links = {Name(model): LiveLink(store, model) for model, store in plan.stores.items()}
        self._targets: Mapping[Name, Target] = {**links, **(targets or {})}
        self._proposer = Proposer(plan.stores, plan.names, epochs, self._targets)
        self._thread = threading.Thread(target=self._follow, name="follow", daemon=True)

    def tell(self, order: Order) -> None:
        """Hand an order of the proposer to the one member."""
        if not isinstance(order, Accept):
            self._member.obey(order)

    def start(self) -> None:
        """Begin to follow; again does nothing."""
        if not self._thread.is_alive():
            self._thread.start()

    def catch_up(self, before: Mapping[str, Refusal | None] | None = None) -> None:
        """Wait until each model answers with the version that it should.

        Args:
            before: what was refused already, by model, and does not count.

        Raises:
            TagshipError: there is no such version, or it was refused; the words say why.
        """
        for name, target in self._targets.items():
            slot = self.slots[name.model]
            while not _is_current(slot, target, (before or {}).get(name.model)):
                time.sleep(self._poll)

    def close(self) -> None:
        """Stop following, and free the models; it cannot begin again."""
        self.has_ended = True
        self._replies.put(None)
        if self._thread.is_alive():
            self._thread.join()
        for slot in self.slots.values():
            slot.close()

    def __enter__(self) -> Self:
        """Itself, following."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.close()

    def _follow(self) -> None:
        self._proposer.join(1, self)
        while True:
            now = time.monotonic()
            self._proposer.step(now)
            with contextlib.suppress(queue.Empty):
                reply = self._replies.get(timeout=self._poll)
                if reply is None:
                    return
                self._proposer.hear(1, reply, time.monotonic())


def _is_current(slot: Slot, target: Target, before: Refusal | None) -> bool:
    look, state = target.look(), slot.state()
    if state.live is not None and state.live.directory == look.directory:
        return True
    refused = None if state.refused is before else state.refused
    if refused is not None and refused.directory in ("", look.directory):
        what = f"{slot.name} {refused.version}".rstrip()
        raise Unavailable(f"{what} is not taken: {refused.reason}")
    if not look.directory:
        target.resolve().lock.close()  # raises: it says what is missing
    return False
