"""Engines that run: started as processes, asked over HTTP, swapped under load."""

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.serve import engines, judge, load
from tests.serve.judge import Verdict
from tests.serve.load import Answer, Plan
from tests.serve.swapping import Shipped, wait_for

EVERY = 0.3  # seconds from one swap to the next, at least
TOLERANCE = 1e-6  # of one number


def environment(engine: str, home: Path, **more: str) -> dict[str, str]:
    """What a process of an engine has in its environment: a home of its own, and its packages."""
    path = f"{engines.python_of(engine).parent}{os.pathsep}{os.environ['PATH']}"
    return {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", **more}


@contextlib.contextmanager
def process(
    command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until the block ends; then it and its group are ended."""
    with open(log, "wb") as words:
        running = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=words, stderr=words,
            start_new_session=True, env=dict(environment),
        )  # fmt: skip
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@dataclass(frozen=True)
class Reply:
    """Status and JSON of an answer; status 0 where nobody answers."""

    status: int
    value: Any = None


def ask(plan: Plan, path: str = "", body: bytes | None = None) -> Reply:
    """Send the first request of a plan; or another body, or GET another path."""
    data = None if path and body is None else (body or plan.bodies[0])
    url = f"http://{plan.host}:{plan.port}{path or plan.path}"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data, dict(plan.headers)), timeout=20
        ) as answer:
            return Reply(answer.status, _value(answer.read()))
    except urllib.error.HTTPError as error:
        return Reply(error.code, _value(error.read()))
    except OSError:
        return Reply(0)


def _value(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def version(plan: Plan) -> str | None:
    """The version that an answer names."""
    reply = ask(plan)
    named: str | None = reply.value["model_version"] if reply.status == 200 else None
    return named


@dataclass(frozen=True)
class Swapped:
    """What came of swaps under load.

    Attributes:
        lags: seconds from the moment before the link moved to the first answer of each version.
    """

    verdict: Verdict
    answers: Sequence[Answer]
    swaps: int
    lags: Sequence[float]

    def __str__(self) -> str:
        faults = self.verdict.faults or "no fault"
        lags = sorted(self.lags)
        lag = f"{lags[len(lags) // 2]:.3f} s, at most {lags[-1]:.3f} s" if lags else "-"
        return f"{self.swaps} swaps, {self.verdict.answers} answers, {faults}; first answer {lag}"


def swap(
    shipped: Shipped, plan: Plan, count: int, follow: Callable[[str], None] | None = None
) -> Swapped:
    """Swap under load, each time once the version before has answered.

    Args:
        follow: is told each version, where the server does not see it itself.
    """
    live = [(0.0, shipped.live())]
    with load.under(plan) as running:
        begun = time.monotonic()
        for each in shipped.swaps(count):
            live.append((begun, each))
            if follow is not None:
                follow(each)
            wait_for(lambda each=each: version(plan) == each)  # type: ignore[misc] # its default
            time.sleep(max(0.0, begun + EVERY - time.monotonic()))
            begun = time.monotonic()
        time.sleep(EVERY)  # for answers of the last one
    answers = judge.numbered(running.answers, live)
    verdict = judge.judge(answers, shipped.expected, TOLERANCE)
    ends = [[a.end for a in answers if a.version == name and a.end >= at] for at, name in live[1:]]
    lags = [min(each) - at for each, (at, _) in zip(ends, live[1:], strict=True) if each]
    return Swapped(verdict, answers, count, lags)


def late(swapped: Swapped) -> float:
    """The most seconds for which an older version went on answering after the newer one did."""
    first: dict[int, float] = {}  # end of the first answer, by generation
    newest = -1
    for answer in sorted(swapped.answers, key=lambda answer: answer.end):
        if answer.generation is not None and answer.generation > newest:
            newest = answer.generation
            first[newest] = answer.end
    return max((_late(answer, first) for answer in swapped.verdict.backwards), default=0.0)


def _late(answer: Answer, first: Mapping[int, float]) -> float:
    number = -1 if answer.generation is None else answer.generation
    return answer.begin - min(end for newer, end in first.items() if newer > number)
