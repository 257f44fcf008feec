"""The status object: short whatever its texts are, and damaged if anything is out of form."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagship.fleet import status_object
from tagship.fleet.status_object import LONGEST, Damaged, Hold, Live, TooLong, Wish
from tests.fleet import objects
from tests.test_docs import ROOT

SCHEMA = json.loads((ROOT / "docs/schemas/status.schema.json").read_text())


def values(**changes: Any) -> dict[str, Any]:
    """The values of an object, with others in some places; None takes one out."""
    value = json.loads(status_object.to_bytes(objects.status()))
    return {key: each for key, each in {**value, **changes}.items() if each is not None}


def damage(data: bytes) -> str:
    """Why an object is damaged."""
    with pytest.raises(Damaged) as caught:
        status_object.parse(data, "churn", "edge-1")
    return str(caught.value)


@settings(max_examples=12, deadline=None)
@given(st.text(max_size=700), st.text(max_size=100), st.integers(0, 4), st.integers(0, 600))
def test_an_object_is_short_whatever_its_texts_are_and_is_read_as_it_was_written(
    reason: str, by: str, failed: int, room: int
) -> None:
    status = status_object.fitted(
        objects.status(
            reason=reason,
            hold=Hold(by or "-", "2026-12-01T00:00:00Z", reason),
            failed=("b" * 64,) * failed,
            desired=Wish("1.3.0-rc.1+build.7", "c" * 64),
        ),
        room,
    )
    data = status_object.to_bytes(status)
    assert len(data) + room <= LONGEST
    assert status_object.parse(data, "churn", "edge-1") == (status, data)
    jsonschema.validate(json.loads(data), SCHEMA)


def test_what_can_be_missed_goes_before_the_versions() -> None:
    model = "m" * 200
    status = objects.status(
        model,
        "h" * 64,
        live=Live("1.2.0", "a" * 64, "20261120_101500", "2026-11-20T10:15:03Z"),
        desired=Wish("1.3.0", "b" * 64),
        failed=("c" * 64,) * 4,
        reason="x" * 300,
        seen="d" * 16,
        twin="e" * 16,
    )
    short = status_object.fitted(status, 410)
    assert short.live == Live("1.2.0", "a" * 64)
    assert (short.desired, short.reason, short.failed) == (None, "", ())
    with pytest.raises(TooLong):
        status_object.fitted(replace(status, live=Live(f"1.2.0-{'v' * 600}")), 300)


def test_secrets_and_control_characters_are_cut_from_texts() -> None:
    reason = "fetch https://ada:secret@git.example.com/x?token=1 \x1b[31mred\x1b[0m"
    assert status_object.fitted(objects.status(reason=reason)).reason == (
        r"fetch https://git.example.com/x \x1b[31mred\x1b[0m"
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"schema": 2}, "it has schema 2, of a later tagship than this one"),
        ({"schema": 10**400}, "it has schema 100000000, of a later tagship"),
        ({"schema": True}, "it has no schema"),
        ({"schema": None}, "it has no schema"),
        ({"model": "fraud"}, "it is of another model or host than its name says"),
        ({"host": "edge-2"}, "it is of another model or host than its name says"),
        ({"host": "../edge-1"}, "host is '../edge-1', not the name of a host"),
        ({"id": "x"}, "id is 'x', not 16 hexadecimal digits"),
        ({"at": "yesterday"}, "at is 'yesterday', not a date such as 2026-11-23T05:31:22Z"),
        ({"at": "9999-12-31T23:59:59Z"}, "not a date such as"),
        ({"at": "2026-02-30T00:00:00Z"}, "not a date such as"),
        ({"seq": -1}, "seq is out of range"),
        ({"seq": 1 << 60}, "seq is out of range"),
        ({"seq": 1 << 70}, "seq is 1180591620717411303424, not a whole number"),
        ({"seq": 1.5}, "seq is 1.5, not a whole number"),
        ({"why": "fine"}, "why is 'fine', not a state"),
        ({"why": None}, "why is missing"),
        ({"live": {"version": "new"}}, "live.version is 'new', not a version"),
        ({"live": "1.2.0"}, "live is '1.2.0', not an object"),
        ({"live": {"version": "1.2.0", "tag_object": "x"}}, "live.tag_object is 'x'"),
        ({"failed": ["x"]}, "failed[0] is 'x', not the id of a tag object"),
        ({"hold": {"by": "ada", "until": "0"}}, "hold.until is '0', not a date"),
        ({"smoke_test": "maybe"}, "smoke_test is 'maybe', not done or skipped"),
        ({"reason": ["x"]}, "reason is ['x'], not a text"),
        ({"signature": "-----BEGIN"}, "signature is '-----BEGIN', not a signature"),
    ],
)  # fmt: skip
def test_what_is_out_of_form_is_damaged(changes: Mapping[str, Any], why: str) -> None:
    assert why in damage(json.dumps(values(**changes)).encode())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b" " * 10_000_000, "it has more than 16000 bytes"),
        (b"", "Expecting value"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"[]", "it has no schema"),
        (b"[" * 15_000, "it is nested too deeply"),
        (b'{"schema": NaN}', "not a finite number"),
        (b'{"schema": 1, "schema": 1}', "schema is there twice"),
    ],
    ids=["10 MB", "empty", "binary", "a list", "nested", "NaN", "twice"],
)
def test_what_is_no_object_is_damaged(data: bytes, why: str) -> None:
    assert why in damage(data)


def test_fields_of_later_releases_are_passed_over_and_signed_all_the_same() -> None:
    data = json.dumps(values(mood="good")).encode()
    status, payload = status_object.parse(data, "churn", "edge-1")
    assert status == objects.status()
    assert b'"mood":"good"' in payload
