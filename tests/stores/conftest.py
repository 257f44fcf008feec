"""Stores and their workspaces: each is started and filled when a test first asks for it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import budget
from tests.crash import cases
from tests.stores import network, trials
from tests.stores.places import PLACES, Place
from tests.stores.servers import Lacking
from tests.stores.trials import Shop

Open = Callable[[str], Shop]
REAL = ("seaweedfs", "moto", "azurite", "gcs", "nginx")
HEAVY = (
    "test_round_trip.py", "test_credentials.py", "test_out_of_reach.py", "test_status_objects.py",
)  # fmt: skip


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What needs the servers is collected with ``--all-stores`` alone."""
    return True if collection_path.name in HEAVY and not config.getoption("all_stores") else None


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark."""
    config.addinivalue_line("markers", "at(name, ...): the stores at which a test is tried")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each real store, or those that the test names by ``@pytest.mark.at(NAME, ...)``."""
    if "place" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("at")
        metafunc.parametrize(
            "place",
            [pytest.param(PLACES[name], id=name) for name in (marked.args if marked else REAL)],
        )


@pytest.fixture(scope="session", autouse=True)
def apart(request: pytest.FixtureRequest) -> None:
    """With ``--all-stores``, these tests have a network of their own, if root runs them."""
    if request.config.getoption("all_stores"):
        network.leave()


@pytest.fixture(autouse=True)
def unasked() -> Iterator[None]:
    """No test has anybody ask for the metadata of a cloud."""
    yield
    requests = network.asked.copy()
    network.asked.clear()
    assert requests == []


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The workspace that each store's is a copy of."""
    folder = tmp_path_factory.mktemp("prepared")
    with cases.sealed(tmp_path_factory.mktemp("prepared-home")):
        trials.prepare(folder, large=request.config.getoption("all_stores"))
    return folder


@pytest.fixture(scope="session")
def opened(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """A store, with what was prepared in it; a test is skipped where there can be none."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(cases.sealed(tmp_path_factory.mktemp("stores-home")))
        shops: dict[str, Shop | Lacking] = {}

        @budget.shared()
        def open_(name: str) -> Shop:
            if name not in shops:
                folder = tmp_path_factory.mktemp(name)
                try:
                    shops[name] = stack.enter_context(trials.shop(PLACES[name], prepared, folder))
                except Lacking as error:
                    shops[name] = error
            shop = shops[name]
            if isinstance(shop, Lacking):
                pytest.skip(str(shop))
            return shop

        yield open_


@pytest.fixture
def shop(place: Place, opened: Open) -> Shop:
    """The store of a test, and its workspace."""
    return opened(place.name)
