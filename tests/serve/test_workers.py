"""Several workers: real processes, as ``tagship serve --workers 2`` starts them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from tagship.serve import supervisor
from tagship.serve.settings import Settings
from tests.serve.asking import Reply, Served, batch
from tests.serve.notes import until
from tests.serve.shelf import MODEL, Shelf
from tests.serve.test_isolated import is_running

SECONDS = 60  # for a process to end


@dataclass
class Server:
    """A server in processes of its own."""

    process: "subprocess.Popen[str]"
    served: Served
    log: list[str]

    @property
    def workers(self) -> list[int]:
        """The processes that answer; a model's own processes are theirs."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [each for each in map(int, path.read_text().split()) if is_running(each)]

    def ask(self) -> Reply:
        """Ask for an answer."""
        return self.served.infer(batch([1.0, 2.0]))

    def answers(self, version: str) -> bool:
        """Whether a version answers."""
        return self.ask().headers.get("x-model-version") == version

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@contextlib.contextmanager
def serving(
    shelf: Shelf,
    *options: str,
    workers: int = 2,
    at: Sequence[str] = (sys.executable, "-m", "tagship"),
) -> Iterator[Server]:
    """Serve a shelf until the block ends."""
    command = [*at, "serve", MODEL, "--port", "0"]
    command += ["--workers", str(workers), *options]
    environment = {**os.environ, "TAGSHIP_ROOT": str(shelf.root)}
    process = subprocess.Popen(
        command, env=environment, cwd=shelf.root, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    log: list[str] = []
    assert process.stdout is not None
    assert process.stderr is not None
    reader = threading.Thread(target=_read, args=(process.stderr, log), daemon=True)
    reader.start()
    with process:
        try:
            line = process.stdout.readline()
            assert line.startswith("http://127.0.0.1:"), [line, *log]
            port = int(line.split()[0].rpartition(":")[2])
            yield Server(process, Served(("127.0.0.1", port), {}), log)
        finally:
            process.kill()
            reader.join(SECONDS)  # it ends once all workers have


def _read(lines: IO[str], log: list[str]) -> None:
    log.extend(lines)


def test_workers_serve_are_started_again_and_end_together(shelf: Shelf) -> None:
    """Two workers, one of which is killed: a new one loads what is live before it accepts."""
    shelf.ship("1.0.0", factor=3)
    with serving(shelf) as server:
        until(lambda: server.answers("1.0.0"))
        first = server.workers
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        until(lambda: len(server.workers) == 2 and server.workers != first)
        shelf.ship("1.1.0", factor=5)
        until(lambda: server.answers("1.1.0"))
        statuses = {server.ask().status for _ in range(30)}
        assert statuses == {200}
        workers = server.workers
        assert server.end() == 0
    assert not any(map(is_running, workers))


@pytest.mark.heavy
def test_a_worker_that_hangs_is_ended_and_versions_go_on_to_be_live(shelf: Shelf) -> None:
    """It is stopped as by a debugger; one that starts is given its time."""
    shelf.ship("1.0.0", factor=3)
    with serving(shelf, at=(sys.executable, "-c", IMPATIENT)) as server:
        until(lambda: server.answers("1.0.0") and len(server.workers) == 2)
        until(lambda: all(map(has_started, server.workers)))
        hung, other = server.workers
        os.kill(hung, signal.SIGSTOP)
        shelf.ship("1.1.0", factor=5)
        until(lambda: not is_running(hung))
        until(lambda: server.answers("1.1.0"))
        assert other in server.workers
        until(lambda: len(server.workers) == 2)
        assert server.end() == 0
    (said,) = (line for line in server.log if "has said nothing" in line)
    assert said.endswith(f" worker process {hung} has said nothing for 0.6 s, and is ended\n")


# The command with less patience.
IMPATIENT = """
import sys
from tagship.serve import supervisor
supervisor.PING = 0.05
sys.argv[0] = "tagship"
from tagship.cli.main import program
program()
"""


def has_started(process: int) -> bool:
    """Whether a worker has all its threads: it reads orders, and answers."""
    return len(list(Path(f"/proc/{process}/task").iterdir())) > 2


# The command, to which a signal is sent as soon as it can be, when it has loaded nothing yet.
SIGNALLED = """
import os, sys
from tagship.serve import log
def show():
    os.kill(os.getpid(), {number})
log.show = show
sys.argv[0] = "tagship"
from tagship.cli.main import program
program()
"""


def test_an_early_sighup_ends_nothing(shelf: Shelf) -> None:
    code = SIGNALLED.format(number=int(signal.SIGHUP))
    with serving(shelf, workers=1, at=(sys.executable, "-c", code)) as server:
        assert server.end() == 0


def serve_command(*options: str, at: Sequence[str]) -> "subprocess.Popen[str]":
    """The command, whatever it says."""
    return subprocess.Popen(
        [*at, "serve", MODEL, "--port", "0", *options], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_early_stop_is_in_order(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, workers: str, number: int
) -> None:
    monkeypatch.setenv("TAGSHIP_ROOT", str(shelf.root))
    code = SIGNALLED.format(number=int(number))
    with serve_command("--workers", workers, at=(sys.executable, "-c", code)) as process:
        assert (process.communicate(timeout=SECONDS), process.returncode) == (("", ""), 0)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("reader", ["none", "full"])
def test_a_standard_output_that_takes_nothing_ends_no_server(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, reader: str, workers: str
) -> None:
    monkeypatch.setenv("TAGSHIP_ROOT", str(shelf.root))
    if reader == "full":
        output = os.open("/dev/full", os.O_WRONLY)
    else:
        end, output = os.pipe()
        os.close(end)
    with subprocess.Popen(
        [sys.executable, "-m", "tagship", "serve", MODEL, "--port", "0", "--workers", workers],
        text=True, stdout=output, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        os.close(output)
        assert process.stderr is not None
        lines = (line for line in process.stderr if "no version is live" not in line)
        words = "No space left on device" if reader == "full" else "Broken pipe"
        assert next(lines) == f"note: standard output: {words}\n"
        assert next(lines).startswith("note: http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert (list(lines), process.wait(SECONDS)) == ([], 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_while_versions_load_refuses_none(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("TAGSHIP_ROOT", str(shelf.root))
    gate = shelf.gate()
    waiting = Path(f"{gate}.waiting")
    shelf.ship("1.0.0", load_gate=str(gate))
    at = (sys.executable, "-m", "tagship")
    with serve_command("--workers", str(workers), at=at) as process:
        until(lambda: waiting.exists() and waiting.read_text().count("\n") == workers)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=SECONDS)
        assert (told, process.returncode) == ("", 0)


def test_settings_arrive_at_a_worker_as_they_are() -> None:
    settings = Settings(
        ("a", "b/c"), Path("x"), Path("/srv/models"), "::1", 0, 3, "process", (("a", "1.1"),),
        ("name",), Path("token"), audit=Path("audit"), audit_inputs=True, poll=0.5,
    )  # fmt: skip
    for each in (settings, Settings(("a",))):
        assert supervisor.settings_of(supervisor.settings_line(each)) == each


@pytest.mark.heavy
def test_workers_end_when_the_supervisor_is_killed_and_their_models_with_them(
    shelf: Shelf,
) -> None:
    shelf.ship("1.0.0")
    with serving(shelf, "--isolate", "process") as server:
        until(lambda: server.answers("1.0.0"))
        until(lambda: all(map(children, server.workers)))
        processes = [*server.workers, *(c for w in server.workers for c in children(w))]
        assert len(processes) == 4
        server.process.kill()
        until(lambda: not any(map(is_running, processes)))


def children(process: int) -> list[int]:
    """The processes that a thread of a process started."""
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text().split())
    return found


@pytest.mark.heavy
def test_a_stop_lets_requests_end_in_all_workers(shelf: Shelf) -> None:
    gate = shelf.gate()
    shelf.ship("1.0.0", factor=3, slow=77.0, answer_gate=str(gate))
    with serving(shelf) as server:
        until(lambda: server.answers("1.0.0"))
        replies: list[Reply] = []
        threads = [
            threading.Thread(target=lambda: replies.append(server.served.infer(batch([77.0, 1.0]))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        waiting = Path(f"{gate}.waiting")
        until(lambda: waiting.exists() and waiting.read_text().count("\n") == 4)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: not accepts(server))
        gate.touch()
        for thread in threads:
            thread.join()
        assert [reply.status for reply in replies] == [200] * 4
        assert server.process.wait(SECONDS) == 0


def accepts(server: Server) -> bool:
    """Whether a new connection is taken."""
    try:
        server.served.connect().close()
    except ConnectionRefusedError:
        return False
    return True


def other_than(server: Server, workers: set[int]) -> int:
    """Wait for another worker."""
    until(lambda: {*server.workers} - workers)
    return min({*server.workers} - workers)


@pytest.mark.heavy
def test_a_worker_that_is_killed_again_and_again_is_started_ever_later(shelf: Shelf) -> None:
    shelf.ship("1.0.0")
    with serving(shelf) as server:
        until(lambda: server.answers("1.0.0"))
        stable, victim = server.workers
        for _ in range(3):  # the later ones as soon as they are there: before they say a word
            os.kill(victim, signal.SIGKILL)
            assert server.ask().status == 200  # the other one answers
            victim = other_than(server, {stable, victim})
        assert server.end() == 0
    ends = [line.rpartition("the next one starts in ")[2] for line in server.log if "ended" in line]
    assert ends == ["0 s\n", "1 s\n", "2 s\n"]


@pytest.mark.heavy
def test_a_worker_killed_while_it_loads_is_a_refusal_and_the_others_were_not_asked(
    shelf: Shelf,
) -> None:
    shelf.ship("1.0.0", factor=3)
    with serving(shelf) as server:
        until(lambda: server.answers("1.0.0"))
        gate = shelf.gate()
        waiting = Path(f"{gate}.waiting")
        shelf.ship("1.1.0", factor=5, load_gate=str(gate))
        until(lambda: waiting.exists() and waiting.read_text().count("\n") == 1)
        [loading] = map(int, waiting.read_text().split())
        [other] = set(server.workers) - {loading}
        os.kill(loading, signal.SIGKILL)
        until(lambda: len(set(server.workers) - {loading}) == 2)
        assert (server.answers("1.0.0"), other in server.workers) == (True, True)
        until(lambda: "a worker ended while it loaded it" in server.served.get(
            f"/v2/models/{MODEL}").json["properties"].get("refused", ""))  # fmt: skip
        gate.touch()
        until(lambda: server.answers("1.1.0"))  # tried again
        assert {server.ask().headers["x-model-version"] for _ in range(20)} == {"1.1.0"}
        assert server.end() == 0


@pytest.mark.heavy
def test_sighup_has_all_workers_open_the_audit_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.ship("1.0.0")
    audit, moved = tmp_path / "audit.jsonl", tmp_path / "audit.1"
    with serving(shelf, "--audit", str(audit)) as server:
        until(lambda: server.answers("1.0.0"))
        audit.rename(moved)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.ask().status == 200 and audit.exists())
        before = len(moved.read_bytes())
        until(lambda: (server.ask().status, len(server.workers)) == (200, 2))
        for _ in range(20):
            server.ask()
        assert len(moved.read_bytes()) == before
        versions = {json.loads(line)["version"] for line in audit.read_text().splitlines()}
        assert versions == {"1.0.0"}
        assert server.end(signal.SIGINT) == 0


@pytest.mark.heavy
def test_a_server_whose_workers_cannot_start_says_so_and_ends(shelf: Shelf) -> None:
    shelf.ship("1.0.0")
    is_worker = "'tagship.serve.worker' in ' '.join(sys.orig_argv)"
    code = f"import sys\nif {is_worker}:\n    raise SystemExit(9)\n"
    (shelf.root / "sitecustomize.py").write_text(code)
    environment = {
        **os.environ, "TAGSHIP_ROOT": str(shelf.root),
        "PYTHONPATH": f"{shelf.root}{os.pathsep}{os.environ['PYTHONPATH']}",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tagship", "serve", MODEL, "--port", "0", "--workers", "2"],
        env=environment, cwd=shelf.root, capture_output=True, text=True, check=False,
        timeout=SECONDS,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "a worker ended with code 1 before any could serve" in done.stderr
