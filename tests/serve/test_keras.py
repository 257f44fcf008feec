"""Keras, for real: memory comes back with a process, and the first answer after a swap is warm."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagship.host.store import Store
from tagship.serve import room
from tagship.serve.serving import Alone
from tagship.serve.settings import Settings
from tagship.serve.slot import Slot
from tests.serve.notes import Notes, until
from tests.serve.shelf import MODEL, Shelf

pytestmark = pytest.mark.heavy
SWAPS = 10
ROWS = {"input-0": np.zeros((1, 32, 32, 3), dtype="float32")}


@pytest.fixture
def networks(shelf: Shelf, tmp_path: Path) -> tuple[str, str]:
    """Two versions of a small network, without a self-test; the directories."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    directories = []
    for number in (1, 2):
        keras.utils.set_random_seed(number)
        model = keras.Sequential(
            [
                keras.Input((32, 32, 3)), layers.Conv2D(16, 3, activation="relu"),
                layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax"),
            ]
        )  # fmt: skip
        path = tmp_path / f"{number}.keras"
        model.save(path)
        shelf.count += 1
        directories.append(shelf.write(f"1.{number}.0", {"model.keras": path.read_bytes()}, None))
    first, second = directories
    return first, second


@pytest.fixture
def slot(shelf: Shelf, networks: tuple[str, str]) -> Iterator[Slot]:
    """The first version answers."""
    shelf.point(networks[0])
    with Alone(Settings((MODEL,), root=shelf.root, poll=0.01), Notes()) as alone:
        until(lambda: alone.slots[MODEL].is_ready)
        yield alone.slots[MODEL]


def ask(slot: Slot) -> tuple[float, Any]:
    """Seconds that an answer takes, and the answer."""
    began = time.perf_counter()
    with slot.acquire() as generation:
        answer = generation.answer(ROWS)
    return time.perf_counter() - began, answer


def await_live(slot: Slot, directory: str) -> None:
    """Wait until a version answers."""
    until(lambda: (live := slot.state().live) is not None and live.directory == directory)


def memory(slot: Slot) -> int:
    """The bytes of this process and of those that have a model."""
    with slot.acquire() as generation:
        (process,) = generation.runner.processes
    return room.used(process)


def test_ten_swaps_leave_the_memory_as_it_was_and_each_first_answer_is_warm(
    shelf: Shelf, networks: tuple[str, str], slot: Slot
) -> None:
    """I6, I7. The memory is that of the model's processes: this one loads no framework."""
    warm = statistics.median(ask(slot)[0] for _ in range(50))
    before = memory(slot)
    firsts = []
    for number in range(SWAPS):
        directory = networks[(number + 1) % 2]
        shelf.point(directory)
        await_live(slot, directory)
        seconds, answer = ask(slot)
        firsts.append(seconds)
        assert answer["output-0"].shape == (1, 3)
        until(lambda: slot.state().generations == 1)
    after = memory(slot)
    assert after <= 1.1 * before, (before, after)
    # a small network answers in a millisecond, and its first answer without a warm-up takes 300
    assert statistics.median(firsts) <= 3 * warm + 0.02, (warm, firsts)
    assert Store(shelf.root / MODEL).live() == networks[0]
