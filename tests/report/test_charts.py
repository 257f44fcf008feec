"""From values to Vega-Lite specs, which Vega-Lite itself compiles here."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tagship import Corrupt
from tagship.host import history
from tagship.host.history import Event, Place
from tagship.report import charts
from tagship.report.charts import Point, Spec
from tagship.text import clock

vl_convert = pytest.importorskip("vl_convert")

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = START + timedelta(days=30)


def event(seq: int, action: str, version: str, **values: Any) -> Event:
    """An event a day after the one before it."""
    at = clock.stamp(START + timedelta(days=seq))
    filled: dict[str, Any] = {"status": "succeeded", "actor": "ada", "host": "box", **values}
    directory = history.directory_name(version, "20261120_120000")
    return Event(
        seq, f"id{seq}", at, action, model="churn", version=version, directory=directory, **filled
    )


STORY = (
    event(1, "deploy", "1.0.0", reason="first"),
    event(2, "deploy", "1.1.0", previous=Place("1.0.0", "x")),
    event(3, "rollback", "1.0.0", previous=Place("1.1.0", "x"), reason="slow"),
    event(4, "deploy", "1.2.0", status="failed", error="no answer"),
    event(5, "pin", "1.1.0"),
    event(6, "deploy", "1.3.0", duration_s=90.0),
    event(7, "reject", "1.3.0", reason="its check failed"),
    event(8, "deploy", "1.4.0"),
)


def timeline(events: tuple[Event, ...]) -> Spec:
    return charts.timeline(history.periods(events), charts.marks(events), NOW)


def values(spec: Spec, layer: int = 0) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = spec["layer"][layer]["data"]["values"]
    return rows


def compiles(spec: Spec) -> bool:
    """Whether Vega-Lite takes it, and draws something."""
    return "<path" in vl_convert.vegalite_to_svg({**spec, "width": 300})


def test_a_bar_lasts_from_when_a_version_went_live_until_the_next_did() -> None:
    bars = [(b["version"], b["since"], b["until"], b["lasts"]) for b in values(timeline(STORY))]
    assert bars == [
        ("1.0.0", "2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z", False),
        ("1.1.0", "2026-11-22T12:00:00Z", "2026-11-23T12:00:00Z", False),
        ("1.0.0", "2026-11-23T12:00:00Z", "2026-11-26T12:01:30Z", False),
        ("1.3.0", "2026-11-26T12:01:30Z", "2026-11-27T12:00:00Z", False),
        ("1.4.0", "2026-11-28T12:00:00Z", "2026-12-20T12:00:00Z", True),
    ]


def test_a_mark_says_what_happened_who_did_it_and_why() -> None:
    """What is rare and bad comes last, and so lies on top."""
    spec = timeline(STORY)
    marks = [(m["kind"], m["what"], m["version"], m["why"]) for m in values(spec, 1)]
    assert marks == [
        ("deploy", "deploy", "1.0.0", "first"),
        ("deploy", "deploy", "1.1.0", "no reason given"),
        ("deploy", "deploy", "1.3.0", "no reason given"),
        ("deploy", "deploy", "1.4.0", "no reason given"),
        ("rollback", "rollback", "1.0.0", "slow"),
        ("reject", "reject", "1.3.0", "its check failed"),
        ("failure", "deploy failed", "1.2.0", "no answer"),
    ]
    assert {mark["by"] for mark in values(spec, 1)} == {"ada on box"}
    shape = spec["layer"][1]["encoding"]["shape"]["scale"]
    assert shape["domain"] == ["deploy", "rollback", "reject", "failure"]
    assert len(shape["range"]) == 4
    assert compiles(spec)


def test_only_kinds_that_happened_are_in_the_legend() -> None:
    spec = timeline(STORY[:2])
    assert spec["layer"][1]["encoding"]["shape"]["scale"]["domain"] == ["deploy"]


def test_the_first_version_is_at_the_bottom() -> None:
    rows = timeline(STORY)["encoding"]["y"]["sort"]
    assert rows == ["1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"]


def test_many_versions_share_a_height() -> None:
    few = timeline(tuple(event(n, "deploy", f"1.{n}.0") for n in range(1, 6)))
    many = timeline(tuple(event(n, "deploy", f"1.{n}.0") for n in range(1, 200)))
    assert few["height"] == 5 * charts.ROW
    assert many["height"] == charts.TALLEST
    assert compiles(many)


def test_a_clock_that_went_back_draws_no_bar_that_ends_before_it_begins() -> None:
    events = (event(5, "deploy", "1.0.0"), event(1, "deploy", "1.1.0"))
    (first, _) = values(timeline(events))
    assert first["since"] == first["until"] == "2026-11-25T12:00:00Z"
    assert first["lasted"] == "0 s"


def test_only_failures_are_drawn_without_bars() -> None:
    spec = timeline((event(1, "deploy", "1.0.0", status="failed", error="disk full"),))
    assert values(spec) == []
    assert len(values(spec, 1)) == 1
    assert compiles(spec)


def test_no_date_is_told() -> None:
    with pytest.raises(Corrupt, match="event 1 has 'soon' for a date"):
        charts.timeline((), [replace(event(1, "deploy", "1.0.0", status="failed"), at="soon")], NOW)


@pytest.mark.parametrize(("days", "form"), [(1, "%-d %b, %H:%M"), (30, "%-d %b"), (900, "%b %Y")])
def test_dates_are_as_fine_as_the_time_is_short(days: int, form: str) -> None:
    events = (event(0, "deploy", "1.0.0"),)
    now = START + timedelta(days=days)
    spec = charts.timeline(history.periods(events), charts.marks(events), now)
    assert spec["layer"][0]["encoding"]["x"]["axis"]["format"] == form


POINTS = (Point("1.0.0", 0.71), Point("1.1.0", None), Point("1.10.0", 0.83, live=True))


@pytest.mark.parametrize("draw", [lambda points: charts.metric("f1", points), charts.sizes])
def test_versions_are_in_their_order_and_the_live_one_is_marked(draw: Any) -> None:
    spec = draw(POINTS)
    assert spec["data"]["values"] == [
        {"version": "1.0.0", "value": 0.71, "live": False},
        {"version": "1.1.0", "value": None, "live": False},
        {"version": "1.10.0", "value": 0.83, "live": True},
    ]
    assert spec["encoding"]["x"]["sort"] == ["1.0.0", "1.1.0", "1.10.0"]
    marked = {"condition": {"test": "datum.live", "value": charts.LIVE}, "value": charts.PAST}
    assert marked in [
        layer["encoding"].get("color")
        for layer in (spec, *spec.get("layer", ()))
        if "encoding" in layer
    ]
    assert compiles(spec)


def test_a_figure_that_never_changes_is_a_line_in_the_middle_with_its_figure() -> None:
    y = charts.metric("baseline", [Point("1.0.0", 0.4568), Point("1.1.0", 0.4568)])["encoding"]["y"]
    assert y["axis"]["values"] == [0.4568]
    low, high = y["scale"]["domain"]
    assert (low + high) / 2 == pytest.approx(0.4568)
    zero = charts.metric("zero", [Point("1.0.0", 0.0)])
    assert zero["encoding"]["y"]["scale"]["domain"] == [-1.0, 1.0]


@pytest.mark.parametrize("value", [1.7e308, -1.7e308, 0.0, 5e-324])
def test_a_figure_at_the_end_of_all_figures_is_drawn(value: float) -> None:
    spec = charts.metric("loss", [Point("1.0.0", value), Point("1.1.0", None)])
    json.dumps(spec, allow_nan=False)
    low, high = spec["encoding"]["y"]["scale"]["domain"]
    assert low <= value <= high


@pytest.mark.parametrize(
    ("largest", "unit"), [(12, "B"), (2_500, "kB"), (17_000_000, "MB"), (3_000_000_000, "GB")]
)
def test_bytes_are_in_the_unit_of_the_largest(largest: int, unit: str) -> None:
    axis = charts.sizes([Point("1.0.0", 1), Point("1.1.0", largest)])["encoding"]["y"]["axis"]
    assert axis["labelExpr"].endswith(f"' {unit}'")


@pytest.mark.parametrize(
    ("values", "form"),
    [([], "~g"), ([0.5, 0.8], "~g"), ([2e6], "~s"), ([-3e4], "~s"), ([1e-6], "~e")],
)
def test_large_and_small_figures_are_short(values: list[float], form: str) -> None:
    assert charts.number_format(values) == form


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (40, "40 s"), (119, "119 s"), (720, "12 min"), (18_000, "5 h"), (3e5, "3 days")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert charts.duration(seconds) == text
