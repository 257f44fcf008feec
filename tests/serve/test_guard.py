"""Who may ask: the header Host, tokens, the size and the type of a body."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi import FastAPI

from tagship.cli.serve import command
from tagship.errors import TagshipError
from tagship.serve import guard, settings, web
from tagship.serve.guard import Rules
from tagship.serve.settings import Settings

INFER = "/v2/models/churn/infer"
TOKEN = b"0123456789abcdef"


def denied(
    method: str = "GET", path: str = "/v2", host: str | None = "localhost:8080",
    options: Settings | None = None, tokens: tuple[bytes, ...] = (), **headers: Any,
) -> tuple[int, str] | None:  # fmt: skip
    options = options or Settings(("churn",))
    given = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    if host is not None:
        given.append((b"host", host.encode()))
    rules = Rules(options.hosts, tokens, 1000, 5000)
    answer = guard.check(method, path, given, rules)
    return None if answer is None else (answer.status, answer.text)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:8080", "[::1]", "localhost."]
)
def test_a_server_on_this_machine_answers_to_its_names(host: str) -> None:
    assert denied(host=host) is None


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil",
     "[::2]", "localhost@evil.example", "127.0.0.2", "[::1].evil.example", "localhost:80@evil",
     "[localhost", "localhost:evil"],
)  # fmt: skip
def test_no_other_name_is_answered(host: str | None) -> None:
    assert denied(host=host) == (
        421, "this server does not answer to that Host: --allow-host adds a name",
    )  # fmt: skip


def test_two_hosts_are_none() -> None:
    rules = Rules(Settings(("churn",)).hosts, (), 1000, 5000)
    given = [(b"host", b"evil.example"), (b"accept", b"*/*"), (b"host", b"localhost")]
    answer = guard.check("GET", "/v2", given, rules)
    assert answer is not None
    assert (answer.status, answer.text) == (400, "there are two headers Host")


def test_a_name_that_is_allowed_is_answered_and_a_star_is_any() -> None:
    named = Settings(("churn",), host="10.0.0.5", allow_hosts=("Models.example",))
    assert denied(host="models.example:443", options=named) is None
    assert denied(host="10.0.0.5", options=named) is None
    assert denied(host="other.example", options=named) is not None
    assert denied(host="other.example", options=Settings(("churn",), allow_hosts=("*",))) is None


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_health_is_open_to_probes_that_know_an_address_alone(path: str) -> None:
    assert denied(path=path, host="10.0.0.7", tokens=(TOKEN,)) is None


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0",
     "Basic 0123456789abcdef", "0123456789abcdef"],
)  # fmt: skip
def test_without_a_token_nothing_is_answered(given: str) -> None:
    for path in ("/v2", "/metrics", "/docs", "/openapi.json", "/v2/models/churn", INFER):
        answer = denied(path=path, tokens=(TOKEN,), authorization=given)
        assert answer == (401, "a token is missing, or it is another one")


def test_each_of_the_tokens_is_taken() -> None:
    both = (TOKEN, b"another-token-of-late")
    assert denied(tokens=both, authorization="Bearer another-token-of-late") is None
    assert denied(tokens=both, authorization=f"bearer  {TOKEN.decode()}") is None


def test_the_readiness_of_a_model_needs_no_token_but_a_known_host() -> None:
    path = "/v2/models/churn/ready"
    assert denied(path=path, tokens=(TOKEN,)) is None
    assert denied("POST", path=path, tokens=(TOKEN,)) == (
        401, "a token is missing, or it is another one",
    )  # fmt: skip
    answer = denied(path=path, tokens=(TOKEN,), host="evil.example")
    assert answer is not None
    assert answer[0] == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "application/json"},
        {"content_type": "Application/JSON; charset=utf-8"},
        {"content_type": "application/octet-stream", "inference_header_content_length": "5"},
        {"inference_header_content_length": "5"},
        {"content_type": "application/octet-stream"},
        {},
    ],
)
def test_what_a_program_sends_is_taken(headers: dict[str, Any]) -> None:
    assert denied("POST", INFER, **headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "text/plain; application/json"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"content_type": "multipart/form-data; boundary=application/json"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_what_a_page_can_send_without_asking_is_not(headers: dict[str, Any]) -> None:
    assert denied("POST", INFER, **headers) == (415, "Content-Type is not application/json")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"content_length": "1001"}, (413, "the request is larger than 1000 bytes")),
        ({"content_length": "9" * 5000}, (400, "Content-Length is not a number")),
        ({"content_length": "-1"}, (400, "Content-Length is not a number")),
        ({"content_encoding": "gzip"}, (415, "Content-Encoding is not offered")),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused_by_its_head(
    headers: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert denied("POST", INFER, content_type="application/json", **headers) == expected


# ---- below a prefix


def statuses(app: FastAPI, *, path: str, root_path: str = "", **headers: str) -> list[int]:
    """The statuses of a POST and of a GET."""
    given = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    codes: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        if "status" in message:
            codes.append(message["status"])

    for method in ("POST", "GET"):
        scope = {
            "type": "http", "method": method, "path": path, "root_path": root_path,
            "query_string": b"", "headers": [(b"host", b"localhost"), *given],
        }  # fmt: skip
        asyncio.run(app(scope, receive, send))
    return codes


@pytest.mark.parametrize("way", ["plain", "prefix", "prefix of the app", "mount", "both"])
@pytest.mark.parametrize("secret", [False, True])
def test_a_prefix_takes_no_rule_off(tmp_path: Path, way: str, secret: bool) -> None:
    """That of uvicorn --root-path, of a proxy, of an app that the server is mounted in."""
    tokens = tmp_path / "tokens"
    tokens.write_bytes(TOKEN)
    (tmp_path / "models").mkdir()
    token_file = tokens if secret else None
    app = web.standalone(Settings(("churn",), root=tmp_path / "models", token_file=token_file))
    prefix = {"prefix": "/v2", "mount": "/in", "both": "/v2/in"}.get(way, "")
    told = "/v2" if way in ("prefix", "both") else ""
    if way in ("mount", "both"):
        outer = FastAPI()
        outer.mount("/in", app)
        app = outer
    elif way == "prefix of the app":
        app.root_path = "/of-a-proxy"  # which cuts it off
    page = {"content_type": "text/plain", "origin": "http://evil.example"}
    denied = 401 if secret else 415
    assert statuses(app, path=prefix + INFER, root_path=told, **page)[0] == denied
    program = {"content_type": "application/json", "authorization": f"Bearer {TOKEN.decode()}"}
    assert statuses(app, path=prefix + INFER, root_path=told, **program)[0] == 503
    for probe, status in (("/v2/health/live", 200), ("/v2/models/churn/ready", 503)):
        assert statuses(app, path=prefix + probe, root_path=told)[1] == status


# ---- the file of tokens, and what is told at the start


def test_a_file_has_a_token_a_line(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"\n  {TOKEN.decode()}  \nanother-token-of-late\n")
    assert settings.tokens(path) == (TOKEN, b"another-token-of-late")


@pytest.mark.parametrize("text", ["", "\n\n", "short\n", f"{TOKEN.decode()}\nshort\n"])
def test_a_token_that_is_easily_guessed_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(TagshipError, match="has to have at least 16 characters"):
        settings.tokens(path)


def test_a_file_of_tokens_that_is_missing_or_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(TagshipError, match="no such file"):
        settings.tokens(tmp_path / "none")
    with pytest.raises(TagshipError, match="Is a directory"):
        settings.tokens(tmp_path)


@pytest.mark.parametrize(
    ("host", "options", "count"),
    [
        ("127.0.0.1", {}, 0), ("localhost", {}, 0), ("::1", {}, 0), ("127.9.9.9", {}, 0),
        ("10.0.0.5", {}, 1), ("models.example", {}, 1), ("0.0.0.0", {}, 2), ("::", {}, 2),
        ("0.0.0.0", {"allow_hosts": ("models.example",)}, 1),
        ("10.0.0.5", {"token_file": Path("tokens")}, 0),
    ],
)  # fmt: skip
def test_what_reaches_further_than_this_machine_is_told(
    host: str, options: dict[str, object], count: int
) -> None:
    notes = Settings(("churn",), host=host, **options).notes()  # type: ignore[arg-type] # any of it
    assert len(notes) == count, notes


def test_a_mark_of_the_byte_order_is_no_part_of_a_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(b"\xef\xbb\xbf" + TOKEN + b"\r\n")
    assert settings.tokens(path) == (TOKEN,)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("models.example:443", "is a URL or has a port: give the name alone"),
        ("https://models.example", "is a URL or has a port: give the name alone"),
        ("[::1]:443", "is a URL or has a port: give the name alone"),
        ("*.example.com", "is a pattern: names are compared whole"),
        ("", "an empty name allows no Host"),
        (" ", "an empty name allows no Host"),
    ],
)
def test_a_name_to_allow_that_never_matches_is_refused(name: str, words: str) -> None:
    done = CliRunner().invoke(command, ["churn", "--allow-host", name])
    assert done.exit_code == 2
    assert words in done.output
    with pytest.raises(TagshipError, match=words):
        Settings(("churn",), allow_hosts=(name,))


@pytest.mark.parametrize("name", ["*", "models.example", "::1", "[fd00::5]", "10.0.0.5"])
def test_a_name_to_allow_that_can_match_is_taken(name: str) -> None:
    assert Settings(("churn",), allow_hosts=(name,)).allow_hosts == (name,)
