"""One process that follows its links alone: real folders, a framework of the tests' own."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagship.errors import NotFound, Unavailable
from tagship.serve.generation import ModelFailed
from tagship.serve.orders import Name
from tagship.serve.serving import Alone
from tagship.serve.settings import Settings
from tagship.serve.slot import NoVersion, Slot
from tagship.serve.steered import Steered
from tests.serve.notes import Notes, until
from tests.serve.shelf import MODEL, Shelf

Serve = Callable[..., tuple[Slot, Notes]]
ROWS = {"input-0": np.array([[1.0, 2.0]])}


@pytest.fixture
def serve(shelf: Shelf) -> Iterator[Serve]:
    """Begin to serve the shelf; it ends with the test."""
    begun: list[Alone] = []

    def begin(**settings: Any) -> tuple[Slot, Notes]:
        notes = Notes()
        options = {"isolate": "thread", "poll": 0.005, "root": shelf.root, **settings}
        begun.append(Alone(Settings((MODEL,), **options), notes))
        begun[-1].start()
        return begun[-1].slots[MODEL], notes

    yield begin
    for alone in begun:
        alone.close()


def answers(slot: Slot, version: str | None = None) -> tuple[str, float]:
    """The version that answers now, and the factor that its answer shows."""
    with slot.acquire(version) as generation:
        (output,) = generation.answer(ROWS).values()
        return generation.facts.version, float(output[0][0])


def is_live(slot: Slot, version: str) -> Callable[[], bool]:
    """Whether a version answers."""

    def look() -> bool:
        live = slot.state().live
        return live is not None and live.version == version

    return look


def test_a_version_that_is_deployed_later_is_served_without_a_restart(
    shelf: Shelf, serve: Serve
) -> None:
    slot, notes = serve()
    assert not slot.is_ready
    directory = shelf.ship("1.0.0", factor=3)
    until(lambda: slot.is_ready)
    assert answers(slot) == ("1.0.0", 3.0)
    facts = slot.state().live
    assert facts is not None
    assert (facts.seq, facts.directory, facts.framework, facts.number) == (1, directory, "toy", 1)
    assert len(facts.digest) == 64
    shelf.ship("1.1.0", factor=5)
    until(is_live(slot, "1.1.0"))
    assert answers(slot) == ("1.1.0", 5.0)
    shelf.point(directory)
    until(is_live(slot, "1.0.0"))
    assert answers(slot) == ("1.0.0", 3.0)
    until(lambda: (facts := slot.state().live) is not None and facts.seq == 3)  # once recorded
    facts = slot.state().live
    assert facts is not None
    assert facts.number == 3
    until(lambda: notes.words[-2:] == ["1.1.0 -> 1.0.0", "freed 1.1.0"])


# Ways in which what is live can be bad: what makes it so, and the reason that is told.


def flipped(shelf: Shelf, directory: str) -> None:
    """It loads, and even answers as its self-test asks."""
    path = shelf.path(directory)
    path.write_bytes(path.read_bytes().replace(b'"mark": "1.1', b'"mark": "9.9'))


def truncated(shelf: Shelf, directory: str) -> None:
    path = shelf.path(directory)
    path.write_bytes(path.read_bytes()[:-5])


def empty(shelf: Shelf, directory: str) -> None:
    shelf.path(directory).write_bytes(b"")


def without_its_file(shelf: Shelf, directory: str) -> None:
    shelf.path(directory).unlink()


def without_metadata(shelf: Shelf, directory: str) -> None:
    shelf.path(directory, "metadata.json").unlink()


def dangling(shelf: Shelf, directory: str) -> None:
    shutil.rmtree(shelf.store.versions / directory)


def with_another_self_test(shelf: Shelf, directory: str) -> None:
    path = shelf.path(directory, "self_test.json")
    path.write_bytes(path.read_bytes().replace(b"0", b"1"))


BAD = [
    (flipped, "churn 1.1.0: model.toy has other bytes than it was deployed with"),
    (truncated, "churn 1.1.0: model.toy is cut short: has 27 bytes instead of 32"),
    (empty, "churn 1.1.0: model.toy is cut short: has 0 bytes instead of 32"),
    (without_its_file, "churn 1.1.0: model.toy is missing"),
    (without_metadata, "/metadata.json is missing"),
    (dangling, "which is gone"),
    (with_another_self_test, "churn 1.1.0: self_test.json has "),
]


@pytest.mark.parametrize(("spoil", "reason"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_a_bad_version_never_answers_and_the_next_good_one_does(
    shelf: Shelf, serve: Serve, spoil: Callable[[Shelf, str], None], reason: str
) -> None:
    """I4, I5."""
    shelf.ship("1.0.0", factor=3)
    slot, notes = serve()
    until(lambda: slot.is_ready)
    bad = shelf.keep("1.1.0", factor=4)
    spoil(shelf, bad)
    shelf.point(bad)
    until(lambda: slot.state().refused)
    refusal = slot.state().refused
    assert refusal is not None
    assert (refusal.version, refusal.directory, refusal.tries) == ("1.1.0", bad, 1)
    assert reason in refusal.reason
    assert str(shelf.root) not in refusal.reason
    assert answers(slot) == ("1.0.0", 3.0)
    assert slot.is_ready
    shelf.ship("1.2.0", factor=5)
    until(is_live(slot, "1.2.0"))
    assert slot.state().refused is None
    until(lambda: notes.words[-1] == "freed 1.0.0")
    assert notes.words == [
        "None -> 1.0.0", "refused 1.1.0", "1.0.0 -> 1.2.0", "freed 1.0.0"
    ]  # fmt: skip


def test_a_self_test_that_fails_on_the_loaded_object_is_a_refusal(
    shelf: Shelf, serve: Serve
) -> None:
    shelf.ship("1.0.0")
    slot, _ = serve()
    until(lambda: slot.is_ready)
    wrong = {"inputs": [[1.0, 2.0]], "outputs": [[7.0, 7.0]]}
    shelf.count += 1
    shelf.point(shelf.write("1.1.0", {"model.toy": b'{"factor": 2}'}, wrong))
    until(lambda: slot.state().refused)
    refusal = slot.state().refused
    assert refusal is not None
    assert "does not answer as it was released" in refusal.reason
    assert answers(slot)[0] == "1.0.0"


def test_what_a_framework_says_of_a_bad_file_is_for_the_log_alone(
    shelf: Shelf, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.count += 1
    shelf.point(shelf.write("1.0.0", {"model.toy": b"{secret"}, None))
    slot, _ = serve()
    until(lambda: slot.state().refused)
    refusal = slot.state().refused
    assert refusal is not None
    assert refusal.reason.endswith("model.toy does not load")
    assert "Expecting property name" in caplog.text


def test_what_is_live_answers_on_while_the_link_or_its_directory_is_gone(
    shelf: Shelf, serve: Serve
) -> None:
    directory = shelf.ship("1.0.0", factor=3)
    slot, _ = serve()
    until(lambda: slot.is_ready)
    shutil.rmtree(shelf.store.versions / directory)
    shelf.store.current.unlink()
    until(lambda: slot.state().refused)
    refusal = slot.state().refused
    assert refusal is not None
    assert refusal.reason == "no version is live"
    assert answers(slot) == ("1.0.0", 3.0)


def test_a_slow_request_ends_on_its_own_version_while_new_ones_get_the_new(
    shelf: Shelf, serve: Serve
) -> None:
    """I8."""
    gate = shelf.gate()
    shelf.ship("1.0.0", factor=3, slow=77.0, answer_gate=str(gate))
    slot, notes = serve()
    until(lambda: slot.is_ready)
    slow: list[tuple[str, float]] = []

    def ask() -> None:
        with slot.acquire() as generation:
            (output,) = generation.answer({"x": np.array([[77.0, 1.0]])}).values()
            slow.append((generation.facts.version, float(output[0][1])))

    thread = threading.Thread(target=ask)
    thread.start()
    until(Path(f"{gate}.waiting").exists)
    shelf.ship("1.1.0", factor=5)
    until(is_live(slot, "1.1.0"))
    assert answers(slot) == ("1.1.0", 5.0)
    assert slot.state().generations == 2
    assert "freed 1.0.0" not in notes.words
    gate.touch()
    thread.join()
    assert slow == [("1.0.0", 3.0)]
    assert notes.words[-1] == "freed 1.0.0"


def test_requests_go_on_while_a_slow_version_loads(shelf: Shelf, serve: Serve) -> None:
    """I2, I4: it is loaded beside the one that answers."""
    shelf.ship("1.0.0", factor=3)
    slot, _ = serve()
    until(lambda: slot.is_ready)
    gate = shelf.gate()
    shelf.ship("1.1.0", factor=5, load_gate=str(gate))
    until(Path(f"{gate}.waiting").exists)
    for _ in range(100):
        assert answers(slot) == ("1.0.0", 3.0)
        assert slot.is_ready
    gate.touch()
    until(is_live(slot, "1.1.0"))
    assert answers(slot) == ("1.1.0", 5.0)


def test_a_version_that_was_gone_back_from_while_it_loaded_never_answers(
    shelf: Shelf, serve: Serve
) -> None:
    good = shelf.ship("1.0.0", factor=3)
    slot, notes = serve()
    until(lambda: slot.is_ready)
    gate = shelf.gate()
    shelf.ship("1.1.0", factor=5, load_gate=str(gate))
    until(Path(f"{gate}.waiting").exists)
    shelf.point(good)
    until(lambda: (live := slot.state().live) is not None and live.seq == 3)
    gate.touch()
    shelf.ship("1.2.0", factor=7)
    until(is_live(slot, "1.2.0"))
    until(lambda: notes.words[-1].startswith("freed"))
    assert notes.words == ["None -> 1.0.0", "1.0.0 -> 1.2.0", "freed 1.0.0"]


def test_a_challenger_answers_beside_the_live_version(shelf: Shelf, serve: Serve) -> None:
    shelf.keep("1.0.0", factor=3)
    shelf.ship("1.1.0", factor=5)
    slot, _ = serve(challengers=((MODEL, "1.0"),))
    until(lambda: slot.is_ready and slot.state().others)
    assert answers(slot, "1.0.0") == ("1.0.0", 3.0)
    assert answers(slot) == ("1.1.0", 5.0)
    shelf.ship("1.2.0", factor=7)
    until(is_live(slot, "1.2.0"))
    assert answers(slot, "1.0.0") == ("1.0.0", 3.0)
    with pytest.raises(NoVersion):
        slot.acquire("1.1.0")  # it was live, and is not any more


def test_inputs_that_a_framework_does_not_take_are_an_error_without_its_words(
    shelf: Shelf, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.ship("1.0.0", wrong=66.0)
    slot, _ = serve()
    until(lambda: slot.is_ready)
    with (
        slot.acquire() as generation,
        pytest.raises(ModelFailed, match=r"^churn 1\.0\.0 does not answer to these inputs$"),
    ):
        generation.answer({"x": np.array([[66.0, 0.0]])})
    assert "secret internals" in caplog.text
    assert answers(slot)[0] == "1.0.0"


def test_a_loaded_version_is_kept_from_a_cleanup_until_it_is_replaced(
    shelf: Shelf, serve: Serve
) -> None:
    first = shelf.ship("1.0.0")
    slot, _ = serve()
    until(lambda: slot.is_ready)
    assert list(shelf.store.in_use()) == [first]
    second = shelf.ship("1.1.0")
    until(is_live(slot, "1.1.0"))
    until(lambda: list(shelf.store.in_use()) == [second])


def test_a_folder_that_may_only_be_read_is_served(shelf: Shelf, serve: Serve) -> None:
    shelf.ship("1.0.0", factor=3)
    before = sorted(path for path in shelf.root.rglob("*"))
    slot, _ = serve()
    until(lambda: slot.is_ready)
    assert answers(slot) == ("1.0.0", 3.0)
    assert sorted(path for path in shelf.root.rglob("*")) == before


def test_whoever_waits_is_told_what_answers_or_why_nothing_does(shelf: Shelf) -> None:
    with Alone(Settings((MODEL,), root=shelf.root, poll=0.005), Notes()) as alone:
        with pytest.raises(NotFound, match="no folder of the model churn"):
            alone.catch_up()
        shelf.ship("1.0.0", 3.0)
        alone.catch_up()
        assert answers(alone.slots[MODEL]) == ("1.0.0", 3.0)
        bad = shelf.keep("1.1.0", 5.0)
        flipped(shelf, bad)
        shelf.point(bad)
        with pytest.raises(Unavailable, match=r"churn 1\.1\.0 is not taken: .* other bytes"):
            alone.catch_up()
        refused = alone.slots[MODEL].state().refused
        shelf.ship("1.2.0", 7.0)
        alone.catch_up({MODEL: refused})
        assert answers(alone.slots[MODEL]) == ("1.2.0", 7.0)


def test_a_version_can_be_chosen_whatever_the_link_says_and_again_the_link(shelf: Shelf) -> None:
    shelf.ship("1.0.0", 3.0)
    shelf.ship("1.1.0", 5.0)
    steered = Steered(shelf.store, MODEL)
    settings = Settings((MODEL,), root=shelf.root, poll=0.005)
    with Alone(settings, Notes(), {Name(MODEL): steered}) as alone:
        slot = alone.slots[MODEL]
        alone.catch_up()
        assert answers(slot) == ("1.1.0", 5.0)
        steered.choose("1.0.0")
        alone.catch_up()
        assert answers(slot) == ("1.0.0", 3.0)
        shelf.ship("1.2.0", 7.0)
        steered.choose("1.0.0")  # again
        alone.catch_up()
        assert answers(slot) == ("1.0.0", 3.0)
        steered.choose(None)
        alone.catch_up()
        assert answers(slot) == ("1.2.0", 7.0)


def test_a_chosen_version_that_is_not_here_changes_nothing_until_it_comes(shelf: Shelf) -> None:
    shelf.ship("1.0.0", 3.0)
    steered = Steered(shelf.store, MODEL)
    settings = Settings((MODEL,), root=shelf.root, poll=0.005)
    with Alone(settings, Notes(), {Name(MODEL): steered}) as alone:
        slot = alone.slots[MODEL]
        alone.catch_up()
        steered.choose("1.1.0")
        with pytest.raises(Unavailable, match=r"churn 1\.1\.0 is not on this host"):
            alone.catch_up()
        assert answers(slot) == ("1.0.0", 3.0)
        shelf.keep("1.1.0", 5.0)
        alone.catch_up({MODEL: slot.state().refused})
        assert answers(slot) == ("1.1.0", 5.0)
        assert slot.state().refused is None
