"""Random stories of a server: the link moves, versions break and load slowly, requests come and go.

A plain model says what may answer. Everything but the time and the order of events is real.
"""

import queue
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import booleans, data, integers, sampled_from

from tagship.errors import SelfTestFailed
from tagship.host.live import Live
from tagship.serve.epoch import Epochs
from tagship.serve.generation import Generation
from tagship.serve.member import Member
from tagship.serve.orders import Name, Order, Prepare, Reply
from tagship.serve.proposer import Proposer
from tagship.serve.slot import NotReady, Slot
from tests.serve.notes import Notes
from tests.serve.shelf import MODEL, Shelf

WORKERS = 2


@dataclass
class Runner:
    """A loaded version, which knows whether it was freed."""

    directory: str
    closed: bool = False
    is_alive: bool = True
    processes: tuple[int, ...] = ()
    signature: Any = None

    def answer(self, inputs: Any) -> Any:
        assert not self.closed
        return {"directory": self.directory}

    def close(self) -> None:
        assert not self.closed
        self.closed = True


@dataclass
class Worker:
    """A worker of a server, whose loads end when the story says so."""

    slot: Slot
    notes: Notes
    bad: set[str]
    replies: "queue.SimpleQueue[Reply]" = field(default_factory=queue.SimpleQueue)
    orders: list[Order] = field(default_factory=list)
    runners: list[Runner] = field(default_factory=list)
    held: list[Generation] = field(default_factory=list)

    def start(self, root: Path) -> None:
        self.member = Member({MODEL: self.slot}, root, self.open, self.replies.put)

    def tell(self, order: Order) -> None:
        """An order is on its way."""
        self.orders.append(order)

    def open(self, live: Live, is_needed: Any) -> Runner:
        """Load a version: it ends when the story lets it."""
        if live.directory.name in self.bad:
            raise SelfTestFailed("it does not answer as it was released")
        self.runners.append(Runner(live.directory.name))
        return self.runners[-1]


class Story(RuleBasedStateMachine):
    """One proposer, some workers, three versions and more."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.shelf = Shelf(Path(self.folder))
        self.bad: set[str] = set()
        self.epochs = Epochs(1)
        self.cell = self.epochs.cells[0]
        self.proposer = Proposer({MODEL: self.shelf.store}, [Name(MODEL)], self.epochs)
        self.workers: dict[int, Worker] = {}
        self.count, self.now, self.newest = 0, 0.0, 0
        self.directories = [self.shelf.keep(f"1.{number}.0") for number in range(3)]
        self.allowed: set[str] = set()  # that the link ever named while they were good
        for _ in range(WORKERS):
            self.join()

    def join(self) -> None:
        """A worker starts."""
        self.count += 1
        notes = Notes()
        worker = Worker(Slot(MODEL, self.cell, {}, notes), notes, self.bad)
        worker.start(self.shelf.root)
        self.workers[self.count] = worker
        self.proposer.join(self.count, worker)

    @rule(data=data())
    def switch(self, data: Any) -> None:
        """Somebody deploys or rolls back."""
        directory = data.draw(sampled_from(self.directories))
        if (self.shelf.store.versions / directory).exists():
            self.shelf.point(directory)
            self.allowed.add(directory)

    @rule(is_bad=booleans())
    def release(self, is_bad: bool) -> None:
        """A new version is deployed, which may be bad."""
        directory = self.shelf.ship(f"1.{len(self.directories)}.0")
        self.directories.append(directory)
        self.allowed.add(directory)
        if is_bad:
            self.bad.add(directory)

    @rule(data=data())
    def repair(self, data: Any) -> None:
        """What failed does not fail any more."""
        if self.bad:
            self.bad.discard(data.draw(sampled_from(sorted(self.bad))))

    @rule(data=data())
    def delete(self, data: Any) -> None:
        """A directory is removed by hand."""
        directory = data.draw(sampled_from(self.directories))
        shutil.rmtree(self.shelf.store.versions / directory, ignore_errors=True)

    @rule()
    def unlink(self) -> None:
        """The link is removed by hand."""
        self.shelf.store.current.unlink(missing_ok=True)

    @rule(seconds=sampled_from([0.1, 1.0, 5.0, 70.0, 700.0]))
    def step(self, seconds: float) -> None:
        """Time goes by, and the proposer looks."""
        self.now += seconds
        self.proposer.step(self.now)

    @precondition(lambda self: self.workers)
    @rule(data=data(), count=integers(1, 3))
    def deliver(self, data: Any, count: int) -> None:
        """A worker gets its next orders, loads, and its replies arrive."""
        number = data.draw(sampled_from(sorted(self.workers)))
        worker = self.workers[number]
        for _ in range(min(count, len(worker.orders))):
            self.obey(number, worker)

    def obey(self, number: int, worker: Worker) -> None:
        """A worker does what it is told next."""
        order = worker.orders.pop(0)
        worker.member.obey(order)
        if isinstance(order, Prepare):
            self.proposer.hear(number, worker.replies.get(timeout=30), self.now)

    @precondition(lambda self: len(self.workers) > 1)
    @rule(data=data())
    def kill(self, data: Any) -> None:
        """A worker ends at any moment, and another one starts."""
        number = data.draw(sampled_from(sorted(self.workers)))
        del self.workers[number]
        self.proposer.leave(number, self.now)
        self.join()

    @precondition(lambda self: self.workers)
    @rule(data=data())
    def acquire(self, data: Any) -> None:
        """A request comes, to any worker that takes connections."""
        voters = sorted(self.proposer.voters())
        if not voters:
            return
        worker = self.workers[data.draw(sampled_from(voters))]
        try:
            generation = worker.slot.acquire()
        except NotReady:
            return
        number = generation.facts.number
        assert number >= self.newest, "an answer goes back"
        self.newest = number
        worker.held.append(generation)

    @precondition(lambda self: any(worker.held for worker in self.workers.values()))
    @rule(data=data())
    def finish(self, data: Any) -> None:
        """A request ends: it was answered by the version that it began with."""
        busy = sorted(number for number, worker in self.workers.items() if worker.held)
        worker = self.workers[data.draw(sampled_from(busy))]
        generation = worker.held.pop(data.draw(integers(0, len(worker.held) - 1)))
        assert generation.answer({}) == {"directory": generation.facts.directory}
        generation.__exit__()

    @invariant()
    def only_good_versions_answer(self) -> None:
        """Only what the link named, and never what is bad since before it was loaded."""
        for worker in getattr(self, "workers", {}).values():
            live = worker.slot.state().live
            assert live is None or live.directory in self.allowed

    @invariant()
    def all_that_take_connections_agree(self) -> None:
        """With what is in the cell; one that could never load it says so."""
        if not hasattr(self, "workers"):
            return
        number = self.cell.read()
        for member in self.proposer.voters():
            live = self.workers[member].slot.state().live
            assert live is None or live.number == number

    @invariant()
    def nothing_is_freed_that_is_used_and_little_is_kept_that_is_not(self) -> None:
        for worker in getattr(self, "workers", {}).values():
            assert not any(generation.runner.closed for generation in worker.held)
            used = {id(generation) for generation in worker.held}
            opened = [runner for runner in worker.runners if not runner.closed]
            assert (
                len(opened) <= len(used) + 3
            )  # live, about to be, and one whose word is on its way

    def teardown(self) -> None:
        """In the end, with all good and some time, what the link says answers everywhere."""
        if not hasattr(self, "workers"):
            return
        self.bad.clear()
        directory = self.shelf.ship("9.0.0")
        for _ in range(12):
            self.now += 70
            self.proposer.step(self.now)
            for number, worker in self.workers.items():
                while worker.orders:
                    self.obey(number, worker)
        for number, worker in self.workers.items():
            live = worker.slot.state().live
            assert live is not None
            assert live.directory == directory, (number, live)
            while worker.held:
                worker.held.pop().__exit__()
            assert worker.slot.state().generations == 1
        shutil.rmtree(self.folder)


pytestmark = pytest.mark.usefixtures("shelf")  # for the framework
TestStory = Story.TestCase
TestStory.settings = settings(max_examples=25, stateful_step_count=30)
