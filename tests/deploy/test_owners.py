"""After ``sudo tagship``: what root owns since then, and the one command that gives it back."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tagship.disk import atomic
from tests.accounts import OWNER, READER, Accounts
from tests.workbench import Result

# What became root's, from the model's folder; what the account may not do to it, and to which
# path; and what the hint gives back.
OWNED = {
    "the lock": (".tagship/lock", "change", ".tagship/lock", "."),
    "staging": (".tagship/staging", "write to", ".tagship/staging", "."),
    "what tagship keeps": (".tagship", "write to", ".tagship", "."),
    "the versions": ("versions", "write to", "versions", "."),
    "the model's folder": (".", "write to", ".", "."),
}


def roots(path: Path) -> None:
    """Root owns a tree."""
    for inner in [path, *path.rglob("*")]:
        os.chown(inner, 0, 0, follow_symlinks=False)


def fix(accounts: Accounts, result: Result) -> str:
    """The command of the hint, which is run as root; what it changes."""
    hint = result.err.splitlines()[-1].removeprefix("hint: ")
    prefix = f"sudo chown -R {OWNER} "
    assert hint.startswith(prefix), result
    subprocess.run(hint.removeprefix("sudo ").split(), check=True)
    return os.path.relpath(hint.removeprefix(prefix), accounts.folder)


@pytest.mark.parametrize("case", OWNED)
def test_after_one_deploy_by_root_one_command_helps(accounts: Accounts, case: str) -> None:
    name, way, denied, given = OWNED[case]
    roots(accounts.folder / name)
    place = accounts.folder / denied
    result = accounts.run(OWNER, "deploy churn@1.0 --yes")
    mode = place.stat().st_mode & 0o777
    assert (result.code, result.err.splitlines()[0]) == (
        1,
        f"error: {OWNER} may not {way} {place}, which belongs to root (mode {mode:04o})",
    )
    assert accounts.run(OWNER, "status").code == 0  # it is in order all the same
    assert fix(accounts, result) == given
    assert accounts.run(OWNER, "deploy churn@1.0 --yes").code == 0
    assert accounts.bench.live() == "model 1\n"


def test_a_history_that_only_root_can_read_is_given_back(accounts: Accounts) -> None:
    history = accounts.folder / "deployment_history.json"
    os.chown(history, 0, 0)
    history.chmod(0o600)
    result = accounts.run(OWNER, "deploy churn@1.0 --yes")
    assert (result.code, result.err.splitlines()[0]) == (
        1,
        f"error: {OWNER} may not read {history}, which belongs to root (mode 0600)",
    )
    assert fix(accounts, result) == history.name
    assert accounts.run(OWNER, "deploy churn@1.0 --yes").code == 0


def test_a_deploy_by_root_says_whose_folder_it_is_and_how_to_give_it_back(
    accounts: Accounts,
) -> None:
    note = f"note: root works in a folder of {OWNER}, who may not change what root made: "
    result = accounts.run(0, "deploy churn@1.0 --yes")
    assert (result.code, result.err.splitlines()[0][: len(note)]) == (0, note)
    give = result.err.splitlines()[0].removeprefix(note)
    assert give == f"sudo chown -R {OWNER} {accounts.repo}"
    subprocess.run(give.removeprefix("sudo ").split(), check=True)
    assert accounts.run(OWNER, "deploy churn@1.1.0 --yes").err == ""


@pytest.mark.parametrize("name", ["current", "deployment_history.json"])
def test_what_is_replaced_whole_may_be_roots(accounts: Accounts, name: str) -> None:
    os.chown(accounts.folder / name, 0, 0, follow_symlinks=False)
    assert accounts.run(OWNER, "deploy churn@1.0 --yes").code == 0
    assert (accounts.folder / name).lstat().st_uid == OWNER


@pytest.mark.parametrize("name", ["objects", "refs/tags"])
def test_after_a_release_by_root_the_git_folder_is_given_back(
    accounts: Accounts, name: str
) -> None:
    accounts.bench.train("model 3\n")
    accounts.give(accounts.repo, OWNER)
    roots(accounts.repo / ".git" / name)
    result = accounts.run(OWNER, "release churn --force --bump minor")
    assert result.code == 1
    assert fix(accounts, result) == "../../.git"
    assert accounts.run(OWNER, "release churn --force").code == 0


def test_a_cache_that_root_made_stops_no_deploy(accounts: Accounts) -> None:
    """Nothing is written into it, and what is damaged there stays."""
    cache = accounts.repo / ".dvc" / "cache"
    for stored in cache.glob("files/md5/*/*"):
        stored.chmod(0o644)
        stored.write_bytes(b"damaged")
    roots(cache)
    for directory in accounts.folder.glob("versions/v1.0.0_*"):
        atomic.remove_tree(directory)
    result = accounts.run(OWNER, "deploy churn@1.0 --yes --force")
    assert (result.code, result.err) == (0, "")
    assert all(stored.read_bytes() == b"damaged" for stored in cache.glob("files/md5/*/*"))


WRITES: dict[str, Callable[[Accounts], Path]] = {
    "deploy churn@1.0 --yes": lambda accounts: accounts.folder,
    "rollback churn --yes": lambda accounts: accounts.folder,
    "cleanup churn --keep 1 --yes": lambda accounts: accounts.folder,
    "undeploy churn --yes": lambda accounts: accounts.folder,
    "pin churn@1.0": lambda accounts: accounts.folder,
    "release churn --force": lambda accounts: accounts.repo / ".dvc/tmp",
}


@pytest.mark.parametrize("command", [*WRITES, "hold churn", "resume churn"])
def test_in_a_workspace_of_root_who_only_reads_is_sent_to_root(
    accounts: Accounts, command: str
) -> None:
    roots(accounts.repo.parent)
    accounts.home(READER)
    folder = WRITES[command](accounts) if command in WRITES else accounts.folder
    assert accounts.run(READER, command).err == (
        f"error: {READER} may not write to {folder}, which belongs to root (mode 0755)\n"
        "hint: run the command as the account that owns it: sudo -u root tagship ...\n"
    )


def test_what_root_made_in_a_workspace_is_given_back_to_whose_it_is(accounts: Accounts) -> None:
    roots(accounts.folder)
    accounts.home(READER)
    result = accounts.run(READER, "rollback churn --yes")
    assert (result.code, fix(accounts, result)) == (1, ".")


@pytest.mark.parametrize("command", WRITES)
def test_an_account_that_only_reads_is_told_whose_it_is(accounts: Accounts, command: str) -> None:
    before = accounts.bench.state()
    accounts.home(READER)
    folder = WRITES[command](accounts)
    assert accounts.run(READER, command) == Result(
        1,
        "",
        f"error: {READER} may not write to {folder}, which belongs to {OWNER} (mode 0755)\n"
        f"hint: run the command as the account that owns it: sudo -u '#{OWNER}' tagship ...\n",
    )
    site = f"home-{READER}/site/"  # where DVC keeps a database for each account
    changed = {path for path in accounts.bench.changes(before) if not path.startswith(site)}
    assert changed == {f"home-{READER}/.gitconfig"}
