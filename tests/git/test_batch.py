"""Git's process that answers for many objects: what it says at its end, and what it lacks."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tagship.errors import Unavailable
from tagship.git import batch, run, tree
from tests.workbench import Workbench


def object_of(bench: Workbench, name: str) -> Path:
    """The file of a loose object; all of them are made loose."""
    for pack in (bench.repo / ".git/objects/pack").glob("*.pack"):
        kept = pack.rename(bench.repo.parent / pack.name)
        with kept.open("rb") as objects:
            unpack = ["git", "unpack-objects", "-q"]
            subprocess.run(unpack, cwd=bench.repo, stdin=objects, check=True)
        pack.with_suffix(".idx").unlink()
    object_id = bench.git("rev-parse", name).strip()
    return bench.repo / ".git/objects" / object_id[:2] / object_id[2:]


def blobs_of(bench: Workbench) -> tree.Blobs:
    return tree.Blobs(run.find(bench.repo))


def head(bench: Workbench) -> str:
    return bench.git("rev-parse", "HEAD").strip()


def test_a_process_that_was_killed_is_told_and_another_one_answers(bench: Workbench) -> None:
    objects, name = batch.Batch(run.find(bench.repo)), f"{head(bench)}:README"
    assert objects.read(name) is not None
    os.kill(objects._process.pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match="killed by SIGKILL; the system may be out of memory"):
        objects.read(name)
    assert objects.read(name) == (
        (bench.git("rev-parse", name).strip(), "blob", 12),
        b"a workspace\n",
    )


def test_the_process_ends_with_the_last_who_asks(bench: Workbench) -> None:
    objects = batch.Batch(run.find(bench.repo), "--batch-check")
    assert objects.header("HEAD") is not None
    process = objects._process
    assert process.poll() is None
    del objects
    assert process.returncode == 0


@pytest.mark.parametrize("method", ["read", "header", "copy"])
def test_a_question_to_a_process_that_ends_fails_in_gits_words(
    bench: Workbench, tmp_path: Path, method: str
) -> None:
    (bench.repo / ".git/HEAD").write_text("nonsense\n")
    objects = batch.Batch(run.Repository(bench.repo, bare=False))
    with pytest.raises(Unavailable, match="not a git repository"):
        if method == "copy":
            with open(tmp_path / "copy", "wb") as file:
                objects.copy("HEAD:README", file)
        else:
            getattr(objects, method)("HEAD:README")


@pytest.mark.released
def test_a_damaged_object_is_told_on_the_command_line(bench: Workbench) -> None:
    damaged = object_of(bench, "HEAD:dvc.yaml")
    damaged.chmod(0o644)
    damaged.write_bytes(b"not what Git wrote")
    what = f"Git cannot read dvc.yaml of commit {head(bench)[:10]}"
    for command in ("show churn", "deploy churn --yes", "models", "status", "release churn"):
        told = bench.cli(*command.split())
        assert (told.code, told.out) == (1, ""), command
        assert told.err == (
            f"error: {what}: inflate: data stream error (incorrect header check)\n"
            "hint: clone it again; git fsck shows what else is damaged\n"
        )


@pytest.mark.parametrize(
    "lost", ["HEAD:dvc.yaml", "HEAD:models/churn", "HEAD:models", "HEAD^{tree}"]
)
@pytest.mark.released
def test_an_object_that_is_gone_is_no_missing_file(bench: Workbench, lost: str) -> None:
    blobs, commit = blobs_of(bench), head(bench)
    object_of(bench, lost).unlink()
    path = "dvc.yaml" if lost in ("HEAD:dvc.yaml", "HEAD^{tree}") else "models/churn/model.bin.dvc"
    for read in (blobs.read, blobs.entries):
        with pytest.raises(Unavailable):
            read(commit, path)
    told = bench.cli("deploy", "churn", "--yes")
    assert (told.code, told.out) == (1, "")
    assert "declares no model" not in told.err
    assert "hint: git fetch --refetch --tags; if that does not help: git fsck\n" in told.err


def test_a_file_that_a_commit_does_not_have_is_none(bench: Workbench) -> None:
    commit = head(bench)
    bench.git("update-index", "--add", "--cacheinfo", f"160000,{commit[::-1]},submodule")
    bench.git("commit", "--quiet", "--message", "A submodule whose commit is not here")
    blobs, commit = blobs_of(bench), head(bench)
    for path in ("absent", "absent/absent", "models/absent", "models/absent/absent", "README/below",
                 "submodule", "submodule/below", "models", "a b missing"):  # fmt: skip
        assert blobs.read(commit, path) is None, path


def test_without_a_remote_a_missing_object_cannot_be_fetched(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")
    object_of(bench, "HEAD:dvc.yaml").unlink()
    commit = head(bench)
    with pytest.raises(Unavailable, match=f"Git lacks dvc.yaml of commit {commit[:10]}") as caught:
        blobs_of(bench).read(commit, "dvc.yaml")
    assert caught.value.hint == "git fsck"


def test_a_partial_clone_that_answers_missing_is_made_whole(bench: Workbench) -> None:
    """Newer versions of Git say that the object is missing, where Git 2.39 ends."""
    bench.git("config", "remote.origin.promisor", "true")
    repository = run.find(bench.repo)
    assert batch.lacks(repository, "it", "a" * 40).hint == "git fetch --refetch --no-filter --tags"
