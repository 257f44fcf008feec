"""A rollback hashes what was touched since it was deployed, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tagship.disk import files
from tagship.host import metadata
from tests.workbench import Workbench


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are hashed, in order."""
    names: list[str] = []
    digest = files.digest

    def spy(path: Path, *arguments: object) -> files.File:
        names.append(path.name)
        return digest(path)

    monkeypatch.setattr(files, "digest", spy)
    return names


def old_version(bench: Workbench) -> Path:
    """The model's file of 1.0.0, on disk and not live."""
    (path,) = (bench.folder / "versions").glob("v1.0.0_*/model.bin")
    return path


def test_what_nobody_touched_is_not_hashed(shipped: Workbench, hashed: list[str]) -> None:
    shipped.manager.rollback_to_version()
    assert shipped.live() == "model 1\n"
    assert hashed == []
    shipped.manager.deploy("1.0")  # it is live: nothing to do
    assert hashed == []


def test_with_verify_it_is(shipped: Workbench, hashed: list[str]) -> None:
    assert shipped.cli("rollback", "churn", "--verify", "--yes").code == 0
    assert hashed == ["model.bin"]


def test_verify_and_status_hash_every_byte(shipped: Workbench, hashed: list[str]) -> None:
    shipped.manager.verify()
    assert hashed == ["model.bin", "model.bin"]
    shipped.cli("status", "churn")
    assert hashed == ["model.bin"] * 3


def in_place(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"MODEL 1\n")
    path.chmod(0o444)


def in_place_and_back_in_time(path: Path) -> None:
    """Size, mode and time of modification are as they were: the time of change tells."""
    before = path.stat()
    in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def by_another_file(path: Path) -> None:
    before = path.stat()
    path.parent.chmod(0o755)
    path.unlink()
    path.write_bytes(b"MODEL 1\n")
    path.chmod(0o444)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.parent.chmod(0o555)


@pytest.mark.parametrize("change", [in_place, in_place_and_back_in_time, by_another_file])
def test_what_was_changed_is_found_and_made_anew(
    change: Callable[[Path], None], shipped: Workbench
) -> None:
    damaged = old_version(shipped)
    change(damaged)
    outcome = shipped.manager.rollback_to_version()
    assert shipped.live() == "model 1\n"
    assert outcome.path != damaged.parent


def test_what_was_touched_and_is_whole_is_hashed_and_used(
    shipped: Workbench, hashed: list[str]
) -> None:
    old_version(shipped).touch()
    outcome = shipped.manager.rollback_to_version()
    assert outcome.path == old_version(shipped).parent
    assert hashed == ["model.bin"]


def test_without_a_stamp_every_byte_is_hashed(shipped: Workbench, hashed: list[str]) -> None:
    """As in a version that an earlier tagship deployed."""
    folder = old_version(shipped).parent
    text = (folder / "metadata.json").read_text()
    folder.chmod(0o755)
    (folder / "metadata.json").unlink()
    (folder / "metadata.json").write_text(text.replace('"stamps": {', '"stamps": {}, "later": {'))
    assert metadata.read(folder).deployment is not None
    shipped.manager.rollback_to_version()
    assert hashed == ["model.bin"]
