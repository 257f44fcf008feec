"""The table of carriers by case, from a run of the conformance suite: ``python -m tests.carry``.

It needs what ``make store-test`` and ``make oci-test`` install. A word of pytest's may follow, such
as ``-k folder``.
"""

import sys
from pathlib import Path

import pytest

from tests.carry import table
from tests.carry.table import Outcomes


class Results:
    """What became of each case at each carrier."""

    def __init__(self) -> None:
        self.outcomes: Outcomes = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """As pytest calls it: after the setup, the call and the teardown of each test."""
        name, _, kind = report.nodeid.rpartition("::test_")[2].rstrip("]").partition("[")
        if kind and (report.when == "call" or not report.passed):
            self.outcomes[name, kind] = report.outcome


def main() -> int:
    """Run the suite at all carriers, and print the table; the exit code."""
    results = Results()
    suite = str(Path(__file__).with_name("test_carriers.py"))
    options = ["-q", "-n", "0", "--all-stores", "--all-oci", *sys.argv[1:]]
    code = pytest.main([suite, *options], [results])
    print("\n".join(table.rows(results.outcomes)))
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
