"""What may be wrong on a host's disk: bytes, records, the link ``current``, folders."""

import contextlib
import errno
import getpass
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import tagship
from tagship import TagshipError
from tagship.disk import atomic
from tagship.errors import explain
from tests.workbench import PATH, Result, Workbench

HISTORY = "repo/models/churn/deployment_history.json"
MARK = "repo/models/churn/.tagship/history.sha256"
FIRST = b"model 1\n"
SECOND = b"model 2\n"


def digest(data: bytes) -> str:
    """What DVC calls these bytes."""
    return hashlib.md5(data).hexdigest()


def stored(bench: Workbench, data: bytes, *, remote: bool = False) -> Path:
    """Where DVC keeps these bytes: in the cache, or in the remote."""
    top = bench.repo.parent / "dvc-remote" if remote else bench.repo / ".dvc" / "cache"
    name = digest(data)
    return top / "files" / "md5" / name[:2] / name[2:]


def spoil(path: Path) -> None:
    """Other bytes under an object's name, as a bad disk leaves them: DVC trusts mode 0444."""
    path.chmod(0o644)
    path.write_bytes(b"spoiled")
    path.chmod(0o444)


def fails(bench: Workbench, command: str, error: str, hint: str, *, also: str = "") -> None:
    """The command says just this, and puts it into the history; ``also`` is all else it touches."""
    before, live = bench.state(), bench.current.readlink()
    message = f"error: {error}\nhint: {hint}\n"
    assert bench.cli(*command.split()) == Result(1, "", message)
    assert bench.changes(before) == {HISTORY, MARK, also} - {""}
    assert bench.current.readlink() == live
    event = bench.manager.get_deployment_history()[-1]
    assert (event.action, event.status, event.error) == ("deploy", "failed", error)


# --- bytes that are gone, or other ones


@pytest.fixture
def behind(bench: Workbench) -> Workbench:
    """1.0.0 is live, 1.1.0 ("model 2") is released."""
    bench.ship()
    bench.release("model 2\n")
    return bench


def test_an_object_that_is_nowhere_cannot_be_deployed(behind: Workbench) -> None:
    stored(behind, SECOND).unlink()
    stored(behind, SECOND, remote=True).unlink()
    expected = (
        f"md5:{digest(SECOND)} is in neither the DVC cache nor the DVC remote store,"
        f" {behind.repo.parent}/dvc-remote",
        "push it from a machine that has it: dvc push --all-tags; if the remote is another one"
        " than at its tag: dvc remote add --local moved URL && dvc push --all-tags --remote"
        " moved; here, git pull brings the address",
    )
    fails(behind, "deploy churn --yes", *expected)
    remote = behind.repo.parent / "dvc-remote"
    shutil.rmtree(remote)
    fails(
        behind,
        "deploy churn --yes",
        f"the DVC remote store is a folder, which is not here: {remote}",
        "mount it; or, if it is elsewhere on this machine for good:"
        " dvc remote modify --local store url URL",
    )


def test_without_a_dvc_remote_a_release_warns_and_a_fetch_fails(bench: Workbench) -> None:
    bench.dvc("remote", "remove", "store")
    bench.commit()
    warned = bench.cli("release", "churn", "--deploy")
    message = (
        "note: DVC has no remote: the bytes are on this machine alone"
        " (dvc remote add -d NAME URL)\n"
    )
    assert (warned.code, warned.err) == (0, message)
    bench.release("model 2\n")
    stored(bench, SECOND).unlink()
    fails(
        bench,
        "deploy churn --yes",
        "DVC has no remote",
        "dvc remote add -d NAME URL; or git pull, once .dvc/config is committed where it has one",
    )


def test_a_dvc_remote_that_cannot_be_used_fails_a_deploy_and_a_release(behind: Workbench) -> None:
    folder = behind.repo.parent / "dvc-remote"
    stored(behind, SECOND).unlink()
    shutil.rmtree(folder)
    folder.write_text("a file\n")
    place = stored(behind, SECOND, remote=True)
    said = "DVC remote error: [Errno 20] Not a directory:"
    fails(behind, "deploy churn --yes", f"{said} '{place}'", "dvc remote list")
    behind.train("model 3\n")
    behind.refuses("release churn", f"{said} '{folder / 'files'}'", "dvc remote list")


def test_a_spoiled_cache_is_left_for_the_remote(behind: Workbench) -> None:
    spoil(stored(behind, SECOND))
    result = behind.cli("deploy", "churn", "--yes")
    assert (result.code, result.err) == (0, "")
    assert behind.live() == "model 2\n"
    assert not stored(behind, SECOND).exists()


def test_bytes_that_are_spoiled_everywhere_are_not_deployed(behind: Workbench) -> None:
    spoil(stored(behind, SECOND))
    spoil(stored(behind, SECOND, remote=True))
    fails(
        behind,
        "deploy churn --yes",
        f"the DVC remote has other bytes for md5:{digest(SECOND)} than it was released with:"
        " 7 instead of 8",
        f"remove {stored(behind, SECOND, remote=True)}, then push it from a machine that has it:"
        " dvc push",
        also=stored(behind, SECOND).relative_to(behind.repo.parent).as_posix(),
    )
    assert not stored(behind, SECOND).exists()
    assert behind.live() == "model 1\n"


def test_spoiled_bytes_of_a_remote_never_enter_the_cache(behind: Workbench) -> None:
    stored(behind, SECOND).unlink()
    spoil(stored(behind, SECOND, remote=True))
    fails(
        behind,
        "deploy churn --yes",
        f"the DVC remote has other bytes for md5:{digest(SECOND)} than it was released with:"
        " 7 instead of 8",
        f"remove {stored(behind, SECOND, remote=True)}, then push it from a machine that has it:"
        " dvc push",
    )
    assert not stored(behind, SECOND).exists()


def test_a_spoiled_cache_and_no_remote_copy_say_both(behind: Workbench) -> None:
    spoil(stored(behind, SECOND))
    stored(behind, SECOND, remote=True).unlink()
    fails(
        behind,
        "deploy churn --yes",
        "the DVC cache had other bytes for model.bin than it was released with, and they cannot be"
        f" fetched again: md5:{digest(SECOND)} is in neither the DVC cache nor the DVC remote"
        f" store, {behind.repo.parent}/dvc-remote",
        "dvc push from a machine that has them, then try again",
        also=stored(behind, SECOND).relative_to(behind.repo.parent).as_posix(),
    )


def test_a_release_checks_the_bytes_that_it_pushes(bench: Workbench) -> None:
    cached = stored(bench, FIRST)
    spoil(cached)
    bench.refuses(
        "release churn",
        f"the DVC cache has other bytes for md5:{digest(FIRST)}",
        f"rm {cached} && dvc commit --force {PATH}",
    )
    cached.unlink()
    bench.refuses(
        "release churn",
        f"the DVC cache lacks {PATH} (md5:{digest(FIRST)}), and so does the DVC remote",
        f"dvc push where it was made; or here: dvc commit {PATH}, or dvc repro",
    )
    bench.dvc("commit", "--force", "--quiet")
    assert bench.release() == "1.0.0"


# --- records that cannot be read


CHANGING = ("deploy churn@1.0.0 --yes", "rollback churn --yes", "cleanup churn --keep 1 --yes",
            "pin churn@1.0.0")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[{"seq": 1', ", line 1"),
        ("", ", line 1"),
        ("{}", ": it is {}, not an array"),
        ("3", ": it is 3, not an array"),
        ("[3]", ": [0] is 3, not an object"),
        ('[{"seq": 1}]', ": [0].action is missing"),
    ],
)
def test_a_history_that_cannot_be_read_stops_what_would_write_it(
    shipped: Workbench, text: str, where: str
) -> None:
    file = shipped.folder / "deployment_history.json"
    file.write_text(text)
    error, aside = f"{file} is not a valid history file{where}", f"mv {file} {file}.broken"
    for command in (*CHANGING, "history churn"):
        shipped.refuses(command, error, f"fix it, or start a new one: {aside}")
    message = f"churn: drifted, live 1.1.0, latest 1.1.0\n  {error}\n    fix: {aside}\n"
    assert shipped.cli("status", "churn") == Result(3, message, "")
    assert shipped.cli("current", "churn") == Result(0, "1.1.0\n", "")


def test_a_history_with_a_seq_that_is_no_number_is_no_history(shipped: Workbench) -> None:
    file = shipped.folder / "deployment_history.json"
    file.write_text(file.read_text().replace('"seq": 2', '"seq": "2"'))
    for command in (*CHANGING, "history churn"):
        shipped.refuses(
            command,
            f"{file} is not a valid history file: [1].seq is '2', not a whole number",
            f"fix it, or start a new one: mv {file} {file}.broken",
        )


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[", ", line 1"),
        ("{}", ": it is {}, not an array"),
        ("3", ": it is 3, not an array"),
        ("[3]", ": [0] is 3, not an object"),
    ],
)
def test_pins_that_cannot_be_read_stop_a_cleanup(shipped: Workbench, text: str, where: str) -> None:
    shipped.manager.pin("1.0.0")
    file = shipped.folder / ".tagship" / "pins.json"
    file.write_text(text)
    for command in ("cleanup churn --keep 1 --yes", "cleanup churn --dry-run", "pin churn@1.1.0",
                    "unpin churn@1.0.0", "list churn"):  # fmt: skip
        shipped.refuses(command, f"{file} is not a valid pins file{where}", f"fix {file}")
    assert shipped.cli("rollback", "churn", "--yes").code == 0


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[", ", line 1"),
        ("3", ": it is 3, not an object"),
        ("{}", ": creates is missing"),
        ('{"event": 3, "creates": true}', ": event is 3, not an object"),
    ],
)
def test_an_intent_that_cannot_be_read_stops_what_would_recover_it(
    shipped: Workbench, text: str, where: str
) -> None:
    file = shipped.folder / ".tagship" / "intent.json"
    file.write_text(text)
    for command in CHANGING:
        shipped.refuses(
            command, f"{file} is not a valid intent file{where}", f"remove it: rm {file}"
        )
    message = (
        f"churn: drifted, live 1.1.0, latest 1.1.0\n  {file} is not a valid intent file{where}\n"
        f"    fix: rm {file}\n"
    )
    assert shipped.cli("status", "churn") == Result(3, message, "")
    file.unlink()
    assert shipped.cli("rollback", "churn", "--yes").code == 0


@pytest.mark.parametrize(("text", "what"), [("[", "cannot be read"), ("{}", "cannot be read"),
                                            (None, "is missing")])  # fmt: skip
def test_metadata_that_cannot_be_read_breaks_the_live_version_and_a_deploy_mends_it(
    shipped: Workbench, text: str | None, what: str
) -> None:
    directory = shipped.current.resolve()
    directory.chmod(0o755)
    (directory / "metadata.json").unlink()
    if text is not None:
        (directory / "metadata.json").write_text(text)
    before = shipped.state()
    broken = shipped.cli("status", "churn")
    assert broken == Result(
        5,
        f"churn: broken, live 1.1.0, latest 1.1.0\n  {directory.name}/metadata.json {what}\n"
        "    fix: tagship deploy churn@1.1.0 --force\n",
        "",
    )
    result = shipped.cli("verify", "churn@1.1.0")
    assert result == Result(
        1,
        f"churn {directory.name} is NOT as it was released (0 files, 0 B)\n"
        f"  metadata.json {what}\n"
        "  fix what is live: tagship status churn\n",
        "",
    )
    assert shipped.changes(before) == set()
    assert shipped.cli("deploy", "churn@1.1.0", "--force", "--yes").code == 0
    assert shipped.cli("status", "churn").code == 0


READING = (
    "history churn", "history --all --json", "history churn --at 2026-11-21", "list churn",
    "show churn", "compare churn 1.0 1.1", "why churn", "models", "status", "verify",
    "current churn", "cleanup churn --dry-run", "deploy churn@1.0.0 --dry-run",
    "report churn -o {page}", "export churn --format cyclonedx", "pin churn@1.1.0",
)  # fmt: skip
FILES = {
    "history": "deployment_history.json",
    "metadata": "current/metadata.json",
    "intent": ".tagship/intent.json",
    "pins": ".tagship/pins.json",
}


def put(file: Path, data: bytes) -> None:
    """Write a file into a folder that may be read-only."""
    file.parent.resolve().chmod(0o755)
    file.unlink(missing_ok=True)
    file.write_bytes(data)


def unforeseen(bench: Workbench, commands: Sequence[str]) -> list[tuple[str, Result]]:
    """The commands that end in anything but an answer, or in an error without a hint."""
    failures = []
    for command in commands:
        page = bench.repo.parent / "report.html"
        result = bench.cli(*command.format(page=page).split())
        lines = result.err.splitlines()
        plain = any(line.startswith("error: ") for line in lines)
        hinted = any(line.startswith("hint: ") for line in lines)
        if "should not have" in result.err or plain != hinted:
            failures.append((command, result))
    return failures


@pytest.mark.parametrize("name", FILES)
def test_whatever_a_file_holds_each_command_answers_or_says_what_is_wrong(
    shipped: Workbench, name: str
) -> None:
    file = shipped.folder / FILES[name]
    shipped.manager.pin("1.0.0")
    for data in (b"[\xff]", b"[" * 5_000, b"[[]]", b'{"a": NaN}'):
        put(file, data)
        assert unforeseen(shipped, READING) == [], data[:10]
        for ask in (tagship.load, tagship.resolve):
            with contextlib.suppress(TagshipError):
                ask("churn", shipped.repo)


# --- what lies where ``current`` should be


@pytest.fixture(params=["folder", "file", "foreign", "versions"])
def mistaken(request: Any, shipped: Workbench) -> tuple[Workbench, str, str]:
    """``current`` is not ours: the workspace, what is wrong, the hint of ``status``."""
    current = shipped.current
    current.unlink()
    if request.param == "folder":
        current.mkdir()
        (current / "model.bin").write_bytes(FIRST)
    elif request.param == "file":
        current.write_bytes(FIRST)
    else:
        current.symlink_to("/etc" if request.param == "foreign" else "versions")
    back = "tagship rollback churn --to 1.1.0"
    if request.param in ("folder", "file"):
        return shipped, "is not a link", f"mv {current} {current}.old && {back}"
    return shipped, f"leads to {current.readlink()}", f"rm {current} && {back}"


def test_a_current_that_is_not_ours_is_not_touched(mistaken: tuple[Workbench, str, str]) -> None:
    bench, what, mend = mistaken
    current = bench.current
    if what == "is not a link":
        error = f"{current} is not a link but a file or a folder"
        hint = f"move it away: mv {current} {current}.old"
    else:
        error = f"{current} {what}, which is not a version"
        hint = f"remove the link and deploy again: rm {current}"
    for command in ("deploy churn --yes", "deploy churn@1.0.0 --yes --force", "deploy churn -y",
                    "rollback churn --yes", "rollback churn --to 1.0.0 --yes", "current churn",
                    "current churn --path", "cleanup churn --yes"):  # fmt: skip
        bench.refuses(command, error, hint)
    before = bench.state()
    message = f"churn: broken, live -, latest 1.1.0\n  {current} {what}\n    fix: {mend}\n"
    assert bench.cli("status", "churn") == Result(5, message, "")
    assert bench.cli("list", "churn").code == 0
    assert bench.changes(before) == set()
    subprocess.run(mend.partition(" && ")[0].split(), check=True)
    assert bench.cli("deploy", "churn", "--yes").code == 0
    assert bench.cli("status", "churn").code == 0


def test_a_dangling_current_is_told_and_mended(shipped: Workbench) -> None:
    gone = shipped.current.resolve().name
    atomic.remove_tree(shipped.current.resolve())
    error = f"{shipped.current} leads to {gone}, which is gone"
    mend = "tagship deploy churn@1.1.0 --force"
    shipped.refuses("current churn", error, mend)
    before = shipped.state()
    message = f"churn: broken, live 1.1.0, latest 1.1.0\n  {error}\n    fix: {mend}\n"
    assert shipped.cli("status", "churn") == Result(5, message, "")
    assert shipped.changes(before) == set()
    assert shipped.cli("deploy", "churn@1.1.0", "--force", "--yes").code == 0
    assert shipped.live() == "model 2\n"


def test_a_rollback_leaves_a_dangling_current(shipped: Workbench) -> None:
    atomic.remove_tree(shipped.current.resolve())
    assert shipped.cli("rollback", "churn", "--yes").code == 0
    assert shipped.live() == "model 1\n"


# --- folders that cannot be written


def _unprivileged(bench: Workbench, command: str) -> Result:
    """A real process that file modes bind: root's powers over them are put away."""
    words = [sys.executable, "-m", "tagship", *command.split()]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv: nothing is forbidden")
        words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *words]
    result = subprocess.run(words, cwd=bench.repo, capture_output=True, text=True, check=False)
    return Result(result.returncode, result.stdout, result.stderr)


@pytest.mark.parametrize("name", ["", "versions", ".tagship"])
def test_a_folder_that_cannot_be_written_refuses_before_anything_is_done(
    behind: Workbench, name: str
) -> None:
    folder = behind.folder / name
    before = behind.state()
    folder.chmod(0o555)
    try:
        for command in ("deploy churn --yes", "pin churn@1.0.0"):
            result = _unprivileged(behind, command)
            message = (
                f"error: {getpass.getuser()} may not write to {folder}, which belongs to"
                f" {getpass.getuser()} (mode 0555)\nhint: chmod u+rwx {folder}\n"
            )
            assert result == Result(1, "", message)
        assert _unprivileged(behind, "current churn") == Result(0, "1.0.0\n", "")
    finally:
        folder.chmod(0o755)
    assert behind.changes(before) == set()
    assert behind.cli("deploy", "churn", "--yes").code == 0


@pytest.mark.released
def test_a_first_deploy_into_a_folder_that_cannot_be_written_is_refused(bench: Workbench) -> None:
    before = bench.state()
    bench.folder.chmod(0o555)
    result = _unprivileged(bench, "deploy churn --yes")
    bench.folder.chmod(0o755)
    message = (
        f"error: {getpass.getuser()} may not write to {bench.folder}, which belongs to"
        f" {getpass.getuser()} (mode 0555)\n"
    )
    assert result == Result(1, "", f"{message}hint: chmod u+rwx {bench.folder}\n")
    assert bench.changes(before) == set()


# --- one model of several


@pytest.fixture
def several(shipped: Workbench) -> Workbench:
    """The same with ``wine``, a model of the same file, which is deployed too."""
    (shipped.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.bin\n"
        "  wine:\n    path: models/churn/model.bin\n"
    )
    shipped.commit()
    manager = tagship.ModelVersionManager("wine", shipped.repo)
    manager.release()
    manager.deploy()
    return shipped


def forbid(folder: Path) -> None:
    """Nobody without root's powers can look into it."""
    folder.chmod(0)


def replace(folder: Path) -> None:
    """A file where the folder should be."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("a file\n")


@pytest.mark.parametrize("harm", [forbid, replace])
def test_a_model_that_cannot_be_read_hides_no_other(
    several: Workbench, harm: Callable[[Path], None], tmp_path: Path
) -> None:
    wine = several.folder.parent / "wine"
    if harm is replace:
        atomic.remove_tree(wine)
    harm(wine)
    denied = harm is forbid
    me = getpass.getuser()
    why = (
        f"{me} may not enter {wine}, which belongs to {me} (mode 0000)"
        if denied
        else f"{wine} is a file where a folder should be"
    )
    try:
        models = _unprivileged(several, "models")
        assert "churn\t1.1.0\t1.1.0\t" in models.out
        assert "wine\t-\t1.0.0\tcannot be read\t" in models.out
        assert models.code == 0
        assert models.err.startswith(f"note: wine: {why}")
        status = _unprivileged(several, "status")
        assert status.code == (1 if denied else 5)
        assert "churn: in order, live 1.1.0, latest 1.1.0\n" in status.out
        state, cannot = ("unknown", "cannot tell: ") if denied else ("broken", "")
        assert f"wine: {state}, live -, latest -\n  {cannot}{why}" in status.out
        fix = f"chmod u+rwx {wine}" if denied else f"mv {wine} {wine}.old"
        assert f"    fix: {fix}" in status.out
        page = tmp_path / "report.html"
        result = _unprivileged(several, f"report -o {page}")
        assert (result.code, result.out) == (0, f"{page} shows churn, wine\n")
        reason = why
        assert f"it cannot be read here: {reason}" in page.read_text(encoding="utf-8")
    finally:
        wine.chmod(0o755)


def test_a_history_that_is_a_folder_hides_no_other_model(several: Workbench) -> None:
    file = several.folder.parent / "wine" / "deployment_history.json"
    file.unlink()
    file.mkdir()
    status = several.cli("status")
    assert "churn: in order, live 1.1.0, latest 1.1.0\n" in status.out
    assert f"{file} cannot be read: Is a directory\n    fix: ls -ld {file}\n" in status.out
    assert several.cli("models").code == 0
    assert several.cli("report", "-o", str(several.repo / "report.html")).code == 0


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.EACCES, "check the permissions: namei -l /a"),
        (errno.EROFS, "it is mounted read-only: findmnt --target /a"),
        (errno.ENOTDIR, "a part of the path is not a folder: namei -l /a"),
        (errno.ELOOP, "links lead to each other: namei -l /a"),
        (errno.EMFILE, "this process may open more files with: ulimit -n 4096"),
        (errno.EXDEV, "tagship status"),
    ],
)
def test_an_error_of_the_system_has_a_hint(code: int, hint: str) -> None:
    what, help_ = explain(OSError(code, os.strerror(code), "/a"))
    assert (what, help_) == (f"{os.strerror(code)}: /a", hint)


def test_a_loop_of_links_is_told(shipped: Workbench) -> None:
    folder = shipped.folder.parent
    shutil.move(folder, folder.with_name("moved"))
    folder.symlink_to("models")
    result = shipped.cli("current", "churn")
    assert result.code == 1
    assert result.err.startswith("error: Too many levels of symbolic links: ")
    assert "\nhint: links lead to each other: namei -l " in result.err
