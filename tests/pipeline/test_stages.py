"""The stages as DVC runs them, in a throw-away copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests import training
from tests.training import Demo

ML = ["ml_prepare", "ml_train", "ml_evaluate"]
DL = ["dl_prepare", "dl_train", "dl_evaluate"]
# Enough to run every line of the stages. Those of dl_model have just run in the demo.
SMALL = {"ml.prepare.window": 6, "ml.train.iterations": 5}


def edit(params: Path, changes: dict[str, Any]) -> None:
    yaml = YAML()
    content = yaml.load(params)
    for dotted, value in changes.items():
        *sections, name = dotted.split(".")
        section = content
        for key in sections:
            section = section[key]
        assert name in section
        section[name] = value
    yaml.dump(content, params)


def run(folder: Path, *command: str) -> str:
    """Run with this interpreter's folder first on PATH, as an activated environment has it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    local = [name for name in os.environ if name.startswith("GIT_")]
    env = {name: value for name, value in os.environ.items() if name not in local}
    env |= {"PATH": path, "HOME": str(folder.parent), "DVC_NO_ANALYTICS": "1"}
    result = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def repro(folder: Path) -> tuple[list[str], list[str]]:
    """The stages that ran, in order; those whose outputs DVC had in its cache, in order."""
    output = run(folder, "dvc", "repro")
    cached = re.findall(r"Stage '(\w+)' is cached - skipping run, checking out outputs", output)
    return re.findall(r"Running stage '(\w+)'", output), cached


@pytest.fixture
def copy(root: Path, tmp_path: Path, demo: Demo) -> Path:
    """A repository with the pipeline's files, as they are in the work tree, and no outputs."""
    folder = tmp_path / "copy"
    shutil.copytree(
        root / "tools" / "pipeline",
        folder / "tools" / "pipeline",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(root / name, folder)
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "init", "--quiet")
    training.set_parameters(folder / "params.yaml", training.QUICKLY)
    demo.share(folder)
    return folder


def test_repro_runs_what_changed_and_nothing_else(copy: Path) -> None:
    edit(copy / "params.yaml", SMALL)
    assert repro(copy) == (ML, DL)
    for ignored in ("model.cbm", "self_test.json"):
        assert f"/{ignored}" in (copy / "models/ml_model/.gitignore").read_text().split()
    for ignored in ("model.keras", "self_test.json"):
        assert f"/{ignored}" in (copy / "models/dl_model/.gitignore").read_text().split()

    assert repro(copy) == ([], [])

    edit(copy / "params.yaml", {"ml.train.depth": 3})
    assert repro(copy) == (["ml_train", "ml_evaluate"], [])
    assert repro(copy) == ([], [])


def test_the_demo_changes_parameters_that_exist_to_other_values(root: Path) -> None:
    params = YAML(typ="safe").load(root / "params.yaml")
    assert list(params["tagship"]["demo"]) == ["ml_model", "dl_model"]
    for changes in params["tagship"]["demo"].values():
        for dotted, value in changes.items():
            today: Any = params
            for key in dotted.split("."):
                today = today[key]
            first, better = value if isinstance(value, list) else (today, value)
            assert first != better
