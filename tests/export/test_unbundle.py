"""A bundle taken in: whole, or not at all; and by the rules of this machine."""

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tagship import TagshipError, Workspace
from tagship.carry import index
from tagship.carry.carrier import LARGEST_INDEX, Object
from tagship.carry.folder import Folder
from tagship.cli import output
from tagship.errors import Corrupt
from tagship.export.unbundle import Origin, Unbundled
from tagship.progress import Advance
from tests.accounts import READER
from tests.export import bundles
from tests.workbench import Result, Workbench


def always(_: Origin) -> bool:
    return True


def files(folder: Path) -> dict[str, bytes]:
    """All that is in a folder, by path."""
    if not folder.exists():
        return {}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def file(bench: Workbench, tmp_path: Path) -> Path:
    """The bundle of 1.0.0, which is released."""
    bench.manager.bundle(tmp_path / "x.tar", "1.0.0")
    return tmp_path / "x.tar"


@pytest.fixture
def gap(tmp_path: Path) -> Path:
    """A folder where no repository is."""
    (tmp_path / "gap").mkdir()
    return tmp_path / "gap"


def take(gap: Path, file: Path) -> Unbundled:
    return Workspace(gap).unbundle(file, gap / "place", accept=always)


def tags(place: Path) -> list[str]:
    folder = Folder(place)
    found = folder.index("churn")
    assert found is not None
    return list(index.parse(found.data, "churn", "here"))


@pytest.mark.released
def test_a_bundle_is_a_place_afterwards_and_a_dvc_remote(
    bench: Workbench, file: Path, gap: Path
) -> None:
    place = gap / "place"
    told = bench.cli_in(gap, "unbundle", str(file), str(place), "--yes")
    digest = bench.manager.bundle(file.with_name("again.tar")).digest
    taken = f"churn@v1.0.0 is in {place} (1 object, 8 B)\n  new: churn@v1.0.0\n"
    assert told == Result(0, f"{taken}  digest: {digest}\n", "")
    there = files(place)
    assert there == {**there, **files(bench.repo.parent / "dvc-remote")}
    assert tags(place) == ["churn@v1.0.0"]
    (capsule,) = (place / "tagship/churn/capsules").iterdir()
    kinds = {"index.json", "index.lock", capsule.name}
    assert {Path(name).name for name in there if name.startswith("tagship")} == kinds
    modes = {path.name: path.stat().st_mode & 0o777 for path in place.rglob("*") if path.is_file()}
    assert {modes[name] for name in modes if not name.startswith("index")} == {0o444}


@pytest.mark.released
def test_the_same_again_changes_nothing_and_what_is_damaged_is_whole_again(
    file: Path, gap: Path
) -> None:
    assert take(gap, file).new == ("churn@v1.0.0",)
    before = files(gap)
    (model,) = (gap / "place/files/md5").glob("*/*")
    model.chmod(0o644)
    model.write_text("damaged")
    assert take(gap, file).new == ()
    assert files(gap) == before


@pytest.mark.released
def test_where_the_index_there_is_damaged_its_file_is_named(file: Path, gap: Path) -> None:
    take(gap, file)
    damaged = gap / "place/tagship/churn/index.json"
    for data in (b"{", b" " * (LARGEST_INDEX + 1)):
        damaged.write_bytes(data)
        with pytest.raises(Corrupt) as caught:
            take(gap, file)
        hint = f"remove it, and take the bundles in again: rm {damaged}"
        assert caught.value.hint == hint
    damaged.unlink()
    assert take(gap, file).new == ("churn@v1.0.0",)


@pytest.mark.released
def test_a_later_bundle_adds_its_tags(bench: Workbench, file: Path, gap: Path) -> None:
    bench.train("model 2\n")
    bench.release()
    bench.git("tag", "-a", "-m", "to production", "churn#prod#1", "HEAD")
    bench.manager.bundle(file.with_name("y.tar"), "1.1.0")
    take(gap, file)
    second = Workspace(gap).unbundle(str(file.with_name("y.tar")), gap / "place")
    assert second.new == ("churn#prod#1", "churn@v1.1.0")
    assert tags(gap / "place") == ["churn#prod#1", "churn@v1.0.0", "churn@v1.1.0"]
    assert take(gap, file).new == ()  # an older one takes nothing back
    assert tags(gap / "place") == ["churn#prod#1", "churn@v1.0.0", "churn@v1.1.0"]


@pytest.mark.released
def test_it_is_read_from_a_pipe_too(bench: Workbench, file: Path, gap: Path) -> None:
    command = [sys.executable, "-m", "tagship", "unbundle", "-", "place", "--json"]
    with file.open("rb") as opened:
        cat = subprocess.Popen(["cat"], stdin=opened, stdout=subprocess.PIPE)
        done = subprocess.run(
            [*command, "--yes"], cwd=gap, stdin=cat.stdout, capture_output=True, check=True
        )
        cat.wait()
    told = json.loads(done.stdout)
    assert told["versions"] == ["churn@v1.0.0"]
    assert told["digest"] == bench.manager.bundle(file.with_name("y.tar")).digest
    assert tags(gap / "place") == ["churn@v1.0.0"]


@pytest.mark.released
def test_the_first_bundle_of_a_model_is_shown_and_asked_for(file: Path, gap: Path) -> None:
    shown: list[Origin] = []

    def never(origin: Origin) -> bool:
        shown.append(origin)
        return False

    with pytest.raises(TagshipError, match="was not accepted"):
        Workspace(gap).unbundle(file, gap / "place", accept=never)
    with pytest.raises(TagshipError, match="nothing of churn was seen here") as caught:
        Workspace(gap).unbundle(file, gap / "place")
    assert "--yes" in caught.value.hint
    assert caught.value.message.endswith(f"its digest is {shown[0].digest}")
    assert files(gap) == {}
    assert list(gap.iterdir()) == []
    (origin,) = shown
    (tag,) = origin.versions
    assert (str(tag.name), tag.own_name) == ("churn@v1.0.0", "churn@v1.0.0")
    assert [(file.path, file.size) for file in origin.files] == [("model.bin", 8)]
    assert take(gap, file).digest == origin.digest
    Workspace(gap).unbundle(file, gap / "place")  # now its tags were seen


def test_a_folder_with_many_files_is_taken(bench: Workbench, gap: Path) -> None:
    bundles.release_a_folder(bench)
    bench.manager.bundle(gap / "x.tar")
    unbundled = take(gap, gap / "x.tar")
    assert unbundled.objects == 31
    remote = files(bench.repo.parent / "dvc-remote")
    assert {name: data for name, data in files(gap / "place").items() if name in remote} == remote


@pytest.mark.released
def test_a_tag_that_contradicts_one_that_was_seen_is_refused(
    bench: Workbench, file: Path, gap: Path
) -> None:
    take(gap, file)
    before = files(gap)
    bench.git("tag", "-f", "-a", "-m", "moved", "churn@v1.0.0", "HEAD")
    bench.manager.bundle(file.with_name("moved.tar"))
    with pytest.raises(TagshipError, match="another repository's bundle, or the tag was moved"):
        take(gap, file.with_name("moved.tar"))
    assert files(gap) == before


@pytest.mark.released
def test_a_repository_that_has_no_tag_that_was_seen_is_asked_about(
    bench: Workbench, file: Path, gap: Path
) -> None:
    """Its versions have other numbers, so nothing contradicts."""
    take(gap, file)
    before = files(gap)
    bench.git("tag", "-d", "churn@v1.0.0")
    bench.train("of others\n")
    bench.release(version="7.0.0")
    other = file.with_name("other.tar")
    bench.manager.bundle(other, "7.0.0")
    with pytest.raises(TagshipError, match="none of the tags of churn that were seen here"):
        Workspace(gap).unbundle(other, gap / "place")
    assert files(gap) == before
    assert take(gap, other).new == ("churn@v7.0.0",)


@pytest.mark.released
def test_a_folder_that_is_read_only_gets_none_that_nobody_can_write_to(
    file: Path, gap: Path
) -> None:
    (gap / "place").mkdir()
    (gap / "place/tagship").mkdir()
    (gap / "place/files/md5").mkdir(parents=True)
    (gap / "place").chmod(0o555)
    take(gap, file)
    (made,) = (gap / "place/files/md5").iterdir()
    assert made.stat().st_mode & 0o777 == 0o755
    assert (gap / "place").stat().st_mode & 0o777 == 0o555


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder of an account that is not root; the test is that account."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another account")
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, READER, READER)
        os.seteuid(READER)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("there", ["files/md5/2b", "files/md5", "tagship"])
def test_the_folder_that_denies_is_named_and_stays_as_it_was(nobody: Path, there: str) -> None:
    place = nobody / "place"
    (place / there).mkdir(parents=True)
    (nobody / "object").write_text("x")
    denies = place if there == "tagship" else place / there
    denies.chmod(0o555)
    with pytest.raises(TagshipError, match=f"may not write to {denies}, which") as caught:
        Folder(place).take({Object("2b" + "a" * 30): nobody / "object"})
    assert caught.value.hint == f"chmod u+rwx {denies}"
    assert [path for path in place.rglob("*") if not (place / there).is_relative_to(path)] == []


@pytest.mark.released
def test_what_stands_in_the_way_is_named_and_not_what_is_gone(file: Path, gap: Path) -> None:
    md5 = hashlib.md5(b"model 1\n").hexdigest()
    taken = gap / "place/files/md5" / md5[:2] / md5[2:]
    taken.mkdir(parents=True)
    with pytest.raises(TagshipError, match="Is a directory") as caught:
        take(gap, file)
    assert caught.value.hint == f"a folder lies where a file should: ls -ld {taken}"
    assert files(gap / "place/tagship") == {}


@pytest.mark.released
def test_what_is_no_file_is_not_waited_for(file: Path, gap: Path) -> None:
    os.mkfifo(gap / "pipe")
    (gap / "folder").mkdir()
    for path, said in {
        gap / "pipe": "is a pipe, not a file",
        gap / "folder": "is a folder, not a file",
        Path("/dev/zero"): "is a device, not a file",
        gap / "none": "there is no file",
    }.items():
        with pytest.raises(TagshipError, match=said) as caught:
            take(gap, path)
        assert caught.value.hint
    assert not (gap / "place").exists()
    (gap / "link").symlink_to(file)
    assert take(gap, gap / "link").new == ("churn@v1.0.0",)


@pytest.mark.released
def test_a_target_that_is_none_is_refused(bench: Workbench, file: Path, gap: Path) -> None:
    (gap / "file").write_text("of others")
    (gap / "linked").mkdir()
    (gap / "linked/tagship").symlink_to(gap)
    for target, said in {
        gap / "file": "is not a folder",
        gap / "none" / "place": "there is no folder",
        bench.repo / ".git" / "place": "Git or DVC keep their own",
        gap / "linked": "is a link",
        Path("s3://models/dvc"): "s3: is that of an address",
    }.items():
        with pytest.raises(TagshipError, match=said) as caught:
            Workspace(gap).unbundle(file, target, accept=always)
        assert caught.value.hint
    assert sorted(path.name for path in gap.iterdir()) == ["file", "linked"]
    with pytest.raises(TagshipError, match="no host is here"):
        Workspace(gap).unbundle(io.BytesIO(b""))


@pytest.mark.released
def test_a_folder_in_a_work_tree_is_named(bench: Workbench, file: Path, gap: Path) -> None:
    told: list[str] = []
    for target in (gap / "place", bench.repo, bench.repo / "place"):
        Workspace(gap, tell=told.append).unbundle(file, target, accept=always)
    said = "is in a work tree of Git, where the files of a bundle are untracked ones"
    assert told == [f"{bench.repo} {said}", f"{bench.repo}/place {said}"]


@pytest.mark.released
def test_a_large_object_is_taken_as_it_arrives(bench: Workbench, gap: Path) -> None:
    data = os.urandom((5 << 20) + 7)
    bench.train(data)
    bench.release()
    bench.manager.bundle(gap / "x.tar")
    advanced: list[int] = []

    @contextlib.contextmanager
    def progress(doing: str, total: int | None) -> Iterator[Advance]:
        assert (doing, total) == ("reading the bundle", len(data))
        yield advanced.append

    Workspace(gap, progress).unbundle(gap / "x.tar", gap / "place", accept=always)
    assert data in files(gap / "place").values()
    assert sum(advanced) == len(data)
    assert len(advanced) > 4


@pytest.mark.released
def test_two_at_the_same_time_are_both_taken(bench: Workbench, file: Path, gap: Path) -> None:
    bench.release("model 2\n")
    bench.manager.bundle(file.with_name("y.tar"))
    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(lambda name: take(gap, file.with_name(name)), ["x.tar", "y.tar"]))
    assert [each.new for each in taken] == [("churn@v1.0.0",), ("churn@v1.1.0",)]
    assert tags(gap / "place") == ["churn@v1.0.0", "churn@v1.1.0"]
    assert [path.name for path in (gap / "place/tagship").iterdir()] == ["churn"]


@pytest.mark.released
@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_the_first_bundle_is_a_question(
    bench: Workbench, file: Path, gap: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda _: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{answer}\n"))
    told = bench.cli_in(gap, "unbundle", str(file), str(gap / "place"))
    assert "churn@v1.0.0\n  tagged by Ada <ada@example.com>, " in told.out
    assert f"  commit {bench.git('rev-parse', 'HEAD').strip()}\n" in told.out
    assert f"SHA-256 {hashlib.sha256(b'model 1' + bytes([10])).hexdigest()}\n" in told.out
    assert "Go on? [y/N]: " in told.out
    assert told.code == (0 if answer == "y" else 1)
    assert bool(files(gap)) == (answer == "y")
