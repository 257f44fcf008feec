"""The page has the table of carriers by case as the suite has it."""

from tests.carry import table, test_carriers
from tests.carry.carriers import APART, KINDS
from tests.test_docs import page, section


def test_the_page_has_each_case_and_each_carrier() -> None:
    lines = section(page("carriers.md"), "## Carriers").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| case |"))
    expected = list(table.rows(table.promised()))
    assert lines[start : start + len(expected)] == expected
    assert not "".join(lines[start + len(expected) :]).startswith("|")


def test_what_is_left_out_has_a_case_and_a_carrier() -> None:
    assert all(kind in KINDS and case in test_carriers.CASES for kind, case in APART)
    assert all(len(reason) > 10 for reason in APART.values())
