"""The README names engines that the tests run as they are; of others it says that they are not."""

import re

import pytest

from tests.docs import pages

README = (pages.ROOT / "README.md").read_text(encoding="utf-8")
# An engine that runs models, and the test that runs the real one; None where none does.
ENGINES = {
    "Ray": "tests/serve/test_ray.py",
    "MLServer": "tests/serve/test_mlserver.py",
    "podman": "tests/export/test_oci_real.py",
    "Kubernetes": None,
    "Argo": None,
    "Flux": None,
    "Nomad": None,
    "KServe": None,
    "Triton": None,
    "Seldon": None,
    "BentoML": None,
    "TorchServe": None,
    "SageMaker": None,
    "Vertex": None,
}


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_in_the_readme_is_run_or_said_not_to_be(engine: str) -> None:
    lines = [line for line in README.splitlines() if re.search(rf"\b{engine}\b", line)]
    test = ENGINES[engine]
    if test is not None:
        assert (pages.ROOT / test).exists()
        assert lines, f"the README does not name {engine}: take it off this list"
    for line in lines if test is None else ():
        assert "not in a cluster" in line
