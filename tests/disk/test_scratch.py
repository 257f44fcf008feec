"""A folder that is gone afterwards, also after a kill."""

import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tagship.disk import scratch


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder with nothing in it."""
    (tmp_path / "top").mkdir()
    return tmp_path / "top"


def test_a_folder_is_there_for_a_block_and_two_have_two(top: Path) -> None:
    with scratch.folder(top / "x") as first, scratch.folder(top / "x") as second:
        (first / "file").write_text("here")
        assert first != second
        assert {first.parent, second.parent} == {top}
    assert list(top.iterdir()) == []


def die(place: Path) -> None:
    with scratch.folder(place) as folder:
        (folder / "file").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_run_left_is_swept_and_nothing_else(top: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=die, args=(top / "x",))
    process.start()
    process.join()
    (top / "x").write_text("a file")
    (top / ".x.y.tmp").mkdir()
    assert len(list(top.iterdir())) == 3
    with scratch.folder(top / "other"):
        assert len(list(top.iterdir())) == 4
    with scratch.folder(top / "x"):
        assert len(list(top.iterdir())) == 3
    assert sorted(path.name for path in top.iterdir()) == [".x.y.tmp", "x"]


def test_those_that_begin_at_the_same_time_take_no_folder_of_each_other(top: Path) -> None:
    """Each is one for a moment that nobody holds, as one that a killed run left."""

    def use(_: int) -> bool:
        with scratch.folder(top / "bundle") as folder:
            (folder / "file").write_text("here")
            os.sched_yield()
            return (folder / "file").read_text() == "here"

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))
    assert list(top.iterdir()) == []
