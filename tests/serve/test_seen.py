"""What can be seen of a server, over HTTP: header, body, metrics, access log and audit agree."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from tagship import Workspace
from tests.serve.asking import Reply, Served, batch, until
from tests.serve.shelf import Shelf

ROOT = Path(__file__).parents[2]
Start = Callable[..., Served]
Samples = dict[str, dict[tuple[str, ...], float]]


def metrics(served: Served) -> Samples:
    """Each sample's name, to the values of its labels in the order of their names, to its value."""
    reply = served.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: Samples = {}
    for family in parse(reply.body.decode()):
        for sample in family.samples:
            values = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[values] = sample.value
    return found


def live_seq(served: Served) -> int:
    return int(served.get("/v2/models/churn").json["properties"]["seq"])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def said(reply: Reply) -> tuple[Any, ...]:
    """What an answer says in its header and its body, which agree."""
    value = reply.json
    assert reply.headers["x-model-version"] == value["model_version"]
    generation = int(reply.headers["x-tagship-generation"])
    return value["id"], value["model_version"], generation, tuple(value["outputs"][0]["data"])


def check(replies: list[Reply], found: Samples, audit: Path, access: Path, shelf: Shelf) -> None:
    """I10: each answer is once in the audit and once in the access log, and counted once."""
    answers = Counter(map(said, replies))
    audited = lines(audit)
    assert Counter(
        (line["id"], line["version"], line["generation"], tuple(line["outputs"][0]["data"]))
        for line in audited
    ) == answers  # fmt: skip
    for line in audited:
        assert line["outputs"][0]["data"][0] == shelf.factors[line["version"]]
    keys = ("id", "version", "seq", "rows")
    both = [Counter(tuple(line[key] for key in keys) for line in each)
            for each in (audited, lines(access))]  # fmt: skip
    assert both[0] == both[1]
    counted = {version: n for (_, _, version), n in found["tagship_requests_total"].items()}
    assert counted == Counter(version for _, version, _, _ in answers.elements())
    assert found["tagship_rows_total"] == found["tagship_request_seconds_count"]
    generations = {(line["generation"], line["version"]) for line in audited}
    assert len(generations) == len({number for number, _ in generations})


def test_header_body_metrics_access_log_and_audit_agree_over_swaps(
    shelf: Shelf, serve: Start, tmp_path: Path
) -> None:
    first = shelf.ship("1.0.0", 3.0)
    audit, access = tmp_path / "audit.jsonl", tmp_path / "access.jsonl"
    served = serve(audit=audit, access_log=str(access))
    replies = []
    for number, directory in enumerate([first, shelf.keep("1.1.0", 5.0), first], 1):
        if number > 1:
            shelf.point(directory)
            until(lambda: live_seq(served) == shelf.seq)
        for count in range(3):
            replies.append(served.infer(batch([1.0, 2.0], id=f"{number}.{count}")))
    until(lambda: access.exists() and len(access.read_bytes().splitlines()) == 9)
    found = metrics(served)
    check(replies, found, audit, access, shelf)
    assert found["tagship_live"] == {("churn", "3", "1.0.0"): 1}
    assert found["tagship_swaps_total"] == {("churn", "taken"): 3}
    assert found["tagship_generations"] == {("churn",): 1}
    assert lines(access)[0]["client"] == "127.0.0.1"
    (decision,) = Workspace(tmp_path).audit(audit, identity="3.1", root=shelf.root).found
    origin = decision.origin
    assert (decision.answer.version, decision.answer.seq, origin.directory) == ("1.0.0", 3, first)
    assert origin.event is not None
    assert origin.tag is not None
    assert (origin.event.seq, origin.tag.name, origin.notes) == (3, "churn@v1.0.0", ())


def test_a_refused_challenger_is_seen(shelf: Shelf, serve: Start) -> None:
    shelf.path(shelf.keep("1.1.0", 5.0)).write_bytes(b"damaged")
    shelf.ship("1.0.0", 3.0)
    served = serve(challengers=["churn@1.1.0"])
    until(lambda: "tagship_refused" in metrics(served))
    assert metrics(served)["tagship_refused"] == {("churn", "1.1.0"): 1}
    assert served.get("/v2/health/ready").status == 200
    properties = served.get("/v2/models/churn").json["properties"]
    assert properties["refused_challengers"].startswith("1.1.0: churn 1.1.0: model.toy")
    reply = served.infer(batch([1.0, 2.0]), **{"x-model-version": "1.1.0"})
    assert reply.status == 404
    assert reply.error.startswith("version 1.1.0 of churn is not loaded: churn 1.1.0: model.toy")


def test_a_refused_version_is_seen_until_another_one_is_taken(shelf: Shelf, serve: Start) -> None:
    shelf.ship("1.0.0", 3.0)
    served = serve()
    bad = shelf.keep("1.1.0", 5.0)
    shelf.path(bad).write_bytes(b"damaged")
    shelf.point(bad)
    until(lambda: "tagship_refused" in metrics(served))
    found = metrics(served)
    assert found["tagship_refused"] == {("churn", "1.1.0"): 1}
    assert found["tagship_live"] == {("churn", "1", "1.0.0"): 1}
    assert found["tagship_ready"] == {("churn",): 1}
    assert found["tagship_swaps_total"]["churn", "refused"] >= 1
    shelf.ship("1.2.0", 7.0)
    until(lambda: "tagship_refused" not in metrics(served))


def test_what_is_refused_is_counted_and_logged_and_not_audited(
    shelf: Shelf, serve: Start, tmp_path: Path
) -> None:
    shelf.ship("1.0.0", 3.0)
    audit, access = tmp_path / "audit.jsonl", tmp_path / "access.jsonl"
    served = serve(audit=audit, access_log=str(access))
    body = batch([1.0, 2.0], id="evil\x1b[31m\u202e")
    replies = [
        served.infer(b"no JSON"),
        served.infer(body, "/v2/models/wine/infer"),
        served.infer(body, "/v2/models/churn/versions/9.9.9/infer"),
        served.infer(body),
    ]
    assert [reply.status for reply in replies] == [400, 404, 404, 200]
    assert metrics(served)["tagship_requests_total"] == {
        ("400", "churn", "1.0.0"): 1, ("404", "", ""): 1, ("404", "churn", ""): 1,
        ("200", "churn", "1.0.0"): 1,
    }  # fmt: skip
    until(lambda: len(access.read_bytes().splitlines()) == 4)
    assert [line["code"] for line in lines(access)] == [400, 404, 404, 200]
    (line,) = lines(audit)
    assert line["id"] == "evil\x1b[31m\u202e"
    assert all(
        text.isprintable() for file in (audit, access) for text in file.read_text().splitlines()
    )


def test_inputs_are_in_the_audit_only_where_they_are_asked_for(
    shelf: Shelf, serve: Start, tmp_path: Path
) -> None:
    shelf.ship("1.0.0", 3.0)
    served = serve(audit=tmp_path / "audit.jsonl", audit_inputs=True)
    served.infer(batch([1.0, 2.0], id="a"))
    (line,) = lines(tmp_path / "audit.jsonl")
    assert line["inputs"] == [
        {"name": "input-0", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}
    ]


# ---- processes


@contextmanager
def process(shelf: Shelf, *options: str) -> Iterator[tuple[Served, subprocess.Popen[str]]]:
    """``tagship serve`` as a process of its own."""
    command = [sys.executable, "-m", "tagship", "serve", "churn"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TAGSHIP_ROOT": str(shelf.root)}
    path = os.pathsep.join([str(ROOT / "tools"), environment.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [*command, "--port", "0", *options], stdout=subprocess.PIPE, text=True,
        env={**environment, "PYTHONPATH": path},
    ) as server:  # fmt: skip
        try:
            assert server.stdout is not None
            address = None
            while address is None:
                line = server.stdout.readline()
                assert line, "it ended"
                address = re.search(r"http://([\d.]+):(\d+)", line)
            served = Served((address[1], int(address[2])), {})
            until(lambda: served.get("/v2/health/ready").status == 200)
            yield served, server
        finally:
            server.terminate()
            server.wait(20)


@pytest.mark.heavy
def test_workers_agree_over_swaps_a_rotation_and_the_death_of_one(
    shelf: Shelf, tmp_path: Path
) -> None:
    directories = [shelf.ship("1.0.0", 3.0), shelf.keep("1.1.0", 5.0)]
    audit, access = tmp_path / "audit.jsonl", tmp_path / "access.jsonl"
    options = ("--workers", "2", "--audit", str(audit), "--access-log", str(access))
    replies: list[Reply] = []
    with process(shelf, *options) as (served, server), ThreadPoolExecutor(4) as pool:

        def ask(swap: int) -> None:
            bodies = [batch([1.0, 2.0], id=f"{swap}.{number}") for number in range(40)]
            replies.extend(pool.map(served.infer, bodies))

        ask(0)
        for swap in range(1, 6):
            shelf.point(directories[swap % 2])
            ask(swap)
            until(lambda: live_seq(served) == shelf.seq)
        audit.rename(tmp_path / "audit.1")
        server.send_signal(signal.SIGHUP)
        until(lambda: _asked_until(served, audit, replies))
        ask(6)
        until(lambda: len(lines(access)) == len(replies))  # what waits dies with its worker
        worker = _children(server.pid)[0]
        os.kill(worker, signal.SIGKILL)
        until(lambda: len(_children(server.pid)) == 2 and worker not in _children(server.pid))
        ask(7)
        until(lambda: len(lines(access)) == len(replies))
        found = metrics(served)
    assert all(reply.status == 200 for reply in replies)
    whole = tmp_path / "audit.all"
    whole.write_bytes((tmp_path / "audit.1").read_bytes() + audit.read_bytes())
    check(replies, found, whole, access, shelf)
    assert audit.stat().st_mode & 0o7777 == 0o600
    assert found["tagship_live"] == {("churn", "6", "1.1.0"): 1}
    assert found["tagship_swaps_total"] == {("churn", "taken"): 6}


def _asked_until(served: Served, audit: Path, replies: list[Reply]) -> bool:
    """Ask once more; whether the file was made again."""
    replies.append(served.infer(batch([1.0, 2.0], id="rotated")))
    return audit.exists()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.heavy
def test_the_access_log_on_standard_output_is_whole_lines(shelf: Shelf) -> None:
    shelf.ship("1.0.0", 3.0)
    with process(shelf, "--access-log", "-") as (served, server):
        for number in range(5):
            served.infer(batch([1.0, 2.0], id=str(number)))
        assert server.stdout is not None
        logged = [json.loads(server.stdout.readline()) for _ in range(5)]
    assert [line["id"] for line in logged] == ["0", "1", "2", "3", "4"]


@pytest.mark.heavy
def test_a_server_with_an_audit_that_it_may_not_write_does_not_start(shelf: Shelf) -> None:
    shelf.ship("1.0.0", 3.0)
    result = subprocess.run(
        [sys.executable, "-m", "tagship", "serve", "churn", "--port",
         "0", "--audit", str(shelf.root / "audit.jsonl")],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tools"), "TAGSHIP_ROOT": str(shelf.root)},
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: {shelf.root}/audit.jsonl is in the models folder, {shelf.root}\n"
        "hint: give the audit a place elsewhere, such as /var/log/tagship\n"
    )
