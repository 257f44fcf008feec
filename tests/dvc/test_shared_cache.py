"""A DVC cache that a group shares: what tagship makes in it, DVC and the others can use."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from tagship.disk import atomic
from tests.accounts import OWNER, READER, Accounts
from tests.workbench import Workbench

GROUP = 4000


def modes(top: Path) -> dict[str, str]:
    """Of folders and files below a folder: mode and group."""
    return {
        ("folder" if path.is_dir() else "file"): (
            f"{stat.S_IMODE(path.stat().st_mode):04o} {path.stat().st_gid}"
        )
        for path in top.rglob("*")
    }


@pytest.fixture
def shared(accounts: Accounts) -> Path:
    """A cache outside of the workspace, empty, of a group."""
    cache = accounts.repo.parent / "cache"
    cache.mkdir()
    os.chown(cache, 0, GROUP)
    cache.chmod(0o2775)
    shutil.rmtree(accounts.repo / ".dvc" / "cache")
    config = accounts.repo / ".dvc" / "config.local"
    config.write_text(f"[cache]\n    dir = {cache}\n    shared = group\n")
    os.chown(config, OWNER, OWNER)
    return cache


def test_a_deploy_by_an_account_of_the_group_writes_nothing_into_it(
    accounts: Accounts, shared: Path
) -> None:
    deploy = "deploy churn@1.0 --yes --force"
    assert accounts.run(OWNER, deploy, umask=0o077, groups=str(GROUP)).code == 0
    assert modes(shared) == {}


def test_another_account_of_the_group_removes_what_is_damaged(
    accounts: Accounts, shared: Path
) -> None:
    accounts.bench.dvc("fetch", "--all-tags")  # a process: libgit2 reads whom to trust once
    files = [path for path in shared.rglob("*") if path.is_file()]
    (stored,) = (path for path in files if path.read_bytes() == b"model 1\n")
    (first,) = accounts.folder.glob("versions/v1.0.0_*")
    atomic.remove_tree(first)
    accounts.give(accounts.repo, READER)  # who has a workspace too
    stored.chmod(0o644)
    stored.write_bytes(b"damaged")
    stored.chmod(0o444)
    assert accounts.run(READER, "deploy churn@1.0 --yes --force", groups=str(GROUP)).code == 0
    assert not stored.exists()


def test_a_local_remote_that_a_group_shares_has_these_modes_too(bench: Workbench) -> None:
    bench.dvc("remote", "modify", "--quiet", "store", "shared", "group")
    bench.commit()
    umask = os.umask(0o077)
    try:
        assert bench.cli("release", "churn").code == 0
    finally:
        os.umask(umask)
    remote = bench.repo.parent / "dvc-remote"
    folders = [path for path in remote.rglob("*") if path.is_dir()]
    assert {f"{stat.S_IMODE(path.stat().st_mode):04o}" for path in folders} == {"2775"}
