"""YAML mappings, parsed into plain values."""

import math
from collections.abc import Mapping
from typing import Any

from tagship.errors import Corrupt
from tagship.text import conflicts, encoded


def parse(data: bytes, name: str) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        Corrupt: it is not valid YAML, or not a mapping.
        Conflicted: it has conflict markers.
        NotUtf8: it is not UTF-8.
    """
    from tagship.text import safe_yaml  # 20 ms, and only where there is YAML to read

    try:
        value = safe_yaml.values(data)
    except ValueError as error:
        if number := conflicts.line(data):
            raise conflicts.error(name, number) from None
        if wrong := encoded.error(data, name):
            raise wrong from None
        where = f", {error}" if str(error) else ""
        raise Corrupt(f"{name} is not valid YAML{where}", f"fix {name} and commit it") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Corrupt(f"{name} is not a YAML mapping", f"fix {name} and commit it")
    return value


def flat(value: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings under dotted names: ``{"train": {"depth": 4}}`` is ``{"train.depth": 4}``."""
    values: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{prefix}{key}"
        values.update(flat(inner, f"{name}.") if isinstance(inner, Mapping) else {name: inner})
    return values


def plain(value: Any) -> Any:
    """YAML's values as JSON's: dates, NaN, infinities and other values become texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    finite = isinstance(value, float) and math.isfinite(value)
    return value if finite else str(value)
