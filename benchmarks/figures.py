"""Figures: medians with their spread, ratios, exponents; and as text."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


@dataclass(frozen=True)
class Spread:
    """The median of some values, and the least and the most of them."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The spread of our values, each divided by the other side's value of the same turn.

    Other load on the machine slowed both, so it does not change the ratio.
    """
    return spread([our / other for our, other in zip(ours, theirs, strict=True)])


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """How y grows with x: the slope of log y over log x, by least squares, in the upper half.

    0 means not at all, 1 in proportion, 2 with the square. The upper half is that of log x: below
    it, costs that do not depend on x dominate. None if it has fewer than two points.
    """
    if not points:
        return None
    logs = [(math.log(x), math.log(y)) for x, y in points]
    middle = (min(x for x, _ in logs) + max(x for x, _ in logs)) / 2
    upper = [(x, y) for x, y in logs if x >= middle]
    if len({x for x, _ in upper}) < 2:
        return None
    return statistics.linear_regression(*zip(*upper, strict=True)).slope


def seconds(value: float) -> str:
    """Seconds for people: ``0.31 ms``, ``62 ms``, ``1.32 s``, ``57.1 s``."""
    return f"{_three(value)} s" if value >= 1 else f"{_three(value * 1000)} ms"


def size(value: float) -> str:
    """Bytes for people, in powers of ten: ``71.9 MB``."""
    for base, unit in UNITS:
        if value >= base:
            return f"{_three(value / base)} {unit}"
    return f"{value:.0f} B"


def times(value: float) -> str:
    """A ratio for people: ``0.83``, ``12.4``, ``134``."""
    return _three(value)


def _three(value: float) -> str:
    """Three significant digits, two below 1; never an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"
