"""An MLflow model: MLmodel and the environment, beside the version's own files.

``mlflow.pyfunc.load_model(FOLDER)`` and MLflow's own flavors read the folder as it is. The format:
https://mlflow.org/docs/latest/ml/model/. The flavor is the loader's: ``loaders.Describer``.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tagship.errors import Refused
from tagship.export import facts, yaml_writer
from tagship.host.metadata import Metadata
from tagship.loaders import Column, Flavor, Tensor
from tagship.registry.artifacts import Artifact

MLMODEL, REQUIREMENTS, PYTHON_ENV = "MLmodel", "requirements.txt", "python_env.yaml"
# NumPy's types; Keras has some besides (``string``, ``bfloat16``) that no signature can name
NUMPY = frozenset({
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "object",
})  # fmt: skip


def takes(metadata: Metadata) -> bool:
    """Whether the model's loader knows an MLflow flavor."""
    return hasattr(facts.loader(metadata), "flavor")  # of a Describer


def files(metadata: Metadata, artifact: Artifact) -> dict[str, str]:  # noqa: ARG001 - as all formats
    """``MLmodel``, ``requirements.txt`` and ``python_env.yaml``.

    Raises:
        Refused: MLflow cannot predict with this model, or its architecture is not known.
    """
    flavor = _flavor(metadata)
    versions = metadata.tools
    options = {**flavor.options, f"{flavor.name}_version": versions.get(flavor.name)}
    python = {
        "loader_module": flavor.module or f"mlflow.{flavor.name}",
        "data": flavor.data,
        "env": {"virtualenv": PYTHON_ENV},
        "python_version": versions.get("python"),
    }
    model = {
        "flavors": {flavor.name: _given(options), "python_function": _given(python)},
        "metadata": {
            "model": metadata.model,
            "version": metadata.version,
            "git_tag": metadata.tag.name,
            "git_commit": metadata.commit.id,
        },
        "model_size_bytes": metadata.size,
        "model_uuid": facts.identity(metadata).hex,
        "signature": _signature(flavor) if metadata.architecture is not None else None,
        "utc_time_created": f"{metadata.tag.at.replace('T', ' ').removesuffix('Z')}.000000",
    }
    packages = [
        f"{name}=={versions[name]}" if name in versions else name for name in flavor.packages
    ]
    environment = {
        "python": versions.get("python"),
        "build_dependencies": ["pip"],
        "dependencies": [f"-r {REQUIREMENTS}"],
    }
    return {
        MLMODEL: yaml_writer.dump(_given(model)),
        REQUIREMENTS: "\n".join(["mlflow", *packages]) + "\n",
        PYTHON_ENV: yaml_writer.dump(_given(environment)),
    }


def _flavor(metadata: Metadata) -> Flavor:
    loader: Any = facts.loader(metadata)
    flavor: Flavor | None = loader.flavor(metadata.path, metadata.architecture)
    if flavor is None:
        raise Refused(
            f"{metadata.path} was never loaded: its architecture is not known",
            f"export into a folder (-o) with {loader.requirement} installed, or first:"
            f" tagship deploy {metadata.model}@{metadata.version}",
        )
    return flavor


def _signature(flavor: Flavor) -> dict[str, str] | None:
    sides = {"inputs": _specs(flavor.inputs), "outputs": _specs(flavor.outputs)}
    return {side: json.dumps(specs) for side, specs in sides.items() if specs} or None


def _specs(values: Iterable[Column | Tensor]) -> list[dict[str, Any]]:
    """One side of the signature; empty where MLflow has no type for one of its tensors."""
    if any(isinstance(value, Tensor) and value.type not in NUMPY for value in values):
        return []
    return [_spec(value) for value in values]


def _spec(value: Column | Tensor) -> dict[str, Any]:
    name = {} if value.name is None else {"name": value.name}
    if isinstance(value, Column):
        return {**name, "type": value.type, "required": True}
    shape = [-1 if length is None else length for length in value.shape]
    return {**name, "type": "tensor", "tensor-spec": {"dtype": value.type, "shape": shape}}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
