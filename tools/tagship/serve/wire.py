"""Arrays through a socket between two processes of one server: a header in JSON, then raw bytes.

No pickle: what comes back from a model's process is data, whatever the model did to it.
"""

import json
import math
import socket
from typing import TYPE_CHECKING, Any

from tagship.errors import TagshipError

if TYPE_CHECKING:
    import numpy as np

    from tagship.serve.generation import Arrays

LENGTH = 8  # bytes of the header's length
LONGEST = 256 << 20  # bytes of a header: it has the texts of a table of texts
TOGETHER = 64 << 10  # bytes that are sent with one call


class Broken(ConnectionError):
    """The other end is gone, or says what is not of this form."""


def send(channel: socket.socket, header: dict[str, Any], arrays: "Arrays | None" = None) -> None:
    """Send a message.

    Args:
        channel: to the other process.
        header: JSON values.
        arrays: of numbers, of texts, or of both in one (``object``).

    Raises:
        OSError: the other end is gone, or its time is over.
        TypeError: an array has what is neither a number nor a text.
    """
    import numpy as np

    tensors: list[dict[str, Any]] = []
    parts: list[memoryview] = []
    for name, array in (arrays or {}).items():
        tensor: dict[str, Any] = {"name": name, "shape": list(array.shape)}
        if array.dtype == object:
            tensor["texts"] = array.ravel().tolist()
        else:
            tensor["type"] = array.dtype.str
            parts.append(np.ascontiguousarray(array).reshape(-1).view("u1").data)
        tensors.append(tensor)
    text = json.dumps({**header, "tensors": tensors}).encode()
    parts = [memoryview(len(text).to_bytes(LENGTH, "big") + text), *parts]
    if sum(map(len, parts)) <= TOGETHER:
        parts = [memoryview(b"".join(parts))]
    for part in parts:
        channel.sendall(part)


def receive(channel: socket.socket) -> "tuple[dict[str, Any], Arrays]":
    """Wait for a message.

    Raises:
        Broken: the other end is gone, or says what is not of this form.
        TimeoutError: the time of the channel is over.
    """
    import numpy as np

    length = int.from_bytes(_exactly(channel, LENGTH), "big")
    if length > LONGEST:
        raise Broken("a header is too long")
    try:
        header = json.loads(bytes(_exactly(channel, length)))
        arrays = {tensor["name"]: _array(channel, tensor, np) for tensor in header.pop("tensors")}
    except (ValueError, TypeError, KeyError) as error:
        raise Broken(f"a message is not of the form: {error}") from None
    return header, arrays


def _array(channel: socket.socket, tensor: dict[str, Any], np: Any) -> "np.ndarray":
    shape = tuple(tensor["shape"])
    if "texts" in tensor:
        array = np.empty(len(tensor["texts"]), dtype=object)
        array[:] = tensor["texts"]
        return array.reshape(shape)  # type: ignore[no-any-return] # np is Any
    kind = np.dtype(tensor["type"])
    if kind.hasobject:
        raise ValueError("an array of objects has no bytes")
    data = _exactly(channel, math.prod(shape) * kind.itemsize)
    return np.frombuffer(data, dtype=kind).reshape(shape)  # type: ignore[no-any-return]


def _exactly(channel: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        count = channel.recv_into(rest)
        if not count:
            raise Broken("the other process has ended")
        rest = rest[count:]
    return data


def error_of(error: TagshipError) -> dict[str, str]:
    """An error as JSON values."""
    return {"error": error.message, "hint": error.hint, "kind": type(error).__name__}
