"""Files change in one step or not at all; a lock has one holder, and dies with it."""

import json
import os
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen, run

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.disk import atomic
from tagship.disk import lock as disk_lock
from tagship.errors import Locked

ASK = """\
import sys
from pathlib import Path
from tagship.disk import lock
print(lock.holder(Path(sys.argv[1])))
"""

READER = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_SH)
print("held", flush=True)
sys.stdin.read()
"""
OWNER = {
    "what": "deploy of m@1.0.0",
    "actor": "ada",
    "host": "engine",
    "pid": 1815,
    "since": "2026-11-20T12:00:00Z",
}
# Another process: takes the lock, says so, and holds it until its standard input ends.
HOLDER = """
import json, sys
from pathlib import Path
from tagship.disk import lock
with lock.locked(Path(sys.argv[1]), json.loads(sys.argv[2])):
    print("holds it", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder: tmp_path holds the test's home."""
    empty = tmp_path / "work"
    empty.mkdir()
    empty.chmod(0o755)
    return empty


@pytest.fixture(params=[0, 0o077], ids=["umask 000", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(top: Path) -> dict[str, str]:
    """The mode of everything at and below a folder."""
    return {
        path.relative_to(top.parent).as_posix(): f"{stat.S_IMODE(path.lstat().st_mode):04o}"
        for path in sorted([top, *top.rglob("*")])
    }


@contextmanager
def held_by_another_process(lock: Path) -> Iterator[Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(lock), json.dumps(OWNER)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds it\n"
        yield holder


@pytest.mark.usefixtures("umask")
def test_a_written_file_has_its_bytes_and_the_mode_that_was_asked_for(folder: Path) -> None:
    atomic.write(folder / "a", b"first")
    atomic.write(folder / "a", b"second")
    atomic.write(folder / "b", b"", mode=0o400)
    assert (folder / "a").read_bytes() == b"second"
    assert modes(folder) == {"work": "0755", "work/a": "0644", "work/b": "0400"}


def test_json_is_written_for_people(folder: Path) -> None:
    atomic.write_json(folder / "a.json", {"name": "Åsa", "seen": [1, None]})
    text = '{\n  "name": "Åsa",\n  "seen": [\n    1,\n    null\n  ]\n}\n'
    assert (folder / "a.json").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("value", "error"),
    [
        pytest.param({"a": object()}, TypeError, id="an object"),
        pytest.param({"a": float("nan")}, ValueError, id="not a number"),
    ],
)
def test_what_is_no_json_leaves_the_file_as_it_was(
    folder: Path, value: object, error: type[Exception]
) -> None:
    atomic.write_json(folder / "a.json", 1)
    with pytest.raises(error):
        atomic.write_json(folder / "a.json", value)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a.json": "1\n"}


def test_a_file_in_a_missing_directory_is_not_written(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic.write(folder / "missing" / "a", b"")
    assert list(folder.iterdir()) == []


def test_a_directory_is_not_overwritten_by_a_file_or_a_link(folder: Path) -> None:
    (folder / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic.write(folder / "a", b"")
    with pytest.raises(IsADirectoryError):
        atomic.swap_link(folder / "a", "b")
    assert modes(folder / "a").keys() == {"a"}
    assert os.listdir(folder) == ["a"]


def test_a_link_is_replaced_as_a_link(folder: Path) -> None:
    (folder / "v1").write_text("one")
    atomic.swap_link(folder / "current", "v1")
    atomic.swap_link(folder / "current", "v2")
    assert os.readlink(folder / "current") == "v2"
    assert sorted(os.listdir(folder)) == ["current", "v1"]


def test_who_reads_a_link_while_it_is_swapped_never_finds_it_missing(folder: Path) -> None:
    link = folder / "current"
    atomic.swap_link(link, "v0")
    finished, seen, missed = threading.Event(), set(), []

    def read() -> None:
        while not finished.is_set():
            try:
                seen.add(os.readlink(link))
            except OSError as error:
                missed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(500):
        atomic.swap_link(link, f"v{number % 3}")
    finished.set()
    reader.join()
    assert (seen, missed) == ({"v0", "v1", "v2"}, [])


names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cc", "Cs"]), min_size=1
)


@given(names)
def test_only_temporary_names_are_told_as_temporary(name: str) -> None:
    assert atomic.is_temporary(atomic.temporary_name(Path("/", "x", name)).name)
    assert not atomic.is_temporary(name)


@pytest.mark.usefixtures("umask")
def test_a_protected_tree_is_read_only_and_keeps_its_executables(folder: Path) -> None:
    top = folder / "v1"
    (top / "sub").mkdir(parents=True)
    (top / "model").write_text("")
    (top / "sub" / "run").write_text("")
    (top / "sub" / "run").chmod(0o700)
    atomic.protect_tree(top)
    atomic.sync_tree(top)
    assert modes(top) == {"v1": "0555", "v1/model": "0444", "v1/sub": "0555", "v1/sub/run": "0555"}


def test_a_protected_tree_can_be_removed(folder: Path) -> None:
    (folder / "v1" / "sub").mkdir(parents=True)
    (folder / "v1" / "sub" / "model").write_text("")
    atomic.protect_tree(folder / "v1")
    atomic.remove_tree(folder / "v1")
    atomic.remove_tree(folder / "v1")
    assert os.listdir(folder) == []


def test_removing_a_link_leaves_what_it_leads_to(folder: Path) -> None:
    (folder / "kept").mkdir()
    (folder / "v1").mkdir()
    for link in (folder / "current", folder / "v1" / "inside"):
        link.symlink_to(folder / "kept")
        atomic.remove_tree(link.parent if link.parent != folder else link)
    assert os.listdir(folder) == ["kept"]


def test_a_protected_tree_is_moved_and_stays_protected(folder: Path) -> None:
    for name in ("staging/v1", "versions"):
        (folder / name).mkdir(parents=True)
    atomic.protect_tree(folder / "staging" / "v1")
    atomic.move(folder / "staging" / "v1", folder / "versions" / "v1")
    assert modes(folder / "versions" / "v1") == {"v1": "0555"}
    assert os.listdir(folder / "staging") == []


@pytest.mark.parametrize("kind", ["empty directory", "file", "dangling link"])
def test_nothing_is_moved_onto_what_exists(folder: Path, kind: str) -> None:
    source, target = folder / "v1", folder / "v2"
    source.mkdir()
    if kind == "empty directory":
        target.mkdir()
    elif kind == "file":
        target.write_text("")
    else:
        target.symlink_to("nowhere")
    before = modes(folder)
    with pytest.raises(FileExistsError, match="v2 exists"):
        atomic.move(source, target)
    assert modes(folder) == before


def test_a_move_that_fails_leaves_a_protected_tree_protected(folder: Path) -> None:
    (folder / "v1").mkdir()
    atomic.protect_tree(folder / "v1")
    with pytest.raises(FileNotFoundError):
        atomic.move(folder / "v1", folder / "missing" / "v1")
    assert modes(folder / "v1") == {"v1": "0555"}


def test_a_second_process_is_told_who_holds_the_lock(folder: Path) -> None:
    lock = folder / "lock"
    with held_by_another_process(lock), pytest.raises(Locked) as caught, disk_lock.locked(lock, {}):
        pass
    assert caught.value.message == (
        "deploy of m@1.0.0 is under way: ada@engine, process 1815, since 2026-11-20T12:00:00Z"
    )
    assert caught.value.hint == "try again when it is done, or wait for it with --wait SECONDS"


@pytest.mark.parametrize("card", [None, "{", "{}"], ids=["no card", "no JSON", "no name"])
def test_a_lock_whose_holder_has_not_said_who_it_is_is_held_all_the_same(
    folder: Path, card: str | None
) -> None:
    lock = folder / "lock"
    with disk_lock.locked(lock, OWNER):
        (folder / "lock.json").unlink()
        if card is not None:
            (folder / "lock.json").write_text(card)
        with pytest.raises(Locked) as caught, disk_lock.locked(lock, {}):
            pass
    assert caught.value.message == "another process works on this model"
    assert caught.value.hint == "try again when it is done"


def test_who_may_not_write_a_lock_is_told_its_holder(folder: Path) -> None:
    """As another user, or on a read-only file system."""
    words = [sys.executable, "-c", ASK, str(folder / "lock")]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv: nothing is forbidden")
        words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *words]
    with disk_lock.locked(folder / "lock", OWNER):
        (folder / "lock").chmod(0o444)
        held = run(words, capture_output=True, text=True, check=True).stdout
    free = run(words, capture_output=True, text=True, check=True).stdout
    assert (held.partition(":")[0], free) == ("deploy of m@1.0.0 is under way", "None\n")


def test_a_lock_is_free_when_its_holder_is_killed(folder: Path) -> None:
    lock, card = folder / "lock", folder / "lock.json"
    with held_by_another_process(lock) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert json.loads(card.read_bytes()) == OWNER
        with disk_lock.locked(lock, {**OWNER, "pid": 1843}):
            assert json.loads(card.read_bytes())["pid"] == 1843
    assert not card.exists()


def test_a_lock_is_free_when_what_it_guarded_failed(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), disk_lock.locked(folder / "lock", OWNER):
        raise ZeroDivisionError
    with disk_lock.locked(folder / "lock", OWNER):
        assert sorted(os.listdir(folder)) == ["lock", "lock.json"]


def test_a_lock_can_be_waited_for(folder: Path) -> None:
    lock = folder / "lock"
    with held_by_another_process(lock) as holder:
        with pytest.raises(Locked), disk_lock.locked(lock, {}, wait=0.1):
            pass
        timer = threading.Timer(0.1, holder.kill)
        timer.start()
        with disk_lock.locked(lock, OWNER, wait=60):
            assert holder.wait() == -signal.SIGKILL


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="no /proc/locks")
def test_a_reader_that_locks_the_file_is_named_whatever_a_killed_run_left(folder: Path) -> None:
    lock = folder / "lock"
    with disk_lock.locked(lock, OWNER):
        pass
    (folder / "lock.json").write_text(json.dumps({**OWNER, "host": os.uname().nodename}))
    command = [sys.executable, "-c", READER, str(lock)]
    with Popen(command, stdin=PIPE, stdout=PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.read(4) == b"held"
        with pytest.raises(Locked) as caught, disk_lock.locked(lock, {}):
            pass
        reader.kill()
    told = f"another process works on this model: process {reader.pid} holds {lock}"
    assert caught.value.message == told
