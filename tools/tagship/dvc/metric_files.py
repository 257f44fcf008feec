"""The metrics of a model at a commit, from the files that DVC or Git keep.

Values are read as ``dvc metrics show`` reads them (dvc 3.67, ``dvc/repo/metrics/show.py``).
"""

import math
import posixpath
from collections.abc import Iterator
from typing import Any

from tagship.dvc import values
from tagship.dvc.content import Content
from tagship.dvc.pointers import Out
from tagship.dvc.snapshot import Snapshot
from tagship.errors import TagshipError
from tagship.text import yaml


def metrics(snapshot: Snapshot, content: Content) -> dict[str, Any]:
    """The model's metrics, flat (``valid.accuracy``), from JSON, YAML, TOML or Python files.

    A file that neither Git nor this machine's cache holds is left out; of a folder also one that
    holds no values.
    """
    known: dict[str, Any] = {}
    for out in snapshot.metric_outs:
        for path, data in _files(out, content):
            if data is None:
                continue
            try:
                known.update(_flat(values.parse(data, path), path))
            except TagshipError:
                if path == out.path:
                    raise
    return known


def missing(snapshot: Snapshot, content: Content) -> list[str]:
    """The paths of metrics that neither Git nor this machine's cache holds."""
    return [
        path for out in snapshot.metric_outs for path, data in _files(out, content) if data is None
    ]


def _files(out: Out, content: Content) -> Iterator[tuple[str, bytes | None]]:
    """The files at or below a path, and what they hold; None where that is not here."""
    try:
        pointers = content.files(out.pointers)
    except (TagshipError, OSError):  # the list of a tracked folder is not here
        yield out.path, None
        return
    for pointer in pointers:
        yield posixpath.join(posixpath.dirname(out.path), pointer.path), content.read(pointer)


def _flat(value: Any, path: str) -> dict[str, Any]:
    """Numbers and texts of nested mappings; of a file that is one value, under the file's path.

    NaN and infinities, which JSON has not, become texts.
    """
    flat = yaml.flat(value) if isinstance(value, dict) else {path: value or None}
    return {
        name: str(item) if isinstance(item, float) and not math.isfinite(item) else item
        for name, item in flat.items()
        if name and isinstance(item, int | float | str)
    }
