"""A table of a TOML file, and durations: what is read, and what is said of the rest."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.errors import Refused
from tagship.text import choose, words
from tagship.text.table import Table, shown


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5s", 5), ("2m", 120), ("1h", 3600), ("7d", 604_800), ("1.5h", 5400), ("0.25s", 0.25),
        ("10 m", 600), (0, 0), (90, 90), (2.5, 2.5),
        ("5", None), ("", None), ("s", None), ("-5s", None), ("5sec", None), ("1e3s", None),
        ("5s ", None), ("1h30m", None), (-1, None), (True, None), (None, None),
        ([5], None), (float("nan"), None), (float("inf"), None), ("9999999999s", None),
    ],
)  # fmt: skip
def test_a_duration_is_read(value: object, seconds: float | None) -> None:
    assert words.seconds_in(value) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (5, "5s"), (90, "90s"), (120, "2m"), (5400, "90m"), (86_400, "1d"), (0.1, "0.1s")],
)
def test_a_duration_is_written_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@given(st.integers(0, 10**8) | st.integers(0, 10**8).map(lambda number: number / 1000))
def test_a_duration_is_read_as_it_is_written(seconds: float) -> None:
    assert words.seconds_in(words.duration(seconds)) == pytest.approx(seconds, abs=1e-6)


def test_the_nearest_word_is_offered_or_all() -> None:
    known = ("watch", "timeout")
    assert choose.near("wacth", known) == "did you mean watch?"
    assert choose.near("user", known) == "there are: watch, timeout"


def test_a_wrong_value_is_shown_without_a_secret_and_not_at_length() -> None:
    assert shown("https://ada:secret@a/?key=1") == "'https://a/'"
    assert shown("x" * 500) == "'" + "x" * 98 + "…"
    assert shown({"url": "https://ada:secret@a/b"}) == "{'url': 'https://a/b'}"
    assert shown("\x1b[31m") == r"'\x1b[31m'"


def test_a_wrong_value_is_shown_in_the_words_of_the_file() -> None:
    given = tomllib.loads("a = [true, 2026-01-02, 07:00:00]\nb = 2026-01-02T07:00:00Z\nc.d = false")
    assert [shown(value) for value in given.values()] == [
        "[true, 2026-01-02, 07:00:00]", "2026-01-02T07:00:00+00:00", "{'d': false}",
    ]  # fmt: skip
    assert shown(None) == "null"
    assert Table.of({"name": 5}, "", "file.toml", None).wrong("name", "").message == (
        "name in file.toml may not be 5"
    )


def test_a_key_that_is_there_may_not_be_and_one_that_is_not_is_missing() -> None:
    table = Table.of({"a": 1}, "top", "file.toml", ("a", "b"))
    assert table.wrong("a", "say two").message == "top.a in file.toml may not be 1"
    assert table.wrong("b", "say it").message == "top.b in file.toml is missing"
    with pytest.raises(Refused, match=r"^top in file\.toml may not be \[\]"):
        Table.of([], "top", "file.toml", ("a", "b"))
