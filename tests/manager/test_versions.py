"""A version is text: Python reads ``1.10`` without quotes as the number 1.1."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagship import InvalidName, ModelVersionManager, at, load, notebook, resolve
from tagship.errors import Corrupt, NotFound, Refused
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


@pytest.mark.parametrize("version", [None, b"1.0.0", ("1.0.0",)])
def test_nor_is_what_is_no_text(shipped: Workbench, version: Any) -> None:
    with pytest.raises(InvalidName, match="is not a version") as caught:
        at("churn", version, shipped.repo)
    assert caught.value.hint == 'give it as text: "1.2.0"'


@pytest.mark.parametrize("model", [None, 5, b"churn", Path("churn"), ["churn"]])
@pytest.mark.parametrize("entry", [ModelVersionManager, resolve, load])
def test_what_is_no_text_names_no_model(entry: Any, model: Any) -> None:
    with pytest.raises(InvalidName, match="is not the name of a model") as caught:
        entry(model)
    assert caught.value.hint == 'give it as text: "churn"'


@pytest.mark.parametrize("keep", ["5", 2.5, True, -1])
def test_what_is_no_number_of_versions_removes_none(shipped: Workbench, keep: Any) -> None:
    before = shipped.state()
    with pytest.raises(Refused, match=f"cleanup cannot keep {keep!r} versions"):
        shipped.manager.cleanup_old_versions(keep=keep)
    with pytest.raises(InvalidName, match=f"{keep!r} is not a number of events"):
        shipped.manager.get_deployment_history(limit=keep)
    assert shipped.changes(before) == set()


@pytest.mark.parametrize("path", ["models", "models/churn", "models/churn/versions"])
def test_a_file_where_a_folder_should_be_is_named(shipped: Workbench, path: str) -> None:
    file = shipped.repo / path
    file.rename(shipped.repo / "aside")
    file.write_text("a file")
    asks: list[Callable[[], object]] = [lambda: at("churn", "1.0.0", shipped.repo)]
    if not path.endswith("versions"):
        asks.append(lambda: resolve("churn", shipped.repo))
    for ask in asks:
        with pytest.raises(Corrupt) as caught:
            ask()
        assert caught.value.message == f"{file} is a file where a folder should be"
        assert caught.value.hint == f"mv {file} {file}.old"


def test_a_file_is_no_root(shipped: Workbench) -> None:
    file = shipped.repo / "dvc.yaml"
    with pytest.raises(NotFound, match=f"not a folder: {file}"):
        resolve("churn", root=file)
    wrong: Any = 5
    with pytest.raises(InvalidName, match="5 is not a folder"):
        resolve("churn", root=wrong)
