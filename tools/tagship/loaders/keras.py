"""Keras models in Keras 3's own format, ``.keras``, opened with ``safe_mode``."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tagship.errors import Refused
from tagship.loaders import Architecture, Description, Flavor, Tensor, archive, counts, is_of

SAFE = (
    3,
    13,
    2,
)  # older ones could run code of a file in safe mode: CVE-2026-1462, -1669, 2025-8747

BATCH = 32  # samples in one call, as model.predict has it


class KerasLoader:
    """Loads, describes and saves ``.keras`` files."""

    framework = "keras"
    suffixes = (".keras",)
    safe = True
    requirement = "tagship[keras]"
    beginnings: Mapping[str, bytes] = {
        "a zip archive": rb"PK\x03\x04",
        "HDF5": rb"\x89HDF\r\n\x1a\n",
    }

    def check(self, path: Path) -> None:
        """A zip with exactly the members that Keras 3 writes, see ``archive``."""
        archive.check(path)

    def load(self, path: Path) -> Any:
        """The model; one with code in it (a Lambda layer) is refused by Keras.

        Raises:
            Refused: this version of Keras is too old to be safe.
        """
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reports its CPU otherwise
        import keras

        if _numbers(keras.__version__) < SAFE:
            raise Refused(
                f"Keras {keras.__version__} may run code that is in a model file",
                'pip install "keras>=3.13.2"',
            )
        from keras.src.saving.serialization_lib import SafeModeScope

        # keras.config.enable_unsafe_deserialization() is stronger than the argument (3.15.1)
        with SafeModeScope(safe_mode=True):
            return keras.saving.load_model(path, compile=False, safe_mode=True)

    def describe(self, model: Any) -> dict[str, Any]:
        """Layers, parameters and shapes; None in a shape is the batch, or another open axis.

        Types if one is not float32, and names if there is more than one tensor.
        """
        return {
            "layers": len(model.layers),
            "parameters": int(model.count_params()),
            "trainable_parameters": sum(
                int(w.shape.num_elements())
                if hasattr(w.shape, "num_elements")
                else _product(w.shape)
                for w in model.trainable_weights
            ),
            "inputs": [list(tensor.shape) for tensor in model.inputs],
            "outputs": [list(tensor.shape) for tensor in model.outputs],
            **_types("input", model.inputs),
            **_types("output", model.outputs),
            **_names("input", model.inputs),
        }

    def predict(self, model: Any, inputs: Sequence[Any]) -> Any:
        """The model's outputs, shape (N, ...).

        By calls: ``model.predict`` traces a graph first, for two seconds with EfficientNetB0.
        """
        import numpy as np
        from keras import ops, tree

        data = np.asarray(inputs, dtype="float32")
        parts = [data[at : at + BATCH] for at in range(0, len(data), BATCH)]
        answers = [model(part, training=False) for part in parts]
        return tree.map_structure(
            lambda *each: np.concatenate([ops.convert_to_numpy(part) for part in each]), *answers
        )

    def accepts(self, model: object) -> bool:
        return is_of(model, "keras") or is_of(model, "tensorflow")

    def save(self, model: Any, path: Path) -> None:
        model.save(path, include_optimizer=False)

    def description(self, path: str, architecture: Architecture) -> Description:
        return Description(
            library="keras",
            family="neural network",
            summary=counts(architecture, {"layers": "{} layers", "parameters": "{} parameters"}),
            inputs=tuple(map(_in_words, _tensors(architecture, "input"))),
            outputs=tuple(map(_in_words, _tensors(architecture, "output"))),
            code=f"import keras\n\nmodel = keras.saving.load_model({path!r})",
        )

    def flavor(self, path: str, architecture: Architecture | None) -> Flavor | None:
        """``mlflow/keras/load.py`` of MLflow 3: tensors of shape (-1, ...).

        Raises:
            Refused: the model has several outputs.
        """
        known = architecture or {}
        outputs = _tensors(known, "output")
        if len(outputs) > 1:
            raise Refused(
                f"{path} has {len(outputs)} outputs, and MLflow's Keras flavor gives one",
                "choose another format, or release a model with one output",
            )
        # the flavor adds the suffix itself
        options = {"data": PurePosixPath(path).stem, "save_exported_model": False}
        inputs, packages = _tensors(known, "input"), ("keras", "tensorflow")
        return Flavor("keras", options, None, inputs, outputs, packages)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers at the start of a version; a release candidate counts as its release."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _types(side: str, tensors: Sequence[Any]) -> dict[str, list[str]]:
    types = [str(tensor.dtype) for tensor in tensors]
    return {} if set(types) <= {"float32"} else {f"{side}_types": types}


def _names(side: str, tensors: Sequence[Any]) -> dict[str, list[str]]:
    names = [str(tensor.name) for tensor in tensors]
    return {f"{side}_names": names} if len(names) > 1 else {}


def _tensors(architecture: Architecture, side: str) -> tuple[Tensor, ...]:
    """The ``input`` or ``output`` tensors that ``describe`` gave; empty where they are unknown."""
    shapes = architecture.get(f"{side}s") or []
    types = architecture.get(f"{side}_types") or ["float32"] * len(shapes)
    names = architecture.get(f"{side}_names") or [None] * len(shapes)
    return tuple(
        Tensor(name, kind, tuple(shape))
        for name, kind, shape in zip(names, types, shapes, strict=True)
    )


def _in_words(tensor: Tensor) -> str:
    lengths = ", ".join("?" if length is None else str(length) for length in tensor.shape)
    return f"{tensor.type} tensor of shape [{lengths}]"


def _product(shape: Sequence[int]) -> int:
    product = 1
    for length in shape:
        product *= int(length)
    return product
