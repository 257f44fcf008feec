"""The OCI image of a version: the same bytes on every machine, and nothing but the version's."""

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship import Corrupt, Refused, Unavailable
from tagship.disk import files, tar
from tagship.disk.atomic import remove_tree
from tagship.export import image, oci
from tagship.host import metadata
from tagship.progress import Advance
from tagship.registry.artifacts import Artifact
from tagship.registry.refs import Ref
from tagship.text.paths import is_path
from tagship.workspace.find import find
from tests import workbench
from tests.export.images import Layout
from tests.hosts import Following
from tests.workbench import PATH, Result, Workbench

ROOT = Path(__file__).parents[2]


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return tmp_path / "image"


def shown(result: Result) -> str:
    """The digest that ``show --oci`` prints."""
    assert result.code == 0, result.err
    return result.out.partition("OCI image:    ")[2].partition("\n")[0]


def folder_of(bench: Workbench, *names: str, content: str = "x") -> None:
    """The model is a folder with these files; released."""
    (bench.repo / f"{PATH}.dvc").unlink()
    (bench.repo / PATH).unlink()
    for name in names:
        path = bench.repo / PATH / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content} of {name}\n")
    bench.track(PATH)
    bench.commit()
    bench.release()


@pytest.mark.released
def test_a_version_is_a_layout_whose_blobs_are_named_by_their_digests(
    bench: Workbench, layout: Path
) -> None:
    before = bench.state()
    result = bench.cli("export", "churn@1.0", "--format", "oci", "-o", str(layout))
    (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert result == Result(
        0,
        f"churn 1.0.0 is in {layout}\n  {entry['digest']} (churn:1.0.0)\n  model.bin: 8 B\n",
        "",
    )
    assert json.loads((layout / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    named, diffs = Layout(layout).manifest, Layout(layout).config["rootfs"]["diff_ids"]
    assert [layer["mediaType"] for layer in named["layers"]] == [image.LAYER] * 2
    assert diffs == [layer["digest"] for layer in named["layers"]]
    digests = {entry["digest"], named["config"]["digest"], *diffs}
    assert {f"sha256:{path.name}" for path in (layout / "blobs" / "sha256").iterdir()} == digests
    shutil.rmtree(layout)
    assert bench.changes(before) == set()


@pytest.mark.released
def test_each_file_is_a_layer_of_user_0_at_time_0(bench: Workbench, layout: Path) -> None:
    bench.manager.export_image(layout)
    layers = Layout(layout).members
    assert [[entry.name for entry in layer] for layer in layers] == [
        ["models/model.bin"],
        ["models/metadata.json"],
    ]
    for (entry,) in layers:
        assert entry.isfile()
        assert (entry.mode, entry.mtime, entry.uid, entry.gid) == (0o444, 0, 0, 0)
        assert (entry.uname, entry.gname) == ("", "")
    assert Layout(layout).contents["models/model.bin"] == b"model 1\n"


@pytest.mark.released
def test_metadata_are_those_of_a_version_that_is_not_deployed(
    bench: Workbench, layout: Path
) -> None:
    bench.manager.deploy()
    bench.manager.export_image(layout)
    described = metadata.of_bytes(Layout(layout).contents["models/metadata.json"])
    assert described.deployment is None
    assert (described.framework, described.architecture) == (None, None)
    assert (described.smoke_test, described.tools) == ("", {})
    told = described.to_json()
    unknown = ("deployment", "framework", "architecture", "smoke_test", "tools")
    assert [told[key] for key in unknown] == [None] * 5
    assert [file.sha256 for file in described.files] == [hashlib.sha256(b"model 1\n").hexdigest()]
    assert described.metrics == {"accuracy": 0.75}
    assert described.tag.name == "churn@v1.0.0"


def test_the_files_of_a_folder_are_sorted_and_keep_their_bits(
    bench: Workbench, layout: Path
) -> None:
    folder_of(bench, "b/z", "b.txt", "a", "größe")
    bench.manager.export_image(layout)
    names = [entry.name for layer in Layout(layout).members for entry in layer]
    assert names == [
        "models/model.bin/a",
        "models/model.bin/b.txt",
        "models/model.bin/b/z",
        "models/model.bin/größe",
        "models/metadata.json",
    ]
    assert Layout(layout).contents["models/model.bin/b/z"] == b"x of b/z\n"


def test_an_executable_is_one_in_the_image(bench: Workbench, layout: Path) -> None:
    (bench.repo / PATH).chmod(0o755)
    bench.track(PATH)
    bench.commit()
    bench.release()
    bench.manager.export_image(layout)
    assert Layout(layout).members[0][0].mode == 0o555


def test_many_files_share_a_hundred_layers(bench: Workbench, layout: Path) -> None:
    folder_of(bench, *(f"{number:03}" for number in range(250)))
    bench.manager.export_image(layout)
    layers = Layout(layout).members
    assert [len(layer) for layer in layers] == [*[3] * 83, 1, 1]
    names = [entry.name for layer in layers[:-1] for entry in layer]
    assert names == [f"models/model.bin/{number:03}" for number in range(250)]


# --- the same digest


@pytest.mark.released
def test_show_computes_the_digest_and_writes_nothing(bench: Workbench, layout: Path) -> None:
    before = bench.state()
    digest = shown(bench.cli("show", "churn", "--oci"))
    assert json.loads(bench.cli("show", "churn", "--oci", "--json").out)["oci"] == digest
    assert bench.changes(before) == set()
    assert bench.manager.export_image(layout).digest == digest


@pytest.mark.released
def test_the_digest_is_the_same_where_the_version_is_live(bench: Workbench) -> None:
    digest = bench.manager.image_digest()
    bench.manager.deploy()
    assert bench.manager.image_digest() == digest
    remove_tree(bench.repo / ".dvc" / "cache")  # the bytes of the live version are all there are
    remove_tree(bench.repo.parent / "dvc-remote")
    assert bench.manager.image_digest() == digest


@pytest.mark.released
def test_the_digest_is_the_same_under_another_umask_time_zone_and_locale(
    bench: Workbench, layout: Path
) -> None:
    digest = bench.manager.image_digest()
    code = "import os, sys; os.umask(0o077); from tagship.cli import main; main.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "export", "churn", "--format", "oci", "-o", str(layout),
         "--json"],
        cwd=bench.repo, capture_output=True, text=True, check=False,
        env={**os.environ, "TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONHASHSEED": "7",
             "USER": "eve"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == digest


@pytest.mark.released
def test_the_digest_is_the_same_in_a_clone_that_never_deployed_it(
    bench: Workbench, tmp_path: Path
) -> None:
    digest = bench.manager.image_digest()
    bench.git("push", "--quiet", "origin", "churn@v1.0.0")
    workbench.run(tmp_path, "git", "clone", "--quiet", "origin.git", "clone")
    (tmp_path / "clone" / ".dvc" / "config.local").write_text("[core]\n    analytics = false\n")
    assert shown(bench.cli_in(tmp_path / "clone", "show", "churn", "--oci")) == digest
    assert not (tmp_path / "clone" / "models" / "churn" / "current").exists()


@pytest.mark.following
def test_the_digest_is_the_same_on_a_host_without_a_work_tree(host: Following) -> None:
    assert shown(host.cli("show", "churn", "--oci")) == host.bench.manager.image_digest()


def test_metrics_that_dvc_keeps_are_not_in_it(bench: Workbench) -> None:
    """They are in the cache of who trained, and perhaps nowhere else."""
    bench.git("rm", "--quiet", "--cached", "metrics.json")
    bench.track("metrics.json")
    bench.commit()
    bench.release()
    assert bench.manager.show().metrics == {"accuracy": 0.75}
    digest = bench.manager.image_digest()
    md5 = hashlib.md5((bench.repo / "metrics.json").read_bytes()).hexdigest()
    (bench.repo / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    assert bench.manager.show().metrics == {}
    assert bench.manager.image_digest() == digest


@pytest.mark.released
def test_another_version_has_another_digest(bench: Workbench) -> None:
    first = bench.manager.image_digest()
    bench.release("model 2\n")
    assert len({first, bench.manager.image_digest(), bench.manager.image_digest("1.0")}) == 2


# --- bytes


@pytest.mark.released
def test_bad_bytes_in_the_cache_are_replaced_from_the_remote(
    bench: Workbench, layout: Path
) -> None:
    digest = bench.manager.image_digest()
    (cached,) = (path for path in (bench.repo / ".dvc/cache").rglob("*") if path.is_file())
    cached.chmod(0o644)
    cached.write_bytes(b"model !\n")
    assert bench.manager.export_image(layout).digest == digest
    assert Layout(layout).contents["models/model.bin"] == b"model 1\n"
    assert {path.name for path in layout.iterdir()} == {"blobs", "index.json", "oci-layout"}


@pytest.mark.released
def test_bytes_that_are_nowhere_are_told_and_leave_nothing(bench: Workbench, layout: Path) -> None:
    (cached,) = (path for path in (bench.repo / ".dvc/cache").rglob("*") if path.is_file())
    cached.chmod(0o644)
    cached.write_bytes(b"model !\n")
    remove_tree(bench.repo.parent / "dvc-remote")
    with pytest.raises((Corrupt, Unavailable)):
        bench.manager.export_image(layout)
    assert not layout.exists()
    assert not list(layout.parent.glob(".image*"))


def test_a_large_file_goes_through_in_blocks(bench: Workbench, layout: Path) -> None:
    data = bytes(range(256)) * (40 << 10)  # 10 MiB
    bench.train(data + b"end")
    bench.release()
    exported = bench.manager.export_image(layout)
    assert Layout(layout).contents["models/model.bin"] == data + b"end"
    assert exported.files[0].size == len(data) + 3
    assert bench.manager.image_digest() == exported.digest


@pytest.mark.released
def test_a_full_disk_is_told_and_leaves_nothing(bench: Workbench, layout: Path) -> None:
    @contextlib.contextmanager
    def full(doing: str, total: int | None) -> Iterator[Advance]:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")
        yield lambda _: None

    source, host = find(bench.repo)
    with pytest.raises(Unavailable) as caught:
        oci.export(source, host, Ref.parse("churn"), layout, full)
    message = f"{layout} could not be written: No space left on device ({layout.parent})"
    assert str(caught.value) == message
    assert not layout.exists()
    assert not list(layout.parent.glob(".image*"))


@pytest.mark.released
def test_a_folder_in_use_is_refused(bench: Workbench, layout: Path) -> None:
    layout.mkdir()
    (layout / "mine").touch()
    with pytest.raises(Refused, match="exists and is not an empty folder"):
        bench.manager.export_image(layout)
    assert [path.name for path in layout.iterdir()] == ["mine"]


@pytest.mark.released
@pytest.mark.parametrize(
    ("more", "error"),
    [
        ((), "an image needs a folder or a registry: -o DIR, --push HOST/NAME"),
        (("--format", "mlflow", "-o", "out"), "an image has no other description"),
    ],
)
def test_what_an_image_does_not_go_with_is_a_mistake_in_the_command(
    bench: Workbench, more: tuple[str, ...], error: str
) -> None:
    result = bench.cli("export", "churn", "--format", "oci", *more)
    assert (result.code, result.out) == (2, "")
    assert error in result.err


# --- what it says


@pytest.mark.released
def test_a_label_has_no_secret_no_control_character_and_an_end(bench: Workbench) -> None:
    described = bench.manager.show()
    tagger = "A\x1b[31m\n<https://me:secret@host/?key=1>"
    described = replace(described, tag=replace(described.tag, tagger=tagger))
    described = replace(
        described, files=tuple(replace(file, sha256="00" * 32) for file in described.files)
    )
    labels = image.labels(described, Artifact("churn", PATH, description="d" * 5000), "md5:0")
    assert labels["org.opencontainers.image.authors"] == r"A\x1b[31m <https://host/"
    assert labels["org.opencontainers.image.description"] == "d" * 1000
    assert labels["tagship.tag"] == "churn@v1.0.0"
    assert "org.opencontainers.image.licenses" not in labels


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("churn", "churn"),
        ("dl_model", "dl-model"),
        ("Vision:det/Small__x", "vision/det/small-x"),
        ("some.folder/a:b", "some-folder/a/b"),
    ],
)
def test_the_name_of_a_model_becomes_one_of_a_registry(model: str, name: str) -> None:
    assert image.repository(model) == name


def test_a_version_becomes_a_tag_of_a_registry() -> None:
    assert image.tag("1.0.0-rc.1+cu12.4") == "1.0.0-rc.1_cu12.4"
    assert image.is_tag(image.tag("1.0.0+" + "x" * 200))
    assert not image.is_tag("a/b")


def test_the_digest_of_a_version_is_that_of_the_last_release() -> None:
    """What was pushed is found again: whoever changes this says so in CHANGELOG.md."""
    described = metadata.Metadata(
        model="churn", version="1.0.0", path="model.bin", self_test=None,
        tag=metadata.TagInfo("churn@v1.0.0", "a" * 40, "Ada <a@b.c>", "2026-11-20T12:00:00Z", "1"),
        commit=metadata.CommitInfo("b" * 40, "Ada <a@b.c>", "2026-11-20T12:00:00Z", "Train"),
        files=(files.File("model.bin", 0, "d41d8cd98f00b204e9800998ecf8427e", "e3" * 32),), size=0,
    )  # fmt: skip
    empty = tar.head("models/model.bin", 0) + tar.END
    layers = [empty, *(image.own_layer(*own) for own in image.own_files(described).items())]
    blobs = [image.Blob.of(image.LAYER, layer) for layer in layers]
    made = image.image(described, Artifact("churn", PATH), "md5:0", blobs)
    assert made.digest == "sha256:36363b8107f584458375e08d31a72227c94da1939d682801d0bd2e4d18c46dee"


# --- the tar


PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\\"), min_size=1, max_size=80)


@given(
    st.lists(PARTS, min_size=1, max_size=4).map("/".join).filter(is_path),
    st.binary(max_size=1100),
    st.booleans(),
)
def test_python_reads_what_is_written(path: str, data: bytes, executable: bool) -> None:
    head = tar.head(path, len(data), executable=executable)
    archive = head + data + tar.padding(len(data)) + tar.END
    assert len(archive) == tar.length(path, len(data)) + len(tar.END)
    assert len(archive) % tar.BLOCK == 0
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        (entry,) = opened.getmembers()
        file = opened.extractfile(entry)
        assert file is not None
        assert (entry.name, file.read()) == (path, data)
        assert entry.mode == (0o555 if executable else 0o444)


def test_a_file_of_more_than_8_gib_has_its_size() -> None:
    size = 9 << 30
    entry = tarfile.TarFile.open(fileobj=io.BytesIO(tar.head("a", size) + tar.END)).next()
    assert entry is not None
    assert (entry.name, entry.size) == ("a", size)


def test_a_read_passes_each_block_on(tmp_path: Path) -> None:
    data = os.urandom(3 * files.BLOCK + 5)
    (tmp_path / "file").write_bytes(data)
    written, beside = io.BytesIO(), io.BytesIO()
    file = files.pour(tmp_path / "file", written.write, None, beside.write)
    assert written.getvalue() == beside.getvalue() == data
    assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert file.md5 == hashlib.md5(data).hexdigest()
