"""A sample of the machine's stories; ``make crash-test`` tells many more."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from tests import conftest
from tests.machine import world
from tests.machine.machine import with_templates
from tests.machine.model import Model, Place, Tag

SAMPLE = settings(
    max_examples=10, stateful_step_count=25, deadline=None, derandomize=True, database=None,
    phases=[Phase.generate], verbosity=Verbosity.quiet, print_blob=False,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


def test_every_command_does_what_the_contract_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conftest._seal(monkeypatch, tmp_path)
    templates = {
        auto: world.prepare(tmp_path / f"template-{auto}", auto=auto) for auto in (False, True)
    }
    run_state_machine_as_test(with_templates(templates), settings=SAMPLE)


def _released(*versions: str) -> Model:
    model = Model()
    for at, version in enumerate(versions):
        tag = Tag(f"m@v{version}", "version", version, f"c{at}", f"t{version}", at)
        model.tags[tag.name] = tag
    return model


def _place(version: str) -> Place:
    return Place(version, f"v{version}", f"t{version}")


def test_the_model_blocks_what_a_rollback_passes_over() -> None:
    model = _released("1.0.0", "1.1.0", "1.2.0")
    model.deployed(_place("1.2.0"), "latest")
    model.rolled_back(_place("1.0.0"))
    assert (model.desired("latest"), model.status()) == ("1.0.0", 0)
    model.deployed(_place("1.1.0"), "1.1.0")
    assert (model.desired("latest"), model.held) == ("1.1.0", False)


def test_the_model_holds_after_a_deploy_of_another_version() -> None:
    model = _released("1.0.0", "1.1.0")
    model.deployed(_place("1.0.0"), "1.0.0")
    assert (model.held, model.of_deploy("latest").codes, model.status()) == (True, (3,), 3)
    model.deployed(_place("1.1.0"), "1.1.0")
    assert (model.held, model.status()) == (False, 0)
