"""The table of bad answers, store by store: ``python -m tests.stores``.

It needs what ``make store-test`` installs. For each answer: how a deploy ended at each store, and
what it said.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

from tests.crash import cases
from tests.stores import answers, network, trials
from tests.stores.answers import Ends, Row
from tests.stores.places import PLACES, Place
from tests.stores.servers import Lacking
from tests.stores.trials import Outcome

Tried = dict[str, dict[str, Outcome]]  # by store and answer


def main() -> int:
    """Try each answer at each store; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.stores", description=__doc__)
    parser.add_argument("--store", action="append", choices=PLACES, help="not all stores")
    parser.add_argument("--answer", default="", help="those alone whose name has this in it")
    chosen = parser.parse_args()
    rows = [row for row in answers.TABLE if chosen.answer in row.name]
    network.leave()
    tried: Tried = {}
    with tempfile.TemporaryDirectory(prefix="stores-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with cases.sealed(folder):
            (folder / "prepared").mkdir()
            trials.prepare(folder / "prepared", large=True)
            for store in chosen.store or PLACES:
                begun = time.monotonic()
                try:
                    tried[store] = attempt(PLACES[store], folder, rows)
                except Lacking as error:
                    print(f"{store}: skipped, {error}")
                else:
                    print(f"{store}: {len(tried[store])} in {time.monotonic() - begun:.0f} s")
    wrong = show(rows, tried)
    print(f"{wrong} wrong; the metadata of a cloud was asked for {len(network.asked)} times")
    return 1 if wrong or network.asked else 0


def attempt(place: Place, folder: Path, rows: list[Row]) -> dict[str, Outcome]:
    """What came of each answer at a store."""
    (folder / place.name).mkdir()
    with trials.shop(place, folder / "prepared", folder / place.name) as shop:
        futures = shop.attempts([row for row in rows if place.scheme in row.kinds])
        return {name: future.result() for name, future in futures.items()}


def show(rows: list[Row], tried: Tried) -> int:
    """Print the table, then what was said; how many are wrong."""
    wrong = 0
    print("| answer | must be | " + " | ".join(tried) + " |")
    print("|---|---|" + "---|" * len(tried))
    for row in rows:
        cells = [cell(row, outcomes.get(row.name)) for outcomes in tried.values()]
        wrong += sum(text.startswith("WRONG") for text in cells)
        print(f"| {row.name} | {row.ends.value} | {' | '.join(cells)} |")
    for row in rows:
        for store, outcomes in tried.items():
            with contextlib.suppress(KeyError):
                detail(row, store, outcomes[row.name])
    return wrong


def cell(row: Row, outcome: Outcome | None) -> str:
    """How a deploy ended, after how many seconds, with how many megabytes sent."""
    if outcome is None:
        return "-"
    figures = f"{outcome.ran.seconds:.0f} s, {outcome.sent / 1e6:.1f} MB"
    mark = "WRONG: " if trials.complaints(row, outcome) else ""
    return f"{mark}{outcome.ends.value}, {figures}"


def detail(row: Row, store: str, outcome: Outcome) -> None:
    """Print what a refused deploy said, and what is wrong with it."""
    complaints = trials.complaints(row, outcome)
    if outcome.ends is Ends.REFUSED or complaints:
        print(f"\n{row.name}, {store}:")
    if outcome.ends is Ends.REFUSED:
        print(f"  error: {outcome.line('error')}\n  hint: {outcome.line('hint')}")
    for complaint in complaints:
        print(f"  WRONG: {complaint}")


if __name__ == "__main__":
    sys.exit(main())
