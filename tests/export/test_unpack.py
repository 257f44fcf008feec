"""The files of an image in a folder, which programs load and serve: all compared, or refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagship import Corrupt, NotFound, Refused, TagshipError, Workspace, load, resolve
from tagship.cli import main
from tagship.export import image, layer_check
from tests.export import registry
from tests.export.images import Layout, archive, entry
from tests.workbench import PATH, Result, Workbench, run


@pytest.fixture
def layout(bench: Workbench, tmp_path: Path) -> Layout:
    """The image of 1.0.0, which is released."""
    bench.manager.export_image(tmp_path / "image")
    return Layout(tmp_path / "image")


def refused(layout: Layout, folder: Path) -> str:
    """What is said; nothing is left."""
    with pytest.raises(TagshipError) as caught:
        Workspace(folder).unpack_image(f"oci:{layout.folder}", folder / "models")
    assert [path.name for path in folder.iterdir() if path.name.startswith((".", "models"))] == []
    return caught.value.message.removeprefix(f"oci:{layout.folder} is not unpacked: ")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.mark.released
def test_the_files_are_those_of_the_version_and_nobody_may_write_them(
    bench: Workbench, layout: Layout, empty: Path
) -> None:
    folder = empty / "models"
    told = bench.cli_in(empty, "unpack", f"oci:{layout.folder}@{layout.digest}", str(folder))
    assert told == Result(
        0, f"churn 1.0.0 is in {folder}\n  {layout.digest}\n  model.bin: 8 B\n", ""
    )
    assert (folder / "model.bin").read_text() == "model 1\n"
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"model.bin": 0o444, "metadata.json": 0o444}
    assert resolve("churn", root=folder).version == "1.0.0"


def test_a_folder_keeps_its_folders_and_its_programs(bench: Workbench, tmp_path: Path) -> None:
    (bench.repo / f"{PATH}.dvc").unlink()
    (bench.repo / PATH).unlink()
    for number in range(120):
        path = bench.repo / PATH / f"layers/{number % 7}/ä{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
    bench.track(PATH)
    bench.commit()
    bench.release()
    bench.manager.export_image(tmp_path / "image")
    unpacked = Workspace(tmp_path).unpack_image(f"oci:{tmp_path}/image", tmp_path / "models")
    there = {file.path for file in unpacked.files}
    folder = unpacked.directory
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == there | {"metadata.json"}
    assert len(there) == 120
    assert load("churn", root=folder, loader=str, verify=True).version == "1.0.0"


@pytest.mark.released
def test_a_flipped_bit_is_refused_and_so_is_a_digest_that_follows_it(
    layout: Layout, empty: Path
) -> None:
    model, described = layout.layers
    layer = layout.path(layout.manifest["layers"][0]["digest"])
    layer.write_bytes(model.replace(b"model 1", b"model 3"))
    assert refused(layout, empty) == f"model.bin {layer_check.OTHER_BYTES}"
    layer.write_bytes(model)
    layout.forge([model.replace(b"model 1", b"model 3"), described])
    assert refused(layout, empty) == "model.bin has other bytes than it was released with"


@pytest.mark.released
def test_the_hint_says_where_the_image_comes_from(layout: Layout, empty: Path) -> None:
    tag = "tagship export MODEL@VERSION --format oci"
    layer = layout.path(layout.manifest["layers"][0]["digest"])
    layer.write_bytes(layer.read_bytes().replace(b"model 1", b"model 3"))
    with pytest.raises(Corrupt) as caught:
        Workspace(empty).unpack_image(f"oci:{layout.folder}", empty / "models")
    assert caught.value.hint == f"write it again, into a new folder: {tag} -o DIR"
    with registry.running() as pushed:
        name = f"sha256:{'0' * 64}"
        pushed.manifests[name] = b"{}"
        with pytest.raises(Corrupt) as caught:
            Workspace(empty).unpack_image(f"docker://{pushed.host}/m@{name}", empty / "models")
    assert caught.value.hint == f"push it again: {tag} --push HOST/NAME --force"


@pytest.mark.released
def test_the_folder_that_one_is_in_is_refused_with_a_command_of_unpack(
    bench: Workbench, layout: Layout, empty: Path
) -> None:
    bench.monkeypatch.chdir(empty)
    told = bench._run(main.main, "unpack", f"oci:{layout.folder}", ".")
    error = "error: . is the folder that you are in\nhint: give a new one: tagship unpack IMAGE"
    assert told == Result(1, "", f"{error} ./export\n")


@pytest.mark.released
@pytest.mark.parametrize(
    ("other", "said"),
    [
        (archive(entry("models/../../escape")), "leads out of the image: models/../../escape"),
        (archive(entry("/etc/passwd")), "leads out of the image: /etc/passwd"),
        (archive(entry(type=b"2", linkname="/etc/passwd")), "has a link instead: models/model.bin"),
        (archive(entry(type=b"3")), "has a device instead: models/model.bin"),
    ],
)
def test_what_is_no_file_of_the_version_is_not_written(
    layout: Layout, empty: Path, other: bytes, said: str
) -> None:
    size = len(layout.layers[0])
    layout.forge([other[:size].ljust(size, b"\0"), layout.layers[1]])
    assert refused(layout, empty) == f"model.bin the layer {said}"
    assert not (empty.parent / "escape").exists()


@pytest.mark.released
def test_a_layer_that_is_longer_than_its_files_is_not_read(layout: Layout, empty: Path) -> None:
    layout.forge(manifest=lambda made: made["layers"][0].update(size=1 << 47))
    size = len(layout.layers[1]) and (1 << 47)
    assert refused(layout, empty) == f"model.bin has a layer of {size} bytes instead of 2048"


@pytest.mark.released
def test_an_image_of_something_else_is_refused(layout: Layout, empty: Path) -> None:
    model, described = layout.layers
    layout.forge([model])
    assert refused(layout, empty) == "it has no metadata.json"
    layout.forge([described])
    assert refused(layout, empty) == "it has 0 layers of files instead of 1"
    layout.forge(manifest=lambda made: made["layers"][0].update(mediaType="text/plain"))
    assert refused(layout, empty).startswith("it has a layer of another kind than a plain tar")


def with_metadata(layout: Layout, change: Callable[[dict[str, Any]], object]) -> None:
    """Another metadata.json in the image; its digests are all right."""
    model, _ = layout.layers
    value = json.loads(layout.contents["models/metadata.json"])
    change(value)
    layout.forge([model, image.own_layer("metadata.json", json.dumps(value).encode())])


@pytest.mark.released
def test_metadata_of_a_later_tagship_is_taken_and_a_lie_in_it_is_not(
    layout: Layout, empty: Path
) -> None:
    with_metadata(layout, lambda value: value["files"].append(value["files"][0]))
    assert refused(layout, empty).startswith("its metadata.json names a file twice")
    with_metadata(layout, lambda value: value["files"].pop())
    with_metadata(layout, lambda value: value.update(later="a key"))
    place = f"oci:{layout.folder}"
    assert Workspace(empty).unpack_image(place, empty / "first").version == "1.0.0"
    with_metadata(layout, lambda value: value["files"][0].update(path="../escape"))
    assert refused(layout, empty).startswith("its metadata.json is not valid")


@pytest.mark.released
def test_a_digest_names_the_image(layout: Layout, empty: Path) -> None:
    digest = layout.digest
    manifest = layout.path(digest)
    manifest.write_bytes(manifest.read_bytes().replace(b"2048", b"2049"))
    with pytest.raises(Corrupt, match="its manifest has other bytes than its digest says"):
        Workspace(empty).unpack_image(f"oci:{layout.folder}@{digest}", empty / "models")


@pytest.mark.released
def test_a_folder_with_something_in_it_is_left_alone(layout: Layout, empty: Path) -> None:
    (empty / "models").mkdir()
    (empty / "models/mine").touch()
    with pytest.raises(Refused, match="exists and is not an empty folder"):
        Workspace(empty).unpack_image(f"oci:{layout.folder}", empty / "models")
    assert [path.name for path in (empty / "models").iterdir()] == ["mine"]


@pytest.mark.released
def test_a_second_run_changes_nothing_unless_a_byte_of_the_first_was_changed(
    layout: Layout, empty: Path
) -> None:
    def unpack() -> list[int]:
        folder = Workspace(empty).unpack_image(f"oci:{layout.folder}", empty / "models").directory
        return [path.stat().st_ino for path in (folder, *sorted(folder.iterdir()))]

    first = unpack()
    assert unpack() == first
    (empty / "models/model.bin").chmod(0o644)
    (empty / "models/model.bin").write_text("model 3\n")
    with pytest.raises(Refused, match="exists and is not an empty folder"):
        unpack()


def test_the_files_must_be_signed_where_this_account_asks_for_it(
    bench: Workbench, tmp_path: Path, empty: Path
) -> None:
    policy = tmp_path / "home" / "tagship"
    policy.mkdir()
    for name in ("key", "other"):
        run(policy, "ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(policy / name))
    (policy / "host.toml").write_text('signing_key = "key"\n')
    bench.release()
    bench.manager.export_image(tmp_path / "image")
    layout = Layout(tmp_path / "image")
    (policy / "host.toml").write_text('model_keys = "other.pub"\n')
    assert refused(layout, empty).startswith("the files of churn 1.0.0 are signed by a key that")
    (policy / "host.toml").write_text('model_keys = "key.pub"\n')
    layers = layout.layers
    layout.forge(layers[:2])
    assert refused(layout, empty) == "model.sig is not the signature of this version"
    layout.forge(layers)
    folder = Workspace(empty).unpack_image(f"oci:{layout.folder}", empty / "models").directory
    assert (folder / "model.sig").read_bytes() == layout.contents["models/model.sig"]
    assert load("churn", root=folder, loader=Path.read_text, verify=True).version == "1.0.0"


# --- what is unpacked, or mounted, answers


@pytest.fixture
def mounted(bench: Workbench, layout: Layout, tmp_path: Path) -> Path:
    """The folder with the files of the image."""
    return Workspace(tmp_path).unpack_image(f"oci:{layout.folder}", tmp_path / "models").directory


@pytest.mark.released
def test_it_is_loaded_with_the_digest_that_the_version_has_anywhere(
    bench: Workbench, mounted: Path
) -> None:
    live = resolve("churn", root=mounted)
    assert (live.version, live.directory, live.seq, live.since) == ("1.0.0", mounted, 0, "")
    bench.manager.deploy()
    assert live.digest == resolve("churn", bench.repo).digest
    active = load("churn", root=mounted, loader=Path.read_text, verify=True)
    assert active.model == "model 1\n"
    assert bench.cli("current", "churn", "--root", str(mounted)).out == "1.0.0\n"


@pytest.mark.released
@pytest.mark.parametrize("command", ["verify", "show churn", "status", "why churn"])
def test_what_needs_a_repository_says_what_works_there(
    bench: Workbench, mounted: Path, command: str
) -> None:
    bench.monkeypatch.setenv("TAGSHIP_ROOT", str(mounted))
    assert bench._run(main.main, *command.split()) == Result(
        1, "",
        f"error: not a DVC repository: {mounted}\n"
        "hint: this folder has the files of one version, churn 1.0.0, and no repository: name one"
        f" with -C DIR; what works here: TAGSHIP_ROOT={mounted} tagship current churn; so does"
        " `serve churn`, and `unpack` of its image compares the files\n",
    )  # fmt: skip
    assert bench._run(main.main, "current", "churn") == Result(0, "1.0.0\n", "")


@pytest.mark.released
def test_another_metadata_json_is_no_version(bench: Workbench, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "metadata.json").write_text("{}")
    result = bench._run(main.main, "-C", str(folder), "status")
    assert "to begin one: git " in result.err


@pytest.mark.released
def test_what_is_damaged_or_is_another_model_is_refused_with_words(mounted: Path) -> None:
    with pytest.raises(NotFound) as caught:
        resolve("fraud", root=mounted)
    assert caught.value.message == f"{mounted} has a version of churn, and not of fraud"
    (mounted / "model.bin").chmod(0o644)
    (mounted / "model.bin").write_text("model 3\n")
    with pytest.raises(Corrupt) as damaged:
        load("churn", root=mounted, loader=Path.read_text, verify=True)
    assert damaged.value.message.startswith("churn 1.0.0: model.bin has other bytes")
    assert damaged.value.hint.startswith("bring it again: tagship unpack IMAGE DIR")
    described = mounted / "metadata.json"
    described.chmod(0o644)
    described.write_text(json.dumps({"model": "churn"}))
    with pytest.raises(Corrupt, match=r"metadata.json"):
        resolve("churn", root=mounted)


@pytest.mark.released
def test_a_file_that_is_called_as_the_model_changes_nothing(mounted: Path) -> None:
    (mounted / "churn").write_text("")
    assert resolve("churn", root=mounted).version == "1.0.0"


@pytest.mark.released
def test_a_deployed_version_in_the_same_folder_counts_more(bench: Workbench, mounted: Path) -> None:
    bench.manager.deploy()
    shutil.copytree(bench.folder, mounted / "churn", symlinks=True)
    assert resolve("churn", root=mounted).seq == 1
