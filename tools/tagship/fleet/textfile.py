"""Metrics of this host for Prometheus, in the folder that node_exporter's textfile collector reads.

The format is Prometheus' text format 0.0.4, without timestamps of samples, which the collector
refuses. docs/fleet.md describes each metric.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tagship.disk import atomic
from tagship.errors import InvalidName
from tagship.host import agent
from tagship.text import clock
from tagship.workspace.state import Why

if TYPE_CHECKING:
    from tagship.deploy.sync import Followed
    from tagship.fleet.status_object import StatusObject
    from tagship.host.journal import Past
    from tagship.workspace.host import Host
    from tagship.workspace.mirrored import Mirrored

FILE = "tagship.prom"
LONGEST = 1 << 22  # bytes of a file that is brought up to date
POLL, SUCCESS = "tagship_last_poll_timestamp_seconds", "tagship_last_success_timestamp_seconds"
HELP = {
    "tagship_info": "The version that is live.",
    "tagship_state": "How a model is: 1 for one of the states.",
    POLL: "When the server of the repository answered last.",
    SUCCESS: "When a pass found a model in order last.",
    "tagship_behind_since_timestamp_seconds": "When the version was released that is not live yet.",
    "tagship_hold_until_timestamp_seconds": "When a hold should end.",
    "tagship_deploys_total": "Deploys and rollbacks in the history, by result.",
    "tagship_drift": "1 where what is live is not as it was deployed.",
}
_RESULTS = {
    "succeeded": (b'"action": "deploy"', b'"status": "succeeded"'),
    "failed": (b'"action": "deploy"', b'"status": "failed"'),
    "rolled_back": (b'"action": "rollback"', b'"status": "succeeded"'),
}


@dataclass(frozen=True)
class Measured:
    """A model as the metrics have it.

    Attributes:
        status: its status object.
        why, is_drifted: how it is.
        behind_since: when the version was released that should be live and is not, in seconds.
        deploys: by result.
        succeeded: when a pass found it in order last, in seconds.
    """

    status: "StatusObject"
    why: Why
    is_drifted: bool = False
    behind_since: float | None = None
    deploys: dict[str, int] = field(default_factory=dict)
    succeeded: float | None = None


def write(
    source: "Mirrored", host: "Host", rows: "Sequence[Followed]", folder: Path, *, is_new: bool
) -> None:
    """Write the metrics of all models, or bring their times up to date where nothing else changed.

    Args:
        source, host: the mirror, and where versions go.
        rows: the models that a pass looked after.
        folder: of node_exporter.
        is_new: the pass found something else than the one before.

    Raises:
        OSError: it cannot be written.
    """
    path, before = folder / FILE, _read(folder / FILE)
    now, polled = clock.now().timestamp(), _polled(host)
    in_order = {row.model for row in rows if row.why is Why.IN_ORDER}
    if before and not is_new:
        text = refreshed(before, polled, now, in_order)
    else:
        succeeded = {**times(before), **dict.fromkeys(in_order, now)}
        found = {row.model: row for row in rows}
        models = [_measured(source, host, model, found, succeeded) for model in host.rules]
        text = rendered(models, polled)
    atomic.write(path, text.encode(), durable=False)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST).decode()
    except (OSError, UnicodeDecodeError):
        return ""


def _polled(host: "Host") -> float | None:
    try:
        return clock.moment(agent.read(host.root).fetched_at).timestamp()
    except InvalidName:  # it never did
        return None


def _measured(
    source: "Mirrored",
    host: "Host",
    model: str,
    found: "dict[str, Followed]",
    succeeded: dict[str, float],
) -> Measured:
    from tagship.fleet import here
    from tagship.host import journal

    row = found.get(model) or here.look(source, host, model)
    status, since = here.build(source, host, row), None
    if status.desired and (status.live is None or status.live.version != status.desired.version):
        release = source.versions(model).get(status.desired.version)
        since = release.tag.at.timestamp() if release else None
    drifted = any(reason.why is Why.DRIFTED for reason in row.reasons)
    deploys = counted(journal.events(host.store(model)))
    return Measured(status, row.why, drifted, since, deploys, succeeded.get(model))


def counted(past: "Past") -> dict[str, int]:
    """How many deploys and rollbacks a history has, by result; none of its events is parsed."""
    return {
        result: sum(all(part in text for part in parts) for text in past.texts)
        for result, parts in _RESULTS.items()
    }


# --- the text


def rendered(models: Iterable[Measured], polled: float | None) -> str:
    """The metrics as text. Pure.

    Args:
        models: all that are followed.
        polled: when the server of the repository answered last, in seconds; None if never.
    """
    lines: dict[str, list[str]] = {name: [] for name in HELP}
    if polled is not None:
        lines[POLL].append(_sample(POLL, {}, polled))
    for each in models:
        for name, labels, value in _samples(each):
            lines[name].append(_sample(name, {"model": each.status.model, **labels}, value))
    return "".join(
        f"# HELP {name} {HELP[name]}\n# TYPE {name} {_type(name)}\n" + "".join(samples)
        for name, samples in lines.items()
        if samples
    )


def _samples(each: Measured) -> Iterator[tuple[str, dict[str, str], float]]:
    live, hold = each.status.live, each.status.hold
    if live is not None:
        yield "tagship_info", {"version": live.version, "tag_object": live.tag_object or ""}, 1
    for why in Why:
        yield "tagship_state", {"state": why.value[0]}, float(why is each.why)
    if each.succeeded is not None:
        yield SUCCESS, {}, each.succeeded
    if each.behind_since is not None:
        yield "tagship_behind_since_timestamp_seconds", {}, each.behind_since
    if hold is not None and hold.until is not None:
        until = clock.moment(hold.until).timestamp()
        yield "tagship_hold_until_timestamp_seconds", {}, until
    for result, count in each.deploys.items():
        yield "tagship_deploys_total", {"result": result}, count
    yield "tagship_drift", {}, float(each.is_drifted)


def _type(name: str) -> str:
    return "counter" if name.endswith("_total") else "gauge"


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{'{' + inner + '}' if inner else ''} {value:.0f}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


# --- brought up to date

_SUCCESS = re.compile(rf'^({SUCCESS}\{{model="([^"\\]+)"\}}) (\d+)$', re.MULTILINE)


def times(text: str) -> dict[str, float]:
    """When each model was in order last, from the metrics as they were written. Pure."""
    return {model: float(value) for _, model, value in _SUCCESS.findall(text)}


def refreshed(text: str, polled: float | None, now: float, in_order: Iterable[str]) -> str:
    """The metrics with the times of today: nothing else changed. Pure."""
    models = set(in_order)

    def renewed(match: re.Match[str]) -> str:
        return f"{match[1]} {now:.0f}" if match[2] in models else match[0]

    text = _SUCCESS.sub(renewed, text)
    if polled is None:
        return text
    return re.sub(rf"^{POLL} \d+$", f"{POLL} {polled:.0f}", text, flags=re.MULTILINE)
