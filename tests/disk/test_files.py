"""Files of a version: which paths may be, how they are copied and hashed, what is found changed."""

import errno
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.disk import files
from tagship.disk.files import File, Problem
from tagship.errors import Corrupt
from tagship.text import paths

BIG = hashlib.shake_128(b"no block is like another").digest(2 * files.BLOCK + 10)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version directory with its metadata, of ``FILES``."""
    top = tmp_path / "v1"
    (top / "model" / "sub").mkdir(parents=True)
    for file in FILES:
        (top / file.path).write_bytes(CONTENT[file.path])
        (top / file.path).chmod(0o755 if file.executable else 0o644)
    (top / "metadata.json").write_text("{}")
    return top


def digests(data: bytes, name: str = "target") -> File:
    return File(name, len(data), hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest())


CONTENT = {"model/a": b"aaa", "model/sub/b": b"bbb", "run": b"#!/bin/sh\n", "é 1": b""}
FILES = [
    File(path, len(data), digests(data).md5, digests(data).sha256, executable=path == "run")
    for path, data in CONTENT.items()
]


@pytest.mark.parametrize("path", [
    "model.cbm", "model/variables/0", "a b", "é/ü.bin", "模型.keras", "...", ".gitignore",
    ".dvcignore", "models:big", "~", "-rf", "a.git", "x" * 255,
])  # fmt: skip
def test_a_path_below_the_version_is_fine(path: str) -> None:
    assert paths.check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("", id="empty"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("//host/share", id="absolute with a host"),
        pytest.param("..", id="parent"),
        pytest.param("a/../../b", id="parent inside"),
        pytest.param(".", id="itself"),
        pytest.param("a/./b", id="itself inside"),
        pytest.param("a//b", id="empty part"),
        pytest.param("a/", id="empty last part"),
        pytest.param("a\\b", id="backslash"),
        pytest.param("C:/a", id="drive"),
        pytest.param("c:a", id="drive without a slash"),
        pytest.param("a\nb", id="newline"),
        pytest.param("a\0b", id="NUL"),
        pytest.param("a\x1b[2J", id="escape"),
        pytest.param("a\x7f", id="delete"),
        pytest.param(".git/config", id="Git's folder"),
        pytest.param("sub/.git", id="Git's folder inside"),
        pytest.param(".GIT/config", id="Git's folder where case does not count"),
        pytest.param(".dvc/config", id="DVC's folder"),
    ],
)
def test_no_other_path_is(path: str) -> None:
    with pytest.raises(Corrupt) as caught:
        paths.check_path(path)
    assert caught.value.message == f"{path!r} is not a valid path in a version"
    assert caught.value.hint == "rename it and release again"


@given(st.lists(st.sampled_from([*"aZ9_-. /~:\\\n", ".git", "git~1"])).map("".join))
def test_a_path_of_plain_letters_is_judged_like_any_other(path: str) -> None:
    assert paths.is_path(path) == paths.is_path(f"{path}/é")  # which is not so plain


@given(st.text(st.sampled_from("a./\\:C\0é"), max_size=8))
def test_a_path_that_is_fine_stays_below_the_version(path: str) -> None:
    try:
        paths.check_path(path)
    except Corrupt:
        return
    assert os.path.normpath(f"/versions/v1/{path}") == f"/versions/v1/{path}"


@pytest.mark.parametrize(
    "data", [b"", b"model 1\n", BIG], ids=["empty", "one block", "several blocks"]
)
def test_a_copy_has_the_bytes_and_digests_of_its_source(tmp_path: Path, data: bytes) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(data)
    copied: list[int] = []
    hashed: list[int] = []
    assert files.copy(source, target, copied.append) == digests(data)
    assert files.digest(target, hashed.append) == digests(data)
    assert target.read_bytes() == data
    assert (sum(copied), sum(hashed)) == (len(data), len(data))
    assert source.stat().st_ino != target.stat().st_ino


@pytest.mark.parametrize("seconds", [0, 0.01, 0.2], ids=["fast", "slow", "very slow"])
def test_a_long_file_is_hashed_in_its_order_however_fast_the_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(os, "fdatasync", lambda _: time.sleep(seconds))
    data = hashlib.shake_128(b"long").digest(12 * files.AHEAD * files.BLOCK + 1)
    (tmp_path / "source").write_bytes(data)
    counts: list[int] = []
    assert files.copy(tmp_path / "source", tmp_path / "target", counts.append) == digests(data)
    assert (tmp_path / "target").read_bytes() == data
    assert files.digest(tmp_path / "source") == digests(data, "source")
    assert sum(counts) == len(data)


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_disk_that_fails_while_a_long_file_is_copied_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    calls: list[int] = []

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == fails_at:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    (tmp_path / "source").write_bytes(BIG * 20)
    with pytest.raises(OSError, match="Input/output error") as caught:
        files.copy(tmp_path / "source", tmp_path / "target")
    assert not isinstance(caught.value, files.Unreadable)  # of the disk, not of the source


@pytest.mark.parametrize("kind", ["link", "dangling link", "fifo", "folder", "nothing"])
def test_only_a_regular_file_is_copied_or_hashed(tmp_path: Path, kind: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (tmp_path / "real").write_bytes(b"real")
    if kind == "link":
        source.symlink_to("real")
    elif kind == "dangling link":
        source.symlink_to("nowhere")
    elif kind == "fifo":
        os.mkfifo(source)
    elif kind == "folder":
        source.mkdir()
    with pytest.raises(OSError, match="source"):
        files.copy(source, target)
    with pytest.raises(OSError, match="source"):
        files.digest(source)
    assert not target.exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_copy_never_writes_into_what_is_there(tmp_path: Path, kind: str) -> None:
    for name in ("source", "cached"):
        (tmp_path / name).write_text(name)
    target = tmp_path / "target"
    if kind == "file":
        target.write_text("cached")
    else:
        target.symlink_to("cached")
    with pytest.raises(FileExistsError):
        files.copy(tmp_path / "source", target)
    assert target.read_text() == "cached"


def test_a_version_with_all_its_files_has_no_problem(version: Path) -> None:
    assert files.verify(version, FILES) == []
    assert files.verify(version, FILES, deep=False) == []


def truncate(top: Path) -> None:
    (top / "model/sub/b").write_bytes(b"")


def remove(top: Path) -> None:
    (top / "model/a").unlink()


def add(top: Path) -> None:
    (top / "model/metadata.json").write_text("{}")


def link(top: Path) -> None:
    (top / "model/a").rename(top.parent / "a")
    (top / "model/a").symlink_to(top.parent / "a")


def link_a_folder(top: Path) -> None:
    (top / "model").rename(top.parent / "model")
    (top / "model").symlink_to(top.parent / "model")


def make_a_folder(top: Path) -> None:
    (top / "run").unlink()
    (top / "run").mkdir()


def make_a_fifo(top: Path) -> None:
    (top / "run").unlink()
    os.mkfifo(top / "run")


def make_executable(top: Path) -> None:
    (top / "model/a").chmod(0o755)


def make_not_executable(top: Path) -> None:
    (top / "run").chmod(0o644)


def remove_all(top: Path) -> None:
    top.rename(top.parent / "gone")


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (truncate, {"model/sub/b": "is cut short: has 0 bytes instead of 3"}),
        (remove, {"model/a": "is missing"}),
        (add, {"model/metadata.json": "is not of this version"}),
        (link, {"model/a": "is not a regular file"}),
        (
            link_a_folder,
            {
                "model": "is not of this version",
                "model/a": "is missing",
                "model/sub/b": "is missing",
            },
        ),
        (make_a_folder, {"run": "is missing"}),
        (make_a_fifo, {"run": "is not a regular file"}),
        (make_executable, {"model/a": "has another executable bit"}),
        (make_not_executable, {"run": "has another executable bit"}),
        (remove_all, dict.fromkeys(sorted(CONTENT), "is missing")),
    ],
)
@pytest.mark.parametrize("deep", [True, False], ids=["hashed", "looked at"])
def test_a_changed_version_is_found_out(
    version: Path, change: Callable[[Path], None], problems: dict[str, str], deep: bool
) -> None:
    change(version)
    result = files.verify(version, FILES, deep=deep)
    assert result == [Problem(path, what) for path, what in problems.items()]


def test_an_edit_that_keeps_the_size_is_found_by_hashing_alone(version: Path) -> None:
    (version / "model/a").write_bytes(b"axa")
    assert files.verify(version, FILES, deep=False) == []
    assert files.verify(version, FILES) == [
        Problem("model/a", "has other bytes than it was deployed with")
    ]
