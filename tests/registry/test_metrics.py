"""Which way a metric is better, and what changed between two versions."""

import math
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.registry import metrics

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9)
VALUES = NUMBERS | st.text(max_size=5) | st.booleans() | st.just(math.nan) | st.just("nan")
METRICS = st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=5)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("accuracy", "higher"),
        ("valid.accuracy", "higher"),
        ("macro_f1", "higher"),
        ("f1-score", "higher"),
        ("R2", "higher"),
        ("rocAuc", "higher"),
        ("mAP50", "higher"),
        ("map50", "higher"),
        ("recall_at_10", "higher"),
        ("log_loss", "lower"),
        ("loss", "lower"),
        ("val/rmse", "lower"),
        ("mean_squared_error", "lower"),
        ("accuracy_error", "lower"),
        ("latency_ms", "lower"),
        ("loss.accuracy", "higher"),  # the last part is the metric, the rest says of what
        ("baseline_accuracy", None),
        ("support", None),
        ("epochs", None),
        ("glossary", None),  # "loss" is in it, and is no word of it
        ("", None),
    ],
)
def test_a_name_tells_which_way_is_better_or_nothing(name: str, way: str | None) -> None:
    assert metrics.direction(name, {}) == way


def test_what_the_user_says_counts_more_than_the_name() -> None:
    said = {"loss": "higher", "valid.accuracy": "neither", "epochs": "lower"}
    assert metrics.direction("loss", said) == "higher"
    assert metrics.direction("train.loss", said) == "higher"
    assert metrics.direction("valid.accuracy", said) is None
    assert metrics.direction("test.accuracy", said) == "higher"
    assert metrics.direction("epochs", said) == "lower"


CHANGES = [
    ({"accuracy": 0.5}, {"accuracy": 0.75}, (0.25, "higher", "better", None)),
    ({"accuracy": 0.75}, {"accuracy": 0.5}, (-0.25, "higher", "worse", None)),
    ({"loss": 1}, {"loss": 0.5}, (-0.5, "lower", "better", None)),
    ({"loss": 0.5}, {"loss": 1}, (0.5, "lower", "worse", None)),
    ({"loss": 0.5}, {"loss": 0.5}, (0.0, "lower", "same", None)),
    ({"trees": 5}, {"trees": 8}, (3.0, None, None, None)),
    ({"trees": 5}, {"trees": 5}, (0.0, None, "same", None)),
    ({}, {"loss": 1}, (None, "lower", None, "new")),
    ({"loss": 1}, {}, (None, "lower", None, "gone")),
    ({"loss": 1}, {"loss": "nan"}, (None, "lower", None, "not a number")),
    ({"loss": math.nan}, {"loss": 1}, (None, "lower", None, "not a number")),
    ({"loss": "inf"}, {"loss": "inf"}, (None, "lower", None, "not a number")),
    ({"loss": "low"}, {"loss": 1}, (None, "lower", None, "another type")),
    ({"device": "cpu"}, {"device": "gpu"}, (None, None, None, None)),
    ({"device": "cpu"}, {"device": "cpu"}, (None, None, "same", None)),
    ({"passed": False}, {"passed": True}, (None, None, None, None)),
    ({"loss": 10**400}, {"loss": 1}, (None, "lower", None, "another type")),
    ({"loss": 1.7e308}, {"loss": -1.7e308}, (None, "lower", None, None)),
    ({"passed": 1}, {"passed": True}, (None, None, None, "another type")),
]


@pytest.mark.parametrize(("before", "after", "judgement"), CHANGES)
def test_a_metric_of_two_versions(
    before: dict[str, object],
    after: dict[str, object],
    judgement: tuple[float | None, str | None, str | None, str | None],
) -> None:
    (name,) = before or after
    difference, better, verdict, note = judgement
    (change,) = metrics.changes(before, after, {})
    expected = (name, before.get(name), after.get(name), difference, better, verdict, note)
    assert (
        astuple(change) == expected
    )  # as tuples: NaN is not equal to itself, but is the same object


def test_the_order_is_that_of_the_later_version_and_what_is_gone_comes_last() -> None:
    changes = metrics.changes({"a": 1, "gone": 1, "b": 1}, {"b": 1, "new": 1, "a": 1}, {})
    assert [change.name for change in changes] == ["b", "new", "a", "gone"]


@given(METRICS, METRICS)
def test_swapping_the_versions_swaps_better_and_worse(
    before: dict[str, object], after: dict[str, object]
) -> None:
    opposite = {"better": "worse", "worse": "better"}
    forth = {change.name: change for change in metrics.changes(before, after, {})}
    back = {change.name: change for change in metrics.changes(after, before, {})}
    assert forth.keys() == back.keys() == before.keys() | after.keys()
    for name, change in forth.items():
        verdict = change.verdict
        assert back[name].verdict == opposite.get(verdict or "", verdict)
        assert change.better == back[name].better
