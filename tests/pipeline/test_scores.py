import json
from pathlib import Path

import numpy as np

from pipeline import scores
from pipeline.scores import Scores

ACTUAL = np.array([0, 0, 1])
ANSWERS = np.array([[0.9, 0.1], [0.4, 0.6], [0.25, 0.75]])


def test_scores_of_three_answers_by_hand() -> None:
    result = scores.score(np.array([1, 1, 0]), ACTUAL, ANSWERS)
    assert result.accuracy == 2 / 3
    assert result.macro_f1 == 2 / 3
    assert np.isclose(result.log_loss, -np.log([0.9, 0.4, 0.75]).mean())
    assert result.baseline_accuracy == 1 / 3  # the majority of training is class 1


def test_a_class_that_is_never_held_out_still_counts_in_macro_f1() -> None:
    answers = np.hstack([ANSWERS, np.zeros((3, 1))])
    assert scores.score(ACTUAL, ACTUAL, answers).macro_f1 == 4 / 9


def test_metrics_have_four_digits(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "m.json"
    Scores(2 / 3, 1 / 3, 0.12345, 0.5).write(path)
    assert json.loads(path.read_text()) == {
        "accuracy": 0.6667,
        "macro_f1": 0.3333,
        "log_loss": 0.1235,
        "baseline_accuracy": 0.5,
    }


def test_the_confusion_file_has_a_row_per_sample(tmp_path: Path) -> None:
    path = tmp_path / "confusion.csv"
    scores.write_confusion(path, ("fog", "sun"), ACTUAL, ANSWERS)
    assert path.read_text() == "actual,predicted\nfog,fog\nfog,sun\nsun,sun\n"
