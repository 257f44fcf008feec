"""A shared lock on a folder: who holds it, how long, and who sees it."""

import copy
import fcntl
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tagship.disk import shared_lock
from tagship.disk.shared_lock import SharedLock

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
HOLD = """
import sys
from pathlib import Path
from tagship.disk import shared_lock
lock = shared_lock.acquire(Path(sys.argv[1]))
print(lock.held, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "v1.0.0"
    folder.mkdir(mode=0o555)
    return folder


def held(folder: Path) -> SharedLock:
    lock = shared_lock.acquire(folder)
    assert lock is not None
    assert lock.held
    return lock


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """A process that keeps a folder to itself, and never lets go."""
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def test_it_is_held_until_it_is_closed_or_nothing_refers_to_it(folder: Path) -> None:
    first, second = held(folder), held(folder)
    assert shared_lock.users(folder) == [os.getpid()]
    first.close()
    assert not first.held
    assert shared_lock.users(folder) == [os.getpid()]
    del second
    assert shared_lock.users(folder) is None
    first.close()  # again does nothing


def test_another_process_sees_it_and_it_ends_with_its_process(folder: Path) -> None:
    program = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert shared_lock.users(folder) == [holder.pid]
        with shared_lock.exclusive(folder) as is_free:
            assert not is_free
        holder.kill()
    assert shared_lock.users(folder) is None


def test_a_child_that_was_forked_holds_it_when_its_parent_lets_go(folder: Path) -> None:
    lock, (read, write) = held(folder), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    lock.close()
    assert shared_lock.users(folder) is not None
    os.write(write, b".")
    os.waitpid(child, 0)
    assert shared_lock.users(folder) is None
    os.close(read)
    os.close(write)


def test_a_program_that_is_started_does_not_hold_it(folder: Path) -> None:
    lock = held(folder)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as program:
        lock.close()
        assert shared_lock.users(folder) is None
        program.communicate()


def test_a_copy_or_what_is_pickled_holds_nothing(folder: Path) -> None:
    lock = held(folder)
    copies = [pickle.loads(pickle.dumps(lock)), copy.deepcopy(lock)]
    assert [other.held for other in copies] == [False, False]
    del copies
    assert lock.held


def test_a_folder_that_is_moved_away_is_not_locked_and_the_one_in_its_place_is(
    folder: Path,
) -> None:
    away = folder.with_name("trash")
    folder.rename(away)
    assert shared_lock.acquire(folder) is None
    assert not shared_lock.of(folder).held
    folder.mkdir()
    lock = held(folder)
    assert (shared_lock.users(away), lock.held) == (None, True)


def test_who_opened_it_before_it_was_moved_notices(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The move comes after the folder was opened, and before it is locked."""
    opened, away = os.open, folder.with_name("trash")

    def open_and_move(path: Path, flags: int) -> int:
        descriptor = opened(path, flags)
        folder.rename(away)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_move)
    assert shared_lock.acquire(folder) is None
    monkeypatch.undo()
    assert shared_lock.users(away) is None


def test_nobody_is_kept_waiting_by_who_keeps_the_folder_to_itself(folder: Path) -> None:
    with alone(folder):
        assert not shared_lock.of(folder).held
        with shared_lock.exclusive(folder) as is_free:
            assert not is_free
    assert held(folder)


@pytest.mark.parametrize("error", [OSError(95, "not supported"), OSError(37, "no locks")])
def test_a_file_system_without_locks_gives_one_that_holds_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """As flock(2) fails on some network shares, which this machine has none of."""

    def fails(descriptor: int, operation: int) -> None:
        raise error

    monkeypatch.setattr(fcntl, "flock", fails)
    before = len(os.listdir("/proc/self/fd"))
    assert shared_lock.acquire(folder) is not None
    assert not shared_lock.of(folder).held
    with shared_lock.exclusive(folder) as is_free:
        assert is_free  # it cannot be told
    assert len(os.listdir("/proc/self/fd")) == before


@NEEDS_ROOT
def test_it_is_taken_on_a_read_only_mount_and_seen_on_the_other_side(folder: Path) -> None:
    mount = folder.with_name("mount")
    mount.mkdir()
    subprocess.run(["mount", "--bind", str(folder), str(mount)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(mount)], check=True)
        lock = held(mount)
        assert shared_lock.users(folder) == [os.getpid()]
        lock.close()
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    assert shared_lock.users(folder) is None
