"""The programs that measure: what they say is what they measured, and nothing of theirs is left."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    carrying,
    fetching,
    figures,
    following,
    growth,
    images,
    machine,
    pictures,
    processes,
    proxy,
    rows,
    suite,
    tables,
    timeline,
    timing,
    workspaces,
)
from benchmarks.figures import Spread
from benchmarks.proxy import Pace
from benchmarks.rows import Case, Claim, Line, Measure
from benchmarks.suite import Site
from benchmarks.timeline import Moment
from benchmarks.timing import Failed, Run, Side
from benchmarks.workspaces import DVC, GTO, PYTHON, TAGSHIP, Version
from tagship.host import journal
from tests.stores import servers

ROOT = Path(__file__).parents[1]


def test_a_spread_is_the_median_the_least_and_the_most() -> None:
    assert figures.spread([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)
    assert figures.spread([4.0, 2.0]) == Spread(3.0, 2.0, 4.0)


def test_a_ratio_is_that_of_neighbours() -> None:
    # the machine grew ten times as slow: of neighbours the ratio is 2 all the same
    assert figures.ratio([2.0, 20.0, 6.0], [1.0, 10.0, 2.0]) == Spread(2.0, 2.0, 3.0)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_an_exponent_is_the_power_that_something_grows_with(power: int) -> None:
    points = [(x, 7.0 * x**power) for x in (1, 10, 100, 1000)]
    assert figures.exponent(points) == pytest.approx(power, abs=1e-9)


def test_an_exponent_is_that_of_the_upper_half() -> None:
    # what is paid once hides the growth in the lower half
    points = [(1.0, 5.0), (10.0, 5.0), (100.0, 5.0), (1000.0, 50.0), (10_000.0, 500.0)]
    assert figures.exponent(points) == pytest.approx(1.0)


@pytest.mark.parametrize("points", [[], [(5.0, 1.0)], [(1.0, 1.0), (1.0, 2.0)]])
def test_one_place_has_no_exponent(points: list[tuple[float, float]]) -> None:
    assert figures.exponent(points) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00031, "0.31 ms"), (0.0621, "62.1 ms"), (0.999, "999 ms"), (1.318, "1.32 s")],
)
def test_seconds_are_told_with_three_digits(seconds: float, text: str) -> None:
    assert figures.seconds(seconds) == text


def test_bytes_are_told_in_powers_of_ten() -> None:
    sizes = [figures.size(count) for count in (999, 1000, 71_900_000, 2_000_000_000)]
    assert sizes == ["999 B", "1.00 kB", "71.9 MB", "2.00 GB"]


def _line(claim: Claim, ours: list[float], theirs: list[float]) -> Line:
    runs = {
        name: [Run(seconds, int(seconds)) for seconds in values]
        for name, values in (("ours", ours), ("theirs", theirs))
    }
    (line,) = rows.lines(Case("a case", lambda _: runs, (claim,)), 1)
    return line


@pytest.mark.parametrize(
    ("target", "ours", "value", "result"),
    [
        (rows.at_most(2.0), 2.0, "2.00 x (2.00..2.00)", "met"),
        (rows.at_most(2.0), 2.1, "2.10 x (2.10..2.10)", "missed"),
        (rows.faster(60), 0.01, "100 x faster (100..100)", "met"),
        (rows.faster(60), 0.02, "50.0 x faster (50.0..50.0)", "missed"),
        (rows.seconds_more(0.3), 1.25, "+0.25 s (+0.25..+0.25)", "met"),
        (rows.seconds_more(0.3), 1.35, "+0.35 s (+0.35..+0.35)", "missed"),
        (None, 0.5, "0.50 x (0.50..0.50)", ""),
    ],
)
def test_a_row_tells_whether_its_target_is_met(
    target: rows.Target | None, ours: float, value: str, result: str
) -> None:
    line = _line(Claim("ours", "theirs", target), [ours], [1.0])
    assert rows.cells(line)[5:] == (value, target.words if target else "-", result)
    assert Line.from_json(json.loads(json.dumps(line.to_json()))) == line


def test_memory_is_held_against_memory() -> None:
    line = _line(Claim("ours", "theirs", rows.below(), Measure.MEMORY), [50e6], [100e6])
    assert rows.cells(line) == (
        "a case", "ours: peak memory", "theirs", "50.0 MB (50.0 MB..50.0 MB)",
        "100 MB (100 MB..100 MB)", "0.50 x (0.50..0.50)", "below it", "met",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("measure", "text"),
    [(Measure.CPU, "50.0 ms (50.0 ms..50.0 ms)"), (Measure.WRITTEN, "20 B (20 B..20 B)")],
)
def test_cpu_and_bytes_written_are_told_as_what_they_are(measure: Measure, text: str) -> None:
    runs = {name: [Run(1.0, 2, cpu=0.05, written=20)] for name in ("ours", "theirs")}
    claim = Claim("ours", "theirs", rows.at_most(1.05), measure)
    (line,) = rows.lines(Case("a case", lambda _: runs, (claim,)), 1)
    assert rows.cells(line)[1:4] == (f"ours: {measure}", "theirs", text)
    assert rows.cells(line)[5:] == ("1.00 x (1.00..1.00)", "at most 1.05 x", "met")


def test_a_row_that_cannot_be_measured_tells_why() -> None:
    claim = Claim("ours", "theirs", rows.at_most(2.0), skipped="no S3 server")
    (line,) = rows.lines(Case("a case", lambda _: {}, (claim,)), 1)
    assert rows.cells(line) == (
        "a case", "ours", "theirs", "-", "-", "-", "at most 2.0 x", "skipped: no S3 server",
    )  # fmt: skip
    assert Line.from_json(json.loads(json.dumps(line.to_json()))) == line


def test_sides_are_run_in_turn_and_what_prepares_them_is_not_on_the_clock(tmp_path: Path) -> None:
    order: list[str] = []
    sides = [
        Side(name, (("true",),), tmp_path, lambda name=name: order.append(name), warm=False)  # type: ignore[misc] # the default binds the loop's variable
        for name in ("a", "b")
    ]
    measured = timing.in_turn(sides, 3)
    assert order == ["a", "b"] * 3
    assert {name: len(runs) for name, runs in measured.items()} == {"a": 3, "b": 3}


def test_a_run_is_all_of_its_commands_and_its_largest_process(tmp_path: Path) -> None:
    child = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = b\"1\" * 100_000_000'])"
    )
    sleep = (PYTHON, "-S", "-c", "import time; time.sleep(0.2)")
    measured = timing.run(Side("two", (sleep, sleep, (PYTHON, "-c", child)), tmp_path))
    assert measured.seconds > 0.4
    assert measured.peak > 100_000_000


def test_a_run_counts_the_cpu_and_the_bytes_to_disk_of_all_of_its_processes(tmp_path: Path) -> None:
    write = "import os; file = open('bytes', 'wb'); file.write(bytes(5_000_000)); file.close()"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {write!r}])"
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    before = time.time()
    commands = ((PYTHON, "-c", child), (PYTHON, "-S", "-c", busy))
    measured = timing.run(Side("two", commands, tmp_path))
    assert 5_000_000 <= measured.written < 5_500_000
    assert 0.2 < measured.cpu < 0.2 + measured.seconds * 2
    assert before < measured.begun < time.time() - measured.seconds


def test_the_cpu_of_a_running_process_has_that_of_its_children(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {busy!r}])"
    with subprocess.Popen(
        [PYTHON, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdout
        process.stdout.readline()
        seconds = processes.cpu(process.pid)
        process.communicate(b"\n")
    assert 0.2 < seconds < 5.0


def test_a_small_command_is_not_charged_with_what_the_benchmark_needs(tmp_path: Path) -> None:
    ballast = b"1" * 150_000_000
    assert timing.run(Side("true", (("true",),), tmp_path)).peak < 50_000_000
    assert ballast


def test_a_command_that_fails_ends_the_measuring_with_its_own_words(tmp_path: Path) -> None:
    command = (PYTHON, "-c", "import sys; sys.exit('no such thing')")
    with pytest.raises(Failed, match="broken: no such thing"):
        timing.run(Side("broken", (("true",), command, ("true",)), tmp_path))


def test_gto_and_tagship_read_the_tags_that_are_made(tmp_path: Path) -> None:
    with workspaces.sealed(tmp_path / "seal"):
        workspace = workspaces.tagged(tmp_path / "made", models=2, versions=3)
        shown = json.loads(timing.tell(workspace.repo, GTO, "show", "--json"))
        listed = json.loads(timing.tell(workspace.repo, TAGSHIP, "list", workspace.model, "--json"))
        workspace.train()
        timing.tell(workspace.repo, TAGSHIP, "release", workspace.model)
        workspace.take_back()
        with pytest.raises(Failed, match="no tag was made"):
            workspace.take_back()
        left = timing.tell(workspace.repo, "git", "tag").split()
        assert timing.tell(workspace.repo, "git", "status", "--short") == ""
    assert {name: row["version"] for name, row in shown.items()} == {
        "model-0": "v1.2.0", "model-1": "v1.2.0"
    }  # fmt: skip
    assert [(row["version"], row["size"], row["metrics"]) for row in listed] == [
        (f"1.{n}.0", len(f"model-0 {n}\n"), {"accuracy": 0.5 + n / 1000}) for n in range(3)
    ]
    assert left == [f"model-{i}@v1.{n}.0" for i in range(2) for n in range(3)]


def test_a_trained_model_is_deployed_from_the_cache(tmp_path: Path) -> None:
    with workspaces.sealed(tmp_path / "seal"):
        workspace = workspaces.trained(tmp_path / "made", {"m": [Version(1000, files=3)]})
        workspace.deploy("m")
        assert workspace.live("m") == "1.0.0"
        assert not (workspace.repo / workspace.path("m")).exists()
    files = list((workspace.repo / "models" / "m" / "current" / "data").rglob("*.bin"))
    assert [path.stat().st_size for path in files] == [1000] * 3
    assert len({path.read_bytes() for path in files}) == 3


def test_the_file_system_of_a_folder_is_told() -> None:
    assert machine.file_system(Path("/proc")) == "proc"


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tools")},
    )


def test_a_workspace_begins_as_dvc_init_leaves_one(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run([DVC, "init", "--quiet"], cwd=tmp_path, check=True)
    begun = workspaces._begin(tmp_path / "begun")
    for name in (".dvc/config", ".dvc/.gitignore"):
        assert (begun / name).read_bytes() == (tmp_path / name).read_bytes()
    assert {path.name for path in (tmp_path / ".dvc").iterdir()} == {"config", ".gitignore", "tmp"}
    assert (begun / ".dvcignore").exists()


def test_a_run_prints_a_table_and_writes_the_same_and_leaves_nothing(tmp_path: Path) -> None:
    work, output = tmp_path / "work", tmp_path / "bench.json"
    result = bench(
        tmp_path, "--quick", "--only", "start-up", "--runs", "1", "--folder", str(work),
        "--output", str(output),
    )  # fmt: skip
    value = json.loads(output.read_bytes())
    assert "QUICK: small sizes" in result.stdout
    lines = [Line.from_json(line) for line in value["lines"]]
    assert tables.plain(tables.bench(lines)) in result.stdout
    assert [line.ours for line in lines][:2] == ["tagship current", "tagship --help"]
    assert all(line.our_runs[0] > 0.001 for line in lines)
    assert value["machine"]["versions"]["Git"] in result.stdout
    assert (value["quick"], value["runs"]) == (True, 1)
    assert list(work.iterdir()) == []


def grown() -> dict[str, Any]:
    points = [
        {"x": x, "seconds": vars(Spread(x / 100, 0.1, 9.0)), "peak": vars(Spread(5e7, 4e7, 6e7))}
        for x in (10, 100, 1000)
    ]
    series = [
        {"name": name, "kind": kind, "points": points, "exponents": {"seconds": 1.0, "peak": -0.0}}
        for name, kind in (("tagship list", growth.OURS), ("git for-each-ref", growth.LIMIT))
    ]
    return {"axis": "tags", "title": "tags", "series": series}


def test_growth_is_told_at_both_ends_of_its_range() -> None:
    _, lines = tables.growth({"axes": [grown()]})
    assert lines[0] == (
        "tags", "10", "1,000", "tagship list", "100 ms .. 10.0 s", "1.00",
        "50.0 MB .. 50.0 MB", "0.00",
    )  # fmt: skip


def test_growth_is_drawn_with_both_axes_logarithmic(tmp_path: Path) -> None:
    path = pictures.draw(grown(), tmp_path / "images")
    text = path.read_text(encoding="utf-8")
    assert path.name == "growth-tags.svg"
    assert all(
        name in text for name in ("tagship list", "git for-each-ref", "100ms", "peak memory")
    )
    panels = pictures.spec(grown())["hconcat"]
    kinds = {panel["encoding"][axis]["scale"]["type"] for panel in panels for axis in "xy"}
    assert kinds == {"log"}


def test_growth_is_measured_along_its_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(folder: Path, place: int) -> Any:
        assert folder.is_dir()
        return Curves([growth.Curve(growth.OURS, Side("nap", (("sleep", f"0.{place}"),), folder))])

    monkeypatch.setitem(growth.AXES, "naps", growth.Axis("naps", (), (1, 4), build))
    messages: list[str] = []
    axis = growth.measure("naps", tmp_path, 1, quick=True, say=messages.append)
    (series,) = axis["series"]
    assert [point["x"] for point in series["points"]] == [1, 4]
    assert [point["seconds"]["median"] >= point["x"] / 10 for point in series["points"]] == [
        True
    ] * 2
    assert messages == ["naps: 1", "naps: 4"]
    assert list(tmp_path.glob("naps*")) == []


class Curves:
    """A context manager that gives what it was made with."""

    def __init__(self, curves: list[growth.Curve]) -> None:
        self.curves = curves

    def __enter__(self) -> list[growth.Curve]:
        return self.curves

    def __exit__(self, *_: object) -> None:
        pass


def test_tables_are_told_in_markdown() -> None:
    text = tables.markdown((("a", "b"), [("1", "x|y")]))
    assert text == "| a | b |\n| --- | --- |\n| 1 | x/y |"


@pytest.mark.parametrize("count", [0, 1, 300])
def test_a_long_history_is_as_long_as_it_is_said_to_be(tmp_path: Path, count: int) -> None:
    for _ in range(2):  # a second one replaces the first
        path = workspaces.write_history(tmp_path, "m", workspaces.events("m", count))
        assert [event.seq for event in journal.read(path)] == list(range(1, count + 1))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[int]:
    """A server with a file of 50 kB; its port."""
    (tmp_path / "file").write_bytes(bytes(50_000))

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield served.server_port
        served.shutdown()
        thread.join()


def fetched(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/file") as answer:
        data: bytes = answer.read()
    return data


def test_a_proxy_passes_all_on_and_notes_it(server: int) -> None:
    asked: list[str] = []
    with proxy.before(server, asked=asked.append) as (port, passed):
        assert fetched(port) == bytes(50_000)
        assert fetched(port) == bytes(50_000)
    assert asked == ["GET /file HTTP/1.1"] * 2
    assert [line for _, line in passed.requests] == asked
    assert len(passed.connections) == 2
    end = time.monotonic() + 10  # it notes what it passed once it has passed it
    while sum(count for _, count in passed.answers) <= 100_000:
        assert time.monotonic() < end
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))


def test_a_slow_proxy_takes_its_time_on_each_connection(server: int) -> None:
    with proxy.before(server, Pace(rate=200_000, delay=0.1)) as (port, passed):
        begun = time.monotonic()
        fetched(port)
        took = time.monotonic() - begun
    # 50 kB, but for the last block; the connection and the request
    assert took > 0.24 + 2 * 0.1
    assert max(count for _, count in passed.answers) <= 2000


def test_a_store_that_is_not_there_skips_its_rows_and_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    site = Site(tmp_path, suite.QUICK)
    for name, build in (fetching.CASES | carrying.CASES).items():
        with build(site) as case:
            lines = rows.lines(case, 1)
        assert {line.row for line in lines} == {name}
        assert {line.skipped for line in lines} == {
            "no S3 server: pip install --editable '.[store-test]'"
        }


def test_a_registry_that_is_not_there_skips_its_row_and_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with images.verify(Site(tmp_path, suite.QUICK)) as case:
        (line,) = rows.lines(case, 1)
    assert (line.row, line.skipped) == (
        "verify-image",
        "no docker-registry and no skopeo: apt install it",
    )


def test_an_image_is_written_beside_the_bytes_alone(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site", suite.QUICK)
    with workspaces.sealed(tmp_path / "site"), images.export(site) as case:
        time_, memory = rows.lines(case, 1)
    assert time_.ours.startswith("export --format oci")
    assert memory.measure is Measure.MEMORY


def test_a_git_server_that_is_not_there_skips_its_rows_and_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(name: str) -> str:
        raise servers.Lacking(f"{name} is not installed")

    monkeypatch.setattr(servers, "program", nowhere)
    for name, build in following.CASES.items():
        with build(Site(tmp_path, suite.QUICK)) as case:
            lines = rows.lines(case, 1)
        assert {(line.row, line.skipped) for line in lines} == {(name, "nginx is not installed")}


def test_a_git_server_counts_its_bytes_and_the_cpu_of_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why := following.missing():
        pytest.skip(why)
    for name in ("root", "server"):
        (tmp_path / name).mkdir()
    timing.tell(tmp_path, "git", "init", "--quiet", "--bare", "root/empty.git")
    with following.served(tmp_path / "root", tmp_path / "server") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        before, own = server.cpu(), sum(map(processes.cpu, server.programs))
        assert server.sent() == 0
        timing.tell(tmp_path, "git", "ls-remote", f"{server.address}/empty.git")
        sent, cpu = server.sent(), server.cpu()
        with pytest.raises(Failed):
            timing.tell(tmp_path, "git", "ls-remote", f"{server.address}/absent.git")
        assert server.sent() > sent > 100
    noted = [float(line) for line in (tmp_path / "server" / following.NOTES).read_text().split()]
    assert noted[0] > 0.0005
    assert cpu - before >= noted[0]
    assert before == pytest.approx(own, abs=0.01)


def test_each_version_was_in_a_stage_once(tmp_path: Path) -> None:
    with workspaces.sealed(tmp_path / "seal"):
        workspace = workspaces.tagged(tmp_path / "made", 2, 3, stages=2)
        tags = timing.tell(workspace.repo, "git", "tag", "--list", "model-1#*").split()
        held = json.loads(timing.tell(workspace.repo, TAGSHIP, "list", "model-1", "--json"))
    assert tags == ["model-1#prod#1", "model-1#prod#2"]
    assert [row["stages"] for row in held] == [[], ["prod"], []]


def test_a_revision_that_a_clone_lacks_has_no_sources(tmp_path: Path) -> None:
    with pytest.raises(Failed):
        workspaces.sources_of("0" * 40, tmp_path)


def test_files_can_have_sizes_between_two(tmp_path: Path) -> None:
    version = Version(4000, 5, 40_000)
    assert [version.size_of(number) for number in range(5)] == [4000, 13000, 22000, 31000, 40000]
    assert Version(1000, 3).size_of(2) == 1000


def test_a_time_line_is_in_the_order_of_what_happened() -> None:
    run = Run(2.0, 0, cpu=1.5, begun=100.0)
    moments = [Moment(101.5, "it is live"), Moment(100.25, "it asks")]
    text = timeline.drawn("a deploy", run, moments, [(100.5, 1000), (101.0, 2000)])
    bar = [" "] * timeline.WIDTH
    bar[15], bar[30] = "▄", "█"
    assert text.splitlines() == [
        "a deploy: 2.00 s, CPU 1.50 s",
        " 0.00 ms  the process starts",
        "  250 ms  it asks",
        "  1.50 s  it is live",
        "  2.00 s  the process ends",
        f"|{''.join(bar)}| at most 60.0 kB/s arrive",
    ]
