"""What the tests prepare without a process is what Git and DVC themselves would have made."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tagship.disk.files import stamp
from tests import workbench
from tests.workbench import PATH, Workbench


def _tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of each file and folder, but for what DVC keeps for itself."""
    return {
        path.relative_to(folder).as_posix(): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
        if ".git" not in path.parts and ".dvc/tmp" not in path.as_posix()
    }


def _file(repo: Path) -> None:
    (repo / PATH).unlink()
    (repo / PATH).write_bytes(b"model 2\n")


def _program(repo: Path) -> None:
    (repo / "run").write_text("#!/bin/sh\n")
    (repo / "run").chmod(0o755)


def _empty(repo: Path) -> None:
    (repo / "run").touch()


def _folder(repo: Path) -> None:
    """Names whose order is another one as text than as paths, and not ASCII."""
    for name in ("a/b", "a-b", "a/é", "Z", "sub/deep/b", "run"):
        place = repo / "models/churn/net" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{name.upper()}\n")
    (repo / "models/churn/net/run").chmod(0o755)


@pytest.mark.parametrize(
    ("write", "path"),
    [(_file, PATH), (_program, "run"), (_empty, "run"), (_folder, "models/churn/net")],
)
def test_the_workbench_tracks_as_dvc_add_does(
    bench: Workbench, write: Callable[[Path], None], path: str
) -> None:
    twin = bench.repo.parent / "twin" / "repo"
    shutil.copytree(bench.repo, twin, symlinks=True)
    for repo in (bench.repo, twin):
        write(repo)
    workbench.run(twin, sys.executable, "-m", "dvc", "add", "--quiet", path)
    bench.track(path)
    assert _tree(bench.repo) == _tree(twin)
    bench.dvc("status", "--quiet")  # it exits with 1 where something differs


def test_a_copy_has_all_that_was_shipped_untouched(
    shipped_template: Path, shipped: Workbench
) -> None:
    first, second = _tree(shipped_template / "repo"), _tree(shipped.repo)
    stamped = {name for name in first if name.endswith("metadata.json")}
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == stamped
    assert len(stamped) == 2
    for directory in (shipped.folder / "versions").iterdir():
        assert stamp(directory / "model.bin") in (directory / "metadata.json").read_text()
    assert os.readlink(shipped.current) == os.readlink(
        shipped_template / "repo" / shipped.current.relative_to(shipped.repo)
    )
    assert shipped.live() == "model 2\n"
    assert shipped.git("status", "--porcelain") == ""
    shipped.dvc("status", "--quiet")
    assert shipped.cli("verify", "churn").code == 0
