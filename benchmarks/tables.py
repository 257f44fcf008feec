"""Tables, for a terminal and in Markdown, of measured values or of a file of a run."""

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks import figures, rows
from benchmarks.machine import Machine
from benchmarks.rows import Line

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def bench(lines: Iterable[Line]) -> Table:
    """Every claim, a row each."""
    return rows.HEADING, [rows.cells(line) for line in lines]


def growth(measured: dict[str, Any]) -> Table:
    """How time and memory of each act grow: at both ends of its range, and the exponents."""
    heading = ("over", "from", "to", "what", "time", "exponent", "peak memory", "exponent")
    lines = []
    for axis in measured["axes"]:
        for series in axis["series"]:
            first, last = series["points"][0], series["points"][-1]
            lines.append((
                axis["axis"], at(axis, first["x"]), at(axis, last["x"]), series["name"],
                _between(first, last, "seconds"), _exponent(series["exponents"]["seconds"]),
                _between(first, last, "peak"), _exponent(series["exponents"]["peak"]),
            ))  # fmt: skip
    return heading, lines


def at(axis: dict[str, Any], x: float) -> str:
    """A place on an axis in words."""
    return figures.size(x) if axis["axis"] == "size" else f"{x:,.0f}"


def _between(first: dict[str, Any], last: dict[str, Any], key: str) -> str:
    text = figures.seconds if key == "seconds" else figures.size
    return f"{text(first[key]['median'])} .. {text(last[key]['median'])}"


def _exponent(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 2) + 0:.2f}"  # + 0: no -0.00


def machine(host: Machine) -> str:
    """The machine and the programs, in three lines."""
    versions = ", ".join(f"{name} {version}" for name, version in host.versions.items())
    return (
        f"{host.cores} cores of {host.cpu}, {figures.size(host.memory)} of RAM,"
        f" {host.file_system}, Linux {host.kernel}\n"
        f"{host.load} processes ran or waited when it began\n{versions}"
    )


def plain(table: Table) -> str:
    """Columns for a terminal."""
    heading, lines = table
    every = [heading, *lines]
    widths = [max(len(line[i]) for line in every) for i in range(len(heading))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in every
    )


def markdown(table: Table) -> str:
    """The same for a page."""
    heading, lines = table
    every = [heading, ["---"] * len(heading), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in every)
