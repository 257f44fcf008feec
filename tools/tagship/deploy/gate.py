"""The gate of a model: whether what is live does its work, asked by the operator's own means.

It is measured after the switch, without a lock: ``of`` attempts within ``watch`` seconds, the last
one as they end. A verdict needs an answer: what could not be asked is no failure.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from tagship.disk import program
from tagship.disk.program import NotStarted
from tagship.text import escape, redact, words
from tagship.workspace.gates import Gate, Http, Share

TEMPORARY = 75  # sysexits.h: EX_TEMPFAIL
STEP = 0.2  # seconds between two looks at whether it is still live


class Verdict(Enum):
    """What a gate says of a version, or one attempt."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not measured"  # nobody answered: nothing is known
    ENDED = "ended"  # another version is live by now: nobody needs a verdict


@dataclass(frozen=True)
class Subject:
    """What is measured: a version that is live.

    Attributes:
        model, version, tag, commit: its own.
        directory: of the version, without a link.
        root: the folder of the host: ``tagship current`` reads it there.
    """

    model: str
    version: str
    tag: str
    commit: str
    directory: Path
    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a program is told."""
        values = (self.model, self.version, self.tag, str(self.directory), str(self.root))
        names = ("MODEL", "VERSION", "TAG", "DIRECTORY", "ROOT")
        return {f"TAGSHIP_{name}": value for name, value in zip(names, values, strict=True)}


@dataclass(frozen=True)
class Attempt:
    """One attempt; ``reason``: why it did not pass, empty if it did."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Measured:
    """What a gate says, and why, in words."""

    verdict: Verdict
    reason: str
    attempts: tuple[Attempt, ...] = ()


class Clock(Protocol):
    """Seconds that only go on, and how to wait."""

    def monotonic(self) -> float:
        """The seconds since some moment."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


def measure(
    gate: Gate, subject: Subject, is_still_live: Callable[[], bool], clock: Clock = time
) -> Measured:
    """Watch what is live.

    The attempts are spread evenly over ``watch`` seconds, the last one as they end. It fails as
    soon as so many failed that too few can pass. It passes at the end, if enough passed and the
    last one did: a server that fell silent meanwhile has no verdict.

    Args:
        gate: how it is checked.
        subject: what is live.
        is_still_live: whether it is, by the link; once it is not, the watch ends without a verdict.
        clock: for tests.
    """
    began = clock.monotonic()
    attempts: list[Attempt] = []
    for number in range(1, gate.passes.of + 1):
        _wait(clock, began + gate.watch * number / gate.passes.of, is_still_live)
        attempt = _attempt(gate, subject, is_still_live) if is_still_live() else None
        if attempt is None or not is_still_live():
            return Measured(Verdict.ENDED, "another version is live by now", tuple(attempts))
        attempts.append(attempt)
        if _count(attempts, Verdict.FAILED) > gate.passes.of - gate.passes.need:
            break
    return _judge(gate.passes, tuple(attempts))


def _wait(clock: Clock, end: float, is_still_live: Callable[[], bool]) -> None:
    while (left := end - clock.monotonic()) > 0 and is_still_live():
        clock.sleep(min(STEP, left))


def _judge(passes: Share, attempts: tuple[Attempt, ...]) -> Measured:
    """The verdict of all attempts. Pure."""
    passed, failed = _count(attempts, Verdict.PASSED), _count(attempts, Verdict.FAILED)
    tried = words.count(len(attempts), "attempt")
    if failed > passes.of - passes.need:
        why = _last(attempts, Verdict.FAILED)
        return Measured(Verdict.FAILED, f"{failed} of {tried} failed: {why}", attempts)
    if passed >= passes.need and attempts[-1].verdict is Verdict.PASSED:
        return Measured(Verdict.PASSED, f"{passed} of {tried} passed", attempts)
    why = _last(attempts, Verdict.NOT_MEASURED) or _last(attempts, Verdict.FAILED)
    what = f"{passed} of {tried} passed"
    if passed >= passes.need:
        what, why = f"{what}, but not the last one", attempts[-1].reason
    return Measured(Verdict.NOT_MEASURED, f"{what}: {why}", attempts)


def _count(attempts: "list[Attempt] | tuple[Attempt, ...]", verdict: Verdict) -> int:
    return sum(attempt.verdict is verdict for attempt in attempts)


def _last(attempts: tuple[Attempt, ...], verdict: Verdict) -> str:
    return next((each.reason for each in reversed(attempts) if each.verdict is verdict), "")


def _attempt(gate: Gate, subject: Subject, is_needed: Callable[[], bool]) -> Attempt:
    """One attempt. A failure of either is one, though the other could not be measured."""
    attempt = Attempt(Verdict.PASSED)
    if gate.http is not None:
        attempt = _ask(gate.http, subject, gate.timeout, is_needed)
    if gate.command is None or attempt.verdict is Verdict.FAILED:
        return attempt
    other = _run(gate.command, subject, gate.timeout, is_needed)
    has_passed = attempt.verdict is Verdict.PASSED
    return other if has_passed or other.verdict is Verdict.FAILED else attempt


def _ask(http: Http, subject: Subject, seconds: float, is_needed: Callable[[], bool]) -> Attempt:
    from tagship.deploy import http_check  # imports http.client: only where there is a page

    url = redact.text(http.url)
    try:
        answer = http_check.get(http.url, seconds, is_needed)
    except http_check.NoAnswer as error:
        return Attempt(Verdict.NOT_MEASURED, f"{url}: {error}")
    except http_check.WrongAnswer as error:
        return Attempt(Verdict.FAILED, f"{url}: {error}")
    if answer.status != http.status:
        return Attempt(Verdict.FAILED, f"{url} answers {answer.status}, and not {http.status}")
    wrong = _differs(http, subject, answer.body)
    return Attempt(Verdict.FAILED, f"{url}: {wrong}") if wrong else Attempt(Verdict.PASSED)


def _differs(http: Http, subject: Subject, body: bytes) -> str:
    """What an answer says otherwise than what is live; empty if nothing. Pure."""
    if not http.json:
        return ""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return "the answer is no JSON"
    for fact, name in http.json.items():
        value, expected = _field(answer, name), getattr(subject, fact)
        if value is None:
            return f"the answer has no {escape.line(name)}"
        if value != expected:
            return f"{escape.line(name)} is {_shown(value)}, and not {expected}"
    return ""


def _field(value: Any, name: str) -> Any:
    """A field of a JSON object: of this very name, or of an object in it."""
    if isinstance(value, Mapping) and name in value:
        return value[name]
    outer, dot, inner = name.partition(".")
    return (
        _field(value[outer], inner)
        if dot and isinstance(value, Mapping) and outer in value
        else None
    )


def _shown(value: Any) -> str:
    """A value that somebody else sent, for people."""
    text = escape.line(redact.text(value if isinstance(value, str) else json.dumps(value)))
    return text if len(text) <= 100 else text[:99] + "…"


def _run(
    command: tuple[str, ...], subject: Subject, seconds: float, is_needed: Callable[[], bool]
) -> Attempt:
    name = escape.line(redact.text(command[0]))
    try:
        environment = program.clean(subject.environment)
        ended = program.run(command, seconds, environment, is_needed=is_needed)
    except NotStarted as error:
        return Attempt(Verdict.NOT_MEASURED, error.message)
    said = f": {ended.last}" if ended.last else ""
    if ended.code == 0:
        return Attempt(Verdict.PASSED)
    if ended.code is None:
        return Attempt(Verdict.NOT_MEASURED, f"{name} took longer than {seconds:g} s{said}")
    if ended.code == TEMPORARY:
        return Attempt(Verdict.NOT_MEASURED, f"{name} could not measure{said}")
    how = f"exited with {ended.code}" if ended.code > 0 else f"was ended by signal {-ended.code}"
    return Attempt(Verdict.FAILED, f"{name} {how}{said}")
