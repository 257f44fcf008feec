"""A deploy from a store that answers badly: refused with words, or right; never anything else.

``make store-test`` tries the whole table at the real stores; here runs a sample.
"""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.stores import answers, trials
from tests.stores.answers import Row
from tests.stores.conftest import Open
from tests.stores.places import PLACES
from tests.stores.trials import Outcome

SAMPLE = {
    "files": ("wrong bytes", "endless", "too short, as told", "404",
              "redirected by HTTP without a password"),
    "moto": ("wrong bytes", "too long, as told", "403", "500, once",
             "cut in the middle, once"),
}  # fmt: skip
Outcomes = dict[tuple[str, str], "Future[Outcome]"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The whole table with ``--all-stores``, else the sample."""
    if "row" not in metafunc.fixturenames:
        return
    every = metafunc.config.getoption("all_stores")
    metafunc.parametrize(
        ("name", "row"),
        [
            pytest.param(name, row, id=f"{name}: {row.name}")
            for name in PLACES
            for row in rows(name, every=every)
        ],
    )


def rows(name: str, *, every: bool) -> list[Row]:
    """The answers that are tried at a store."""
    of_kind = [row for row in answers.TABLE if PLACES[name].scheme in row.kinds]
    if every and name not in SAMPLE:
        return of_kind
    return [row for row in of_kind if row.name in SAMPLE.get(name, ())]


@pytest.fixture(scope="session")
def outcomes(opened: Open, request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """What came of each answer; those of one store are tried at the same time."""
    tried: Outcomes = {}

    class Lazy(dict[tuple[str, str], "Future[Outcome]"]):
        def __missing__(self, key: tuple[str, str]) -> "Future[Outcome]":
            name = key[0]
            every = request.config.getoption("all_stores")
            futures = opened(name).attempts(rows(name, every=every))
            self.update({(name, row): future for row, future in futures.items()})
            return self[key]

    tried = Lazy()
    yield tried
    for future in tried.values():
        future.cancel()


def test_a_bad_answer(name: str, row: Row, outcomes: Outcomes) -> None:
    assert trials.complaints(row, outcomes[name, row.name].result()) == []
