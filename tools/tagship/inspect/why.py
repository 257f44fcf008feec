"""Where a live file comes from: its deployment, tag, commit, author, data and parameters.

It is all read from the version directory and the history, without Git or DVC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagship.disk.files import File, Problem
from tagship.host import history, journal, metadata
from tagship.host import live as host_live
from tagship.host.history import Event
from tagship.host.metadata import CommitInfo, Metadata, TagInfo


@dataclass(frozen=True)
class Input:
    """A file that a stage read. ``stage`` wrote it; None where it came from outside."""

    path: str
    md5: str | None
    stage: str | None


@dataclass(frozen=True)
class Step:
    """A stage that made the model, what it read, and its parameters."""

    stage: str
    command: str
    inputs: tuple[Input, ...]
    params: dict[str, Any]


@dataclass(frozen=True)
class Why:
    """The chain from the live file back to the data that it was made from.

    Attributes:
        path: the model's file or folder.
        files: with sizes in bytes and digests.
        problems: what is not as it was deployed, by names, sizes and modes (``verify`` hashes).
        event: what made it live; None where ``current`` was changed by hand.
        steps: the stages that made it, in the order of their runs.
        params: where no stage made it, the parameters beside it.
    """

    model: str
    version: str
    path: Path
    files: tuple[File, ...]
    problems: tuple[Problem, ...]
    event: Event | None
    smoke_test: str
    tag: TagInfo
    commit: CommitInfo
    metrics: dict[str, Any]
    steps: tuple[Step, ...]
    params: dict[str, Any]


def why(model: str, start: Path | str = ".") -> Why:
    """Explain what is live.

    Args:
        model: the model's name.
        start: a folder in the workspace.

    Raises:
        NotFound: nothing is live, or ``start`` is not in a DVC repository.
        Refused: ``current`` is not a link that tagship made.
        Corrupt: it dangles, or its metadata or the history cannot be read.
    """
    live = host_live.resolve(model, start)
    described = live.metadata
    events = journal.read(host_live.store(model, start).folder / history.FILE_NAME)
    steps = _steps(described)
    return Why(
        model,
        live.version,
        live.path,
        described.files,
        tuple(metadata.verify(live.directory, described, deep=False)),
        _made_live(events, live.directory.name),
        described.smoke_test,
        described.tag,
        described.commit,
        described.metrics,
        steps,
        {} if steps else described.params,
    )


def _made_live(events: Sequence[Event], directory: str) -> Event | None:
    periods = history.periods(events)
    last = periods[-1] if periods else None
    return last.event if last and last.place.directory == directory else None


def _steps(described: Metadata) -> tuple[Step, ...]:
    writer = {out["path"]: stage["stage"] for stage in described.lineage for out in stage["outs"]}
    return tuple(
        Step(
            stage["stage"],
            stage["command"],
            tuple(Input(d["path"], d["md5"], writer.get(d["path"])) for d in stage["deps"]),
            stage["params"],
        )
        for stage in described.lineage
    )
