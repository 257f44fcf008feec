"""Lines appended to a file of this account alone: what is refused, a full disk, logrotate."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagship.disk import appended
from tagship.disk.appended import Appended
from tagship.errors import Refused


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def file(log: Path, root: Path) -> Iterator[Appended]:
    opened = Appended(log, root, "the audit")
    yield opened
    opened.close()


@pytest.fixture
def looks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appended, "LOOK", -1)


def test_a_new_file_is_this_account_s_alone_under_any_umask(log: Path, root: Path) -> None:
    before = os.umask(0)
    try:
        Appended(log, root, "the audit").close()
    finally:
        os.umask(before)
    assert log.stat().st_mode & 0o7777 == 0o600


def test_lines_come_after_those_that_are_there(log: Path, root: Path) -> None:
    log.write_bytes(b"before\n")
    log.chmod(0o640)
    file = Appended(log, root, "the audit")
    file.write(b"line\n")
    file.close()
    assert (log.read_bytes(), log.stat().st_mode & 0o7777) == (b"before\nline\n", 0o640)


# ---- what is refused, and why


def in_models(log: Path, root: Path) -> Path:
    (root / "churn").mkdir()
    return root / "churn" / "audit.jsonl"


def in_models_by_a_link(log: Path, root: Path) -> Path:
    (log.parent / "elsewhere").symlink_to(root)
    return log.parent / "elsewhere" / "audit.jsonl"


def a_link(log: Path, root: Path) -> Path:
    log.with_name("other").touch()
    log.symlink_to("other")
    return log


def a_link_to_nothing(log: Path, root: Path) -> Path:
    log.symlink_to("other")
    return log


def another_name_of_a_file(log: Path, root: Path) -> Path:
    log.with_name("other").touch(0o600)
    log.hardlink_to(log.with_name("other"))
    return log


def a_folder(log: Path, root: Path) -> Path:
    log.mkdir()
    return log


def a_pipe(log: Path, root: Path) -> Path:
    os.mkfifo(log, 0o600)
    return log


def open_to_a_group(log: Path, root: Path) -> Path:
    log.touch()
    log.chmod(0o620)
    return log


def open_to_everybody(log: Path, root: Path) -> Path:
    log.touch()
    log.chmod(0o604)
    return log


def of_another_account(log: Path, root: Path) -> Path:
    log.touch(0o600)
    os.chown(log, 65534, -1)
    return log


def in_a_folder_of_everybody(log: Path, root: Path) -> Path:
    (log.parent / "open").mkdir()
    (log.parent / "open").chmod(0o777)
    return log.parent / "open" / "audit.jsonl"


def in_no_folder(log: Path, root: Path) -> Path:
    return log.parent / "none" / "audit.jsonl"


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (in_models, "is in the models folder"),
        (in_models_by_a_link, "is in the models folder"),
        (a_link, "is not a regular file"),
        (a_link_to_nothing, "is not a regular file"),
        (another_name_of_a_file, "is not a regular file"),
        (a_folder, "is not a regular file"),
        (a_pipe, "is not a regular file"),
        (open_to_a_group, "its group can write to"),
        (open_to_everybody, "everybody can read"),
        (of_another_account, "the account nobody can write to"),
        (in_a_folder_of_everybody, "everybody can write to"),
        (in_no_folder, "is not a folder"),
    ],
)
def test_a_file_that_others_could_change_or_read_is_refused(
    log: Path, root: Path, place: object, why: str
) -> None:
    if place is of_another_account and os.geteuid():
        pytest.skip("only root can give a file away")
    path = place(log, root)  # type: ignore[operator] # one of those above
    before = sorted(os.listdir(log.parent))
    with pytest.raises(Refused, match=why):
        Appended(path, root, "the audit")
    assert sorted(os.listdir(log.parent)) == before
    assert [p for p in root.rglob("*") if p.is_file()] == []


# ---- logrotate


@pytest.mark.usefixtures("looks_always")
def test_a_file_that_was_moved_away_is_made_again(file: Appended, log: Path) -> None:
    file.write(b"1\n")
    log.rename(log.with_name("audit.1"))
    file.write(b"2\n")
    assert (log.with_name("audit.1").read_bytes(), log.read_bytes()) == (b"1\n", b"2\n")
    assert log.stat().st_mode & 0o7777 == 0o600


def test_a_signal_has_it_opened_again_at_once(file: Appended, log: Path) -> None:
    before = signal.signal(signal.SIGHUP, lambda *_: file.reopen())
    try:
        file.write(b"1\n")
        log.rename(log.with_name("audit.1"))
        os.kill(os.getpid(), signal.SIGHUP)
        file.write(b"2\n")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert log.read_bytes() == b"2\n"


def test_what_may_not_be_opened_again_leaves_the_old_file_in_use(
    file: Appended, log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log.rename(log.with_name("audit.1"))
    log.symlink_to("planted")
    file.reopen()
    file.write(b"1\n")
    assert log.with_name("audit.1").read_bytes() == b"1\n"
    assert not log.with_name("planted").exists()
    assert f"{log} cannot be opened again" in caplog.text


@pytest.mark.usefixtures("looks_always")
def test_a_line_is_not_written_into_a_file_that_was_removed(file: Appended, log: Path) -> None:
    log.unlink()
    log.symlink_to("planted")
    with pytest.raises(Refused):
        file.write(b"1\n")
    log.unlink()
    file.write(b"2\n")
    assert log.read_bytes() == b"2\n"


# ---- whole lines


def test_the_line_after_one_that_was_cut_short_begins_anew(log: Path, root: Path) -> None:
    log.write_bytes(b'{"cut')
    log.chmod(0o600)
    file = Appended(log, root, "the audit")
    file.write(b"1\n")
    file.write(b"2\n")
    file.close()
    assert log.read_bytes() == b'{"cut\n1\n2\n'


def test_a_full_disk_is_an_error_and_the_next_line_is_whole(file: Appended, log: Path) -> None:
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.SIG_IGN
    handler = signal.signal(signal.SIGXFSZ, ignored)
    file.write(b"1234\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))  # 3 bytes are left
    try:
        for _ in range(2):
            with pytest.raises(OSError, match=r"No space left|File too large"):
                file.write(b"5678\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    file.write(b"9\n")
    assert log.read_bytes() == b"1234\n567\n9\n"


def test_lines_of_several_processes_stay_whole(log: Path, root: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tagship.disk.appended import Appended\n"
        "file = Appended(Path(sys.argv[1]), Path(sys.argv[2]), 'the audit')\n"
        "for size in range(1, 400): file.write(sys.argv[3].encode() * size * 50 + b'\\n')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "tools")}
    writers = [
        subprocess.Popen([sys.executable, "-c", program, log, root, letter], env=environment)
        for letter in "ab"
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    lines = [line for line in log.read_bytes().splitlines() if line]
    assert len(lines) == 2 * 399
    assert all(len(set(line)) == 1 for line in lines)
