"""A version is text: Python reads ``1.10`` without quotes as the number 1.1."""

from collections.abc import Callable
from typing import Any

import pytest

from tagship import InvalidName, notebook
from tests.workbench import Workbench

cell: Any = notebook.deploy
TAKE_A_VERSION: dict[str, Callable[[Any], object]] = {
    "release": lambda m: m.release(version=1.10),
    "release_plan": lambda m: m.release_plan(version=1.10),
    "release_and_deploy": lambda m: m.release_and_deploy(version=1.10),
    "plan": lambda m: m.plan(1.10),
    "deploy": lambda m: m.deploy(1.10),
    "rollback_plan": lambda m: m.rollback_plan(1.10),
    "rollback_to_version": lambda m: m.rollback_to_version(1.10),
    "show": lambda m: m.show(1.10),
    "export": lambda m: m.export(["mlflow"], 1.10),
    "pin": lambda m: m.pin(1.10),
    "unpin": lambda m: m.unpin(1.10),
    "compare": lambda m: m.compare(1.10, "1.0"),
    "verify": lambda m: m.verify(1.10),
    "self_test": lambda m: m.self_test(1.10),
    "a cell": lambda m: cell("churn", 1.10, confirm=True, start=m.start),
}


@pytest.mark.parametrize("method", TAKE_A_VERSION)
def test_a_number_is_no_version_and_nothing_is_done(shipped: Workbench, method: str) -> None:
    before = shipped.state()
    with pytest.raises(InvalidName) as caught:
        TAKE_A_VERSION[method](shipped.manager)
    assert caught.value.message == "the version 1.1 is a number, not text"
    assert caught.value.hint == 'put it in quotes, as in "1.10", which without quotes is 1.1'
    assert shipped.changes(before) == set()


def test_a_whole_number_is_no_version_either(shipped: Workbench) -> None:
    manager: Any = shipped.manager
    with pytest.raises(InvalidName, match="the version 1 is a number, not text"):
        manager.deploy(1)
