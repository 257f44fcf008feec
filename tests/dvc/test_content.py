"""The bytes behind pointers: listed, fetched, copied, read, from Git and from DVC alike."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tagship.disk.files import File
from tagship.dvc.content import Content
from tagship.dvc.pointers import Blob, Cached, Pointer
from tagship.errors import Corrupt, NotFound, Unavailable
from tagship.progress import Advance, Progress
from tests.cli.test_progress import Watch
from tests.workbench import PATH, Workbench

MODEL = b"model 1\n"
SHA256 = hashlib.sha256(MODEL).hexdigest()


def counting(what: str, counts: list[int]) -> Progress:
    """A progress that keeps the bytes of what is done under one name."""

    @contextlib.contextmanager
    def progress(doing: str, total: int | None) -> Iterator[Advance]:
        yield counts.append if doing == what else lambda count: None

    return progress


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
    assert content.bring([pointer], tmp_path / "a") == (expected,)
    assert content.digest(pointer) == expected
    assert content.read(pointer) == (tmp_path / "a" / name).read_bytes() == MODEL
    executable = replace(pointer, executable=True)
    assert content.bring([executable], tmp_path / "run") == (replace(expected, executable=True),)
    assert (tmp_path / "run" / name).stat().st_mode & 0o777 == 0o755


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


@pytest.mark.released
def test_what_the_cache_lacks_comes_from_the_remote_once_and_fills_no_cache(
    bench: Workbench, tmp_path: Path
) -> None:
    pointer = kept_by_dvc(bench)
    twin = replace(pointer, path="twin.bin")
    fetched: list[int] = []
    content = bench.manager.source.content(counting("fetching", fetched))
    assert content.lacking([pointer, twin]) == ()
    content.cache.drop(pointer)
    assert [missing.digest for missing in content.lacking([pointer, twin])] == [pointer.digest]
    files = content.bring([pointer, twin], tmp_path)
    assert [(file.path, file.sha256) for file in files] == [
        ("model.bin", SHA256), ("twin.bin", SHA256),
    ]  # fmt: skip
    assert sum(fetched) == len(MODEL)
    assert content.lacking([pointer]) == (pointer,)


def test_what_a_version_directory_has_is_not_fetched(bench: Workbench, tmp_path: Path) -> None:
    pointer = kept_by_dvc(bench)
    kept = tmp_path / "kept.bin"
    kept.write_bytes(MODEL)
    content = bench.manager.source.content(kept=lambda: {pointer.digest: kept})
    content.cache.drop(pointer)  # and no remote has it
    assert [file.sha256 for file in content.bring([pointer], tmp_path / "a")] == [SHA256]
    kept.write_bytes(b"MODEL 1\n")
    with pytest.raises(Unavailable):
        content.bring([pointer], tmp_path / "b")


@pytest.mark.parametrize("act", ["bring", "digest"])
@pytest.mark.released
def test_other_bytes_in_the_cache_are_dropped_and_the_remote_is_asked(
    bench: Workbench, tmp_path: Path, act: str
) -> None:
    pointer, content = kept_by_dvc(bench), bench.manager.source.content()
    path = content.cache.path(pointer)
    path.chmod(0o644)
    path.write_bytes(b"MODEL 1\n")
    assert content.read(pointer) is None
    with pytest.raises(Corrupt):
        content.check_cached([pointer])
    (file,) = (
        [content.digest(pointer)] if act == "digest" else content.bring([pointer], tmp_path / "a")
    )
    assert file.sha256 == SHA256
    assert not path.exists()


@pytest.mark.released
def test_a_remote_that_sends_more_than_was_recorded_is_cut_off(
    bench: Workbench, tmp_path: Path
) -> None:
    pointer, content = kept_by_dvc(bench), bench.manager.source.content()
    content.cache.drop(pointer)
    (path,) = (path for path in bench.repo.with_name("dvc-remote").rglob("*") if path.is_file())
    path.chmod(0o644)
    path.write_bytes(MODEL * 2)
    for promised in (pointer, replace(pointer, size=None, share=("folder", 8))):
        with pytest.raises(Corrupt) as caught:
            content.bring([promised], tmp_path / str(promised.size))
        assert "sends more" in caught.value.message


def folder_in_remote(bench: Workbench, content: Content, sizes: dict[str, int]) -> Cached:
    """A tracked folder that the remote has and the cache lacks, with the size that DVC records."""
    files = {path: path.encode() * size for path, size in sizes.items()}
    entries = [{"md5": md5(data), "relpath": path} for path, data in files.items()]
    listed = json.dumps(entries).encode()
    for data, suffix in [(listed, ".dir"), *((data, "") for data in files.values())]:
        digest = md5(data) + suffix
        place = bench.repo.with_name("dvc-remote") / "files/md5" / digest[:2] / digest[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    total = sum(map(len, files.values()))
    pointer = kept_by_dvc(bench)
    assert content.lacking([pointer]) == ()
    return replace(pointer, path="bundle", digest=f"{md5(listed)}.dir", size=total, place="bundle")


@pytest.mark.parametrize(
    ("here", "within", "totals"),
    [
        ((), "", [("fetching", 600, 600)]),
        (("a",), "", [("copying", 100, 100), ("fetching", 500, 500)]),
        (("a", "c"), "", [("copying", 400, 400), ("fetching", 200, 200)]),
        (("a", "b", "c"), "", [("copying", 600, 600)]),
        (("a",), "b", [("fetching", None, 200)]),
    ],
    ids=["nothing", "one file", "two files", "all", "a part is wanted"],
)
def test_progress_counts_what_is_left_of_a_folder_of_which_a_part_is_here(
    bench: Workbench, tmp_path: Path, here: tuple[str, ...], within: str,
    totals: list[tuple[str, int | None, int]],
) -> None:  # fmt: skip
    watch = Watch()
    content = bench.manager.source.content(watch)
    folder = folder_in_remote(bench, content, {"a": 100, "b": 200, "c": 300})
    for path in here:
        put(content, path.encode() * {"a": 100, "c": 300}.get(path, 200), path)
    content.bring(content.listing(replace(folder, within=within)), tmp_path)
    assert watch.told == totals


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
