"""Keras models in Keras 3's own format, ``.keras``, opened with ``safe_mode``."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tagship import loaders
from tagship.errors import Refused
from tagship.loaders import (
    Architecture,
    Description,
    Flavor,
    Inputs,
    Outputs,
    Signature,
    Tensor,
    archive,
    counts,
    is_of,
)

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
    returns_memory = False  # TensorFlow keeps 29 MB of each EfficientNetB0 that it loaded
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

        By plain calls: to trace a graph takes longer than the few samples of a smoke test, which
        has a process of its own (EfficientNetB0: 3 s, a sample 0.3 s).
        """
        from keras import ops, tree

        def call(batch: Any) -> Any:
            return tree.map_structure(ops.convert_to_numpy, model(batch, training=False))

        return _in_pieces(model, inputs, call)

    def answer(self, model: Any, inputs: Inputs) -> Outputs:
        """The same by a graph, which is traced once: then a sample takes an eighth of the time."""
        _trace(model)
        return _in_pieces(model, inputs, model.predict_on_batch)

    def example(self, model: Any) -> Inputs:
        """Zeros, or empty texts; an open axis has one element."""
        import numpy as np

        arrays = [
            np.full(_one(tensor.shape), "" if _is_text(tensor) else 0, dtype=_numpy_type(tensor))
            for tensor in model.inputs
        ]
        names = [tensor.name for tensor in model.inputs]
        return arrays[0] if len(arrays) == 1 else dict(zip(names, arrays, strict=True))

    def signature(self, model: Any) -> Signature:
        """Several inputs and outputs by the names that Keras has for them."""
        from keras import tree

        inputs = {tensor.name: tensor for tensor in model.inputs}
        outputs = _by_name(
            model, tree.pack_sequence_as(_structure(model, "outputs"), model.outputs)
        )
        return Signature(_described("input", inputs), _described("output", outputs))

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


def _trace(model: Any) -> None:
    """Have TensorFlow trace one graph for any number of samples; by itself it traces two."""
    import keras

    if keras.config.backend() != "tensorflow" or model.predict_function is not None:
        return
    import tensorflow as tf

    specs = [tf.TensorSpec((None, *t.shape[1:]), t.dtype, t.name) for t in model.inputs]
    model.make_predict_function()
    trace = getattr(model.predict_function, "get_concrete_function", None)
    if trace is not None:  # else the model runs eagerly
        trace([(_packed(model, specs),)])


def _in_pieces(model: Any, inputs: Inputs, ask: Callable[[Any], Any]) -> Outputs:
    """What a model gives, asked ``BATCH`` samples at a time: memory is bounded."""
    import numpy as np
    from keras import tree

    arrays = _arrays(model, inputs)
    count = max(len(arrays[0]), 1)
    parts = [
        ask(_packed(model, [array[start : start + BATCH] for array in arrays]))
        for start in range(0, count, BATCH)
    ]
    outputs = tree.map_structure(lambda *each: np.concatenate(each), *parts)
    by_name = _by_name(model, outputs)
    return next(iter(by_name.values())) if len(by_name) == 1 else by_name


def _arrays(model: Any, inputs: Inputs) -> list[Any]:
    """The inputs in the order of the model's, each with its type."""
    import numpy as np

    tensors = model.inputs
    if isinstance(inputs, list) and inputs and isinstance(inputs[0], Mapping):
        inputs = loaders.stacked(inputs)
    values: list[Any]
    if isinstance(inputs, Mapping) and len(tensors) > 1:
        values = loaders.named(inputs, [tensor.name for tensor in tensors])
    else:
        values = [loaders.alone(inputs)]
    return [
        np.asarray(value, dtype=_numpy_type(tensor))
        for value, tensor in zip(values, tensors, strict=True)
    ]


def _packed(model: Any, arrays: Sequence[Any]) -> Any:
    """Arrays in the structure that the model takes: one, a list, or by name."""
    from keras import tree

    return tree.pack_sequence_as(_structure(model, "inputs"), arrays)


def _structure(model: Any, side: str) -> Any:
    """Of the tensors that go in or come out; Keras keeps it of functional models (3.15.1)."""
    tensors = getattr(model, side)
    return getattr(model, f"_{side}_struct", tensors[0] if len(tensors) == 1 else tensors)


def _by_name(model: Any, outputs: Any) -> dict[str, Any]:
    """The outputs of a model, or their tensors, by name; one alone is ``output-0``."""
    from keras import tree

    flat = tree.flatten(outputs)
    if len(flat) == 1:
        return {"output-0": flat[0]}
    if isinstance(outputs, Mapping) and len(outputs) == len(flat):
        return dict(outputs)
    names = list(getattr(model, "output_names", ()))
    if len(set(names)) != len(flat):
        names = [f"output-{number}" for number in range(len(flat))]
    return dict(zip(names, flat, strict=True))


def _described(side: str, tensors: Mapping[str, Any]) -> tuple[Tensor, ...]:
    names = [f"{side}-0"] if len(tensors) == 1 else list(tensors)
    return tuple(
        Tensor(name, _numpy_type(tensor), (None, *tensor.shape[1:]))
        for name, tensor in zip(names, tensors.values(), strict=True)
    )


def _is_text(tensor: Any) -> bool:
    return bool(tensor.dtype == "string")


def _numpy_type(tensor: Any) -> str:
    return "object" if _is_text(tensor) else str(tensor.dtype)


def _one(shape: Sequence[int | None]) -> tuple[int, ...]:
    """The shape of one sample: an open axis has one element."""
    return (1, *(length or 1 for length in shape[1:]))


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
