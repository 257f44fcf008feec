"""The bytes behind pointers: listed, fetched, copied, read, from Git and from DVC alike."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tagship.disk.files import File
from tagship.dvc.content import Content
from tagship.dvc.pointers import Blob, Cached, Pointer
from tagship.errors import Corrupt, NotFound, Unavailable
from tests.workbench import PATH, Workbench

MODEL = b"model 1\n"
SHA256 = hashlib.sha256(MODEL).hexdigest()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def put(content: Content, data: bytes, path: str, suffix: str = "") -> Cached:
    """An object in the cache, and a pointer to it."""
    pointer = Cached(path, md5(data) + suffix, len(data))
    place = content.cache.path(pointer)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return pointer


def folder_of(content: Content, *paths: str) -> Cached:
    """A tracked folder whose files all hold the model."""
    inner = put(content, MODEL, "")
    entries = [{"md5": inner.digest, "relpath": path} for path in paths]
    return put(content, json.dumps(entries).encode(), "bundle", ".dir")


def kept_by_git(bench: Workbench) -> Blob:
    (bench.repo / "plain.bin").write_bytes(MODEL)
    (bench.repo / "dvc.yaml").write_text("artifacts: {churn: {path: plain.bin}}\n")
    commit = bench.commit()
    (pointer,) = bench.manager.source.snapshot(commit, "churn").pointers
    assert isinstance(pointer, Blob)
    return pointer


def kept_by_dvc(bench: Workbench) -> Cached:
    commit = bench.git("rev-parse", "HEAD").strip()
    (pointer,) = bench.manager.source.snapshot(commit, "churn").pointers
    assert isinstance(pointer, Cached)
    return pointer


@pytest.mark.parametrize(
    ("kept", "name"), [(kept_by_git, "plain.bin"), (kept_by_dvc, "model.bin")], ids=["Git", "DVC"]
)
def test_a_file_is_the_same_copied_hashed_and_read(
    bench: Workbench, tmp_path: Path, kept: Callable[[Workbench], Pointer], name: str
) -> None:
    pointer, content = kept(bench), bench.manager.source.content()
    expected = File(name, 8, md5(MODEL), SHA256)
    assert content.listing(pointer) == (pointer,)
    assert content.bring(pointer, tmp_path / "a/target") == expected
    assert content.digest(pointer) == expected
    assert content.read(pointer) == (tmp_path / "a/target").read_bytes() == MODEL
    executable = replace(pointer, executable=True)
    assert content.bring(executable, tmp_path / "run") == replace(expected, executable=True)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755


def test_a_tracked_folder_lists_its_files_under_its_name(bench: Workbench) -> None:
    content = bench.manager.source.content(offline=True)
    folder = folder_of(content, "weights/a", "weights/b", "weights2")
    paths = [pointer.path for pointer in content.listing(folder)]
    assert paths == ["bundle/weights/a", "bundle/weights/b", "bundle/weights2"]


@pytest.mark.parametrize(
    ("path", "within", "paths"),
    [
        ("weights", "weights", ["weights/a", "weights/b"]),
        ("a", "weights/a", ["a"]),
    ],
)
def test_a_part_of_a_tracked_folder_lists_only_that(
    bench: Workbench, path: str, within: str, paths: list[str]
) -> None:
    content = bench.manager.source.content(offline=True)
    folder = folder_of(content, "weights/a", "weights/b", "weights2")
    part = replace(folder, path=path, within=within)
    assert [pointer.path for pointer in content.listing(part)] == paths
    assert content.total([part]) == 8 * len(paths)
    with pytest.raises(NotFound) as caught:
        content.listing(replace(folder, within="absent"))
    assert caught.value.message == "absent is not in bundle, which DVC tracks"


def test_what_the_cache_lacks_is_fetched_once(bench: Workbench, tmp_path: Path) -> None:
    bench.release()
    pointer = kept_by_dvc(bench)
    twin = replace(pointer, path="twin.bin")
    content = bench.manager.source.content()
    assert content.lacking([pointer, twin]) == ()
    content.cache.drop(pointer)
    assert [missing.digest for missing in content.lacking([pointer, twin])] == [pointer.digest]
    assert content.room([pointer], [pointer, twin]) == (content.cache.folder, 8, 1)
    with pytest.raises(Unavailable) as caught:
        bench.manager.source.content(offline=True).fetch([pointer])
    assert caught.value.message == f"the DVC cache lacks md5:{md5(MODEL)}"
    content.fetch([pointer, twin])
    assert content.room([pointer], [pointer, twin]) == (content.cache.folder, 0, 0)
    assert content.bring(twin, tmp_path / "twin.bin").sha256 == SHA256


def test_other_bytes_in_the_cache_are_not_read_and_are_fetched_again(
    bench: Workbench, tmp_path: Path
) -> None:
    bench.release()
    pointer, content = kept_by_dvc(bench), bench.manager.source.content()
    path = content.cache.path(pointer)
    path.chmod(0o644)
    path.write_bytes(b"MODEL 1\n")
    assert content.read(pointer) is None
    with pytest.raises(Corrupt):
        content.check_cached([pointer])
    assert content.digest(pointer).sha256 == SHA256
    assert path.read_bytes() == MODEL


def test_an_object_is_pushed_once_and_a_blob_never(bench: Workbench) -> None:
    content = bench.manager.source.content()
    pointer = kept_by_dvc(bench)
    blob = Blob("other.bin", "0" * 40, 3)
    assert content.remote.routes.takes(pointer)
    assert content.push([pointer, replace(pointer, path="twin.bin"), blob]) == 1
    assert content.push([pointer]) == 0


def test_a_pointer_names_what_the_model_file_is(bench: Workbench) -> None:
    pointer = kept_by_dvc(bench)
    assert str(pointer) == f"md5:{md5(MODEL)}"
    assert (pointer.path, pointer.size, pointer.md5) == (Path(PATH).name, 8, md5(MODEL))
    assert str(replace(pointer, legacy=True)) == f"md5-dos2unix:{md5(MODEL)}"
    assert replace(pointer, legacy=True).md5 == ""
