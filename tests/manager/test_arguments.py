"""What a program gives that no command line could: told, and nothing is done."""

from collections.abc import Callable
from typing import Any

import pytest

from tagship import InvalidName, ModelVersionManager, notebook
from tests.workbench import Workbench

Manager: Any = ModelVersionManager
cell: Any = notebook.deploy
WRONG: list[tuple[Callable[[Any], object], str, str]] = [
    (lambda m: m.deploy(1.1), "version is 1.1, and no text or Ref", 'give text: "1.1"'),
    (lambda m: m.plan(2), "version is 2, and no text or Ref", 'give text: "2"'),
    (lambda m: m.release(version=1.0), "version is 1.0, and no text", 'give text: "1.0"'),
    (lambda m: m.release(bump=2), "bump is 2, and no text", 'give text: "2"'),
    (lambda m: m.release(push="yes"), "push is 'yes', and no True or False", "give True or False"),
    (lambda m: m.deploy(reason=5), "reason is 5, and no text", 'give text: "5"'),
    (lambda m: m.deploy_model(message=["a"]), "message is ['a'], and no text", "give text"),
    (lambda m: m.rollback_to_version(1.0), "version is 1.0, and no text", 'give text: "1.0"'),
    (lambda m: m.pin(None), "version is None, and no text or Ref", "give text or Ref"),
    (lambda m: m.cleanup_old_versions("3"), "keep is '3', and no whole number",
     "give whole number"),
    (lambda m: m.cleanup_old_versions(True), "keep is True, and no whole number",
     "give whole number"),
    (lambda m: m.deploy(wait="3"), "wait is '3', and no number", "give number"),
    (lambda m: m.export("mlflow"), "formats is 'mlflow', and no list", 'give a list: ["mlflow"]'),
    (lambda m: m.export(["mlflow"], target=5), "target is 5, and no Path or text",
     'give text: "5"'),
    (lambda m: m.get_deployment_history(since=5), "since is 5, and no datetime or text",
     'give text: "5"'),
    (lambda m: m.live_at(2026), "moment is 2026, and no datetime or text", 'give text: "2026"'),
    (lambda m: m.compare(1.0, 1.1), "before is 1.0, and no text", 'give text: "1.0"'),
    (lambda m: m.verify(1.0), "version is 1.0, and no text", 'give text: "1.0"'),
    (lambda m: Manager(None, m.start), "model is None, and no text", "give text"),
    (lambda m: Manager("churn", 5), "start is 5, and no Path or text", 'give text: "5"'),
    (lambda m: cell("churn", 1.1, start=m.start), "version is 1.1, and no text",
     'give text: "1.1"'),
    (lambda m: cell(None, start=m.start), "model is None, and no text", "give text"),
    (lambda m: cell("churn", reason=5, confirm=True, start=m.start),
     "reason is 5, and no text", 'give text: "5"'),
    (lambda m: cell("churn", confirm="True", start=m.start),
     "confirm is 'True', and no True or False", "give True or False"),
]  # fmt: skip


def test_a_value_of_another_type_is_told_and_nothing_is_done(bench: Workbench) -> None:
    manager, before = bench.manager, bench.state()
    for call, what, hint in WRONG:
        with pytest.raises(InvalidName) as caught:
            call(manager)
        assert (caught.value.message, caught.value.hint) == (what, hint)
    assert bench.changes(before) == set()


def test_what_the_annotations_take_is_taken(shipped: Workbench) -> None:
    manager = Manager("churn", str(shipped.repo))
    assert [one.version for one in manager.list_versions()] == ["1.0.0", "1.1.0"]
    manager.cleanup_old_versions(keep=1, dry_run=True, wait=0)
    manager.export(iter(["cyclonedx"]), target=None)
    manager.get_deployment_history(3, since="2026-01-01", actions=("deploy",))
    assert Manager.deploy.__doc__
    with pytest.raises(TypeError, match="unexpected keyword"):
        manager.deploy("1.0", forced=True)


def test_numpys_numbers_are_numbers(shipped: Workbench) -> None:
    numpy = pytest.importorskip("numpy")
    shipped.manager.cleanup_old_versions(numpy.int64(2), dry_run=True, wait=numpy.float32(0))
