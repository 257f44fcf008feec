"""tagship compared with other tools and with limits: ``python -m benchmarks``, ``make bench``.

It builds its own repositories and data in a temporary folder, runs the sides of each row in turn,
and prints a table. A ratio that misses its target is marked; the exit code does not depend on it.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import (
    bundles,
    carrying,
    fetching,
    following,
    growth,
    images,
    machine,
    pictures,
    rows,
    suite,
    tables,
    timeline,
    workspaces,
)
from benchmarks.machine import Machine
from benchmarks.rows import Line
from benchmarks.serving import cases, swaps
from benchmarks.suite import Site
from benchmarks.timing import Failed
from tagship.text import clock

ROOT = workspaces.ROOT
BUILD = ROOT / "build"
SCHEMA = 1
CASES = (
    suite.CASES | images.CASES | bundles.CASES | carrying.CASES | fetching.CASES | following.CASES
    | cases.CASES
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or print what was measured. Returns the exit code."""
    chosen = _parser().parse_args(arguments)
    if chosen.act == "report":
        return _report()
    if why := workspaces.missing():
        print(f"error: {why}", file=sys.stderr)
        return 1
    try:
        with _working_folder(chosen.folder) as folder, workspaces.sealed(folder):
            host = machine.describe(folder)
            print(_opening(chosen, host), flush=True)
            act = {"bench": _bench, "growth": _growth, "timeline": _timeline, "swaps": _swaps}[
                chosen.act
            ]
            act(chosen, host, folder)
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "act", nargs="?", choices=["bench", "growth", "timeline", "swaps", "report"],
        default="bench",
        help="bench: the table; growth: over tags, sizes, files and events;"
        " timeline: what happens when in a deploy from a store;"
        " swaps: versions that are swapped under load, in several servers;"
        " report: both as Markdown, from the last runs",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true",
        help="every row, with small sizes, few tags and one run of each side, in less than two"
        " minutes: whether all still runs; its figures are no statement",
    )  # fmt: skip
    parser.add_argument(
        "--only", action="append", metavar="NAME", choices=[*CASES, *growth.AXES],
        help=f"one row, may be given again: {', '.join(CASES)}; of growth: "
        + ", ".join(growth.AXES),
    )  # fmt: skip
    parser.add_argument(
        "--server", action="append", metavar="NAME", choices=[*swaps.SERVERS],
        help=f"of swaps, may be given again: {', '.join(swaps.SERVERS)}",
    )  # fmt: skip
    parser.add_argument(
        "--runs", type=_runs, metavar="N", help="of each side (5; with --quick 1; of growth 3)"
    )
    parser.add_argument(
        "--folder", type=Path, default=BUILD, metavar="DIR", help="work on the disk of DIR"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the JSON goes")
    parser.add_argument("--images", type=Path, metavar="DIR", help="where growth draws")
    return parser


def _runs(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least one run")
    return count


@contextlib.contextmanager
def _working_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder, removed at the end in every case except kill -9."""
    parent.mkdir(parents=True, exist_ok=True)
    # a shell starts background jobs with SIGINT ignored
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as name:
        yield Path(name).resolve()


def _opening(chosen: argparse.Namespace, host: Machine) -> str:
    notes = [tables.machine(host)]
    if chosen.quick:
        notes.append("QUICK: small sizes, few tags, one run; these figures are no statement")
    if host.file_system in machine.MEMORY:
        notes.append(f"{host.file_system} is no disk: choose another with --folder")
    return "\n".join(notes) + "\n"


def _bench(chosen: argparse.Namespace, host: Machine, folder: Path) -> None:
    scale = suite.QUICK if chosen.quick else suite.FULL
    site, runs = Site(folder, scale), chosen.runs or scale.runs
    measured: list[Line] = []
    with site.stack:
        for name, case in CASES.items():
            if chosen.only and name not in chosen.only:
                continue
            print(f"{name} ...", file=sys.stderr, flush=True)
            with case(site) as prepared:
                measured += rows.lines(prepared, runs)
            # a run that is interrupted keeps its results
            value = {"scale": asdict(scale), "lines": [line.to_json() for line in measured]}
            _write(chosen.output or BUILD / "bench.json", chosen, host, runs, value)
    print(tables.plain(tables.bench(measured)))
    missed = sum(line.kept is False for line in measured)
    kept = sum(line.kept is True for line in measured)
    size = ", QUICK: small sizes" if chosen.quick else ""
    print(f"\n{kept} met, {missed} missed; medians (least..most) of {runs} runs{size}")


def _growth(chosen: argparse.Namespace, host: Machine, folder: Path) -> None:
    runs, measured = chosen.runs or 3, []
    images = chosen.images or (BUILD / "images" if chosen.quick else ROOT / "docs" / "images")
    for name in growth.AXES:
        if chosen.only and name not in chosen.only:
            continue
        axis = growth.measure(name, folder, runs, quick=chosen.quick, say=_progress)
        measured.append(axis)
        _write(chosen.output or BUILD / "growth.json", chosen, host, runs, {"axes": measured})
        print(f"{pictures.draw(axis, images)}", flush=True)
    print(tables.plain(tables.growth({"axes": measured})))
    print(f"\nmedians of {runs} runs{', QUICK: short ranges' if chosen.quick else ''}")


def _timeline(chosen: argparse.Namespace, _: Machine, folder: Path) -> None:
    site = Site(folder, suite.QUICK if chosen.quick else suite.FULL)
    with site.stack:
        print(timeline.measure(site))


def _swaps(chosen: argparse.Namespace, host: Machine, folder: Path) -> None:
    site = Site(folder, suite.QUICK if chosen.quick else suite.FULL)
    measured, lags = [], []
    with site.stack:
        for row in swaps.measure(site, chosen.server):
            _progress(f"{row.server}, {row.connections}")
            measured.append(row.cells())
            lags.append(row.lags)
            value = {"swaps": measured, "lags": lags}
            _write(chosen.output or BUILD / "swaps.json", chosen, host, 1, value)
    print(tables.plain((swaps.HEADING, measured)))


def _progress(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)


def _write(
    path: Path, chosen: argparse.Namespace, host: Machine, runs: int, value: dict[str, Any]
) -> None:
    head = {
        "schema": SCHEMA,
        "at": clock.stamp(clock.now()),
        "quick": chosen.quick,
        "runs": runs,
        "machine": asdict(host),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**head, **value}, indent=2) + "\n", encoding="utf-8")


def _report() -> int:
    """Print the tables of the last runs in Markdown, to copy into the documentation."""
    names = ("bench.json", "growth.json", "swaps.json")
    there = [path for path in (BUILD / name for name in names) if path.exists()]
    for path in there:
        value = json.loads(path.read_bytes())
        quick = " QUICK: small sizes." if value["quick"] else ""
        print(f"Medians of {value['runs']} runs, {value['at']}.{quick}\n")
        print(tables.machine(Machine(**value["machine"])).replace("\n", "; ") + "\n")
        if "axes" in value:
            print(tables.markdown(tables.growth(value)) + "\n")
        elif "swaps" in value:
            print(tables.markdown((swaps.HEADING, value["swaps"])) + "\n")
        else:
            lines = [Line.from_json(line) for line in value["lines"]]
            print(tables.markdown(tables.bench(lines)) + "\n")
    if not there:
        print("error: nothing was measured yet: make bench", file=sys.stderr)
    return 0 if there else 1


if __name__ == "__main__":
    sys.exit(main())
