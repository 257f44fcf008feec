"""The metrics of a model at a commit, from the files that DVC or Git keep."""

import math
import tomllib
from typing import Any

from tagship.dvc.content import Content
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt
from tagship.text import conflicts, json_reader, yaml


def metrics(snapshot: Snapshot, content: Content) -> dict[str, Any]:
    """The model's metrics, flat (``valid.accuracy``), from JSON, YAML or TOML files.

    A metric file that neither Git nor this machine's cache holds is left out.
    """
    values: dict[str, Any] = {}
    for out in snapshot.metric_outs:
        data = content.read(out.file) if out.file else None
        if data is not None:
            values.update(_flat(_values(data, out.path)))
    return values


def _values(data: bytes, name: str) -> Any:
    if (number := conflicts.line(data)) is not None:
        raise conflicts.error(name, number)
    if name.endswith(".toml"):
        try:
            return tomllib.loads(data.decode())
        except ValueError:
            raise Corrupt(
                f"{name} is not valid TOML", "fix it, or write it again: dvc repro"
            ) from None
    if name.endswith(".json"):
        try:
            return json_reader.parse(data, strict=False)
        except ValueError:
            raise Corrupt(
                f"{name} is not valid JSON", "fix it, or write it again: dvc repro"
            ) from None
    return yaml.parse(data, name)


def _flat(value: Any) -> dict[str, Any]:
    """Numbers and texts of nested mappings; NaN and infinities, which JSON has not, as texts."""
    flat = yaml.flat(value) if isinstance(value, dict) else {}
    return {
        name: str(item) if isinstance(item, float) and not math.isfinite(item) else item
        for name, item in flat.items()
        if name and isinstance(item, int | float | str | bool)
    }
