"""The suite's budget: a pytest plugin that counts CPU seconds and processes, and can fail a run.

Each run ends with what it took. A run of all tests fails where a file started a tenth and five more
processes than ``budget.json`` says, or where it is over the budget by a quarter both in CPU seconds
and in units of a short loop that is timed at the beginning of each file: machines differ, and the
loop alone was half as fast again in one run as in the next, on one machine.

``pytest --record-budget`` writes ``budget.json``.
"""

import contextlib
import hashlib
import json
import os
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

OVER = 1.25  # of the recorded units
MORE = 1.1  # of the recorded processes: tests that wait for something may ask again
FEW = 5  # processes more in any file: keys that end are asked for again on a slow machine
LONGEST = 30  # files whose order is recorded: so many begin a run
ALL = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.system")
ONCE = ("fc-list", "uname")  # libraries run these when a test first imports them, whichever it is
SELECTING = ("file_or_dir", "keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf",
             "stepwise", "collectonly", "maxfail")  # fmt: skip


@dataclass
class Usage:
    """What one process of pytest, or all of them, took.

    Attributes:
        seconds: of CPU, of its children too.
        loops: CPU seconds of each calibration loop.
        kinds: processes that tests and fixtures started, by the name of their program.
        files: processes by file of tests. What tests share is in no file: see ``shared``.
        times: CPU seconds by file of tests.
        skipped: files in which something was skipped.
    """

    seconds: float = 0.0
    loops: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    times: Counter[str] = field(default_factory=Counter)
    skipped: set[str] = field(default_factory=set)

    def add(self, other: dict[str, Any]) -> None:
        """Add what another process took, as ``plain`` gave it."""
        self.seconds += other["seconds"]
        self.loops += other["loops"]
        self.kinds.update(other["kinds"])
        self.files.update(other["files"])
        self.times.update(other["times"])
        self.skipped.update(other["skipped"])

    def plain(self) -> dict[str, Any]:
        """The same, as xdist can send it."""
        plain: dict[str, Any] = {}
        for name, value in vars(self).items():
            plain[name] = dict(value) if isinstance(value, Counter) else value
        return {**plain, "skipped": sorted(self.skipped)}

    @property
    def unit(self) -> float:
        """CPU seconds of one loop: the median."""
        return statistics.median(self.loops) if self.loops else 0.0

    @property
    def units(self) -> int:
        """The CPU seconds in loops."""
        return round(self.seconds / self.unit) if self.loops else 0

    @property
    def processes(self) -> int:
        """The number of processes started."""
        return sum(self.kinds.values())


_sharing = 0  # how many of ``shared`` this process is in


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Count what is started in here for no file.

    For what is made when a test first asks for it and serves all that come after: each process of
    pytest makes its own, and chance has it which file of tests is the first to ask. Fixtures of the
    session are counted so by themselves, but not a function that such a fixture returns. It
    decorates too.
    """
    global _sharing  # noqa: PLW0603 - a process has one budget, whoever starts something in it
    _sharing += 1
    try:
        yield
    finally:
        _sharing -= 1


def complaints(usage: Usage, recorded: dict[str, Any]) -> list[str]:
    """What is not as it was recorded, a line each."""
    wanted: dict[str, int | None] = recorded["processes"]  # None: skipped when it was recorded
    compared = {file for file in usage.files.keys() | wanted if wanted.get(file, 0) is not None}
    lines = [
        f"{file} started {usage.files[file]} processes, {wanted.get(file, 'none')} are recorded"
        for file in sorted(compared - usage.skipped)
        if file not in wanted or usage.files[file] > MORE * (wanted[file] or 0) + FEW
    ]
    over = usage.units > OVER * recorded["units"]
    if over and usage.seconds > OVER * recorded["seconds"]:
        lines.append(
            f"{usage.seconds:.0f} s of CPU time, {usage.units} units, are over {OVER} times"
            f" {recorded['seconds']:.0f} s and {recorded['units']} units"
        )
    return lines


def calibrate() -> float:
    """CPU seconds of a loop of the kind of work that tests do."""
    began = time.process_time()
    for number in range(1000):
        hashlib.sha256(json.dumps([{"n": n, "of": number} for n in range(20)]).encode()).hexdigest()
    return time.process_time() - began


def program(event: str, arguments: tuple[Any, ...]) -> str:
    """The name of the program that an audit event starts."""
    if event != "subprocess.Popen":
        return event
    words = arguments[1]
    first = words if isinstance(words, (str, bytes)) else next(iter(words), arguments[0])
    name = os.path.basename(os.fsdecode(first))  # noqa: PTH119 - it may be bytes
    return "python" if name.startswith("python") else name


class Budget:
    """The plugin."""

    def __init__(self, config: pytest.Config, record: Path) -> None:
        self.config, self.file_of_record = config, record
        self.worker = hasattr(config, "workerinput")  # of xdist
        self.usage = Usage()
        self.running = False
        self.file = ""
        self.told: list[str] = []
        self.failed = self.crashed = False
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.running or event not in STARTS:
            return
        name = program(event, arguments)
        self.usage.kinds[name] += 1
        if self.file and not _sharing and name not in ONCE:
            self.usage.files[self.file] += 1

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Begin with the files that take the longest: no process shall wait for another's last."""
        ranks = {file: rank for rank, file in enumerate(self._record()["longest"])}
        items.sort(key=lambda item: ranks.get(_file(item.nodeid), len(ranks)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Know which file runs."""
        file = _file(item.nodeid)
        if file not in self.usage.files:
            self.usage.files[file] = 0
            self.usage.loops.append(calibrate())
        self.file, self.running = file, True
        before = _seconds(*ALL)
        try:
            return (yield)
        finally:
            self.running = False
            self.usage.times[file] += _seconds(*ALL) - before  # type: ignore[assignment] # a float

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Count what a fixture of the session starts for no file."""
        with shared() if fixturedef.scope == "session" else contextlib.nullcontext():
            return (yield)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Know which file is skipped as a whole."""
        if report.skipped:
            self.usage.skipped.add(_file(report.nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Know which files were skipped in part, and whether a test failed."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self.usage.skipped.add(_file(report.nodeid))
        self.failed = self.failed or report.failed

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add what a process of xdist took."""
        told = getattr(node, "workeroutput", {}).get("budget")
        if told is None:
            self.crashed = True
        else:
            self.usage.add(told)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand on what was counted; in the last process, compare it."""
        controls = not self.worker and self.config.getoption("dist", "no") != "no"
        self.usage.seconds += _seconds(resource.RUSAGE_SELF) if controls else _seconds(*ALL)
        if self.worker:
            self.config.workeroutput["budget"] = self.usage.plain()  # type: ignore[attr-defined]
            return
        whole = not any(self.config.getoption(name, None) for name in SELECTING)
        if not whole or self.failed or self.crashed or session.exitstatus != pytest.ExitCode.OK:
            return
        if self.config.getoption("record_budget"):
            self.file_of_record.write_text(json.dumps(self._new_record(), indent=1) + "\n")
        self.told = complaints(self.usage, self._record())
        if self.told:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _record(self) -> dict[str, Any]:
        if not self.file_of_record.exists():
            return {"seconds": 0, "units": 0, "longest": [], "processes": {}}
        record: dict[str, Any] = json.loads(self.file_of_record.read_bytes())
        return record

    def _new_record(self) -> dict[str, Any]:
        """What is recorded of this run; where something was skipped, what was recorded before."""
        before = self._record()["processes"]
        of_whole = {f: n for f, n in self.usage.files.items() if f not in self.usage.skipped}
        of_others = {f: before.get(f) for f in self.usage.skipped}
        longest = [file for file, _ in self.usage.times.most_common(LONGEST)]
        processes = dict(sorted((of_whole | of_others).items()))
        took = {"seconds": round(self.usage.seconds), "units": self.usage.units}
        return {**took, "longest": longest, "processes": processes}

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Say what the run took, last of all: who reads only the end sees why it failed."""
        if self.worker:
            return
        usage, terminal = self.usage, config.get_terminal_writer()
        kinds = ", ".join(f"{name} {count}" for name, count in usage.kinds.most_common(6))
        terminal.line(
            f"CPU: {usage.seconds:.1f} s ({usage.units} units of {1000 * usage.unit:.1f} ms);"
            f" processes: {usage.processes} ({kinds})"
        )
        for line in self.told:
            terminal.line(f"over budget: {line}", red=True)


def add_options(parser: pytest.Parser) -> None:
    """``--record-budget``."""
    parser.addoption("--record-budget", action="store_true", help="write tests/budget.json")


def register(config: pytest.Config, record: Path) -> None:
    """Count from now on, and compare with what ``record`` says."""
    config.pluginmanager.register(Budget(config, record), "budget")


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _seconds(*who: int) -> float:
    used = [resource.getrusage(one) for one in who]
    return sum(one.ru_utime + one.ru_stime for one in used)
