"""packaging/kubernetes: of the form that Kubernetes asks for, and run by podman as it stands there.

docs/kubernetes.md has the commands.
"""

import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tagship import resolve
from tests.docs import pages
from tests.export import distribution
from tests.packaging import container, manifests
from tests.packaging.container import podman
from tests.serve.shelf import TOY
from tests.workbench import Workbench, run

KUBERNETES = container.ROOT / "packaging" / "kubernetes"
FOLDERS = ("image-volume", "unpack")
OURS = "registry.example.com"
VERSIONS = [f"1.{minor}" for minor in range(31, 38)]
MODEL = "models/churn/model.toy"
SECONDS = 60.0
NEVER = (r"(?m)^( +)automountServiceAccountToken:", r"\1restartPolicy: Never\n\g<0>")


def read(name: str) -> Any:
    return YAML(typ="safe").load(KUBERNETES / name)


def test_both_folders_have_the_same_service_and_the_same_server() -> None:
    services, servers = (
        [YAML(typ="safe").load(KUBERNETES / folder / name) for folder in FOLDERS]
        for name in ("service.yaml", "deployment.yaml")
    )
    assert services[0] == services[1]
    for each in servers:
        pod = each["spec"]["template"]["spec"]
        pod.pop("initContainers", None)
        pod["volumes"] = pod["containers"][0].pop("env")[0].pop("value")
        pod["containers"][0]["volumeMounts"][0].pop("mountPath")
    roots = [each["spec"]["template"]["spec"].pop("volumes") for each in servers]
    assert roots == ["/srv/image/models", "/srv/models/unpacked"]
    assert servers[0] == servers[1]


@pytest.fixture
def checked(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("containers"):
        pytest.skip("needs --containers: make container-test")
    if why := manifests.lacking():
        pytest.skip(why)


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("folder", FOLDERS)
def test_each_kubernetes_takes_what_kustomize_prints(folder: str, tmp_path: Path) -> None:
    printed = tmp_path / "all.yaml"
    printed.write_text(manifests.kustomize(KUBERNETES / folder))
    assert {version: manifests.problems(printed, version) for version in VERSIONS} == {
        version: [] for version in VERSIONS
    }
    printed.write_text(printed.read_text().replace("readOnlyRootFilesystem", "readOnlyRootFileSys"))
    assert all(manifests.problems(printed, version) for version in VERSIONS)


@pytest.mark.usefixtures("checked")
def test_argo_cd_takes_the_application_and_would_miss_its_repository() -> None:
    application = read("argocd/application.yaml")
    said = manifests.argo_cd(application)
    if said is None:
        pytest.skip("needs node, and the types of Argo CD: python -m tests.packaging.manifests")
    assert said == ""
    del application["spec"]["source"]["repoURL"]
    assert "must have required property repoURL" in (manifests.argo_cd(application) or "")


@pytest.mark.usefixtures("checked")
def test_kserve_takes_its_manifests_and_would_not_know_another_key() -> None:
    service, runtime = read("kserve/inference-service.yaml"), read("kserve/runtime.yaml")
    said = manifests.kserve("V1beta1InferenceService", service)
    if said is None:
        pytest.skip("needs KServe's package: python -m tests.serve.clients")
    assert said == []
    assert manifests.kserve("V1alpha1ServingRuntime", runtime) == []
    service["spec"]["predictor"]["model"]["storageURI"] = "oci://"
    assert manifests.kserve("V1beta1InferenceService", service) == [
        ".spec.predictor.model.storageURI is not a field"
    ]


# --- run by podman


@pytest.fixture
def serving(image: str, checked: None, tmp_path: Path) -> str:
    """The image of packaging/container, with the framework of the tests."""
    for tool in ("docker-registry", "catatonit"):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/libexec/podman") is None:
            pytest.skip(f"needs {tool}")
    shutil.copytree(TOY, tmp_path / "context" / "toy")
    file = tmp_path / "context" / "Containerfile"
    file.write_text(f"FROM {image}\nCOPY toy /opt/toy\nENV PYTHONPATH=/opt/toy\n")
    podman("build", "--network", "none", "--tag", "localhost/serving", str(file.parent))
    return "localhost/serving"


@pytest.fixture
def released(bench: Workbench) -> Workbench:
    """1.0.0 and 1.1.0 of a model that multiplies by 3, and by 4."""
    (bench.repo / "dvc.yaml").write_text(f"artifacts:\n  churn: {{path: {MODEL}, type: model}}\n")
    for factor in (3, 4):
        (bench.repo / MODEL).unlink(missing_ok=True)
        (bench.repo / MODEL).write_text(json.dumps({"factor": factor}))
        bench.track(MODEL)
        bench.commit()
        bench.release()
    return bench


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with distribution.running(tmp_path / "registry") as address:
        yield address.replace("127.0.0.1", "localhost")


@pytest.fixture
def story(released: Workbench, registry: str) -> Callable[..., str]:
    """Run a block of a section of docs/kubernetes.md, or all, in one shell; what it prints."""
    run(released.repo.parent, "git", "init", "--quiet", "deploy")

    def tell(heading: str, number: int | None = None) -> str:
        blocks = pages.blocks(pages.section(pages.page("kubernetes.md"), heading))
        told = blocks if number is None else blocks[number : number + 1]
        commands = "".join(told).replace("localhost:5000", registry)
        return pages.run(released.repo, commands, TAGSHIP=str(container.ROOT))

    return tell


class Pod:
    """The pod that podman makes of what kustomize prints.

    Two things are changed: the name of tagship's image; and podman 4.3 starts an init container
    again that succeeded, unless nothing is ever restarted, which a Deployment cannot ask for.
    """

    def __init__(self, image: str, folder: Path, registry: str) -> None:
        self.image, self.folder, self.registry = image, folder, registry
        self.file = folder.parent / "pod.yaml"

    def play(self, *, check: bool = True) -> None:
        printed = manifests.kustomize(self.folder)
        named = f"image: {self.registry}/tagship:0.1.0"
        assert printed.count(named) == 2
        printed = printed.replace(named, f"image: {self.image}")
        self.file.write_text(re.sub(*NEVER, printed, count=1))
        played = podman("kube", "play", "--network", "host", str(self.file), check=False)
        assert not check or played.returncode == 0, played.stderr + self.logs("unpack")

    def end(self) -> None:
        podman("kube", "play", "--down", str(self.file), check=False)
        podman("volume", "rm", "--all", "--force", check=False)

    def logs(self, name: str) -> str:
        told = podman("logs", f"churn-pod-0-{name}", check=False)
        return told.stdout + told.stderr


@pytest.fixture
def pod(serving: str, released: Workbench, registry: str) -> Iterator[Pod]:
    made = Pod(serving, released.repo.parent / "deploy" / "churn", registry)
    yield made
    made.end()


def get(path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:8080{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def wait_for(pod: Pod, path: str, status: int) -> Any:
    end = time.monotonic() + SECONDS
    while True:
        try:
            code, answer = get(path)
        except OSError:
            code, answer = 0, None
        if code == status:
            return answer
        assert time.monotonic() < end, pod.logs("unpack") + pod.logs("serve")
        time.sleep(0.2)


def answers() -> tuple[str, list[float]]:
    """The version that answers, and what."""
    tensor = {"name": "input-0", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}
    request = urllib.request.Request(
        "http://127.0.0.1:8080/v2/models/churn/infer",
        json.dumps({"inputs": [tensor]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        value = json.load(answer)
    return value["model_version"], value["outputs"][0]["data"]


def test_the_story_of_the_page_answers_goes_on_and_back(
    pod: Pod, released: Workbench, registry: str, story: Callable[..., str]
) -> None:
    story("In ten minutes")
    pod.play()
    wait_for(pod, "/v2/models/churn/ready", 200)
    assert answers() == ("1.0.0", [3.0, 6.0])
    released.cli("deploy", "churn@1.0", "--yes")
    told = get("/v2/models/churn")[1]["properties"]
    assert told["digest"] == resolve("churn", released.repo).digest
    pod.end()
    released.manager.export_image(push=f"{registry}/models/churn")
    story("The next version", 0)
    pod.play()
    wait_for(pod, "/v2/models/churn/ready", 200)
    assert answers() == ("1.1.0", [4.0, 8.0])
    pod.end()
    story("The next version", 1)
    pod.play()
    wait_for(pod, "/v2/models/churn/ready", 200)
    assert answers() == ("1.0.0", [3.0, 6.0])


def test_a_damaged_layer_never_answers_and_is_said(
    pod: Pod, released: Workbench, story: Callable[..., str], tmp_path: Path
) -> None:
    story("In ten minutes")
    files = [path for path in (tmp_path / "registry").rglob("data") if path.is_file()]
    [layer] = [path for path in files if path.read_bytes().startswith(b"models/model.toy\0")]
    layer.write_bytes(layer.read_bytes().replace(b"3", b"4"))
    pod.play(check=False)
    said = pod.logs("unpack")
    assert "is not unpacked: model.toy the layer has other bytes than its digest says" in said
    with pytest.raises(OSError, match="refused"):
        get("/v2/health/live")
