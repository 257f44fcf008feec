"""Many random stories: ``python -m tests.machine``, or ``make crash-test``."""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.crash import cases
from tests.machine import world
from tests.machine.machine import Machine, with_templates

EXAMPLES = 10  # stories of a seed


def main() -> int:
    """Run stories until there were enough steps, or the time is over; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.machine", description=__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="at least so many")
    parser.add_argument("--seconds", type=int, default=1200, help="the time limit")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run")
    parser.add_argument("--length", type=int, default=40, help="steps of a story, at most")
    parser.add_argument("--as-found", action="store_true", help="do not look for a shorter story")
    chosen = parser.parse_args()
    phases = [Phase.generate] if chosen.as_found else [Phase.generate, Phase.shrink]
    seed = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    print(f"seed {seed}", flush=True)
    end = time.monotonic() + chosen.seconds
    with tempfile.TemporaryDirectory(prefix="machine-") as name, cases.sealed(Path(name)):
        templates = {
            auto: world.prepare(Path(name) / f"template-{auto}", auto=auto)
            for auto in (False, True)
        }
        round_ = 0
        while Machine.steps < chosen.steps and time.monotonic() < end:
            try:
                run(with_templates(templates), seed + round_, chosen.length, phases)
            except AssertionError as error:
                print(f"WRONG (again: --seed {seed + round_}): {error}")
                return 1
            round_ += 1
    time_over = f" of {chosen.steps}: the time is over" if Machine.steps < chosen.steps else ""
    used = sum(os.times()[:4])
    print(f"{Machine.steps} steps{time_over}, nothing wrong ({used:.0f} s of CPU)")
    return 0


def run(machine: type[Machine], seed: int, length: int, phases: list[Phase]) -> None:
    """Some stories of a seed; the shortest one that fails is told by its error."""
    machine._hypothesis_internal_use_seed = seed  # what hypothesis.seed sets
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=length, deadline=None, database=None,
            derandomize=False, phases=phases, verbosity=Verbosity.quiet, print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
