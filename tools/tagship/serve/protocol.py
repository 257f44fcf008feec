"""The Open Inference Protocol, version 2, over REST: bodies of requests and answers. Pure.

The protocol: https://github.com/kserve/open-inference-protocol, ``specification/protocol``. Its
binary extension is Triton's: ``docs/protocol/extension_binary_data.md`` of triton-inference-server.

JSON has no NaN and no infinity. In a tensor of floating-point numbers ``null`` stands for NaN, in
requests and in answers.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
import orjson

from tagship.errors import TagshipError
from tagship.loaders import Tensor

EXTENSIONS = ("binary_tensor_data",)
JSON, BINARY = "application/json", "application/octet-stream"
LENGTH_HEADER = "inference-header-content-length"

MAX_ID = 256  # characters of the id of a request
MAX_TENSORS = 256  # inputs of a request, or outputs that it asks for
MAX_AXES = 16

KINDS = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16",
    "FP32": "float32", "FP64": "float64", "BYTES": "object",
}  # fmt: skip
_NAMES = {kind: name for name, kind in KINDS.items()}
_NOT_OFFERED = ("classification", "shared_memory_region")  # parameters that change the answer
_TEXT_LENGTH = struct.Struct("<I")  # before each element of BYTES in binary

Array = np.ndarray[Any, np.dtype[Any]]


class BadInput(TagshipError):
    """A request that cannot be answered as it is; status 400."""


@dataclass(frozen=True)
class Output:
    """An output that a request asks for, and whether it wants it in binary."""

    name: str
    is_binary: bool


@dataclass(frozen=True)
class Request:
    """An inference request.

    Attributes:
        id: as the client gave it; the answer has the same.
        inputs: the tensors by name, in their declared shapes and types; text is of type object.
        outputs: those that it asks for; empty for all of them.
        is_binary: whether an output that says nothing else is wanted in binary.
    """

    id: str | None
    inputs: dict[str, Array]
    outputs: tuple[Output, ...]
    is_binary: bool


@dataclass(frozen=True)
class Answer:
    """The body of an answer, and the length of its JSON, if binary follows."""

    body: bytes
    json_length: int | None


def datatype(kind: str) -> str:
    """The protocol's name of a type of NumPy: ``FP64`` for ``float64``, ``BYTES`` for text."""
    return _NAMES.get(kind) or ("FP32" if kind == "bfloat16" else "BYTES")


def metadata(tensor: Tensor, name: str) -> dict[str, Any]:
    """A tensor as the metadata of a model has it; an open length is -1."""
    shape = [-1 if length is None else length for length in tensor.shape]
    return {"name": tensor.name or name, "datatype": datatype(tensor.type), "shape": shape}


# ---- requests


def parse(body: bytes, json_length: str | None = None) -> Request:
    """Read the body of an inference request.

    Args:
        body: all of it.
        json_length: the header ``Inference-Header-Content-Length``: after so many bytes of JSON
            come the binary tensors.

    Raises:
        BadInput: it is not a request of the protocol, or its parts do not fit together.
    """
    length = len(body) if json_length is None else _json_length(json_length, len(body))
    request = _load(body if length == len(body) else body[:length])
    rest = memoryview(body)[length:]
    parameters = _parameters(request, "the request")
    inputs = _inputs(_list(request, "inputs"), rest)
    is_binary = _flag(parameters, "binary_data_output", default=False)
    outputs = _list(request, "outputs") if "outputs" in request else []
    return Request(_id(request), inputs, _outputs(outputs, is_binary), is_binary)


def _json_length(text: str, size: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadInput("Inference-Header-Content-Length is not a number")
    if int(text) > size:
        raise BadInput(
            f"Inference-Header-Content-Length says {int(text)}, and the body has {size} bytes"
        )
    return int(text)


def _load(text: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(_json_error(text, error)) from None
    if not isinstance(value, dict):
        raise BadInput("the body is not a JSON object")
    return value


def _json_error(text: bytes, error: orjson.JSONDecodeError) -> str:
    if not text.strip():
        return "the body is empty"
    rest = error.doc[error.pos : error.pos + 9].lstrip("-+")
    for word in ("NaN", "Infinity", "inf", "nan"):
        if rest.startswith(word):
            return f"JSON has no {word}: write null for a missing value"
    if "infinity" in error.msg:
        return f"a number is too large: line {error.lineno} column {error.colno}"
    return f"the body is not JSON: {error}"


def _id(request: dict[str, Any]) -> str | None:
    if "id" not in request:
        return None
    if not isinstance(request["id"], str) or len(request["id"]) > MAX_ID:
        raise BadInput(f"id is not a text of up to {MAX_ID} characters")
    return request["id"]


def _parameters(value: dict[str, Any], owner: str) -> dict[str, Any]:
    parameters = value.get("parameters", {})
    if not isinstance(parameters, dict):
        raise BadInput(f"parameters of {owner} is not an object")
    for name in _NOT_OFFERED:
        if name in parameters:
            raise BadInput(f"the parameter {name} of {owner} is not offered")
    return parameters


def _flag(parameters: dict[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise BadInput(f"the parameter {name} is not true or false")
    return value


def _list(request: dict[str, Any], name: str) -> list[Any]:
    if name not in request:
        raise BadInput(f"{name} is missing")
    items = request[name]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadInput(f"{name} is not a list of objects")
    if len(items) > MAX_TENSORS:
        raise BadInput(f"{name} has {len(items)} tensors; at most {MAX_TENSORS}")
    return items


def _name(tensor: dict[str, Any], kind: str) -> str:
    name = tensor.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_ID:
        raise BadInput(f"an {kind} has no name")
    return name


def _outputs(items: Sequence[dict[str, Any]], default: bool) -> tuple[Output, ...]:
    outputs: list[Output] = []
    for item in items:
        name = _name(item, "output")
        if any(output.name == name for output in outputs):
            raise BadInput(f"there are two outputs {shown(name)}")
        parameters = _parameters(item, shown(name))
        outputs.append(Output(name, _flag(parameters, "binary_data", default=default)))
    return tuple(outputs)


def _inputs(items: Sequence[dict[str, Any]], rest: memoryview) -> dict[str, Array]:
    """The tensors by name; those in binary are cut off ``rest``, one after the other."""
    if not items:
        raise BadInput("inputs is empty")
    inputs: dict[str, Array] = {}
    for item in items:
        name = _name(item, "input")
        if name in inputs:
            raise BadInput(f"there are two inputs {shown(name)}")
        size = _parameters(item, shown(name)).get("binary_data_size")
        if size is None:
            inputs[name] = _from_json(item, name)
            continue
        if "data" in item:
            raise BadInput(f"{shown(name)} has both data and binary_data_size")
        if not is_whole(size) or size > len(rest):
            raise BadInput(
                f"binary_data_size of {shown(name)} is not the size of what follows the JSON"
            )
        inputs[name] = _from_binary(item, name, rest[:size])
        rest = rest[size:]
    if rest:
        raise BadInput(f"{len(rest)} bytes follow the JSON that no input has")
    return inputs


def _shape(item: dict[str, Any], name: str) -> tuple[int, ...]:
    shape = item.get("shape")
    if not isinstance(shape, list) or not all(is_whole(length) for length in shape):
        raise BadInput(f"shape of {shown(name)} is not a list of lengths")
    if len(shape) > MAX_AXES:
        raise BadInput(f"{shown(name)} has {len(shape)} axes; at most {MAX_AXES}")
    return tuple(shape)


def _kind(item: dict[str, Any], name: str) -> str:
    kind = item.get("datatype")
    if not isinstance(kind, str) or kind not in KINDS:
        raise BadInput(f"datatype of {shown(name)} is not one of {', '.join(KINDS)}")
    return kind


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value of JSON is a whole number from 0 on; ``true`` is none."""
    return type(value) is int and value >= 0


def _from_json(item: dict[str, Any], name: str) -> Array:
    kind, shape = _kind(item, name), _shape(item, name)
    data = item.get("data")
    if not isinstance(data, list):
        raise BadInput(f"data of {shown(name)} is not a list")
    array = _texts(data, name) if kind == "BYTES" else _numbers(data, kind, name)
    if array.size != math.prod(shape):
        raise BadInput(
            f"{shown(name)} has {array.size} elements, and its shape {list(shape)} wants"
            f" {math.prod(shape)}"
        )
    if array.ndim > 1 and array.shape != shape:
        raise BadInput(
            f"data of {shown(name)} is nested as {list(array.shape)}, and its shape is"
            f" {list(shape)}"
        )
    return _shaped(array, shape, name)


def _shaped(array: Array, shape: tuple[int, ...], name: str) -> Array:
    """The same elements in another shape: one without any may still be too long for NumPy."""
    try:
        return array.reshape(shape)
    except ValueError:
        raise BadInput(f"shape {list(shape)} of {shown(name)} is too large") from None


def _numbers(data: list[Any], kind: str, name: str) -> Array:
    """An array of a numeric type, in the shape in which the lists are nested."""
    # NumPy would give each number the room of the longest text, and take true among numbers for 1
    if _has(data, {str} if kind == "BOOL" else {str, bool}):
        raise BadInput(f"data of {shown(name)} holds something that is no {kind}")
    try:
        array = np.asarray(data)
    except ValueError:
        raise _ragged(name) from None
    if array.dtype.kind == "O":  # null, or whole numbers beyond 64 bits
        array = _with_missing(array, kind, name)
    elif kind == "UINT64" and array.dtype.kind == "f":  # NumPy's choice above 2**63
        array = _whole(data, array)
    if array.size == 0:
        return array.astype(KINDS[kind])
    return _narrow(array, kind, name)


def _has(data: list[Any], unwanted: set[type]) -> bool:
    """Whether there is something of a kind in nested lists, however deep they are."""
    level: list[list[Any]] = [data]
    while level:
        inner: list[list[Any]] = []
        for items in level:
            kinds = set(map(type, items))
            if not unwanted.isdisjoint(kinds):
                return True
            if list in kinds:
                inner += [item for item in items if isinstance(item, list)]
        level = inner
    return False


def _whole(data: list[Any], array: Array) -> Array:
    """Whole numbers of up to 64 bits, exactly; the same array if it has others."""
    values = np.asarray(data, dtype=object)
    if not all(is_whole(value) for value in values.ravel()):
        return array
    return values.astype("uint64")


def _with_missing(array: Array, kind: str, name: str) -> Array:
    """The same with NaN for each null."""
    if kind.startswith("FP"):
        values = array.ravel()
        if all(value is None or type(value) in (int, float) for value in values):
            return array.astype("float64")
        if any(isinstance(value, list) for value in values):
            raise _ragged(name)
    raise BadInput(f"data of {shown(name)} holds something that is no {kind}")


def _ragged(name: str) -> BadInput:
    return BadInput(f"data of {shown(name)} is nested unevenly")


def _narrow(array: Array, kind: str, name: str) -> Array:
    """Numbers of JSON in the type that the request declares: exactly those that it can hold."""
    target = np.dtype(KINDS[kind])
    source = array.dtype.kind
    accepted = {"b": "b", "u": "iu", "i": "iu", "f": "iuf"}[target.kind]
    if source not in accepted:
        raise BadInput(f"data of {shown(name)} holds something that is no {kind}")
    return convert(array, target, shown(name))


def convert(array: Array, target: np.dtype[Any], name: str) -> Array:
    """Numbers in another type.

    Args:
        array: of numbers, or of true and false.
        target: a type of numbers, or bool.
        name: of the tensor, for the error.

    Raises:
        BadInput: a number is outside of what the type can hold, or is not whole and has to be.
    """
    if array.dtype == target:
        return array
    if target.kind == "f":
        with np.errstate(over="ignore"):
            converted = array.astype(target)
        if target.itemsize < 8 and bool((np.isinf(converted) & ~np.isinf(array)).any()):
            raise BadInput(f"a number of {name} is too large for {datatype(target.name)}")
        return converted
    with np.errstate(invalid="ignore"):
        converted = array.astype(target)
    if not bool(np.equal(converted, array).all()):
        raise BadInput(f"a number of {name} is no {datatype(target.name)}")
    return converted


def _texts(data: list[Any], name: str) -> Array:
    """An array of text in the shape in which the lists are nested; numbers are written out."""
    shape = []
    level: Any = data
    while isinstance(level, list):
        shape.append(len(level))
        if len(shape) > MAX_AXES:
            raise BadInput(f"data of {shown(name)} has more than {MAX_AXES} axes")
        level = level[0] if level else None
    values = list(_flat(data, shape, name))
    array = np.empty(len(values), dtype=object)
    array[:] = [_text(value, name) for value in values]
    return array.reshape(shape)


def _flat(data: Any, shape: Sequence[int], name: str) -> Iterable[Any]:
    if not shape:
        yield data
        return
    if not isinstance(data, list) or len(data) != shape[0]:
        raise _ragged(name)
    for item in data:
        yield from _flat(item, shape[1:], name)


def _text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if type(value) in (int, float):
        return repr(value)
    raise BadInput(f"data of {shown(name)} holds something that is no text")


def _from_binary(item: dict[str, Any], name: str, data: memoryview) -> Array:
    kind, shape = _kind(item, name), _shape(item, name)
    if kind == "BYTES":
        return _texts_of_binary(data, shape, name)
    target = np.dtype(KINDS[kind])
    if math.prod(shape) * target.itemsize != len(data):
        raise BadInput(
            f"{shown(name)} has {len(data)} bytes, and {kind} of shape {list(shape)} wants"
            f" {math.prod(shape) * target.itemsize}"
        )
    if kind == "BOOL":
        return _shaped(np.frombuffer(data, "uint8"), shape, name).astype("bool")
    array = _shaped(np.frombuffer(data, target.newbyteorder("<")), shape, name)
    return array.astype(target, copy=False)


def _texts_of_binary(data: memoryview, shape: tuple[int, ...], name: str) -> Array:
    texts = []
    at = 0
    while at < len(data):
        start = at + _TEXT_LENGTH.size
        length = _TEXT_LENGTH.unpack(data[at:start])[0] if start <= len(data) else len(data)
        at = start + length
        if at > len(data):
            raise BadInput(f"an element of {shown(name)} is longer than its data")
        texts.append(_decode(data[start:at], name))
    if len(texts) != math.prod(shape):
        raise BadInput(
            f"{shown(name)} has {len(texts)} elements, and its shape {list(shape)} wants"
            f" {math.prod(shape)}"
        )
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return _shaped(array, shape, name)


def _decode(data: memoryview, name: str) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"an element of {shown(name)} is not UTF-8") from None


def shown(name: str) -> str:
    """The name of a tensor in an error: in quotes, cut, without control characters."""
    return repr(name if len(name) <= 64 else f"{name[:60]}...")


# ---- answers


def error(text: str) -> bytes:
    """The body of an error."""
    return orjson.dumps({"error": text})


def check_outputs(request: Request, names: Iterable[str]) -> None:
    """Check that a model has the outputs that a request asks for, before it is asked.

    Raises:
        BadInput: it does not have one of them.
    """
    known = list(names)
    for output in request.outputs:
        if output.name not in known:
            names_shown = ", ".join(map(shown, known))
            raise BadInput(f"there is no output {shown(output.name)}; there are: {names_shown}")


def render(
    model: str, version: str, request: Request, outputs: dict[str, Array], parameters: Any = None
) -> Answer:
    """Write the body of an answer.

    Args:
        model: its name.
        version: what answered.
        request: says which outputs it wants, and how.
        outputs: all outputs of the model by name, in their order.
        parameters: of the answer, if there are any.

    Raises:
        BadInput: it asks for an output that the model does not have.
    """
    check_outputs(request, outputs)
    chosen = request.outputs or [Output(name, request.is_binary) for name in outputs]
    tensors, blobs = [], []
    for output in chosen:
        tensor, blob = _tensor(output, outputs[output.name])
        tensors.append(tensor)
        if blob is not None:
            blobs.append(blob)
    answer: dict[str, Any] = {"model_name": model, "model_version": version}
    if request.id is not None:
        answer["id"] = request.id
    if parameters:
        answer["parameters"] = parameters
    answer["outputs"] = tensors
    text = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Answer(b"".join([text, *blobs]), len(text)) if blobs else Answer(text, None)


def _tensor(output: Output, array: Array) -> tuple[dict[str, Any], bytes | None]:
    """An output as the answer's JSON has it, and its bytes if it is in binary."""
    array = _known(array)
    tensor: dict[str, Any] = {
        "name": output.name, "datatype": datatype(array.dtype.name), "shape": list(array.shape),
    }  # fmt: skip
    if output.is_binary:
        blob = _bytes(array)
        return {**tensor, "parameters": {"binary_data_size": len(blob)}}, blob
    flat = array.ravel()
    return {**tensor, "data": flat.tolist() if flat.dtype.kind == "O" else flat}, None


def _known(array: Array) -> Array:
    """The same in a type that the protocol has: text as ``str``, in an array of objects."""
    if array.dtype.name == "bfloat16":
        return array.astype("float32")
    if array.dtype.name in _NAMES and array.dtype.kind != "O":
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    texts = np.empty(array.size, dtype=object)
    texts[:] = [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for value in array.ravel().tolist()
    ]
    return texts.reshape(array.shape)


def _bytes(array: Array) -> bytes:
    if array.dtype.kind != "O":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = [text.encode("utf-8", "surrogatepass") for text in array.ravel()]
    return b"".join(_TEXT_LENGTH.pack(len(text)) + text for text in texts)
