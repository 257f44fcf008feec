"""Pictures of growth: SVG with both axes logarithmic, drawn by Vega-Lite."""

import math
from pathlib import Path
from typing import Any

import vl_convert

from benchmarks.growth import LIMIT, OURS

Spec = dict[str, Any]

VERSION = "6.1"  # of Vega-Lite
COLOURS = ("#0b6fa4", "#c2410c", "#15803d", "#7e22ce", "#a16207", "#be185d")
RIVALS, LIMITS = "#64748b", "#111827"
PANEL = {"width": 360, "height": 260}  # pixels
PANELS = (("seconds", "time", "s"), ("peak", "peak memory", "B"))


def draw(axis: dict[str, Any], folder: Path) -> Path:
    """Draw the result of ``growth.measure`` into ``folder``. Returns the file."""
    path = folder / f"growth-{axis['axis']}.svg"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(vl_convert.vegalite_to_svg(spec(axis), vl_version=VERSION), encoding="utf-8")
    return path


def spec(axis: dict[str, Any]) -> Spec:
    """Time and peak memory side by side: a line a command, the rival's and the limit's dashed."""
    names = [series["name"] for series in axis["series"]]
    own = iter(COLOURS)
    kinds = [series["kind"] for series in axis["series"]]
    colours = [next(own) if kind == OURS else LIMITS if kind == LIMIT else RIVALS for kind in kinds]
    dashes = [[1, 0] if kind == OURS else [6, 4] for kind in kinds]
    return {
        "$schema": f"https://vega.github.io/schema/vega-lite/v{VERSION}.json",
        "background": "white",
        "padding": 12,
        "config": {
            "font": "Helvetica, Arial, sans-serif",
            "axis": {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal",
                     "gridColor": "#e5e7eb", "labelColor": "#111827", "titleColor": "#111827"},
            "legend": {"labelFontSize": 13, "labelLimit": 400, "symbolSize": 300,
                       "symbolStrokeWidth": 2.5, "labelColor": "#111827"},
            "view": {"stroke": "#9ca3af"},
        },
        "hconcat": [
            _panel(axis, *panel, names=names, colours=colours, dashes=dashes) for panel in PANELS
        ],
    }  # fmt: skip


def _panel(
    axis: dict[str, Any], key: str, title: str, unit: str, *, names: list[str],
    colours: list[str], dashes: list[list[int]],
) -> Spec:  # fmt: skip
    values = [
        {"name": series["name"], "x": point["x"], "y": point[key]["median"]}
        for series in axis["series"]
        for point in series["points"]
    ]
    legend = {"title": None, "orient": "bottom", "columns": 3, "symbolType": "stroke"}
    return {
        **PANEL,
        "data": {"values": values},
        "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 36}},
        "encoding": {
            "x": _scale("x", axis["title"], "B" if axis["axis"] == "size" else "", values),
            "y": _scale("y", title, unit, values),
            "color": {"field": "name", "type": "nominal", "sort": names, "legend": legend,
                      "scale": {"domain": names, "range": colours}},
            "strokeDash": {"field": "name", "type": "nominal", "sort": names, "legend": legend,
                           "scale": {"domain": names, "range": dashes}},
        },
    }  # fmt: skip


def _scale(field: str, title: str, unit: str, values: list[dict[str, Any]]) -> Spec:
    least, most = (choose(value[field] for value in values) for choose in (min, max))
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    steps = (1,) if field == "x" or high - low > 2 else (1, 2, 5)
    ticks = [step * 10**power for power in range(low, high + 1) for step in steps]
    text = f"format(datum.value, '~s') + '{unit}'" if unit else "format(datum.value, ',')"
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log", "domain": [least / 1.1, most * 1.1], "nice": False},
        "axis": {
            "values": [tick for tick in ticks if least / 1.1 <= tick <= most * 1.1],
            "labelExpr": text,
        },
    }
