"""A server in a thread of the tests; what takes long is run with ``--all-serve`` alone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.serve import asking
from tests.serve.asking import Served
from tests.serve.shelf import Shelf, shelf

__all__ = ["shelf"]


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark."""
    config.addinivalue_line("markers", "heavy: run with --all-serve alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is heavy, unless it is asked for."""
    if config.getoption("all_serve"):
        return
    heavy = [item for item in items if item.get_closest_marker("heavy")]
    items[:] = [item for item in items if item not in heavy]
    if heavy:
        config.hook.pytest_deselected(items=heavy)


@pytest.fixture
def serve(shelf: Shelf) -> Iterator[Callable[..., Served]]:
    """Start a server of the shelf in a thread: with settings, and once what is live is loaded."""
    with ExitStack() as stack:

        def start(**options: Any) -> Served:
            return stack.enter_context(asking.served(shelf, **options))

        yield start
