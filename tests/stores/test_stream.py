"""Blocks are counted and cut off; ranges come in order; what an error of obstore means."""

import configparser
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tagship.disk import files
from tagship.stores import failures, keys, regions, stream
from tagship.stores.failures import Kind, StoreError
from tagship.stores.options import Plan, Profile
from tagship.stores.store import Store
from tagship.stores.stream import Allowance, Stopped, TooLong


def test_more_bytes_than_allowed_are_cut_off_at_the_first_block_too_many() -> None:
    given: list[bytes] = []
    allowance = Allowance(5)
    with pytest.raises(TooLong):
        given.extend(allowance.limit([b"ab", b"cd", b"ef", b"gh"]))
    assert list(Allowance(4).limit([b"ab", b"cd"])) == [b"ab", b"cd"]
    with pytest.raises(TooLong):
        stream.check(6, Allowance(5))


def test_files_of_a_folder_share_what_it_has_and_give_back_what_came_for_nothing() -> None:
    folder = Allowance(5)
    first, second = (Allowance(5, shared=folder) for _ in range(2))
    assert list(first.limit([b"abc"])) == [b"abc"]
    with pytest.raises(TooLong):
        list(second.limit([b"def"]))
    assert second.left < 0
    folder = Allowance(5)
    first, second = (Allowance(5, shared=folder) for _ in range(2))
    first.take(4)
    first.give_back()
    assert list(second.limit([b"defgh"])) == [b"defgh"]


def test_what_nobody_wants_any_more_stops_at_the_next_block() -> None:
    allowance = Allowance(100)
    blocks = allowance.limit(iter([b"a", b"b"]))
    next(blocks)
    allowance.stop.set()
    with pytest.raises(Stopped):
        next(blocks)


def test_ranges_come_in_order_and_only_some_are_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RANGE", 3)
    data, asked = bytes(range(100)), []

    def fetch(first: int, last: int) -> list[bytes]:
        asked.append(first)
        return [data[first : first + 1], data[first + 1 : last]]

    ranges = stream.in_ranges(4, 100, fetch)
    head = next(ranges)
    assert head == data[4:5]
    assert len(asked) <= stream.CONNECTIONS + stream.SPARE
    assert head + b"".join(ranges) == data[4:]
    assert sorted(asked) == list(range(4, 100, 3))


def test_a_connection_is_left_once_it_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.001, 1.0, 1.001, 2.0, 2.5])  # before and after each block
    monkeypatch.setattr("tagship.stores.stream.monotonic", lambda: next(clock))
    one = stream.Timed(iter([b"a" * 1000, b"b" * 1000, b"c" * 1000, b"d" * 1000]))
    assert [block[:1] for block in one] == [b"a", b"b", b"c"]
    assert one.done == 3000
    assert [block[:1] for block in one.rest()] == [b"d"]


def test_a_range_that_fails_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RANGE", 10)

    def fetch(first: int, last: int) -> list[bytes]:
        if first >= 20:
            raise StoreError(Kind.BROKEN_OFF)
        return [bytes(last - first)]

    given: list[bytes] = []
    with pytest.raises(StoreError):
        given.extend(stream.in_ranges(0, 10_000, fetch))


@pytest.mark.parametrize("blocks", [[], [b"one"], [b"one", b"two"], [b"x" * 3_000_000, b"y"] * 5])
def test_what_arrives_is_hashed_as_a_file_is(tmp_path: Path, blocks: list[bytes]) -> None:
    counts: list[int] = []
    file = files.receive(iter(blocks), tmp_path / "file", counts.append)
    assert (tmp_path / "file").read_bytes() == b"".join(blocks)
    assert file == files.digest(tmp_path / "file")
    assert sum(counts) == file.size
    assert files.receive(iter(blocks), None).sha256 == file.sha256


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("... status code: 503 Service Unavailable: <Code>SlowDown</Code>", Kind.BUSY,
         "it has too much to do (503 SlowDown)"),
        ("... status code: 429 Too Many Requests", Kind.BUSY, "it has too much to do (429)"),
        ("... status code: 403 Forbidden: <Code>RequestTimeTooSkewed</Code>", Kind.CLOCK, ""),
        ("... status code: 403 Forbidden: <Code>AccessDenied</Code>", Kind.DENIED, ""),
        ("... status code: 400 Bad Request: <Code>ExpiredToken</Code>", Kind.EXPIRED, ""),
        ("... status code: 404 Not Found: <Code>NoSuchBucket</Code>", Kind.NO_BUCKET, ""),
        ("... status code: 500 Internal Server Error", Kind.OTHER, ""),
        ("Received redirect without LOCATION, this normally indicates an incorrectly configured"
         " region", Kind.REGION, "the bucket is in another region"),
        ("... inner: dns error ... error: \"Name or service not known\"", Kind.UNREACHABLE,
         "it cannot be reached (Name or service not known)"),
        ("... invalid peer certificate: UnknownIssuer", Kind.CERTIFICATE, ""),
        ("... InvalidCertificate(Other(CaUsedAsEndEntity))", Kind.CERTIFICATE, ""),
        ("Generic HTTP error: ... source: TimedOut", Kind.SILENT, "it stopped answering"),
        ("Range request not supported by x", Kind.NO_RANGES, ""),
        ("Last-Modified Header missing from response", Kind.NO_DATE, ""),
        ("something new\n\nDebug source:\nNew", Kind.OTHER,
         "it answers with an error (something new)"),
        ("https://host/x?sig=secret broke", Kind.OTHER, "it answers with an error"),
    ],
)  # fmt: skip
def test_an_error_of_obstore_has_a_meaning(text: str, kind: Kind, words: str) -> None:
    error = failures.of(Exception(text))
    assert error.kind is kind
    assert str(error).startswith(words)
    assert "secret" not in str(error)


@pytest.fixture
def server() -> Callable[[dict[str, str]], str]:
    """Starts a server that answers each HEAD with these headers, and 403."""

    def start(headers: dict[str, str]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                assert "authorization" not in {name.lower() for name in self.headers}
                self.send_response(403)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running.server_address[1]}"

    return start


def test_a_bucket_names_its_region_to_anybody(server: Callable[[dict[str, str]], str]) -> None:
    there = server({"x-amz-bucket-region": "eu-west-3"})
    assert regions.of_bucket("bucket", there) == "eu-west-3"
    assert regions.of_bucket("bucket", server({})) is None
    assert regions.of_bucket("bucket", "http://127.0.0.1:1") is None


def test_keys_of_a_profile_are_botocores_to_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "credentials"
    config = configparser.ConfigParser()
    config["team"] = {"aws_access_key_id": "A", "aws_secret_access_key": "B"}
    with file.open("w") as stream_:
        config.write(stream_)
    found = keys.provider({}, Profile("team", str(file)))()
    assert (found["access_key_id"], found["secret_access_key"], found["token"]) == ("A", "B", None)
    with pytest.raises(StoreError) as caught:
        keys.provider({}, Profile("absent", str(file)))
    assert caught.value.kind is Kind.CREDENTIALS
    config["team"]["aws_session_token"] = "T"
    with file.open("w") as stream_:
        config.write(stream_)
    plan = Plan(
        "s3", "bucket", config={"endpoint": "https://h"}, profile=Profile("team", str(file))
    )
    with pytest.raises(StoreError) as caught:
        Store(plan, {}).size("key")
    assert caught.value.kind is Kind.REDIRECT
    given = {"access_key_id": "C", "secret_access_key": "D", "region": "x"}
    assert keys.provider(given, None)()["access_key_id"] == "C"
    assert given == {"region": "x"}
