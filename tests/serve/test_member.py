"""A member: what it loads, and where."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tagship.host import live as host_live
from tagship.serve import in_process, isolated, runners
from tagship.serve.epoch import Epochs
from tagship.serve.member import Member
from tagship.serve.orders import Drop, Failed, Name, Prepare, Ready, Reply, Switched
from tagship.serve.runners import Runners
from tagship.serve.settings import Settings
from tagship.serve.slot import Slot
from tests.serve.notes import until
from tests.serve.shelf import MODEL, Shelf
from tests.serve.toy.toy_loader import Toy

NAME = Name(MODEL)


class Stand:
    """A slot, and a member that loads for it."""

    def __init__(self, shelf: Shelf) -> None:
        self.cell = Epochs(1).cells[0]
        self.slot = Slot(MODEL, self.cell)
        self.replies: list[Reply] = []
        load = Runners(shelf.root, "thread")
        self.member = Member({MODEL: self.slot}, shelf.root, load, self.replies.append)

    def prepare(self, number: int, directory: str) -> Reply:
        """Have a version loaded."""
        count = len(self.replies)
        self.member.obey(Prepare(NAME, number, directory, number, ""))
        until(lambda: len(self.replies) > count)
        return self.replies[-1]

    def switch(self, number: int) -> None:
        """It answers."""
        self.cell.write(number)
        self.member.obey(Switched(NAME, number, 0.5))


@pytest.fixture
def stand(shelf: Shelf) -> Iterator[Stand]:
    stand = Stand(shelf)
    yield stand
    stand.slot.close()


def test_a_member_loads_what_was_proposed_whatever_the_link_says_by_now(
    shelf: Shelf, stand: Stand
) -> None:
    """I1: the link is read once; an answer is that of the version which it names."""
    proposed = shelf.ship("1.0.0", factor=3)
    shelf.ship("1.1.0", factor=5)
    assert isinstance(stand.prepare(1, proposed), Ready)
    stand.switch(1)
    with stand.slot.acquire() as generation:
        (output,) = generation.answer({"x": np.array([[1.0, 1.0]])}).values()
        assert (generation.facts.version, generation.facts.directory) == ("1.0.0", proposed)
        assert float(output[0][0]) == 3.0


def test_what_was_loaded_is_kept_beside_what_answers_until_the_switch(
    shelf: Shelf, stand: Stand
) -> None:
    """I4."""
    stand.prepare(1, shelf.keep("1.0.0"))
    stand.switch(1)
    stand.prepare(2, shelf.keep("1.1.0"))
    with stand.slot.acquire() as generation:
        assert generation.facts.version == "1.0.0"
        assert generation.answer({"x": np.array([[1.0, 1.0]])})
    assert stand.slot.state().generations == 2
    stand.member.obey(Drop(NAME, 2))
    assert stand.slot.state().generations == 1


def test_whatever_a_loader_raises_the_proposer_hears_of_it(
    shelf: Shelf, stand: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def signature(self: Toy, model: Any) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("toy_loader.Toy.signature", signature)
    assert stand.prepare(1, shelf.keep("1.0.0")) == Failed(NAME, 1, "it does not load")
    gone = stand.prepare(2, "v9.9.9_20261120_000001")
    assert isinstance(gone, Failed)
    assert str(shelf.root) not in gone.reason
    shelf.count += 1
    unknown = shelf.write("1.1.0", {"model.unknown": b"x"}, None)
    caplog.clear()
    failed = stand.prepare(3, unknown)
    assert isinstance(failed, Failed)
    assert failed.reason == "no loader reads model.unknown"
    assert failed.said.startswith("no loader reads model.unknown; hint: ")
    assert caplog.messages == []  # the proposer says it


@pytest.mark.parametrize(
    ("isolate", "returns_memory", "is_isolated"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("process", True, True),
        ("thread", False, False),
    ],
)
def test_a_framework_that_keeps_memory_has_a_process_for_each_version(
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    isolate: str,
    returns_memory: bool,
    is_isolated: bool,
) -> None:
    """I7. Only where it is loaded is looked at; ``test_keras.py`` measures the memory."""
    monkeypatch.setattr("toy_loader.Toy.returns_memory", returns_memory, raising=False)
    monkeypatch.setattr(isolated, "Isolated", lambda *_: "isolated")
    monkeypatch.setattr(in_process, "load", lambda _: "in process")
    live = host_live.at(MODEL, shelf.keep("1.0.0"), root=shelf.root)
    loaded: object = Runners(shelf.root, isolate)(live, lambda: True)
    assert loaded == ("isolated" if is_isolated else "in process")


def test_keras_keeps_memory_and_catboost_does_not() -> None:
    from tagship.loaders.catboost import CatBoostLoader
    from tagship.loaders.keras import KerasLoader

    assert not KerasLoader.returns_memory
    assert getattr(CatBoostLoader, "returns_memory", True)
    assert {runners.AUTO, runners.PROCESS, runners.THREAD} == {"auto", "process", "thread"}
    assert Settings((MODEL,)).isolate == runners.AUTO


def test_the_first_answer_is_not_the_first_question(
    shelf: Shelf, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I6: a model without a self-test is asked its example; ``test_keras.py`` measures the time."""
    asked: list[object] = []

    def answer(self: Toy, model: Any, inputs: Any) -> Any:
        asked.append(inputs)
        return inputs

    monkeypatch.setattr("toy_loader.Toy.answer", answer)
    shelf.count += 1
    stand.prepare(1, shelf.write("1.0.0", {"model.toy": b'{"factor": 2}'}, None))
    assert len(asked) == 1
