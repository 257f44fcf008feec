"""A server as its clients see it: each path, each refusal with its status and words."""

import gc
import json
import os
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tagship import TagshipError
from tagship.errors import Refused
from tagship.serve import Settings, listen, run, sockets, web
from tagship.serve import app as serve_app
from tagship.serve.answering import Asked
from tests.serve.asking import JSON, Served, all_of, batch, until
from tests.serve.shelf import Shelf

Start = Callable[..., Served]
INFER = "/v2/models/churn/infer"
BODY = batch([1.0, 2.0])
HANDLED = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def server(shelf: Shelf, serve: Start) -> Served:
    """1.1.0 is live, 1.0.0 answers beside it."""
    shelf.ship("1.0.0", 3.0)
    shelf.ship("1.1.0", 5.0)
    served = serve(challengers=(("churn", "1.0.0"),))
    until(lambda: served.slots["churn"].state().others)
    return served


# ---- the paths


def test_the_server_says_what_it_is_and_that_it_is_well(server: Served) -> None:
    value = server.get("/v2").json
    assert (value["name"], value["extensions"]) == ("tagship", ["binary_tensor_data"])
    assert server.get("/v2/").json == value
    assert server.get("/v2/health/live").json == {"live": True}
    assert server.get("/v2/health/ready").json == {"ready": True}


def test_a_model_says_what_it_takes_which_versions_answer_and_since_when(server: Served) -> None:
    reply = server.get("/v2/models/churn")
    value = reply.json
    properties = value.pop("properties")
    tensor = {"datatype": "FP64", "shape": [-1, 2]}
    assert value == {
        "name": "churn", "versions": ["1.1.0", "1.0.0"], "platform": "toy",
        "inputs": [{"name": "input-0", **tensor}], "outputs": [{"name": "output-0", **tensor}],
    }  # fmt: skip
    assert properties["model_version"] == reply.headers["x-model-version"] == "1.1.0"
    assert properties["generation"] == reply.headers["x-tagship-generation"]
    assert (properties["seq"], properties["since"]) == ("2", "2026-11-20T12:00:00Z")
    assert len(properties["digest"]) == 64
    beside = server.get("/v2/models/churn/versions/1.0.0").json["properties"]
    assert (beside["model_version"], beside["seq"]) == ("1.0.0", "1")


def test_the_live_version_answers_and_another_one_by_path_or_header(server: Served) -> None:
    live = server.infer(batch([1.0, 2.0], id="42"))
    assert (live.status, live.headers["x-model-version"]) == (200, "1.1.0")
    output = {"name": "output-0", "datatype": "FP64", "shape": [1, 2], "data": [5.0, 10.0]}
    assert live.json == {
        "model_name": "churn", "model_version": "1.1.0", "id": "42", "outputs": [output],
    }  # fmt: skip
    for reply in (
        server.infer(BODY, "/v2/models/churn/versions/1.0.0/infer"),
        server.infer(BODY, **{"x-model-version": "1.0.0"}),
    ):
        assert reply.json["model_version"] == reply.headers["x-model-version"] == "1.0.0"
        assert reply.json["outputs"][0]["data"] == [3.0, 6.0]


@pytest.mark.parametrize("versions", [("1.1.0", "9"), ("9", "1.1.0"), ("1.1.0", "1.1.0")])
def test_two_headers_that_name_a_version_are_refused(
    server: Served, versions: tuple[str, str]
) -> None:
    both = [f"x-model-version: {version}" for version in versions]
    lines = (*both, f"Content-Length: {len(BODY)}", "Connection: close")
    with server.connect() as connection:
        connection.sendall(head(*lines) + BODY)
        assert error_of(all_of(connection)) == (400, "there are several headers x-model-version")


def test_readiness_names_the_version_that_is_ready(server: Served) -> None:
    value = {"name": "churn", "ready": True, "model_version": "1.1.0"}
    assert server.get("/v2/models/churn/ready").json == value
    value["model_version"] = "1.0.0"
    assert server.get("/v2/models/churn/versions/1.0.0/ready").json == value


def test_binary_goes_in_and_out(server: Served) -> None:
    tensor = {
        "name": "x", "shape": [1, 2], "datatype": "FP32",
        "parameters": {"binary_data_size": 8},
    }  # fmt: skip
    text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    reply = server.ask("POST", INFER, text + struct.pack("<2f", 1, 2), headers)
    assert reply.status == 200, reply.body
    cut = int(reply.headers["inference-header-content-length"])
    assert reply.headers["content-type"] == "application/octet-stream"
    assert struct.unpack("<2d", reply.body[cut:]) == (5.0, 10.0)


def test_nothing_deployed_is_live_but_not_ready_until_it_is(shelf: Shelf, serve: Start) -> None:
    server = serve(is_ready=False)
    assert server.get("/v2/health/live").status == 200
    ready = server.get("/v2/health/ready")
    assert (ready.status, ready.json["ready"]) == (503, False)
    asked = server.get("/v2/models/churn"), server.get("/v2/models/churn/ready")
    for reply in (server.infer(BODY), *asked):
        assert reply.status == 503
        assert "churn is not ready" in reply.json["error"]
    assert {reply.headers["retry-after"] for reply in (ready, server.infer(BODY), *asked)} == {"1"}
    shelf.ship("1.0.0", 3.0)
    until(lambda: server.get("/v2/health/ready").status == 200)
    assert server.infer(BODY).json["outputs"][0]["data"] == [3.0, 6.0]


def test_metrics_count_what_was_answered(server: Served) -> None:
    server.infer(BODY)
    server.infer(b"{")
    text = server.get("/metrics").body.decode()
    for code in (200, 400):
        line = f'tagship_requests_total{{code="{code}",model="churn",version="1.1.0"}} 1.0'
        assert line in text


def test_metrics_are_given_whatever_is_accepted(server: Served) -> None:
    for version in ("x", "1.0.x", "", "1.0.0"):
        accepted = f"application/openmetrics-text; version={version}; escaping=zz"
        assert server.get("/metrics", Accept=accepted).status == 200


def test_a_link_of_any_bytes_is_told(
    server: Served, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    link = os.fsencode(shelf.store.current)
    os.symlink(b"versions/\xff", link + b".new")  # noqa: PTH211 - of bytes
    os.replace(link + b".new", link)
    slot = server.slots["churn"]
    until(lambda: slot.state().refused)
    assert "\\udcff" in server.get("/v2/models/churn").json["properties"]["refused"]
    assert "\\udcff is not taken" in caplog.text
    caplog.text.encode()  # it can be written anywhere


def test_the_audit_and_the_access_log_have_what_was_answered(
    shelf: Shelf, serve: Start, tmp_path: Path
) -> None:
    shelf.ship("1.0.0", 3.0)
    audit, access = tmp_path / "audit.jsonl", tmp_path / "access.jsonl"
    server = serve(audit=audit, audit_inputs=True, access_log=str(access))
    server.infer(batch([1.0, 2.0], id="42"))
    record = json.loads(audit.read_text())
    assert (record["id"], record["version"]) == ("42", "1.0.0")
    assert record["inputs"][0]["data"] == [1.0, 2.0]
    assert record["outputs"][0]["data"] == [3.0, 6.0]
    until(access.read_text)
    assert json.loads(access.read_text())["code"] == 200


def test_the_page_about_the_paths_needs_nothing_else(server: Served) -> None:
    reply = server.get("/docs")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    text = reply.body.decode()
    assert "<script" not in text
    assert "http" not in text.replace('name="viewport"', "")
    assert [path for path in server.get("/openapi.json").json["paths"] if path not in text] == []


# ---- refusals


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "the body is not JSON"),
        (BODY.replace(b"1.0", b"1e400"), 400, "a number is too large: line 1 column"),
        (batch([1.0, 2.0, 3.0]), 400, "'input-0' has the shape [1, 3], and the model takes [-1, 2"),
        (batch(["a", "b"], kind="BYTES"), 400, "'input-0' is BYTES, and the model takes FP64"),
        (batch(), 400, "'input-0' has the shape [0, 0], and the model takes [-1, 2]"),
        (batch(*[[1, 2]] * 11), 400, "there are 11 rows; at most 10 in one request"),
        (BODY.replace(b"1.0", b"NaN"), 400, "JSON has no NaN: write null for a missing value"),
        (batch([1, 2], outputs=[{"name": "y"}]), 400, "there is no output 'y'; there are: 'outp"),
        (b" " * 2000, 413, "the request is larger than 1000 bytes"),
    ],
    ids=["json", "infinite", "shape", "type", "no rows", "rows", "NaN", "output", "size"],
)
def test_a_bad_request_is_refused_in_words(
    shelf: Shelf, serve: Start, body: bytes, status: int, words: str
) -> None:
    shelf.ship("1.0.0", 3.0)
    server = serve(max_rows=10, max_body=1000)
    reply = server.infer(body)
    assert (reply.status, reply.error[: len(words)]) == (status, words)
    if status == 400:  # it was read, for a version
        assert reply.headers["x-model-version"] == "1.0.0"
    assert server.infer(BODY).status == 200


def test_null_is_a_missing_value_in_requests_and_answers(server: Served) -> None:
    assert server.infer(batch([None, 2.0])).json["outputs"][0]["data"] == [None, 10.0]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "words"),
    [
        ("POST", "/v2/models/wine/infer", JSON, 404, "there is no model 'wine' here"),
        ("GET", "/v2/models/wine", {}, 404, "there is no model 'wine' here"),
        ("POST", "/v2/models/churn/versions/9.0.0/infer", JSON, 404,
         "version 9.0.0 of churn is not loaded"),
        ("GET", "/v2/models/churn/versions/9.0.0", {}, 404, "version 9.0.0 of churn is not loaded"),
        ("POST", INFER, {**JSON, "x-model-version": "9"}, 404, "version 9 of churn is not loaded"),
        ("POST", INFER, {**JSON, "x-model-version": "9" * 9000}, 404,
         f"version {'9' * 100} of churn is not loaded"),
        ("POST", "/v2/models/churn/versions/1.0.0/infer", {**JSON, "x-model-version": "1.1.0"}, 400,
         "the path and the header x-model-version name different versions"),
        ("POST", INFER, {"Content-Type": "text/plain"}, 415, "Content-Type is not application/js"),
        ("GET", "/v2", {"Host": "evil.example"}, 421, "this server does not answer to that Host"),
        ("POST", INFER, {**JSON, "Inference-Header-Content-Length": "9999"}, 400,
         "Inference-Header-Content-Length says 9999"),
        ("GET", "/nothing", {}, 404, "there is no such path: GET /docs"),
        ("GET", INFER, {}, 405, "Method Not Allowed"),
        ("OPTIONS", INFER, {"Origin": "https://evil.example"}, 405, "Method Not Allowed"),
        ("POST", "/v2/repository/index", JSON, 404, "there is no such path: GET /docs"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_words(
    server: Served, method: str, path: str, headers: dict[str, str], status: int, words: str
) -> None:
    reply = server.ask(method, path, BODY if method == "POST" else b"", headers)
    assert (reply.status, reply.error[: len(words)]) == (status, words)
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_with_a_token_only_who_has_it_is_answered(
    shelf: Shelf, serve: Start, tmp_path: Path
) -> None:
    shelf.ship("1.0.0", 3.0)
    path = tmp_path / "token"
    path.write_text("0123456789abcdef\n")
    server = serve(token_file=path)
    refused = server.infer(BODY)
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert server.infer(BODY, Authorization="Bearer 0123456789abcdef").status == 200
    assert server.get("/v2/health/ready").status == 200
    assert server.get("/metrics").status == 401


def test_what_a_framework_says_stays_in_the_log(
    shelf: Shelf, serve: Start, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.ship("1.0.0", 3.0, wrong=7.0)
    server = serve()
    reply = server.infer(batch([7.0, 2.0]))
    assert (reply.status, reply.error) == (400, "churn 1.0.0 does not answer to these inputs")
    assert "secret internals" in caplog.text


def test_a_model_that_takes_too_long_is_given_up_and_holds_nobody_else(
    shelf: Shelf, serve: Start
) -> None:
    gate = shelf.gate()
    shelf.ship("1.0.0", 3.0, slow=7.0, answer_gate=str(gate))
    server = serve(request_timeout=0.3, threads=2)
    reply = server.infer(batch([7.0, 2.0]))
    assert (reply.status, reply.error) == (503, "churn did not answer within 0.3 s")
    assert server.get("/v2/health/live").status == 200
    assert server.infer(BODY).status == 200
    gate.touch()


def test_a_request_that_is_given_up_before_it_began_leaves_no_body(
    shelf: Shelf, serve: Start
) -> None:
    gate = shelf.gate()
    shelf.ship("1.0.0", 3.0, slow=7.0, answer_gate=str(gate))
    server = serve(request_timeout=0.2, threads=1)
    assert server.infer(batch([7.0, 2.0])).status == 503
    mark = b'{"a mark": 1}'
    assert server.infer(mark + b" " * 100_000).status == 503
    gc.collect()
    kept = [o.body for o in gc.get_objects() if isinstance(o, Asked) and o.body.startswith(mark)]
    assert kept == []
    gate.touch()
    until(lambda: server.infer(BODY).status == 200)


# ---- connections


def head(*lines: str, path: str = INFER, method: str = "POST") -> bytes:
    first = (f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    return "\r\n".join([*first, *lines, "", ""]).encode()


def error_of(answer: bytes) -> tuple[int, str]:
    """Status and words of an answer that closed its connection."""
    start, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in start
    return int(start.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET / HT", (408, "the request took too long to arrive")),
        (head("Content-Length: 50") + b"{", (408, "the request took too long to arrive")),
        (head("Transfer-Encoding: chunked") + b"1\r\n{", (408, "the request took too long to arr")),
        (b"nothing like HTTP\r\n\r\n", (400, "the request is not valid HTTP")),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, (431, "the head of the request is")),
        (head("Content-Length: 5", "Content-Length: 6"), (400, "the request is not valid HTTP")),
        (head("Transfer-Encoding: gzip"), (400, "the request is not valid HTTP")),
        (head("Transfer-Encoding: chunked") + b"no size\r\n", (400, "the request is not valid")),
    ],
    ids=[
        "head",
        "body",
        "chunks",
        "no HTTP",
        "long head",
        "two lengths",
        "no chunks",
        "bad chunks",
    ],
)
def test_who_sends_slowly_or_wrongly_is_told_and_cut_off(
    shelf: Shelf, serve: Start, sent: bytes, expected: tuple[int, str]
) -> None:
    shelf.ship("1.0.0", 3.0)
    server = serve(header_timeout=0.3, body_timeout=0.3)
    with server.connect() as connection:
        connection.sendall(sent)
        status, words = error_of(all_of(connection))
    assert (status, words[: len(expected[1])]) == expected
    assert server.infer(BODY).status == 200


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
@pytest.mark.parametrize("size", [1, 60, 1000])
def test_a_wish_for_another_protocol_is_passed_over_and_no_body_is_lost(
    shelf: Shelf, serve: Start, protocol: str, size: int
) -> None:
    """Java's client asks for HTTP/2 with its first request."""
    shelf.ship("1.0.0", 3.0)
    server = serve()
    wish = (f"Upgrade: {protocol}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMA")
    whole = head(*wish, f"Content-Length: {len(BODY)}") + BODY
    last = head("Connection: close", method="GET", path="/v2")
    sent = whole + whole + last
    with server.connect() as connection:
        for at in range(0, len(sent), size):
            connection.sendall(sent[at : at + size])
        answer = all_of(connection)
    assert (answer.count(b"HTTP/1.1 200"), answer.count(b"HTTP/1.1")) == (3, 3)
    assert answer.count(b'"data":[3.0,6.0]') == 2


def test_a_head_is_answered_without_a_body(server: Served) -> None:
    for path in ("/v2/health/live", "/v2/models/churn/ready"):
        reply = server.ask("HEAD", path)
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers["content-length"] == str(len(server.get(path).body))


def test_a_request_that_waits_for_another_one_is_not_late(shelf: Shelf, serve: Start) -> None:
    """The server does not read it meanwhile; the first one must not get its error."""
    gate = shelf.gate()
    shelf.ship("1.0.0", 3.0, slow=7.0, answer_gate=str(gate))
    server = serve(body_timeout=0.2)
    slow = batch([7.0, 2.0])
    with server.connect() as connection:
        first = head(f"Content-Length: {len(slow)}") + slow
        connection.sendall(first + head(f"Content-Length: {len(BODY)}") + BODY[:-5])
        time.sleep(1.2)  # the limit, and two looks at it
        gate.touch()
        answer = all_of(connection)
    one, _, other = answer.partition(b"\n")[2].partition(b"HTTP/1.1")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"data":[21.0,6.0]' in one
    assert other.startswith(b" 408")  # it had its time, once it was its turn


WHOLE = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("before", [b"", WHOLE, WHOLE * 3])
def test_a_head_has_its_limit_though_it_comes_at_once(server: Served, before: bytes) -> None:
    """After other requests too, which have their answers."""
    for size, status in ((60_000, 200), (66_000, 431), (120_000, 431)):
        with server.connect() as connection:
            connection.sendall(before)
            got = b""
            while got.count(b"binary_tensor_data") < before.count(b"GET"):
                got += connection.recv(65536)
            lines = ("Connection: close", f"X: {'x' * size}")
            connection.sendall(head(*lines, path="/v2", method="GET"))
            assert all_of(connection).startswith(b"HTTP/1.1 %d" % status), size


@pytest.mark.parametrize("at_once", [True, False])
def test_half_a_request_after_a_whole_one_has_its_time_too(
    shelf: Shelf, serve: Start, at_once: bool
) -> None:
    shelf.ship("1.0.0", 3.0)
    server = serve(header_timeout=0.3, idle_timeout=60.0)
    with server.connect() as connection:
        connection.sendall(WHOLE + b"GET /v2/he" * at_once)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"a" if at_once else b"GET /v2/he")
        assert error_of(all_of(connection)) == (408, "the request took too long to arrive")


def test_what_is_no_request_leaves_no_line_in_the_log(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with server.connect() as connection:
        connection.sendall(b"\x16\x03\x01 https\r\n\r\n")
        assert error_of(all_of(connection)) == (400, "the request is not valid HTTP")
    assert [r for r in caplog.records if not r.name.startswith("tagship")] == []


@pytest.mark.parametrize("size", [300_000, 2_000_000])
def test_a_body_that_nobody_wanted_is_no_head_of_the_next_request(
    server: Served, size: int
) -> None:
    """A client that keeps the connection would take a second answer for that of its next one."""
    with server.connect() as connection:
        connection.sendall(head(f"Content-Length: {size}", path="/v2/nothing") + b" " * size)
        connection.sendall(head("Connection: close", method="GET", path="/v2"))
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 404")
    assert answer.count(b"HTTP/1.1 200") == 1


def test_who_was_answered_and_sends_on_without_end_is_cut_off(shelf: Shelf, serve: Start) -> None:
    shelf.ship("1.0.0", 3.0)
    server = serve(body_timeout=0.3, idle_timeout=0.3)
    with server.connect() as endless, server.connect() as silent:
        endless.sendall(head("Transfer-Encoding: chunked", path="/v2/nothing") + b"1\r\nx\r\n")
        silent.sendall(head("Content-Length: 9", path="/v2/nothing") + b"x")
        for connection in (endless, silent):
            assert b"404" in connection.recv(65536)
        silent.sendall(b"x" * 8)
        for connection in (endless, silent):
            assert all_of(connection) == b""


def test_a_client_that_leaves_in_the_middle_of_a_body_leaves_no_error_in_the_log(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with server.connect() as connection:
        connection.sendall(head("Content-Length: 50") + b"{")
        time.sleep(0.1)
    assert server.infer(BODY).status == 200
    assert not [record for record in caplog.records if record.exc_info]


def test_a_client_that_asks_and_asks_and_does_not_read_leaves_no_error_in_the_log(
    shelf: Shelf, serve: Start, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.ship("1.0.0", 3.0)
    server = serve(body_timeout=0.3)
    body = batch(*[[0.123456789, 1.0]] * 10_000)
    with server.connect() as connection, pytest.raises(ConnectionError):
        for _ in range(200):
            connection.sendall(head(f"Content-Length: {len(body)}") + body)
    assert server.infer(BODY).status == 200
    assert not [record for record in caplog.records if record.exc_info]


def test_who_sends_nothing_is_cut_off(shelf: Shelf, serve: Start) -> None:
    shelf.ship("1.0.0", 3.0)
    server = serve(header_timeout=0.2, idle_timeout=0.2)
    with server.connect() as silent, server.connect() as blank, server.connect() as idle:
        blank.sendall(b"\r\n")
        idle.sendall(head(method="GET", path="/v2"))
        assert all_of(silent) == b""
        assert b"408" in all_of(blank)
        assert b"tagship" in all_of(idle)


def test_a_body_without_a_length_that_is_too_large_is_refused(shelf: Shelf, serve: Start) -> None:
    shelf.ship("1.0.0", 3.0)
    server = serve(max_body=1000)
    with server.connect() as connection:
        chunk = b"400\r\n" + b" " * 0x400 + b"\r\n"
        connection.sendall(head("Transfer-Encoding: chunked") + chunk + b"0\r\n\r\n")
        assert error_of(all_of(connection)) == (413, "the request is larger than 1000 bytes")


def test_bodies_that_are_too_large_together_are_put_off(shelf: Shelf, serve: Start) -> None:
    shelf.ship("1.0.0", 3.0)
    server = serve(max_bodies=3000)
    with server.connect() as one, server.connect() as other:
        one.sendall(head("Content-Length: 2500") + b" " * 2400)
        until(lambda: server.infer(b" " * 2000).status == 503)
        other.sendall(head("Content-Length: 2000") + b" " * 2000)
        assert error_of(all_of(other)) == (503, "too many requests at once")
    until(lambda: server.infer(b" " * 2000).status == 400)


def test_a_client_that_leaves_frees_its_version(shelf: Shelf, serve: Start) -> None:
    gate = shelf.gate()
    shelf.ship("1.0.0", 3.0, slow=7.0, answer_gate=str(gate))
    server = serve()
    slow = batch([7.0, 2.0])
    with server.connect() as connection:
        connection.sendall(head(f"Content-Length: {len(slow)}") + slow)
        until(lambda: os.path.exists(f"{gate}.waiting"))  # noqa: PTH110 - beside the gate
    shelf.ship("1.1.0", 5.0)
    until(lambda: server.infer(BODY).json["model_version"] == "1.1.0")
    assert server.slots["churn"].state().generations == 2
    gate.touch()
    until(lambda: server.slots["churn"].state().generations == 1)


def test_more_connections_than_allowed_are_refused_in_words(shelf: Shelf, serve: Start) -> None:
    shelf.ship("1.0.0", 3.0)
    server = serve(max_connections=3)
    until(lambda: server.get("/v2").status == 200)
    held = [server.connect() for _ in range(3)]
    for connection in held:
        connection.sendall(head(method="GET", path="/v2"))
        assert connection.recv(65536)
    with server.connect() as refused:
        assert error_of(all_of(refused)) == (503, "too many connections")
    held.pop().close()
    until(lambda: _answers(server))
    for connection in held:
        connection.close()


def _answers(server: Served) -> bool:
    try:
        return server.get("/v2").status == 200
    except OSError:
        return False


def test_requests_that_arrive_at_once_are_answered_in_their_order(server: Served) -> None:
    bodies = [batch([float(number), 0.0], id=str(number)) for number in range(5)]
    with server.connect() as connection:
        for body in bodies:
            connection.sendall(head(f"Content-Length: {len(body)}") + body)
        connection.sendall(head("Connection: close", method="GET", path="/v2"))
        text = all_of(connection).decode()
    places = [text.index(f'"id":"{number}"') for number in range(5)]
    assert places == sorted(places)


# ---- where it listens


def test_a_port_that_is_in_use_is_told(server: Served) -> None:
    port = server.address[1]
    with pytest.raises(TagshipError) as caught:
        sockets.bind("127.0.0.1", port)
    assert caught.value.message == f"port {port} of 127.0.0.1 is in use"
    assert caught.value.hint == f"another one: --port {port + 1}; who has it: ss -ltnp"


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nowhere.invalid", "nowhere.invalid is no name or address of this machine"),
        ("192.0.2.1", "192.0.2.1 is no address of this machine"),
    ],
)
def test_an_address_that_is_not_of_this_machine_is_told(host: str, words: str) -> None:
    with pytest.raises(TagshipError) as caught:
        sockets.bind(host, 0)
    assert caught.value.message == words


def test_an_address_is_told_as_a_browser_takes_it() -> None:
    with sockets.bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert sockets.address_of(listener, "127.0.0.1") == f"http://127.0.0.1:{port}"
        assert sockets.address_of(listener, "::1") == f"http://[::1]:{port}"


def test_an_app_is_run_in_a_thread_where_no_signal_can_be_handled(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers: list[listen.Server] = []
    kept = listen.server

    def server(*arguments: Any) -> listen.Server:
        servers.append(kept(*arguments))
        return servers[-1]

    monkeypatch.setattr(listen, "server", server)
    shelf.ship("1.0.0", 3.0)
    app, addresses = serve_app("churn", root=shelf.root), list[str]()
    thread = threading.Thread(target=lambda: run(app, addresses.append, port=0))
    before = signal.getsignal(signal.SIGHUP)
    thread.start()
    until(lambda: addresses and app.state.slots["churn"].is_ready)
    assert signal.getsignal(signal.SIGHUP) == before
    servers[0].should_exit = True
    thread.join()


def test_an_app_is_run_until_a_signal_and_once(shelf: Shelf) -> None:
    app = serve_app("churn", root=shelf.root)
    handlers = [signal.getsignal(number) for number in HANDLED]
    run(app, lambda _: os.kill(os.getpid(), signal.SIGTERM), port=0)
    assert [signal.getsignal(number) for number in HANDLED] == handlers
    with pytest.raises(Refused, match="this app was run before, and is closed"):
        run(app, print, port=0)


def test_another_app_is_not_run() -> None:
    with pytest.raises(Refused, match=re.escape("this is not an app of tagship.serve")):
        run(FastAPI(), print, port=0)


def test_two_servers_of_one_folder_both_answer(server: Served, serve: Start) -> None:
    other = serve()
    assert other.infer(BODY).json["outputs"] == server.infer(BODY).json["outputs"]


def test_an_app_without_a_folder_of_models_says_so(tmp_path: Path) -> None:
    with pytest.raises(TagshipError, match="not a DVC repository"):
        web.standalone(Settings(("churn",), start=tmp_path))


def test_a_socket_is_closed_if_it_cannot_listen() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(TagshipError):
            sockets.bind("127.0.0.1", other.getsockname()[1])
