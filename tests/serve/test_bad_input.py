"""``tagship serve`` as a process: what is wrong before it starts, with its files, or too much."""

import contextlib
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tagship import serve
from tests.serve.asking import SECONDS, Served, all_of, batch, until
from tests.serve.shelf import Shelf

pytestmark = pytest.mark.heavy
BODY = batch([1.0, 2.0])
INFER = "/v2/models/churn/infer"
# The modes of files count for root too without these.
ORDINARY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
ORDINARY_WORKS = os.geteuid() == 0 and shutil.which(ORDINARY[0]) is not None
CROWD = 10_000  # connections


@dataclass(frozen=True)
class Program(Served):
    """A server that runs as a program."""

    pid: int = 0
    errors: Path = Path()


def command(shelf: Shelf, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tagship", "serve", shelf.model, "--port", "0", *arguments]


def environment(shelf: Shelf) -> dict[str, str]:
    return {**os.environ, "TAGSHIP_ROOT": str(shelf.root)}


@contextlib.contextmanager
def running(shelf: Shelf, *arguments: str, before: tuple[str, ...] = ()) -> Iterator[Program]:
    """The program, until the block ends; it has said where it listens.

    Args:
        arguments: of the command.
        before: the command that starts it.
    """
    errors = shelf.root.parent / "errors"
    with open(errors, "wb") as file:
        process = subprocess.Popen(
            [*before, *command(shelf, *arguments)], env=environment(shelf), cwd="/", stderr=file,
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        told = re.match(r"http://([^ ]+):(\d+) ", line)
        assert told, line + errors.read_text()
        yield Program((told[1], int(told[2])), {}, pid=process.pid, errors=errors)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def version(server: Served) -> str | None:
    """What answers now; None if nothing does."""
    reply = server.infer(BODY)
    return reply.headers.get("x-model-version") if reply.status == 200 else None


def failing(shelf: Shelf, *arguments: str) -> str:
    """What it says where it does not start."""
    ended = subprocess.run(
        command(shelf, *arguments), env=environment(shelf), capture_output=True, text=True,
        check=False, timeout=60, cwd=shelf.root.parent,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    return ended.stderr


# ---- before it starts


def test_a_port_in_use_is_told_at_the_start(shelf: Shelf) -> None:
    shelf.ship("1.0.0")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert failing(shelf, "--port", str(port)) == (
            f"error: port {port} of 127.0.0.1 is in use\n"
            f"hint: another one: --port {port + 1}; who has it: ss -ltnp\n"
        )


def test_it_says_once_that_nobody_is_asked_who_they_are(shelf: Shelf) -> None:
    shelf.ship("1.0.0")
    with running(shelf, "--host", "0.0.0.0") as server:
        port = server.address[1]
        until(lambda: version(Served(("127.0.0.1", port), {})) == "1.0.0")
        text = server.errors.read_text()
    assert text.count("--token-file") == 1
    assert text.count("--allow-host") == 1


def test_without_a_name_it_serves_all_models_that_have_a_version(shelf: Shelf) -> None:
    command = [sys.executable, "-m", "tagship", "serve", "--port", "0"]
    ended = subprocess.run(
        command, env=environment(shelf), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: no model has a version here\n")
    shelf.ship("1.0.0")
    assert serve.deployed(Path(), shelf.root) == ("churn",)


# ---- files


def damage(shelf: Shelf, how: str) -> None:
    """Do something bad to what is live, or make something bad live."""
    current = shelf.root / shelf.model / "current"
    if how == "link removed":
        current.unlink()
    elif how == "link dangling":
        current.unlink()
        current.symlink_to("versions/v9.0.0_20261120_999999")
    elif how == "link foreign":
        current.unlink()
        current.symlink_to("/etc")
    elif how == "self-test fails":
        directory = shelf.keep("1.1.0")
        content = shelf.path(directory, "model.toy")
        text = json.loads(content.read_bytes())
        wrong = json.dumps({**text, "factor": 99.0}).encode()
        self_test = (shelf.store.versions / directory / "self_test.json").read_bytes()
        shelf.point(shelf.write("1.2.0", {"model.toy": wrong, "test.json": self_test}, _WRONG))
    else:
        directory = shelf.keep("1.1.0")
        path = shelf.path(directory)
        data = bytearray(path.read_bytes())
        if how == "truncated":
            path.write_bytes(data[:-5])
        elif how == "two bytes flipped":
            data[12], data[13] = data[13], data[12]
            path.write_bytes(data)
        elif how == "not readable":
            path.unlink()
            path.mkdir()
        shelf.point(directory)


_WRONG = {"outputs": [[1.0, 2.0]], "inputs": [[1.0, 2.0]]}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_is_bad_does_not_answer_and_the_old_version_does(shelf: Shelf, workers: str) -> None:
    shelf.ship("1.0.0", 3.0)
    kinds = [
        "link removed", "link dangling", "link foreign", "truncated", "two bytes flipped",
        "self-test fails", "not readable",
    ]  # fmt: skip
    good = shelf.store.link().directory
    assert good is not None
    with running(shelf, "--workers", workers) as server:
        until(lambda: version(server) == "1.0.0")
        for number, kind in enumerate(kinds):
            damage(shelf, kind)
            until(lambda kind=kind: kind == "link removed" or _refused(server))
            assert version(server) == "1.0.0"
            assert server.get("/v2/health/ready").status == 200
            reply = server.get("/v2/models/churn").body.decode()
            assert str(shelf.root) not in reply
            assert "Traceback" not in reply
            again = f"2.{number}.0"
            shelf.ship(again, 3.0)
            until(lambda again=again: version(server) == again)
            shelf.ship("1.0.0", 3.0)
            until(lambda: version(server) == "1.0.0")


def _refused(server: Served) -> bool:
    return "refused" in server.get("/v2/models/churn").json["properties"]


@pytest.mark.skipif(not ORDINARY_WORKS, reason="setpriv is missing, or this is not root")
def test_it_serves_a_folder_that_it_may_only_read(shelf: Shelf) -> None:
    shelf.ship("1.0.0", 3.0)
    for path in (shelf.root, *shelf.root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(str(path) for path in shelf.root.rglob("*"))
    with running(shelf, before=ORDINARY) as server:
        until(lambda: version(server) == "1.0.0")
        assert sorted(str(path) for path in shelf.root.rglob("*")) == before


@pytest.mark.skipif(not ORDINARY_WORKS, reason="setpriv is missing, or this is not root")
def test_without_the_right_to_read_it_is_live_and_not_ready(shelf: Shelf) -> None:
    shelf.path(shelf.ship("1.0.0", 3.0)).chmod(0)
    with running(shelf, before=ORDINARY) as server:
        assert server.get("/v2/health/live").status == 200
        until(lambda: "may not read" in server.errors.read_text())
        reply = server.get("/v2/health/ready")
        assert (reply.status, reply.json["error"]) == (503, "not ready: churn")
        assert str(shelf.root) not in server.infer(BODY).body.decode()


def test_two_servers_of_one_folder_follow_it_both(shelf: Shelf) -> None:
    shelf.ship("1.0.0", 3.0)
    with running(shelf) as one, running(shelf, "--workers", "2") as other:
        until(lambda: version(one) == version(other) == "1.0.0")
        shelf.ship("1.1.0", 5.0)
        until(lambda: version(one) == version(other) == "1.1.0")


def test_a_model_process_that_is_killed_comes_again_with_the_same_version(shelf: Shelf) -> None:
    shelf.ship("1.0.0", 3.0, deadly=7.0)
    with running(shelf, "--isolate", "process") as server:
        until(lambda: version(server) == "1.0.0")
        reply = server.infer(batch([7.0, 0.0]))
        assert reply.status == 503
        assert "Traceback" not in reply.error
        until(lambda: version(server) == "1.0.0")
        assert server.get("/v2/health/live").status == 200


# ---- too much


def test_ten_thousand_connections_are_bounded_and_others_are_answered_afterwards(
    shelf: Shelf,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CROWD + 500:
        pytest.skip(f"this account may open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (CROWD + 500, hard))
    shelf.ship("1.0.0", 3.0)
    held: list[socket.socket] = []
    try:
        with running(shelf) as server:
            until(lambda: version(server) == "1.0.0")
            for number in range(CROWD):
                connection = socket.socket()
                connection.settimeout(SECONDS)
                connection.bind((f"127.0.0.{2 + number % 4}", 0))
                connection.connect(server.address)
                held.append(connection)
                if number % 1000 == 999:
                    assert _open_sockets(server.pid) <= 1000 + 100
            until(lambda: _open_sockets(server.pid) <= 1000 + 20)
            assert b"too many connections" in all_of(held[-1])
            for connection in held:
                connection.close()
            until(lambda: _is_answered(server))
            assert version(server) == "1.0.0"
    finally:
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _open_sockets(pid: int) -> int:
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(path))
    return sum(link.startswith("socket:") for link in links)


def _is_answered(server: Served) -> bool:
    try:
        return version(server) == "1.0.0"
    except (OSError, http.client.HTTPException):
        return False


def test_slow_clients_hold_up_nobody_else(shelf: Shelf) -> None:
    shelf.ship("1.0.0", 3.0)
    with running(shelf) as server:
        until(lambda: version(server) == "1.0.0")
        slow = [server.connect() for _ in range(200)]
        for connection in slow:
            connection.sendall(b"POST /v2/models/churn/infer HTTP/1.1\r\nHost: loc")
        began = time.monotonic()
        for _ in range(100):
            assert version(server) == "1.0.0"
        assert time.monotonic() - began < SECONDS
        for connection in slow:
            connection.close()


# ---- the end


@contextlib.contextmanager
def told_to_end(shelf: Shelf, workers: str) -> Iterator[tuple[Program, socket.socket, Path]]:
    """A server that was told to end in the middle of a request; its model waits for the gate."""
    gate = shelf.gate()
    shelf.ship("1.0.0", 3.0, slow=7.0, answer_gate=str(gate))
    body = batch([7.0, 0.0])
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with running(shelf, "--workers", workers) as server:
        until(lambda: version(server) == "1.0.0")
        with server.connect() as connection:
            connection.sendall(head.encode() + body)
            until(lambda: Path(f"{gate}.waiting").exists())
            os.kill(server.pid, signal.SIGTERM)
            until(lambda: not _connects(server))
            yield server, connection, gate
        _, status = os.waitpid(server.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_ends_in_order_after_the_requests_that_it_is_answering(
    shelf: Shelf, workers: str
) -> None:
    with told_to_end(shelf, workers) as (_, connection, gate):
        gate.touch()
        assert all_of(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_model_that_never_answers_does_not_keep_it_from_ending(
    shelf: Shelf, workers: str
) -> None:
    with told_to_end(shelf, workers) as (server, _, _):
        os.kill(server.pid, signal.SIGTERM)  # at once
        until(lambda: os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))


def _connects(server: Served) -> bool:
    try:
        server.connect().close()
    except OSError:
        return False
    return True


# ---- an app of one's own


def test_an_app_is_served_within_the_limits_that_it_was_given(shelf: Shelf) -> None:
    shelf.ship("1.0.0")
    code = (
        "import sys\nfrom tagship import serve\n"
        f"app = serve.app(['{shelf.model}'], root=sys.argv[1], max_connections=1)\n"
        "serve.run(app, lambda url: print(url, flush=True), port=0)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(shelf.root)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(":")[2])
            address = "127.0.0.1", port
            with socket.create_connection(address), socket.create_connection(address) as second:
                assert all_of(second).startswith(b"HTTP/1.1 503")
        finally:
            process.terminate()
    assert process.returncode == 0
