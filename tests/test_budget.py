"""The plugin that holds the suite to its budget, in a suite of its own."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.budget import Usage, complaints

ROOT = Path(__file__).parents[1]
SUITE = {
    "conftest.py": """
from pathlib import Path
from tests import budget
def pytest_addoption(parser):
    budget.add_options(parser)
def pytest_configure(config):
    budget.register(config, Path(__file__).with_name("budget.json"))
""",
    "test_many.py": """
import os, subprocess, sys, pytest
from tests import budget
@pytest.fixture(scope="session")
def shared():
    subprocess.run(["true"])
    @budget.shared()
    def build():
        subprocess.run(["true"])
    return build
def test_one(shared):
    shared()
    subprocess.run(["true"])
    subprocess.run([sys.executable, "-c", ""])
def test_two():
    for _ in range(8):
        if os.fork() == 0:
            os._exit(0)
""",
    "test_none.py": "def test_it(): pass\n",
    "test_tool.py": "import pytest\ndef test_it():\n    pytest.skip()\n",
    "test_module.py": "import pytest\npytest.importorskip('nowhere_at_all')\n",
    "pytest.ini": "[pytest]\n",
}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Four files of tests, two of which skip something."""
    folder = tmp_path / "suite"
    folder.mkdir()
    for name, text in SUITE.items():
        (folder / name).write_text(text)
    return folder


def run(folder: Path, *options: str) -> tuple[int, str, list[str]]:
    """A run of pytest in a process of its own: its exit code, what it took, what is over."""
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist.plugin", *options],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    [took] = re.findall(r"^CPU: .*", result.stdout, re.MULTILINE)
    return result.returncode, took, re.findall(r"^over budget: (.*)$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("how", [(), ("-n2", "--dist=loadfile")], ids=["one process", "xdist"])
def test_a_run_says_what_it_took_and_is_held_to_its_record(
    suite: Path, how: tuple[str, ...]
) -> None:
    recorded = {"test_many.py": 4, "test_gone.py": 1, "test_tool.py": 7, "test_module.py": 7}
    (suite / "budget.json").write_text(
        json.dumps({"seconds": 10**6, "units": 10**6, "longest": [], "processes": recorded})
    )
    code, took, over = run(suite, *how)
    assert re.fullmatch(
        r"CPU: \d+\.\d s \(\d+ units of \d+\.\d ms\);"
        r" processes: 12 \(os\.fork 8, true 3, python 1\)",
        took,
    )
    expected = ["test_many.py started 10 processes, 4 are recorded",
            "test_none.py started 0 processes, none are recorded"]  # fmt: skip
    assert (code, over) == (1, expected)


def test_a_run_can_be_recorded_and_is_then_within_its_budget(suite: Path) -> None:
    assert run(suite, "--record-budget")[0::2] == (0, [])
    recorded = json.loads((suite / "budget.json").read_bytes())
    assert recorded["units"] > 0
    assert recorded["processes"] == {"test_none.py": 0, "test_many.py": 10,
                                     "test_tool.py": None, "test_module.py": None}  # fmt: skip
    assert recorded["longest"][0] == "test_many.py"


@pytest.mark.parametrize("selection", [("test_many.py",), ("-k", "one")])
def test_a_selection_of_tests_is_held_to_nothing(suite: Path, selection: tuple[str, ...]) -> None:
    (suite / "budget.json").write_text('{"seconds": 0, "units": 0, "longest": [], "processes": {}}')
    assert run(suite, *selection)[0::2] == (0, [])


@pytest.mark.parametrize("recorded, most", [(0, 5), (8, 13), (100, 115)])
def test_a_tenth_and_a_few_more_are_within_the_budget(recorded: int, most: int) -> None:
    record = {"seconds": 1, "units": 1, "processes": {"a": recorded}}
    assert complaints(Usage(1.0, [1.0], files=Counter(a=most)), record) == []
    assert complaints(Usage(1.0, [1.0], files=Counter(a=most + 1)), record) == [
        f"a started {most + 1} processes, {recorded} are recorded"
    ]


def test_what_was_skipped_when_it_was_recorded_is_not_compared() -> None:
    usage = Usage(1.0, [1.0], files=Counter(a=1, b=2))
    assert complaints(usage, {"seconds": 1, "units": 1, "processes": {"a": None, "b": 2}}) == []
    assert complaints(usage, {"seconds": 1, "units": 1, "processes": {"b": 2}}) == [
        "a started 1 processes, none are recorded"
    ]


def test_a_failed_run_tells_no_more_than_that(suite: Path) -> None:
    (suite / "budget.json").write_text('{"seconds": 0, "units": 0, "longest": [], "processes": {}}')
    (suite / "test_none.py").write_text("def test_it(): assert False\n")
    assert run(suite)[0::2] == (1, [])


@pytest.mark.parametrize(
    ("seconds", "problems"),
    [
        (100.0, []),
        (125.0, []),
        (125.2, ["125 s of CPU time, 1252 units, are over 1.25 times 100 s and 1000 units"]),
    ],
)
def test_cpu_time_may_be_a_quarter_over_the_budget(seconds: float, problems: list[str]) -> None:
    usage = Usage(seconds, [0.05, 0.15], files=Counter(a=1))
    assert complaints(usage, {"seconds": 100, "units": 1000, "processes": {"a": 1}}) == problems
