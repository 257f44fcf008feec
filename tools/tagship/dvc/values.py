"""Files of parameters and metrics, as DVC reads them: YAML, JSON, TOML or Python by their names."""

import posixpath
from typing import Any

from tagship.errors import Corrupt
from tagship.text import conflicts, encoded, json_reader, safe_yaml

# characters: DVC's parser of TOML needs a second for 200,000; Python's own code is not executed
LARGEST_TOML, LARGEST_PYTHON = 64_000, 64_000


def parse(data: bytes, name: str) -> Any:
    """The values in a file.

    Raises:
        Corrupt: it is not valid, or larger than a person would write it.
        Conflicted: it has conflict markers.
        NotUtf8: it is not UTF-8.
    """
    suffix = posixpath.splitext(name)[1].lower()
    kind, reader = {
        ".json": ("JSON", _json),
        ".py": ("Python", _python),
        ".toml": ("TOML", _toml),
    }.get(suffix, ("YAML", safe_yaml.values))
    try:
        return reader(data)
    except ValueError as error:
        if (number := conflicts.line(data)) is not None:
            raise conflicts.error(name, number) from None
        if wrong := encoded.error(data, name):
            raise wrong from None
        where = f", {error}" if kind == "YAML" and str(error) else ""
        again = "" if kind == "YAML" else ", or write it again: dvc repro"
        hint = f"fix {name} and commit it{again}"
        raise Corrupt(f"{name} is not valid {kind}{where}", hint) from None


def _json(data: bytes) -> Any:
    return json_reader.parse(data, strict=False)


def _toml(data: bytes) -> Any:
    from tagship.text import toml

    if len(data) > LARGEST_TOML:
        raise ValueError
    return toml.parse(data)


def _python(data: bytes) -> Any:
    """The constants that a file assigns; DVC reads its syntax tree, and runs nothing of it."""
    from dvc.exceptions import DvcException
    from dvc.utils.serialize import parse_py

    if len(data) > LARGEST_PYTHON:
        raise ValueError
    try:
        return parse_py(data.decode(), "")
    except (DvcException, MemoryError, RecursionError, TypeError, KeyError):
        raise ValueError from None
