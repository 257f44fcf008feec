"""An MLflow model: MLmodel and the environment, beside the version's own files.

``mlflow.pyfunc.load_model(FOLDER)`` and MLflow's own flavors read the folder as it is. The format:
https://mlflow.org/docs/latest/ml/model/; what a flavor reads: ``mlflow/catboost/__init__.py`` and
``mlflow/keras/load.py`` of MLflow 3.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tagship.errors import Refused
from tagship.export import facts, yaml_writer
from tagship.export.facts import Architecture, Tensor
from tagship.host.metadata import Metadata
from tagship.registry.artifacts import Artifact

MLMODEL, REQUIREMENTS, PYTHON_ENV = "MLmodel", "requirements.txt", "python_env.yaml"
# NumPy's name of the type of what ``predict`` gives, by the type of a class's label
LABELS = {bool: "bool", int: "int64", float: "float64", str: "object"}
# NumPy's types; Keras has some besides (``string``, ``bfloat16``) that no signature can name
NUMPY = frozenset({
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
})  # fmt: skip


@dataclass(frozen=True)
class Flavor:
    """How MLflow loads a framework's models.

    Attributes:
        options: of the flavor, from the metadata.
        data: whether the loader is given the model's path, and not the folder.
        signature: of inputs and outputs, from the architecture; a side that is unknown is left out.
        needs: what must be installed besides the framework and MLflow.
    """

    options: Callable[[Metadata], dict[str, Any]]
    data: bool
    signature: Callable[[Architecture], dict[str, list[dict[str, Any]]]]
    needs: tuple[str, ...] = ()


def files(metadata: Metadata, artifact: Artifact) -> dict[str, str]:  # noqa: ARG001 - as all formats
    """``MLmodel``, ``requirements.txt`` and ``python_env.yaml``.

    CatBoost: named columns go in (``double``; ``string`` where a feature is categorical or text),
    labels come out, or numbers. Keras: tensors of shape (-1, ...).

    Raises:
        KeyError: the framework has no flavor; ``descriptions.check`` says so before.
        Refused: MLflow could not predict with this model, or what it is was never looked at.
    """
    name = facts.framework_name(metadata) or ""
    flavor = FLAVORS[name]
    version = metadata.tools.get(name)
    options = {**flavor.options(metadata), f"{name}_version": version}
    python = {
        "loader_module": f"mlflow.{name}",
        "data": metadata.path if flavor.data else None,
        "env": {"virtualenv": PYTHON_ENV},
        "python_version": metadata.tools.get("python"),
    }
    model = {
        "flavors": {name: _given(options), "python_function": _given(python)},
        "metadata": {
            "model": metadata.model,
            "version": metadata.version,
            "git_tag": metadata.tag.name,
            "git_commit": metadata.commit.id,
        },
        "model_size_bytes": metadata.size,
        "model_uuid": facts.identity(metadata).hex,
        "signature": _signature(flavor, metadata.architecture),
        "utc_time_created": f"{metadata.tag.at.replace('T', ' ').removesuffix('Z')}.000000",
    }
    wanted = ["mlflow", f"{name}=={version}" if version else name, *flavor.needs]
    environment = {
        "python": metadata.tools.get("python"),
        "build_dependencies": ["pip"],
        "dependencies": [f"-r {REQUIREMENTS}"],
    }
    return {
        MLMODEL: yaml_writer.dump(_given(model)),
        REQUIREMENTS: "\n".join(wanted) + "\n",
        PYTHON_ENV: yaml_writer.dump(_given(environment)),
    }


def _signature(flavor: Flavor, architecture: Architecture | None) -> dict[str, str] | None:
    if architecture is None:
        return None
    sides = flavor.signature(architecture)
    return {side: json.dumps(specs) for side, specs in sides.items() if specs} or None


def _catboost_options(metadata: Metadata) -> dict[str, Any]:
    if metadata.architecture is None:
        raise Refused(
            f"{metadata.path} was never loaded: whether it is a classifier is not known",
            f"with CatBoost installed, export into a folder (-o), or first:"
            f" tagship deploy {metadata.model}@{metadata.version}",
        )
    kind = facts.catboost_class(metadata.architecture)
    return {"data": metadata.path, "model_type": kind, "save_format": "cbm"}


def _catboost_signature(architecture: Architecture) -> dict[str, list[dict[str, Any]]]:
    texts = {*architecture.get("categorical", ()), *architecture.get("text", ())}
    names = list(architecture.get("features", ()))
    # trained on a matrix: CatBoost counts its columns, and MLflow takes a matrix then
    counted = names == [str(number) for number in range(len(names))]
    columns = [
        {
            **({} if counted else {"name": name}),
            "type": "string" if name in texts else "double",
            "required": True,
        }
        for name in names
    ]
    classes = architecture.get("classes") or []
    kind = LABELS.get(type(classes[0])) if classes else "float64"
    # one column a label, where there are more than two or several at once
    shape: tuple[None, ...] = (None, None) if len(classes) > 2 else (None,)
    outputs = [_tensor(Tensor(None, kind, shape))] if kind else []
    # a column of vectors, which MLflow's columns do not have
    return {"inputs": [] if architecture.get("embedding") else columns, "outputs": outputs}


def _keras_options(metadata: Metadata) -> dict[str, Any]:
    outputs = facts.tensors(metadata.architecture or {}, "output")
    if len(outputs) > 1:
        raise Refused(
            f"{metadata.path} has {len(outputs)} outputs, and MLflow's Keras flavor gives one",
            "choose another format, or release a model with one output",
        )
    # the flavor adds the suffix itself
    return {"data": PurePosixPath(metadata.path).stem, "save_exported_model": False}


def _keras_signature(architecture: Architecture) -> dict[str, list[dict[str, Any]]]:
    sides = {side: facts.tensors(architecture, side) for side in ("input", "output")}
    return {
        f"{side}s": [_tensor(one) for one in found] if _is_numpy(found) else []
        for side, found in sides.items()
    }


def _is_numpy(found: list[Tensor]) -> bool:
    return all(one.type in NUMPY for one in found)


def _tensor(tensor: Tensor) -> dict[str, Any]:
    shape = [-1 if length is None else length for length in tensor.shape]
    spec = {"type": "tensor", "tensor-spec": {"dtype": tensor.type, "shape": shape}}
    return spec if tensor.name is None else {"name": tensor.name, **spec}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


FLAVORS = {
    "catboost": Flavor(_catboost_options, True, _catboost_signature),
    "keras": Flavor(_keras_options, False, _keras_signature, ("tensorflow",)),
}
