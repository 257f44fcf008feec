"""A version as one file: what is in it, that it is the same each time, and where it may be."""

import errno
import hashlib
import os
import tarfile
from pathlib import Path
from typing import NoReturn

import pytest

from tagship.errors import NoRoom
from tagship.export import bundle as export
from tagship.registry.refs import Ref
from tests.export import bundles
from tests.workbench import Workbench


def names(file: Path) -> list[str]:
    with tarfile.open(file) as opened:
        return opened.getnames()


def digest_of(file: Path) -> str:
    with tarfile.open(file) as opened:
        sums = opened.extractfile("SHA256SUMS")
        assert sums is not None
        return hashlib.sha256(sums.read()).hexdigest()


@pytest.mark.released
def test_a_version_is_one_file_and_equal_versions_give_equal_bytes(
    bench: Workbench, tmp_path: Path
) -> None:
    file = tmp_path / "x.tar"
    told = bench.cli("bundle", "churn@1.0.0", "-o", str(file))
    size = file.stat().st_size
    assert told.out.splitlines()[1:] == ["  1 tag, 1 object", f"  digest: {digest_of(file)}"]
    assert told.out.startswith(f"churn 1.0.0 is in {file} (")
    assert (told.code, told.err) == (0, "")
    first, index, capsule, model, sums = names(file)
    assert (first, index, sums) == ("bundle.json", "tagship/churn/index.json", "SHA256SUMS")
    assert capsule.startswith("tagship/churn/capsules/")
    md5 = hashlib.md5(b"model 1\n").hexdigest()
    assert model == f"files/md5/{md5[:2]}/{md5[2:]}"
    bench.git("gc", "--quiet", "--aggressive", "--prune=now")
    again = bench.manager.bundle(tmp_path / "again.tar")
    assert (again.size, again.digest) == (size, digest_of(file))
    assert (tmp_path / "again.tar").read_bytes() == file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.released
def test_stages_and_withdrawals_of_the_model_go_with_it_and_other_versions_do_not(
    bench: Workbench, tmp_path: Path
) -> None:
    bench.train("model 2\n")
    bench.release()
    for name, at in {
        "churn#prod#1": "HEAD~",
        "churn#prod#2": "HEAD",
        "churn@v1.0.0!": "HEAD~",
    }.items():
        bench.git("tag", "-a", "-m", name, name, at)
    bench.git("tag", "churn#light#1")
    bench.git("tag", "-a", "-m", "of another model", "vision#prod#1")
    bundled = bench.manager.bundle(tmp_path / "x.tar", "1.1.0")
    assert bundled.tags == ("churn#prod#1", "churn#prod#2", "churn@v1.0.0!", "churn@v1.1.0")
    assert len(names(tmp_path / "x.tar")) == 1 + 1 + 4 + 1 + 1


@pytest.mark.released
def test_a_tag_whose_name_no_carrier_takes_is_left_out(bench: Workbench, tmp_path: Path) -> None:
    """GTO made it: ``assign`` refuses such a name."""
    name = f"churn#{'a' * 120}/{'b' * 130}#1"
    bench.git("tag", "-a", "-m", "x", name)
    bench.git("tag", "-a", "-m", "x", "churn#prod#1")
    told = bench.cli("bundle", "churn", "-o", str(tmp_path / "x.tar"))
    assert told.code == 0 and "  2 tags, 1 object\n" in told.out
    start = "left out, as its name is too long for any carrier: churn#aaa"
    assert told.err.startswith(f"note: {start}")


@pytest.mark.released
def test_what_the_cache_lacks_comes_from_the_remote_and_what_is_bad_in_it_too(
    bench: Workbench, tmp_path: Path
) -> None:
    bench.manager.bundle(tmp_path / "x.tar")
    (cached,) = (bench.repo / ".dvc/cache/files/md5").glob("*/*")
    cached.chmod(0o644)
    cached.write_text("MODEL 1\n")
    bench.manager.bundle(tmp_path / "bad.tar")
    assert not cached.exists()
    bench.manager.bundle(tmp_path / "gone.tar")
    for name in ("bad.tar", "gone.tar"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "x.tar").read_bytes()
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.released
def test_bytes_that_are_nowhere_leave_no_file(bench: Workbench, tmp_path: Path) -> None:
    for cached in (bench.repo / ".dvc/cache/files/md5").glob("*/*"):
        cached.unlink()
    for there in (bench.repo.parent / "dvc-remote/files/md5").glob("*/*"):
        there.unlink()
    told = bench.cli("bundle", "churn", "-o", str(tmp_path / "x.tar"))
    assert told.code == 1
    assert "the DVC remote" in told.err
    assert not list(tmp_path.glob("*.tar")) + list(tmp_path.glob(".*"))


@pytest.mark.released
def test_a_file_is_written_where_no_other_one_is(bench: Workbench, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("of others")
    for target, said in {
        tmp_path / "x.tar": "exists",
        tmp_path: "is a folder",
        tmp_path / "none" / "x.tar": "there is no folder",
        bench.repo / ".dvc" / "x.tar": "where Git or DVC keep their own",
        bench.repo / "models" / "x.tar": "lies where models are deployed",
        Path("-"): "a bundle is written into a file",
        Path("/dev/stdout"): "a bundle is written into a file",
    }.items():
        told = bench.cli("bundle", "churn", "-o", str(target))
        assert told.code == 1
        assert said in told.err
    assert (tmp_path / "x.tar").read_text() == "of others"


def test_a_folder_has_its_list_before_its_files(bench: Workbench, tmp_path: Path) -> None:
    bundles.release_a_folder(bench)
    bundled = bench.manager.bundle(tmp_path / "x.tar")
    objects = [name for name in names(tmp_path / "x.tar") if name.startswith("files/")]
    assert bundled.objects == len(objects) == 31
    assert [name.endswith(".dir") for name in objects] == [True] + [False] * 30
    assert objects[1:] == sorted(objects[1:])


@pytest.mark.released
def test_a_version_that_is_not_there_is_named(bench: Workbench, tmp_path: Path) -> None:
    told = bench.cli("bundle", "churn@2.0.0", "-o", str(tmp_path / "x.tar"))
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("error: churn has no version 2.0.0\n")
    assert not list(tmp_path.glob("*.tar"))


@pytest.mark.released
def test_what_was_taken_back_is_carried_by_its_whole_number(
    bench: Workbench, tmp_path: Path
) -> None:
    for name, said in {
        "churn@v1.0.0!": "was withdrawn",
        "churn@deprecated": "is deprecated",
    }.items():
        bench.git("tag", "-a", "-m", name, name)
        told = bench.cli("bundle", "churn@1", "-o", str(tmp_path / "x.tar"))
        assert told.code == 1
        assert said in told.err
        assert "a bundle of it carries that over: tagship bundle churn@1.0.0 -o FILE" in told.err
        bundled = bench.manager.bundle(tmp_path / f"{said.split()[1]}.tar", "1.0.0")
        assert name in bundled.tags
        bench.git("tag", "-d", name)


@pytest.mark.released
def test_a_disk_without_room_is_named(bench: Workbench, tmp_path: Path) -> None:
    def full(doing: str, total: int | None) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as ``write`` does: without a name

    source, host = bench.manager.source, bench.manager.host
    with pytest.raises(NoRoom) as caught:
        export.bundle(source, host, Ref.parse("churn"), tmp_path / "x.tar", full)
    said = f"{tmp_path}/x.tar could not be written: No space left on device ({tmp_path})"
    assert caught.value.message == said
    assert caught.value.hint == f"make room: df -h {tmp_path}; or give a file on another disk"
    assert list(tmp_path.glob("*x.tar*")) + list(tmp_path.glob(".*")) == []
