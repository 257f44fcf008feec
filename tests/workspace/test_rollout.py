"""A staged rollout: what may be written, whose turn it is, and whole fleets that keep its rules."""

import functools
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.errors import Refused, Unavailable
from tagship.host.history import Place
from tagship.registry.catalog import Release
from tagship.text import yaml
from tagship.text.table import shown
from tagship.workspace import rollout, step
from tagship.workspace.desired import Desired
from tagship.workspace.rollout import Kind, Rollout, Said, Turn, Wish
from tagship.workspace.step import Act, Facts, Live
from tests.workspace.test_desired import Story

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
V1, V2, ASSIGNED = "1" * 40, "2" * 40, "a" * 40
SHARES = "steps: [{share: 10%, after: 1h}, {share: 100%, after: 4h}]"


def read(text: str) -> Rollout:
    """A rollout as params.yaml has it."""
    return rollout.parse(yaml.parse(text.encode(), "params.yaml"))


def hosts(count: int) -> tuple[str, ...]:
    return tuple(f"edge-{number}" for number in range(1, count + 1))


# --- what may be written


def test_a_rollout_is_read() -> None:
    text = "canary: [edge-1, edge-7]\nhosts: [edge-1, edge-2, edge-7]\n" + SHARES
    plan = read(text + "\nneed: 2 healthy\nbrake: 3 failed")
    assert rollout.plain(plan) == {
        "canary": ["edge-1", "edge-7"],
        "hosts": ["edge-1", "edge-2", "edge-7"],
        "steps": [{"share": "10%", "after": "1h"}, {"share": "100%", "after": "4h"}],
        "need": "2 healthy",
        "brake": "3 failed",
    }
    assert rollout.parse(rollout.plain(plan)) == plan


SHARES_OF_ALL = st.lists(st.integers(1, 99_999_999), max_size=4, unique=True).map(sorted)
NAMES = st.lists(st.text("ab-1é. ", min_size=1).filter(lambda name: name == name.strip()),
                 max_size=4, unique=True)  # fmt: skip


@given(SHARES_OF_ALL, st.lists(st.integers(0, 10**8), min_size=5), NAMES, NAMES, st.integers(0, 99))
def test_what_is_shown_of_a_rollout_reads_back(
    millionths: list[int], seconds: list[int], canary: list[str], more: list[str], number: int
) -> None:
    shares = [Fraction(each, 10**8) for each in (*millionths, 10**8)]
    afters = [timedelta(seconds=each / 4) for each in sorted(seconds)]
    steps = tuple(map(rollout.Step, shares, afters[: len(shares)]))
    hosts = tuple(dict.fromkeys([*canary, *more])) if more else ()
    plan = Rollout(steps, tuple(canary), hosts, number, number)
    assert rollout.parse(rollout.plain(plan)) == plan


def test_a_host_that_took_it_back_stops_the_rest_unless_that_is_off() -> None:
    assert (read(SHARES).brake, read(SHARES).need) == (1, 0)
    for text in ("off", "'off'", "false"):
        plan = read(f"{SHARES}\nbrake: {text}")
        assert plan.brake == 0
        assert rollout.parse(rollout.plain(plan)) == plan


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (f"{SHARES}\nneeds: 2 healthy", "has an unknown key 'needs'", "did you mean need?"),
        ("steps: [{share: 100%, after: 1h, of: 3}]", "steps[0] in params.yaml has an unknown key",
         "there are: share, after"),
        ("canary: [a]", "tagship.rollout.steps in params.yaml is missing", "give a list"),
        ("steps: []", "steps in params.yaml may not be []", "give a list"),
        ("steps: 100%", "steps in params.yaml may not be '100%'", "give a list"),
        ("steps: [100%]", "steps[0] in params.yaml may not be '100%'", "write it as a table"),
        ("steps: [{after: 1h}]", "steps[0].share in params.yaml is missing", "10%"),
        ("steps: [{share: 1, after: 1h}]", "steps[0].share in params.yaml may not be 1", "10%"),
        ("steps: [{share: 101%, after: 1h}]", "may not be '101%'", "10%"),
        ("steps: [{share: 0%, after: 1h}]", "may not be '0%'", "10%"),
        ("steps: [{share: 100%}]", "steps[0].after in params.yaml is missing", "30m"),
        ("steps: [{share: 100%, after: 4}]", "after in params.yaml may not be 4", "its unit"),
        ("steps: [{share: 100%, after: -1h}]", "may not be '-1h'", "its unit"),
        ("steps: [{share: 100%, after: 999999d}]", "may not be '999999d'", "its unit"),
        ("steps: [{share: 100%, after: false}]", "may not be false", "its unit"),
        ("steps: [{share: 50%, after: 1h}]", "may not be", "the last step has the share 100%"),
        ("steps: [{share: 50%, after: 2h}, {share: 100%, after: 1h}]", "may not be", "no earlier"),
        ("steps: [{share: 100%, after: 1h}, {share: 100%, after: 2h}]", "may not be", "higher"),
        (f"canary: edge-1\n{SHARES}", "canary in params.yaml may not be 'edge-1'", "a list"),
        (f"canary: [1]\n{SHARES}", "canary in params.yaml may not be [1]", "in quotes"),
        (f"canary: [false]\n{SHARES}", "canary in params.yaml may not be [false]", "in quotes"),
        (f"canary: ['']\n{SHARES}", "may not be ['']", "in quotes"),
        (f'canary: ["a\\e[2J"]\n{SHARES}', "may not be ['a\\x1b[2J']", "in quotes"),
        (f"canary: [a, b, a]\n{SHARES}", "canary in params.yaml may not be", "a is there twice"),
        (f"canary: [a]\nhosts: [b]\n{SHARES}", "may not be ['a']", "a is not among the hosts"),
        (f"{SHARES}\nneed: 2", "need in params.yaml may not be 2", "2 healthy"),
        (f"{SHARES}\nneed: 0 healthy", "may not be '0 healthy'", "2 healthy"),
        (f"{SHARES}\nneed: 2 failed", "may not be '2 failed'", "2 healthy"),
        (f"{SHARES}\nbrake: 10%", "brake in params.yaml may not be '10%'", "2 failed"),
        (f"{SHARES}\nbrake: true", "brake in params.yaml may not be true", "2 failed"),
        # a repository asks for no program
        (f"{SHARES}\ncommand: [reboot]", "has 'command': a rollout names no program",
         "tagship.toml of each host"),
        (f"{SHARES}\ngate: {{http: 'http://x'}}", "has 'gate': a rollout names no program",
         "docs/gates.md"),
        ("steps: [{share: 100%, after: 1h, run: reboot}]", "has 'run': a rollout names no",
         "docs/gates.md"),
    ],
)  # fmt: skip
def test_a_wrong_rollout_is_refused_with_what_is_wrong(text: str, message: str, hint: str) -> None:
    with pytest.raises(Refused) as raised:
        read(text)
    assert message in raised.value.message
    assert hint in raised.value.hint


@pytest.mark.parametrize("value", [[], "slowly", 3, True])
def test_a_rollout_is_a_table(value: object) -> None:
    with pytest.raises(Refused) as raised:
        rollout.parse(value)
    assert raised.value.message == f"tagship.rollout in params.yaml may not be {shown(value)}"
    assert raised.value.hint == "write it as a table: canary, hosts, steps, need, brake"


def test_a_rollout_of_too_many_hosts_or_steps_is_refused() -> None:
    with pytest.raises(Refused):
        rollout.parse({"hosts": [f"h{n}" for n in range(10_001)], "steps": []})
    many = [{"share": f"{n}%", "after": "1h"} for n in range(1, 101)]
    assert len(rollout.parse({"steps": many}).steps) == 100
    with pytest.raises(Refused):
        rollout.parse({"steps": [{"share": "0.5%", "after": "1h"}, *many]})


# --- rank


def test_canaries_come_first_and_each_tag_shuffles_the_others() -> None:
    plan = replace(read(SHARES), canary=("edge-9", "edge-4"))
    order = rollout.ordered(plan, V1, hosts(10))
    assert order[:2] == ("edge-9", "edge-4")
    assert set(order) == set(hosts(10))
    assert order == rollout.ordered(plan, V1, reversed(hosts(10)))
    assert order != rollout.ordered(plan, V2, hosts(10))
    first = min(set(hosts(10)) - {"edge-9", "edge-4"},
                key=lambda name: hashlib.sha256(f"{V1}\0{name}".encode()).hexdigest())  # fmt: skip
    assert order[2] == first


@pytest.mark.parametrize(
    ("share", "count", "hosts_in_it"),
    [("10%", 10, 1), ("10%", 1, 1), ("10%", 11, 2), ("1%", 100, 1), ("0.1%", 100, 1),
     ("33.3%", 3, 1), ("33.4%", 3, 2), ("7%", 100, 7), ("29%", 100, 29)],
)  # fmt: skip
def test_a_share_is_rounded_up_so_no_step_is_empty(
    share: str, count: int, hosts_in_it: int
) -> None:
    plan = read(f"steps: [{{share: {share}, after: 1h}}, {{share: 100%, after: 4h}}]")
    assert [number for _, number in rollout.stages(plan, count)] == [hosts_in_it, count]


# --- the clock


@pytest.mark.parametrize(
    ("tagged", "seen", "now", "begins"),
    [
        (0, 0, 0, 0),
        (-9000, 0, 1, 0),  # a date that is set back shortens nothing
        (-30, 0, 9, 0),  # a host that was off is late, and not early
        (2, 0, 5, 2),  # the clock here was behind when it was seen
        (240, 0, 300, 240),  # ten days behind, and right by now
        (24, 0, 1, 24),  # the tag is dated a day ahead
        (90_000, 0, 1, 24),  # ten years ahead: a day is all that it delays
        (-1, 8760, 5, 5),  # it was seen in the future: the clock here was set back
        (90_000, 90_000, 0, 24),  # both
    ],
)
def test_a_rollout_begins_with_its_tag_and_when_that_was_seen(
    tagged: float, seen: float, now: float, begins: float
) -> None:
    begun = rollout.begins(NOON + tagged * HOUR, NOON + seen * HOUR, NOON + now * HOUR)
    assert (begun - NOON) / HOUR == begins


@pytest.mark.parametrize("hours", [-8760.0, -24.0, -1.0, 0.0, 1.0, 24.0, 87_600.0])
@pytest.mark.parametrize("here", [-240.0, -24.0, 0.0, 24.0])
def test_a_clock_that_is_wrong_makes_nothing_early_and_does_not_delay_for_ever(
    hours: float, here: float
) -> None:
    """The tag is made and seen at noon; both clocks are wrong by hours, and the wait is 4 h."""
    tagged, seen = NOON + hours * HOUR, NOON + here * HOUR
    waits = 0.0
    while rollout.begins(tagged, seen, seen + waits * HOUR) + 4 * HOUR > seen + waits * HOUR:
        waits += 1
    assert 4 <= waits <= 24 + 4 + 4


def test_a_clock_that_is_put_right_in_between_makes_nothing_early() -> None:
    seen = NOON - 240 * HOUR  # ten days behind
    assert rollout.begins(NOON, seen, NOON + 3 * HOUR) + 4 * HOUR == NOON + 4 * HOUR


# --- whose turn it is


def turn(
    plan: Rollout, host: str, hours: float, said: Any = (), *, roster: tuple[str, ...] = (),
    by: str = V2, tagged: datetime = NOON,
) -> Turn:  # fmt: skip
    """The turn of a host some hours after noon, when 2.0 was released."""
    wish = Wish("m", V2, by, tagged, NOON)
    others = said if callable(said) else lambda _: tuple(said)
    return rollout.turn(plan, wish, host, roster, NOON + hours * HOUR, others)


def kind(*arguments: Any, **how: Any) -> tuple[str, int]:
    found = turn(*arguments, **how)
    return found.kind.value, found.step


PLAN = read("canary: [edge-1]\nhosts: [edge-1, edge-2, edge-3, edge-4]\n"
            "steps: [{share: 50%, after: 1h}, {share: 100%, after: 4h}]")  # fmt: skip
FIRST, SECOND, LAST = "edge-1", *(
    rollout.ordered(PLAN, V2, PLAN.hosts)[index] for index in (1, 3)
)  # fmt: skip
FAILED = [Said("edge-1", V1, is_healthy=False, failed=frozenset({V2}))]
GOOD = [Said("edge-1", V2, is_healthy=True)]


def silent(model: str) -> tuple[Said, ...]:
    """A store that does not answer."""
    raise Unavailable(f"the store of {model} does not answer", "")


def never(model: str) -> tuple[Said, ...]:
    """It is not asked."""
    raise AssertionError(model)


def test_each_step_has_its_time() -> None:
    for host, step_, waits in ((FIRST, 1, 0), (SECOND, 2, 1), (LAST, 3, 4)):
        for hours in (0.0, 0.99, 1.0, 3.99, 4.0):
            expected = ("go" if hours >= waits else "clock", step_)
            assert kind(PLAN, host, hours) == expected, (host, hours)
    found = turn(PLAN, LAST, 0.5, never)
    assert (found.until, found.steps) == (NOON + 4 * HOUR, 3)
    assert rollout.in_words(found, "m", "2.0.0") == (
        "2.0.0 waits for its turn (step 3 of 3) until 2026-11-27 16:00:00 UTC"
    )


def test_a_host_in_no_roster_is_last() -> None:
    assert kind(PLAN, "edge-99", 3.9) == ("clock", 3)
    assert kind(PLAN, "edge-99", 4) == ("go", 3)
    assert kind(replace(PLAN, hosts=()), "edge-99", 3.9) == ("clock", 3)  # nobody knows of any
    alone = read(SHARES)
    assert kind(alone, "edge-1", 3.9) == ("clock", 2)
    own = [Said("edge-1", V1, is_healthy=True)]
    assert kind(alone, "edge-1", 3.9, own) == ("clock", 2)  # it may be one of many


def test_a_roster_is_that_of_the_rollout_or_of_the_host_or_of_the_status_objects() -> None:
    plan, names = read(SHARES), hosts(20)
    first = rollout.ordered(plan, V2, names)[0]
    said = [Said(name, V1, is_healthy=True) for name in names]
    assert kind(plan, first, 1, roster=names) == ("go", 1)
    assert kind(plan, first, 1, said) == ("go", 1)
    assert kind(plan, first, 1, [each for each in said if each.host != first]) == ("go", 1)
    mine = replace(plan, hosts=("other", first))
    place = rollout.ordered(mine, V2, mine.hosts).index(first)
    assert kind(mine, first, 1, said, roster=names) == (("go", 1), ("clock", 2))[place]


def test_two_hosts_of_one_name_have_one_turn() -> None:
    plan, names = read(SHARES), ("edge-1", *hosts(10))
    assert len(rollout.ordered(plan, V2, names)) == 10
    twice = [*FAILED, Said("edge-1", V2, is_healthy=True)]
    assert kind(PLAN, LAST, 4, twice) == ("braked", 3)  # one of them took it back


def test_who_took_it_back_stops_the_rest() -> None:
    for host in (SECOND, LAST):
        found = turn(PLAN, host, 99, FAILED)
        assert (found.kind, found.hosts) == (Kind.BRAKED, ("edge-1",))
    assert rollout.in_words(replace(found, since="2026-11-27T13:00:00Z"), "m", "2.0.0") == (
        "2.0.0 is braked by edge-1, which took it back, seen here since 2026-11-27 13:00:00 UTC:"
        " withdraw it, release the next one, or on this host: tagship deploy m@2.0.0"
    )
    assert turn(replace(PLAN, brake=2), LAST, 4, FAILED).goes
    two = [*FAILED, Said("stranger", None, failed=frozenset({V2}))]
    assert turn(replace(PLAN, brake=2), LAST, 4, two).hosts == ("edge-1", "stranger")
    assert turn(replace(PLAN, brake=0), LAST, 4, FAILED).goes
    assert turn(PLAN, LAST, 4, [Said("edge-1", V1, failed=frozenset({V1}))]).goes  # another one


def test_a_new_assignment_of_a_version_that_was_taken_back_is_a_new_start() -> None:
    assert turn(PLAN, SECOND, 99, FAILED, by=ASSIGNED).goes
    again = [Said("edge-1", V1, failed=frozenset({V2, ASSIGNED}))]
    assert kind(PLAN, FIRST, 0, again, by=ASSIGNED) == ("braked", 1)


def test_a_canary_that_is_off_delays_the_others_by_their_time_alone() -> None:
    off = [Said("edge-1", V1, is_healthy=True)]
    assert kind(PLAN, SECOND, 1, off) == ("go", 2)
    assert kind(PLAN, SECOND, 1) == ("go", 2)


def test_where_healthy_hosts_are_needed_those_that_are_missing_are_named() -> None:
    plan = replace(PLAN, need=2)
    assert turn(replace(plan, brake=0), FIRST, 0, never).goes  # nobody is before it
    found = turn(plan, SECOND, 1000)  # one is before it, so one is needed
    assert (found.kind, found.until, found.hosts) == (Kind.HEALTHY, None, ("edge-1",))
    assert rollout.in_words(found, "m", "2.0.0") == (
        "2.0.0 waits for its turn (step 2 of 3): not live and healthy yet on edge-1;"
        " release the next one, or on this host: tagship deploy m@2.0.0"
    )
    assert turn(plan, SECOND, 1, GOOD).goes
    assert turn(plan, LAST, 4, GOOD).hosts == (SECOND,)
    both = [*GOOD, Said(SECOND, V2, is_healthy=True)]
    assert turn(plan, LAST, 4, both).goes
    assert not turn(plan, LAST, 3.9, both).goes
    for bad in (
        Said(SECOND, V2),
        Said(SECOND, V1, is_healthy=True),
        Said("x", V2, is_healthy=True),
    ):
        assert turn(plan, LAST, 4, [*GOOD, bad]).hosts == (SECOND,)


def test_of_many_hosts_that_are_missing_some_are_named() -> None:
    found = Turn(Kind.HEALTHY, 2, 3, hosts=(*hosts(7), "x" * 500))
    text = rollout.in_words(found, "m", "2.0.0")
    assert "edge-1, edge-2, edge-3, edge-4, edge-5 and 3 more" in text
    forged = rollout.in_words(Turn(Kind.BRAKED, hosts=("a\x1b[2J\n" + "x" * 9999,)), "m", "2.0.0")
    assert forged.startswith("2.0.0 is braked by a\\x1b[2J xxx")
    assert len(forged) < 200


def test_a_brake_that_cannot_be_read_delays_by_three_times_the_wait() -> None:
    found = turn(PLAN, SECOND, 1, silent)
    assert (found.kind, found.until) == (Kind.UNREAD, NOON + 3 * HOUR)
    assert rollout.in_words(found, "m", "2.0.0") == (
        "2.0.0 waits for its turn (step 2 of 3) until 2026-11-27 15:00:00 UTC at most:"
        " the status of the other hosts cannot be read: the store of m does not answer"
    )
    assert turn(PLAN, SECOND, 3, silent).goes
    assert turn(PLAN, FIRST, 0, silent).goes  # nothing to wait for
    assert turn(replace(PLAN, brake=0), SECOND, 1, never).goes
    needy = turn(replace(PLAN, need=1), SECOND, 1000, silent)
    assert (needy.kind, needy.until) == (Kind.UNREAD, None)
    assert kind(read(SHARES), "edge-1", 2, silent) == ("clock", 2)  # no roster: it is last


# --- a hundred hosts


@functools.cache
def release(tag: str) -> Release:
    """A version; its tag has this id."""
    found = Story("t1.0 t2.0").known.releases[0 if tag == V1 else 1]
    return found._replace(tag=found.tag._replace(object_id=tag, at=NOON))


@dataclass
class Host:
    """A host of a fleet: what is live, and what it says of itself."""

    name: str
    live: str = V1
    since: datetime = NOON - 99 * HOUR
    first_seen: datetime | None = None
    went_at: datetime | None = None
    failed: set[str] = field(default_factory=set)


@dataclass
class Team:
    """A fleet that follows a release from noon on, by the step of each pass."""

    plan: Rollout | None
    hosts: list[Host]
    is_bad: bool = False
    shows_after: timedelta = timedelta(minutes=10)

    @property
    def ran(self) -> list[str]:
        """The hosts on which it ever was live."""
        return [host.name for host in self.hosts if host.went_at is not None]

    def said(self, now: datetime) -> tuple[Said, ...]:
        """What the hosts say of themselves."""
        return tuple(
            Said(host.name, host.live, now - host.since >= self.shows_after, frozenset(host.failed))
            for host in self.hosts
        )

    def turn(self, host: Host, now: datetime) -> Turn | None:
        """Its turn; None where nothing is staged."""
        if self.plan is None:
            return None
        assert host.first_seen is not None
        wish = Wish("m", V2, V2, NOON, host.first_seen)
        names = tuple(each.name for each in self.hosts)
        return rollout.turn(self.plan, wish, host.name, names, now, lambda _: self.said(now))

    def sync(self, host: Host, now: datetime) -> bool:
        """One pass; whether the version went live."""
        host.first_seen = host.first_seen or now
        if host.live == V2 and self.is_bad and now - host.since >= self.shows_after:
            host.failed.add(V2)
            host.live, host.since = V1, now
        wish = V1 if V2 in host.failed else V2
        live = Live(Place(str(release(host.live).version), "v"), host.live)
        turn = self.turn(host, now) if wish != host.live else None
        facts = Facts(Desired(release(wish)), now, live, turn=turn)
        if step.next_step(facts).act is not Act.DEPLOY:
            return False
        host.live, host.since, host.went_at = wish, now, now
        return True

    def go_on(self, until: datetime, dice: random.Random, each: float = 15) -> None:
        """Every host makes a pass every some minutes, each at a moment of its own."""
        due = [(NOON + timedelta(minutes=dice.uniform(0, each)), n) for n in range(len(self.hosts))]
        while (now := min(due))[0] <= until:
            due.remove(now)
            self.sync(self.hosts[now[1]], now[0])
            due.append((now[0] + timedelta(minutes=each), now[1]))


BY_RANK = read("steps: [{share: 1%, after: 0s}, {share: 10%, after: 1h}, {share: 100%, after: 4h}]")


@pytest.mark.parametrize(
    ("plan", "is_bad", "ran"),
    [
        (None, True, 100),  # all at once
        (BY_RANK, True, 1),
        (replace(BY_RANK, need=1), True, 1),
        (replace(BY_RANK, canary=("edge-7",)), True, 1),
        (replace(BY_RANK, brake=0), True, 100),
        (BY_RANK, False, 100),
        (replace(BY_RANK, need=3), False, 100),
    ],
)
def test_a_bad_release_runs_on_one_of_a_hundred_hosts(
    plan: Rollout | None, is_bad: bool, ran: int
) -> None:
    team = Team(plan, [Host(name) for name in hosts(100)], is_bad)
    team.go_on(NOON + 5 * HOUR, random.Random(1))
    assert len(team.ran) == ran
    assert {host.live for host in team.hosts} == {V1 if is_bad else V2}


# --- random fleets


def random_plan(dice: random.Random, names: tuple[str, ...]) -> Rollout:
    shares = sorted(dice.sample(range(1, 100), dice.randrange(4)))
    afters = sorted(dice.randrange(0, 12) for _ in (*shares, 100))
    steps = [{"share": f"{share}%", "after": f"{after}h"}
             for share, after in zip((*shares, 100), afters, strict=True)]  # fmt: skip
    canary = dice.sample(names, min(len(names), dice.randrange(3)))
    more = {"need": f"{dice.randrange(1, 4)} healthy"} if dice.random() < 0.5 else {}
    return rollout.parse({"canary": canary, "steps": steps, "brake": "1 failed", **more})


def waits_at_least(plan: Rollout, name: str, names: tuple[str, ...]) -> timedelta:
    """How long a host has to wait, in the plainest form: hosts are let in until a share is full."""
    places = {other: hashlib.sha256(f"{V2}\0{other}".encode()).hexdigest() for other in names}
    line = [*plan.canary, *sorted(set(names) - set(plan.canary), key=lambda other: places[other])]
    if name in plan.canary:
        return timedelta(0)
    for each in plan.steps:
        inside = 0
        while inside < each.share * len(names):
            inside += 1
        if name in line[:inside]:
            return each.after
    raise AssertionError(name)


@pytest.mark.parametrize("is_bad", [False, True])
def test_random_fleets_keep_the_rules(is_bad: bool) -> None:
    """Never before its turn; all have it in the end; a bad one stops where it is seen."""
    for seed in range(12):
        dice = random.Random(seed)
        names = hosts(dice.randrange(1, 25))
        plan = random_plan(dice, names)
        team = Team(plan, [Host(name) for name in names], is_bad)
        team.go_on(NOON + 14 * HOUR, dice, dice.choice((10, 12, 15)))
        for host in team.hosts:
            if host.went_at is not None and host.live == V2:
                assert host.first_seen is not None
                waited = host.since - host.first_seen
                assert waited >= waits_at_least(plan, host.name, names), (seed, host.name)
        if not is_bad:
            assert {host.live for host in team.hosts} == {V2}, seed
            continue
        first = [host.name for host in team.hosts
                 if waits_at_least(plan, host.name, names) < timedelta(minutes=30)]  # fmt: skip
        soonest = min(waits_at_least(plan, name, names) for name in names)
        together = [name for name in names if waits_at_least(plan, name, names) == soonest]
        assert set(team.ran) <= {*first, *together}, seed
        assert {host.live for host in team.hosts} == {V1}, seed


def test_going_back_is_never_staged() -> None:
    """Whatever a rollout says: a version that was live here, and what follows a withdrawal."""
    live, wish = Live(Place("2.0.0", "v"), V2, release(V2)), Desired(release(V1))
    for stop in Kind:
        for is_back, act in ((True, Act.DEPLOY), (False, Act.NOTHING)):
            facts = Facts(wish, NOON, live, turn=Turn(stop), is_way_back=is_back)
            expected = Act.DEPLOY if stop is Kind.GO else act
            assert step.next_step(facts).act is expected, (stop, is_back)
        assert (
            step.next_step(Facts(wish, NOON, live, turn=Turn(stop), is_forced=True)).act
            is Act.DEPLOY
        )


def test_others_is_what_a_status_place_gives() -> None:
    others: Callable[[str], tuple[Said, ...]] = rollout.nobody_said
    assert others("m") == ()
