"""The slot: which generation a request gets, and when one is freed."""

import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from tagship.serve.epoch import Epochs
from tagship.serve.generation import Facts, Generation
from tagship.serve.slot import NotReady, NoVersion, Refusal, Slot
from tests.serve.notes import Notes


@dataclass
class Runner:
    """Answers with its name, until it is closed."""

    name: str
    is_alive: bool = True
    closed: int = 0
    processes: tuple[int, ...] = ()
    signature: Any = None

    def answer(self, inputs: Any) -> Any:
        assert not self.closed, "it was freed under a request"
        return self.name

    def close(self) -> None:
        self.closed += 1


def said(generation: Generation) -> object:
    """What a generation answers."""
    return generation.answer({})


@dataclass
class Stand:
    """A slot, and its cells."""

    notes: Notes = field(default_factory=Notes)
    epochs: Epochs = field(default_factory=lambda: Epochs(2))

    def __post_init__(self) -> None:
        live, pinned = self.epochs.cells
        self.slot = Slot("churn", live, {"1.0": pinned}, self.notes)

    def add(self, number: int, version: str, challenger: str | None = None) -> Runner:
        """A generation is ready."""
        runner = Runner(version)
        facts = Facts("churn", version, number, "0" * 64, f"v{version}_x", "", "toy", number)
        self.slot.add(facts, runner, challenger)
        return runner

    def switch(self, number: int, challenger: str | None = None) -> None:
        """It answers, and this process hears of it."""
        self.epochs.cells[1 if challenger else 0].write(number)
        self.slot.settle(number, 0.5, challenger)


def test_nothing_is_ready_before_the_first_version_is_loaded() -> None:
    stand = Stand()
    assert not stand.slot.is_ready
    with pytest.raises(NotReady, match="churn is not ready: no version is loaded yet"):
        stand.slot.acquire()
    stand.add(1, "1.0.0")
    assert not stand.slot.is_ready  # not before its number is in the cell
    stand.epochs.cells[0].write(1)
    assert stand.slot.is_ready
    with stand.slot.acquire() as generation:
        assert said(generation) == "1.0.0"


def test_a_request_keeps_its_own_version_and_the_last_one_frees_it() -> None:
    """I8: new requests get the new version at once."""
    stand = Stand()
    old = stand.add(1, "1.0.0")
    stand.switch(1)
    slow, other = stand.slot.acquire(), stand.slot.acquire()
    stand.add(2, "1.1.0")
    stand.switch(2)
    with stand.slot.acquire() as generation:
        assert said(generation) == "1.1.0"
    assert (said(slow), slow.facts.version) == ("1.0.0", "1.0.0")
    slow.__exit__()
    assert (old.closed, stand.slot.state().generations) == (0, 2)
    assert said(other) == "1.0.0"
    other.__exit__()
    assert (old.closed, stand.slot.state().generations) == (1, 1)
    assert stand.notes.words == ["None -> 1.0.0", "1.0.0 -> 1.1.0", "freed 1.0.0"]


def test_a_version_without_requests_is_freed_by_the_switch() -> None:
    stand = Stand()
    old = stand.add(1, "1.0.0")
    stand.switch(1)
    stand.add(2, "1.1.0")
    assert old.closed == 0
    stand.switch(2)
    assert old.closed == 1
    assert stand.notes.words == ["None -> 1.0.0", "1.0.0 -> 1.1.0", "freed 1.0.0"]


def test_between_the_switch_and_the_word_of_it_the_new_version_answers_and_the_old_is_kept() -> (
    None
):
    """Another process wrote the cell; this one hears of it a moment later."""
    stand = Stand()
    old = stand.add(1, "1.0.0")
    stand.switch(1)
    stand.add(2, "1.1.0")
    with stand.slot.acquire():
        stand.epochs.cells[0].write(2)
    assert old.closed == 0
    with stand.slot.acquire() as generation:
        assert generation.facts.version == "1.1.0"
    stand.slot.settle(2, 0.5)
    assert old.closed == 1


def test_what_is_dropped_never_answers_and_is_freed() -> None:
    stand = Stand()
    stand.add(1, "1.0.0")
    stand.switch(1)
    bad = stand.add(2, "1.1.0")
    stand.slot.drop(2)
    assert bad.closed == 1
    with stand.slot.acquire() as generation:
        assert generation.facts.version == "1.0.0"


def test_a_challenger_answers_who_names_it_and_nobody_else() -> None:
    stand = Stand()
    stand.add(1, "1.1.0")
    stand.switch(1)
    with pytest.raises(NotReady, match=r"version 1\.0 of churn is not ready: it is not loaded yet"):
        stand.slot.acquire("1.0")
    stand.add(1, "1.0.3", "1.0")
    stand.switch(1, "1.0")
    answering = (None, "1.1.0"), ("1.1.0", "1.1.0"), ("1.0.3", "1.0.3"), ("1.0", "1.0.3")
    for version, expected in answering:
        with stand.slot.acquire(version) as generation:
            assert said(generation) == expected
    with pytest.raises(NoVersion, match=r"version 9\.0\.0 of churn is not loaded"):
        stand.slot.acquire("9.0.0")
    state = stand.slot.state()
    assert state.live is not None
    assert (state.live.version, [facts.version for facts in state.others]) == ("1.1.0", ["1.0.3"])
    assert stand.notes.words == ["None -> 1.1.0"]  # of challengers nobody is told


def test_a_challenger_that_is_refused_is_not_loaded_for_a_reason() -> None:
    stand = Stand()
    stand.add(1, "1.1.0")
    stand.switch(1)
    for version, refusal in (
        ("", Refusal("", "", "gone")),
        ("1.0.3", Refusal("1.0.3", "x", "bad")),
    ):
        stand.slot.note(refusal, "1.0")
        for asked in filter(None, ("1.0", version)):
            words = rf"version {asked} of churn is not loaded: {refusal.reason}"
            with pytest.raises(NoVersion, match=words):
                stand.slot.acquire(asked)
        (told,) = stand.slot.state().refused_challengers
        assert (told.version, told.reason) == (version or "1.0", refusal.reason)
    assert stand.slot.state().refused is None
    stand.add(1, "1.0.3", "1.0")
    stand.switch(1, "1.0")
    assert stand.slot.state().refused_challengers == ()


def test_a_refusal_is_in_the_state_until_what_should_be_live_is() -> None:
    stand = Stand()
    stand.add(1, "1.0.0")
    stand.switch(1)
    refusal = Refusal("1.1.0", "v1.1.0_x", "it does not load")
    stand.slot.note(refusal)
    assert stand.slot.state().refused == refusal
    assert stand.slot.is_ready
    stand.add(2, "1.2.0")
    stand.switch(2)
    assert stand.slot.state().refused is None
    assert "refused 1.1.0" in stand.notes.words


def test_the_same_directory_made_live_once_more_has_its_new_event_in_the_facts() -> None:
    stand = Stand()
    stand.add(1, "1.0.0")
    stand.switch(1)
    stand.slot.amend(1, 7, "2026-11-27T00:00:00Z")
    with stand.slot.acquire() as generation:
        assert (generation.facts.seq, generation.facts.number) == (7, 1)


def test_many_threads_never_use_what_was_freed() -> None:
    """I2: 20,000 requests while 300 versions come and go. ``Runner.answer`` asserts."""
    stand = Stand()
    stand.add(1, "1")
    stand.switch(1)
    wrong: list[BaseException] = []

    def ask() -> None:
        last = 0
        try:
            for _ in range(5000):
                with stand.slot.acquire() as generation:
                    assert said(generation) == generation.facts.version
                    assert generation.facts.number >= last
                    last = generation.facts.number
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    runners = []
    for number in range(2, 300):
        runners.append(stand.add(number, str(number)))
        stand.switch(number)
    for thread in threads:
        thread.join()
    assert wrong == []
    assert [runner.closed for runner in runners] == [1] * 297 + [0]
    assert stand.slot.state().generations == 1


def test_a_number_is_never_seen_half_written() -> None:
    """Two processes share the cell: one writes 0 and 2**64 - 1 in turn, one looks."""
    epochs = Epochs(3)
    cell = epochs.cells[1]
    code = (
        "import sys\nfrom tagship.serve.epoch import Epochs\n"
        "cell = Epochs(3, int(sys.argv[1])).cells[1]\n"
        "print(cell.read(), flush=True)\n"
        "while True:\n    cell.write(2**64 - 1)\n    cell.write(0)\n"
    )
    cell.write(5)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(epochs.descriptor)], stdout=subprocess.PIPE,
        pass_fds=[epochs.descriptor],
    ) as writer:  # fmt: skip
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"5\n"
            seen = {cell.read() for _ in range(300_000)}
        finally:
            writer.kill()
    assert seen <= {5, 0, 2**64 - 1}
    assert len(seen) > 1
    assert (epochs.cells[0].read(), epochs.cells[2].read()) == (0, 0)
