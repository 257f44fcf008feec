"""Accounts that only read: they are told what they may see, and never that it is broken."""

import fcntl
import grp
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagship.disk import access
from tests.accounts import OWNER, READER, Accounts
from tests.workbench import Result

QUESTIONS = (
    "status", "models", "list churn", "show churn@1.0", "current churn", "history churn",
    "why churn", "compare churn 1.0 1.1", "verify", "export churn@1.0 --format cyclonedx",
    "deploy churn@1.0 --dry-run", "cleanup churn --keep 1 --dry-run", "undeploy churn --dry-run",
)  # fmt: skip
UNKNOWN = "run the command as the account that owns it: sudo -u '#4242' tagship ..."


def live(accounts: Accounts) -> Path:
    return accounts.bench.current.resolve()


def test_who_may_only_read_is_answered_as_its_owner_is(accounts: Accounts) -> None:
    report = accounts.home(READER) / "report.html"
    accounts.home(OWNER)
    before = accounts.bench.state()
    for question in QUESTIONS:
        answer = accounts.run(READER, question)
        assert (answer.code, answer.err) == (0, ""), question
        assert answer == accounts.run(OWNER, question), question
    assert accounts.run(READER, f"report churn -o {report}").code == 0
    assert accounts.bench.changes(before) <= {f"home-{READER}/report.html"}


def test_on_a_read_only_mount_root_is_answered_too(accounts: Accounts) -> None:
    script = (
        'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" || exit 9\n'
        'for question in status "list churn" verify "export churn@1.0 --format cyclonedx"; do\n'
        '  "$1" -m tagship $question > /dev/null || exit 1\n'
        "done"
    )
    command = ["unshare", "--mount", "sh", "-c", script, str(accounts.repo), sys.executable]
    accounts.bench.git("config", "--global", "safe.directory", "*")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_on_a_read_only_mount_a_deploy_says_so(accounts: Accounts) -> None:
    script = (
        'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && cd "$0" || exit 9\n'
        'exec "$1" -m tagship rollback churn --yes'
    )
    command = ["unshare", "--mount", "sh", "-c", script, str(accounts.repo), sys.executable]
    accounts.bench.git("config", "--global", "safe.directory", "*")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (
        1,
        f"error: {accounts.folder} is on a file system that is mounted read-only\n"
        f"hint: findmnt --target {accounts.folder}; to write there: mount it with rw\n",
    )


def test_who_may_not_enter_the_folder_is_told_its_owner_and_its_group(accounts: Accounts) -> None:
    group = grp.getgrgid(100)
    os.chown(accounts.repo, OWNER, group.gr_gid)
    accounts.repo.chmod(0o2750)
    status = [sys.executable, "-m", "tagship", "-C", str(accounts.repo), "status"]
    told = accounts.execute(READER, status)
    denied = f"error: {READER} may not read {accounts.repo}, which belongs to {OWNER} (mode 2750)"
    join = f"sudo usermod --append --groups {group.gr_name} {READER}, and log in again"
    owner = UNKNOWN.replace("4242", str(OWNER))
    assert told == Result(
        1,
        "",
        f"{denied}\nhint: become a reader, by its group: {join}; or {owner}\n",
    )
    assert accounts.execute(READER, status, groups=str(group.gr_gid)).code == 0


UNREADABLE = {
    "the versions": ("versions", 0o700, "enter"),
    "the model's folder": (".", 0o700, "enter"),
    "all models": ("..", 0o700, "enter"),
    "what tagship keeps": (".tagship", 0o700, "enter"),
    "the history": ("deployment_history.json", 0o600, "read"),
    "a version": ("current/.", 0o700, "enter"),
    "its metadata": ("current/metadata.json", 0o600, "read"),
    "its file": ("current/model.bin", 0o400, "read"),
    "DVC's folder": ("../../.dvc", 0o700, "enter"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_of_what_an_account_may_not_read_the_status_is_unknown(
    accounts: Accounts, case: str
) -> None:
    name, mode, way = UNREADABLE[case]
    place = Path(os.path.normpath((accounts.folder / name).resolve()))
    place.chmod(mode)
    result = accounts.run(READER, "status")
    versions = (
        "-, latest -"
        if case in ("the versions", "the model's folder", "all models", "DVC's folder")
        else "1.1.0, latest 1.1.0"
    )
    assert result == Result(
        1,
        f"churn: unknown, live {versions}\n"
        f"  cannot tell: {READER} may not {way} {place}, which belongs to {OWNER}"
        f" (mode {mode:04o})\n"
        f"    fix: {UNKNOWN}\n",
        "",
    )
    assert accounts.run(OWNER, "status").code in (0, 3)  # who may read it sees its mode at most


def test_a_model_that_cannot_be_read_hides_no_other(accounts: Accounts) -> None:
    bench = accounts.bench
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.bin\n"
        "  wine:\n    path: models/churn/model.bin\n"
    )
    bench.commit()
    bench.cli("release", "wine", "--deploy")
    accounts.give(accounts.repo, OWNER)
    accounts.folder.chmod(0o700)
    status = accounts.run(READER, "status --json")
    assert status.code == 1
    assert [row["why"] for row in json.loads(status.out)] == ["unknown", "in_order"]
    verify = accounts.run(READER, "verify")
    assert verify.code == 1
    lines = verify.out.splitlines()
    assert lines[0] == "churn cannot be checked (0 files, 0 B)"
    assert lines[2].endswith("is as it was released (1 file, 8 B)")
    models = accounts.run(READER, "models")
    assert [line.split("\t")[:4] for line in models.out.splitlines()[1:]] == [
        ["churn", "-", "1.1.0", "cannot be read"],
        ["wine", "1.0.0", "1.0.0", ""],
    ]


def test_a_folder_in_a_version_that_cannot_be_read_is_not_missing(accounts: Accounts) -> None:
    """os.walk passes over what it may not read."""
    bench = accounts.bench
    (bench.folder / "net").mkdir()
    (bench.folder / "net" / "weights.bin").write_bytes(b"weights")
    bench.track("models/churn/net")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: models/churn/net\n")
    bench.commit()
    bench.ship()
    accounts.give(accounts.repo, OWNER)
    (live(accounts) / "net").chmod(0o700)
    result = accounts.run(READER, "verify churn@1.2")
    assert (result.code, result.out.splitlines()) == (
        1,
        [
            f"churn {live(accounts).name} cannot be checked (1 file, 7 B)",
            f"  net cannot be checked: {READER} may not read {live(accounts) / 'net'},"
            f" which belongs to {OWNER} (mode 0700)",
        ],
    )
    assert "is missing" not in accounts.run(READER, "status").out


def test_a_git_folder_that_cannot_be_read_is_not_taken_for_none(accounts: Accounts) -> None:
    """Git says "not a git repository"; git init would make a second one."""
    (accounts.repo / ".git").chmod(0o700)
    what = f"{READER} may not read {accounts.repo}/.git, which belongs to {OWNER} (mode 0700)"
    for question in ("list churn", "verify", "deploy churn@1.0 --dry-run"):
        assert accounts.run(READER, question) == Result(1, "", f"error: {what}\nhint: {UNKNOWN}\n")
    assert accounts.run(READER, "status") == Result(
        1,
        f"churn: unknown, live 1.1.0, latest -\n  cannot tell: {what}\n    fix: {UNKNOWN}\n",
        "",
    )
    assert accounts.run(READER, "current churn") == Result(0, "1.1.0\n", "")


TAG = ".git/refs/tags/churn@v1.2.0"
UNSEEN = {
    "git fetch --tags": TAG,
    "git pull origin main": ".git/refs/heads/main",
}


@pytest.mark.parametrize("command", UNSEEN)
def test_what_the_owner_fetched_under_umask_077_is_not_taken_for_missing(
    accounts: Accounts, command: str
) -> None:
    """Git passes over a ref that it may not read, and says of HEAD that it is no revision."""
    git = accounts.bench.git
    git("commit", "--quiet", "--allow-empty", "--message", "More")
    git("tag", "--annotate", "--message", "More", "churn@v1.2.0")
    git("push", "--quiet", "origin", "main", "churn@v1.2.0")
    git("tag", "--delete", "churn@v1.2.0")
    git("reset", "--quiet", "--hard", "HEAD~1")
    for name in ("repo", "origin.git"):
        accounts.give(accounts.repo.parent / name, OWNER)
    accounts.home(READER)
    group = str(OWNER)
    fetched = accounts.execute(OWNER, command.split(), umask=0o077)
    assert fetched.code == 0, fetched
    place = accounts.repo / UNSEEN[command]
    what = f"{READER} may not read {place}, which belongs to {OWNER} (mode 0600)"
    folder, sudo = accounts.repo / ".git", f"sudo -u '#{OWNER}'"
    fix = f"{sudo} chmod -R g+rX {folder} && {sudo} git -C {folder} config {access.GIT_MODE}"
    assert accounts.run(READER, "status", groups=group) == Result(
        1, f"churn: unknown, live 1.1.0, latest -\n  cannot tell: {what}\n    fix: {fix}\n", ""
    )
    assert accounts.run(READER, "status churn", groups=group).code == 1
    if place.parent.name == "tags":
        assert accounts.run(READER, "list churn", groups=group).code == 1
    for question in ("models", "report churn -o report.html"):
        answer = accounts.run(READER, question, groups=group)
        assert (answer.code, answer.out) == (1, ""), question
        assert f"error: {READER} may not read {folder}" in answer.err, question
    stranger = accounts.run(READER, "status")
    assert (stranger.code, UNKNOWN in stranger.out) == (1, True)
    for step in fix.replace(f"{sudo} ", "").split(" && "):
        assert accounts.execute(OWNER, step.split()).code == 0
    latest = "1.2.0" if place.parent.name == "tags" else "1.1.0"
    assert f"live 1.1.0, latest {latest}\n" in accounts.run(READER, "status", groups=group).out
    git("tag", "--annotate", "--message", "More", "churn@v1.3.0", "HEAD~1")
    git("push", "--quiet", "origin", "churn@v1.3.0")
    git("tag", "--delete", "churn@v1.3.0")
    for name in ("repo", "origin.git"):
        accounts.give(accounts.repo.parent / name, OWNER)
    assert accounts.execute(OWNER, ["git", "fetch", "--tags"], umask=0o077).code == 0
    assert "latest 1.3.0" in accounts.run(READER, "status", groups=group).out  # it stays readable


@pytest.mark.parametrize("objects", [True, False])
def test_a_commit_whose_object_cannot_be_read_is_not_called_missing(
    accounts: Accounts, objects: bool
) -> None:
    place = accounts.repo / ".git" / ("objects" if objects else "packed-refs")
    accounts.execute(OWNER, ["git", "pack-refs", "--all"])
    place.chmod(0o600)
    result = accounts.run(READER, "status")
    assert result.code == 1
    assert f"may not read {place}, which belongs to {OWNER} (mode 0600)" in result.out


def test_a_rollback_by_the_owner_goes_on_though_root_fetched_under_umask_077(
    accounts: Accounts,
) -> None:
    accounts.bench.git("tag", "--annotate", "--message", "More", "churn@v1.2.0", "HEAD^{}")
    (accounts.repo / TAG).chmod(0o600)
    refused = accounts.run(OWNER, "deploy churn --yes")
    folder = accounts.repo / ".git"
    assert refused == Result(
        1,
        "",
        f"error: {OWNER} may not read {accounts.repo / TAG}, which belongs to root (mode 0600)\n"
        f"hint: sudo chown -R {OWNER} {folder}\n",
    )
    assert accounts.run(OWNER, "rollback churn --yes").code == 0
    accounts.give(folder, OWNER)
    assert "1.2.0 is passed over" in accounts.run(OWNER, "deploy churn --yes").out


def test_a_held_lock_is_told_to_who_can_see_it_and_one_that_is_private_to_nobody(
    accounts: Accounts,
) -> None:
    lock = accounts.folder / ".tagship" / "lock"
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = accounts.run(READER, "status")
        assert (result.code, "another process works on this model" in result.out) == (0, True)
        lock.chmod(0o600)
        assert accounts.run(READER, "status") == Result(
            0, "churn: in order, live 1.1.0, latest 1.1.0\n", ""
        )


def test_an_object_of_a_cache_that_cannot_be_read_is_not_thrown_away(accounts: Accounts) -> None:
    """One whose bytes are wrong is removed and fetched again: this one is another account's."""
    cache = accounts.repo / ".dvc" / "cache" / "files" / "md5"
    objects = [path for path in cache.glob("*/*") if path.read_bytes() == b"model 1\n"]
    (stored,) = objects
    os.chown(stored, READER, READER)
    stored.chmod(0o400)
    before = accounts.bench.live()
    result = accounts.run(OWNER, "deploy churn@1.0 --yes --force")
    assert (result.code, result.err) == (
        1,
        f"error: {OWNER} may not read {stored}, which belongs to {READER} (mode 0400)\n"
        f"hint: sudo chown -R {OWNER} {stored}\n",
    )
    assert stored.read_bytes() == b"model 1\n"
    assert accounts.bench.live() == before
