"""Each invariant of a server has a test that can go red: with a patch that breaks it, it does.

A patch names its invariant and its test in the lines before the change. It is applied to a copy of
the package; one that does not apply any more is a failure.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INVARIANTS = {f"I{number}" for number in range(1, 10)}
SECONDS = 600  # for the tests of one patch


@dataclass(frozen=True)
class Mutation:
    """A patch, and what it must turn red."""

    path: Path
    invariant: str
    test: str

    @classmethod
    def read(cls, path: Path) -> "Mutation":
        match = re.match(r"Invariant: (I\d+)\nTest: (\S+)\nWhat is wrong: .+\n\n", path.read_text())
        assert match is not None, path
        return cls(path, match[1], match[2])


ALL = [Mutation.read(path) for path in sorted((ROOT / "tests" / "mutations").glob("*.patch"))]


def test_each_invariant_has_a_patch_and_each_patch_a_test() -> None:
    assert {mutation.invariant for mutation in ALL} >= INVARIANTS
    for mutation in ALL:
        path, _, name = mutation.test.partition("::")
        assert f"\ndef {name}(" in (ROOT / path).read_text()


def run(root: Path, *tests: str) -> "subprocess.CompletedProcess[str]":
    """Run tests of a copy, with its package and no other."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=root, capture_output=True, text=True, check=False, timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": str(root / "tools"), "TEST_PATIENCE": "15"},
    )  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and of the server's tests."""
    for name in ("tools", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.heavy
def test_without_a_patch_all_of_these_tests_pass(copy: Path) -> None:
    done = run(copy, *dict.fromkeys(mutation.test for mutation in ALL))
    assert done.returncode == 0, done.stdout
    assert str(copy) in run(copy, "--collect-only", "-v", ALL[0].test).stdout


@pytest.mark.heavy
@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: mutation.path.stem)
def test_a_patch_turns_its_test_red(copy: Path, mutation: Mutation) -> None:
    patch = subprocess.run(
        ["git", "apply", str(mutation.path)], cwd=copy, capture_output=True, text=True, check=False,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(copy.parent)},
    )  # fmt: skip
    assert patch.returncode == 0, f"{mutation.path.name} does not apply: {patch.stderr}"
    done = run(copy, mutation.test)
    assert done.returncode == 1, done.stdout  # 1: tests failed; all else is another trouble
    assert f"FAILED {mutation.test}" in done.stdout
