"""The benchmark of servers: what it says of requests and swaps is what came."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import processes, rows
from benchmarks.rows import Case, Claim, Line, Measure
from benchmarks.serving import asking, cases, peers, swaps
from benchmarks.serving.swaps import Row
from benchmarks.timing import Failed, Run
from benchmarks.workspaces import PYTHON
from tests.serve import faulty, judge, load
from tests.serve.load import Answer


def answer(begin: float, end: float, version: str, generation: int | None = None) -> Answer:
    return Answer(begin, end, 0, 0, 200, version, generation)


@pytest.fixture(params=[True, False], ids=["wrk", "ours"])
def generator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What puts the load on a server: wrk, and where that is missing our own."""
    if not request.param:
        monkeypatch.setattr(asking, "_wrk", lambda: None)
    elif asking.program() != "wrk":
        pytest.skip("wrk is not installed")


@pytest.mark.usefixtures("generator")
def test_all_requests_that_were_answered_are_counted() -> None:
    with faulty.serving() as address:
        plan = load.infer(address, "m", faulty.ROWS, connections=2, seconds=1.0)
        asked = asking.ask(plan)
    assert asked.requests > 50
    assert 0.9 < asked.seconds < 5
    assert 0 < asked.p50 <= asked.p99 < 1


@pytest.mark.usefixtures("generator")
def test_a_server_that_refuses_some_is_not_measured() -> None:
    with faulty.serving(faulty.REFUSES) as address:
        plan = load.infer(address, "m", faulty.ROWS, connections=2, seconds=1.0)
        with pytest.raises(Failed, match=r"\d+ of \d+ requests"):
            asking.ask(plan)


def test_the_memory_of_a_running_process_has_that_of_its_children(tmp_path: Path) -> None:
    ballast = "ballast = b'1' * 100_000_000; print(flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {ballast!r}])"
    with subprocess.Popen(
        [PYTHON, "-S", "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdout
        process.stdout.readline()
        held = processes.memory(process.pid)
        process.communicate(b"\n")
    assert 100_000_000 < held < 200_000_000
    assert processes.memory(process.pid) == 0


def test_memory_that_is_held_is_told_as_that() -> None:
    runs = {name: [Run(0.0, 1, held=50_000_000)] for name in ("ours", "theirs")}
    claim = Claim("ours", "theirs", rows.at_most(1.1), Measure.HELD)
    (line,) = rows.lines(Case("a case", lambda _: runs, (claim,)), 1)
    assert rows.cells(line)[1:6] == (
        "ours: memory held", "theirs", "50.0 MB (50.0 MB..50.0 MB)", "50.0 MB (50.0 MB..50.0 MB)",
        "1.00 x (1.00..1.00)",
    )  # fmt: skip
    assert Line.from_json(line.to_json()) == line


def test_a_row_of_swaps_has_the_faults_and_the_lags() -> None:
    answers = [answer(0, 1.5, "1.0.0", 1), answer(2, 2.1, "1.1.0", 2), answer(3, 3.1, "1.0.0", 1)]
    row = Row("a server", "8, kept", 2, judge.judge(answers, {}), (0.1, 0.3, 0.2))
    assert row.cells() == (
        "a server", "8, kept", "2", "3", "0", "0", "1", "1", "200 ms, 300 ms"
    )  # fmt: skip
    silent = replace(row, names_versions=False, compared=False, lags=())
    assert silent.cells()[5:] == ("not compared", "not told", "1", "-")


def test_a_lag_is_from_the_swap_to_the_first_answer_of_its_version() -> None:
    live = [(0.0, "1.0.0"), (1.0, "1.1.0"), (2.0, "1.0.0")]
    answers = [
        answer(0.5, 0.6, "1.1.0"),  # of an earlier time
        answer(1.1, 1.2, "1.1.0"),
        answer(1.3, 1.4, "1.1.0"),
        answer(1.5, 1.6, "1.0.0"),
        answer(2.05, 2.06, "1.1.0"),
        answer(2.4, 2.5, "1.0.0"),
    ]
    assert swaps._lags(answers, live) == pytest.approx((0.2, 0.5))


def test_the_first_answer_of_each_generation_but_that_of_the_start_counts() -> None:
    answers = [answer(0, 1, "1.0.0", 1), answer(1, 2, "1.0.0", 1)]
    answers += [answer(2, 4, "1.1.0", 2), answer(4, 5, "1.1.0", 2), answer(5, 8, "1.0.0", 3)]
    assert [cases._seconds(each) for each in cases._first(answers)] == [2, 3]


@pytest.mark.parametrize("name", peers.NAMES)
def test_a_peer_that_is_not_installed_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "ROOT", tmp_path)
    words = f"{name} is not installed: python -m benchmarks.serving.peers"
    assert peers.missing(name) in (words, f"{name} needs a Python before 3.13")
    (tmp_path / f"build/peers/{name}/bin").mkdir(parents=True)
    (tmp_path / f"build/peers/{name}/bin/installed").touch()
    assert (peers.missing(name) == "") is (sys.version_info < peers.TOO_NEW.get(name, (4,)))


def test_peers_are_pinned_with_all_that_they_need() -> None:
    for name in peers.NAMES:
        folder = Path(peers.__file__).parent
        asked = (folder / f"{name}.in").read_text().split()
        pins = (folder / f"{name}.txt").read_text().splitlines()
        pinned = {line.partition("==")[0] for line in pins}
        assert {text.partition("<")[0] for text in asked} <= pinned
        assert all("==" in line for line in pins)
        assert peers.version_of(name).count(".") == 2
