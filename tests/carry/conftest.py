"""Carriers: each is started when a test first asks for it."""

import contextlib
import os
from collections.abc import Callable, Iterator

import pytest

from tagship.carry.carrier import Carrier
from tests import budget
from tests.carry.carriers import APART, KINDS, Kind, Started, Way
from tests.stores.servers import Lacking

Start = Callable[[Kind], Started]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each carrier that can be tried with the options of this run."""
    if "started" in metafunc.fixturenames:
        option = metafunc.config.getoption
        chosen = [kind for kind in KINDS.values() if not kind.option or option(kind.option)]
        case = metafunc.function.__name__.removeprefix("test_")
        chosen = [kind for kind in chosen if (kind.name, case) not in APART]
        if "alone" in metafunc.fixturenames:  # a host follows it
            chosen = [kind for kind in chosen if kind.is_followed]
        metafunc.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in chosen])


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a carrier, once; a test is skipped where there can be none."""
    with contextlib.ExitStack() as stack:
        known: dict[str, Started | Lacking] = {}

        @budget.shared()
        def once(kind: Kind) -> Started:
            if kind.name not in known:
                try:
                    folder = tmp_path_factory.mktemp(kind.name)
                    known[kind.name] = stack.enter_context(kind.start(folder))
                except Lacking as error:
                    known[kind.name] = error
            started = known[kind.name]
            if isinstance(started, Lacking):
                pytest.skip(str(started))
            return started

        yield once


@pytest.fixture
def started(kind: Kind, start: Start) -> Iterator[Started]:
    """The carrier of a test; what it adds to the environment is taken away again."""
    before = dict(os.environ)
    yield start(kind)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def way(started: Started, request: pytest.FixtureRequest) -> Way:
    """The way to a place of the test's own, in which nothing is yet."""
    return started.way(request.node.originalname.replace("_", "-"))


@pytest.fixture
def place(way: Way) -> Carrier:
    """That place, opened."""
    return way.open()
