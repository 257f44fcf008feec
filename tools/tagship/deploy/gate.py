"""The gate of a model: whether what is live does its work, asked by the operator's own means.

It is measured after the switch, without a lock: ``of`` attempts within ``watch`` seconds, the last
one as they end. A verdict needs an answer: what could not be asked is no failure.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from tagship.disk import program
from tagship.disk.program import NotStarted
from tagship.text import escape, redact, words
from tagship.text.table import Table

FACTS = ("model", "version", "tag", "commit")  # of what is live, that an answer may have to name
TEMPORARY = 75  # sysexits.h: EX_TEMPFAIL
STEP = 0.2  # seconds between two looks at whether it is still live
MOST = 1000  # attempts of a watch
DAY = 86400.0


class Verdict(Enum):
    """What a gate says of a version, or one attempt."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not measured"  # nobody answered: nothing is known
    ENDED = "ended"  # another version is live by now: nobody needs a verdict


@dataclass(frozen=True)
class Share:
    """``need`` attempts of ``of`` must pass."""

    need: int
    of: int

    def __str__(self) -> str:
        return f"{self.need} of {self.of}"


@dataclass(frozen=True)
class Http:
    """A page, and what it has to answer.

    Attributes:
        url: of ``http`` or ``https``; no redirect is followed.
        status: of the answer.
        json: fact (of ``FACTS``) to the field of the answer, a JSON object, that must be equal to
            it; ``model.version`` is the field ``version`` of the object ``model``.
    """

    url: str
    status: int = 200
    json: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """How a model is checked once it is live. With both, both must pass.

    Attributes:
        http: a page of the server.
        command: a program, by an absolute path, and its arguments. Exit code 0: it passes; 75: it
            could not measure; any other: it fails.
        timeout: seconds that each of them has in an attempt.
        passes: how many attempts must pass, of how many.
        watch: seconds over which the attempts are spread.
    """

    http: Http | None = None
    command: tuple[str, ...] | None = None
    timeout: float = 5.0
    passes: Share = Share(3, 5)
    watch: float = 60.0


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


def parse(value: object, key: str, file: str) -> Gate:
    """The gate in a table of tagship.toml. Pure.

    Args:
        value: as ``tomllib`` read it.
        key: of the table, such as ``follow.churn.gate``.
        file: where it stands, for errors.

    Raises:
        Refused: an unknown key, a value that may not be, or neither ``http`` nor ``command``.
    """
    table = Table.of(value, key, file, ("http", "command", "timeout", "pass", "watch"))
    http, command = _http(table), _command(table)
    if http is None and command is None:
        raise table.wrong("http", f"give {key} one of http and command, or both")
    return Gate(
        http, command,
        table.duration("timeout", Gate.timeout, shortest=0.1, longest=3600),
        _share(table),
        table.duration("watch", Gate.watch, shortest=0, longest=7 * DAY),
    )  # fmt: skip


def _http(table: Table) -> Http | None:
    if "http" not in table.values:
        return None
    value = table.values["http"]
    if isinstance(value, str):
        value = {"url": value}
    inner = Table.of(value, f"{table.key}.http", table.file, ("url", "status", "json"))
    status = inner.values.get("status", Http.status)
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        raise inner.wrong("status", "give a status of HTTP, such as 200")
    return Http(_url(inner), status, _fields(inner))


def _url(table: Table) -> str:
    url = table.values.get("url")
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        raise table.wrong("url", 'give an address: "http://127.0.0.1:8080/ready"')
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise table.wrong("url", 'give an address: "http://127.0.0.1:8080/ready"')
    if "@" in parts.netloc:
        hint = "without a user or a password: a page that needs one is asked by a command"
        raise table.wrong("url", hint)
    return url


def _fields(table: Table) -> dict[str, str]:
    given = Table.of(table.values.get("json", {}), f"{table.key}.json", table.file, FACTS)
    for fact, name in given.values.items():
        if not isinstance(name, str) or not name:
            raise given.wrong(fact, f'name the field that has it: {fact} = "model_{fact}"')
    return dict(given.values)


def _command(table: Table) -> tuple[str, ...] | None:
    if "command" not in table.values:
        return None
    given = table.values["command"]
    is_list = isinstance(given, list) and bool(given)
    if not is_list or not all(isinstance(word, str) and "\0" not in word for word in given):
        raise table.wrong("command", 'give a list of words: ["/usr/local/bin/check", "--fast"]')
    if not given[0].startswith("/"):
        raise table.wrong("command", "begin with the absolute path of the program; it is no shell")
    return tuple(given)


def _share(table: Table) -> Share:
    if "pass" not in table.values:
        return Gate.passes
    need, middle, of = str(table.values["pass"]).partition(" of ")
    if middle and all(text.isascii() and text.isdigit() and len(text) < 5 for text in (need, of)):
        share = Share(int(need), int(of))
        if 1 <= share.need <= share.of <= MOST:
            return share
    raise table.wrong("pass", f'give how many attempts must pass: "3 of 5", at most {MOST}')


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
