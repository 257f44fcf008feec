"""Dataclasses from JSON that anybody may have edited: a value, or what is wrong, in words."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.host import journal, metadata
from tagship.host.history import Event
from tagship.host.store import Pin
from tagship.text import json_reader
from tagship.text.json_reader import Is


class Pair(TypedDict):
    """Two texts."""

    left: str
    right: str | None


@dataclass(frozen=True)
class Inner:
    """What lies in another."""

    name: Annotated[str, Is(str.islower, "a lower-case name")]


@dataclass(frozen=True)
class Outer:
    """One field of each kind."""

    text: str
    count: int = 0
    size: float = 0.0
    yes: bool = False
    maybe: Inner | None = None
    many: tuple[Inner, ...] = ()
    pairs: list[Pair] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    anything: Any = None


@pytest.mark.parametrize(
    ("value", "outer"),
    [
        ({"text": "a"}, Outer("a")),
        ({"text": "a", "added later": 1}, Outer("a")),
        ({"text": "a", "count": 3, "size": 2, "yes": True}, Outer("a", 3, 2, True)),
        ({"text": "a", "maybe": None}, Outer("a")),
        ({"text": "a", "maybe": {"name": "b", "more": 1}}, Outer("a", maybe=Inner("b"))),
        ({"text": "a", "many": [{"name": "b"}]}, Outer("a", many=(Inner("b"),))),
        ({"text": "a", "pairs": [{"left": "b", "right": None}], "names": {"c": "d"}},
         Outer("a", pairs=[{"left": "b", "right": None}], names={"c": "d"})),
        ({"text": "a", "anything": [{"b": 1e300}]}, Outer("a", anything=[{"b": 1e300}])),
    ],
)  # fmt: skip
def test_an_object_becomes_its_dataclass(value: object, outer: Outer) -> None:
    assert json_reader.read(Outer, value) == outer


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "it is 3, not an object"),
        ({}, "text is missing"),
        ({"text": 3}, "text is 3, not a text"),
        ({"text": None}, "text is None, not a text"),
        ({"text": "a", "count": "3"}, "count is '3', not a whole number"),
        ({"text": "a", "count": True}, "count is True, not a whole number"),
        ({"text": "a", "count": 3.0}, "count is 3.0, not a whole number"),
        ({"text": "a", "count": 2**63}, "count is 9223372036854775808, not a whole number"),
        ({"text": "a", "size": "1"}, "size is '1', not a number"),
        ({"text": "a", "size": -(2**64)}, "size is -18446744073709551616, not a number"),
        ({"text": "a", "yes": 1}, "yes is 1, not true or false"),
        ({"text": "a", "maybe": {"name": "B"}}, "maybe.name is 'B', not a lower-case name"),
        ({"text": "a", "maybe": []}, "maybe is [], not an object"),
        ({"text": "a", "many": {}}, "many is {}, not an array"),
        ({"text": "a", "many": [{"name": "b"}, {}]}, "many[1].name is missing"),
        ({"text": "a", "pairs": [{"left": "b"}]}, "pairs[0].right is missing"),
        ({"text": "a", "pairs": [{"left": 3, "right": None}]}, "pairs[0].left is 3, not a text"),
        ({"text": "a", "names": {"c": 3}}, "names.c is 3, not a text"),
        ({"text": "a", "names": []}, "names is [], not an object"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_place(value: object, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        json_reader.read(Outer, value)
    assert str(caught.value) == words


def deep(levels: int) -> bytes:
    """Arrays in one another."""
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff", "it is not UTF-8"),
        (b'"\xed\xa0\x80"', "it is not UTF-8"),
        ('"a"'.encode("utf-16"), "it is not UTF-8"),
        (b'{"a": 1, "b": 2, "a": 3}', "a is there twice"),
        (b"[NaN]", "NaN is not a finite number"),
        (b"[-Infinity]", "-Infinity is not a finite number"),
        (b"[1e999]", "1e999 is not a finite number"),
        (deep(json_reader.DEEPEST + 1), "it is nested too deeply"),
        (deep(5_000), "it is nested too deeply"),
        (b'{"a":' * 200_000, "it is nested too deeply"),
    ],
    ids=str,
)
def test_json_that_others_read_otherwise_is_none(data: bytes, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        json_reader.parse(data)
    assert str(caught.value) == words


@pytest.mark.parametrize("data", [b"", b"[", b"{'a': 1}", b"1" * 5_000, b"[1] 2"])
def test_what_is_no_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        json_reader.parse(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xef\xbb\xbf[1]", [1]),
        (b'"\\ud800"', "\ud800"),
        (deep(json_reader.DEEPEST), json.loads(deep(json_reader.DEEPEST))),
        (b"0", 0),
    ],
    ids=str,
)
def test_what_does_no_harm_is_read(data: bytes, value: object) -> None:
    assert json_reader.parse(data) == value


def test_who_asks_for_it_gets_what_python_writes() -> None:
    assert str(json_reader.parse(b"[NaN, Infinity]", strict=False)) == "[nan, inf]"


EVENT: dict[str, Any] = Event(
    1, "20261120_120000", "2026-11-20T12:00:00Z", "deploy", "succeeded", "m"
).to_json()
DESCRIBED: dict[str, Any] = {
    "schema": 1, "model": "m", "version": "1.0.0", "path": "m.bin", "self_test": None, "size": 1,
    "tag": {"name": "m@v1.0.0", "object": "aa", "tagger": "A", "at": "t", "message": "x"},
    "commit": {"id": "bb", "author": "A", "at": "t", "message": "x"},
    "files": [{"path": "m.bin", "size": 1, "md5": "cc", "sha256": "dd", "executable": False}],
    "lineage": [{"stage": "s", "command": "c", "params": {}, "outs": [],
                 "deps": [{"path": "p", "md5": None}]}],
    "deployment": {"id": "i", "seq": 1, "at": "t", "actor": "A", "host": "h"},
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "event": (Event.from_json, {**EVENT, "previous": {"version": "1.0.0", "directory": "d"}}),
    "metadata": (metadata.Metadata.from_json, DESCRIBED),
    "intent": (
        journal.Intent.from_json,
        {"event": {**EVENT, "version": "1.0.0", "directory": "d"}, "creates": True},
    ),
    "pins": (json_reader.array(Pin), [{"version": "1.0.0", "reason": None, "at": "t", "by": "A"}]),
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, ...]]:
    """The way to every value in a JSON value."""
    if not isinstance(value, dict | list):
        return []
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [
        way for key, child in inner for way in ((key,), *((key, *rest) for rest in places(child)))
    ]


@pytest.mark.parametrize("name", WHOLE)
@given(data=st.data())
def test_a_file_with_anything_in_any_place_gives_a_value_or_says_what_is_wrong(
    name: str, data: st.DataObject
) -> None:
    read, whole = WHOLE[name]
    read(whole)
    changed = json.loads(json.dumps(whole))
    *way, last = data.draw(st.sampled_from(places(whole)))
    inner = changed
    for key in way:
        inner = inner[key]
    if isinstance(inner, dict) and data.draw(st.booleans()):
        del inner[last]
    else:
        inner[last] = data.draw(json_values)
    try:
        read(changed)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("name", WHOLE)
@given(value=json_values)
def test_any_json_gives_a_value_or_says_what_is_wrong(name: str, value: object) -> None:
    try:
        WHOLE[name][0](value)
    except ValueError as error:
        assert str(error)
