"""Parse the rows of a plot from its file: CSV, TSV, JSON or YAML. Pure.

Rows are found as DVC does (3.67, ``dvc/render/converter/vega.py``): in JSON and YAML, every list
of mappings with the same keys counts, and lists are joined row by row.
"""

import csv
import itertools
import math
import posixpath
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

from tagship.errors import Corrupt, Refused
from tagship.text import json_reader, safe_yaml

Cell = str | int | float | bool | None
Row = dict[str, Cell]

MOST = 20_000  # rows per file
LONGEST = 200  # characters per cell
SEPARATORS = {".csv": ",", ".tsv": "\t"}
YAML_SUFFIXES = (".yaml", ".yml")
# 007 is text, 7 is a number
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_NOTHING = {"", "nan", "inf", "-inf", "+inf", "null", "none"}


def read(data: bytes, name: str, *, header: bool = True) -> list[Row]:
    """The rows of a file, each a mapping from column to value.

    Args:
        data: the file's content.
        name: its path; the suffix determines the format.
        header: whether the first line of CSV and TSV has the column names; else: 0, 1, 2, ...

    Raises:
        Corrupt: the text is not in its format, or has no rows.
        Refused: another format, or more than ``MOST`` rows.
    """
    suffix = posixpath.splitext(name)[1].lower()
    if suffix in SEPARATORS:
        rows = _table(data, name, SEPARATORS[suffix], header)
    elif suffix == ".json" or suffix in YAML_SUFFIXES:
        rows = _joined(_parse(data, name, suffix))
    else:
        raise Refused(f"{name} is not CSV, TSV, JSON or YAML", "see dvc plots")
    if not rows:
        raise Corrupt(f"{name} has no rows", "see dvc plots show")
    if len(rows) > MOST:
        raise Refused(f"{name} has more than {MOST:,} rows", "write fewer of them")
    return rows


def _table(data: bytes, name: str, separator: str, header: bool) -> list[Row]:
    try:
        reader = csv.reader(StringIO(data.decode("utf-8-sig"), newline=""), delimiter=separator)
        lines = list(itertools.islice((line for line in reader if line), MOST + 2))
    except (csv.Error, ValueError):
        raise Corrupt(f"{name} is not a valid table", "write it again: dvc repro") from None
    if not lines:
        return []
    names = lines[0] if header else [str(index) for index in range(len(lines[0]))]
    columns = [
        _column([line[index] if index < len(line) else "" for line in lines[header:]])
        for index in range(len(names))
    ]
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _column(texts: list[str]) -> list[Cell]:
    """The cells of a column: numbers if all are; missing and infinite ones are None."""
    stripped = [text.strip() for text in texts]
    if not all(_is_number(text) or text.lower() in _NOTHING for text in stripped):
        return [text[:LONGEST] for text in texts]
    return [_cell(float(text)) if _is_number(text) else None for text in stripped]


def _is_number(text: str) -> bool:
    return any(letter.isdecimal() for letter in text) and _NUMBER.fullmatch(text) is not None


def _parse(data: bytes, name: str, suffix: str) -> Any:
    try:
        if suffix == ".json":
            return json_reader.parse(data, strict=False)
        return safe_yaml.values(data)
    except ValueError:
        kind = "JSON" if suffix == ".json" else "YAML"
        raise Corrupt(f"{name} is not valid {kind}", "write it again: dvc repro") from None


def _joined(value: Any) -> list[Row]:
    """The rows of every list of mappings with the same keys, joined by index."""
    rows: list[Row] = []
    for items in _lists(value):
        if len({tuple(sorted(map(str, item))) for item in items}) != 1:
            continue
        for index, item in enumerate(items[: MOST + 1]):
            if index == len(rows):
                rows.append({})
            rows[index].update({str(key): _cell(cell) for key, cell in item.items()})
    return rows


def _lists(value: Any, depth: int = 0) -> Iterator[list[dict[Any, Any]]]:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        yield value
    elif isinstance(value, dict) and depth < 10:  # a YAML alias may refer to itself
        for inner in value.values():
            yield from _lists(inner, depth + 1)


def _cell(value: Any) -> Cell:
    """A value for JSON that a chart can draw: whole numbers as ``int``."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        if not -1e300 < value < 1e300 or math.isnan(value):
            return None
        return int(value) if value == int(value) and abs(value) < 1e15 else float(value)
    return str(value)[:LONGEST] if isinstance(value, str) else None
