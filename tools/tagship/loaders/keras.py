"""Keras models in Keras 3's own format, ``.keras``, opened with ``safe_mode``."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tagship.loaders import is_of


class KerasLoader:
    """Loads, describes and saves ``.keras`` files."""

    framework = "keras"
    suffixes = (".keras",)
    safe = True
    requirement = "tagship[keras]"

    def load(self, path: Path) -> Any:
        """The model; one with code in it (a Lambda layer) is refused by Keras."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reports its CPU otherwise
        import keras

        return keras.saving.load_model(path, compile=False, safe_mode=True)

    def describe(self, model: Any) -> dict[str, Any]:
        """Layers, parameters and shapes; None in a shape is the batch, or another open axis."""
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
        }

    def predict(self, model: Any, inputs: Sequence[Any]) -> Any:
        """The model's outputs, shape (N, ...)."""
        import numpy as np

        return model.predict(np.asarray(inputs, dtype="float32"), verbose=0)

    def accepts(self, model: object) -> bool:
        return is_of(model, "keras") or is_of(model, "tensorflow")

    def save(self, model: Any, path: Path) -> None:
        model.save(path, include_optimizer=False)


def _product(shape: Sequence[int]) -> int:
    product = 1
    for length in shape:
        product *= int(length)
    return product
