"""The forms of an index and of a capsule: what is read back, and what is refused."""

import json
from typing import Any

import jsonschema
import pytest

from tagship.carry import capsule, index
from tagship.carry.index import Entry
from tagship.errors import Corrupt, Refused, TagshipError
from tests.test_docs import ROOT

ID, OTHER, SHA = "a" * 40, "b" * 40, "c" * 64
TAGS = {"churn@v1.1.0": Entry(OTHER, SHA, 2), "churn@v1.0.0": Entry(ID, SHA, 1)}


def test_an_index_is_read_back_and_equal_tags_give_equal_bytes() -> None:
    data = index.write("churn", TAGS)
    assert index.parse(data, "churn", "here") == TAGS
    assert data == index.write("churn", dict(reversed(TAGS.items())))
    assert index.parse(b"", "churn", "here") == {}


def test_an_index_fits_its_schema() -> None:
    schema = json.loads((ROOT / "docs/schemas/index.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(json.loads(index.write("churn", TAGS)))
    validator.validate(json.loads(index.write("churn", {})))
    for old, new in ((ID, "g" * 40), (SHA, "c" * 63), ('"size":1', '"size":-1')):
        assert list(validator.iter_errors(json.loads(change(old, new))))
    described = [
        schema["properties"],
        schema["properties"]["tags"]["additionalProperties"]["properties"],
    ]
    assert all(field["description"] for part in described for field in part.values())


def change(old: str, new: str) -> bytes:
    return index.write("churn", TAGS).replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    "data, kind, words",
    [
        (b"{", Corrupt, "damaged"),
        (b"[]", Corrupt, "no schema"),
        (change('"schema":1', '"schema":2'), Refused, "of schema 2; this tagship knows 1"),
        (change('"schema":1', '"schema":true'), Corrupt, "no schema"),
        (change('"model":"churn"', '"model":"vision"'), Corrupt, "is of vision"),
        (change("churn@v1.0.0", "vision@v1.0.0"), Corrupt, "of another model"),
        (change("churn@v1.0.0", "churn@1.0"), Corrupt, "damaged"),
        (change("churn@v1.0.0", "churn#a//b"), Corrupt, "is no tag"),
        (change("churn@v1.0.0", "churn@v1.0.0-a.lock"), Corrupt, "is no tag"),
        (change("churn@v1.0.0", f"churn#{'a' * 245}"), Corrupt, "is no tag"),
        (change("churn@v1.0.0", f"churn#{'a/' * 3000}b"), Corrupt, "is no tag"),
        (change(ID, "a/../b"), Corrupt, "damaged"),
        (change('"size":1', '"size":-1'), Corrupt, "damaged"),
        (change('"size":1', '"size":"1"'), Corrupt, "damaged"),
    ],
)
def test_an_index_out_of_form_is_refused(data: bytes, kind: type[Any], words: str) -> None:
    with pytest.raises(kind) as caught:
        index.parse(data, "churn", "s3://bucket")
    assert words in caught.value.message
    assert caught.value.hint


def test_an_index_takes_the_longest_name_of_a_tag_that_every_file_system_has() -> None:
    data = change("churn@v1.0.0", f"churn#{'a' * 244}")
    assert len(index.parse(data, "churn", "here")) == 2


def test_an_index_only_grows() -> None:
    new = {"churn@v1.2.0": Entry(ID, SHA, 3)}
    assert index.merged(TAGS, new, "here") == TAGS | new
    assert index.merged(TAGS, {"churn@v1.0.0": Entry(ID, "d" * 64, 9)}, "here") == TAGS
    with pytest.raises(Refused, match="a tag never moves"):
        index.merged(TAGS, {"churn@v1.0.0": Entry(OTHER, SHA, 1)}, "here")


def test_a_capsule_is_read_back() -> None:
    data = capsule.write("churn@v1.0.0", ID, OTHER, b"PACK...")
    read = capsule.parse(data, "of a test")
    assert (str(read.name), read.head.object, read.head.commit) == ("churn@v1.0.0", ID, OTHER)
    assert read.pack == b"PACK..."


@pytest.mark.parametrize(
    "data",
    [
        b"", b"PACK", b"{}\nPACK", b"x" * 5000 + b"\nPACK",
        capsule.write("churn@v1.0.0", ID, OTHER, b"pack"),
        capsule.write("churn@v1.0.0", "main", OTHER, b"PACK"),
        capsule.write("../../x", ID, OTHER, b"PACK"),
        capsule.write("churn@v1.0.0", ID, OTHER, b"PACK").replace(b'"schema":1', b'"schema":9'),
    ],
)  # fmt: skip
def test_a_capsule_out_of_form_is_refused(data: bytes) -> None:
    with pytest.raises(TagshipError) as caught:
        capsule.parse(data, "of a test")
    assert caught.value.hint
