"""The whole sweep: ``python -m tests.crash``, or ``make crash-test``.

What was found goes into a file, a line a point; a sweep that is stopped goes on where it was, as
long as neither tagship nor this package has changed. With ``--minutes`` it stops by itself: the
kills come first, and then the errors, in another order for each commit.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.crash import cases, tracing
from tests.crash.harness import Found, Point, Sweep

ROOT = Path(__file__).parents[2]
COLUMNS = ("command", "call", "points", "old", "new", "mended", "refused", "went on", "wrong")


def main() -> int:
    """Try all points that the file has not; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "crash-test.jsonl")
    parser.add_argument("--case", action="append", choices=[case.name for case in cases.CASES])
    kinds = (tracing.KILL, *tracing.ERRORS)
    parser.add_argument("--inject", action="append", choices=kinds)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="then stop")
    chosen = parser.parse_args()
    why = tracing.missing()
    if why:
        print(f"skipped: {why}")
        return 0
    code, end = _code(), time.monotonic() + chosen.minutes * 60
    results = {result.key: result for result in read(chosen.output, code)}
    chosen_cases = [case for case in cases.CASES if case.name in (chosen.case or [case.name])]
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="crash-") as name,
        cases.sealed(Path(name)),
        ProcessPoolExecutor(chosen.jobs) as pool,
        chosen.output.open("a", encoding="utf-8") as output,
    ):
        folder = Path(name)
        names = [case.name for case in chosen_cases]
        listed = [
            point for some in pool.map(_points, [folder] * len(names), names) for point in some
        ]
        points = [point for point in listed if point.inject in (chosen.inject or kinds)]
        random.Random(_commit()).shuffle(points)
        points.sort(key=lambda point: point.inject != tracing.KILL)
        here = {point.key for point in points}
        results = {key: result for key, result in results.items() if key in here}
        todo = [point for point in points if point.key not in results]
        print(f"{len(points)} points, {len(results)} of them in {chosen.output}", flush=True)
        futures = [pool.submit(_attempt, folder, point) for point in todo]
        for future in as_completed(futures):
            if time.monotonic() > end and not future.cancelled():
                for waiting in futures:
                    waiting.cancel()
            if future.cancelled():
                continue
            result = future.result()
            results[result.key] = result
            output.write(line(result, code) + "\n")
            output.flush()
            if result.problems:
                print(f"WRONG {result.key}: {'; '.join(result.problems)}", flush=True)
    print(table(results.values()))
    wrong = [result for result in results.values() if result.problems]
    left = len(points) - len(results)
    print(f"{len(results)} points, {len(wrong)} wrong" + (f", {left} not tried" if left else ""))
    return 1 if wrong else 0


def _points(folder: Path, name: str) -> list[Point]:
    case = cases.named(name)
    cases.build(case, folder / "templates" / name)
    return _sweep(folder).points(case)


def _attempt(folder: Path, point: Point) -> Found:
    try:
        return _sweep(folder).attempt(point)
    except Exception as error:  # the others are tried all the same
        text = "".join(traceback.format_exception(error))
        return Found(
            point.key, point.case, point.call.name, point.inject, 0, "old", problems=[text]
        )


def _sweep(folder: Path) -> Sweep:
    return Sweep(folder / "templates", folder / f"point-{os.getpid()}")


def _commit() -> str:
    """HEAD, or nothing where this is no clone."""
    words = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def _code() -> str:
    """A digest of what is tested, and of what tests it."""
    digest = hashlib.sha256()
    for top in (ROOT / "tools" / "tagship", Path(__file__).parent):
        for path in sorted(top.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def line(result: Found, code: str) -> str:
    """What the file keeps of a point."""
    return json.dumps({"tested": code, **result.to_json()})


def read(path: Path, code: str) -> Iterable[Found]:
    """What an earlier run found with the same code."""
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            value = json.loads(text)
        except ValueError:  # it was stopped while it wrote
            continue
        if value.pop("tested", "") == code:
            yield Found.from_json(value)


def table(results: Iterable[Found]) -> str:
    """What came of each command and call, killed and failed, as a table."""
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for result in results:
        killed = result.inject == tracing.KILL
        for call in (f"{result.call}: {'killed' if killed else 'error'}", "all"):
            row = rows.setdefault((result.case, call), dict.fromkeys(COLUMNS[2:], 0))
            row["points"] += 1
            row[result.live] += 1
            row["mended"] += bool(result.mended)
            row["refused"] += not killed and result.code != 0
            row["went on"] += bool(result.harmless)
            row["wrong"] += bool(result.problems)
    lines: list[tuple[str, ...]] = [COLUMNS]
    for (case, call), row in sorted(rows.items()):
        lines.append((case, call, *(str(row[name]) for name in COLUMNS[2:])))
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


if __name__ == "__main__":
    sys.exit(main())
