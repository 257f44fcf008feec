"""The metrics of a model at a commit, from the files that DVC or Git keep."""

import math
import tomllib
from typing import Any

from tagship.dvc import content as dvc_content
from tagship.dvc.cache import Cache
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt
from tagship.git import tree
from tagship.text import json_reader, yaml


def metrics(taken: Snapshot, blobs: tree.Blobs, cache: Cache) -> dict[str, Any]:
    """The model's metrics, flat (``valid.accuracy``), from JSON, YAML or TOML files.

    A metric file that neither Git nor this machine's cache holds is passed over.
    """
    found: dict[str, Any] = {}
    for out in taken.metric_outs:
        data = dvc_content.content(out, taken.commit, blobs, cache)
        if data is not None and not out.within:
            found.update(_flat(_values(data, out.path)))
    return found


def _values(data: bytes, name: str) -> Any:
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
        name: str(one) if isinstance(one, float) and not math.isfinite(one) else one
        for name, one in flat.items()
        if name and isinstance(one, int | float | str | bool)
    }
