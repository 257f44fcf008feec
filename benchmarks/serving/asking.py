"""Ask a server as fast as it answers: with wrk, or with the tests' own load generator."""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import Failed
from tests.serve import load
from tests.serve.load import Plan

SCRIPT = Path(__file__).with_name("post.lua")


@dataclass(frozen=True)
class Asked:
    """What came: the seconds are those of all connections together.

    Attributes:
        p50, p99: of the seconds that an answer took.
    """

    requests: int
    seconds: float
    p50: float
    p99: float


def program() -> str:
    """Who asks."""
    return "wrk" if _wrk() else "the tests' load generator"


def ask(plan: Plan) -> Asked:
    """Ask until the time of a plan is up.

    Raises:
        Failed: a request failed.
    """
    return _by_wrk(wrk, plan) if (wrk := _wrk()) else _by_generator(plan)


def _wrk() -> str | None:
    return shutil.which("wrk")


def _by_wrk(wrk: str, plan: Plan) -> Asked:
    with tempfile.TemporaryDirectory() as name:
        bodies = Path(name, "bodies")
        bodies.write_bytes(b"".join(body + b"\n" for body in plan.bodies))
        result = subprocess.run(
            [wrk, "-t1", f"-c{plan.connections}", f"-d{plan.seconds:.0f}s", "-s", SCRIPT,
             f"http://{plan.host}:{plan.port}{plan.path}"],
            capture_output=True, text=True, check=False,
            env={**os.environ, "BENCH_BODIES": str(bodies)},
        )  # fmt: skip
    if result.returncode:
        raise Failed(result.stderr + result.stdout)
    value = json.loads(result.stdout.splitlines()[-1])
    if failed := value.pop("failed"):
        raise Failed(f"{failed} of {value['requests']} requests to {plan.path} failed")
    return Asked(**value)


def _by_generator(plan: Plan) -> Asked:
    answers = load.asked(plan)
    if failed := [answer for answer in answers if answer.status != 200]:
        raise Failed(f"{len(failed)} of {len(answers)} requests failed: {failed[0]}")
    took = sorted(answer.end - answer.begin for answer in answers)
    seconds = max(answer.end for answer in answers) - min(answer.begin for answer in answers)
    return Asked(
        len(answers),
        seconds,
        statistics.median(took),
        took[min(len(took) * 99 // 100, len(took) - 1)],
    )
