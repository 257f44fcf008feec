"""Whatever tracks an artifact, it is released, deployed, verified and rolled back alike."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tagship import Corrupt, ModelVersionManager, Unavailable
from tagship.git import run, tree
from tests.workbench import Workbench, dvc

Write = Callable[[Workbench, str], None]


def _stage(bench: Workbench, content: str) -> None:
    """A stage's output."""
    (bench.repo / "source.txt").write_text(content)
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: mkdir -p out && cp source.txt out/model.bin\n"
        "    deps: [source.txt]\n    outs: [out/model.bin]\n"
        "artifacts:\n  churn:\n    path: out/model.bin\n"
    )
    bench.dvc("repro", "--quiet")


def _stage_with_wdir(bench: Workbench, content: str) -> None:
    (bench.repo / "work").mkdir(exist_ok=True)
    (bench.repo / "work/source.txt").write_text(content)
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n  train:\n    wdir: work\n    cmd: cp source.txt model.bin\n"
        "    deps: [source.txt]\n    outs: [model.bin]\n"
        "artifacts:\n  churn:\n    path: work/model.bin\n"
    )
    bench.dvc("repro", "--quiet")


def _dvc_file(bench: Workbench, content: str) -> None:
    (bench.repo / "models/churn/model.bin").write_text(content)
    bench.track("models/churn/model.bin")


def _dvc_file_of_another_name(bench: Workbench, content: str) -> None:
    """A ``.dvc`` file may have any name and lie anywhere."""
    (bench.repo / "models/tracked.dvc").unlink(missing_ok=True)
    _dvc_file(bench, content)
    pointer = bench.repo / "models/churn/model.bin.dvc"
    text = pointer.read_text().replace("path: model.bin", "path: churn/model.bin")
    pointer.unlink()
    (bench.repo / "models/tracked.dvc").write_text(text)


def _inside_a_folder(bench: Workbench, content: str) -> None:
    _folder(bench, content, "bundle/weights/model.bin")


def _folder(bench: Workbench, content: str, path: str = "bundle") -> None:
    (bench.repo / "bundle/weights").mkdir(parents=True, exist_ok=True)
    for name, text in {"weights/model.bin": content, "vocabulary.txt": "a b c"}.items():
        (bench.repo / "bundle" / name).unlink(missing_ok=True)
        (bench.repo / "bundle" / name).write_text(text)
    (bench.repo / "dvc.yaml").write_text(f"artifacts:\n  churn:\n    path: {path}\n")
    bench.track("bundle")


def _git_file(bench: Workbench, content: str) -> None:
    (bench.repo / "plain").mkdir(exist_ok=True)
    (bench.repo / "plain/model.bin").write_text(content)
    (bench.repo / "plain/run.sh").write_text("#!/bin/sh\n")
    (bench.repo / "plain/run.sh").chmod(0o755)
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: plain/model.bin\n")


def _git_folder(bench: Workbench, content: str) -> None:
    _git_file(bench, content)
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: plain\n")


KINDS: dict[str, tuple[Write, str]] = {
    "stage": (_stage, "model.bin"),
    "stage with wdir": (_stage_with_wdir, "model.bin"),
    "dvc file": (_dvc_file, "model.bin"),
    "dvc file elsewhere": (_dvc_file_of_another_name, "model.bin"),
    "in a tracked folder": (_inside_a_folder, "model.bin"),
    "tracked folder": (_folder, "bundle/weights/model.bin"),
    "git file": (_git_file, "model.bin"),
    "git folder": (_git_folder, "plain/model.bin"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_artifact_is_deployed_verified_and_rolled_back(bench: Workbench, kind: str) -> None:
    write, place = KINDS[kind]
    for content in ("first\n", "second\n"):
        write(bench, content)
        bench.commit()
        bench.manager.release()
        bench.manager.deploy()
        assert (bench.current / place).read_text() == content
    assert [verified.problems for verified in bench.manager.verify()] == [(), ()]
    assert bench.manager.status().findings == ()
    bench.manager.rollback_to_version()
    assert (bench.current / place).read_text() == "first\n"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("git")])
def test_it_is_fetched_where_the_cache_is_empty(bench: Workbench, kind: str) -> None:
    write, place = KINDS[kind]
    write(bench, "first\n")
    bench.commit()
    bench.manager.release()
    shutil.rmtree(bench.repo / ".dvc/cache")
    bench.manager.deploy()
    assert (bench.current / place).read_text() == "first\n"


@pytest.mark.parametrize("kind", KINDS)
def test_unchanged_bytes_are_not_released_twice(bench: Workbench, kind: str) -> None:
    write, _ = KINDS[kind]
    write(bench, "first\n")
    bench.commit()
    bench.manager.release()
    (bench.repo / "README").write_text("another commit\n")
    bench.commit()
    result = bench.cli("release", "churn")
    assert (result.code, result.err) == (
        1,
        "error: the bytes of churn are those of 1.0.0\n"
        "hint: train it again, or release them again with --force\n",
    )


def test_a_tracked_folder_loses_no_file_and_git_keeps_executable_bits(bench: Workbench) -> None:
    _git_folder(bench, "first\n")
    bench.commit()
    bench.manager.release()
    path = bench.manager.deploy().path
    assert sorted(os.listdir(path / "plain")) == ["model.bin", "run.sh"]
    assert (path / "plain/run.sh").stat().st_mode & 0o777 == 0o555


def test_dvc_keeps_the_executable_bit_of_a_file(bench: Workbench) -> None:
    (bench.repo / "models/churn/model.bin").chmod(0o755)
    _dvc_file(bench, "first\n")
    (bench.repo / "models/churn/model.bin").chmod(0o755)
    bench.dvc("add", "--quiet", "models/churn/model.bin")
    assert "isexec: true" in (bench.repo / "models/churn/model.bin.dvc").read_text()
    bench.commit()
    bench.manager.release()
    path = bench.manager.deploy().path
    assert (path / "model.bin").stat().st_mode & 0o777 == 0o555


def test_a_self_test_is_released_with_its_model(bench: Workbench) -> None:
    (bench.repo / "models/churn/self_test.json").write_text("{}")
    bench.track("models/churn/self_test.json")
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.bin\n"
        "    meta: {self_test: models/churn/self_test.json}\n"
    )
    bench.commit()
    assert bench.manager.release().pushed_objects == 2
    path = bench.manager.deploy().path
    assert sorted(os.listdir(path)) == ["metadata.json", "model.bin", "self_test.json"]


def test_an_output_of_dvc_2_is_verified_by_its_own_digest(bench: Workbench) -> None:
    """DVC 2 hashed text with LF line ends, and kept it elsewhere in the cache."""
    content = b"first\r\nsecond\r\n"
    digest = hashlib.md5(content.replace(b"\r\n", b"\n")).hexdigest()
    (bench.repo / "models/churn/model.bin.dvc").write_text(
        f"outs:\n- md5: {digest}\n  size: {len(content)}\n  path: model.bin\n"
    )
    (bench.repo / "models/churn/model.bin").write_bytes(content)
    cached = bench.repo / ".dvc/cache" / digest[:2] / digest[2:]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    bench.commit()
    bench.manager.release()
    bench.manager.deploy()
    assert (bench.current / "model.bin").read_bytes() == content


@pytest.mark.parametrize(
    "relpath", ["../outside", "/etc/outside", "a/../../outside", ".git/config", "a\\..\\outside"]
)
def test_a_list_of_files_that_leads_out_is_refused(bench: Workbench, relpath: str) -> None:
    """DVC 3.67 writes where the list says, outside of the workspace too."""
    _folder(bench, "first\n")
    entry = {"md5": hashlib.md5(b"first\n").hexdigest(), "relpath": relpath}
    data = json.dumps([entry]).encode()
    digest = hashlib.md5(data).hexdigest()
    cached = bench.repo / ".dvc/cache/files/md5" / digest[:2] / f"{digest[2:]}.dir"
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_bytes(data)
    (bench.repo / "bundle.dvc").write_text(
        f"outs:\n- md5: {digest}.dir\n  hash: md5\n  size: 6\n  nfiles: 1\n  path: bundle\n"
    )
    bench.commit()
    bench.git("tag", "-m", "hostile", "churn@v1.0.0")
    before = _outside(bench)
    with pytest.raises(Corrupt):
        bench.manager.deploy()
    assert _outside(bench) == before


def _outside(bench: Workbench) -> list[Path]:
    return sorted(
        path
        for path in bench.repo.parent.rglob("*")
        if "outside" in path.name or path.name == "config"
    )


def test_what_the_batch_process_tells_of_a_path_is_what_ls_tree_tells(bench: Workbench) -> None:
    repo = bench.repo
    (repo / "plain/deep").mkdir(parents=True)
    names = ("top.txt", "plain/a file", "plain/tool", "plain/deep/ü.bin", "plain/line\nend")
    for size, name in enumerate(names):
        (repo / name).write_text("x" * size)
    (repo / "plain/tool").chmod(0o755)
    (repo / "plain/link").symlink_to("deep")
    (repo / "looks").write_bytes(b"100644 below\0" + b"x" * 20)  # like a folder's list
    bench.commit()
    head = bench.git("rev-parse", "HEAD").strip()
    bench.git("update-index", "--add", "--cacheinfo", f"160000,{head},plain/submodule")
    bench.git("commit", "-q", "-m", "A submodule")
    commit = bench.git("rev-parse", "HEAD").strip()
    repository = run.find(repo)
    blobs = tree.Blobs(repository)
    asked = (
        *names, "plain", "plain/", "plain/deep", "plain/link", "plain/link/ü.bin",
        "plain/submodule", "absent", "plain/absent", "absent/absent", "top.txt/below",
        "looks/below", "./top.txt", "plain/../top.txt", "plain/deep/..", "../outside",
        "/etc/passwd", ".",
    )  # fmt: skip
    for path in asked:
        assert blobs.entries(commit, path) == tree.entries(repository, commit, path), path
    assert blobs.entries(commit, "plain/tool")[0].mode == "100755"
    assert blobs.entries(commit, "plain/link")[0].mode == "120000"


def test_a_file_of_a_commit_is_found_as_git_finds_it(bench: Workbench) -> None:
    repo = bench.repo
    (repo / "a/b").mkdir(parents=True)
    names = ("top.txt", "a/ü.txt", "a/b/100644 bar", "a/b/bar", "a/line\nend")
    for name in names:
        (repo / name).write_text(f"{name}\n")
    (repo / os.fsdecode(b"a/\xff")).write_text("no UTF-8\n")
    (repo / "a/link").symlink_to("b")
    commit = bench.commit()
    blobs = tree.Blobs(run.find(repo))
    for name in names:
        assert blobs.read(commit, name) == f"{name}\n".encode()
    assert blobs.read(commit, "a/link") == b"b"
    for absent in ("a", "a/b", "a/link/bar", "top.txt/x", "a/", "", ".", "../x", "x\0", "A/b/bar"):
        assert blobs.read(commit, absent) is None, absent


def test_the_files_of_an_ending_are_those_of_ls_tree_in_its_order(bench: Workbench) -> None:
    for name in ("b.dvc", "a/x.dvc", "a.dvc", "a/y/dvc.lock", "a-b/z.dvc", "dvc.lock", "c.txt"):
        (bench.repo / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.repo / name).write_text("\n")
    commit = bench.commit()
    names = bench.git("ls-tree", "-r", "--name-only", commit).splitlines()
    blobs = tree.Blobs(run.find(bench.repo))
    for endings in ((".dvc",), (".dvc", "dvc.lock")):
        listed = [file.path for file in blobs.ending(commit, *endings)]
        assert listed == [name for name in names if name.endswith(endings)]


def test_what_a_fetch_brings_is_found_by_who_asked_before(bench: Workbench) -> None:
    blobs = tree.Blobs(run.find(bench.repo))
    path = bench.repo / "later.txt"
    path.write_text("later\n")
    blob = bench.git("hash-object", str(path)).strip()
    assert blobs.content(blob) is None
    bench.git("hash-object", "-w", str(path))
    assert blobs.content(blob) == b"later\n"


def test_after_a_missing_object_the_next_answers_are_of_the_next_questions(
    bench: Workbench,
) -> None:
    (bench.repo / "a.txt").write_text("first\n")
    (bench.repo / "b.txt").write_text("the second\n")
    bench.commit()
    ids = [bench.git("rev-parse", f"HEAD:{name}.txt").strip() for name in "ab"]
    blobs = tree.Blobs(run.find(bench.repo))
    with pytest.raises(Unavailable, match="Git lacks the blob 0000000000"):
        blobs.small(["0" * 40, *ids])
    assert blobs.small(ids) == [b"first\n", b"the second\n"]
    assert blobs.small(ids * 400) == [b"first\n", b"the second\n"] * 400


def test_a_folder_that_dvc_tracks_in_parts_is_not_released_as_what_git_has_of_it(
    bench: Workbench,
) -> None:
    """Git has its ``.gitignore``, which DVC wrote."""
    (bench.repo / "folder").mkdir()
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn: {path: folder}\n")
    for name in ("a", "b"):
        (bench.repo / "folder" / name).write_text(name)
        bench.track(f"folder/{name}")
    bench.commit()
    bench.refuses(
        "release churn",
        "DVC tracks folder in parts: folder/a, folder/b",
        "dvc remove folder/a.dvc folder/b.dvc && git rm -r --cached folder && dvc add folder",
    )
    bench.dvc("remove", "--quiet", "folder/a.dvc", "folder/b.dvc")
    bench.git("rm", "-r", "--quiet", "--cached", "folder")
    bench.dvc("add", "--quiet", "folder")
    bench.commit()
    assert bench.release() == "1.0.0"


@pytest.mark.parametrize("place", ["", "folder/"])
def test_nor_one_that_stages_write_in_parts(bench: Workbench, place: str) -> None:
    out = "a" if place else "folder/a"
    artifact = "artifacts:\n  churn: {path: folder, type: model}\n"
    stage = f"stages:\n  train: {{cmd: 'echo a > {out}', outs: [{out}]}}\n"
    (bench.repo / "folder").mkdir()
    (bench.repo / "dvc.yaml").write_text(artifact)
    with open(bench.repo / place / "dvc.yaml", "a") as file:
        file.write(stage)
    dvc(bench.repo / place, "repro", "--quiet")
    bench.commit()
    bench.refuses(
        "release churn",
        "DVC tracks folder in parts: folder/a",
        "make it one output of its stage (outs: [folder]), then: git rm -r --cached folder"
        " && dvc repro",
    )


def test_a_link_in_git_is_not_released(bench: Workbench) -> None:
    _git_folder(bench, "first\n")
    (bench.repo / "plain/link").symlink_to("/etc/passwd")
    bench.commit()
    with pytest.raises(Corrupt, match="plain/link is a link or a submodule"):
        bench.manager.release()


@pytest.mark.parametrize(
    ("declared", "churn", "wine"),
    [
        ("metrics.json", {}, {}),
        ("metrics/churn.json", {"accuracy": 0.75}, {}),
        ("wine/metrics.json", {}, {"accuracy": 0.75}),
        ("models/churn/scores.json", {"accuracy": 0.75}, {}),
    ],
)
def test_of_several_models_a_metrics_file_counts_for_the_one_that_it_names(
    bench: Workbench, declared: str, churn: dict[str, float], wine: dict[str, float]
) -> None:
    other = bench.repo / "models" / "wine" / "model.bin"
    other.parent.mkdir()
    other.write_text("another model\n")
    bench.track("models/wine/model.bin")
    (bench.repo / declared).parent.mkdir(exist_ok=True)
    (bench.repo / declared).write_text('{"accuracy": 0.75}\n')
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn: {path: models/churn/model.bin}\n"
        f"  wine: {{path: models/wine/model.bin}}\nmetrics:\n  - {declared}\n"
    )
    bench.commit("Add wine")
    for model, metrics in (("churn", churn), ("wine", wine)):
        assert ModelVersionManager(model, bench.repo).release_plan().metrics == metrics


@pytest.mark.parametrize("path", ["../shared.csv", "/nowhere/shared.csv"])
def test_a_stage_may_read_a_file_outside_of_the_repository(bench: Workbench, path: str) -> None:
    outside = bench.repo.parent / "shared.csv"
    outside.write_text("model 2\n")
    real = path if path.startswith("..") else str(outside)
    (bench.repo / "models/churn/model.bin.dvc").unlink()
    (bench.repo / "dvc.yaml").write_text(
        f"stages:\n  train:\n    cmd: cp {real} models/churn/model.bin\n    deps: [{real}]\n"
        "    outs: [models/churn/model.bin]\nartifacts: {churn: {path: models/churn/model.bin}}\n"
        f"plots: [{path}]\n"
    )
    bench.dvc("repro", "--quiet")
    bench.commit("Read what is elsewhere")
    assert bench.ship() == "1.0.0"
    assert bench.cli("report", "-o", str(bench.repo.parent / "r.html")).code == 0
