"""How long ``tagship.load`` takes in a program that serves: ``python -m benchmarks.loading``.

One process with the framework imported. tagship's load and the framework's own, of the same file,
are called in turn; what is written is ``{"tagship": [...], "framework": [...]}``, in seconds.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FRAMEWORKS = ("catboost", "keras")
SUFFIXES = {"catboost": ".cbm", "keras": ".keras"}


def make(framework: str, path: Path, *, small: bool) -> None:
    """Write a real model: a classifier as the pipeline of this repository defines it, untrained.

    ``small``: one that takes no time to make.
    """
    if framework == "catboost":
        _make_catboost(path, trees=30 if small else 300)
    else:
        _make_keras(path, small=small)


def _make_catboost(path: Path, trees: int) -> None:
    import catboost
    import numpy as np

    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(2000, 20))
    labels = (inputs[:, 0] + inputs[:, 1] * inputs[:, 2] > 0) + 2 * (inputs[:, 3] > 0)
    model = catboost.CatBoostClassifier(
        iterations=trees, depth=6, random_seed=1, verbose=False, allow_writing_files=False
    )
    model.fit(inputs, labels)
    model.save_model(str(path), format="cbm")


def _make_keras(path: Path, *, small: bool) -> None:
    import keras

    if small:
        layers = [keras.layers.Dense(16, activation="relu") for _ in range(4)]
        model: Any = keras.Sequential([keras.Input((16,)), *layers])
    else:
        model = keras.applications.EfficientNetB0(weights=None, input_shape=(64, 64, 3), classes=5)
    model.save(path, include_optimizer=False)


def _own(framework: str, path: Path) -> Callable[[], Any]:
    """The framework's own load, as in its manual."""
    if framework == "catboost":
        import catboost

        return lambda: catboost.CatBoostClassifier().load_model(str(path), format="cbm")
    import keras

    return lambda: keras.saving.load_model(path, compile=False)


def main() -> None:
    """Measure: FRAMEWORK MODEL TIMES FILE, in a workspace where MODEL is live."""
    import tagship

    framework, model, count, target = sys.argv[1:]
    live = tagship.resolve(model)
    sides = {"tagship": lambda: tagship.load(model), "framework": _own(framework, live.path)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(int(count) + 1):
        for name, load in sides.items():
            gc.collect()
            begun = time.perf_counter()
            loaded = load()
            took = time.perf_counter() - begun
            del loaded
            if number:  # the first of each imports
                seconds[name].append(took)
    if tagship.load(model).version != live.version:
        raise SystemExit("another version was loaded")
    Path(target).write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
