"""What a pass tells of a host: a status object a model, in a place that all hosts share."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.hosts import Following

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)  # a Monday


def shares(host: Following, more: str = "") -> Path:
    """The host writes its status into a folder."""
    folder = host.top / "fleet"
    folder.mkdir(exist_ok=True)
    host.follow(more=f'[report]\nstatus = "{folder}"\n{more}')
    return folder


def status_of(folder: Path, name: str = "churn/edge-1.json") -> dict[str, Any]:
    """A status object."""
    value = json.loads((folder / name).read_bytes())
    assert isinstance(value, dict)
    return value


def test_a_pass_writes_what_is_live_and_what_should_be(host: Following) -> None:
    folder = shares(host)
    host.at(NOON)
    assert host.sync().err == ""
    tag = host.kept()["churn@v1.0.0"]
    status = status_of(folder)
    assert status.pop("id") == json.loads((host.folder / ".tagship/agent.json").read_text())["id"]
    assert len(status.pop("seen")) == 16
    (event,) = host.events()
    assert status == {
        "schema": 1,
        "model": "churn",
        "host": "edge-1",
        "at": "2026-11-30T12:00:00Z",
        "seq": 1,
        "tagship": "0.1.0",
        "why": "in_order",
        "reason": "1.0.0 is live",
        "live": {
            "version": "1.0.0",
            "tag_object": tag,
            "deployment": event.id,
            "since": "2026-11-30T12:00:00Z",
        },
        "desired": {"version": "1.0.0", "tag_object": tag},
        "smoke_test": "skipped",
    }
    assert os.listdir(folder / "churn") == ["edge-1.json"]


def test_it_is_written_again_only_when_something_changed_or_an_hour_went_by(
    host: Following,
) -> None:
    folder = shares(host)
    host.at(NOON)
    host.sync()
    host.at(NOON + timedelta(minutes=59))
    host.sync()
    assert status_of(folder)["seq"] == 1
    host.release("model 2\n")
    host.sync()
    status = status_of(folder)
    assert (status["seq"], status["live"]["version"]) == (2, "1.1.0")
    host.at(NOON + timedelta(minutes=119))
    host.sync()
    assert status_of(folder)["seq"] == 3
    assert status_of(folder)["at"] == "2026-11-30T13:59:00Z"
