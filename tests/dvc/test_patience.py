"""A DVC remote that is silent, and one that is slow: connections on loopback."""

import contextlib
import http.server
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from tagship.dvc import patience
from tagship.dvc.patience import Patience
from tagship.errors import NoAnswer
from tests.workbench import Workbench

WAIT = 60  # seconds, for a test that fails


# The other side, in a process of its own: bytes that arrive here would count.
PEER = """
import socket, sys, time
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    peer, _ = server.accept()
if sys.argv[1] == "silent":
    sys.stdin.read()
elif sys.argv[1] == "slow":
    for _ in range(16):
        time.sleep(0.2)
        peer.send(b"x")
else:
    while peer.recv(1 << 16):
        time.sleep(0.005)
"""
Connect = Callable[[str], socket.socket]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect to a server that is ``silent``, sends ``slow``ly, or ``takes`` what is sent."""
    with contextlib.ExitStack() as stack:

        def connected(kind: str) -> socket.socket:
            command = [sys.executable, "-S", "-c", PEER, kind]
            pipe = subprocess.PIPE
            peer = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe))
            stack.callback(peer.kill)
            assert peer.stdout is not None
            return socket.create_connection(("127.0.0.1", int(peer.stdout.readline())))

        yield connected


def test_a_silent_remote_is_told_once_and_given_up(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "SLOW", 0.1)
    told: list[str] = []
    waiting = Patience("the store", 0.5, told.append)
    with connect("silent") as ours:
        for _ in range(2):
            with pytest.raises(NoAnswer, match=r"^the store did not answer within 0\.5 seconds"):
                waiting.wait(ours.recv, 1)
        assert told == ["waiting for the store"]
        ours.shutdown(socket.SHUT_RDWR)


def test_what_comes_slowly_is_waited_for(connect: Connect) -> None:
    with connect("slow") as ours:

        def receive() -> int:
            return sum(len(ours.recv(1)) for _ in range(16))

        assert Patience("the store", silence=2).wait(receive) == 16


def test_what_the_other_side_takes_is_waited_for(connect: Connect) -> None:
    """It says nothing until it has all."""
    with connect("takes") as ours:

        def send() -> str:
            for _ in range(300):
                ours.sendall(bytes(1 << 16))
            ours.shutdown(socket.SHUT_WR)
            ours.recv(1)
            return "sent"

        assert Patience("the store", silence=1).wait(send) == "sent"


def test_a_request_that_is_repeated_is_no_answer(connect: Connect) -> None:
    """The other side's system takes it, and its program says nothing."""
    over = threading.Event()
    with connect("silent") as ours:

        def repeat() -> None:
            while not over.wait(0.1):
                ours.send(b"GET / HTTP/1.1")

        with pytest.raises(NoAnswer):
            Patience("the store", silence=1).wait(repeat)
        over.set()


def test_the_options_of_a_remote_can_make_it_longer() -> None:
    assert patience.silence({}) == patience.silence({"read_timeout": 5, "timeout": "x"}) == 45
    assert patience.silence({"read_timeout": "300", "connect_timeout": 100.0}) == 300


def test_errors_and_results_are_those_of_the_call() -> None:
    assert Patience("the store").wait(divmod, 7, 3) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        Patience("the store").wait(divmod, 7, 0)


@pytest.fixture
def silent(bench: Workbench) -> Iterator[str]:
    """The DVC remote is a server that takes a question and never answers."""
    over = threading.Event()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            over.wait(WAIT)

        do_HEAD = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bench.release()
        url = f"http://127.0.0.1:{server.server_port}/store"
        bench.dvc("remote", "modify", "--quiet", "store", "url", url)
        bench.commit("Keep the models elsewhere")
        bench.monkeypatch.setattr(patience, "SLOW", 0.2)
        bench.monkeypatch.setattr(patience, "SILENCE", 0.6)
        yield url
        over.set()
        with contextlib.suppress(Exception):
            server.shutdown()


def test_a_deploy_from_a_silent_remote_names_it_and_gives_up(bench: Workbench, silent: str) -> None:
    shutil.rmtree(bench.repo / ".dvc/cache")
    told = bench.cli("deploy", "churn", "--yes")
    assert told.code == 1
    assert told.err == (
        f"note: waiting for the DVC remote store, {silent}\n"
        f"error: the DVC remote store, {silent} did not answer within 0.6 seconds\n"
        "hint: check its address: dvc remote list\n"
    )
    assert bench.actions() == [("deploy", "failed", "1.0.0")]


def test_a_release_to_a_silent_remote_makes_no_tag(bench: Workbench, silent: str) -> None:
    bench.train("model 2\n")
    told = bench.cli("release", "churn")
    assert (told.code, bench.git("tag")) == (1, "churn@v1.0.0\n")
    assert f"the DVC remote store, {silent} did not answer within 0.6 seconds" in told.err


def test_the_program_ends_though_a_thread_still_waits_for_a_silent_remote(
    bench: Workbench, silent: str
) -> None:
    shutil.rmtree(bench.repo / ".dvc/cache")
    impatient = (
        "from tagship.dvc import patience; patience.SILENCE = 0.6\n"
        "from tagship.cli.main import program; program()\n"
    )
    command = [sys.executable, "-c", impatient, "-C", str(bench.repo), "deploy", "churn", "--yes"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT / 2)
    assert done.returncode == 1
    assert f"the DVC remote store, {silent} did not answer within 0.6 seconds" in done.stderr
