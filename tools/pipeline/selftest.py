"""The self-test beside a model: a few held-out samples, and what the saved file answers to them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tolerance:
    """The difference that is allowed, as ``math.isclose`` takes it."""

    absolute: float
    relative: float


def choose(labels: NDArray[Any], per_class: int) -> list[int]:
    """Positions of the first ``per_class`` samples of every class that occurs."""
    return sorted(
        int(position)
        for label in np.unique(labels)
        for position in np.flatnonzero(labels == label)[:per_class]
    )


def write(path: Path, inputs: list[Any], outputs: list[Any], tolerance: Tolerance) -> None:
    """Write the JSON, schema 1, without blanks: a patch is thousands of numbers."""
    value = {
        "schema": 1,
        "inputs": inputs,
        "outputs": outputs,
        "tolerance": asdict(tolerance),
    }
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n", encoding="utf-8")
