"""The environment is the user's: what counts of it, and what a service or a container lacks."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tagship.disk import atomic, home
from tagship.dvc import dirs
from tests import workbench
from tests.workbench import Workbench, run

GIT_OF_A_HOOK = {
    "GIT_DIR": "/nowhere",
    "GIT_WORK_TREE": "/nowhere",
    "GIT_INDEX_FILE": "/nowhere/index",
    "GIT_OBJECT_DIRECTORY": "/nowhere/objects",
    "GIT_QUARANTINE_PATH": "/nowhere/objects/incoming",
    "GIT_PREFIX": "models/",
    "GIT_CONFIG": "/nowhere/config",
}


def configure(bench: Workbench, form: str, **settings: str) -> None:
    """Configure Git by the environment; ``__`` in a name is a dot."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    if form == "GIT_CONFIG_PARAMETERS":  # what `git -c` gives to its children
        words = (f"'{name}'='{value}'" for name, value in named.items())
        bench.monkeypatch.setenv(form, " ".join(words))
        return
    bench.monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(named)))
    for number, (name, value) in enumerate(named.items()):
        bench.monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", name)
        bench.monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)


def of_origin(bench: Workbench) -> str:
    """The tags of Git's remote."""
    return run(bench.repo.parent / "origin.git", "git", "tag")


# --- Git's settings


@pytest.mark.parametrize("form", ["GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS"])
def test_an_address_that_the_environment_rewrites_is_pushed_to(bench: Workbench, form: str) -> None:
    """So does a token or a mirror reach Git in CI."""
    bench.git("remote", "set-url", "origin", "https://git.invalid/team/models.git")
    name = f"url.{bench.repo.parent}/origin.git.insteadOf"
    configure(bench, form, **{name: "https://git.invalid/team/models.git"})
    assert bench.cli("release", "churn", "--push").code == 0
    assert of_origin(bench) == "churn@v1.0.0\n"


def test_the_users_own_ssh_is_what_reaches_the_remote(bench: Workbench) -> None:
    ssh = bench.repo.parent / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    bench.monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    bench.git("remote", "set-url", "origin", f"ssh://host.invalid{bench.repo.parent}/origin.git")
    assert bench.cli("release", "churn", "--push").code == 0
    assert of_origin(bench) == "churn@v1.0.0\n"


def test_a_repository_of_another_owner_needs_what_git_says(bench: Workbench) -> None:
    bench.monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    refused = bench.cli("list", "churn")
    hint = f"git config --global --add safe.directory {bench.repo}"
    assert (refused.code, refused.err.splitlines()[1]) == (1, f"hint: {hint}")
    configure(bench, "GIT_CONFIG_COUNT", safe__directory="*")
    assert bench.cli("list", "churn").code == 0
    bench.monkeypatch.delenv("GIT_CONFIG_COUNT")
    run(bench.repo, *shlex.split(hint))
    assert bench.cli("release", "churn").code == 0


def test_what_says_which_repository_is_dropped(bench: Workbench) -> None:
    """A hook has it; a quarantine forbids to make a tag, in any repository."""
    for name, value in GIT_OF_A_HOOK.items():
        bench.monkeypatch.setenv(name, value)
    assert bench.cli("release", "churn", "--push", "--deploy").code == 0
    assert bench.live() == "model 1\n"


def test_a_hook_of_git_releases_and_deploys(bench: Workbench) -> None:
    bench.train("model 2\n")
    program = f'{sys.executable} -m tagship -C "{bench.repo}" release churn --deploy'
    hook = bench.repo / ".git/hooks/pre-push"
    hook.write_text(f"#!/bin/sh\nexec {program} > /dev/null\n")
    hook.chmod(0o755)
    bench.git("-c", "core.quotePath=true", "push", "--quiet", "origin", "main")
    assert bench.live() == "model 2\n"


@pytest.mark.parametrize("name", ["GIT_ICASE_PATHSPECS", "GIT_GLOB_PATHSPECS"])
def test_paths_are_what_they_are_whatever_the_environment_makes_of_them(
    bench: Workbench, name: str
) -> None:
    bench.monkeypatch.setenv(name, "1")
    assert bench.cli("release", "churn").code == 0


def test_a_tag_is_synced_whatever_the_environment_says(bench: Workbench) -> None:
    events = bench.repo.parent / "events"
    configure(
        bench, "GIT_CONFIG_COUNT", core__fsync="none", core__fsyncMethod="writeout-only"
    )  # fmt: skip
    bench.monkeypatch.setenv("GIT_TRACE2_EVENT", str(events))
    assert bench.cli("release", "churn").code == 0
    counted = [
        (event["key"], int(event["value"]) > 0)
        for event in map(json.loads, events.read_text().splitlines())
        if event.get("category") == "fsync"
    ]
    assert ("fsync/hardware-flush", True) in counted
    assert ("fsync/writeout-only", True) not in counted


# --- the account


def _bare(bench: Workbench, **named: str) -> None:
    """Leave the places of configuration to HOME."""
    for name in ("HOME", "XDG_CONFIG_HOME", "DVC_GLOBAL_CONFIG_DIR", "GIT_CONFIG_GLOBAL"):
        bench.monkeypatch.delenv(name, raising=False)
    for name, value in named.items():
        bench.monkeypatch.setenv(name, value)


@pytest.mark.parametrize("place", ["", "/dev/null", "/nowhere/home", "here"])
def test_a_home_that_is_none_is_not_needed(bench: Workbench, place: str) -> None:
    _bare(bench, HOME=place)
    assert bench.cli("release", "churn", "--push").code == 0
    shutil.rmtree(bench.repo / ".dvc/cache")
    assert bench.cli("deploy", "churn", "--yes").code == 0
    assert bench.live() == "model 1\n"


def test_a_relative_path_is_no_place_of_a_users_configuration(
    bench: Workbench, tmp_path: Path
) -> None:
    """The repository would choose it."""
    _bare(bench, HOME=str(tmp_path), XDG_CONFIG_HOME=".")
    assert home.configuration() == tmp_path / ".config"
    assert dirs.user_config() == tmp_path / ".config/dvc"
    bench.monkeypatch.setenv("HOME", "/dev/null")
    assert (home.folder(), home.configuration()) == (None, None)
    assert dirs.user_config() == Path("/nonexistent")


def test_an_account_without_a_home_and_a_name_releases_and_deploys(
    bench: Workbench, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to be another user")
    folder = Path(tempfile.mkdtemp())  # those of pytest are for their owner alone, from the top
    folder.chmod(0o755)
    request.addfinalizer(lambda: atomic.remove_tree(folder))
    workbench.copy(bench.repo.parent, folder)
    run(folder, "chown", "-R", "4242:4242", str(folder))
    caps = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    other = ["setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", *caps]
    environment = {n: v for n, v in os.environ.items() if n.startswith("GIT_") or n == "PATH"}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "DVC_SITE_CACHE_DIR": f"{folder}/site"}
    done = subprocess.run(
        [*other, sys.executable, "-m", "tagship", "release", "churn", "--push", "--deploy"],
        cwd=folder / "repo", capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    history = json.loads((folder / "repo/models/churn/deployment_history.json").read_text())
    assert history[-1]["actor"] == "4242"


def test_a_policy_that_cannot_be_read_names_the_home(bench: Workbench, tmp_path: Path) -> None:
    """As where HOME is still root's; nothing is deployed without knowing whom to trust."""
    _bare(bench, HOME=str(tmp_path))
    file = tmp_path / ".config/tagship/host.toml"
    file.mkdir(parents=True)
    bench.refuses(
        "release churn",
        f"{file} cannot be read: Is a directory",
        f"set HOME to this account's own; or a folder lies where a file should: ls -ld {file}",
    )


def test_what_dvc_keeps_outside_of_the_repository_is_named_and_can_be_elsewhere(
    bench: Workbench,
) -> None:
    bench.monkeypatch.setenv("DVC_SITE_CACHE_DIR", "/proc/dvc")
    told = bench.cli("release", "churn")
    assert (told.code, told.err.splitlines()[0][:31]) == (1, "error: DVC cannot use /proc/dvc")
    assert told.err.splitlines()[1] == (
        "hint: name a folder that this account can write to: export DVC_SITE_CACHE_DIR=FOLDER"
    )
    bench.monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(bench.repo.parent / "mine"))
    assert bench.cli("release", "churn").code == 0


# --- the system


MOUNTS = {
    "no folder for temporary files": "for d in /tmp /var/tmp /usr/tmp; do"
    " [ ! -d $d ] || { mount --bind $d $d && mount -o remount,ro,bind $d; }; done",
    "no /proc": "mount -t tmpfs -o ro none /proc",
    "no /dev/shm": "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3"
    " && mknod -m 444 /dev/urandom c 1 9",
    "a root that is read-only": "mount -o remount,ro,bind /",
}


@pytest.mark.parametrize("missing", MOUNTS)
def test_a_system_without_it_releases_and_deploys(bench: Workbench, missing: str) -> None:
    top = bench.repo.parent
    kept = f"mount --bind {top} /mnt && {MOUNTS[missing]} && mount --bind /mnt {top}"
    can = subprocess.run(["unshare", "-m", "sh", "-c", kept], capture_output=True, check=False)
    if can.returncode:
        pytest.skip("needs root and a mount namespace")
    command = f"{sys.executable} -m tagship release churn --push --deploy"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{kept} && cd {bench.repo} && exec {command}"],
        cwd=bench.repo, capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": "/nowhere"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert bench.live() == "model 1\n"


@pytest.mark.parametrize("mask", ["077", "000"])
def test_any_umask_will_do(bench: Workbench, mask: str) -> None:
    before = os.umask(int(mask, 8))
    try:
        assert bench.cli("release", "churn", "--push", "--deploy").code == 0
        assert bench.cli("rollback", "churn", "--yes").err == (
            "error: churn has no good version to go back to\nhint: tagship list churn\n"
        )
    finally:
        os.umask(before)
    assert (bench.current / "model.bin").stat().st_mode & 0o777 == 0o444
    assert bench.current.resolve().stat().st_mode & 0o222 == 0


# --- text


def test_what_an_encoding_cannot_write_is_escaped_and_json_stays_json(bench: Workbench) -> None:
    bench.git(
        "commit", "--quiet", "--allow-empty", "--message", "mod\u00e8le \u6f22\u5b57 \U0001f600"
    )
    bench.ship()
    bench.manager.deploy("1.0.0", force=True, reason="\u6f22\u5b57 \U0001f600")
    environment = {"PYTHONIOENCODING": "latin-1"}
    text = bench.process("history", "churn", environment=environment)
    assert (text.code, text.err) == (0, "")
    assert "\\u6f22\\u5b57 \\ud83d\\ude00" in text.out
    answer = bench.process("history", "churn", "--json", environment=environment)
    assert json.loads(answer.out)[-1]["reason"] == "\u6f22\u5b57 \U0001f600"


CLOSED = """
import os, sys
from tagship.cli import output
for number in map(int, sys.argv[1:]):
    os.close(number)
output.open_streams()
assert os.open(os.devnull, os.O_RDONLY) > 2
os.write(1, b"a library"), os.write(2, b"a library")
assert os.read(0, 1) == b""
"""


def test_a_stream_that_is_closed_gets_no_file_that_is_opened_later() -> None:
    """What a library prints would go into that file."""
    command = [sys.executable, "-c", CLOSED, "0", "1", "2"]
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.released
def test_a_deploy_with_every_stream_closed_is_a_deploy(bench: Workbench) -> None:
    shell = f"{sys.executable} -m tagship deploy churn --yes <&- >&- 2>&-"
    assert subprocess.run(shell, shell=True, cwd=bench.repo, check=False).returncode == 0
    assert bench.live() == "model 1\n"


@pytest.mark.released
def test_a_folder_whose_name_is_no_text_is_deployed_in_and_not_released_from(
    bench: Workbench, tmp_path: Path
) -> None:
    """DVC itself cannot load the stages there."""
    repo = Path(os.fsdecode(os.fsencode(tmp_path) + b"/m\xf6del"))
    bench.repo.rename(repo)
    moved = Workbench(repo, bench.monkeypatch, bench.capture)
    assert moved.cli("deploy", "churn", "--yes", "--json").code == 0
    assert moved.live() == "model 1\n"
    moved.train("model 2\n")
    told = moved.cli("release", "churn")
    assert (told.code, told.err) == (
        1,
        f"error: DVC cannot work in a folder whose name is not UTF-8: {tmp_path}/m\\udcf6del\n"
        "hint: rename it, or clone the repository elsewhere\n",
    )


def test_a_configuration_of_dvc_that_cannot_be_read_names_the_home(
    bench: Workbench, tmp_path: Path
) -> None:
    """Also where DVC itself reads it first."""
    _bare(bench, HOME=str(tmp_path))
    file = tmp_path / ".config/dvc/config"
    file.mkdir(parents=True)
    bench.refuses(
        "release churn",
        f"DVC: Is a directory: {file}",
        f"set HOME to this account's own; or a folder lies where a file should: ls -ld {file}",
    )
