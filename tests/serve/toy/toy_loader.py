"""A framework of the tests' own: a model multiplies, and can be slow or deadly where a test says.

A gate is the path of a file: what waits for it goes on once the file is there.
"""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from tagship.loaders import Signature, Tensor

loaded: list[str] = []  # what this process loaded, by the marks of the models


def _pass(gate: str | None) -> None:
    if gate is None:
        return
    with open(f"{gate}.waiting", "a") as file:
        file.write(f"{os.getpid()}\n")
    while not Path(gate).exists():
        time.sleep(0.005)


class Toy:
    """Reads ``.toy``: JSON with ``factor``, and perhaps gates."""

    framework, suffixes, safe, requirement = "toy", (".toy",), True, "toy"

    def load(self, path: Path) -> Any:
        model = json.loads(path.read_bytes())
        _pass(model.get("load_gate"))
        if model.get("load_kills"):
            os.kill(os.getpid(), signal.SIGKILL)
        loaded.append(model.get("mark", ""))
        return model

    def describe(self, model: Any) -> dict[str, Any]:
        return {}

    def accepts(self, model: object) -> bool:
        return isinstance(model, dict) and "factor" in model

    def save(self, model: Any, path: Path) -> None:
        path.write_text(json.dumps(model))

    def signature(self, model: Any) -> Signature:
        shape = (None, 2)
        return Signature(
            (Tensor("input-0", "float64", shape),), (Tensor("output-0", "float64", shape),)
        )

    def example(self, model: Any) -> Any:
        return np.zeros((1, 2))

    def predict(self, model: Any, inputs: Any) -> Any:
        return self.answer(model, inputs)

    def answer(self, model: Any, inputs: Any) -> Any:
        data = np.asarray(inputs, dtype=float)
        if data.size and data.flat[0] == model.get("slow"):
            _pass(model["answer_gate"])
        if data.size and data.flat[0] == model.get("deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
        if data.size and data.flat[0] == model.get("wrong"):
            raise ValueError("secret internals")
        return data * model["factor"]
