"""A model in a process of its own: real processes, a framework of the tests' own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tagship.errors import Corrupt, SelfTestFailed
from tagship.host import live as host_live
from tagship.serve import wire
from tagship.serve.generation import Gone, ModelFailed
from tagship.serve.isolated import Isolated
from tests.serve.notes import until
from tests.serve.shelf import MODEL, Shelf
from tests.serve.test_alone import Serve, answers, is_live, serve

__all__ = ["serve"]
ROWS = {"x": np.array([[1.0, 2.0]])}


def is_running(process: int) -> bool:
    """Whether a process is there; one that nobody waited for yet is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # also if it ends between open and read
        return False


@contextlib.contextmanager
def isolated(shelf: Shelf, directory: str, seconds: float = 30) -> Iterator[Isolated]:
    """A version in a process of its own."""
    live = host_live.at(MODEL, directory, root=shelf.root)
    with contextlib.closing(Isolated(live, shelf.root, seconds, lambda: True)) as model:
        yield model


def factor(model: Isolated) -> float:
    (output,) = model.answer(ROWS).values()
    return float(output[0][0])


def test_a_killed_process_is_gone_for_those_in_flight_and_the_same_version_comes_again(
    shelf: Shelf,
) -> None:
    """I9; then it is killed by a request, and then it answers too late."""
    gate = shelf.gate()
    directory = shelf.keep(
        "1.0.0", factor=3, slow=77.0, answer_gate=str(gate), deadly=66.0, wrong=55.0
    )
    with isolated(shelf, directory, seconds=2) as model:
        assert factor(model) == 3.0
        assert model.signature.inputs[0].shape == (None, 2)
        (first,) = model.processes
        gone: list[Gone] = []

        def ask() -> None:
            try:
                model.answer({"x": np.array([[77.0, 0.0]])})
            except Gone as error:
                gone.append(error)

        flights = [threading.Thread(target=ask) for _ in range(3)]
        for flight in flights:
            flight.start()
        until(Path(f"{gate}.waiting").exists)
        os.kill(first, signal.SIGKILL)
        for flight in flights:
            flight.join()
        assert len(gone) >= 1
        assert gone[0].message == "the process of churn 1.0.0 has ended, and is being started again"
        until(lambda: model.is_alive)
        assert factor(model) == 3.0
        (second,) = model.processes
        assert second != first

        with pytest.raises(ModelFailed, match=r"^churn 1\.0\.0 does not answer to these inputs$"):
            model.answer({"x": np.array([[55.0, 0.0]])})
        assert model.processes == (second,)  # that is no reason to end

        with pytest.raises(Gone):
            model.answer({"x": np.array([[66.0, 0.0]])})
        until(lambda: model.is_alive and model.processes != (second,))
        assert factor(model) == 3.0
        (third,) = model.processes

        with pytest.raises(Gone):  # it would wait for ever
            model.answer({"x": np.array([[77.0, 0.0]])})
        until(lambda: not is_running(third))
    until(lambda: not model.processes)


def test_its_environment_has_no_credentials_and_it_ends_with_the_version(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with isolated(shelf, shelf.keep("1.0.0")) as model:
        (process,) = model.processes
        names = {
            line.partition(b"=")[0]
            for line in Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        }
        assert b"AWS_SECRET_ACCESS_KEY" not in names
        assert {b"OMP_NUM_THREADS", b"PATH", b"HOME", b"LANG"} <= names
        assert os.readlink(f"/proc/{process}/cwd") == "/"
    until(lambda: not is_running(process))


def test_a_process_dies_with_the_one_that_started_it_even_in_the_middle_of_a_load(
    shelf: Shelf,
) -> None:
    gate = shelf.gate()
    directory = shelf.keep("1.0.0", load_gate=str(gate))
    code = (
        "import sys\nfrom pathlib import Path\nfrom tagship.host import live\n"
        "from tagship.serve.isolated import Isolated\n"
        "root = Path(sys.argv[1])\n"
        "Isolated(live.at('churn', sys.argv[2], root=root), root, 30, lambda: True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(shelf.root), directory]) as parent:
        waiting = Path(f"{gate}.waiting")
        until(lambda: waiting.exists() and waiting.read_text().endswith("\n"))
        child = int(waiting.read_text())
        assert is_running(child)
        parent.kill()
    try:
        until(lambda: not is_running(child))
    finally:  # where this fails, as with a patch of tests/mutations, nobody else ends it
        if is_running(child):
            os.kill(child, signal.SIGKILL)


def test_a_version_that_does_not_load_says_why_and_one_that_ends_its_process_how(
    shelf: Shelf,
) -> None:
    spoiled = shelf.keep("1.0.0")
    shelf.path(spoiled).write_bytes(b"{}")
    with pytest.raises(Corrupt, match=r"churn 1\.0\.0: model\.toy is cut short"):
        isolated(shelf, spoiled).__enter__()
    deadly = shelf.keep("1.1.0", load_kills=True)
    with pytest.raises(SelfTestFailed, match=r"loading churn 1\.1\.0 ended its process by SIGKILL"):
        isolated(shelf, deadly).__enter__()


def test_a_swap_ends_the_process_of_the_old_version_and_one_that_is_not_wanted_is_given_up(
    shelf: Shelf, serve: Serve
) -> None:
    """I4, I8: it is started beside the old one, whose last request it does not disturb."""
    good = shelf.ship("1.0.0", factor=3)
    slot, notes = serve(isolate="process")
    until(lambda: slot.is_ready)
    held = slot.acquire()
    (old,) = held.runner.processes
    gate = shelf.gate()
    shelf.ship("1.1.0", load_gate=str(gate))
    until(Path(f"{gate}.waiting").exists)
    loading = int(Path(f"{gate}.waiting").read_text())
    assert slot.is_ready
    shelf.point(good)
    until(lambda: not is_running(loading))  # it would never be ready
    shelf.ship("1.2.0", factor=5)
    until(is_live(slot, "1.2.0"))
    assert answers(slot) == ("1.2.0", 5.0)
    (output,) = held.answer(ROWS).values()
    assert float(output[0][0]) == 3.0
    held.__exit__()
    until(lambda: not is_running(old))
    assert notes.words == ["None -> 1.0.0", "1.0.0 -> 1.2.0", "freed 1.0.0"]


# What goes through the socket.


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="float32").reshape(2, 3),
        np.array([[1, 2], [3, 4]], dtype="int64")[:, ::-1],
        np.array([True, False]),
        np.array(["a", "ü\n"]),
        np.array([["a", 1.5], ["b", None]], dtype=object),
        np.zeros((0, 4)),
        np.array(2.5),
        np.array([float("nan"), float("inf")]),
        np.arange(100_000, dtype="uint8"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_arrives_as_it_was_sent(array: "np.ndarray") -> None:
    here, there = socket.socketpair()
    with here, there:
        sender = threading.Thread(target=wire.send, args=(here, {"a": 1}, {"x": array, "y": array}))
        sender.start()
        header, arrays = wire.receive(there)
        sender.join()
    assert header == {"a": 1}
    assert list(arrays) == ["x", "y"]
    for each in arrays.values():
        assert (each.dtype, each.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(each, array)


def framed(header: bytes) -> bytes:
    return len(header).to_bytes(8, "big") + header


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0\0\0", (2**40).to_bytes(8, "big"), framed(b"{x}"),
        framed(b"{}"),
        framed(b'{"tensors": [{"name": "x", "shape": [2], "type": "|O"}]}'),
        framed(b'{"tensors": [{"name": "x", "shape": [2], "type": "<f8"}]}') + b"1",
    ],
)  # fmt: skip
def test_what_is_not_of_the_form_is_an_error_and_no_object(data: bytes) -> None:
    """A model's process is not trusted: what it sends never runs code here."""
    here, there = socket.socketpair()
    with there:
        with here:
            here.sendall(data)
        with pytest.raises(wire.Broken):
            wire.receive(there)
