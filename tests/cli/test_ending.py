"""SIGTERM and SIGHUP: a command gives up what it has begun, as with Ctrl-C, and says so."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagship.cli import ending
from tagship.cli.ending import Ending
from tests.export import registry
from tests.export.registry import Answer, FakeRegistry
from tests.hosts import Following
from tests.workbench import Workbench

PATIENCE = 60  # seconds until a test gives up on a process
BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
FIELDS = ("SigBlk", "SigIgn", "SigCgt")  # of /proc/PID/status: a bit for each signal


class Silent:
    """A registry that takes the question where to upload, and never answers it."""

    def __init__(self, fake: FakeRegistry) -> None:
        self.address = f"{fake.host}/models/churn"
        self.asked, self.over = threading.Event(), threading.Event()

    def __call__(self, method: str, path: str, headers: dict[str, str]) -> Answer | None:
        if method == "POST":
            self.asked.set()
            self.over.wait(PATIENCE)
        return None


@pytest.fixture
def silent() -> Iterator[Silent]:
    with registry.running() as fake:
        fake.misbehave = silent = Silent(fake)
        yield silent
        silent.over.set()


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@contextlib.contextmanager
def started(folder: Path, *words: str, **more: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        words, cwd=folder, env={**os.environ, **more}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def tagship(*words: str) -> list[str]:
    return [sys.executable, "-m", "tagship", *words]


def pushing(silent: Silent) -> list[str]:
    return tagship("export", "churn", "--format", "oci", "--push", silent.address)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


@BOTH
@pytest.mark.released
def test_a_signal_during_a_push_leaves_nothing_in_the_temporary_folder(
    bench: Workbench, silent: Silent, temporary: Path, number: signal.Signals
) -> None:
    with started(bench.repo, *pushing(silent), TMPDIR=str(temporary)) as process:
        assert silent.asked.wait(PATIENCE)
        assert list(temporary.iterdir()) != []
        process.send_signal(number)
        assert ended(process) == (-number, "", f"interrupted by {number.name}\n")
    assert list(temporary.iterdir()) == []


@pytest.mark.released
def test_more_signals_at_once_do_not_keep_it_from_removing_what_it_made(
    bench: Workbench, silent: Silent, temporary: Path
) -> None:
    with started(bench.repo, *pushing(silent), TMPDIR=str(temporary)) as process:
        assert silent.asked.wait(PATIENCE)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
            process.send_signal(number)
        code, _, err = ended(process)
    # of two that wait, the system gives the one with the lower number first
    assert (code, err) in (
        (-signal.SIGTERM, "interrupted by SIGTERM\n"),
        (-signal.SIGHUP, "interrupted by SIGHUP\n"),
    )
    assert list(temporary.iterdir()) == []


@pytest.mark.released
def test_a_command_that_nohup_started_goes_on_after_sighup_and_ends_by_sigterm(
    bench: Workbench, silent: Silent, temporary: Path
) -> None:
    words = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *pushing(silent)]
    with started(bench.repo, *words, TMPDIR=str(temporary)) as process:
        assert silent.asked.wait(PATIENCE)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (-signal.SIGTERM, "", "interrupted by SIGTERM\n")
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has /proc")
@pytest.mark.parametrize("trap", ["", "trap '' HUP; "])
@pytest.mark.released
def test_what_a_command_starts_has_the_signals_that_the_command_was_started_with(
    bench: Workbench, tmp_path: Path, trap: str
) -> None:
    folder, told = tmp_path / "bin", tmp_path / "told"
    folder.mkdir()
    look = f"grep -E '{'|'.join(FIELDS)}' /proc/self/status"
    git = folder / "git"
    git.write_text(f'#!/bin/sh\n{look} >>"{told}"\nPATH=${{PATH#*:}} exec git "$@"\n')
    git.chmod(0o755)

    def run(*words: str) -> str:
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        with started(bench.repo, "sh", "-c", f'{trap}exec "$@"', "sh", *words, PATH=path) as ran:
            code, out, err = ended(ran)
            assert (code, err) == (0, "")
            return out

    before = run("sh", "-c", look).splitlines()
    assert "1.0.0" in run(*tagship("list", "churn"))
    # Python has its children ignore nothing that it ignores itself, such as SIGPIPE
    assert set(told.read_text().splitlines()) == set(before)


@BOTH
def test_it_ends_a_host_that_makes_a_pass_now_and_then(
    host: Following, number: signal.Signals
) -> None:
    words = tagship("-C", str(host.folder), "sync", "--every", "300", "--jitter", "0")
    with started(host.folder, *words) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "churn: in order, live 1.0.0\n"
        process.send_signal(number)
        assert ended(process) == (-number, "", f"interrupted by {number.name}\n")
    assert host.live() == "model 1\n"


def test_a_later_signal_interrupts_what_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stopped = Ending()
    with pytest.raises(KeyboardInterrupt):
        stopped._on_signal(signal.SIGTERM, None)
    now += ending.SAME - 0.1
    stopped._on_signal(signal.SIGHUP, None)
    now += 0.2
    with pytest.raises(KeyboardInterrupt):
        stopped._on_signal(signal.SIGHUP, None)
    assert (stopped.code, stopped.words) == (143, "interrupted by SIGTERM")


@pytest.mark.released
def test_a_command_that_is_over_leaves_the_signals_as_they_were(bench: Workbench) -> None:
    before = [signal.getsignal(number) for number in ending.NUMBERS]
    assert bench.cli("list", "churn").code == 0
    assert bench.cli("list", "other").code == 1
    assert [signal.getsignal(number) for number in ending.NUMBERS] == before
