"""Every hint is tried in the situation in which it is printed, and leads to a better one.

``make hint-test`` tries all; here runs the inventory, and a sample.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.accounts import Accounts
from tests.hints import (
    cases_bundles,
    cases_carry,
    cases_dvc,
    cases_fleet,
    cases_follow,
    cases_gate,
    cases_host,
    cases_places,
    cases_plots,
    cases_registry,
    cases_release,
    cases_rest,
    cases_rollout,
    cases_serving,
    cases_stages,
    cases_surfaces,
    inventory,
    trials,
)  # fmt: skip
from tests.hints.untried import UNTRIED
from tests.workbench import Workbench

# importing them registers their trials
CASES = (
    cases_bundles, cases_carry, cases_dvc, cases_fleet, cases_follow, cases_gate, cases_host,
    cases_places, cases_plots, cases_registry, cases_release, cases_rest, cases_rollout,
    cases_serving, cases_stages, cases_surfaces,
)  # fmt: skip
HINTS = inventory.all_hints()
SAMPLE = {"a_detached_head", "a_number_that_exists"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All trials with ``--all-hints``, else those of the sample."""
    if "name" in metafunc.fixturenames:
        every = metafunc.config.getoption("all_hints")
        metafunc.parametrize("name", [n for n in trials.TRIALS if every or n in SAMPLE])


def test_every_hint_has_a_trial() -> None:
    tried = {name for entry in trials.TRIALS.values() for name in entry.hints}
    assert sorted(HINTS.keys() - tried - UNTRIED.keys()) == []
    assert sorted((tried | UNTRIED.keys()) - HINTS.keys()) == []
    assert sorted(tried & UNTRIED.keys()) == []


def test_a_hint_helps(
    name: str, request: pytest.FixtureRequest, template: Path, copied: Callable[[Path], Workbench]
) -> None:
    entry = trials.TRIALS[name]
    if entry.base == "accounts":
        accounts: Accounts = request.getfixturevalue("accounts")
        return trials.attempt(entry, accounts.bench, HINTS)
    prepared = template if entry.base == "bench" else request.getfixturevalue("shipped_template")
    return trials.attempt(entry, copied(prepared), HINTS)
