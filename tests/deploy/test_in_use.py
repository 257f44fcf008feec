"""A version that a program has loaded: no cleanup takes it away, whoever runs it."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tagship import load, resolve
from tagship.disk import shared_lock
from tagship.host.store import Store
from tests.accounts import OWNER, READER, Accounts, as_account
from tests.workbench import Workbench

LOAD = """
import sys
from pathlib import Path
from tagship import load
active = load("churn", sys.argv[1], loader=Path.read_text)
print(active.version, flush=True)
sys.stdin.read()
print(active.model, end="", flush=True)
"""


def rows(bench: Workbench) -> list[list[str]]:
    """Clean up, keeping one version: the directory's version, what becomes of it, and why."""
    result = bench.cli("cleanup", "churn", "--keep", "1", "--yes")
    assert (result.code, result.err) == (0, "")
    lines = [line.split("\t") for line in result.out.splitlines()[1:-1]]
    return [[line[0].partition("_")[0], *line[1:3]] for line in lines]


@contextmanager
def loaded(program: list[str], version: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has loaded what is live: nothing of it is open any more."""
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().decode() == f"{version}\n"
        yield process
        process.communicate()


def deploy_two_more(bench: Workbench) -> None:
    bench.ship("model 3\n")
    bench.ship("model 4\n")


def test_a_cleanup_keeps_what_another_account_has_loaded(accounts: Accounts) -> None:
    """The account that cleans up may not look into the other's process."""
    program = as_account(READER, "", [sys.executable, "-c", LOAD, str(accounts.repo)])
    accounts.home(READER)
    with loaded(program, "1.1.0") as reader:
        for number in (3, 4):
            accounts.bench.release(f"model {number}\n")
        accounts.give(accounts.repo, OWNER)
        for version in ("1.2", "1.3"):
            assert accounts.run(OWNER, f"deploy churn@{version} --yes").code == 0
        cleaned = accounts.run(OWNER, "cleanup churn --keep 1 --yes")
        assert (cleaned.code, cleaned.err) == (0, "")
        said = [line.split("\t")[1:3] for line in cleaned.out.splitlines()[1:-1]]
        assert said == [
            ["removed", "old"],
            ["stays", f"in use by process {reader.pid}"],
            ["stays", "rollback target"],
            ["stays", "live"],
        ]
        refused = accounts.run(OWNER, "undeploy churn --yes --force")
        assert refused.code == 1
        assert f"(process {reader.pid})" in refused.err
        assert f"hint: end what uses it, then try again: ps -fp {reader.pid}\n" in refused.err
        assert accounts.run(READER, "current churn").out == "1.3.0\n"
    cleaned = accounts.run(OWNER, "cleanup churn --keep 1 --yes")
    assert cleaned.out.splitlines()[1].split("\t")[1:3] == ["removed", "old"]


def test_a_model_is_in_use_while_the_object_lives_and_no_longer(shipped: Workbench) -> None:
    active = load("churn", shipped.repo, loader=Path.read_text)
    deploy_two_more(shipped)
    assert rows(shipped)[:2] == [
        ["v1.0.0", "removed", "old"],
        ["v1.1.0", "stays", f"in use by process {os.getpid()}"],
    ]
    assert active.model == "model 2\n"
    active.lock.close()
    assert rows(shipped)[0] == ["v1.1.0", "removed", "old"]
    assert (active.version, active.model) == ("1.1.0", "model 2\n")  # it answers still


def test_who_reads_the_files_uses_them_to_the_end_of_the_block(shipped: Workbench) -> None:
    with resolve("churn", shipped.repo) as live:
        deploy_two_more(shipped)
        assert rows(shipped)[1][:2] == ["v1.1.0", "stays"]
        assert live.path.read_text() == "model 2\n"
    assert not live.lock.held
    assert rows(shipped)[0] == ["v1.1.0", "removed", "old"]


def test_or_while_there_is_the_resolved_version(shipped: Workbench) -> None:
    live = resolve("churn", shipped.repo)
    deploy_two_more(shipped)
    assert rows(shipped)[1][:2] == ["v1.1.0", "stays"]
    assert live.path.read_text() == "model 2\n"
    del live
    assert rows(shipped)[0] == ["v1.1.0", "removed", "old"]


def test_two_that_are_resolved_are_equal_and_what_is_pickled_holds_nothing(
    shipped: Workbench,
) -> None:
    live = resolve("churn", shipped.repo)
    other = pickle.loads(pickle.dumps(live))
    assert live == other == resolve("churn", shipped.repo)
    assert (live.lock.held, other.lock.held) == (True, False)
    assert "lock" not in repr(live)


def test_what_is_loaded_stops_no_deploy_no_rollback_and_no_status(shipped: Workbench) -> None:
    with resolve("churn", shipped.repo):
        shipped.ship("model 3\n")
        assert shipped.manager.rollback_to_version().place.version == "1.1.0"
        assert shipped.manager.rollback_to_version().place.version == "1.0.0"
        assert shipped.cli("status", "churn").code == 0
        assert shipped.cli("deploy", "churn@1.1.0", "--yes").code == 0
        assert shipped.cli("verify", "churn").code == 0


def test_what_is_loaded_between_the_plan_and_the_move_stays(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy_two_more(shipped)
    (first,) = shipped.folder.glob("versions/v1.0.0_*")
    held, discard_all = [], Store.discard_all

    def lock_and_discard(store: Store, names: Iterator[str]) -> object:
        held.append(shared_lock.acquire(first))
        return discard_all(store, names)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "discard_all", lock_and_discard)
        assert [row[:2] for row in rows(shipped)[:2]] == [
            ["v1.0.0", "stays"],
            ["v1.1.0", "removed"],
        ]
    assert [action[::2] for action in shipped.actions()[-2:]] == [
        ("deploy", "1.3.0"),
        ("cleanup", "1.1.0"),
    ]
    assert (first / "model.bin").read_text() == "model 1\n"
    assert list((shipped.folder / ".tagship" / "trash").iterdir()) == []
    held.clear()
    assert rows(shipped)[0] == ["v1.0.0", "removed", "old"]


def test_a_directory_is_kept_from_loaders_while_it_is_moved(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy_two_more(shipped)
    seen, discard = [], Store.discard

    def look_and_discard(store: Store, name: str) -> None:
        seen.append(shared_lock.of(store.path(name)).held)
        discard(store, name)

    monkeypatch.setattr(Store, "discard", look_and_discard)
    assert rows(shipped)[0] == ["v1.0.0", "removed", "old"]
    assert seen == [False, False]


def test_who_resolved_what_is_swept_then_resolves_again(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link was read, then another version went live, and a cleanup ran."""
    acquire, waiting = shared_lock.acquire, [True]

    def acquire_late(folder: Path) -> shared_lock.SharedLock | None:
        if waiting:
            waiting.clear()
            deploy_two_more(shipped)
            shipped.manager.cleanup_old_versions(0)
            assert not folder.exists()
        return acquire(folder)

    monkeypatch.setattr(shared_lock, "acquire", acquire_late)
    live = resolve("churn", shipped.repo)
    assert (live.version, live.path.read_text()) == ("1.3.0", "model 4\n")
    assert live.lock.held


def test_an_undeploy_that_was_killed_leaves_what_is_in_use(shipped: Workbench) -> None:
    with resolve("churn", shipped.repo) as live:
        told = shipped.store.remove([live.directory.name])
        assert [left.why.startswith("in use by process") for left in told] == [True]
        assert live.path.read_text() == "model 2\n"
    assert shipped.store.remove([live.directory.name]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can begin a namespace")
def test_a_cleanup_in_a_container_sees_what_is_loaded_outside_of_it(shipped: Workbench) -> None:
    """It does not see the process: no name of it, and nothing in its /proc."""
    inside = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-m", "tagship"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*inside, *words], cwd=shipped.repo, capture_output=True, text=True, check=False
        )

    with resolve("churn", shipped.repo) as live:
        deploy_two_more(shipped)
        cleaned = run("cleanup", "churn", "--keep", "1", "--yes")
        assert (cleaned.returncode, cleaned.stderr) == (0, "")
        assert cleaned.stdout.splitlines()[2].split("\t")[:3] == [
            live.directory.name, "stays", "in use",
        ]  # fmt: skip
        refused = run("undeploy", "churn", "--yes")
        assert (refused.returncode, refused.stderr) == (
            1,
            f"error: in use: {live.directory.name} (a process)\n"
            "hint: end what uses it, then try again\n",
        )
