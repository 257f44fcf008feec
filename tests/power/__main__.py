"""The whole table: ``python -m tests.power``, or ``make power-test``. Needs root.

Each command on each file system, its disk copied at each moment; and then the deploy with one sync
after another left out, to see which of them a copy of this file system shows, and which it hides.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crash import cases
from tests.power import cut, image
from tests.power.cut import EXIT, LATER, Moment, Trial

COMMANDS = ("deploy", "first deploy", "deploy with a fetch", "deploy with a cleanup", "rollback",
            "rollback to a tag", "cleanup", "undeploy", "undeploy --history", "bundle",
            "first unbundle", "unbundle")  # fmt: skip
# what is synced in a deploy: in words, and as a pattern of paths, with "/" behind a folder's
SYNCS = {
    "who holds the lock": r"/\.lock\.json\.\w+\.tmp$",
    "the intent": r"/\.intent\.json\.\w+\.tmp$",
    ".tagship/": r"/\.tagship/$",
    "the version's files": r"/staging/[^/]+/[^/]+$",
    "the version's folder, in staging/": r"/staging/[^/]+/$",
    "the version's folder, in versions/": r"/versions/[^/]+/$",
    "versions/": r"/versions/$",
    "staging/": r"/staging/$",
    "the history": r"/\.deployment_history\.json\.\w+\.tmp$",
    "the model's folder": r"/churn/$",
    "all folders": r"/$",
    "all": ".",
}


def main() -> int:
    """Try all of it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    parser.add_argument("--jobs", type=int, default=3, help="disks at a time")
    parser.add_argument("--kind", action="append", choices=image.KINDS)
    chosen = parser.parse_args()
    kinds = chosen.kind or image.KINDS
    trials = [Trial(kind, case) for case in COMMANDS for kind in kinds]
    trials += [
        Trial(kind, "deploy", pattern, during=False) for pattern in SYNCS.values() for kind in kinds
    ]
    with tempfile.TemporaryDirectory(prefix="power-") as name, cases.sealed(Path(name)):
        folder = Path(name)
        for case in COMMANDS:
            cases.build(cases.named(case), folder / "templates" / case)

        def attempt(number: int) -> list[Moment]:
            trial = trials[number]
            return cut.cut(trial, folder / "templates" / trial.case, folder / str(number))

        with ThreadPoolExecutor(chosen.jobs) as pool:
            try:
                tried = dict(zip(trials, pool.map(attempt, range(len(trials))), strict=True))
            except image.Unusable as error:
                print(f"skipped: {error}")
                return 0
    as_it_is = {trial: moments for trial, moments in tried.items() if not trial.left_out}
    for trial, moments in as_it_is.items():
        print(f"\n{trial.case} on {trial.kind}\n{table(moments)}")
    print(f"\na deploy with a sync left out\n{left_out(tried, kinds)}")
    wrong = [moment for moments in as_it_is.values() for moment in moments if moment.problems]
    print(f"\n{sum(map(len, as_it_is.values()))} moments, {len(wrong)} wrong")
    return 1 if wrong else 0


def table(moments: Iterable[Moment]) -> str:
    """Moment, what was live, whether all was whole."""
    rows = [(moment.name, moment.live, "; ".join(moment.problems) or "yes") for moment in moments]
    return _aligned([("moment", "live", "whole"), *rows])


def left_out(tried: dict[Trial, list[Moment]], kinds: Iterable[str]) -> str:
    """What a copy of each file system shows of each sync that is left out; ``-`` where nothing."""
    rows: list[tuple[str, ...]] = [("without the sync of", "on", EXIT, LATER)]
    for words, pattern in SYNCS.items():
        for kind in kinds:
            moments = {
                moment.name: moment
                for moment in tried[Trial(kind, "deploy", pattern, during=False)]
            }
            rows.append((words, kind, _shown(moments[EXIT]), _shown(moments[LATER])))
    return _aligned(rows)


def _shown(moment: Moment) -> str:
    return f"{moment.live}: {moment.problems[0]}" if moment.problems else "-"


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
