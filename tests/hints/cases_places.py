"""Trials of the hints for accounts, disks and remotes that do not do what is asked of them."""
# mypy: disable-error-code="func-returns-value"
# a lambda that does two things is a pair of what they return

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tagship import ModelVersionManager
from tagship.disk import atomic
from tagship.dvc import patience
from tagship.git import remotes
from tagship.git.bounded import Limit
from tagship.progress import WAITING, Advance
from tests.accounts import OWNER, READER
from tests.hints.cases_dvc import empty_cache
from tests.hints.cases_host import versions
from tests.hints.cases_registry import configure
from tests.hints.trials import Said, trial, write
from tests.workbench import Result, Workbench

CLEANUP = "cleanup churn --keep 1 --yes"


def give(top: Path, uid: int) -> None:
    for path in [top, *top.rglob("*")]:
        os.chown(path, uid, uid, follow_symlinks=False)


# --- accounts


@trial(
    "disk.access._as_owner",
    command="deploy churn@1.0 --yes",
    base="accounts",
    account=READER,
    does="sudo ...",
    fill={"...": "deploy churn@1.0 --yes"},
    again="status churn",
    then="in order",
)
def a_deploy_by_who_only_reads(_: Workbench) -> None: ...


@trial(
    "disk.access._as_owner",
    command="status churn",
    base="accounts",
    account=READER,
    does="sudo ...",
    fill={"...": "verify churn"},
    again="",
)
def a_status_by_who_may_not_read(bench: Workbench) -> None:
    versions(bench).chmod(0o700)


@trial(
    "disk.access._as_owner/2",
    command="status churn",
    base="accounts",
    account=READER,
    does="namei -l ...",
    again="",
)
def a_folder_of_root_that_nobody_else_may_read(bench: Workbench) -> None:
    give(bench.folder.parent, 0)
    versions(bench).chmod(0o700)


@trial(
    "disk.access._give_back/3",
    command="rollback churn --yes",
    base="accounts",
    account=READER,
    does="sudo ...",
    fill={"...": "rollback churn --yes"},
    again="status churn",
    then="in order",
)
def a_rollback_in_a_workspace_of_root(bench: Workbench) -> None:
    give(bench.repo.parent, 0)


@trial(
    "disk.access._chown",
    command="deploy churn@1.0 --yes",
    base="accounts",
    account=OWNER,
)
def a_lock_of_root(bench: Workbench) -> None:
    give(bench.folder / ".tagship", 0)


def empty_here(bench: Workbench) -> None:
    """Bytes of 1.0.0 are in the remote alone, which is another account's, in files of its own."""
    shutil.rmtree(bench.repo / ".dvc/cache/files")
    atomic.remove_tree(next(bench.folder.glob("versions/v1.0.0_*")))
    remote = bench.repo.parent / "dvc-remote"
    give(remote, READER)
    for path in remote.rglob("*"):
        path.chmod(0o750 if path.is_dir() else 0o440)


@trial(
    "disk.access._to_group/2", command="deploy churn@1.0.0 --yes", base="accounts", account=OWNER
)
def a_remote_of_who_trains(bench: Workbench) -> None:
    empty_here(bench)
    os.chown(bench.repo.parent / "dvc-remote", READER, OWNER)


@trial(
    "disk.access._to_group",
    command="deploy churn@1.0.0 --yes",
    base="accounts",
    account=OWNER,
    does="namei -l ...",
    again="",
)
def a_remote_of_who_trains_and_of_no_group(bench: Workbench) -> None:
    empty_here(bench)


@trial("disk.access._to_share", command="status churn", base="accounts", account=READER, then="")
def a_tag_that_its_owner_fetched_under_umask_077(bench: Workbench) -> None:
    for path in (bench.repo / ".git").rglob("*"):
        os.chown(path, OWNER, READER)
    (bench.repo / ".git" / "refs" / "tags" / "churn@v1.1.0").chmod(0o600)


@trial("disk.access._chown", command="deploy churn@1.0 --yes", base="accounts", account=OWNER)
def a_folder_of_models_of_root(bench: Workbench) -> None:
    atomic.remove_tree(bench.folder)
    give(bench.folder.parent, 0)


@trial("disk.access._chown", command=CLEANUP, base="accounts", account=OWNER)
def a_version_of_root(bench: Workbench) -> None:
    bench.ship("model 3\n")
    give(bench.folder, OWNER)
    give(oldest(bench), 0)


@trial("disk.access._give_back/2", command="deploy churn@1.0 --yes", base="accounts", account=OWNER)
def a_folder_that_its_owner_may_not_write_to(bench: Workbench) -> None:
    (bench.folder / ".tagship").chmod(0o555)


@trial("disk.access._clear", command=CLEANUP, base="accounts", account=OWNER)
def a_version_that_is_immutable(bench: Workbench) -> None:
    bench.ship("model 3\n")
    give(bench.folder, OWNER)
    command = ["chattr", "+i", str(oldest(bench) / "model.bin")]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this file system has no chattr")


@trial(
    "deploy.undeploy.undeploy",
    command="undeploy churn --yes",
    base="accounts",
    account=OWNER,
    does="sudo chown ...;",
    again="undeploy churn --yes",
    loses="live",
)
def a_version_of_root_to_undeploy(bench: Workbench) -> None:
    give(oldest(bench), 0)


@trial("host.store.Store.locked", command="deploy churn --yes")
def a_file_where_a_folder_of_the_model_belongs(bench: Workbench) -> None:
    bench.release()
    write(bench, "models/churn/versions", "x\n")


def oldest(bench: Workbench) -> Path:
    return min(versions(bench).iterdir())


# --- a home that is another account's


def at_home(bench: Workbench, name: str) -> None:
    """Where HOME alone says where the configuration is."""
    for variable in ("XDG_CONFIG_HOME", "DVC_GLOBAL_CONFIG_DIR"):
        bench.monkeypatch.delenv(variable, raising=False)
    bench.monkeypatch.setenv("HOME", str(bench.repo.parent / name))


@trial(
    "dvc.config.of_home",
    command="release churn",
    does="set HOME to this account's own",
    by=lambda b: (b.monkeypatch.delenv("DVC_GLOBAL_CONFIG_DIR"), at_home(b, "mine")),
)
def a_configuration_of_dvc_that_may_not_be_read(bench: Workbench) -> None:
    at_home(bench, "theirs")
    (bench.repo.parent / "theirs/.config/dvc/config").mkdir(parents=True)


@trial(
    "signing.policy._values",
    command="deploy churn --yes",
    does="set HOME to this account's own",
    by=lambda b: at_home(b, "mine"),
)
def a_policy_that_may_not_be_read(bench: Workbench) -> None:
    bench.release()
    at_home(bench, "theirs")
    (bench.repo.parent / "theirs/.config/tagship/host.toml").mkdir(parents=True)


@trial(
    "signing.policy._path",
    command="deploy churn --yes",
    does="write the whole path",
    by=lambda b: configure(b, f'allowed_signers = "{b.repo.parent}/home/keys"\n'),
)
def a_policy_that_names_a_home_that_is_none(bench: Workbench) -> None:
    bench.release()
    configure(bench, 'allowed_signers = "~nobody-of-that-name/keys"\n')


@trial(
    "dvc.repo._repo/2",
    command="release churn",
    does="export DVC_SITE_CACHE_DIR=FOLDER",
    fill={"FOLDER": "../mine"},
    by=lambda b: b.monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(b.repo.parent / "mine")),
)
def a_folder_of_dvc_that_cannot_be_written(bench: Workbench) -> None:
    bench.monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(bench.repo / "README/dvc"))


ODD = "../m\udcf6del"  # a byte that is no UTF-8


@trial(
    "dvc.repo._repo",
    command="release churn",
    folder=ODD,
    does="rename it",
    by=lambda b: Path(os.path.normpath(b.repo / ODD)).rename(b.repo.parent / "model"),
    again=lambda b: ModelVersionManager("churn", b.repo.parent / "model").release(),
)
def a_folder_whose_name_is_no_text(bench: Workbench) -> None:
    shutil.copytree(bench.repo, os.path.normpath(bench.repo / ODD))


# --- disks that lack what Linux's own have; strace makes the calls fail as they do there


def without(calls: str, error: str) -> Callable[[Workbench], Said]:
    """A deploy where the model's folder is on such a disk."""

    def deploy(bench: Workbench) -> Said:
        if shutil.which("strace") is None:
            pytest.skip("strace is not installed")
        inject = ["-e", f"inject={calls}:error={error}"]
        program = [sys.executable, "-m", "tagship", "deploy", "churn", "--yes"]
        ended = subprocess.run(
            ["strace", "-f", "-qq", "-o", os.devnull, *inject, *program],
            cwd=bench.repo, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Said.of(Result(ended.returncode, ended.stdout, ended.stderr), apart=True)

    return deploy


ELSEWHERE = "tagship: root: in params.yaml"


@trial(
    "host.store.Store._make_folders",
    command=without("symlink,symlinkat", "EPERM"),
    does=ELSEWHERE,
    by=lambda b: write(b, "params.yaml", "tagship: {root: elsewhere}\n"),
    again="deploy churn --yes",
)
@trial(
    "disk.lock._acquire",
    command=without("flock", "ENOLCK"),
    does=ELSEWHERE,
    by=lambda b: write(b, "params.yaml", "tagship: {root: elsewhere}\n"),
    again="deploy churn --yes",
)
def a_disk_that_lacks_something(bench: Workbench) -> None:
    bench.release()


@trial(
    "deploy.undeploy._check_unused",
    command="undeploy churn --yes",
    base="shipped",
    does="nsenter ...;",
    loses="live",
)
def a_version_that_a_container_has_mounted(bench: Workbench) -> None:
    if os.geteuid() != 0 or shutil.which("nsenter") is None:
        pytest.skip("only root can do this to a disk")
    target = bench.repo.parent / "in side"
    target.mkdir()
    script = 'mount --bind "$0" "$1" && echo mounted && read -r _'  # until this process ends
    container = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script, str(bench.current.resolve()), str(target)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert container.stdout is not None
    assert container.stdout.readline() == b"mounted\n"
    CONTAINERS.append(container)


CONTAINERS: list["subprocess.Popen[bytes]"] = []


# --- remotes


def silent() -> str:
    """The host and port of a server that accepts, and never answers."""
    server = socket.create_server(("127.0.0.1", 0))
    SERVERS.append(server)
    return f"127.0.0.1:{server.getsockname()[1]}"


SERVERS: list[socket.socket] = []


def hang_up() -> None:
    """End the servers, and the threads that wait for them."""
    while SERVERS:
        SERVERS.pop().close()
    for thread in threading.enumerate():
        if thread.name == WAITING:
            thread.join()


@trial(
    "git.bounded.act",
    command="release churn --push",
    does="git remote get-url origin",
    again=lambda b: (
        b.git("remote", "set-url", "origin", "../origin.git"),
        b.manager.release(push=True),
    ),
)
def a_git_remote_that_is_silent(bench: Workbench) -> None:
    bench.git("remote", "set-url", "origin", f"http://{silent()}/models.git")
    for name in ("LOOK", "ANSWER"):
        bench.monkeypatch.setattr(remotes, name, Limit(silence=0.4, total=0.4))


@trial("release.remotes.push", command="release churn --push", again="")
def a_push_that_falls_silent(bench: Workbench) -> None:
    hook = bench.repo.parent / "origin.git/hooks/pre-receive"
    hook.write_text("#!/bin/sh\n[ -e been ] || { touch been; exec sleep 600; }\n")
    hook.chmod(0o755)
    bench.monkeypatch.setattr(remotes, "PUSH", Limit(silence=1))


def of_dvc(bench: Workbench, url: str) -> None:
    bench.dvc("remote", "modify", "--quiet", "store", "url", url)
    bench.commit()


def back(bench: Workbench) -> None:
    """The remote's address is the right one again."""
    hang_up()
    place = str(bench.repo.parent / "dvc-remote")
    bench.dvc("remote", "add", "--quiet", "--default", "--force", "store", place)
    bench.commit()
    bench.manager.deploy()


@trial(
    "dvc.patience.Patience.wait",
    command="deploy churn --yes",
    does="dvc remote list",
    again=back,
)
def a_dvc_remote_that_is_silent(bench: Workbench) -> None:
    bench.release()
    empty_cache(bench)
    of_dvc(bench, f"http://{silent()}/store")
    bench.monkeypatch.setattr(patience, "SILENCE", 0.6)


@trial(
    "release.publish._again",
    command=lambda b: interrupted(b).release(push=True),
    again="deploy churn --yes",
)
def a_release_that_is_interrupted_while_its_bytes_are_pushed(_: Workbench) -> None: ...


def interrupted(bench: Workbench) -> ModelVersionManager:
    @contextlib.contextmanager
    def press(doing: str, _: int | None) -> Iterator[Advance]:
        yield lambda _: None
        if doing == "pushing":
            raise KeyboardInterrupt

    return ModelVersionManager("churn", bench.repo, progress=press)
