"""File systems that lack what Linux's own have: links, locks, syncs of folders.

strace makes the calls fail as they do there (``-e inject``); such disks are not at hand.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workbench import Result, Workbench

NEEDS_STRACE = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
pytestmark = NEEDS_STRACE


def without(
    bench: Workbench, calls: str, error: str, command: str, path: Path | None = None
) -> Result:
    """A command on a disk where calls fail so; with ``path``, only those that name it."""
    only = ["-P", str(path)] if path else []
    words = ["strace", "-f", "-qq", "-o", os.devnull, *only, "-e", f"inject={calls}:error={error}"]
    result = subprocess.run(
        [*words, sys.executable, "-m", "tagship", *command.split()],
        cwd=bench.repo, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Result(result.returncode, result.stdout, result.stderr)


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS", "EOPNOTSUPP"])
@pytest.mark.released
def test_without_symbolic_links_nothing_is_fetched_and_nothing_left(
    bench: Workbench, error: str
) -> None:
    """exFAT, CIFS, drives of Windows."""
    for cached in (bench.repo / ".dvc/cache/files/md5").glob("*/*"):
        cached.unlink()
    before, folders = bench.state(), sorted(bench.folder.iterdir())
    assert without(bench, "symlink,symlinkat", error, "deploy churn --yes") == Result(
        1,
        "",
        f"error: the file system of {bench.folder} has no symbolic links\n"
        "hint: put the models on another one: tagship: root: in params.yaml\n",
    )
    assert bench.changes(before) == set()
    assert sorted(bench.folder.iterdir()) == folders
    assert bench.cli("deploy", "churn", "--yes").code == 0


@pytest.mark.parametrize("error", ["ENOLCK", "EOPNOTSUPP"])
def test_without_locks_nothing_is_changed(shipped: Workbench, error: str) -> None:
    """Some servers of NFS."""
    before = shipped.state()
    assert without(shipped, "flock", error, "rollback churn --yes") == Result(
        1,
        "",
        f"error: the file system of {shipped.folder}/.tagship has no file locks (flock)\n"
        "hint: put the models on another one: tagship: root: in params.yaml\n",
    )
    assert shipped.changes(before) == set()
    assert without(shipped, "flock", error, "status churn").code == 0


def test_where_folders_cannot_be_synced_all_works(shipped: Workbench) -> None:
    versions = shipped.folder / "versions"
    result = without(shipped, "fsync", "EINVAL", "rollback churn --yes", shipped.folder)
    assert (result.code, result.err) == (0, "")
    assert shipped.live() == "model 1\n"
    result = without(shipped, "fsync", "EINVAL", "cleanup churn --keep 1 --yes", versions)
    assert (result.code, result.err) == (0, "")
