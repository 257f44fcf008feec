"""The tensors of a request, fitted to what a model takes. Pure."""

from collections.abc import Mapping

import numpy as np

from tagship.loaders import Signature, Tensor
from tagship.serve.protocol import KINDS, Array, BadInput, convert, datatype, metadata, shown

_TEXT = "OUS"  # NumPy's kinds of text


def fit(
    inputs: Mapping[str, Array], signature: Signature, *, max_rows: int, takes_nan: bool
) -> dict[str, Array]:
    """What the model is given: its own names, types and shapes.

    A model of one tensor takes any name. Numbers are converted to the type of the model where it
    can hold them.

    Args:
        inputs: of the request, by name.
        signature: of the model.
        max_rows: samples of a request.
        takes_nan: whether the model has a meaning for NaN and infinity.

    Raises:
        BadInput: they do not fit.
    """
    fitted = {
        _name(tensor, index): _fit(array, tensor, name, takes_nan)
        for index, (tensor, name, array) in enumerate(_paired(inputs, signature.inputs))
    }
    _check_rows(fitted, max_rows)
    return fitted


def names(tensors: tuple[Tensor, ...], side: str) -> list[str]:
    """The names of the tensors of a model: ``input-0`` where one has none."""
    return [_name(tensor, index, side) for index, tensor in enumerate(tensors)]


def rows(inputs: Mapping[str, Array]) -> int:
    """The number of samples; 0 where there are none."""
    return next((len(array) for array in inputs.values() if array.ndim), 0)


def _name(tensor: Tensor, index: int, side: str = "input") -> str:
    return tensor.name or f"{side}-{index}"


def _paired(
    inputs: Mapping[str, Array], tensors: tuple[Tensor, ...]
) -> list[tuple[Tensor, str, Array]]:
    """Each tensor of the model with the input that is for it, and what that is called."""
    if len(inputs) != len(tensors):
        ours = ", ".join(map(shown, names(tensors, "input")))
        raise BadInput(
            f"the model takes {len(tensors)} inputs ({ours}), and there are {len(inputs)}"
        )
    if len(tensors) == 1:
        return [(tensors[0], *item) for item in inputs.items()]
    pairs = []
    for tensor, name in zip(tensors, names(tensors, "input"), strict=True):
        if name not in inputs:
            raise BadInput(f"the input {shown(name)} is missing")
        pairs.append((tensor, name, inputs[name]))
    return pairs


def _fit(array: Array, tensor: Tensor, name: str, takes_nan: bool) -> Array:
    _check_shape(array, tensor, name)
    kind = datatype(tensor.type)
    if kind == "BYTES":
        return array if array.dtype.kind in _TEXT else _as_text(array, name)
    if array.dtype.kind in _TEXT:
        raise BadInput(f"{shown(name)} is BYTES, and the model takes {kind}")
    fitted = convert(array, np.dtype(KINDS[kind]), shown(name))
    if not takes_nan and fitted.dtype.kind == "f" and not bool(np.isfinite(fitted).all()):
        raise BadInput(f"{shown(name)} has a NaN or an infinity, which this model does not take")
    return fitted


def _as_text(array: Array, name: str) -> Array:
    """Whole numbers as text, for categories that are numbers."""
    if array.dtype.kind not in "iu":
        raise BadInput(
            f"{shown(name)} is {datatype(array.dtype.name)}, and the model takes BYTES: text, and"
            " numbers written as text"
        )
    return array.astype("str").astype("object")


def _check_shape(array: Array, tensor: Tensor, name: str) -> None:
    wanted = tensor.shape
    fits = array.ndim == len(wanted) and all(
        length in (None, there) for length, there in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        form = [-1 if length is None else length for length in wanted]
        raise BadInput(
            f"{shown(name)} has the shape {list(array.shape)}, and the model takes {form}"
        )


def _check_rows(inputs: Mapping[str, Array], max_rows: int) -> None:
    counts = {len(array) for array in inputs.values() if array.ndim}
    if len(counts) > 1:
        raise BadInput(f"the inputs differ in their rows: {', '.join(map(str, sorted(counts)))}")
    for count in counts:
        if count == 0:
            raise BadInput("there are no rows")
        if count > max_rows:
            raise BadInput(f"there are {count} rows; at most {max_rows} in one request")


def described(tensors: tuple[Tensor, ...], side: str) -> list[dict[str, object]]:
    """Tensors as the metadata of a model has them; ``side`` is ``input`` or ``output``."""
    return [metadata(tensor, _name(tensor, at, side)) for at, tensor in enumerate(tensors)]
