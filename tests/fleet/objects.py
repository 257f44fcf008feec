"""Status objects for tests, and a folder that has some."""

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tagship.fleet import status_object
from tagship.fleet.place import Name
from tagship.fleet.status_object import Live, StatusObject, Wish
from tagship.text import clock

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)  # a Monday
ID = "0123456789abcdef"


def status(model: str = "churn", host: str = "edge-1", **changes: Any) -> StatusObject:
    """One that is in order, of a minute before noon."""
    plain = StatusObject(
        1, model, host, ID, clock.stamp(NOON - timedelta(minutes=1)), 5, "in_order", "0.1.0",
        Live("1.2.0", "a" * 40, "20261120_101500", "2026-11-20T10:15:03Z"), Wish("1.2.0", "a" * 40),
        "1.2.0 is live", smoke_test="done",
    )  # fmt: skip
    return replace(plain, **changes)


@dataclass(frozen=True)
class Shared:
    """A folder of status objects."""

    path: Path

    def put(self, each: StatusObject, stored: datetime | None = None) -> Path:
        """Write an object, as at its date, or at another one."""
        return self.write(
            Name(each.model, each.host).key, status_object.to_bytes(each), stored or each.written
        )

    def write(self, key: str, data: bytes, stored: datetime = NOON) -> Path:
        """Write any file."""
        file = self.path / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, (stored.timestamp(), stored.timestamp()))
        return file
