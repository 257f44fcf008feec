"""Images for registries and engines as they are: docker-registry, skopeo, podman, KServe.

``make oci-test``.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagship import Workspace
from tagship.host import metadata
from tests.export import distribution
from tests.export.images import Layout
from tests.serve import clients
from tests.workbench import Workbench, run

NAME = "models/churn"


@pytest.fixture(autouse=True)
def asked_for(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("all_oci"):
        pytest.skip("needs --all-oci: make oci-test")
    programs = ("docker-registry", "skopeo", "podman")
    if missing := [name for name in programs if shutil.which(name) is None]:
        pytest.skip(f"needs {' and '.join(missing)}")


@pytest.fixture
def registry(asked_for: None, tmp_path: Path) -> Iterator[str]:
    """The address of a registry, whose files are in ``tmp_path / "registry"``."""
    with distribution.running(tmp_path / "registry") as address:
        yield address


def verify(bench: Workbench, place: str) -> list[str]:
    verification = Workspace(bench.repo).verify_image(place)
    return [f"{problem.path} {problem.what}" for problem in verification.problems]


def skopeo(*arguments: str) -> str:
    kinds = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    kinds += ["--preserve-digests"]  # else it compresses the layers: another image
    options = kinds if arguments[0] == "copy" else ["--tls-verify=false"]
    return run(Path("/"), "skopeo", arguments[0], *options, *arguments[1:])


@pytest.mark.released
def test_what_is_pushed_is_found_and_copied_by_skopeo(
    bench: Workbench, registry: str, tmp_path: Path
) -> None:
    place = f"{registry}/{NAME}"
    pushed = bench.manager.export_image(push=place)
    assert bench.manager.export_image(push=place).sent == 0
    inspected = ["--format", '{{.Digest}} {{index .Labels "tagship.tag"}}']
    told = skopeo("inspect", *inspected, f"docker://{place}:1.0.0")
    assert told.split() == [pushed.digest, "churn@v1.0.0"]
    assert verify(bench, f"docker://{place}@{pushed.digest}") == []
    skopeo("copy", f"docker://{place}:1.0.0", f"oci:{tmp_path}/copy")
    assert Layout(tmp_path / "copy").digest == pushed.digest
    assert verify(bench, f"oci:{tmp_path}/copy") == []


@pytest.mark.released
def test_what_skopeo_pushes_is_the_image_of_the_tag(
    bench: Workbench, registry: str, tmp_path: Path
) -> None:
    exported = bench.manager.export_image(tmp_path / "image")
    place = f"{registry}/{NAME}"
    skopeo("copy", f"oci:{tmp_path}/image", f"docker://{place}:1.0.0")
    assert verify(bench, f"docker://{place}@{exported.digest}") == []
    assert bench.manager.export_image(push=place).sent == 0


@pytest.mark.released
def test_skopeo_makes_another_image_unless_it_is_told_not_to(
    bench: Workbench, registry: str, tmp_path: Path
) -> None:
    """What docs/oci.md says of ``--preserve-digests``."""
    bench.manager.export_image(tmp_path / "image")
    place = f"docker://{registry}/{NAME}"
    run(
        tmp_path, "skopeo", "copy", "--dest-tls-verify=false", f"oci:{tmp_path}/image", f"{place}:c"
    )
    digest = skopeo("inspect", "--format", "{{.Digest}}", f"{place}:c").strip()
    (problem,) = verify(bench, f"{place}@{digest}")
    assert problem.startswith("manifest has a layer of another kind than a plain tar")


@pytest.mark.released
def test_one_flipped_bit_in_the_registry_is_found(
    bench: Workbench, registry: str, tmp_path: Path
) -> None:
    pushed = bench.manager.export_image(push=f"{registry}/{NAME}")
    files = [path for path in (tmp_path / "registry").rglob("data") if path.is_file()]
    (layer,) = [path for path in files if path.read_bytes().startswith(b"models/model.bin\0")]
    data = bytearray(layer.read_bytes())
    data[512] ^= 1
    layer.write_bytes(data)
    problems = verify(bench, f"docker://{registry}/{NAME}@{pushed.digest}")
    assert problems == ["model.bin the layer has other bytes than its digest says"]


KSERVE = "import sys; from kserve_storage import Storage; Storage.download(*sys.argv[1:])"


@pytest.mark.released
def test_kserve_pulls_the_files_of_the_version(
    bench: Workbench, registry: str, tmp_path: Path
) -> None:
    pushed = bench.manager.export_image(push=f"{registry}/{NAME}")
    uri, target = f"oci://{registry}/{NAME}@{pushed.digest}", tmp_path / "mnt" / "models"
    done = subprocess.run(
        [str(clients.python_of("storage")), "-c", KSERVE, uri, str(target)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "KSERVE_OCI_INSECURE_REGISTRY": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in target.iterdir()) == ["metadata.json", "model.bin"]
    assert (target / "model.bin").read_bytes() == b"model 1\n"
    described = metadata.of_bytes((target / "metadata.json").read_bytes())
    assert (described.version, described.deployment) == ("1.0.0", None)


@pytest.mark.released
def test_podman_mounts_the_files_of_the_version(bench: Workbench, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    bench.manager.export_image(tmp_path / "image")
    short = tempfile.mkdtemp(prefix="oci-")  # podman takes no path of more than 50 characters
    store = ["--root", f"{short}/root", "--runroot", f"{short}/run"]

    def podman(*arguments: str) -> str:
        return run(tmp_path, "podman", "--log-level=error", *store, *arguments).strip()

    name = podman("pull", "--quiet", f"oci:{tmp_path}/image").splitlines()[-1]
    mounted = Path(podman("image", "mount", name))
    try:
        folder = mounted / "models"
        assert sorted(path.name for path in folder.iterdir()) == ["metadata.json", "model.bin"]
        assert (folder / "model.bin").read_bytes() == b"model 1\n"
        status = (folder / "model.bin").stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_mtime) == (0o444, 0, 0)
    finally:
        podman("image", "unmount", name)
        podman("system", "reset", "--force")
        shutil.rmtree(short)
