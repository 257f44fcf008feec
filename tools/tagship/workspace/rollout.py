"""Staged rollout: which hosts take a version first, and when the others follow. Pure.

It is part of the commit that is tagged, so who signs the release signs it too. There is no
coordinator: each host works out its own step from its name and the tag, and its own time from the
date of the tag and when it saw it first. What other hosts say of themselves only delays: it never
chooses a version.
"""

import hashlib
import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from fractions import Fraction
from typing import Any

from tagship.errors import Refused, TagshipError
from tagship.registry.project_files import PARAMS_FILE
from tagship.text import clock, escape, words
from tagship.text.table import Table

KEY = "tagship.rollout"
KEYS = ("canary", "hosts", "steps", "need", "brake")
PROGRAMS = ("after_switch", "command", "exec", "gate", "hook", "http", "notify", "program", "run",
            "script", "shell", "smoke_test", "url")  # fmt: skip
LONGEST = 365 * 86400.0  # seconds of a step
MOST_HOSTS, MOST_STEPS = 10_000, 100
SKEW = timedelta(days=1)  # that a date in the future counts for: a clock is wrong
PATIENCE = 3  # times the wait of a step, until a brake that cannot be read delays no more
SHOWN = 5  # hosts in a line
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
_COUNT = re.compile(r"([0-9]{1,5}) ([a-z]+)")


@dataclass(frozen=True)
class Said:
    """What the status object of a host says of one model, as far as a rollout asks.

    Attributes:
        host: its name.
        live: the id of the version's tag object that is live there; None where nothing is.
        is_healthy: it is in order, and its gate, if it has one, passed.
        failed: the ids of the tag objects that were tried there and taken back: of versions, and of
            the assignments of stages that selected them. See ``turns.failed``.
    """

    host: str
    live: str | None = None
    is_healthy: bool = False
    failed: frozenset[str] = frozenset()


Others = Callable[[str], tuple[Said, ...]]  # by model; raises Unavailable


def nobody_said(model: str) -> tuple[Said, ...]:  # noqa: ARG001 - an ``Others``
    """What the others say where this host reads no status objects."""
    return ()


@dataclass(frozen=True)
class Step:
    """A share of the hosts, of all of them, and how long after the beginning they follow."""

    share: Fraction
    after: timedelta


@dataclass(frozen=True)
class Rollout:
    """What ``rollout:`` says.

    Attributes:
        steps: each with a higher share; the last one is all of the hosts.
        canary: the hosts that go first, by name.
        hosts: the names of all hosts; empty where the host itself knows them.
        need: how many hosts of the steps before have to be live and healthy; 0 for none.
        brake: how many hosts that took the version back stop the rest; 0 for none does.
    """

    steps: tuple[Step, ...]
    canary: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    need: int = 0
    brake: int = 1


# --- read


def parse(value: object, file: str = PARAMS_FILE) -> Rollout:
    """What is under ``rollout:`` of a params.yaml.

    Args:
        value: as YAML has it.
        file: where it stands, for errors.

    Raises:
        Refused: an unknown key, a program, or a value that may not be.
    """
    _check_no_program(value, file)
    table = Table.of(value, KEY, file, KEYS)
    canary, hosts = _names(table, "canary"), _names(table, "hosts")
    strangers = [name for name in canary if hosts and name not in hosts]
    if strangers:
        hint = f"{strangers[0]} is not among the hosts: a canary is one of them"
        raise table.wrong("canary", hint)
    steps = _steps(table)
    need = 0 if "need" not in table.values else _count(table, "need", "healthy")
    is_off = table.values.get("brake") in (False, "off")  # off is false in YAML 1.1
    brake = 1 if "brake" not in table.values else 0 if is_off else _count(table, "brake", "failed")
    return Rollout(steps, canary, hosts, need, brake)


def _check_no_program(value: object, file: str) -> None:
    """Refuse what would run something on the hosts: only their operators may ask for that."""
    steps = value.get("steps") if isinstance(value, Mapping) else None
    for each in (value, *(steps if isinstance(steps, list) else ())):
        named = [key for key in each if key in PROGRAMS] if isinstance(each, Mapping) else []
        if named:
            what = f"{KEY} in {file} has {named[0]!r}: a rollout names no program and no address"
            raise Refused(what, "tagship.toml of each host names those: see docs/gates.md")


def _names(table: Table, key: str) -> tuple[str, ...]:
    names = table.values.get(key, [])
    if not isinstance(names, list) or len(names) > MOST_HOSTS or not all(map(_is_name, names)):
        raise table.wrong(key, 'give a list of names of hosts, in quotes: ["edge-1", "edge-7"]')
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise table.wrong(key, f"{twice} is there twice")
    return tuple(names)


def _is_name(value: object) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        return False
    return value.isprintable() and value == value.strip()


def _steps(table: Table) -> tuple[Step, ...]:
    given = table.values.get("steps")
    hint = "give a list: [{share: 10%, after: 1h}, {share: 100%, after: 4h}]"
    if not isinstance(given, list) or not 0 < len(given) <= MOST_STEPS:
        raise table.wrong("steps", hint)
    steps = [_step(each, f"{KEY}.steps[{index}]", table.file) for index, each in enumerate(given)]
    for before, after in itertools.pairwise(steps):
        if before.share >= after.share or before.after > after.after:
            raise table.wrong("steps", "each step has a higher share, and comes no earlier")
    if steps[-1].share != 1:
        raise table.wrong("steps", "the last step has the share 100%: else hosts never follow")
    return tuple(steps)


def _step(value: object, key: str, file: str) -> Step:
    table = Table.of(value, key, file, ("share", "after"))
    share = _SHARE.fullmatch(str(table.values.get("share")))
    if share is None or not 0 < Fraction(share[1]) <= 100:
        raise table.wrong("share", "give a share of the hosts: 10%")
    after = table.values.get("after")
    seconds = words.seconds_in(after) if isinstance(after, str) or after == 0 else None
    if seconds is None or isinstance(after, bool) or seconds > LONGEST:
        raise table.wrong("after", "give a time with its unit, since the tag: 0s, 30m, 4h, 2d")
    return Step(Fraction(share[1]) / 100, timedelta(seconds=seconds))


def _count(table: Table, key: str, noun: str) -> int:
    match = _COUNT.fullmatch(str(table.values[key]))
    if match is None or match[2] != noun or int(match[1]) < 1:
        raise table.wrong(key, f"give a number of hosts and the word: 2 {noun}")
    return int(match[1])


# --- rank


def ordered(rollout: Rollout, tag_object: str, names: Iterable[str]) -> tuple[str, ...]:
    """All hosts in their order: the canaries, then the others in one that each tag shuffles.

    Args:
        rollout: names the canaries.
        tag_object: the id of the tag that makes the version desired.
        names: of the hosts.
    """
    rest = set(names).difference(rollout.canary)
    return (*rollout.canary, *sorted(rest, key=lambda name: (_digest(tag_object, name), name)))


def _digest(tag_object: str, name: str) -> bytes:
    return hashlib.sha256(f"{tag_object}\0{name}".encode(errors="surrogatepass")).digest()


def stages(rollout: Rollout, hosts: int) -> list[tuple[timedelta, int]]:
    """Each step: how long after the beginning, and how many hosts it and those before it have."""
    shares = [(step.after, math.ceil(step.share * hosts)) for step in rollout.steps]
    return [(timedelta(0), len(rollout.canary)), *shares] if rollout.canary else shares


def begins(tagged_at: datetime, first_seen: datetime, now: datetime) -> datetime:
    """When a rollout began: the later one of the tag's date, and of when it was seen here first.

    So a tag with an old date shortens nothing, and a host that was off is late. A date in the
    future is that of a clock that is wrong: it counts for a day at most, so that it does not delay
    for ever. Seen in the future: the clock here was set back, and it begins now.
    """
    seen = min(first_seen, now)
    return max(seen, tagged_at if tagged_at <= now else min(tagged_at, seen + SKEW))


# --- whose turn it is


class Kind(Enum):
    """Whether it is a host's turn."""

    GO = "go"
    CLOCK = "clock"  # its time has not come
    HEALTHY = "healthy"  # too few of the hosts before it are live and healthy
    BRAKED = "braked"  # hosts took it back
    UNREAD = "unread"  # what the others say cannot be read
    WRONG = "wrong"  # nobody can tell: the rollout is no valid one, or is not here
    NOTED = "noted"  # what the last pass found, in its words


@dataclass(frozen=True)
class Turn:
    """Whether it is a host's turn, and what it waits for.

    Attributes:
        kind: what it waits for.
        step, steps: the number of its step, from 1, and how many there are.
        until: when its turn comes, where that is known.
        hosts: that took it back; or that are not live and healthy yet.
        what: why something could not be read, or is wrong; or what the last pass found.
        since: since when it waits for that, as ``clock.stamp`` has it; empty where that is unknown.
    """

    kind: Kind
    step: int = 1
    steps: int = 1
    until: datetime | None = None
    hosts: tuple[str, ...] = ()
    what: str = ""
    since: str = ""

    @property
    def goes(self) -> bool:
        """Whether it may go now."""
        return self.kind is Kind.GO


@dataclass(frozen=True)
class Wish:
    """The version that a host would deploy, if it is its turn.

    Attributes:
        model: its name.
        version_tag: the id of the version's tag object.
        by: the id of the tag object that makes it desired: of the stage's assignment, or the same.
        tagged_at: the date of that one.
        first_seen: when it was seen here first.
    """

    model: str
    version_tag: str
    by: str
    tagged_at: datetime
    first_seen: datetime


def turn(
    rollout: Rollout, wish: Wish, host: str, roster: Sequence[str], now: datetime, others: Others
) -> Turn:
    """Whether it is a host's turn. Pure but for ``others``, which is asked only where it matters.

    Args:
        rollout: of the commit of the version.
        wish: the version.
        host: the name of this host. One that is in no roster is in the last step.
        roster: the names of all hosts, as this host has them; those of the rollout come first.
        now: the time.
        others: what the hosts say of themselves. Their names are the roster, where there is none.
    """
    heard = _Heard(others, wish.model)
    names = rollout.hosts or tuple(roster) or _speakers(heard.said, host)
    order = ordered(rollout, wish.by, names)
    steps = stages(rollout, len(order))
    index = order.index(host) if host in order else len(order)
    number = next((n for n, (_, count) in enumerate(steps) if index < count), len(steps) - 1)
    after, begun = steps[number][0], begins(wish.tagged_at, wish.first_seen, now)
    mine = Turn(Kind.GO, number + 1, len(steps))
    if after and now < begun + after:
        return replace(mine, kind=Kind.CLOCK, until=begun + after)
    if stop := _braked(rollout, wish, heard) or _too_few(
        rollout, wish, heard, order[: steps[number - 1][1]] if number else ()
    ):
        return replace(mine, kind=stop.kind, hosts=stop.hosts, what=stop.what)
    latest = begun + PATIENCE * after
    if rollout.brake and heard.why and now < latest:
        return replace(mine, kind=Kind.UNREAD, until=latest, what=heard.why)
    return mine


def _braked(rollout: Rollout, wish: Wish, heard: "_Heard") -> Turn | None:
    """The brake, where enough hosts took the version back."""
    if not rollout.brake:
        return None
    hosts = {each.host for each in heard.said if wish.by in each.failed}
    is_enough = len(hosts) >= rollout.brake
    return Turn(Kind.BRAKED, hosts=tuple(sorted(hosts))) if is_enough else None


def _too_few(rollout: Rollout, wish: Wish, heard: "_Heard", before: Sequence[str]) -> Turn | None:
    """The wait for hosts of the steps before, where too few of them are live and healthy."""
    need = min(rollout.need, len(before))
    if not need:
        return None
    good = {each.host for each in heard.said if _is_good(each, wish)}
    missing = tuple(name for name in before if name not in good)
    if len(before) - len(missing) >= need:
        return None
    return Turn(Kind.UNREAD if heard.why else Kind.HEALTHY, hosts=missing, what=heard.why)


def _is_good(said: Said, wish: Wish) -> bool:
    return said.live == wish.version_tag and said.is_healthy


def _speakers(said: Iterable[Said], host: str) -> tuple[str, ...]:
    """The hosts that speak, and this one; none where no other one does: it may be one of many."""
    names = {each.host for each in said}
    return tuple(sorted(names | {host})) if names - {host} else ()


class _Heard:
    """What the others say, asked once, when it is first needed."""

    def __init__(self, others: Others, model: str) -> None:
        self._others, self._model = others, model
        self._said: tuple[Said, ...] | None = None
        self._why = ""

    @property
    def said(self) -> tuple[Said, ...]:
        """Nothing, where it cannot be read."""
        if self._said is None:
            try:
                self._said = self._others(self._model)
            except TagshipError as error:
                self._said, self._why = (), error.message
        return self._said

    @property
    def why(self) -> str:
        """Why it cannot be read."""
        return self._why


# --- in words


def in_words(turn: Turn, model: str, version: str) -> str:
    """What a version waits for, and how it goes on."""
    if turn.kind is Kind.NOTED:
        return turn.what
    which = f"{version} waits for its turn (step {turn.step} of {turn.steps})"
    since = f"since {words.moment(turn.since)} UTC" if turn.since else ""
    from_then, seen_here = (f", {since}", f", seen here {since}") if since else ("", "")
    anyway = f"release the next one, or on this host: tagship deploy {model}@{version}"
    if turn.kind is Kind.CLOCK and turn.until is not None:
        return f"{which} until {words.moment(clock.stamp(turn.until))} UTC"
    if turn.kind is Kind.BRAKED:
        by = f"braked by {_listed(turn.hosts)}, which took it back{seen_here}"
        return f"{version} is {by}: withdraw it, {anyway}"
    if turn.kind is Kind.WRONG:
        return f"{version} waits{from_then}: {turn.what}; {anyway}"
    if turn.kind is Kind.HEALTHY:
        return f"{which}{from_then}: not live and healthy yet on {_listed(turn.hosts)}; {anyway}"
    until = f" until {words.moment(clock.stamp(turn.until))} UTC at most" if turn.until else ""
    return f"{which}{until}: the status of the other hosts cannot be read: {turn.what}"


def _listed(hosts: Sequence[str]) -> str:
    shown = ", ".join(escape.line(name[:64]) for name in hosts[:SHOWN])  # anybody's words
    return f"{shown} and {len(hosts) - SHOWN} more" if len(hosts) > SHOWN else shown


def plain(rollout: Rollout) -> dict[str, Any]:
    """A rollout as JSON values, in the words of the file."""
    values: dict[str, Any] = {
        "canary": list(rollout.canary),
        "hosts": list(rollout.hosts),
        "steps": [
            {"share": _percent(step.share), "after": words.duration(step.after.total_seconds())}
            for step in rollout.steps
        ],
        "need": f"{rollout.need} healthy" if rollout.need else None,
        "brake": f"{rollout.brake} failed" if rollout.brake else "off",
    }
    return {key: value for key, value in values.items() if value}


def _percent(share: Fraction) -> str:
    """A share as it was written: without zeros at the end."""
    return f"{float(share * 100):.6f}".rstrip("0").rstrip(".") + "%"
