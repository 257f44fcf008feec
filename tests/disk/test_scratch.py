"""A folder that is gone afterwards, also after a kill."""

import multiprocessing
import os
import signal
from pathlib import Path

from tagship.disk import scratch


def test_a_folder_is_there_for_a_block_and_two_have_two(tmp_path: Path) -> None:
    with scratch.folder(tmp_path / "x") as first, scratch.folder(tmp_path / "x") as second:
        (first / "file").write_text("here")
        assert first != second
        assert {first.parent, second.parent} == {tmp_path}
    assert list(tmp_path.iterdir()) == []


def die(place: Path) -> None:
    with scratch.folder(place) as folder:
        (folder / "file").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=die, args=(tmp_path / "x",))
    process.start()
    process.join()
    (tmp_path / "x").write_text("a file")
    (tmp_path / ".x.y.tmp").mkdir()
    assert len(list(tmp_path.iterdir())) == 3
    with scratch.folder(tmp_path / "other"):
        assert len(list(tmp_path.iterdir())) == 4
    with scratch.folder(tmp_path / "x"):
        assert len(list(tmp_path.iterdir())) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [".x.y.tmp", "x"]
