"""How good a model is on held-out samples, as files for ``dvc metrics`` and ``dvc plots``."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, log_loss


@dataclass(frozen=True)
class Scores:
    """Held-out figures, shares of 1 but for the log loss (nats).

    Attributes:
        accuracy: share of right answers.
        macro_f1: mean over the classes, however rare.
        log_loss: mean negative log of the true class's probability.
        baseline_accuracy: of always answering the class most frequent in training.
    """

    accuracy: float
    macro_f1: float
    log_loss: float
    baseline_accuracy: float

    def write(self, path: Path) -> None:
        """Write JSON, four digits: more would differ by noise alone."""
        rounded = {name: round(value, 4) for name, value in asdict(self).items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")


def score(
    trained: NDArray[np.int64], actual: NDArray[np.int64], probabilities: NDArray[np.floating]
) -> Scores:
    """Compare N x classes probabilities with labels that index the classes.

    Args:
        trained: labels of the training samples, for the baseline.
        actual: labels of the held-out samples.
        probabilities: what the model answered to the held-out samples.
    """
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    majority = np.bincount(trained).argmax()
    return Scores(
        accuracy=float(accuracy_score(actual, predicted)),
        macro_f1=float(
            f1_score(actual, predicted, labels=classes, average="macro", zero_division=0.0)
        ),
        log_loss=float(log_loss(actual, probabilities, labels=classes)),
        baseline_accuracy=float(np.mean(actual == majority)),
    )


def write_confusion(
    path: Path,
    classes: Sequence[str],
    actual: NDArray[np.int64],
    probabilities: NDArray[np.floating],
) -> None:
    """One row per held-out sample: DVC's confusion template counts them."""
    predicted = probabilities.argmax(axis=1)
    rows = [(classes[a], classes[p]) for a, p in zip(actual, predicted, strict=True)]
    write_rows(path, ("actual", "predicted"), rows)


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV file with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
