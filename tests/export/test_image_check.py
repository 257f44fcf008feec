"""An image, held to its tag: the same bytes as its tag gives, or refused with words."""

import gzip
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagship import Corrupt, InvalidName, NotFound, Refused, TagshipError, Workspace
from tagship.disk.atomic import remove_tree
from tests.export import images
from tests.export.images import Layout, archive, entry
from tests.workbench import PATH, Result, Workbench, run

TAMPERED = "the layer has other bytes than its digest says"


@pytest.fixture
def layout(bench: Workbench, tmp_path: Path) -> Layout:
    """The image of 1.0.0, which is released."""
    if not bench.git("tag").strip():
        bench.release()
    bench.manager.export_image(tmp_path / "image")
    return Layout(tmp_path / "image")


def problems(bench: Workbench, layout: Layout) -> list[str]:
    """What ``verify`` says; nothing on disk may change."""
    before = bench.state()
    (verification,) = [Workspace(bench.repo).verify_image(f"oci:{layout.folder}")]
    assert bench.changes(before) == set()
    return [f"{problem.path} {problem.what}" for problem in verification.problems]


@pytest.mark.released
def test_an_image_is_as_its_tag_gives_it(bench: Workbench, layout: Layout) -> None:
    assert bench.cli("verify", f"oci:{layout.folder}") == Result(
        0,
        f"churn oci:{layout.folder}@{layout.digest} is as it was released (1 file, 8 B)\n",
        "",
    )
    named = f"oci:{layout.folder}@{layout.digest}"
    assert bench.cli("verify", named).out == f"churn {named} is as it was released (1 file, 8 B)\n"


@pytest.mark.released
def test_the_bytes_of_the_version_are_not_needed(bench: Workbench, layout: Layout) -> None:
    remove_tree(bench.repo / ".dvc" / "cache")
    remove_tree(bench.repo.parent / "dvc-remote")
    assert problems(bench, layout) == []


def test_an_image_of_a_folder_with_many_files_is_verified(bench: Workbench, tmp_path: Path) -> None:
    (bench.repo / f"{PATH}.dvc").unlink()
    (bench.repo / PATH).unlink()
    (bench.repo / PATH).mkdir()
    for number in range(120):
        (bench.repo / PATH / f"ä{number}").write_bytes(os.urandom(number * 10))
    (bench.repo / PATH / "large").write_bytes(os.urandom(3 << 20))
    bench.track(PATH)
    bench.commit()
    bench.release()
    bench.manager.export_image(tmp_path / "image")
    assert problems(bench, Layout(tmp_path / "image")) == []


def test_files_that_git_keeps_are_held_to_their_blobs(bench: Workbench, tmp_path: Path) -> None:
    (bench.repo / f"{PATH}.dvc").unlink()
    (bench.folder / ".gitignore").unlink()
    bench.commit("Git keeps the model")
    bench.release()
    bench.manager.export_image(tmp_path / "image")
    layout = Layout(tmp_path / "image")
    assert problems(bench, layout) == []
    layout.forge([cut(archive(entry(), data=b"model !\n")), layout.layers[1]])
    assert problems(bench, layout) == ["model.bin has other bytes than it was released with"]


@pytest.mark.released
def test_another_image_of_the_layout_is_found_by_its_digest(
    bench: Workbench, layout: Layout
) -> None:
    first, index = layout.digest, layout.index
    layout.forge(config=lambda value: value.update(author="eve"))
    index["manifests"] += layout.index["manifests"]
    (layout.folder / "index.json").write_bytes(images.compact(index))
    with pytest.raises(Refused, match="has several images"):
        problems(bench, layout)
    assert bench.cli("verify", f"oci:{layout.folder}@{first}").code == 0
    other = index["manifests"][1]["digest"]
    assert bench.cli("verify", f"oci:{layout.folder}@{other}").code == 1


@pytest.mark.released
def test_one_flipped_bit_is_found(bench: Workbench, layout: Layout) -> None:
    name = layout.manifest["layers"][0]["digest"]
    for place in (600, 1000, 513, 100, 2047):  # padding, the end, the file, the header
        data = bytearray(layout.blob(name))
        data[place] ^= 1
        layout.path(name).write_bytes(data)
        assert problems(bench, layout) == [f"model.bin {TAMPERED}"]
        data[place] ^= 1
        layout.path(name).write_bytes(data)
    assert problems(bench, layout) == []


@pytest.mark.released
def test_verify_ends_with_1_and_says_what_is_wrong(bench: Workbench, layout: Layout) -> None:
    name = layout.manifest["layers"][0]["digest"]
    layout.path(name).write_bytes(layout.path(name).read_bytes()[:-1] + b"!")
    assert bench.cli("verify", f"oci:{layout.folder}") == Result(
        1,
        f"churn oci:{layout.folder}@{layout.digest} is NOT as it was released (1 file, 8 B)\n"
        f"  model.bin {TAMPERED}\n",
        "",
    )


LAYERS: dict[str, tuple[bytes, str]] = {
    "other bytes": (
        archive(entry(), data=b"model !\n"),
        "model.bin has other bytes than it was released with",
    ),
    "..": (
        archive(entry("models/../../etc/cron.d/x")),
        "model.bin the layer leads out of the image: models/../../etc/cron.d/x",
    ),
    "an absolute path": (
        archive(entry("/etc/passwd")),
        "model.bin the layer leads out of the image: /etc/passwd",
    ),
    "a symbolic link": (
        archive(entry(type=tarfile.SYMTYPE, linkname="/etc/passwd"), data=b""),
        "model.bin has a layer of 10240 bytes instead of 2048",
    ),
    "another name": (
        archive(entry("models/other.bin")),
        "model.bin the layer has something else: models/other.bin",
    ),
    "an executable": (
        archive(entry(mode=0o555)),
        "model.bin has another size, mode, owner or time than its tag gives",
    ),
    "a setuid bit": (
        archive(entry(mode=0o4555)),
        "model.bin has another size, mode, owner or time than its tag gives",
    ),
    "a time": (
        archive(entry(mtime=1)),
        "model.bin has another size, mode, owner or time than its tag gives",
    ),
    "a name that a terminal obeys": (
        archive(entry("models/\x1b[2J")),
        r"model.bin the layer has something else: models/\x1b[2J",
    ),
    "no tar": (b"x" * 2048, "model.bin is in no tar, or its layer is cut short"),
}
SHORT = {tarfile.SYMTYPE: "a link", tarfile.LNKTYPE: "a link", tarfile.CHRTYPE: "a device",
         tarfile.BLKTYPE: "a device", tarfile.DIRTYPE: "a folder", tarfile.FIFOTYPE: "a pipe",
         tarfile.GNUTYPE_SPARSE: "a file with holes"}  # fmt: skip


def cut(data: bytes) -> bytes:
    """As long as the layer of the model: Python fills tars up to 10,240 bytes."""
    return data[:2048]


@pytest.mark.released
@pytest.mark.parametrize("what", sorted(LAYERS))
def test_a_layer_with_something_else_is_refused(
    bench: Workbench, layout: Layout, what: str
) -> None:
    data, error = LAYERS[what]
    forged = data if "instead of" in error else cut(data)
    layout.forge([forged, layout.layers[1]])
    assert problems(bench, layout) == [error]


@pytest.mark.released
@pytest.mark.parametrize("kind", sorted(SHORT))
def test_what_is_no_file_is_refused(bench: Workbench, layout: Layout, kind: bytes) -> None:
    data = cut(archive(entry(type=kind, linkname="/etc/shadow"), data=b""))
    layout.forge([data, layout.layers[1]])
    assert problems(bench, layout) == [
        f"model.bin the layer has {SHORT[kind]} instead: models/model.bin"
    ]


@pytest.mark.released
def test_a_file_twice_is_refused(bench: Workbench, layout: Layout) -> None:
    twice = archive(entry(), entry(), data=b"model 1\n")[:2048]  # 2 x (header, file)
    layout.forge([twice, layout.layers[1]])
    error = "model.bin the layer has a file twice: models/model.bin"
    assert problems(bench, layout) == [error]


@pytest.mark.released
def test_a_layer_more_is_refused(bench: Workbench, layout: Layout) -> None:
    layers = layout.layers
    layout.forge([*layers, cut(archive(entry(), data=b"model !\n"))])
    assert problems(bench, layout) == ["manifest has 3 layers instead of 2"]


@pytest.mark.released
def test_a_bomb_is_refused_before_it_is_read(bench: Workbench, layout: Layout) -> None:
    """100 TB of zeros in a file with holes: it is as long as the manifest says."""
    size = 100 << 40

    def lengthen(manifest: dict[str, Any]) -> None:
        manifest["layers"][0]["size"] = size

    layout.forge(manifest=lengthen)
    assert problems(bench, layout) == [
        f"model.bin has a layer of {size} bytes instead of 2048",
    ]


@pytest.mark.released
def test_a_compressed_layer_is_refused(bench: Workbench, layout: Layout) -> None:
    zipped = gzip.compress(bytes(100 << 20))

    def compress(manifest: dict[str, Any]) -> None:
        kind = "application/vnd.oci.image.layer.v1.tar+gzip"
        manifest["layers"][0] = {"mediaType": kind, **layout.add(zipped)}

    layout.forge(manifest=compress)
    assert problems(bench, layout) == [
        "manifest has a layer of another kind than a plain tar:"
        " application/vnd.oci.image.layer.v1.tar+gzip"
    ]


Forge = Callable[[dict[str, Any]], object]
CONFIGS: dict[str, tuple[Forge, str]] = {
    "a program to start": (
        lambda value: value["config"].update(Entrypoint=["/bin/sh"]),
        "configuration is not as its tag gives it",
    ),
    "another label": (
        lambda value: value["config"]["Labels"].update({"tagship.commit": "0" * 40}),
        "configuration is not as its tag gives it",
    ),
    "another time": (
        lambda value: value.update(created="2020-01-01T00:00:00Z"),
        "configuration is not as its tag gives it",
    ),
}


@pytest.mark.released
@pytest.mark.parametrize("what", sorted(CONFIGS))
def test_another_configuration_is_refused(bench: Workbench, layout: Layout, what: str) -> None:
    change, error = CONFIGS[what]
    layout.forge(config=change)
    assert problems(bench, layout) == [error, "manifest is not as its tag gives it"]


@pytest.mark.released
def test_an_annotation_is_refused(bench: Workbench, layout: Layout) -> None:
    layout.forge(manifest=lambda value: value.update(annotations={"a": "b"}))
    assert problems(bench, layout) == ["manifest is not as its tag gives it"]


def own(layout: Layout, change: Callable[[dict[str, Any]], object]) -> None:
    """Another metadata.json, in a layer as tagship would write it."""
    from tagship.export import image

    value = json.loads(layout.contents["models/metadata.json"])
    change(value)
    text = json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
    layout.forge([layout.layers[0], image.own_layer("metadata.json", text)])


METADATA: dict[str, tuple[Forge, list[str]]] = {
    "another MD5": (
        lambda value: value["files"][0].update(md5="0" * 32),
        ["metadata.json names another MD5 for model.bin than the tag"],
    ),
    "another size": (
        lambda value: value["files"][0].update(size=1 << 50),
        ["metadata.json names another size for model.bin than the tag"],
    ),
    "another SHA-256": (
        lambda value: value["files"][0].update(sha256="0" * 64),
        ["model.bin has another digest than metadata.json of the image says"],
    ),
    "an executable": (
        lambda value: value["files"][0].update(executable=True),
        ["metadata.json names another executable bit for model.bin than the tag"],
    ),
    "a file more": (
        lambda value: value["files"].append({**value["files"][0], "path": "other"}),
        ["metadata.json names other, which the tag does not have"],
    ),
    "a file twice": (
        lambda value: value["files"].append(value["files"][0]),
        ["metadata.json names a file twice"],
    ),
    "no file": (
        lambda value: value["files"].clear(),
        ["metadata.json does not name model.bin"],
    ),
    "other metrics": (
        lambda value: value["metrics"].update(accuracy=1.0),
        ["metadata.json is not as its tag gives it"],
    ),
    "a path outside": (
        lambda value: value["files"][0].update(path="../x"),
        ["metadata.json is not valid: files[0].path must be a valid path in a version"],
    ),
}


@pytest.mark.released
@pytest.mark.parametrize("what", sorted(METADATA))
def test_other_metadata_are_refused(bench: Workbench, layout: Layout, what: str) -> None:
    change, errors = METADATA[what]
    own(layout, change)
    found = problems(bench, layout)
    assert [error.partition(": files")[0] for error in found] == [
        error.partition(": files")[0] for error in errors
    ]


@pytest.mark.released
def test_metadata_with_something_beside_them_are_refused(bench: Workbench, layout: Layout) -> None:
    layout.forge([layout.layers[0], layout.layers[1] + bytes(512)])
    assert problems(bench, layout) == [
        "metadata.json is not alone in its layer, or not as its tag gives it"
    ]


@pytest.mark.released
def test_a_blob_that_is_missing_is_told(bench: Workbench, layout: Layout) -> None:
    name = layout.manifest["layers"][0]["digest"]
    layout.path(name).unlink()
    assert problems(bench, layout) == ["model.bin cannot be read: a part of it is missing"]


@pytest.mark.released
def test_a_blob_is_no_link(bench: Workbench, layout: Layout, tmp_path: Path) -> None:
    path = layout.path(layout.manifest["layers"][0]["digest"])
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    (problem,) = problems(bench, layout)
    assert problem.startswith("model.bin cannot be read: ")


@pytest.mark.released
def test_a_tag_that_was_moved_is_told(bench: Workbench, layout: Layout) -> None:
    bench.git("tag", "--force", "--annotate", "--message", "moved", "churn@v1.0.0")
    assert problems(bench, layout) == [
        "metadata.json is not as its tag gives it",
        "configuration is not as its tag gives it",
        "manifest is not as its tag gives it",
    ]


@pytest.mark.released
def test_a_tag_that_this_clone_lacks_is_told(bench: Workbench, layout: Layout) -> None:
    bench.git("tag", "--delete", "churn@v1.0.0")
    with pytest.raises(NotFound, match=r"churn has no"):
        problems(bench, layout)


Break = Callable[[Layout], object]
BROKEN: dict[str, tuple[Break, type[TagshipError], str]] = {
    "no folder": (
        lambda layout: shutil.rmtree(layout.folder),
        NotFound,
        "there is no OCI layout in",
    ),
    "no JSON": (
        lambda layout: (layout.folder / "index.json").write_text("{"),
        Corrupt,
        "index.json cannot be read",
    ),
    "no list of images": (
        lambda layout: (layout.folder / "index.json").write_text("[]"),
        Corrupt,
        "index.json cannot be read: it names no images",
    ),
    "a name that is no digest": (
        lambda layout: (layout.folder / "index.json").write_text(
            '{"manifests": [{"digest": "sha256:../../x", "size": 1, "mediaType": "a"}]}'
        ),
        Corrupt,
        "it names something without a SHA-256",
    ),
    "an index without end": (
        lambda layout: os.truncate(layout.folder / "index.json", 1 << 40),
        Corrupt,
        "it is too long",
    ),
    "another manifest": (
        lambda layout: layout.path(layout.digest).write_bytes(b" " * 547),
        Corrupt,
        "is no image of a version",
    ),
    "no manifest": (
        lambda layout: layout.path(layout.digest).unlink(),
        Corrupt,
        "cannot be read: No such file or directory",
    ),
    "no label": (
        lambda layout: layout.forge(config=lambda value: value["config"].clear()),
        Corrupt,
        "it has no label tagship.tag with the tag of a version",
    ),
    "a label that is no tag": (
        lambda layout: layout.forge(
            config=lambda value: value["config"].update(Labels={"tagship.tag": "../x"})
        ),
        Corrupt,
        "it has no label tagship.tag with the tag of a version",
    ),
    "other bytes in the configuration": (
        lambda layout: layout.path(layout.manifest["config"]["digest"]).write_text("{}"),
        Corrupt,
        "its configuration has other bytes than its digest says",
    ),
    "no layers": (
        lambda layout: layout.forge(manifest=lambda value: value.update(layers={})),
        Corrupt,
        "it names no layers",
    ),
    "a size that is none": (
        lambda layout: layout.forge(manifest=lambda value: value["layers"][0].update(size=-1)),
        Corrupt,
        "without a size",
    ),
}


@pytest.mark.released
@pytest.mark.parametrize("what", sorted(BROKEN))
def test_what_is_no_image_is_told(bench: Workbench, layout: Layout, what: str) -> None:
    damage, kind, error = BROKEN[what]
    damage(layout)
    before = bench.state() if layout.folder.exists() and "end" not in what else None
    with pytest.raises(TagshipError) as caught:
        Workspace(bench.repo).verify_image(f"oci:{layout.folder}")
    assert type(caught.value) is kind
    assert error in caught.value.message
    assert "tagship" in caught.value.hint or "cat" in caught.value.hint
    assert before is None or bench.changes(before) == set()


# --- how an image is named


@pytest.mark.released
def test_a_model_of_a_folder_called_oci_is_reached_unless_a_file_has_its_name(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    as_model = bench.cli("verify", "oci:churn")
    assert as_model.code == 1
    assert "oci:churn" in as_model.err
    assert "OCI layout" not in as_model.err
    (tmp_path / "churn").mkdir()
    assert "there is no OCI layout in churn" in bench.cli("verify", "oci:churn").err
    assert "there is no OCI layout in other" in bench.cli("verify", "oci:./other").err
    assert "OCI layout" not in bench.cli("verify", "oci=churn@v1.0.0").err


@pytest.mark.parametrize("text", ["oci:", "oci:a@sha256:12", "churn", "docker:a"])
def test_another_text_is_no_place(bench: Workbench, text: str) -> None:
    with pytest.raises(InvalidName, match="is not the place of an image"):
        Workspace(bench.repo).verify_image(text)


def test_a_signed_version_has_its_signature_in_it(bench: Workbench, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "tagship"
    folder.mkdir()
    key = str(folder / "key")
    run(folder, "ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", key)
    keys = 'signing_key = "key"\nmodel_keys = "key.pub"\n'
    (folder / "host.toml").write_text(keys)
    bench.release()
    bench.manager.export_image(tmp_path / "image")
    layout = Layout(tmp_path / "image")
    assert list(layout.contents) == [
        "models/model.bin", "models/metadata.json", "models/model.sig",
    ]  # fmt: skip
    bench.manager.deploy(smoke_test=False)
    live = (bench.current.resolve() / "model.sig").read_bytes()
    assert layout.contents["models/model.sig"] == live
    assert problems(bench, layout) == []
    layers = layout.layers
    forged = layers[2].replace(b'"payload": "', b'"payload": "A', 1)[: len(layers[2])]
    layout.forge([*layers[:2], forged])
    assert problems(bench, layout) != []
    layout.forge(layers[:2])
    assert problems(bench, layout) == ["manifest has 2 layers instead of 3"]
