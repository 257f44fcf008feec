"""Every hint is tried in the situation in which it is printed, and leads to a better one.

``make hint-test`` tries all; here runs the inventory, and a sample.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hints import inventory, trials
from tests.hints import cases_dvc, cases_registry, cases_release, cases_surfaces
from tests.hints.untried import UNTRIED
from tests.workbench import Workbench

CASES = (cases_dvc, cases_registry, cases_release, cases_surfaces)  # importing them registers their trials
HINTS = inventory.all_hints()
SAMPLE = {"a_detached_head", "a_number_that_exists"}
ALL = bool(os.environ.get("TAGSHIP_ALL_HINTS"))


def test_every_hint_has_a_trial() -> None:
    tried = {name for entry in trials.TRIALS.values() for name in entry.hints}
    assert sorted(HINTS.keys() - tried - UNTRIED.keys()) == []
    assert sorted((tried | UNTRIED.keys()) - HINTS.keys()) == []
    assert sorted(tried & UNTRIED.keys()) == []


@pytest.mark.parametrize("name", [n for n in trials.TRIALS if ALL or n in SAMPLE])
def test_a_hint_helps(
    name: str, request: pytest.FixtureRequest, template: Path, copied: Callable[[Path], Workbench]
) -> None:
    entry = trials.TRIALS[name]
    prepared = template if entry.base == "bench" else request.getfixturevalue("shipped_template")
    trials.attempt(entry, copied(prepared), HINTS)
