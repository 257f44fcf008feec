"""watch: a program is told what is live, and of each failure once."""

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler
from pathlib import Path

import pytest

from tagship import InvalidName, Live, NotFound, Refused, Watch, watch
from tagship.host import watch as host_watch
from tests.workbench import MODEL, Workbench

Call = tuple[str | None, str] | Exception


class Calls:
    """What a watch called, in short; ``next`` waits for the next call."""

    def __init__(self) -> None:
        self.queue: queue.Queue[Call] = queue.Queue()
        self.lives: list[Live] = []

    def changed(self, old: Live | None, new: Live) -> None:
        self.lives.append(new)
        self.queue.put((old.version if old else None, new.version))

    def failed(self, error: Exception) -> None:
        self.queue.put(error)

    def next(self) -> Call:
        return self.queue.get(timeout=30)


@contextmanager
def watching(bench: Workbench, calls: Calls) -> Iterator[Watch]:
    with watch(
        MODEL, bench.repo, every=0.001, changed=calls.changed, failed=calls.failed
    ) as watched:
        yield watched
    assert calls.queue.empty()  # nothing more was told


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    monkeypatch.setattr(host_watch, "AGAIN", 0.001)  # each look after a failure looks closer
    return Calls()


def test_each_change_is_told_with_the_version_before(shipped: Workbench, calls: Calls) -> None:
    with watching(shipped, calls) as watched:
        assert calls.next() == (None, "1.1.0")
        shipped.manager.rollback_to_version()
        assert calls.next() == ("1.1.0", "1.0.0")
        shipped.manager.deploy("1.1.0")
        assert calls.next() == ("1.0.0", "1.1.0")
        assert watched.live is calls.lives[-1]
    assert [live.seq for live in calls.lives] == [2, 3, 4]


def test_what_was_seen_last_is_kept_from_a_cleanup(shipped: Workbench, calls: Calls) -> None:
    with watching(shipped, calls):
        calls.next()
        calls.lives.clear()
        assert list(shipped.store.in_use()) == [os.readlink(shipped.current).split("/")[1]]


def test_a_failure_is_told_once_until_it_is_another_one_or_over(
    shipped: Workbench, calls: Calls
) -> None:
    target = os.readlink(shipped.current)
    looks = threading.Semaphore(0)
    look = host_watch._look_at

    def counted(link: Path) -> tuple[object, ...]:
        looks.release()
        return look(link)

    with pytest.MonkeyPatch.context() as monkeypatch, watching(shipped, calls):
        assert calls.next() == (None, "1.1.0")
        shipped.current.unlink()
        assert isinstance(calls.next(), NotFound)
        monkeypatch.setattr(host_watch, "_look_at", counted)
        for _ in range(20):
            assert looks.acquire(timeout=30)
        assert calls.queue.empty()
        shipped.current.symlink_to("/etc")
        assert isinstance(calls.next(), Refused)
        shipped.current.unlink()
        assert isinstance(calls.next(), NotFound)
        shipped.current.symlink_to(target)  # the same version as before all that: no news
        shipped.manager.rollback_to_version()
        assert calls.next() == ("1.1.0", "1.0.0")


def test_a_directory_that_is_lost_and_comes_back_is_seen_though_the_link_is_the_same(
    shipped: Workbench, calls: Calls
) -> None:
    directory = shipped.current.resolve()
    directory.rename(directory.with_name("away"))
    with watching(shipped, calls):
        error = calls.next()
        assert str(error).endswith("which is gone")
        directory.with_name("away").rename(directory)
        assert calls.next() == (None, "1.1.0")


@pytest.mark.live
def test_nothing_live_at_first_is_told_and_then_the_first_deploy(
    bench: Workbench, calls: Calls
) -> None:
    target = os.readlink(bench.current)
    bench.current.unlink()
    with watching(bench, calls):
        assert isinstance(calls.next(), NotFound)
        bench.store.switch(target.split("/")[1])
        assert calls.next() == (None, "1.0.0")


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(1)])
def test_what_a_callback_raises_is_logged_and_ends_nothing(
    shipped: Workbench, calls: Calls, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    def raising(then: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            then(*arguments)
            raise error

        return call

    with watch(
        MODEL, shipped.repo, every=0.001,
        changed=raising(calls.changed), failed=raising(calls.failed),
    ):  # fmt: skip
        assert calls.next() == (None, "1.1.0")
        shipped.current.unlink()
        assert isinstance(calls.next(), NotFound)
        shipped.current.symlink_to("/etc")
        assert isinstance(calls.next(), Refused)
    assert caplog.text.count("the callback of the watch of churn failed") == 3


def test_without_a_callback_a_failure_is_logged_once(shipped: Workbench, calls: Calls) -> None:
    target = os.readlink(shipped.current)
    shipped.current.unlink()
    logged: queue.Queue[logging.LogRecord] = queue.Queue()
    handler = QueueHandler(logged)
    host_watch.logger.addHandler(handler)
    try:
        with watch(MODEL, shipped.repo, every=0.001, changed=calls.changed):
            record = logged.get(timeout=30)
            shipped.current.symlink_to(target)
            calls.next()
    finally:
        host_watch.logger.removeHandler(handler)
    told = (record.levelname, record.getMessage())
    assert told == (
        "WARNING", "churn is not watched right now: no version of churn is live"
    )  # fmt: skip
    assert logged.empty()


def test_a_callback_can_close_the_watch(shipped: Workbench, calls: Calls) -> None:
    ready, ended = threading.Event(), threading.Event()

    def close(*_: object) -> None:
        assert ready.wait(30)
        watched.close()
        ended.set()

    watched = watch(MODEL, shipped.repo, every=0.001, changed=close)
    ready.set()
    assert ended.wait(30)
    watched.close()  # again does nothing; from here it waits for the thread
    assert not watched._thread.is_alive()


@pytest.mark.parametrize("variable", ["", "models"])
def test_the_working_directory_can_change_meanwhile(
    shipped: Workbench, calls: Calls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.chdir(shipped.repo)
    monkeypatch.setenv("TAGSHIP_ROOT", variable)
    with watch(MODEL, every=0.001, changed=calls.changed, failed=calls.failed):
        calls.next()
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("TAGSHIP_ROOT")
        shipped.manager.rollback_to_version()
        assert calls.next() == ("1.1.0", "1.0.0")
    assert calls.queue.empty()


def test_what_can_never_be_watched_is_said_at_once(bench: Workbench, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        watch(MODEL, tmp_path, changed=print)
    with pytest.raises(InvalidName):
        watch("../churn", bench.repo, changed=print)
