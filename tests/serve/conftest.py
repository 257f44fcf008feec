"""A server in a thread of the tests; what takes long is run if it is asked for alone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.serve import asking
from tests.serve.asking import Served
from tests.serve.shelf import Shelf, shelf

__all__ = ["shelf"]
OPTIONS = {"heavy": "--all-serve", "engine": "--engines"}  # by mark


def pytest_configure(config: pytest.Config) -> None:
    """Name the marks."""
    for mark, option in OPTIONS.items():
        config.addinivalue_line("markers", f"{mark}: run with {option} alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for."""
    marks = [mark for mark, option in OPTIONS.items() if not config.getoption(option)]
    left_out = [item for item in items if any(map(item.get_closest_marker, marks))]
    items[:] = [item for item in items if item not in left_out]
    if left_out:
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def serve(shelf: Shelf) -> Iterator[Callable[..., Served]]:
    """Start a server of the shelf in a thread: with settings, and once what is live is loaded."""
    with ExitStack() as stack:

        def start(**options: Any) -> Served:
            return stack.enter_context(asking.served(shelf, **options))

        yield start
