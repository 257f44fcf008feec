"""What a request has, fitted to what a model takes."""

from typing import Any

import numpy as np
import pytest

from tagship.loaders import Signature, Tensor
from tagship.serve import tensors
from tagship.serve.protocol import BadInput

ONE = Signature((Tensor("input-0", "float64", (None, 2)),), ())
TWO = Signature(
    (Tensor("age", "int64", (None,)), Tensor("colour", "object", (None, 1))), ()
)  # fmt: skip


def fitted(inputs: dict[str, Any], signature: Signature = ONE, **options: Any) -> dict[str, Any]:
    return tensors.fit(inputs, signature, **{"max_rows": 10, "takes_nan": True, **options})


def one_of(kind: str, shape: tuple[int | None, ...] = (None, 2)) -> Signature:
    return Signature((Tensor("input-0", kind, shape),), ())


def wrong(inputs: dict[str, Any], signature: Signature = ONE, **options: Any) -> str:
    with pytest.raises(BadInput) as caught:
        fitted(inputs, signature, **options)
    return caught.value.message


def test_a_model_of_one_tensor_takes_any_name() -> None:
    value = fitted({"whatever": np.zeros((3, 2))})
    assert list(value) == ["input-0"]
    assert tensors.rows(value) == 3


def test_a_model_of_several_takes_each_by_its_name() -> None:
    inputs = {"colour": np.array([["red"]], dtype=object), "age": np.array([3])}
    assert list(fitted(inputs, TWO)) == ["age", "colour"]
    assert "the input 'age' is missing" in wrong({"colour": inputs["colour"], "x": 1}, TWO)


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("float64", np.array([[1, 2]], "int8"), [[1.0, 2.0]]),
        ("float32", np.array([[0.1, 2]], "float64"), [[float(np.float32(0.1)), 2.0]]),
        ("float64", np.array([[True, False]]), [[1.0, 0.0]]),
        ("float32", np.array([[np.nan, np.inf]]), [[np.nan, np.inf]]),
        ("int64", np.array([[1.0, 2.0]]), [[1, 2]]),
        ("bool", np.array([[1, 0]]), [[True, False]]),
        ("object", np.array([[1, 2]]), [["1", "2"]]),
        ("bfloat16", np.array([[1, 2]]), [[1.0, 2.0]]),
    ],
)
def test_numbers_are_converted_where_the_model_can_hold_them(
    kind: str, given: Any, expected: list[Any]
) -> None:
    value = fitted({"x": given}, one_of(kind))["input-0"]
    np.testing.assert_equal(value.tolist(), expected)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("float32", np.array([[1e39, 1]]), "a number of 'x' is too large for FP32"),
        ("int64", np.array([[1.5, 1]]), "a number of 'x' is no INT64"),
        ("int64", np.array([[np.nan, 1]]), "a number of 'x' is no INT64"),
        ("int8", np.array([[200, 1]]), "a number of 'x' is no INT8"),
        ("bool", np.array([[2, 1]]), "a number of 'x' is no BOOL"),
        ("float64", np.array([["a", "b"]], dtype=object), "'x' is BYTES, and the model takes FP64"),
        ("object", np.array([[1.5, 1]]), "'x' is FP64, and the model takes BYTES"),
        ("float64", np.zeros((2, 3)), "'x' has the shape [2, 3], and the model takes [-1, 2]"),
        ("float64", np.zeros(2), "'x' has the shape [2], and the model takes [-1, 2]"),
        ("float64", np.zeros((1, 2, 1)), "'x' has the shape [1, 2, 1], and the model takes"),
        ("float64", np.zeros((0, 2)), "there are no rows"),
        ("float64", np.zeros((11, 2)), "there are 11 rows; at most 10 in one request"),
    ],
)
def test_what_does_not_fit_is_told_in_words(kind: str, given: Any, words: str) -> None:
    assert words in wrong({"x": given}, one_of(kind))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_that_knows_no_missing_values_is_given_none(value: float) -> None:
    words = wrong({"x": np.array([[value, 1.0]])}, takes_nan=False)
    assert words == "'x' has a NaN or an infinity, which this model does not take"


def test_the_number_of_inputs_and_of_their_rows_must_fit() -> None:
    assert "takes 1 inputs ('input-0'), and there are 2" in wrong({"a": 1, "b": 2})
    rows = {"age": np.array([3]), "colour": np.array([["red"], ["blue"]], dtype=object)}
    assert wrong(rows, TWO) == "the inputs differ in their rows: 1, 2"
