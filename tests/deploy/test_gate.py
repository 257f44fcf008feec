"""A gate: how it is written, what one attempt says, and what all of them come to."""

import contextlib
import http.server
import json
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.deploy import gate
from tagship.deploy.gate import Attempt, Measured, Subject, Verdict
from tagship.errors import Refused
from tagship.workspace import gates
from tagship.workspace.gates import Gate, Http, Share
from tests.disk.test_program import gone, script

PASSED, FAILED, NOT_MEASURED = Verdict.PASSED, Verdict.FAILED, Verdict.NOT_MEASURED
SUBJECT = Subject(
    "churn", "1.3.0", "churn@v1.3.0", "c" * 40, Path("/srv/models/churn/versions/v1.3.0_x"),
    Path("/srv/models"),
)  # fmt: skip
ONCE = Gate(timeout=20, passes=Share(1, 1), watch=0)


def parsed(text: str) -> Gate:
    return gates.parse(tomllib.loads(text), "follow.churn.gate", "tagship.toml")


def measured(what: Gate) -> Measured:
    return gate.measure(what, SUBJECT, lambda: True)


def once(**how: Any) -> Attempt:
    """One attempt."""
    (attempt,) = measured(replace(ONCE, **how)).attempts
    return attempt


# --- how it is written


def test_a_gate_is_read_as_it_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gates.md").read_text(encoding="utf-8")
    table = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["follow"]["churn"]["gate"]
    assert gates.parse(table, "follow.churn.gate", "tagship.toml") == Gate(
        Http("http://127.0.0.1:8080/v2/models/churn/ready", 200, {"version": "model_version"}),
        ("/usr/local/bin/check-churn",), 5, Share(3, 5), 60,
    )  # fmt: skip


def test_what_is_not_written_has_a_default() -> None:
    assert parsed('http = "https://localhost/ready"') == Gate(
        Http("https://localhost/ready"), None, 5, Share(3, 5), 60
    )


COMMAND = 'command = ["/bin/true"]\n'
ADDRESS = 'give an address: "http://127.0.0.1:8080/ready"'
NO_SHELL = "begin with the absolute path of the program; it is no shell"
LIST = 'give a list of words: ["/usr/local/bin/check", "--fast"]'
SHARE = 'give how many attempts must pass: "3 of 5", at most 1000'
SECRET = "without a user or a password: a page that needs one is asked by a command"


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ('timeout = "5s"', ".http in tagship.toml is missing",
         "give follow.churn.gate one of http and command, or both"),
        (COMMAND + 'tiemout = "5s"', " in tagship.toml has an unknown key 'tiemout'",
         "did you mean timeout?"),
        ('http = {url = "http://a/", code = 200}',
         ".http in tagship.toml has an unknown key 'code'", "there are: url, status, json"),
        ('http = {url = "http://a/", json = {vresion = "v"}}',
         ".http.json in tagship.toml has an unknown key 'vresion'", "did you mean version?"),
        ('http = {url = "http://a/", json = {version = 1}}',
         ".http.json.version in tagship.toml may not be 1",
         'name the field that has it: version = "model_version"'),
        ("http = {}", ".http.url in tagship.toml is missing", ADDRESS),
        ("http = 8080", ".http in tagship.toml may not be 8080",
         "write it as a table: url, status, json"),
        ('http = "localhost:8080/ready"', ".http.url in tagship.toml is missing", ADDRESS),
        ('http = {url = "ftp://a/"}', ".http.url in tagship.toml may not be 'ftp://a/'", ADDRESS),
        ('http = {url = "http:///ready"}', ".http.url in tagship.toml may not be 'http:///ready'",
         ADDRESS),
        ('http = {url = "http://a:99999/"}',
         ".http.url in tagship.toml may not be 'http://a:99999/'", ADDRESS),
        ('http = {url = "http://[::1/"}', ".http.url in tagship.toml may not be 'http://[::1/'",
         ADDRESS),
        ('http = {url = "http://a/ b"}', ".http.url in tagship.toml may not be 'http://a/ b'",
         ADDRESS),
        ('http = {url = "http://a/\\r\\nX: y"}',
         ".http.url in tagship.toml may not be 'http://a/\\\\r\\\\nX: y'", ADDRESS),
        ('http = {url = "http://ada:secret@a/"}', ".http.url in tagship.toml may not be 'http://a/'",
         SECRET),
        ('http = {url = "http://a/", status = "ok"}',
         ".http.status in tagship.toml may not be 'ok'", "give a status of HTTP, such as 200"),
        ('http = {url = "http://a/", status = true}',
         ".http.status in tagship.toml may not be true", "give a status of HTTP, such as 200"),
        ('command = "/bin/true"', ".command in tagship.toml may not be '/bin/true'", LIST),
        ("command = []", ".command in tagship.toml may not be []", LIST),
        ('command = ["/bin/a", 1]', ".command in tagship.toml may not be ['/bin/a', 1]", LIST),
        ('command = ["true"]', ".command in tagship.toml may not be ['true']", NO_SHELL),
        ('command = ["./check"]', ".command in tagship.toml may not be ['./check']", NO_SHELL),
        (COMMAND + "timeout = 0", ".timeout in tagship.toml may not be 0",
         'give a duration from 0.1s to 1h, such as "5s" or "2m"'),
        (COMMAND + 'timeout = "5 minutes"', ".timeout in tagship.toml may not be '5 minutes'",
         'give a duration from 0.1s to 1h, such as "5s" or "2m"'),
        (COMMAND + "watch = -1", ".watch in tagship.toml may not be -1",
         'give a duration from 0s to 7d, such as "5s" or "2m"'),
        (COMMAND + "watch = nan", ".watch in tagship.toml may not be nan",
         'give a duration from 0s to 7d, such as "5s" or "2m"'),
        (COMMAND + 'pass = "6 of 5"', ".pass in tagship.toml may not be '6 of 5'", SHARE),
        (COMMAND + 'pass = "0 of 5"', ".pass in tagship.toml may not be '0 of 5'", SHARE),
        (COMMAND + 'pass = "3/5"', ".pass in tagship.toml may not be '3/5'", SHARE),
        (COMMAND + "pass = 3", ".pass in tagship.toml may not be 3", SHARE),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_key(text: str, what: str, hint: str) -> None:
    if "localhost:8080" in text:
        what = ".http.url in tagship.toml may not be 'localhost:8080/ready'"
    with pytest.raises(Refused) as refused:
        parsed(text)
    assert refused.value.message == f"follow.churn.gate{what}".replace("\\\\", "\\")
    assert refused.value.hint == hint


# --- a page


class Server(http.server.BaseHTTPRequestHandler):
    """Answers each path in its own way."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        status, headers, body = {
            "/ready": (200, {}, json.dumps({"model_version": "1.3.0", "parameters":
                       {"tag": "churn@v1.3.0"}, "count": 3}).encode()),
            "/": (200, {}, b"hello"),
            "/busy": (503, {}, b"loading"),
            "/moved": (302, {"Location": "/ready"}, b""),
            "/list": (200, {}, b"[1]"),
            "/deep": (200, {}, b"[" * 60_000),
            "/escape": (200, {}, json.dumps({"model_version": "\x1b[31m" + "x" * 500}).encode()),
            "/large": (200, {}, b"x" * 70_000),
        }[path]  # fmt: skip
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as opened:
        opened.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        yield opened
        opened.shutdown()


@pytest.mark.parametrize(
    ("path", "how", "verdict", "reason"),
    [
        ("/", {}, PASSED, ""),
        ("/ready", {"json": {"version": "model_version"}}, PASSED, ""),
        ("/ready", {"json": {"version": "model_version", "tag": "parameters.tag"}}, PASSED, ""),
        ("/ready?a=1", {}, PASSED, ""),
        ("/busy", {"status": 503}, PASSED, ""),
        ("/busy", {}, FAILED, "answers 503, and not 200"),
        ("/moved", {}, FAILED, "answers 302, and not 200"),  # it is not followed
        ("/ready", {"json": {"model": "model_name"}}, FAILED, "the answer has no model_name"),
        ("/ready", {"json": {"model": "model_version"}}, FAILED,
         "model_version is 1.3.0, and not churn"),
        ("/ready", {"json": {"version": "count"}}, FAILED, "count is 3, and not 1.3.0"),
        ("/ready", {"json": {"version": "count.inner"}}, FAILED, "the answer has no count.inner"),
        ("/", {"json": {"version": "v"}}, FAILED, "the answer is no JSON"),
        ("/list", {"json": {"version": "v"}}, FAILED, "the answer has no v"),
        ("/deep", {"json": {"version": "v"}}, FAILED, "the answer is no JSON"),
        ("/escape", {"json": {"version": "model_version"}}, FAILED,
         "model_version is \\x1b[31m" + "x" * 91 + "…, and not 1.3.0"),
        ("/large", {}, FAILED, "the answer is longer than 64 kB"),
    ],
)  # fmt: skip
def test_a_page_answers(
    server: Any, path: str, how: dict[str, Any], verdict: Verdict, reason: str
) -> None:
    address = f"http://127.0.0.1:{server.server_port}"
    attempt = once(http=Http(address + path, **how))
    assert attempt.verdict is verdict
    shown = attempt.reason.removeprefix(f"{address}{path.partition('?')[0]}").removeprefix(":")
    assert shown.strip() == reason


def test_a_page_is_asked_without_proxy_and_without_credentials(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    (Path.home() / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    assert once(http=Http(f"http://127.0.0.1:{server.server_port}/ready?x=1")).verdict is PASSED
    path, headers = server.asked[-1]
    assert path == "/ready?x=1"
    assert headers == {
        "Host": f"127.0.0.1:{server.server_port}", "User-Agent": "tagship",
        "Accept": "application/json, */*", "Accept-Encoding": "identity", "Connection": "close",
    }  # fmt: skip


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server on loopback that does something of its own with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def drip(head: bytes) -> Callable[[socket.socket], None]:
    """Sends something, then a byte every few milliseconds, for as long as it is taken."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return answer


def endless(head: bytes, more: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(head)
        while True:
            connection.sendall(more)

    return answer


def reset(connection: socket.socket) -> None:
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def says(text: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(text)

    return answer


def silent(connection: socket.socket) -> None:
    while connection.recv(1000):
        pass


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (silent, NOT_MEASURED, "no answer within 0.3 s"),
        (drip(b""), NOT_MEASURED, "no answer within 0.3 s"),
        (drip(OK + b"X: "), NOT_MEASURED, "no answer within 0.3 s"),
        (drip(OK + b"\r\n"), NOT_MEASURED, "no answer within 0.3 s"),
    ],
    ids=["silent", "drips its status", "drips its headers", "drips its body"],
)
def test_a_server_that_takes_longer_is_cut_off(
    answer: Callable[[socket.socket], None], verdict: Verdict, reason: str
) -> None:
    with answering(answer) as url:
        began = time.monotonic()
        attempt = once(http=Http(url), timeout=0.3)
    assert attempt == Attempt(verdict, f"{url}: {reason}")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (endless(OK + b"\r\n", b"x" * 9999), FAILED, "the answer is longer than 64 kB"),
        (endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\nabcd\r\n"), FAILED,
         "the answer is longer than 64 kB"),
        (endless(OK, b"X: " + b"y" * 9999 + b"\r\n"), FAILED, "the answer is longer than 64 kB"),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), FAILED, "the answer is longer than 64 kB"),
        (endless(b"", b"z" * 9999), FAILED, "the answer is longer than 64 kB"),
        (reset, NOT_MEASURED, "Connection reset by peer"),
        (says(b""), NOT_MEASURED, "Remote end closed connection without response"),
        (says(OK + b"Content-Length: 100\r\n\r\nshort"), NOT_MEASURED,
         "the connection was closed before the answer was complete"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), FAILED,
         "no answer of HTTP: SSH-2.0-OpenSSH_9.2"),
        (says(OK + b"Content-Length: ten\r\n\r\nhello"), PASSED, ""),  # it is read to its end
    ],
    ids=["endless body", "endless chunks", "endless headers", "endless continue", "endless line",
         "reset", "hangs up", "cut short", "another protocol", "a length that is none"],
)  # fmt: skip
def test_what_is_no_whole_answer(
    answer: Callable[[socket.socket], None], verdict: Verdict, reason: str
) -> None:
    with answering(answer) as url:
        attempt = once(http=Http(url))
    assert attempt == Attempt(verdict, f"{url}: {reason}" if reason else "")


def test_a_server_that_is_not_there_is_not_measured() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    assert once(http=Http(url)) == Attempt(NOT_MEASURED, f"{url}: Connection refused")
    attempt = once(http=Http("http://no-such-host.invalid/"))
    assert attempt.verdict is NOT_MEASURED
    attempt = once(http=Http("http://a..b/"))
    assert attempt.verdict is NOT_MEASURED


def test_a_server_whose_certificate_does_not_count_is_not_measured() -> None:
    with answering(says(b"hello")) as url:
        attempt = once(http=Http(url.replace("http:", "https:")))
    assert attempt.verdict is NOT_MEASURED
    with answering(drip(b"\x16\x03\x03\x40\x00")) as url:  # a handshake that drips
        attempt = once(http=Http(url.replace("http:", "https:")), timeout=0.3)
    assert attempt.verdict is NOT_MEASURED
    assert attempt.reason.endswith("no answer within 0.3 s")


# --- a program


@pytest.mark.parametrize(
    ("text", "verdict", "reason"),
    [
        ("exit 0", PASSED, ""),
        ("echo all is well; exit 0", PASSED, ""),
        ("echo 3 wrong answers; exit 1", FAILED, "exited with 1: 3 wrong answers"),
        ("exit 2", FAILED, "exited with 2"),
        ("no-such-program", FAILED, "exited with 127: {0}: 2: no-such-program: not found"),
        ("kill -KILL $$", FAILED, "was ended by signal 9"),
        ("echo no data yet; exit 75", NOT_MEASURED, "could not measure: no data yet"),
    ],
)
def test_a_program_answers(tmp_path: Path, text: str, verdict: Verdict, reason: str) -> None:
    command = script(tmp_path, text)
    expected = f"{command} {reason.format(command)}" if reason else ""
    assert once(command=(command,)) == Attempt(verdict, expected)


def test_a_program_that_is_not_there_or_hangs_is_not_measured(tmp_path: Path) -> None:
    none = str(tmp_path / "none")
    assert once(command=(none,)) == Attempt(
        NOT_MEASURED, f"{none} cannot be executed: No such file or directory"
    )
    child = tmp_path / "child"
    command = script(tmp_path, f"sleep 1000 & echo $! > {child}; echo begun; wait")
    assert once(command=(command,), timeout=0.3) == Attempt(
        NOT_MEASURED, f"{command} took longer than 0.3 s: begun"
    )
    assert gone(child)


def test_a_program_is_told_what_it_checks(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = script(tmp_path, f"env | grep TAGSHIP_ | sort > {out}")
    assert once(command=(command,)).verdict is PASSED
    assert out.read_text().splitlines() == [
        "TAGSHIP_DIRECTORY=/srv/models/churn/versions/v1.3.0_x",
        "TAGSHIP_MODEL=churn",
        "TAGSHIP_ROOT=/srv/models",
        "TAGSHIP_TAG=churn@v1.3.0",
        "TAGSHIP_VERSION=1.3.0",
    ]


@pytest.mark.parametrize(
    ("path", "text", "verdict"),
    [
        ("/", "exit 0", PASSED),
        ("/", "exit 1", FAILED),
        ("/busy", "exit 0", FAILED),
        ("/", "exit 75", NOT_MEASURED),
        ("none", "exit 0", NOT_MEASURED),
        ("none", "exit 1", FAILED),  # a failure counts, whatever could not be measured
        ("none", "exit 75", NOT_MEASURED),
    ],
)
def test_both_must_pass(
    server: Any, tmp_path: Path, path: str, text: str, verdict: Verdict
) -> None:
    address = f"http://127.0.0.1:{server.server_port}{path}"
    if path == "none":
        with socket.create_server(("127.0.0.1", 0)) as closed:
            address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    assert once(http=Http(address), command=(script(tmp_path, text),)).verdict is verdict


def test_a_program_is_not_run_where_the_page_failed(server: Any, tmp_path: Path) -> None:
    command = script(tmp_path, f"touch {tmp_path / 'ran'}")
    busy = Http(f"http://127.0.0.1:{server.server_port}/busy")
    assert once(http=busy, command=(command,)).verdict is FAILED
    assert not (tmp_path / "ran").exists()


# --- a watch


class Clock:
    """A clock that is asked for the time, and goes on when somebody waits."""

    def __init__(self) -> None:
        self.now = self.slept = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def plan(folder: Path, codes: str) -> str:
    """A program that exits with the next of some codes each time (7: 75)."""
    (folder / "codes").write_text(codes)
    text = (
        f'codes=$(cat {folder}/codes)\nfirst=${{codes%"${{codes#?}}"}}\n'
        f'echo "${{codes#?}}" > {folder}/codes\n[ "$first" = 7 ] && exit 75\nexit $first'
    )
    return script(folder, text)


@pytest.mark.parametrize(
    ("codes", "passes", "verdict", "reason"),
    [
        ("00000", "3 of 5", PASSED, "5 of 5 attempts passed"),
        ("11000", "3 of 5", PASSED, "3 of 5 attempts passed"),
        ("17000", "3 of 5", PASSED, "3 of 5 attempts passed"),
        ("111", "3 of 5", FAILED, "3 of 3 attempts failed: {} exited with 1"),
        ("01011", "3 of 5", FAILED, "3 of 5 attempts failed: {} exited with 1"),
        ("77777", "3 of 5", NOT_MEASURED, "0 of 5 attempts passed: {} could not measure"),
        ("00771", "3 of 5", NOT_MEASURED, "2 of 5 attempts passed: {} could not measure"),
        ("00077", "3 of 5", NOT_MEASURED,
         "3 of 5 attempts passed, but not the last one: {} could not measure"),
        ("00001", "3 of 5", NOT_MEASURED,
         "4 of 5 attempts passed, but not the last one: {} exited with 1"),
        ("0", "1 of 1", PASSED, "1 of 1 attempt passed"),
        ("1", "1 of 1", FAILED, "1 of 1 attempt failed: {} exited with 1"),
        ("001", "3 of 3", FAILED, "1 of 3 attempts failed: {} exited with 1"),
    ],
)  # fmt: skip
def test_what_attempts_come_to(
    tmp_path: Path, codes: str, passes: str, verdict: Verdict, reason: str
) -> None:
    command, clock = plan(tmp_path, codes), Clock()
    need, of = map(int, passes.split(" of "))
    what = Gate(command=(command,), timeout=20, passes=Share(need, of), watch=60)
    result = gate.measure(what, SUBJECT, lambda: True, clock)
    assert (result.verdict, result.reason) == (verdict, reason.format(command))
    assert len(result.attempts) == len(codes)
    assert clock.now == pytest.approx(60 * len(codes) / of)  # a pass lasts until the watch is over


def test_attempts_that_take_longer_follow_each_other(tmp_path: Path) -> None:
    clock = Clock()

    def is_still_live() -> bool:  # asked in each attempt, while the clock goes on
        clock.now += 10
        return True

    what = Gate(command=(plan(tmp_path, "000"),), timeout=20, passes=Share(3, 3), watch=3)
    assert gate.measure(what, SUBJECT, is_still_live, clock).verdict is PASSED
    assert clock.slept < 1  # before the first


def test_a_watch_ends_as_soon_as_another_version_is_live(tmp_path: Path) -> None:
    clock, live = Clock(), [True] * 12

    def is_still_live() -> bool:
        return bool(live and live.pop())

    what = Gate(command=(script(tmp_path, "exit 1"),), passes=Share(5, 5), watch=3600)
    result = gate.measure(what, SUBJECT, is_still_live, clock)
    assert result == Measured(Verdict.ENDED, "another version is live by now")
    assert clock.now < 12


@pytest.mark.parametrize("how", ["command", "http"])
def test_a_watch_ends_in_the_middle_of_an_attempt(tmp_path: Path, how: str) -> None:
    began = tmp_path / "began"

    def answer(connection: socket.socket) -> None:
        began.touch()
        silent(connection)

    command = (script(tmp_path, f"touch {began}; sleep 1000"),)
    with answering(answer) as url:
        part = {"command": {"command": command}, "http": {"http": Http(url)}}[how]
        what = Gate(**part, timeout=600, passes=Share(1, 1), watch=0)  # type: ignore[arg-type]
        start = time.monotonic()
        result = gate.measure(what, SUBJECT, lambda: not began.exists())
    assert result.verdict is Verdict.ENDED
    assert time.monotonic() - start < 10


def test_a_watch_takes_its_time_by_the_real_clock(tmp_path: Path) -> None:
    what = Gate(command=("/bin/true",), passes=Share(2, 3), watch=0.3)
    start = time.monotonic()
    assert measured(what).verdict is PASSED
    assert time.monotonic() - start >= 0.3


def test_several_models_are_watched_at_once(tmp_path: Path) -> None:
    """Each program waits for all others: one after the other would end in no time at all."""
    count = 6
    together = f"""touch {tmp_path}/$1
    while [ $(ls {tmp_path} | grep -c '^model') -lt {count} ]; do sleep 0.01; done
    exit $2"""
    command = script(tmp_path, together)
    results: dict[int, Measured] = {}

    def watch(number: int) -> None:
        words = (command, f"model{number}", str(number % 2))
        results[number] = measured(replace(ONCE, command=words))

    threads = [threading.Thread(target=watch, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdicts = [results[number].verdict for number in range(count)]
    assert verdicts == [PASSED, FAILED] * (count // 2)


def test_a_gate_imports_nothing_of_http_until_it_asks() -> None:
    code = (
        "import sys, tagship.deploy.gate, tagship.workspace.window\n"
        "print({'http.client', 'ssl', 'git', 'dvc'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"


attempts = st.lists(st.sampled_from([PASSED, FAILED, NOT_MEASURED]), min_size=1, max_size=9)


@given(attempts, st.integers(1, 9))
def test_a_verdict_follows_from_what_was_measured(verdicts: list[Verdict], need: int) -> None:
    share = Share(min(need, len(verdicts)), len(verdicts))
    result = gate._judge(share, tuple(Attempt(verdict, "why") for verdict in verdicts))
    passed, failed = verdicts.count(PASSED), verdicts.count(FAILED)
    if result.verdict is PASSED:
        assert passed >= share.need
        assert verdicts[-1] is PASSED
    elif result.verdict is FAILED:
        assert failed > share.of - share.need  # no luck with the others would have helped
    else:
        assert passed + verdicts.count(NOT_MEASURED) >= share.need
    if NOT_MEASURED not in verdicts and verdicts[-1] is PASSED:
        assert result.verdict is (PASSED if passed >= share.need else FAILED)
    assert ("why" in result.reason) is (result.verdict is not PASSED)
