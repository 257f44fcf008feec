"""What one carrier alone does: a folder its links, modes and locks, a bucket its conditions."""

import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagship.carry import bucket, folder, places, reach
from tagship.carry.bucket import Bucket
from tagship.carry.carrier import Capsule, Changed, Index, Object
from tagship.carry.folder import Folder
from tagship.dvc import places as dvc_places
from tagship.errors import Corrupt, Refused, Unavailable
from tagship.stores import store as stores
from tagship.stores.failures import Kind, StoreError
from tagship.stores.options import Plan
from tagship.stores.store import Store
from tagship.stores.stream import Allowance

MD5 = Object("d41d8cd98f00b204e9800998ecf8427e")
SHA = Capsule("churn", "0" * 64)


def nothing(count: int) -> None:
    pass


# --- which carrier


def test_an_address_says_which_carrier(tmp_path: Path) -> None:
    assert places.of(str(tmp_path), {}) == Folder(tmp_path)
    assert isinstance(
        places.of("s3://bucket/dvc", {"access_key_id": "a", "secret_access_key": "b"}), Bucket
    )
    with pytest.raises(Refused) as caught:
        places.of("ftp://ada:hunter2@example.com/dvc", {})
    assert caught.value.message == "nothing carries versions at ftp://example.com/dvc"
    with pytest.raises(Refused, match="cannot be reached by obstore with its options"):
        places.of("s3://bucket/dvc", {"sse_kms_unknown": "x"})


def test_without_obstore_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_places, "store", lambda options: None)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(Unavailable) as caught:
        places.of("gs://bucket/dvc", {})
    assert caught.value.hint == 'pip install "tagship[gs]"'


# --- a folder


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    place = Folder(tmp_path / "mounted")
    (tmp_path / "source").write_bytes(b"")
    for act in (
        lambda: place.index("churn"),
        lambda: place.write_index("churn", b"{}", ""),
        lambda: place.put(MD5, tmp_path / "source", nothing),
        lambda: place.size(MD5),
    ):
        with pytest.raises(Unavailable) as caught:
            act()
        assert caught.value.message == f"{tmp_path}/mounted is not there"
        assert caught.value.hint == f"mount it, or make it: mkdir -p {tmp_path}/mounted"
    assert not (tmp_path / "mounted").exists()


@pytest.mark.parametrize(
    "link", ["files", "files/md5/d4", "tagship", "tagship/churn", "tagship/churn/index.json"]
)
def test_no_link_is_followed(tmp_path: Path, link: str) -> None:
    place, outside = Folder(tmp_path / "place"), tmp_path / "outside"
    for top in (place.path, outside):
        for path in (MD5.path, SHA.path, "tagship/churn/index.json"):
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(b"secret")
    inner = place.path / link
    shutil.rmtree(inner) if inner.is_dir() else inner.unlink()
    inner.symlink_to(outside / link)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    (tmp_path / "source").write_bytes(b"new")
    of_files = link.startswith("files")
    acts: list[Callable[[], object]] = [
        lambda: place.index("churn"),
        lambda: place.write_index("churn", b"{}", ""),
    ]
    if of_files:
        acts = [
            lambda: place.size(MD5),
            lambda: list(place.blocks(MD5, Allowance(99))),
            lambda: place.put(MD5, tmp_path / "source", nothing),
        ]
    for act in acts:
        with pytest.raises(Unavailable, match="is reached by a link, or is of another kind"):
            act()
    assert before == {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "tagship" / "churn").mkdir(parents=True)
    os.mkfifo(tmp_path / "tagship" / "churn" / "index.json")
    with pytest.raises(Corrupt, match="not a regular file"):
        Folder(tmp_path).index("churn")


@pytest.mark.parametrize("name", [Object("a" * 32), Capsule("churn", "a" * 64)])
def test_a_folder_where_a_file_should_be_is_named(tmp_path: Path, name: Object | Capsule) -> None:
    place, path = Folder(tmp_path), tmp_path / name.path
    index = tmp_path / "tagship" / "churn" / "index.json"
    path.mkdir(parents=True)
    index.mkdir(parents=True)
    source = tmp_path / "source"
    source.write_bytes(b"x")
    for act, at in (
        (lambda: place.size(name), path),
        (lambda: list(place.blocks(name, Allowance(100))), path),
        (lambda: place.put(name, source, lambda _: None), path),
        (lambda: place.index("churn"), index),
        (lambda: place.write_index("churn", b"x", ""), index),
    ):
        with pytest.raises(Corrupt) as caught:
            act()
        assert caught.value.message == f"{at} is a folder"
        assert caught.value.hint.startswith(f"move it away: mv {at} {at}.old; ")


@pytest.mark.parametrize("mode, lock", [(0o755, 0o644), (0o2775, 0o664)])
def test_who_shares_a_folder_shares_what_is_below(tmp_path: Path, mode: int, lock: int) -> None:
    place = Folder(tmp_path / "place")
    place.path.mkdir()
    place.path.chmod(mode)
    (tmp_path / "source").write_bytes(b"")
    os.umask(0o077)
    try:
        place.write_index("churn", b"{}", "")
        place.put(MD5, tmp_path / "source", nothing)
    finally:
        os.umask(0o022)
    modes = {
        path.relative_to(place.path).as_posix(): path.stat().st_mode & 0o7777
        for path in place.path.rglob("*")
    }
    assert {modes[name] for name in ("files", "files/md5", "files/md5/d4", "tagship")} == {mode}
    assert modes["tagship/churn/index.json"] == 0o644
    assert modes["tagship/churn/index.lock"] == lock
    assert modes[MD5.path] == 0o444


def test_a_writer_that_hangs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "WAIT", 0.1)
    place = Folder(tmp_path)
    place.write_index("churn", b"{}", "")
    path = tmp_path / "tagship" / "churn" / "index.lock"
    with open(path) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable) as caught:
            place.write_index("churn", b"{}", "")
    assert caught.value.hint == f"who is it? fuser -v {path}"


def test_a_file_system_without_locks_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(file: int, how: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "none")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    place = Folder(tmp_path)
    place.write_index("churn", b"{}", "")
    with pytest.raises(Changed):
        place.write_index("churn", b"[]", "")


def test_what_a_killed_writer_left_is_no_object(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    (tmp_path / "source").write_bytes(b"")
    place.put(MD5, tmp_path / "source", nothing)
    (tmp_path / MD5.path).rename((tmp_path / MD5.path).with_name(".x.0123456789ab.tmp"))
    assert place.size(MD5) is None


# --- a bucket


class Loose(Store):
    """A store that takes conditions, and does not look at them."""

    def replace(self, key: str, data: bytes, mark: str) -> None:
        self.write(key, data)


class Plain(Store):
    """A store that takes no conditions."""

    def replace(self, key: str, data: bytes, mark: str) -> None:
        raise StoreError(Kind.NO_CONDITIONS)


class Raced(Plain):
    """The same, and somebody else always writes a moment later."""

    def write(self, key: str, data: bytes) -> None:
        super().write(key, b"theirs")


def in_memory(kind: type[Store], memory: Any) -> Bucket:
    """A bucket in the memory of this process."""
    store = kind(Plan("s3", "bucket"), {})
    place = Bucket(store, "s3://bucket")
    for each in (store, place._quick):
        each.__dict__["_client"] = memory
    return place


@pytest.fixture
def memory() -> Any:
    from obstore.store import MemoryStore

    return MemoryStore()


@pytest.mark.parametrize("kind", [Loose, Plain])
def test_a_store_without_conditions_is_read_again(kind: type[Store], memory: Any) -> None:
    place = in_memory(kind, memory)
    place.write_index("churn", b"one", "")
    first = place.index("churn")
    assert first is not None
    place.write_index("churn", b"two", first.mark)
    assert place.index("churn", first.mark) == Index(b"two", place.index("churn").mark)  # type: ignore[union-attr] # it is there


def test_without_conditions_another_index_is_not_written_over(memory: Any) -> None:
    place = in_memory(Plain, memory)
    place.write_index("churn", b"one", "")
    with pytest.raises(Changed):
        place.write_index("churn", b"two", "")


def test_whose_index_is_gone_when_it_is_read_back_is_told(memory: Any) -> None:
    with pytest.raises(Changed):
        in_memory(Raced, memory).write_index("churn", b"one", "")


def test_a_mark_says_etag_and_generation() -> None:
    assert stores._mark({"e_tag": '"a"', "version": "17"}, b"") == '"a" 17'
    assert stores._parts('"a" 17') == {"e_tag": '"a"', "version": "17"}
    assert stores._parts('"a"') == {"e_tag": '"a"'}
    own = stores._mark({"e_tag": None, "version": None}, b"x")
    assert own.startswith("sha256:")
    with pytest.raises(StoreError) as caught:
        Store(Plan("s3", "bucket"), {}).replace("key", b"", own)
    assert caught.value.kind is Kind.NO_CONDITIONS


def test_nothing_is_written_by_http(tmp_path: Path) -> None:
    place = places.of("http://127.0.0.1:1/dvc", {})
    (tmp_path / "source").write_bytes(b"")
    acts: list[Callable[[], object]] = [
        lambda: place.put(MD5, tmp_path / "source", nothing),
        lambda: place.write_index("churn", b"{}", ""),
    ]
    for act in acts:
        with pytest.raises(Refused, match="can only be read"):
            act()


@pytest.mark.parametrize("kind", Kind)
def test_each_failure_of_a_store_has_a_hint(kind: Kind) -> None:
    error = reach.unavailable("s3://bucket", StoreError(kind), "read", bucket.ADVICE)
    assert error.message == f"s3://bucket cannot be read: {kind.value}"
    assert error.hint
