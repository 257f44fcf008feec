"""A member: does for the slots of this process what the proposer asks."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tagship import loaders
from tagship.errors import TagshipError, explain
from tagship.host import live as host_live
from tagship.host.live import Live
from tagship.serve import reasons
from tagship.serve.generation import Facts, Runner
from tagship.serve.orders import (
    Amend,
    Drop,
    Failed,
    Name,
    Note,
    Order,
    Prepare,
    Ready,
    Reply,
    Switched,
)
from tagship.serve.slot import Slot

logger = logging.getLogger("tagship.serve")


class Open(Protocol):
    """Loads a version, and checks it: ``runners.Runners``."""

    def __call__(self, live: Live, is_needed: Callable[[], bool]) -> Runner:
        """A model that answers as it was released, and is warm.

        Args:
            live: the version.
            is_needed: it may give up once this is false.

        Raises:
            TagshipError: it is damaged, does not load, or answers otherwise.
        """


@dataclass(frozen=True)
class _Load:
    """What is being loaded, and whether it still should be."""

    order: Prepare
    is_dropped: threading.Event


class Member:
    """The slots of this process, and the versions that are being loaded for them.

    Args:
        slots: by model.
        root: the folder of all models.
        open_: loads a version.
        reply: hears what comes of an order; called from several threads.
    """

    def __init__(
        self, slots: Mapping[str, Slot], root: Path, open_: Open, reply: Callable[[Reply], None]
    ) -> None:
        self._slots, self._root, self._open, self._reply = slots, root, open_, reply
        self._loads: dict[tuple[Name, int], _Load] = {}
        self._locks: defaultdict[Name, threading.Lock] = defaultdict(threading.Lock)

    def obey(self, order: Order) -> None:
        """Do what an order says; a load begins, and its reply comes later.

        Orders come from one thread.
        """
        match order:
            case Prepare():
                load = _Load(order, threading.Event())
                self._loads[order.name, order.number] = load
                name = f"load {order.name} {order.number}"
                lock = self._locks[order.name]
                threading.Thread(
                    target=self._prepare, args=(load, lock), name=name, daemon=True
                ).start()
            case Switched(name, number, seconds):
                self._loads.pop((name, number), None)
                self._slots[name.model].settle(number, seconds, name.challenger)
            case Drop(name, number):
                self._drop(name, number)
            case Amend(name, number, seq, since):
                self._slots[name.model].amend(number, seq, since, name.challenger)
            case Note(name, refusal):
                self._slots[name.model].note(refusal, name.challenger)

    def _drop(self, name: Name, number: int) -> None:
        load = self._loads.pop((name, number), None)
        if load is not None:
            load.is_dropped.set()
        self._slots[name.model].drop(number, name.challenger)

    def _prepare(self, load: _Load, lock: threading.Lock) -> None:
        """Load a version: one at a time of each model, as one that was dropped may still load."""
        began = time.monotonic()
        with lock:
            if load.is_dropped.is_set():
                return
            reply = self._load(load, began)
        self._reply(reply)

    def _load(self, load: _Load, began: float) -> Reply:
        order = load.order
        try:
            runner = self._opened(load)
        except (TagshipError, OSError) as error:
            said = "; hint: ".join(filter(None, explain(error)))
            return Failed(order.name, order.number, reasons.of(error, self._root), said)
        except Exception:  # a loader's own; the proposer must hear of it
            logger.exception("%s: %s does not load", order.name, order.directory)
            return Failed(order.name, order.number, "it does not load")
        return Ready(order.name, order.number, time.monotonic() - began, runner.processes)

    def _opened(self, load: _Load) -> Runner:
        """Load a version, and put it into its slot."""
        order, slot = load.order, self._slots[load.order.name.model]
        live = host_live.at(order.name.model, order.directory, root=self._root)
        framework = loaders.need(live.path).framework
        runner = self._open(live, lambda: not load.is_dropped.is_set())
        facts = Facts(
            live.model, live.version, order.seq, live.digest, order.directory, order.since,
            framework, order.number,
        )  # fmt: skip
        slot.add(facts, runner, order.name.challenger)
        if load.is_dropped.is_set():  # since: whoever dropped it did not find it in the slot
            slot.drop(order.number, order.name.challenger)
        return runner
