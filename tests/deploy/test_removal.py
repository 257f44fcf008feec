"""Versions that cannot be removed, or must not be: each is told, and stops no other."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from tagship.deploy import mounts
from tests.accounts import OWNER, READER, Accounts
from tests.workbench import Result, Workbench

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this to a disk")


def names(bench: Workbench) -> list[str]:
    """The versions on disk."""
    return sorted(path.name[1:6] for path in (bench.folder / "versions").iterdir())


def directory(bench: Workbench, version: str) -> Path:
    (path,) = (bench.folder / "versions").glob(f"v{version}_*")
    return path


def gone(bench: Workbench) -> list[str | None]:
    """The versions that the history calls cleaned up."""
    return [version for action, _, version in bench.actions() if action == "cleanup"]


@pytest.fixture
def five(shipped: Workbench) -> Workbench:
    """1.0.0 to 1.4.0 are on disk; --keep 1 lets the first three go."""
    for number in (3, 4, 5):
        shipped.ship(f"model {number}\n")
    return shipped


@pytest.fixture
def owned(five: Workbench, accounts: Accounts) -> Accounts:
    """The same, of an account."""
    return accounts


# --- another account's, and flags


def root_owns_it(path: Path) -> None:
    """What ``sudo tagship deploy`` leaves."""
    for inner in [path, *path.iterdir()]:
        os.chown(inner, 0, 0)


def root_owns_a_folder_of_it(path: Path) -> None:
    (path / "net").mkdir()


def it_is_immutable(path: Path) -> None:
    _chattr("+i", path)


def its_file_is_immutable(path: Path) -> None:
    _chattr("+i", path / "model.bin")


def _chattr(flag: str, path: Path) -> None:
    done = subprocess.run(["chattr", flag, str(path)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this file system has no chattr")


OBSTACLES: dict[Callable[[Path], None], tuple[str, str]] = {
    root_owns_it: ("it belongs to root", "sudo chown -R {owner} {path}"),
    root_owns_a_folder_of_it: ("net belongs to root", "sudo chown -R {owner} {path}/net"),
    it_is_immutable: ("it is immutable (chattr +i)", "sudo chattr -R -ia {path}"),
    its_file_is_immutable: ("model.bin is immutable (chattr +i)", "sudo chattr -R -ia {path}"),
}


@pytest.mark.parametrize("spoil", OBSTACLES, ids=lambda spoil: spoil.__name__)
def test_what_cannot_be_removed_stays_whole_and_stops_no_other(
    owned: Accounts, spoil: Callable[[Path], None]
) -> None:
    bench, path = owned.bench, directory(owned.bench, "1.0.0")
    why, fix = (text.format(owner=OWNER, path=path) for text in OBSTACLES[spoil])
    spoil(path)
    before = sorted(inner.name for inner in path.iterdir())
    told = f"error: {path} cannot be removed: {why}\nhint: {fix}\n"
    for removed in (["1.1.0", "1.2.0"], []):  # each cleanup tries again
        result = owned.run(OWNER, "cleanup churn --keep 1 --yes")
        assert (result.code, result.err) == (1, told)
        rows = [line.split("\t")[:3] for line in result.out.splitlines()[1:-1]]
        assert [path.name, "stays", "cannot be removed"] in rows
        assert sum(row[1] == "removed" for row in rows) == len(removed)
        assert gone(bench) == ["1.1.0", "1.2.0"]
    assert names(bench) == ["1.0.0", "1.3.0", "1.4.0"]
    assert sorted(inner.name for inner in path.iterdir()) == before
    subprocess.run(fix.removeprefix("sudo ").split(), check=True)
    assert owned.run(OWNER, "cleanup churn --keep 1 --yes").code == 0
    assert (names(bench), gone(bench)) == (["1.3.0", "1.4.0"], ["1.1.0", "1.2.0", "1.0.0"])


def test_a_deploy_that_cleans_up_warns_of_what_stays(owned: Accounts) -> None:
    path = directory(owned.bench, "1.0.0")
    root_owns_it(path)
    (owned.repo / "params.yaml").write_text("tagship: {auto_cleanup: true, keep: 1}\n")
    result = owned.run(OWNER, "deploy churn@1.3 --yes")
    assert result == Result(
        0,
        result.out,
        f"note: {path} cannot be removed: it belongs to root (sudo chown -R {OWNER} {path})\n",
    )
    assert names(owned.bench) == ["1.0.0", "1.3.0", "1.4.0"]


def test_in_a_sticky_folder_the_versions_of_another_account_stay(owned: Accounts) -> None:
    folder, path = owned.folder / "versions", directory(owned.bench, "1.0.0")
    os.chown(folder, READER, READER)
    folder.chmod(0o1777)
    os.chown(path, 0, 0)
    result = owned.run(OWNER, "cleanup churn --keep 1 --yes")
    assert (result.code, names(owned.bench)) == (1, ["1.0.0", "1.3.0", "1.4.0"])
    assert result.err.startswith(f"error: {path} cannot be removed: it belongs to root\n")


def test_what_a_killed_run_of_root_left_blocks_no_deploy(owned: Accounts) -> None:
    """sudo tagship cleanup, killed: its trash is root's, and every command swept it first."""
    left = owned.folder / ".tagship" / "trash" / "v0.9.0_20261101_000000"
    left.mkdir()
    (left / "model.bin").write_bytes(b"old")
    mine = left.with_name("v0.8.0_20261101_000000")
    mine.mkdir()
    owned.give(mine, OWNER)
    note = f"note: {left} cannot be removed: it belongs to root (sudo chown -R {OWNER} {left})\n"
    result = owned.run(OWNER, "deploy churn@1.3 --yes")
    assert (result.code, result.err) == (0, f"note: removed leftover files: {mine.name}\n{note}")
    assert owned.run(OWNER, "pin churn@1.3").err == note  # until it is removed
    assert (left.exists(), mine.exists()) == (True, False)
    reasons = [event.reason for event in owned.bench.manager.get_deployment_history()]
    assert [reason for reason in reasons if reason] == [f"removed leftover files: {mine.name}"]
    owned.give(left, OWNER)
    assert owned.run(OWNER, "cleanup churn --keep 9 --yes").code == 0
    assert not left.exists()


# --- mounts


@contextmanager
def bound(source: Path, target: Path) -> Iterator[None]:
    """A folder that is seen at another path too."""
    target.mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", str(source), str(target)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)


@NEEDS_ROOT
def test_a_version_that_is_mounted_elsewhere_stays_until_it_is_not(five: Workbench) -> None:
    first, second = directory(five, "1.0.0"), directory(five, "1.1.0")
    outside = five.repo.parent / "a container"
    with bound(first, outside), bound(second, second):
        result = five.cli("cleanup", "churn", "--keep", "1", "--yes")
        rows = [line.split("\t")[:3] for line in result.out.splitlines()[1:-1]]
        assert (result.code, result.err) == (0, "")
        assert rows[:3] == [
            [first.name, "stays", f"mounted at {outside}"],
            [second.name, "stays", f"mounted at {second}"],
            [rows[2][0], "removed", "old"],
        ]
        five.refuses(
            "undeploy churn --yes",
            f"in use: {second.name} (mounted at {second})",
            f"end what uses it, or umount {second}; then try again",
        )
    assert five.cli("cleanup", "churn", "--keep", "1", "--yes").code == 0
    assert names(five) == ["1.3.0", "1.4.0"]


@NEEDS_ROOT
def test_a_version_that_a_container_has_mounted_stays(five: Workbench) -> None:
    """A mount in a namespace of its own: this process does not see it."""
    first, target = directory(five, "1.0.0"), five.repo.parent / "inside"
    target.mkdir()
    script = 'mount --bind "$0" "$1" && echo mounted && read -r _'
    command = ["unshare", "--mount", "sh", "-c", script, str(first), str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as container:
        assert container.stdout is not None
        assert container.stdout.readline() == b"mounted\n"
        result = five.cli("cleanup", "churn", "--keep", "1", "--yes")
        container.communicate(b"\n")
    where = f"mounted at {target} of process {container.pid}"
    assert result.out.splitlines()[1].split("\t")[:3] == [first.name, "stays", where]
    assert names(five) == ["1.0.0", "1.3.0", "1.4.0"]


def test_what_is_mounted_is_found_by_device_and_folder() -> None:
    own = mounts.parse(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw\n"
        "3 1 8:2 /models/churn/versions/v1 /mnt/a\\040b rw - ext4 /dev/sda2 rw\n"
        "4 1 8:1 /models/churn/versions/v2 /mnt/c rw - ext4 /dev/sda1 rw\n"
        "5 1 8:2 /models/churn /mnt/d rw - ext4 /dev/sda2 rw\n"
        "6 2 0:9 / /srv/models/churn/versions/v3/data rw - tmpfs tmpfs rw\n"
    )
    other = mounts.parse("9 1 8:2 /models/churn/versions/v4/net /m rw - ext4 /dev/sda2 rw\n", "7")
    versions = PurePosixPath("/srv/models/churn/versions")
    assert mounts.of_versions(versions, own, other) == {
        "v1": "/mnt/a b",
        "v3": "/srv/models/churn/versions/v3/data",
        "v4": "/m of process 7",
    }
    assert mounts.of_versions(versions, [], other) == {}


# --- an overlay, as under a container


@NEEDS_ROOT
def test_versions_of_a_lower_layer_are_cleaned_up(five: Workbench) -> None:
    """rename(2) of a folder of a lower layer fails with EXDEV."""
    top = five.repo.parent
    script = (
        'mkdir "$0/over" && mount -t tmpfs tmpfs "$0/over" && cd "$0/over" || exit 1\n'
        "mkdir up work all\n"
        'mount -t overlay overlay -o lowerdir="$0/repo",upperdir=up,workdir=work,redirect_dir=off'
        " all || exit 77\n"
        'cd all && "$1" -m tagship cleanup churn --keep 1 --yes && ls models/churn/versions &&\n'
        'ls -A models/churn/.tagship/trash && "$1" -m tagship status churn && '
        '"$1" -m tagship undeploy churn --yes && ls -A models/churn'
    )
    command = ["unshare", "--mount", "sh", "-c", script, str(top), sys.executable]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 77:
        pytest.skip(f"no overlay here: {result.stderr}")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[6].startswith("3 of 5 directories removed")
    assert lines[7:9] == [directory(five, "1.3.0").name, directory(five, "1.4.0").name]
    assert lines[9] == "churn: in order, live 1.4.0, latest 1.4.0"
    assert lines[-1] == "model.bin.dvc"
    assert names(five) == ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"]  # the layer is untouched
