"""What a long act tells whoever watches it: what it does, and every byte of it."""

import contextlib
import errno
import io
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tagship import ModelVersionManager, TagshipError
from tagship.cli import terminal
from tagship.progress import Advance
from tests.workbench import MODEL, Workbench

BYTES = 3 << 20


@dataclass
class Watch:
    """A progress that remembers: what was done, its bytes in all, and those that were told."""

    told: list[tuple[str, int | None, int]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def __call__(self, doing: str, total: int | None) -> Iterator[Advance]:
        counts: list[int] = []
        self.open.append(doing)
        assert len(self.open) == 1, "two bars at once"
        try:
            yield counts.append
        finally:
            self.open.pop()
            self.told.append((doing, total, sum(counts)))


@pytest.fixture
def watch() -> Watch:
    return Watch()


def watched(bench: Workbench, watch: Watch) -> ModelVersionManager:
    return ModelVersionManager(MODEL, bench.repo, watch)


def test_a_release_hashes_and_then_pushes_every_byte(bench: Workbench, watch: Watch) -> None:
    bench.train(b"x" * BYTES)
    watched(bench, watch).release()
    assert watch.told == [("hashing", BYTES, BYTES), ("pushing", BYTES, BYTES)]


@pytest.mark.released
def test_a_deploy_fetches_every_byte_once_and_copies_none(bench: Workbench, watch: Watch) -> None:
    bench.release("y" * BYTES)
    shutil.rmtree(bench.repo / ".dvc" / "cache")
    watched(bench, watch).deploy()
    assert watch.told == [("fetching", BYTES, BYTES)]


def test_a_look_at_what_is_live_hashes_it(bench: Workbench, watch: Watch) -> None:
    bench.ship("z" * BYTES)
    manager = watched(bench, watch)
    assert manager.plan().live
    manager.verify()
    assert watch.told == [("hashing", BYTES, BYTES)] * 2


def test_a_rollback_hashes_what_it_goes_back_to(shipped: Workbench, watch: Watch) -> None:
    watched(shipped, watch).rollback_to_version()
    assert watch.told == [("hashing", 8, 8)]


@pytest.mark.released
def test_a_bar_ends_with_a_failure(bench: Workbench, watch: Watch) -> None:
    shutil.rmtree(bench.repo / ".dvc" / "cache")
    (remote,) = Path(bench.repo.parent / "dvc-remote").rglob("*[!.]*/*[!.]*/*/*")
    remote.chmod(0o644)
    remote.write_text("others\n")
    with pytest.raises(TagshipError):
        watched(bench, watch).deploy()
    assert watch.open == []
    assert [doing for doing, _, _ in watch.told] == ["fetching"]


class Lost(io.StringIO):
    """A terminal that was closed."""

    def isatty(self) -> bool:
        return True

    def write(self, _: str) -> int:
        raise OSError(errno.EIO, "Input/output error")

    def flush(self) -> None:
        raise OSError(errno.EIO, "Input/output error")


def test_a_bar_on_a_terminal_that_is_lost_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "SHORT", -1.0)
    monkeypatch.setattr(sys, "stderr", Lost())
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(KeyboardInterrupt), terminal.bar("copying", 2) as advance:
        advance(1)
        advance(1)
        raise KeyboardInterrupt
