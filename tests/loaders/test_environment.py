"""The process of the smoke test: its environment, its folder, and what it leaves behind."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tagship import loaders
from tagship.errors import SelfTestFailed
from tagship.loaders import selftest
from tests.disk.test_program import gone

LOADER = """
import gc, json, os, signal, subprocess, sys
from pathlib import Path

class Told:
    framework, suffixes, safe, requirement = "told", (".told",), True, "told"

    def load(self, path):
        what = path.read_text()
        told = path.with_suffix(".json")
        if what == "leaves a child":
            child = subprocess.Popen(["sleep", "1000"])
            told.write_text(str(child.pid))
        elif what == "crashes":
            print("the last words", file=sys.stderr, flush=True)
            print("chatter", flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        else:
            seen = {"env": dict(os.environ), "cwd": os.getcwd(), "every": gc.get_threshold()[0]}
            told.write_text(json.dumps(seen))
        return path

    def describe(self, model): return {}
    def predict(self, model, inputs): return inputs
    def accepts(self, model): return False
    def save(self, model, path): ...
"""
Told = Callable[[str], Path]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """Run the smoke test of a model that does what its file says; the file that it writes."""
    info = tmp_path / "site" / "told-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: told\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tagship.loaders]\ntold = told_loader:Told\n")
    (tmp_path / "site" / "told_loader.py").write_text(LOADER)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "site", prepend=os.pathsep)  # from where the user is
    loaders.known.cache_clear()

    def run(what: str) -> Path:
        Path("model.told").write_text(what)
        selftest.run(Path("model.told"), None, 60)
        return tmp_path / "model.json"

    yield run
    loaders.known.cache_clear()


def test_a_model_is_loaded_without_credentials_and_elsewhere(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GIT_SSH_COMMAND", "GITHUB_TOKEN", "https_proxy"):
        monkeypatch.setenv(name, "secret")
    for name in ("OMP_NUM_THREADS", "TAGSHIP_TOLD"):
        monkeypatch.setenv(name, "1")
    seen = json.loads(told("tells").read_text())
    assert seen["cwd"] == "/"
    assert "secret" not in seen["env"].values()
    assert [seen["env"][name] for name in ("OMP_NUM_THREADS", "TAGSHIP_TOLD")] == ["1", "1"]


def test_what_a_framework_imports_is_not_looked_through_for_garbage(told: Told) -> None:
    assert json.loads(told("tells").read_text())["every"] == selftest.MANY


def test_a_process_that_a_model_leaves_behind_is_ended_and_not_waited_for(told: Told) -> None:
    began = time.monotonic()
    assert gone(told("leaves a child"))
    assert time.monotonic() - began < 30


def test_a_model_that_crashes_is_told_by_its_last_error(told: Told) -> None:
    with pytest.raises(SelfTestFailed) as caught:
        told("crashes")
    assert caught.value.message == "loading model.told ended its process: the last words"
