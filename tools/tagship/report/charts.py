"""Vega-Lite specs of a model: timeline of live versions, metrics and sizes by version. Pure.

A spec is a dict of JSON values in the form of https://vega.github.io/schema/vega-lite/v6.json,
without a width (the page sets it), and with colours as variables of the page's style sheet: the
same chart is used in light mode, dark mode and print.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tagship.host import history
from tagship.host.actions import DEPLOY, REJECT, ROLLBACK
from tagship.host.history import SUCCEEDED, Event, Period
from tagship.text import clock

Spec = dict[str, Any]

LIVE, PAST = "var(--live)", "var(--past)"
FAILURE = "failure"
# Shape and colour of each kind of mark. "M..." is an SVG path in a square from -1 to 1.
MARKS = {
    DEPLOY: ("circle", "var(--ink)"),
    ROLLBACK: ("triangle-left", "var(--warn)"),
    REJECT: ("diamond", "var(--bad)"),
    FAILURE: ("M-1-.6-.6-1 0-.4 .6-1 1-.6 .4 0 1 .6 .6 1 0 .4-.6 1-1 .6-.4 0Z", "var(--bad)"),
}
ROW, MOST_ROWS, TALLEST = 30, 14, 420  # pixels per row, rows of that height, pixels at most
MOST_RIMS = 60  # marks that are drawn with a rim
TICK = 90  # pixels for one date label
UNITS = (("GB", 10**9), ("MB", 10**6), ("kB", 1000), ("B", 1))


@dataclass(frozen=True)
class Point:
    """The value of a version: a metric, or bytes; None if it has none."""

    version: str
    value: float | None
    live: bool = False


def marks(events: Iterable[Event]) -> list[Event]:
    """The events with a mark on the timeline: deploys, rollbacks, rejects and failures."""
    return [event for event in events if _kind(event) is not None and event.version]


def _kind(event: Event) -> str | None:
    """The kind of mark of an event; None if it did not concern the live version."""
    if event.status != SUCCEEDED:
        return FAILURE
    return event.action if event.action in MARKS else None


def timeline(periods: Sequence[Period], events: Sequence[Event], now: datetime) -> Spec:
    """The timeline: one row for each version, the first at the bottom, with marks for events.

    Args:
        periods: when each version was live; the last may be open.
        events: those with a mark, see ``marks``.
        now: the end of an open period.

    Raises:
        Corrupt: an event has no date.
    """
    bars = [_bar(period, now) for period in periods]
    # failures are drawn on top of deploys
    points = sorted(map(_mark, events), key=lambda mark: list(MARKS).index(mark["kind"]))
    rows = dict.fromkeys(str(row["version"]) for row in sorted(bars + points, key=_begin))
    kinds = [kind for kind in MARKS if any(point["kind"] == kind for point in points)]
    few, axis = len(rows) <= MOST_ROWS, _time_axis(_span(bars + points))
    return {
        "height": max(2, len(rows)) * ROW if few else TALLEST,
        "encoding": {
            "y": {
                "field": "version",
                "type": "nominal",
                "sort": list(reversed(rows)),
                "scale": {"paddingInner": 0.5 if few else 0.1, "paddingOuter": 0.3},
                "axis": {"title": None, "domain": False, "ticks": False, "grid": few,
                         "labelPadding": 8},
            },
        },
        "layer": [_bars(bars, axis), *([_points(points, kinds, axis)] if points else [])],
    }  # fmt: skip


def _begin(row: dict[str, Any]) -> str:
    return str(row["since"])


def _bar(period: Period, now: datetime) -> dict[str, Any]:
    lasts, event = period.until is None, period.event
    until = now if period.until is None else period.until
    since = clock.stamp(period.since)
    return {
        "version": period.place.version,
        "since": since,
        "begin": since,  # for the tooltip: Vega turns the field of the axis into a number
        "until": clock.stamp(max(until, period.since)),  # the clock may have been set back
        "lasts": lasts,
        "end": "is live" if lasts else clock.stamp(until),
        "lasted": duration((until - period.since).total_seconds()),
        "by": _who(event),
        "why": event.reason or "no reason given",
    }


def _mark(event: Event) -> dict[str, Any]:
    kind, at = _kind(event), clock.stamp(history.moment_of(event))
    return {
        "version": event.version,
        "since": at,
        "at": at,
        "kind": kind,
        "what": f"{event.action} {event.status}" if kind == FAILURE else event.action,
        "by": _who(event),
        "why": event.error or event.reason or "no reason given",
        "before": event.previous.version if event.previous else "nothing",
    }


def _who(event: Event) -> str:
    return f"{event.actor} on {event.host}" if event.host else event.actor


def _bars(bars: list[dict[str, Any]], axis: Spec) -> Spec:
    colour = {"condition": {"test": "datum.lasts", "value": LIVE}, "value": PAST}
    return {
        "data": {"values": bars},
        # of a version that was live for seconds, only the outline is visible
        "mark": {"type": "bar", "cornerRadius": 2, "minBandSize": 3, "strokeWidth": 1},
        "encoding": {
            "x": axis,
            "x2": {"field": "until"},
            "fill": colour,
            "stroke": colour,
            "tooltip": _tooltip(
                version="Live", begin="From (UTC)", end="Until (UTC)", lasted="For", by="By",
                why="Why",
            ),
        },
    }  # fmt: skip


def _points(points: list[dict[str, Any]], kinds: list[str], axis: Spec) -> Spec:
    few = len(points) <= MOST_RIMS
    shapes, colours = zip(*(MARKS[kind] for kind in kinds), strict=True)
    legend = {"title": None, "orient": "top"}
    return {
        "data": {"values": points},
        # a rim separates a mark from its bar; with many marks, rims would hide the others
        "mark": {"type": "point", "filled": True, "size": 110 if few else 40, "opacity": 1,
                 "stroke": "var(--paper)", "strokeWidth": 1.5 if few else 0},
        "encoding": {
            "x": axis,
            "shape": {"field": "kind", "type": "nominal", "legend": legend,
                      "scale": {"domain": kinds, "range": shapes}},
            "fill": {"field": "kind", "type": "nominal", "legend": legend,
                     "scale": {"domain": kinds, "range": colours}},
            "tooltip": _tooltip(
                what="What", version="Version", before="Live before", at="At (UTC)", by="By",
                why="Why",
            ),
        },
    }  # fmt: skip


def _span(rows: list[dict[str, Any]]) -> timedelta:
    moments = [clock.moment(row[key]) for row in rows for key in ("since", "until") if key in row]
    return max(moments) - min(moments) if moments else timedelta()


def _time_axis(span: timedelta) -> Spec:
    """Times in UTC; the format depends on the span, from seconds to months."""
    form = "%-d %b, %H:%M" if span < timedelta(days=3) else "%-d %b"
    form = "%H:%M:%S" if span < timedelta(minutes=20) else form
    return {
        "field": "since",
        "type": "temporal",
        "title": None,
        "scale": {"type": "utc", "padding": 10},
        "axis": {
            "grid": False,
            "format": "%b %Y" if span > timedelta(days=400) else form,
            "tickCount": {"signal": f"max(2, ceil(width / {TICK}))"},
            "labelOverlap": "greedy",
        },
    }


def _tooltip(**titles: str) -> list[Spec]:
    """Fields as text, each with a title."""
    return [{"field": name, "type": "nominal", "title": title} for name, title in titles.items()]


def one_line(text: str) -> str:
    """A title in one line: in a Vega expression, a line end would end the expression."""
    return " ".join(text.split())


def metric(name: str, points: Sequence[Point]) -> Spec:
    """One metric by version, lowest first; the live version is marked."""
    figures = [point.value for point in points if point.value is not None]
    axis: Spec = {"tickCount": 4, "format": number_format(figures)}
    scale: Spec = {"zero": False, "padding": 8}
    if len(set(figures)) == 1:  # a line in the middle, labelled with the exact value
        (only,) = set(figures)
        axis = {"values": [only], "format": ".4~g"}
        span = min(abs(only) or 1, sys.float_info.max - abs(only))
        scale["domain"] = [only - span, only + span]
    return {
        "height": 130,
        "data": {"values": _values(points)},
        "encoding": {
            "x": _version_axis(points),
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": scale,
                "axis": {**axis, "domain": False, "ticks": False},
            },
            "tooltip": _figure_tooltip(name),
        },
        "layer": [
            {"mark": {"type": "line", "stroke": PAST, "strokeWidth": 1.5}},
            {
                "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
                "encoding": {
                    "color": {"condition": {"test": "datum.live", "value": LIVE}, "value": PAST},
                    "size": {"condition": {"test": "datum.live", "value": 120}, "value": 45},
                },
            },
        ],
    }


def sizes(points: Sequence[Point]) -> Spec:
    """Bytes by version, lowest first; the live version is marked."""
    largest = max((point.value for point in points if point.value is not None), default=0)
    unit, bytes_per_unit = next((u, n) for u, n in UNITS if largest >= n or n == 1)
    return {
        "height": 130,
        "data": {"values": _values(points)},
        "mark": {
            "type": "bar",
            "cornerRadiusEnd": 2,
            "width": {"expr": "min(60, 0.6 * bandwidth('x'))"},
        },
        "encoding": {
            "x": {**_version_axis(points), "scale": {"type": "band", "paddingOuter": 0.2}},
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "axis": {
                    "tickCount": 4,
                    "labelExpr": f"format(datum.value / {bytes_per_unit}, '~g') + ' {unit}'",
                    "domain": False,
                    "ticks": False,
                },
            },
            "color": {"condition": {"test": "datum.live", "value": LIVE}, "value": PAST},
            "tooltip": [
                *_tooltip(version="Version"),
                {"field": "value", "type": "quantitative", "title": "Bytes", "format": ",d"},
            ],
        },
    }


def _values(points: Sequence[Point]) -> list[dict[str, Any]]:
    return [{"version": p.version, "value": p.value, "live": p.live} for p in points]


def _version_axis(points: Sequence[Point]) -> Spec:
    return {
        "field": "version",
        "type": "nominal",
        "title": None,
        "sort": [point.version for point in points],
        "axis": {"labelAngle": 0, "labelOverlap": "greedy", "labelSeparation": 8, "ticks": False},
    }


def _figure_tooltip(name: str) -> list[Spec]:
    return [
        *_tooltip(version="Version"),
        {"field": "value", "type": "quantitative", "title": one_line(name), "format": ".6~g"},
    ]


def number_format(values: Iterable[float]) -> str:
    """D3's format (https://d3js.org/d3-format) for an axis: large values as 12k and 3M."""
    largest = max((abs(value) for value in values), default=0)
    if largest >= 10_000:
        return "~s"
    return "~g" if largest >= 0.001 or largest == 0 else "~e"


def duration(seconds: float) -> str:
    """Seconds for people: ``40 s``, ``12 min``, ``5 h``, ``3 days``."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
