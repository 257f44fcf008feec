"""The folder that an export makes: whole or not at all, and nothing of it is left."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from tagship.disk import atomic
from tagship.export import target
from tests.workbench import Workbench


def left_by_a_killed_run(place: Path) -> Path:
    left = atomic.temporary_name(place)
    left.mkdir()
    (left / "half").write_text("hal")
    return left


@pytest.mark.released
def test_what_a_killed_run_left_is_removed_by_the_next_one(
    bench: Workbench, tmp_path: Path
) -> None:
    left = left_by_a_killed_run(tmp_path / "image")
    others = {left_by_a_killed_run(tmp_path / name) for name in ("image.b", "im", "other")}
    bench.manager.export_image(tmp_path / "image")
    assert not left.exists()
    assert set(atomic.temporaries(tmp_path)) == others


def test_what_another_run_writes_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "image"
    with target.new(place) as first:
        (first / "file").write_text("first")
        with pytest.raises(KeyError), target.new(place) as second:
            assert first != second
            raise KeyError
        assert (first / "file").read_text() == "first"
        assert atomic.temporaries(tmp_path) == [first]
    assert sorted(os.listdir(tmp_path)) == ["home", "image"]


def test_without_locks_nothing_is_known_of_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_by_a_killed_run(tmp_path / "image")

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with target.new(tmp_path / "image"):
        pass
    assert left.exists()
    assert (tmp_path / "image").exists()


def test_a_name_that_cannot_be_made_durable_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        assert folder == tmp_path
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(folder))

    with pytest.raises(OSError, match="Input/output error"), target.new(tmp_path / "image"):
        monkeypatch.setattr(atomic, "sync_tree", lambda _: None)
        monkeypatch.setattr(atomic, "sync_directory", broken)
    assert os.listdir(tmp_path) == ["home"]
