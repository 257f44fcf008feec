"""The capsule of a tag: what is in it, how large it is, and that it is enough to deploy from."""

import hashlib
import random
import shutil
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tagship.carry import capsule, carrier
from tagship.errors import Refused, TagshipError, Unavailable
from tagship.git import tree
from tagship.registry import tags
from tagship.registry.tags import Tag
from tagship.workspace import encapsulate
from tagship.workspace.source import Source
from tests.workbench import PATH, Workbench, run

ROOT = Path(__file__).parents[2]
LOCKED = (
    "schema: '2.0'\nstages:\n  train:\n    cmd: python train.py\n    outs:\n"
    "    - path: {path}\n      md5: {md5}\n      size: 8\n      hash: md5\n"
)
MD5 = "f7b1ba2cd1e17f2b6d9a6d3a1fbcc3d1"


def tag_of(bench: Workbench, name: str) -> Tag:
    (tag,) = [t for t in tags.read(bench.manager.source.repository) if str(t.name) == name]
    return tag


def made(bench: Workbench, name: str = "churn@v1.0.0") -> bytes:
    return encapsulate.capsule_of(bench.manager.source, tag_of(bench, name))


def tagged(bench: Workbench, name: str = "churn@v1.0.0") -> None:
    """Tag HEAD, whatever ``release`` would say of it."""
    bench.git("tag", "--annotate", "--message", "A version", name)


def opened(data: bytes, folder: Path, source: Source) -> Source:
    """A repository with nothing but a capsule; Git looks at each object of it."""
    read = capsule.parse(data, "of a test")
    run(folder.parent, "git", "init", "--quiet", "--bare", folder.name)
    (folder / "shallow").write_text(f"{read.head.commit}\n")
    subprocess.run(
        ["git", "index-pack", "--stdin", "--fsck-objects"], cwd=folder, input=read.pack,
        check=True, capture_output=True,
    )  # fmt: skip
    run(folder, "git", "update-ref", f"refs/tags/{read.name}", read.head.object)
    return replace(source, start=folder, deployed=None)


def objects(data: bytes, folder: Path) -> list[tuple[str, str, int]]:
    """Type, id and size of what is in a capsule, after ``opened``."""
    text = run(folder, "git", "cat-file", "--batch-all-objects", "--batch-check")
    rows = [line.split(" ") for line in text.splitlines()]
    return [(kind, identity, int(size)) for identity, kind, size in rows]


def reach(source: Source, commit: str, folders: list[str]) -> int:
    """Bytes that the capsule of a version may have.

    2,000; 40 for each entry of the folders on the way; a quarter of dvc.yaml and dvc.lock.
    """
    entries = sum(
        len(run(source.repository.top, "git", "ls-tree", f"{commit}:{name}").splitlines())
        for name in folders
    )
    read = [source.blobs.read(commit, name) or b"" for name in ("dvc.yaml", "dvc.lock")]
    return 2000 + 40 * entries + sum(map(len, read)) // 4


def by_dvc_file(bench: Workbench) -> None:
    pass


def by_lock(bench: Workbench) -> None:
    for name in (f"{PATH}.dvc", "metrics.json"):
        (bench.repo / name).unlink()
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.bin\nstages:\n  train:\n"
        "    cmd: python train.py\n    outs: [models/churn/model.bin]\n"
    )
    (bench.repo / "dvc.lock").write_text(LOCKED.format(path=PATH, md5=MD5))


def measured(bench: Workbench) -> None:
    by_lock(bench)
    (bench.repo / "evaluation").mkdir()
    (bench.repo / "evaluation" / "scores.json").write_text('{"accuracy": 0.5}\n')
    (bench.repo / "evaluation" / "loss.csv").write_text("step,loss\n1,0.5\n" * 1000)
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.bin\nstages:\n  train:\n"
        "    cmd: python train.py\n    params: [train]\n    outs: [models/churn/model.bin]\n"
        "    metrics: [evaluation/scores.json: {cache: false}]\n"
        "    plots: [evaluation/loss.csv: {cache: false, x: step}]\n"
    )


def self_tested(bench: Workbench) -> None:
    (bench.repo / "models/churn/self_test.json").write_text('{"inputs": [], "outputs": []}\n')
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.bin\n"
        "    meta:\n      self_test: models/churn/self_test.json\n"
    )


def in_git(bench: Workbench) -> None:
    for name in (f"{PATH}.dvc", "models/churn/.gitignore"):
        (bench.repo / name).unlink()
    bench.git("rm", "--quiet", "--cached", f"{PATH}.dvc")


def templates(bench: Workbench) -> None:
    by_lock(bench)
    (bench.repo / "more.yaml").write_text("name: churn\n")
    (bench.repo / "dvc.yaml").write_text(
        "vars: [more.yaml]\nartifacts:\n  churn:\n    path: models/${name}/model.bin\nstages:\n"
        "  train:\n    foreach: [a, b]\n    do:\n      cmd: python ${item}.py\n"
        "      outs: ['models/${name}/${item}.bin']\n"
    )
    lock = LOCKED.format(path="models/churn/model.bin", md5=MD5).replace("train:", "train@a:")
    (bench.repo / "dvc.lock").write_text(lock)
    (bench.repo / "dvc.yaml").write_text(
        (bench.repo / "dvc.yaml").read_text().replace("${item}.bin", "model.bin")
    )


def rolled_out(bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_text(
        "tagship:\n  rollout:\n    canary: [edge-1]\n    steps: [{share: 100%, after: 1h}]\n"
    )


def monorepo(bench: Workbench) -> None:
    for number in range(300):
        (bench.repo / f"service_{number:03}").mkdir()
        (bench.repo / f"service_{number:03}" / "main.py").write_text(f"print({number})\n" * 50)


ON_THE_WAY = ["", "models", "models/churn"]
KINDS: dict[Callable[[Workbench], None], list[str]] = {
    by_dvc_file: ON_THE_WAY,
    by_lock: ON_THE_WAY,
    measured: [*ON_THE_WAY, "evaluation"],
    self_tested: ON_THE_WAY,
    in_git: ON_THE_WAY,
    templates: ON_THE_WAY,
    rolled_out: ON_THE_WAY,
    monorepo: ON_THE_WAY,
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_capsule_says_of_a_version_what_the_repository_says(
    bench: Workbench, kind: Callable[[Workbench], None], tmp_path: Path
) -> None:
    kind(bench)
    bench.commit()
    tagged(bench)
    source, tag = bench.manager.source, tag_of(bench, "churn@v1.0.0")
    data = encapsulate.capsule_of(source, tag)
    assert data == encapsulate.capsule_of(bench.manager.source, tag)  # by another process of Git
    assert len(data) <= reach(source, tag.commit, KINDS[kind])

    alone = opened(data, tmp_path / "alone.git", source)
    read = alone.snapshot(tag.commit, "churn")
    assert read == source.snapshot(tag.commit, "churn")
    assert alone.metrics(read) == source.metrics(read)
    assert alone.rollout(tag.commit, "churn") == source.rollout(tag.commit, "churn")
    assert alone.catalog("churn") == source.catalog("churn")
    for pointer in read.pointers:
        if hasattr(pointer, "digest") and read.outs[0].in_git:
            assert alone.blobs.content(pointer.digest) == b"model 1\n"
    assert len(objects(data, tmp_path / "alone.git")) < 20  # nothing of the other services


def test_a_model_in_a_subfolder_takes_the_folders_on_the_way_alone(
    bench: Workbench, tmp_path: Path
) -> None:
    team = bench.repo / "teams" / "churn"
    (bench.repo / "teams" / "other" / "deep").mkdir(parents=True)
    (bench.repo / "teams" / "other" / "deep" / "file").write_text("0" * 5000)
    (team / "out").mkdir(parents=True)
    (team / "out" / "model.bin").write_bytes(b"model 2\n")
    (team / "dvc.yaml").write_text("artifacts:\n  vision:\n    path: out/model.bin\n")
    bench.track("teams/churn/out/model.bin")
    (bench.repo / "params.yaml").write_text(
        "tagship:\n  rollout:\n    canary: [edge-1]\n    steps: [{share: 100%, after: 1h}]\n"
    )
    bench.commit()
    name = "teams/churn=vision@v1.0.0"
    tagged(bench, name)
    source, tag = bench.manager.source, tag_of(bench, name)
    data = made(bench, name)
    alone = opened(data, tmp_path / "alone.git", source)
    model = "teams/churn:vision"
    assert alone.snapshot(tag.commit, model) == source.snapshot(tag.commit, model)
    assert alone.rollout(tag.commit, model) == source.rollout(tag.commit, model) is not None
    trees = {identity for kind, identity, _ in objects(data, alone.start) if kind == "tree"}
    on_the_way = ("", "teams", "teams/churn", "teams/churn/out")
    assert trees == {bench.git("rev-parse", f"HEAD:{each}").strip() for each in on_the_way}
    with pytest.raises(TagshipError):
        alone.snapshot(tag.commit, "churn")  # another model of the commit is not in it


def test_a_signed_capsule_of_this_repository_has_less_than_6_kb(
    bench: Workbench, tmp_path: Path
) -> None:
    shutil.rmtree(bench.repo / "models")
    for entry in ROOT.iterdir():  # the folder at the top has all names; what is read is copied
        target = bench.repo / entry.name
        if entry.name in ("models", "metrics", "plots"):
            skipped = shutil.ignore_patterns("versions", "current", ".tagship", "*.cbm", "*.json.*")
            shutil.copytree(entry, target, ignore=skipped, dirs_exist_ok=True)
        elif entry.name in ("dvc.yaml", "dvc.lock", "params.yaml"):
            shutil.copyfile(entry, target)
        elif entry.name not in (".git", ".venv", ".dvc", "build"):
            target.mkdir(exist_ok=True) if entry.is_dir() else target.touch()
            (target / "file").touch() if entry.is_dir() else None
    key = tmp_path / "key"
    run(tmp_path, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key))
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", f"{key}.pub")):
        bench.git("config", name, value)
    bench.commit()
    for model in ("ml_model", "dl_model"):
        message = f"A version\n\n{''.join(hashlib.sha512(b'%d' % n).hexdigest() for n in range(4))}"
        bench.git("tag", "--sign", "--message", message, f"{model}@v1.0.0")
        data = made(bench, f"{model}@v1.0.0")
        alone = opened(data, tmp_path / f"{model}.git", bench.manager.source)
        assert alone.snapshot(bench.git("rev-parse", "HEAD").strip(), model).size
        assert len(data) < 6000


@pytest.mark.released
def test_a_stage_s_capsule_is_its_tag_and_its_commit(bench: Workbench, tmp_path: Path) -> None:
    bench.manager.assign("1.0.0", "prod")
    data = made(bench, "churn#prod#1")
    alone = opened(data, tmp_path / "alone.git", bench.manager.source)
    kinds = [kind for kind, _, _ in objects(data, alone.start)]
    assert sorted(kinds) == ["commit", "tag"]
    assert len(data) < 1000


@pytest.mark.released
def test_settings_and_other_tags_change_no_byte(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made(bench)
    settings = {
        "pack.compression": "0", "core.compression": "0", "pack.window": "50", "pack.threads": "7",
        "core.bigFileThreshold": "1", "pack.packSizeLimit": "1m", "tag.gpgSign": "true",
    }  # fmt: skip
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (key, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    bench.git("update-ref", "refs/tags/a-folder", "HEAD^{tree}")
    bench.git("gc", "--quiet")
    assert made(bench) == before


@pytest.mark.released
def test_the_bytes_of_a_pack_are_those_of_git(bench: Workbench) -> None:
    source, tag = bench.manager.source, tag_of(bench, "churn@v1.0.0")
    blob = source.blobs.entries(tag.commit, "dvc.yaml")[0].blob
    from tagship.git import packs

    data = packs.pack(source.blobs, [blob], 1 << 20)
    content = source.blobs.content(blob)
    assert data[:12] == b"PACK\0\0\0\2\0\0\0\1"
    start = 12 + 2  # a size of 16 to 2047 bytes takes two
    assert zlib.decompressobj().decompress(data[start:]) == content


def test_a_version_that_cannot_be_deployed_has_a_capsule_too(
    bench: Workbench, tmp_path: Path
) -> None:
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn: [\n")
    bench.commit()
    tagged(bench)
    source, tag = bench.manager.source, tag_of(bench, "churn@v1.0.0")
    alone = opened(made(bench), tmp_path / "alone.git", source)
    errors = []
    for each in (source, alone):
        with pytest.raises(TagshipError) as caught:
            each.snapshot(tag.commit, "churn")
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


@pytest.mark.released
def test_a_clone_without_the_files_says_which_command_brings_them(
    bench: Workbench, tmp_path: Path
) -> None:
    bench.git("push", "--quiet", "--tags", "origin")
    origin = bench.repo.parent / "origin.git"
    run(origin, "git", "config", "uploadpack.allowFilter", "true")
    run(
        tmp_path, "git", "clone", "--quiet", "--filter=blob:none", "--no-checkout",
        f"file://{origin}", "partial",
    )  # fmt: skip
    source = replace(bench.manager.source, start=tmp_path / "partial", deployed=None)
    with pytest.raises(Unavailable) as caught:
        encapsulate.capsule_of(source, tag_of(bench, "churn@v1.0.0"))
    assert caught.value.hint == "git fetch --refetch --no-filter --tags"


def test_a_large_model_that_git_keeps_is_refused(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_git(bench)
    (bench.repo / PATH).write_bytes(b"0" * 5000)
    bench.commit()
    tagged(bench)
    monkeypatch.setattr(encapsulate, "LARGEST_CAPSULE", 5000)
    with pytest.raises(Refused) as caught:
        made(bench)
    assert caught.value.message.startswith(
        "churn@v1.0.0 is too large for a capsule: it has 5821 bytes, and"
    )
    assert carrier.LARGEST_CAPSULE == 64 << 20


def test_a_capsule_that_compression_makes_too_large_is_refused(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_git(bench)
    (bench.repo / PATH).write_bytes(random.Random(1).randbytes(4 << 20))
    bench.commit()
    tagged(bench)
    data = made(bench)
    assert len(data) > (4 << 20) + 1000
    monkeypatch.setattr(encapsulate, "LARGEST_CAPSULE", len(data))
    assert made(bench) == data
    monkeypatch.setattr(encapsulate, "LARGEST_CAPSULE", len(data) - 1)
    with pytest.raises(Refused, match=r"v1\.0\.0 is too large for a capsule: it has 41"):
        made(bench)


@pytest.mark.released
def test_what_was_read_before_is_recorded_too(bench: Workbench) -> None:
    blobs = tree.Blobs(bench.manager.source.repository)
    commit = bench.git("rev-parse", "HEAD").strip()

    def ids() -> set[str]:
        with blobs.recorded() as used:
            blobs.read(commit, "models/churn/model.bin.dvc")
            blobs.ending(commit, ".dvc")
        return used

    first = ids()
    assert ids() == first
    assert bench.git("rev-parse", "HEAD:models/churn").strip() in first
    assert bench.git("rev-parse", "HEAD:.dvc").strip() in first  # each folder was looked at
