"""Collect what a report shows: the live version, the history, metrics, sizes and plots."""

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from semver import Version

from tagship.disk.access import explain
from tagship.errors import Corrupt, Forbidden
from tagship.host import actions, history, installed, journal, process
from tagship.host.history import Event, Period, Place
from tagship.host.link import LinkState
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.inspect import events, listing
from tagship.inspect.listing import VersionRow
from tagship.registry import artifacts, metrics
from tagship.registry.catalog import Catalog
from tagship.registry.metrics import MetricChange
from tagship.report import charts, plots
from tagship.report.charts import Point
from tagship.report.plots import Plot, Side
from tagship.text import clock, redact
from tagship.workspace.host import Host
from tagship.workspace.source import Source

NEWEST = 200  # events in the table, marks and bars on the timeline, versions in a chart
MOST_METRICS = 12  # charts of metrics


@dataclass(frozen=True)
class Live:
    """The live version, and the event that made it live.

    Attributes:
        period: since when, and the event; None if ``current`` was changed by hand.
        described: its metadata; None if it cannot be read.
    """

    place: Place
    period: Period | None
    described: Metadata | None


@dataclass(frozen=True)
class Series:
    """One metric over versions, lowest first.

    Attributes:
        better: ``higher`` or ``lower``; None if unknown.
        change: from the previously live version to the live one; None without both.
        odd: values that are not finite numbers, by version: listed, not drawn.
    """

    name: str
    points: tuple[Point, ...]
    better: str | None
    change: MetricChange | None
    odd: tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class ModelReport:
    """One model on this host.

    Attributes:
        live: None if nothing is live.
        before: the previously live version.
        latest: the highest available version.
        behind: a later version than the live one is available.
        gone_back: the rollback that made the live version live; None if it was a deploy.
        versions: lowest first; the newest ``NEWEST`` of ``version_count``.
        events: newest first; ``NEWEST`` of ``event_count``.
        periods, marks: of the timeline, oldest first, at most ``NEWEST``; ``earlier`` are left out.
        series: one for each metric, at most ``MOST_METRICS``; ``other_metrics`` names the rest.
        sizes: in bytes.
        plots: DVC's, of the versions ``compared``.
        notes: what could not be read.
    """

    model: str
    description: str
    labels: tuple[str, ...]
    live: Live | None
    before: str | None
    latest: str | None
    behind: bool
    gone_back: Event | None
    versions: tuple[VersionRow, ...]
    version_count: int
    events: tuple[Event, ...]
    event_count: int
    periods: tuple[Period, ...]
    marks: tuple[Event, ...]
    earlier: int
    series: tuple[Series, ...]
    other_metrics: tuple[str, ...]
    sizes: tuple[Point, ...]
    plots: tuple[Plot, ...]
    compared: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Models on a host, at one time."""

    repository: str
    host: str
    made_at: datetime
    made_by: str
    tool: str
    models: tuple[ModelReport, ...]


@dataclass(frozen=True)
class _Past:
    """The history as far as it can be read, and the problems with it."""

    events: tuple[Event, ...] = ()
    periods: tuple[Period, ...] = ()
    marks: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()


def collect(source: Source, host: Host, models: Sequence[str] = ()) -> Report:
    """Collect all that is known of models here. Changes nothing, and uses no network.

    Args:
        source: where the versions come from.
        host: where they are deployed.
        models: their names; empty for all that are declared, or have a history here.

    Raises:
        NotFound: there is no such model, no tag of it, and no history of it here.
        Corrupt: HEAD's dvc.yaml cannot be read.
    """
    declared, better = source.artifacts(), host.settings.better
    names = list(dict.fromkeys(models)) or events.known_models(declared, host)
    catalogs = {name: source.versions(name) for name in names} if models else source.catalogs()
    return Report(
        source.repository.top.name,
        process.host_name(),
        clock.now(),
        process.actor(),
        f"tagship {importlib.metadata.version('tagship')}",
        tuple(
            _readable(
                source,
                host.store(name),
                catalogs.get(name, Catalog(name)),
                declared.get(name),
                better,
            )
            for name in names
        ),
    )


def _readable(
    source: Source,
    store: Store,
    known: Catalog,
    entry: artifacts.Artifact | Corrupt | None,
    better: Mapping[str, str],
) -> ModelReport:
    """All that is known of a model; or only a note if its folder cannot be read."""
    try:
        return _model(source, store, known, entry, better)
    except (Corrupt, Forbidden, OSError) as error:
        what, hint = explain(error)
        note = _in_folder(store, f"it cannot be read here: {what}: {hint}")
        return ModelReport(
            known.model, "", (), None, None, None, False, None, (), 0, (), 0, (), (), 0, (), (),
            (), (), (), (note,),
        )  # fmt: skip


def _model(
    source: Source,
    store: Store,
    known: Catalog,
    entry: artifacts.Artifact | Corrupt | None,
    better: Mapping[str, str],
) -> ModelReport:
    model, past = known.model, _past(store)
    artifact = None if isinstance(entry, Corrupt) else entry
    is_known = entry is not None or bool(past.events)
    if not known.releases and not is_known:
        source.declared(model)  # raises NotFound, with the nearest name
    rows, notes = _versions(source, store, known, is_declared=entry is not None)
    if isinstance(entry, Corrupt):
        notes = (*notes, entry.message)
    live = _live(store, past)
    before = _before(live, past)
    latest = next((row for row in reversed(rows) if _is_available(row)), None)
    shown = rows[-NEWEST:]
    series = _series(shown, live, before, better)
    sides = _sides(rows, live, before, latest)
    return ModelReport(
        model=model,
        description=redact.text(artifact.description) if artifact else "",
        labels=artifact.labels if artifact else (),
        live=live,
        before=before,
        latest=latest.version if latest else None,
        behind=_is_behind(rows, live, latest),
        gone_back=_gone_back(live),
        versions=tuple(shown),
        version_count=len(rows),
        events=tuple(reversed(past.events[-NEWEST:])),
        event_count=len(past.events),
        periods=past.periods[-NEWEST:],
        marks=past.marks[-NEWEST:],
        earlier=max(0, len(past.periods) - NEWEST, len(past.marks) - NEWEST),
        series=tuple(series[:MOST_METRICS]),
        other_metrics=tuple(metric.name for metric in series[MOST_METRICS:]),
        sizes=tuple(Point(row.version, row.size, row.live) for row in shown),
        plots=plots.read(source, model, sides),
        compared=tuple(side.version for side in sides),
        notes=(*past.notes, *notes, *_link_notes(store, model, live)),
    )


def _past(store: Store) -> _Past:
    try:
        events = tuple(journal.events(store))
    except (Corrupt, Forbidden) as error:
        return _Past(notes=(_in_folder(store, f"{error.message}: {error.hint}"),))
    try:
        marks = charts.marks(events)
        for event in marks:
            history.moment_of(event)
        return _Past(events, history.periods(events), tuple(marks))
    except Corrupt as error:  # the table shows the events all the same
        return _Past(events, notes=(f"no timeline: {error.message}",))


def _in_folder(store: Store, text: str) -> str:
    """A message without the path of the model's folder, which is private to this host."""
    return text.replace(f"{store.folder}/", "")


def _versions(
    source: Source, store: Store, known: Catalog, *, is_declared: bool
) -> tuple[list[VersionRow], tuple[str, ...]]:
    """The versions; with a note if they cannot be read, or if tags and model are gone."""
    if not known.releases and not is_declared:
        return [], (
            "the model is not declared and has no tags in this clone; only its history is here",
        )
    notes: list[str] = []
    try:
        return listing.rows(source, store, known, notes.append), tuple(notes)
    except (Corrupt, Forbidden) as error:
        return [], (_in_folder(store, f"{error.message}: {error.hint}"),)


def _live(store: Store, past: _Past) -> Live | None:
    place = installed.told_live(store)
    if place is None:
        return None
    last = past.periods[-1] if past.periods else None
    period = last if last and last.place == place and last.until is None else None
    return Live(place, period, installed.read_metadata(store, place.directory))


def _before(live: Live | None, past: _Past) -> str | None:
    """The previously live version."""
    versions = [period.place.version for period in past.periods]
    others = [version for version in versions if live and version != live.place.version]
    return others[-1] if others else None


def _is_available(row: VersionRow) -> bool:
    return row.offered and Version.parse(row.version).prerelease is None


def _is_behind(rows: list[VersionRow], live: Live | None, latest: VersionRow | None) -> bool:
    if latest is None:
        return False
    order = [row.version for row in rows]
    if live is None or live.place.version not in order:
        return True
    return order.index(live.place.version) < order.index(latest.version)


def _gone_back(live: Live | None) -> Event | None:
    """The rollback that made the live version live; None if it was a deploy."""
    event = live.period.event if live and live.period else None
    return event if event and event.action == actions.ROLLBACK else None


def _series(
    rows: list[VersionRow], live: Live | None, before: str | None, better: Mapping[str, str]
) -> list[Series]:
    """One for each metric with a finite number; the metrics of the live version come first."""
    by_version = {row.version: row.metrics for row in rows}
    now = by_version.get(live.place.version, {}) if live else {}
    then = by_version.get(before) if before else None
    changes = {} if then is None else {c.name: c for c in metrics.changes(then, now, better)}
    newest_first = [now, *(row.metrics for row in reversed(rows))]
    names = dict.fromkeys(name for row_metrics in newest_first for name in row_metrics)
    series = []
    for name in names:
        points = [Point(r.version, metrics.number(r.metrics.get(name)), r.live) for r in rows]
        odd = [(row.version, row.metrics[name]) for row in rows if _is_odd(row, name)]
        if any(point.value is not None for point in points):
            way = metrics.direction(name, better)
            series.append(Series(name, tuple(points), way, changes.get(name), tuple(odd)))
    return series


def _is_odd(row: VersionRow, name: str) -> bool:
    return name in row.metrics and metrics.number(row.metrics[name]) is None


def _sides(
    rows: list[VersionRow], live: Live | None, before: str | None, latest: VersionRow | None
) -> list[Side]:
    """The versions whose plots are shown: the live one and the one before it, or the latest."""
    commits = {row.version: row.commit for row in rows}
    if live is None:
        return [Side(latest.version, latest.commit)] if latest else []
    if live.described:
        commits[live.place.version] = live.described.commit.id
    return [
        Side(version, commits[version])
        for version in (live.place.version, before)
        if version in commits
    ]


def _link_notes(store: Store, model: str, live: Live | None) -> Iterator[str]:
    state = store.link().state
    fix = f"tagship status {model} shows the fix"
    if state in (LinkState.FOREIGN, LinkState.FOLDER):
        yield f"current is not a link to a version: {fix}"
    elif state is LinkState.DANGLING:
        yield f"the files of the live version are gone: {fix}"
    elif live and live.described is None:
        yield f"the metadata of the live version cannot be read: {fix}"
    elif live and live.period is None:
        yield f"the history has no event for the live version: {fix}"
