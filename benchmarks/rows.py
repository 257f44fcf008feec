"""Rows of the table: what is compared, the target, and what was measured."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import figures
from benchmarks.figures import Spread
from benchmarks.timing import Run, Runs


class Measure(enum.StrEnum):
    """What of a run is compared: seconds, or bytes."""

    TIME = "time"
    MEMORY = "peak memory"
    CPU = "CPU"
    WRITTEN = "bytes written"
    RECEIVED = "bytes from the server"
    HELD = "memory held"

    def of(self, run: Run) -> float:
        """The figure of one run."""
        return {
            Measure.TIME: run.seconds,
            Measure.MEMORY: run.peak,
            Measure.CPU: run.cpu,
            Measure.WRITTEN: run.written,
            Measure.RECEIVED: run.received,
            Measure.HELD: run.held,
        }[self]

    def text(self, value: float) -> str:
        """The figure for people."""
        is_time = self in (Measure.TIME, Measure.CPU)
        return figures.seconds(value) if is_time else figures.size(value)


@dataclass(frozen=True)
class Target:
    """The target of a comparison: a ratio, or a difference in seconds; and in words."""

    most: float
    words: str
    more: bool = False


def at_most(ratio: float) -> Target:
    """At most so many times the other."""
    return Target(ratio, f"at most {ratio} x")


def faster(times: float) -> Target:
    """At least so many times as fast as the other."""
    return Target(1 / times, f"{times:g} x faster")


def below() -> Target:
    """Less than the other."""
    return Target(1.0, "below it")


def seconds_more(seconds: float) -> Target:
    """At most so many seconds more than the other."""
    return Target(seconds, f"at most {seconds} s more", more=True)


@dataclass(frozen=True)
class Claim:
    """One side of a case compared with another; without a target it is only for information.

    Attributes:
        skipped: why it cannot be measured here; empty if it can.
    """

    ours: str
    theirs: str
    target: Target | None = None
    measure: Measure = Measure.TIME
    skipped: str = ""


@dataclass(frozen=True)
class Case:
    """Sides that are measured in turn, and the claims about them.

    Attributes:
        name: for ``--only``.
        measure: runs each side so many times.
    """

    name: str
    measure: Callable[[int], Runs]
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Line:
    """A claim, measured.

    Attributes:
        our_runs, their_runs: seconds or bytes, in the order of the runs.
        value: ours divided by theirs, run by run; or ours less theirs, where the target says so.
        kept: whether the median meets the target; None if there is none.
        skipped: why there are no runs and no value; empty if there are.
    """

    row: str
    measure: Measure
    ours: str
    theirs: str
    our_runs: tuple[float, ...]
    their_runs: tuple[float, ...]
    value: Spread | None
    target: str | None = None
    more: bool = False
    kept: bool | None = None
    skipped: str = ""

    def to_json(self) -> dict[str, Any]:
        """The line as build/bench.json holds it, medians and spreads included."""
        runs = {"our": self.our_runs, "their": self.their_runs}
        sides = {name: asdict(figures.spread(values)) for name, values in runs.items() if values}
        return {**asdict(self), **sides}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Line":
        """Read what ``to_json`` gave."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        runs = {name: tuple(value[name]) for name in ("our_runs", "their_runs")}
        spread = Spread(**value["value"]) if value["value"] else None
        measure = Measure(value["measure"])
        return cls(**{**known, **runs, "value": spread, "measure": measure})


def lines(case: Case, runs: int) -> list[Line]:
    """Measure a case."""
    measured = case.measure(runs)
    return [_line(case.name, claim, measured) for claim in case.claims]


def _line(row: str, claim: Claim, measured: Runs) -> Line:
    words = claim.target.words if claim.target else None
    if claim.skipped:
        sides = (claim.measure, claim.ours, claim.theirs)
        return Line(row, *sides, (), (), None, words, skipped=claim.skipped)
    ours = [claim.measure.of(run) for run in measured[claim.ours]]
    theirs = [claim.measure.of(run) for run in measured[claim.theirs]]
    target = claim.target
    more = target is not None and target.more
    if more:
        value = figures.spread([our - other for our, other in zip(ours, theirs, strict=True)])
    else:
        value = figures.ratio(ours, theirs)
    return Line(
        row, claim.measure, claim.ours, claim.theirs, tuple(ours), tuple(theirs), value,
        words, more, value.median <= target.most if target else None,
    )  # fmt: skip


HEADING = ("row", "what", "compared with", "tagship", "baseline", "ratio", "target", "")


def cells(line: Line) -> tuple[str, ...]:
    """A line as text, a cell for each of ``HEADING``."""
    return (
        line.row,
        line.ours if line.measure is Measure.TIME else f"{line.ours}: {line.measure}",
        line.theirs,
        _figure(line.measure, line.our_runs),
        _figure(line.measure, line.their_runs),
        _value(line),
        line.target or "-",
        f"skipped: {line.skipped}"
        if line.skipped
        else {None: "", True: "met", False: "missed"}[line.kept],
    )


def _figure(measure: Measure, runs: Sequence[float]) -> str:
    if not runs:
        return "-"
    spread = figures.spread(runs)
    return (
        f"{measure.text(spread.median)} ({measure.text(spread.least)}..{measure.text(spread.most)})"
    )


def _value(line: Line) -> str:
    value = line.value
    if value is None:
        return "-"
    if line.more:
        return f"{value.median:+.2f} s ({value.least:+.2f}..{value.most:+.2f})"
    if line.target and line.target.endswith("faster"):
        turned = [figures.times(1 / ratio) for ratio in (value.median, value.most, value.least)]
        return f"{turned[0]} x faster ({turned[1]}..{turned[2]})"
    shown = [figures.times(ratio) for ratio in (value.median, value.least, value.most)]
    return f"{shown[0]} x ({shown[1]}..{shown[2]})"
