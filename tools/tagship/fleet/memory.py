"""What was heard of each host last, kept by who looks: an older object put back is known by it.

Losing it loses that alone. It can be removed at any time.
"""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tagship.disk import atomic, home
from tagship.errors import Corrupt, Forbidden
from tagship.fleet import place
from tagship.fleet.overview import Heard
from tagship.fleet.place import Name
from tagship.host.store import PRIVATE
from tagship.text import escape, json_reader

FILE = "fleet.json"


@dataclass(frozen=True)
class _Written:
    heard: dict[str, Heard]


def of_host(root: Path) -> Path:
    """The file of a host."""
    return root / PRIVATE / FILE


def of_account(title: str) -> Path | None:
    """The file of this account for a place; None where it has no home."""
    folder = home.cache()
    name = hashlib.sha256(title.encode()).hexdigest()[:16]
    return folder / "tagship" / f"fleet-{name}.json" if folder else None


def read(path: Path | None) -> dict[Name, Heard]:
    """What was heard; nothing where that cannot be read."""
    if path is None:
        return {}
    try:
        written = atomic.read_json(path, lambda v: json_reader.read(_Written, v), FILE, "")
    except (FileNotFoundError, Corrupt, Forbidden):
        return {}
    return {name: each for key, each in written.heard.items() if (name := place.parse(key))}


def write(path: Path | None, heard: Mapping[Name, Heard]) -> None:
    """Keep it, where that can be."""
    if path is None:
        return
    value = {"heard": {name.key: asdict(each) for name, each in heard.items()}}
    with contextlib.suppress(OSError):
        atomic.make_folder(path.parent)
        atomic.write(path, escape.json(value).encode() + b"\n", durable=False)
