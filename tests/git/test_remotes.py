"""Remotes that do not answer, or ask for a password."""

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagship.git import bounded, remotes
from tagship.git.bounded import Limit
from tests.workbench import Workbench


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
        " (git ls-remote origin)\n"
    )
    assert not [command for command in of_git() if silent[7:] in command]


def test_a_push_to_a_silent_remote_is_refused(bench: Workbench, silent: str) -> None:
    told = bench.cli("release", "churn", "--push")
    assert told.code == 1
    assert told.err == (
        f"note: waiting for origin, {silent}\n"
        "error: origin did not answer within 0.4 seconds\n"
        "hint: git ls-remote origin\n"
    )
    assert bench.git("tag") == ""


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
