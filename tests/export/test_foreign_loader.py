"""A loader of another package: one file brings its exports, its flavor and its magic bytes too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tagship import Refused, loaders
from tagship.export import cyclonedx, formats, huggingface, mlflow
from tagship.text import yaml
from tests.export.test_descriptions import ARTIFACT, METADATA
from tests.workbench import Workbench

MODULE = '''
"""Linear models as JSON: weights of shape (F,), after the magic bytes."""

import json
from pathlib import Path

from tagship.loaders import Description, Flavor, Tensor

MAGIC = b"LINEAR\\n"


class LinearModel:
    def __init__(self, weights):
        self.weights = weights

    def predict(self, inputs, params=None):
        return [sum(w * x for w, x in zip(self.weights, row)) for row in inputs]


class LinearLoader:
    framework = "linear"
    suffixes = (".linear",)
    safe = True
    requirement = "tagship-linear"
    beginnings = {"a linear model": MAGIC}

    def load(self, path):
        return LinearModel(json.loads(Path(path).read_bytes().removeprefix(MAGIC)))

    def describe(self, model):
        return {"features": len(model.weights)}

    def predict(self, model, inputs):
        return model.predict(inputs)

    def accepts(self, model):
        return isinstance(model, LinearModel)

    def save(self, model, path):
        path.write_bytes(MAGIC + json.dumps(model.weights).encode())

    def description(self, path, architecture):
        count = architecture.get("features")
        return Description(
            library="tagship-linear",
            tags=("linear-model",),
            family="linear regression",
            summary=f"{count} weights" if count else "",
            inputs=(f"{count} numbers",) if count else (),
            outputs=("a number",),
            code=f"import tagship_linear\\n\\nmodel = tagship_linear._load_pyfunc({path!r})",
        )

    def flavor(self, path, architecture):
        count = (architecture or {}).get("features")
        return Flavor(
            name="linear",
            options={"data": path},
            data=path,
            inputs=(Tensor(None, "float64", (None, count)),) if count else (),
            outputs=(Tensor(None, "float64", (None,)),),
            packages=("tagship-linear",),
            module="tagship_linear",
        )


def _load_pyfunc(path):
    return LinearLoader().load(path)
'''


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder into which the package was installed."""
    site = tmp_path / "site"
    info = site / "tagship_linear-1.0.0.dist-info"
    info.mkdir(parents=True)
    (site / "tagship_linear.py").write_text(MODULE)
    (info / "METADATA").write_text("Name: tagship-linear\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text(
        "[tagship.loaders]\nlinear = tagship_linear:LinearLoader\n"
    )
    return site


def test_a_version_of_its_framework_is_exported_in_every_format(
    bench: Workbench, site: Path, tmp_path: Path
) -> None:
    (bench.folder / "model.linear").write_bytes(b"LINEAR\n[0.5, -1.0]")
    (bench.repo / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: models/churn/model.linear\n"
    )
    bench.commit("Keep the model in Git")
    environment = {"PYTHONPATH": str(site)}
    released = bench.process("release", "churn", "--deploy", environment=environment)
    assert (released.code, released.err) == (0, "")
    target = tmp_path / "out"
    options = [part for name in formats.FORMATS for part in ("--format", name)]
    exported = bench.process(
        "export", "churn", *options, "-o", str(target), environment=environment
    )
    assert (exported.code, exported.err) == (0, "")

    card = (target / huggingface.README).read_text()
    assert "\nlibrary_name: tagship-linear\n" in card
    assert "tagship_linear._load_pyfunc('model.linear')" in card
    bill = json.loads((target / cyclonedx.BOM).read_bytes())
    component = bill["metadata"]["component"]
    assert "linear-model" in component["tags"]
    assert component["modelCard"]["modelParameters"] == {
        "architectureFamily": "linear regression",
        "modelArchitecture": "2 weights",
        "inputs": [{"format": "2 numbers"}],
        "outputs": [{"format": "a number"}],
    }
    model = yaml.parse((target / mlflow.MLMODEL).read_bytes(), "MLmodel")
    assert model["flavors"]["python_function"]["loader_module"] == "tagship_linear"
    assert (target / mlflow.REQUIREMENTS).read_text() == "mlflow\ntagship-linear\n"

    pytest.importorskip("mlflow")
    code = (
        "import sys, mlflow, numpy\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "print(float(model.predict(numpy.array([[1.0, 2.0]]))[0]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, target], env={**os.environ, **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert answer.stdout == "-1.5\n"


def test_its_files_are_recognised_under_the_name_of_another(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(site)
    loaders.known.cache_clear()
    path = tmp_path / "model.cbm"
    path.write_bytes(b"LINEAR\n[0.5, -1.0]")
    try:
        with pytest.raises(Refused, match="it begins like a linear model"):
            loaders.load(loaders.need(path), path)
    finally:
        loaders.known.cache_clear()


def test_where_it_is_not_installed_its_version_is_described_without_it() -> None:
    import dataclasses

    foreign = dataclasses.replace(METADATA, framework="linear", path="model.linear")
    with pytest.raises(Refused, match="mlflow takes no linear model"):
        formats.check(["mlflow"], foreign)
    card = formats.write(["huggingface"], foreign, ARTIFACT)[huggingface.README]
    assert "library_name" not in card
    assert "| framework | linear |" in card
