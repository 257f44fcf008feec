"""The rows of a plot from the text of its file."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship import Corrupt, Refused
from tagship.report import plot_data


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.csv", "x,y\n1,0.5\n2,1e-3\n", [{"x": 1, "y": 0.5}, {"x": 2, "y": 0.001}]),
        ("a.tsv", "x\ty\n1\tsun\n", [{"x": 1, "y": "sun"}]),
        ("a.CSV", '\ufeffx,y\r\n"a, b",-2\r\n', [{"x": "a, b", "y": -2}]),
        ("a.csv", "x,y\n1\n", [{"x": 1, "y": None}]),
        ("a.json", '[{"x": 1, "y": "sun"}]', [{"x": 1, "y": "sun"}]),
        ("a.json", '{"roc": [{"x": 0}, {"x": 1}], "n": 2}', [{"x": 0}, {"x": 1}]),
        ("a.json", '{"p": [{"x": 1}], "q": {"r": [{"y": 2}]}}', [{"x": 1, "y": 2}]),
        ("a.yaml", "- {x: 1, y: true}\n", [{"x": 1, "y": True}]),
        ("a.yml", "rows:\n  - x: 1\n", [{"x": 1}]),
    ],
)
def test_rows_are_read_from_each_format(name: str, text: str, rows: list[Any]) -> None:
    assert plot_data.read(text.encode(), name) == rows


def test_a_table_without_a_header_has_numbers_for_names() -> None:
    assert plot_data.read(b"1,a\n2,b\n", "a.csv", header=False) == [
        {"0": 1, "1": "a"},
        {"0": 2, "1": "b"},
    ]


def test_a_column_is_numbers_only_where_all_of_it_is() -> None:
    rows = plot_data.read(b"a,b,c\n1,7,1\nnan,007,x\n,8,2\n", "a.csv")
    assert rows == [
        {"a": 1, "b": "7", "c": "1"},
        {"a": None, "b": "007", "c": "x"},
        {"a": None, "b": "8", "c": "2"},
    ]


@pytest.mark.parametrize("cell", ["NaN", "Infinity", "1e400", "1" + "0" * 400, "[1]", "{}", "null"])
def test_what_a_chart_cannot_draw_is_nothing(cell: str) -> None:
    assert plot_data.read(f'[{{"x": {cell}}}]'.encode(), "a.json") == [{"x": None}]


def test_a_long_text_is_cut() -> None:
    (row,) = plot_data.read(json.dumps([{"x": "a" * 10_000}]).encode(), "a.json")
    assert row == {"x": "a" * plot_data.LONGEST}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", b"{", "a.json is not valid JSON"),
        ("a.json", b"[" * 100_000, "a.json is not valid JSON"),
        ("a.yaml", b"a: [", "a.yaml is not valid YAML"),
        ("a.csv", b"\xff\xfe\x00", "a.csv is not a valid table"),
        ("a.csv", b"", "a.csv has no rows"),
        ("a.csv", b"x,y\n", "a.csv has no rows"),
        ("a.json", b'{"x": 1}', "a.json has no rows"),
        ("a.json", b'[{"x": 1}, {"y": 1}]', "a.json has no rows"),
    ],
)
def test_what_has_no_rows_is_told(name: str, text: bytes, message: str) -> None:
    with pytest.raises(Corrupt, match=message):
        plot_data.read(text, name)


def test_another_format_and_too_many_rows_are_refused() -> None:
    with pytest.raises(Refused, match=r"a\.npy is not CSV, TSV, JSON or YAML"):
        plot_data.read(b"", "a.npy")
    text = b"x\n" + b"1\n" * (plot_data.MOST + 1)
    with pytest.raises(Refused, match=r"a\.csv has more than 20,000 rows"):
        plot_data.read(text, "a.csv")
    assert len(plot_data.read(text[:-2], "a.csv")) == plot_data.MOST


def test_yaml_that_leads_back_to_itself_is_none() -> None:
    with pytest.raises(Corrupt, match="not valid YAML"):
        plot_data.read(b"a: &a\n  b: *a\n", "a.yaml")


@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.tsv", "a.json", "a.yaml"]))
def test_whatever_the_bytes_there_are_rows_or_a_reason(data: bytes, name: str) -> None:
    try:
        rows = plot_data.read(data, name)
    except (Corrupt, Refused):
        return
    json.dumps(rows, allow_nan=False)
