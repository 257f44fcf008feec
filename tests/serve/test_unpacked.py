"""A server of the files of an image, as Kubernetes mounts them: without versions/ and a link."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tagship import NotFound
from tagship import serve as serving
from tagship.disk import files
from tagship.host import live as host_live
from tagship.host import metadata
from tests.serve import asking
from tests.serve.asking import Served, batch
from tests.serve.shelf import Shelf

Serve = Callable[..., Served]


@pytest.fixture
def image(shelf: Shelf, tmp_path: Path) -> Path:
    """The files of 1.0.0, and metadata.json as an image has it."""
    directory, folder = shelf.store.versions / shelf.keep("1.0.0", 3.0), tmp_path / "mnt" / "models"
    folder.mkdir(parents=True)
    described = metadata.read(directory)
    for file in described.files:
        files.copy(directory / file.path, folder / file.path)
        (folder / file.path).chmod(0o444)
    metadata.write(folder, replace(described, deployment=None))
    folder.chmod(0o555)
    return folder


@pytest.mark.parametrize("isolate", ["thread", "process"])
def test_it_answers_and_names_its_version_and_its_digest(
    image: Path, serve: Serve, isolate: str
) -> None:
    server = serve(root=image, isolate=isolate)
    answer = server.infer(batch([1.0, 2.0]))
    assert (answer.status, answer.json["model_version"]) == (200, "1.0.0")
    assert answer.json["outputs"][0]["data"] == [3.0, 6.0]
    assert server.get("/v2/health/ready").status == 200
    told = server.get("/v2/models/churn").json["properties"]
    assert told["digest"] == host_live.resolve("churn", root=image).digest
    assert (told["seq"], told["since"]) == ("0", "")


def test_the_model_need_not_be_named(image: Path) -> None:
    assert serving.deployed(Path(), image) == ("churn",)


def test_a_damaged_byte_never_answers_and_is_said(image: Path, shelf: Shelf) -> None:
    (image / "model.toy").chmod(0o644)
    data = bytearray((image / "model.toy").read_bytes())
    data[-2] ^= 1
    (image / "model.toy").write_bytes(data)
    with asking.served(shelf, root=image, is_ready=False) as server:
        slot = server.slots["churn"]
        asking.until(lambda: slot.state().refused)
        refusal = slot.state().refused
        assert refusal is not None
        assert refusal.reason == "churn 1.0.0: model.toy has other bytes than it was deployed with"
        assert server.get("/v2/health/ready").status == 503
        assert server.infer(batch([1.0, 2.0])).status == 503


def test_another_model_than_the_image_has_is_not_ready(image: Path, shelf: Shelf) -> None:
    with pytest.raises(NotFound, match="has a version of churn, and not of fraud"):
        host_live.resolve("fraud", root=image)
    with asking.served(shelf, root=image, models=("fraud",), is_ready=False) as server:
        assert server.get("/v2/models/fraud/ready").status == 503


def test_no_other_version_is_found_in_it(image: Path) -> None:
    live = host_live.at("churn", "1.0", root=image)
    assert (live.version, live.directory) == ("1.0.0", image)
    assert host_live.at("churn", "models", root=image) == live
    with pytest.raises(NotFound) as caught:
        host_live.at("churn", "2.0.0", root=image)
    assert (caught.value.message, caught.value.hint) == (
        "churn 2.0.0 is not on this host", "on disk: 1.0.0",
    )  # fmt: skip
