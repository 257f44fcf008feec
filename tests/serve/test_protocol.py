"""Bodies of requests and answers: parsed and written, and what is wrong with them in words."""

import json
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tagship.serve import protocol
from tagship.serve.protocol import BadInput, Output, Request

KINDS = [kind for kind in protocol.KINDS if kind != "BYTES"]


def tensor(**changed: Any) -> dict[str, Any]:
    value = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.5, 2.5], **changed}
    return {key: each for key, each in value.items() if each is not None}


def body(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": list(inputs), **more}).encode()


def parsed(**changed: Any) -> Any:
    """The elements of the only input."""
    array = protocol.parse(body(tensor(**changed))).inputs["x"]
    return array.tolist()


def wrong(text: bytes, length: str | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        protocol.parse(text, length)
    return caught.value.message


def test_data_may_be_flat_or_nested() -> None:
    assert parsed(data=[1, 2], shape=[2, 1]) == parsed(data=[[1], [2]], shape=[2, 1])
    assert parsed(data=[], shape=[0, 3]) == []


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("FP64", [1, 2.5], [1.0, 2.5]),
        ("FP64", [1, None], [1.0, None]),
        ("FP16", [1, 0.5], [1.0, 0.5]),
        ("UINT64", [0, 2**64 - 1], [0, 2**64 - 1]),
        ("INT8", [-128, 127], [-128, 127]),
        ("BOOL", [True, False], [True, False]),
        ("BYTES", ["red", ""], ["red", ""]),
        ("BYTES", ["red", 5], ["red", "5"]),
        ("BYTES", [1.5, "é"], ["1.5", "é"]),
    ],
)
def test_each_datatype_holds_what_it_says(kind: str, data: list[Any], expected: list[Any]) -> None:
    values = parsed(datatype=kind, data=data)[0]
    assert [None if value != value else value for value in values] == expected


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": None}, "an input has no name"),
        ({"name": ""}, "an input has no name"),
        ({"name": 5}, "an input has no name"),
        ({"shape": None}, "shape of 'x' is not a list of lengths"),
        ({"shape": [-1, 2]}, "shape of 'x' is not a list of lengths"),
        ({"shape": [1, 2.0]}, "shape of 'x' is not a list of lengths"),
        ({"shape": [True, 2]}, "shape of 'x' is not a list of lengths"),
        ({"shape": [2**63, 0], "data": []}, "shape [9223372036854775808, 0] of 'x' is too large"),
        ({"shape": [2**62] * 2 + [0], "data": [], "datatype": "BYTES"}, "] of 'x' is too large"),
        ({"shape": [1] * 17}, "'x' has 17 axes; at most 16"),
        ({"shape": [1, 3]}, "'x' has 2 elements, and its shape [1, 3] wants 3"),
        ({"shape": [2**40, 2**40]}, "and its shape [1099511627776, 1099511627776] wants"),
        ({"data": [[1], [2]]}, "data of 'x' is nested as [2, 1], and its shape is [1, 2]"),
        ({"data": [[1, 2], [3]]}, "data of 'x' is nested unevenly"),
        ({"data": [[1, None], [3]]}, "data of 'x' is nested unevenly"),
        ({"data": None}, "data of 'x' is not a list"),
        ({"data": {"0": 1}}, "data of 'x' is not a list"),
        ({"datatype": None}, "datatype of 'x' is not one of BOOL, UINT8"),
        ({"datatype": "FLOAT"}, "datatype of 'x' is not one of BOOL, UINT8"),
        ({"datatype": ["FP64"]}, "datatype of 'x' is not one of BOOL, UINT8"),
        ({"data": ["1", "2"]}, "data of 'x' holds something that is no FP64"),
        ({"data": [1, "2"]}, "data of 'x' holds something that is no FP64"),
        ({"data": [1, {}]}, "data of 'x' holds something that is no FP64"),
        ({"data": [True, False]}, "data of 'x' holds something that is no FP64"),
        ({"data": [True, 2.5]}, "data of 'x' holds something that is no FP64"),
        ({"data": [None, True]}, "data of 'x' holds something that is no FP64"),
        ({"data": [[1], [False]]}, "data of 'x' holds something that is no FP64"),
        ({"datatype": "INT64", "data": [True, 2]}, "data of 'x' holds something that is no INT64"),
        ({"datatype": "BOOL", "data": [True, 0]}, "data of 'x' holds something that is no BOOL"),
        ({"datatype": "INT64", "data": [1, None]}, "holds something that is no INT64"),
        ({"datatype": "INT64", "data": [1, 1.5]}, "holds something that is no INT64"),
        ({"datatype": "INT8", "data": [1, 128]}, "a number of 'x' is no INT8"),
        ({"datatype": "UINT64", "data": [1, -1]}, "a number of 'x' is no UINT64"),
        ({"datatype": "FP32", "data": [1, 1e39]}, "a number of 'x' is too large for FP32"),
        ({"datatype": "FP16", "data": [1, 70000]}, "a number of 'x' is too large for FP16"),
        ({"datatype": "BOOL", "data": [1, 0]}, "data of 'x' holds something that is no BOOL"),
        ({"datatype": "BYTES", "data": ["a", None]}, "holds something that is no text"),
        ({"datatype": "BYTES", "data": ["a", True]}, "holds something that is no text"),
        ({"datatype": "BYTES", "data": [["a"], "b"]}, "data of 'x' is nested unevenly"),
        ({"parameters": []}, "parameters of 'x' is not an object"),
        ({"parameters": {"binary_data_size": 3}}, "has both data and binary_data_size"),
        ({"parameters": {"shared_memory_region": "a"}}, "shared_memory_region of 'x' is not off"),
    ],
)
def test_a_tensor_that_is_wrong_is_told_in_words(changed: dict[str, Any], words: str) -> None:
    assert words in wrong(body(tensor(**changed)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"{}", "inputs is missing"),
        (b'{"inputs": {}}', "inputs is not a list of objects"),
        (b'{"inputs": [1]}', "inputs is not a list of objects"),
        (b'{"inputs": []}', "inputs is empty"),
        (body(tensor(), tensor()), "there are two inputs 'x'"),
        (body(*[tensor(name=str(n)) for n in range(257)]), "inputs has 257 tensors; at most 256"),
        (body(tensor(), id=5), "id is not a text of up to 256 characters"),
        (body(tensor(), id="x" * 257), "id is not a text of up to 256 characters"),
        (body(tensor(), id=None), "id is not a text of up to 256 characters"),
        (body(tensor(), parameters=5), "parameters of the request is not an object"),
        (body(tensor(), outputs=None), "outputs is not a list of objects"),
        (body(tensor(), outputs=[{}]), "an output has no name"),
        (body(tensor(), outputs=[{"name": "y"}] * 2), "there are two outputs 'y'"),
        (
            body(tensor(), parameters={"binary_data_output": "yes"}),
            "the parameter binary_data_output is not true or false",
        ),
        (
            body(tensor(), outputs=[{"name": "y", "parameters": {"classification": 2}}]),
            "the parameter classification of 'y' is not offered",
        ),
        (b'{"inputs": [{"data": [NaN]}]}', "JSON has no NaN: write null for a missing value"),
        (b'{"inputs": [{"data": [Infinity]}]}', "JSON has no Infinity: write null"),
        (b'{"inputs": [{"data": [-Infinity]}]}', "JSON has no Infinity: write null"),
    ],
    ids=lambda value: value[:30].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_a_body_that_is_wrong_is_told_in_words(text: bytes, words: str) -> None:
    assert words in wrong(text)


def test_a_name_of_a_client_is_cut_and_made_harmless() -> None:
    text = wrong(body(tensor(name="\x1b[31m" + "x" * 200, shape=[5])))
    assert "\x1b" not in text
    assert len(text) < 150


# ---- the binary extension


def binary(*tensors: dict[str, Any], data: bytes, **more: Any) -> tuple[bytes, str]:
    text = body(*tensors, **more)
    return text + data, str(len(text))


def sized(size: Any, **changed: Any) -> dict[str, Any]:
    return tensor(data=None, parameters={"binary_data_size": size}, **changed)


def test_binary_tensors_follow_the_json_in_their_order() -> None:
    one, two = struct.pack("<2d", 1.5, 2.5), struct.pack("<2h", -1, 5)
    text = struct.pack("<I3sI0s", 3, "é!".encode(), 0, b"")
    short, words = {"name": "y", "datatype": "INT16"}, {"name": "t", "datatype": "BYTES"}
    inputs = (sized(16), sized(4, **short), tensor(name="z"), sized(len(text), **words))
    request = protocol.parse(*binary(*inputs, data=one + two + text))
    told = {name: array.tolist() for name, array in request.inputs.items()}
    assert told == {"x": [[1.5, 2.5]], "y": [[-1, 5]], "z": [[1.5, 2.5]], "t": [["é!", ""]]}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (binary(sized(0, shape=[2**63, 0]), data=b""), "shape [9223372036854775808, 0] of 'x' is"),
        (binary(sized(0, shape=[2**63, 0], datatype="BOOL"), data=b""), "] of 'x' is too large"),
        (binary(sized(0, shape=[2**63, 0], datatype="BYTES"), data=b""), "] of 'x' is too large"),
        (binary(sized(15), data=b"x" * 15), "has 15 bytes, and FP64 of shape [1, 2] wants 16"),
        (binary(sized(17), data=b"x" * 16), "binary_data_size of 'x' is not the size of what"),
        (binary(sized(16), data=b"x" * 17), "1 bytes follow the JSON that no input has"),
        (binary(sized(-16), data=b"x" * 16), "binary_data_size of 'x' is not the size"),
        (binary(sized(True), data=b"x" * 16), "binary_data_size of 'x' is not the size"),
        (binary(sized("16"), data=b"x" * 16), "binary_data_size of 'x' is not the size"),
        (binary(sized(1e9), data=b"x" * 16), "binary_data_size of 'x' is not the size"),
        (binary(tensor(), data=b"x"), "1 bytes follow the JSON that no input has"),
        ((body(sized(16)), None), "binary_data_size of 'x' is not the size of what"),
        ((body(tensor()), "-1"), "Inference-Header-Content-Length is not a number"),
        ((body(tensor()), "1e3"), "Inference-Header-Content-Length is not a number"),
        ((body(tensor()), "9" * 5000), "Inference-Header-Content-Length is not a number"),
        ((body(tensor()), "²"), "Inference-Header-Content-Length is not a number"),
        ((b"{}", "3"), "Inference-Header-Content-Length says 3, and the body has 2 bytes"),
        ((body(tensor()), "10"), "the body is not JSON"),
        ((body(tensor()), "0"), "the body is empty"),
        (binary(sized(3, datatype="BYTES"), data=b"abc"), "is longer than its data"),
        (binary(sized(4, datatype="BYTES"), data=b"\xff" * 4), "is longer than its data"),
        (binary(sized(8, datatype="BYTES"), data=b"\0" * 7 + b"\1"), "is longer than its data"),
        (
            binary(sized(4, datatype="BYTES"), data=b"\0" * 4),
            "has 1 elements, and its shape [1, 2] wants 2",
        ),
        (
            binary(sized(5, datatype="BYTES", shape=[1]), data=b"\1\0\0\0\xff"),
            "an element of 'x' is not UTF-8",
        ),
    ],
)
def test_a_binary_part_that_lies_is_told_in_words(
    case: tuple[bytes, str | None], words: str
) -> None:
    assert words in wrong(*case)


# ---- answers


def rendered(request: Request, **outputs: Any) -> tuple[dict[str, Any], bytes]:
    answer = protocol.render("churn", "1.2.0", request, outputs)
    length = answer.json_length
    cut = len(answer.body) if length is None else length
    return json.loads(answer.body[:cut]), answer.body[cut:]


def asking(*outputs: Output, identity: str | None = None, is_binary: bool = False) -> Request:
    return Request(identity, {}, outputs, is_binary)


def test_an_answer_names_the_version_and_has_the_id_of_the_request() -> None:
    value, _ = rendered(asking(identity="7"), y=np.array([[0.1, float("nan")]]))
    output = {"name": "y", "datatype": "FP64", "shape": [1, 2], "data": [0.1, None]}
    assert value == {
        "model_name": "churn", "model_version": "1.2.0", "id": "7", "outputs": [output],
    }  # fmt: skip


def test_the_outputs_that_are_asked_for_are_given_each_in_its_form() -> None:
    request = asking(Output("b", is_binary=True), Output("a", is_binary=False))
    value, rest = rendered(request, a=np.array([1.0]), b=np.array(["x", "é"], dtype=object))
    first, second = value["outputs"]
    assert first == {
        "name": "b", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 11},
    }  # fmt: skip
    assert second["data"] == [1.0]
    assert rest == b"\1\0\0\0x\2\0\0\0" + "é".encode()


@pytest.mark.parametrize(
    ("array", "kind", "data"),
    [
        (np.array([1.5], ">f4"), "FP32", [1.5]),
        (np.asfortranarray([[1, 2], [3, 4]]), "INT64", [1, 2, 3, 4]),
        (np.array([True]), "BOOL", [True]),
        (np.array(["red"]), "BYTES", ["red"]),
        (np.array([b"red"]), "BYTES", ["red"]),
        (np.array(["red", 1], dtype=object), "BYTES", ["red", "1"]),
        (np.float32(0.1) * np.ones(1, "float32"), "FP32", [0.1]),
    ],
)
def test_each_type_of_output_can_be_told(array: Any, kind: str, data: list[Any]) -> None:
    output = rendered(asking(), y=array)[0]["outputs"][0]
    assert (output["datatype"], output["data"]) == (kind, data)


def test_an_output_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(BadInput, match="there is no output 'z'; there are: 'y'"):
        rendered(asking(Output("z", is_binary=False)), y=np.zeros(1))


@settings(max_examples=60, deadline=None)
@given(
    array=arrays.arrays(
        st.sampled_from([np.dtype(protocol.KINDS[kind]) for kind in KINDS]),
        arrays.array_shapes(max_dims=3, max_side=4),
    ),
    is_binary=st.booleans(),
)
def test_what_is_written_is_read_back(array: Any, is_binary: bool) -> None:
    value, rest = rendered(asking(is_binary=is_binary), x=array)
    if not is_binary and array.dtype.kind == "f":
        array = np.where(np.isinf(array), np.nan, array).astype(array.dtype)
    text = body(*value["outputs"])
    back = protocol.parse(text + rest, str(len(text))).inputs["x"]
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@settings(max_examples=100, deadline=None)
@given(
    text=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "name", "shape", "data", "datatype", "parameters", "id"]),
            inner, max_size=5,
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode()),
    length=st.none() | st.integers(0, 200).map(str),
)  # fmt: skip
def test_no_body_is_answered_with_anything_but_words(text: bytes, length: str | None) -> None:
    try:
        protocol.parse(text, length)
    except BadInput as error:
        assert error.message


@pytest.mark.parametrize("depth", [0, 1, 900])
def test_a_text_among_numbers_costs_no_memory(depth: int) -> None:
    """As an array of texts each number would have the room of the longest one: 400 MB here."""
    data: Any = ["x" * 100_000, *[1] * 1000]
    for _ in range(depth):
        data = [data]
    tracemalloc.start()
    try:
        message = wrong(body(tensor(data=data)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert message == "data of 'x' holds something that is no FP64"
    assert peak < 10_000_000
