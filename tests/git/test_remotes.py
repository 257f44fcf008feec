"""Remotes that do not answer, or ask for a password."""

import contextlib
import http.server
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagship.git import bounded, remotes
from tagship.git.bounded import Limit
from tests.workbench import Workbench, run


@pytest.fixture
def silent(bench: Workbench) -> Iterator[str]:
    """The address of a remote that accepts, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/models.git"
        bench.git("remote", "set-url", "origin", address.replace("//", "//ada:secret@"))
        bench.monkeypatch.setattr(bounded, "SLOW", 0.2)
        for name in ("LOOK", "ANSWER"):
            bench.monkeypatch.setattr(remotes, name, Limit(silence=0.4, total=0.4))
        yield address


def of_git() -> list[str]:
    """The commands of this machine's processes that ask a remote."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(path.read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has just ended
            continue
    return [command for command in commands if "remote-http" in command or "ls-remote" in command]


def test_a_silent_remote_is_named_and_then_a_note(bench: Workbench, silent: str) -> None:
    told = bench.cli("release", "churn")
    assert told.code == 0
    assert told.err == (
        f"note: waiting for origin, {silent}\n"
        "note: the tags of origin could not be read: origin did not answer within 0.4 seconds"
        " (check its address: git remote get-url origin)\n"
    )
    assert not [command for command in of_git() if silent[7:] in command]


def test_a_push_to_a_silent_remote_is_refused(bench: Workbench, silent: str) -> None:
    told = bench.cli("release", "churn", "--push")
    assert told.code == 1
    assert told.err == (
        f"note: waiting for origin, {silent}\n"
        "error: origin did not answer within 0.4 seconds\n"
        "hint: check its address: git remote get-url origin\n"
    )
    assert bench.git("tag") == ""


@pytest.fixture
def trickle(bench: Workbench) -> Iterator[None]:
    """A remote that sends a byte now and then, and never a whole answer."""
    over = threading.Event()

    class Trickle(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not over.wait(0.1):
                    self.request.send(b"x")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Trickle) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bench.git("remote", "set-url", "origin", f"http://127.0.0.1:{server.server_address[1]}/m")
        yield
        over.set()
        server.shutdown()


@pytest.mark.usefixtures("trickle")
def test_a_look_at_the_tags_ends_though_a_byte_comes_now_and_then(bench: Workbench) -> None:
    bench.monkeypatch.setattr(remotes, "LOOK", Limit(silence=60, total=0.6))
    told = bench.cli("release", "churn")
    assert (told.code, "origin did not answer within 0.6 seconds" in told.err) == (0, True)


def test_a_program_that_does_not_want_to_end_is_ended(bench: Workbench) -> None:
    """Neither it, nor what it started."""
    pids = bench.repo.parent / "pids"
    ssh = bench.repo.parent / "ssh"
    ssh.write_text(f"#!/bin/sh\ntrap : TERM\nsleep 600 &\necho $$ $! > {pids}\nwait\nsleep 600\n")
    ssh.chmod(0o755)
    bench.monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    bench.monkeypatch.setattr(bounded, "GRACE", 0.2)
    bench.monkeypatch.setattr(remotes, "LOOK", Limit(silence=1, total=20))
    bench.git("remote", "set-url", "origin", "ssh://host.invalid/m.git")
    told = bench.cli("release", "churn")
    assert (told.code, "origin did not answer within 1 seconds" in told.err) == (0, True)
    assert not [pid for pid in pids.read_text().split() if _runs(pid)]


def _runs(pid: str) -> bool:
    """Whether a process is there, and is not one whose end nobody has asked for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- a push, which the remote's hook holds up


def hook(bench: Workbench, script: str) -> None:
    """What the remote runs before it takes a push."""
    file = bench.repo.parent / "origin.git/hooks/pre-receive"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


STOPPED = "the tag churn@v1.0.0 is here, and it is not known whether origin has it"


def of_origin(bench: Workbench) -> str:
    return run(bench.repo.parent / "origin.git", "git", "tag")


def test_a_push_that_goes_on_is_never_cut_off(bench: Workbench) -> None:
    hook(bench, "for n in 1 2 3 4 5 6 7 8 9 10; do sleep 0.4; echo $n; done")
    bench.monkeypatch.setattr(remotes, "PUSH", Limit(silence=3))
    assert bench.cli("release", "churn", "--push").code == 0
    assert of_origin(bench) == "churn@v1.0.0\n"


def test_a_push_that_falls_silent_is_given_up_and_the_next_release_completes_it(
    bench: Workbench,
) -> None:
    hook(bench, "exec sleep 600")
    bench.monkeypatch.setattr(remotes, "PUSH", Limit(silence=1))
    told = bench.cli("release", "churn", "--push")
    assert told.code == 1
    assert told.err == (
        f"error: origin did not answer within 1 seconds: {STOPPED}\n"
        "hint: tagship release churn --push\n"
    )
    assert (bench.git("tag"), of_origin(bench)) == ("churn@v1.0.0\n", "")
    hook(bench, "exit 0")
    assert bench.cli("release", "churn", "--push").code == 0
    assert of_origin(bench) == "churn@v1.0.0\n"


def test_a_push_that_is_interrupted_is_told_and_the_next_release_completes_it(
    bench: Workbench,
) -> None:
    begun = bench.repo.parent / "begun"
    os.mkfifo(begun)
    hook(bench, f"echo $$ > {begun}; exec sleep 600")
    process = subprocess.Popen(
        [sys.executable, "-m", "tagship", "release", "churn", "--push"],
        cwd=bench.repo, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    pid = begun.read_text().strip()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith(f"interrupted\nnote: {STOPPED}\nhint: tagship release churn --push\n")
    assert not _runs(pid)
    hook(bench, "exit 0")
    assert bench.cli("release", "churn", "--push").code == 0
    assert of_origin(bench) == "churn@v1.0.0\n"


def test_a_name_that_cannot_be_resolved_is_a_note(bench: Workbench) -> None:
    bench.git("remote", "set-url", "origin", "https://git.invalid/m.git")
    told = bench.cli("release", "churn")
    assert (told.code, "Could not resolve host: git.invalid" in told.err) == (0, True)


class Locked(http.server.BaseHTTPRequestHandler):
    """Asks for a password."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="models"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_remote_that_wants_a_password_names_the_credential_helper(bench: Workbench) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Locked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bench.git("remote", "set-url", "origin", f"http://127.0.0.1:{server.server_port}/m.git")
        told = bench.cli("release", "churn", "--push")
        server.shutdown()
    assert told.err.endswith(
        "terminal prompts disabled\n"
        "hint: log in with a credential helper: git config credential.helper cache && git fetch\n"
    )
