"""The table of carriers by case, as docs/carriers.md has it."""

from collections.abc import Iterator, Mapping

from tests.carry import test_carriers
from tests.carry.carriers import APART, KINDS

Outcomes = dict[tuple[str, str], str]  # by case and carrier, in pytest's words
CELLS = {"passed": "yes", "failed": "NO", "skipped": "-"}


def promised() -> Outcomes:
    """What a carrier must do: all, but for what it cannot have."""
    return {
        (case, kind): "skipped" if (kind, case) in APART else "passed"
        for case in test_carriers.CASES
        for kind in KINDS
    }


def rows(outcomes: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """The lines of the table."""
    kinds = [name for name in KINDS if any(kind == name for _, kind in outcomes)]
    yield f"| case | {' | '.join(kinds)} |"
    yield f"|---|{'---|' * len(kinds)}"
    for case, words in test_carriers.CASES.items():
        cells = [CELLS[outcomes.get((case, kind), "skipped")] for kind in kinds]
        yield f"| {words} | {' | '.join(cells)} |"
