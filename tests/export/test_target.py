"""The folder that an export makes: whole or not at all, and nothing of it is left."""

import errno
import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagship.cli import main
from tagship.disk import atomic
from tagship.export import target
from tests.export import registry
from tests.workbench import Result, Workbench


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


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A disk of one page, which only root can mount."""
    folder = tmp_path / "full disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted: {result.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.released
@pytest.mark.parametrize("command", [
    "export churn --format oci -o", "export churn --format cyclonedx -o", "bundle churn -o",
    "unpack oci:../image",
])  # fmt: skip
def test_a_full_disk_is_named_and_nothing_is_left(
    bench: Workbench, full: Path, command: str
) -> None:
    bench.manager.export_image(bench.repo.parent / "image")
    bench.monkeypatch.chdir(bench.repo)
    target = full / "new"
    kind = "file" if command.startswith("bundle") else "folder"
    assert bench._run(main.main, *command.split(), str(target)) == Result(
        1, "",
        f"error: {target} could not be written: No space left on device ({full})\n"
        f"hint: make room: df -h '{full}'; or give a {kind} on another disk\n",
    )  # fmt: skip
    assert list(full.iterdir()) == []


@pytest.mark.released
def test_a_push_names_the_disk_of_its_temporary_folder(bench: Workbench, full: Path) -> None:
    bench.monkeypatch.setattr(tempfile, "tempdir", str(full))
    with registry.running() as fake:
        told = bench.cli("export", "churn", "--format", "oci", "--push", f"{fake.host}/m")
    assert told == Result(
        1, "",
        f"error: {full} has no room for the image of churn@v1.0.0\n"
        f"hint: make room: df -h '{full}'; or have TMPDIR name another disk\n",
    )  # fmt: skip
    assert list(full.iterdir()) == []


def test_another_error_of_the_disk_says_that_nothing_is_left(tmp_path: Path) -> None:
    error = OSError(errno.EIO, "Input/output error", str(tmp_path))
    told = target.not_written(Path("new"), tmp_path / "new", error, "export again")
    assert told.message == f"new could not be written: Input/output error ({tmp_path})"
    assert told.hint == "fix that, and export again: nothing is left of it"
