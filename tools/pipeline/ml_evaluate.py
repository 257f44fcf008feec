"""Stage ml_evaluate: the saved CatBoost model on the held-out days."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import ml_train, scores, weather


def labels(days: pd.DataFrame) -> NDArray[np.int64]:
    """Indices into ``weather.CLASSES``."""
    return np.array([weather.CLASSES.index(name) for name in days[weather.LABEL]])


def main() -> None:
    """Write metrics/ml_model.json and plots/ml_confusion.csv."""
    train, test = pd.read_csv("data/ml/train.csv"), pd.read_csv("data/ml/test.csv")
    model = ml_train.load(ml_train.MODEL)
    if tuple(model.classes_) != weather.CLASSES:
        raise SystemExit(f"the model knows {list(model.classes_)}, not {list(weather.CLASSES)}")
    answers = model.predict_proba(weather.inputs(test))
    result = scores.score(labels(train), labels(test), answers)
    result.write(Path("metrics/ml_model.json"))
    scores.write_confusion(Path("plots/ml_confusion.csv"), weather.CLASSES, labels(test), answers)
    print(f"accuracy {result.accuracy:.4f} on {len(test)} held-out days")


if __name__ == "__main__":
    main()
