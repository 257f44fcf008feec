"""No at the question, Ctrl-C, a signal, a lost terminal, two at once: on real terminals."""

import contextlib
import http.server
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from tagship import ModelVersionManager
from tagship.disk import atomic
from tagship.progress import Advance
from tests.workbench import PATH, Workbench

HISTORY = "repo/models/churn/deployment_history.json"
MARK = "repo/models/churn/.tagship/history.sha256"
PATIENCE = 60  # seconds until a test gives up on a process
CTRL_C = b"\x03"
HANG_UP = b""  # the terminal is closed instead
ASKED = "Go on? [y/N]: "
QUESTIONS = {
    "deploy churn@1.1.0": "churn: 1.0.0 -> 1.1.0\n  commits between: 1\n"
    "  size: 8 B, its directory is here, and used if it is intact\n  accuracy: 0.75 -> 0.75 (+0)\n",
    "rollback churn": "churn: 1.1.0 -> 1.0.0 (its directory is here, and used if it is intact)\n",
}
# 1 GiB of zeros takes seconds to copy and hash, and no room on the disk to keep
BIG, BIG_MD5 = 1 << 30, "cd573cfaace07e7949bc0c46028904ff"
SLOW_LOADER = '''
import os

class Slow:
    """Tells that it loads, and goes on when it is told to."""

    framework, suffixes, safe, requirement = "slow", (".bin",), True, "slow"

    def load(self, path):
        with open(os.environ["TAGSHIP_LOADING"], "w") as told:
            told.write("loading")
            told.flush()
            with open(os.environ["TAGSHIP_GO_ON"]) as go_on:
                go_on.read()

    def describe(self, model):
        return {}
'''


def at_terminal(
    bench: Workbench,
    command: str,
    until: str,
    keys: bytes,
    meanwhile: Callable[[], object] = lambda: None,
) -> tuple[int, str]:
    """A command on a terminal of its own; the keys are pressed once ``until`` is on the screen.

    ``meanwhile`` is what somebody else does before they are pressed.
    """
    process, terminal = pty.fork()
    if not process:
        os.chdir(bench.repo)
        os.execv(sys.executable, [sys.executable, "-m", "tagship", *command.split()])
    screen, pressed, patience = b"", False, PATIENCE
    with contextlib.suppress(OSError):  # EIO: the process has left its terminal
        while patience:
            if not select.select([terminal], [], [], 2)[0]:
                patience -= 2
                if keys == CTRL_C and pressed:
                    os.write(terminal, keys)  # input() misses one that comes as it begins to wait
                continue
            if not (data := os.read(terminal, 4096)):
                break
            screen += data
            if not pressed and until.encode() in screen:
                meanwhile()
                if keys == HANG_UP:
                    break
                os.write(terminal, keys)
                pressed = True
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    # DVC's colorama sets the colours back as it leaves
    seen = screen.decode().replace("\r\n", "\n").removesuffix("\x1b[0m")
    return code, re.sub(r"(\^C)+", "^C", seen)


@pytest.mark.parametrize("command", ["cleanup churn --keep 0", "undeploy churn"])
def test_the_plan_of_a_removal_is_a_table_as_its_result_is(
    shipped: Workbench, command: str
) -> None:
    code, seen = at_terminal(shipped, command, ASKED, b"y\n")
    plan, result = seen.split(ASKED)
    columns = ["DIRECTORY", "ACTION", "WHY" if "cleanup" in command else "WHAT", "SIZE"]
    for table in (plan, result.partition("\n")[2]):
        heading = re.sub(r"\x1b\[[0-9;]*m", "", table.splitlines()[0])
        assert (code, heading.split(), "\t" in table) == (0, columns, False)


@dataclass(frozen=True)
class SlowDeploy:
    """A deploy that is in its smoke test, held there by a loader of another package."""

    process: subprocess.Popen[str]
    loading: int
    go_on: Path

    def finish(self) -> int:
        """Let the loader go on; the exit code."""
        self.go_on.write_text("go on\n")
        return self.process.wait(PATIENCE)


@pytest.fixture
def slow(shipped: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowDeploy]:
    """``deploy churn@1.0.0``, while 1.1.0 is live."""
    with slowly(shipped, "deploy churn@1.0.0 --yes", tmp_path_factory.mktemp("site")) as deploy:
        yield deploy


@contextlib.contextmanager
def slowly(bench: Workbench, command: str, site: Path) -> Iterator[SlowDeploy]:
    """A command that has come to its smoke test; ``site`` is an empty folder."""
    (site / "slow-1.dist-info").mkdir(parents=True)
    (site / "slow-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\n")
    (site / "slow-1.dist-info" / "entry_points.txt").write_text(
        "[tagship.loaders]\nslow = slow_loader:Slow\n"
    )
    (site / "slow_loader.py").write_text(SLOW_LOADER)
    pipes = {"TAGSHIP_LOADING": site / "loading", "TAGSHIP_GO_ON": site / "go-on"}
    for pipe in pipes.values():
        os.mkfifo(pipe)
    loading = os.open(pipes["TAGSHIP_LOADING"], os.O_RDONLY | os.O_NONBLOCK)
    search = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    process = _start(bench, command, PYTHONPATH=search,
                     **{name: str(pipe) for name, pipe in pipes.items()})  # fmt: skip
    assert select.select([loading], [], [], PATIENCE)[0], "the smoke test did not begin"
    assert os.read(loading, 7) == b"loading"
    yield SlowDeploy(process, loading, pipes["TAGSHIP_GO_ON"])
    os.close(loading)
    process.send_signal(signal.SIGINT)  # it ends its smoke test too
    process.communicate(timeout=PATIENCE)


def _start(bench: Workbench, command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tagship", *command.split()],
        cwd=bench.repo, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, **environment},
    )  # fmt: skip


def _said(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.read()


def _check_given_up(bench: Workbench, version: str) -> None:
    """1.1.0 is live as before, the history tells it, nothing lies about, and a command works."""
    assert bench.live() == "model 2\n"
    status = bench.cli("status", "churn")
    assert (status.code, ", live 1.1.0" in status.out) == (3 if version > "1.1.0" else 0, True)
    assert bench.cli("verify", "churn").code == 0
    event = bench.manager.get_deployment_history()[-1]
    assert (event.action, event.status, event.version) == ("deploy", "failed", version)
    assert event.error == "interrupted"
    private = bench.folder / ".tagship"
    left = [path for path in private.rglob("*") if path.is_file()]
    assert [path.name for path in left if path.name not in ("lock", "history.sha256")] == []
    assert bench.cli("rollback", "churn", "--yes").err == ""
    assert bench.live() == "model 1\n"


# --- the question


def question(bench: Workbench, command: str) -> str:
    """What a command says before it asks; for the deploy, its version is rolled back first."""
    if command != "deploy churn@1.1.0":
        return QUESTIONS[command]
    event = bench.manager.rollback_to_version().event
    assert event is not None
    at = event.at.replace("T", " ").removesuffix("Z")
    return f"{QUESTIONS[command]}  1.1.0 was rolled back by {event.actor}, {at} UTC\n"


@pytest.mark.parametrize("command", QUESTIONS)
@pytest.mark.parametrize("answer", ["n", ""])
def test_no_is_no(shipped: Workbench, command: str, answer: str) -> None:
    text = question(shipped, command)
    before = shipped.state()
    code, screen = at_terminal(shipped, command, ASKED, f"{answer}\r".encode())
    assert (code, screen) == (1, f"{text}{ASKED}{answer}\nCancelled.\n")
    assert shipped.changes(before) == set()


@pytest.mark.parametrize("command", QUESTIONS)
def test_ctrl_c_at_the_question_changes_nothing(shipped: Workbench, command: str) -> None:
    text = question(shipped, command)
    before = shipped.state()
    code, screen = at_terminal(shipped, command, ASKED, CTRL_C)
    assert (code, screen) == (130, f"{text}{ASKED}^C\ninterrupted\n")
    assert shipped.changes(before) == set()


def test_a_cleanup_that_is_not_wanted_removes_nothing(shipped: Workbench) -> None:
    shipped.ship("model 3\n")
    before = shipped.state()
    code, screen = at_terminal(shipped, "cleanup churn --keep 1", ASKED, b"n\r")
    assert code == 1
    assert screen.endswith(f" freed\n{ASKED}n\nCancelled.\n")
    assert shipped.changes(before) == set()


def test_what_is_live_is_not_asked_for(shipped: Workbench) -> None:
    line = "churn 1.1.0 is live and intact: nothing to do"
    fetch = ", as far as this clone knows (to\n    update it: git fetch --tags)"
    for command, message in (
        ("deploy churn", f"{line}{fetch}\n"), ("rollback churn --to 1.1.0", f"{line}\n"),
    ):  # fmt: skip
        assert at_terminal(shipped, command, ASKED, b"n\r") == (0, message)


def test_what_was_shown_is_what_is_deployed_whatever_was_released_since(
    shipped: Workbench,
) -> None:
    version = shipped.release("model 3\n")

    def release() -> None:
        shipped.git("tag", "--annotate", "--message=theirs", "churn@v9.0.0", "HEAD~1")

    code, _ = at_terminal(shipped, "deploy churn", ASKED, b"y\r", release)
    assert code == 0
    assert shipped.actions()[-1] == ("deploy", "succeeded", version)


def test_two_who_roll_back_at_once_go_back_once(shipped: Workbench) -> None:
    shipped.ship("model 3\n")
    back = shipped.manager.rollback_to_version
    code, _ = at_terminal(shipped, "rollback churn", ASKED, b"y\r", back)
    assert code == 0
    assert shipped.live() == "model 2\n"


# --- cut short


def _release_a_giant(bench: Workbench) -> None:
    """churn 2.0.0 is ``BIG``, and in DVC's cache."""
    cached = bench.repo / ".dvc/cache/files/md5" / BIG_MD5[:2] / BIG_MD5[2:]
    cached.parent.mkdir(exist_ok=True)
    with cached.open("wb") as file:
        file.truncate(BIG)
    (bench.repo / f"{PATH}.dvc").write_text(
        f"outs:\n- md5: {BIG_MD5}\n  size: {BIG}\n  hash: md5\n  path: model.bin\n"
    )
    bench.commit()
    bench.git("tag", "--annotate", "--message=x", "churn@v2.0.0")


def test_ctrl_c_while_a_model_is_copied_leaves_the_old_version_live(shipped: Workbench) -> None:
    _release_a_giant(shipped)
    before = shipped.state()
    # the bar appears after a second
    code, screen = at_terminal(shipped, "deploy churn --yes", "copying", CTRL_C)
    assert code == 130
    assert screen.endswith("\ninterrupted\n")
    assert shipped.changes(before) == {HISTORY, MARK}
    _check_given_up(shipped, "2.0.0")


def test_so_does_a_terminal_that_is_lost(shipped: Workbench) -> None:
    _release_a_giant(shipped)
    code, _ = at_terminal(shipped, "deploy churn --yes", "copying", HANG_UP)
    assert code == -signal.SIGHUP
    _check_given_up(shipped, "2.0.0")


@pytest.mark.parametrize(("number", "code", "said"), [
    (signal.SIGINT, 130, "\ninterrupted\n"),
    (signal.SIGTERM, -signal.SIGTERM, "interrupted by SIGTERM\n"),
    (signal.SIGHUP, -signal.SIGHUP, "interrupted by SIGHUP\n"),
])  # fmt: skip
def test_an_interrupt_during_the_smoke_test_ends_it_and_leaves_the_old_version_live(
    shipped: Workbench, slow: SlowDeploy, number: signal.Signals, code: int, said: str
) -> None:
    slow.process.send_signal(number)
    out, err = slow.process.communicate(timeout=PATIENCE)
    assert (slow.process.returncode, out, err) == (code, "", said)
    # its end of the pipe is closed: the process of the smoke test is gone as well
    assert os.read(slow.loading, 1) == b""
    _check_given_up(shipped, "1.0.0")


def test_an_interrupt_after_a_release_tells_that_it_is_released_and_goes_on_by_a_deploy(
    shipped: Workbench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shipped.train("model 3\n")
    site = tmp_path_factory.mktemp("site")
    with slowly(shipped, "release churn --deploy --json", site) as slow:
        slow.process.send_signal(signal.SIGINT)
        out, err = slow.process.communicate(timeout=PATIENCE)
    hint = "note: churn 1.2.0 is released, and not live\nhint: tagship deploy churn@1.2.0\n"
    assert (slow.process.returncode, out, err) == (130, "", f"\ninterrupted\n{hint}")
    _check_given_up(shipped, "1.2.0")
    assert shipped.cli("deploy", "churn@1.2.0", "--yes").code == 0


def test_an_interrupt_of_a_program_tells_the_same(shipped: Workbench) -> None:
    shipped.train("model 3\n")

    @contextlib.contextmanager
    def impatient(doing: str, total: int | None) -> Iterator[Advance]:
        del total
        if doing == "copying":
            raise KeyboardInterrupt
        yield lambda _: None

    manager = ModelVersionManager("churn", shipped.repo, impatient)
    with pytest.raises(KeyboardInterrupt) as caught:
        manager.deploy_model(shipped.repo / PATH)
    assert str(caught.value) == (
        "churn 1.2.0 is released, and not live; go on with: tagship deploy churn@1.2.0"
    )


@pytest.fixture
def silent_remote(shipped: Workbench) -> Iterator[threading.Event]:
    """DVC's remote is a server that takes a question and never answers; set once it was asked."""
    asked, over = threading.Event(), threading.Event()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            over.wait(PATIENCE)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/store"
        shipped.dvc("remote", "modify", "store", "url", url)
        yield asked
        over.set()
        server.shutdown()


def test_an_interrupt_during_a_fetch_does_not_wait_for_the_remote(
    shipped: Workbench, silent_remote: threading.Event
) -> None:
    atomic.remove_tree(shipped.repo / ".dvc" / "cache")
    (first,) = shipped.folder.glob("versions/v1.0.0_*")
    aside = shipped.repo.parent / first.name
    atomic.move(first, aside)  # else its bytes are taken from there
    process = _start(shipped, "deploy churn@1.0.0 --force --yes")
    try:
        assert silent_remote.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (130, "", "\ninterrupted\n")
    finally:
        process.kill()
        process.communicate()
    atomic.move(aside, first)
    _check_given_up(shipped, "1.0.0")


# --- two at once


def test_a_command_names_who_holds_the_lock_and_may_wait(
    shipped: Workbench, slow: SlowDeploy
) -> None:
    owner = shipped.folder / ".tagship" / "lock.json"
    holder = json.loads(owner.read_text())
    for command in ("deploy churn --force --yes", "rollback churn --yes", "cleanup churn --yes",
                    "pin churn@1.0.0", "rollback churn --yes --wait 0.1"):  # fmt: skip
        shipped.refuses(
            command,
            f"deploy of churn@1.0.0 is under way: {holder['actor']}@{holder['host']},"
            f" process {slow.process.pid}, since {holder['since']}",
            "try again when it is done, or wait for it with --wait SECONDS",
        )
    for command in ("current churn", "list churn", "history churn"):
        assert shipped.cli(*command.split()).code == 0
    waiting = _start(shipped, f"rollback churn --to 1.1.0 --yes --wait {PATIENCE}")
    assert slow.finish() == 0
    assert waiting.wait(PATIENCE) == 0, _said(waiting.stderr)
    assert shipped.live() == "model 2\n"
    # the deploy cleans up too, unless the rollback has the lock by then
    switches = [event for event in shipped.actions() if event[0] != "cleanup"]
    assert switches[-2:] == [
        ("deploy", "succeeded", "1.0.0"),
        ("rollback", "succeeded", "1.1.0"),
    ]
