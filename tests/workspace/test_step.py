"""What a pass of sync does: a table of cases, and random stories that are held to its rules."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tagship.host import decisions, history, journal
from tagship.host.agent import Refusal
from tagship.host.history import Event
from tagship.registry.refs import TagName, Wanted
from tagship.text import clock
from tagship.workspace import desired, step
from tagship.workspace.rollout import Kind, Turn
from tagship.workspace.state import Reason, Why
from tagship.workspace.step import Act, Facts, Live, Retry, Step
from tests.workspace.test_desired import Story, long, short

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=50)


def live_of(story: Story, **how: Any) -> Live | None:
    ends = (e for e in reversed(story.events) if e.switched or e.undeployed or e.action == "reject")
    event = next(ends, None)
    if event is None or not event.switched or event.place is None:
        return None
    return Live(event.place, event.tag_object, story.known.get(event.place.version), **how)


def facts_of(story: Story, rule: str = "latest", *, force: bool = False, **how: Any) -> Facts:
    """The facts of a story; ``broken`` and ``is_watched`` are of what is live."""
    known, selector = story.known, Wanted.parse(rule, "m")
    wish = desired.desired(known, selector, story.decisions, retry=force)
    of_live = {name: how.pop(name) for name in ("broken", "is_watched") if name in how}
    live = live_of(story, **of_live)
    good = {place.version for place in history.good(story.events)}
    return replace(
        Facts(
            wish, NOW, live, step.chosen_by(known, selector, wish),
            is_way_back=step.is_way_back(wish, live.release if live else None, good),
            undeployed=decisions.undeployed(journal.past_of(story.events)),
            failed=desired.failure(known, story.decisions), is_forced=force,
        ),
        **how,
    )  # fmt: skip


def in_words(done: Step) -> str:
    version = short(str(done.release.version)) if done.release else ""
    return f"{done.act.value} {version}".strip()


CLOSED: dict[str, Any] = {"opens": LATER}
WAITS: dict[str, Any] = {"turn": Turn(Kind.CLOCK, 2, 3, LATER)}
BRAKED: dict[str, Any] = {"turn": Turn(Kind.BRAKED, 2, 3, hosts=("edge-1",))}
BROKEN: dict[str, Any] = {"broken": "it is gone"}
DRIFTED: dict[str, Any] = {"drifted": (Reason(Why.DRIFTED, "model.bin differs"),)}
UNWATCHED: dict[str, Any] = {"is_watched": False}


@pytest.mark.parametrize(
    ("story", "rule", "how", "act", "why"),
    [
        # nothing to follow, nothing to do
        ("", "latest", {}, "nothing", Why.IN_ORDER),
        ("t1.0 a", "latest", {}, "nothing", Why.IN_ORDER),
        ("t1.0", "#prod", {}, "nothing", Why.IN_ORDER),
        # something new
        ("t1.0", "latest", {}, "deploy 1.0", Why.BEHIND),
        ("t1.0 a t1.1", "latest", {}, "deploy 1.1", Why.BEHIND),
        ("t1.0 a t2.0", "1", {}, "nothing", Why.IN_ORDER),
        ("t1.0 #1.0 p t1.1", "#prod", {}, "nothing", Why.IN_ORDER),
        ("t1.0 #1.0 p t1.1 #1.1", "#prod", {}, "deploy 1.1", Why.BEHIND),
        # what a person undeployed stays away until a person deploys it
        ("t1.0 a U", "latest", {}, "nothing", Why.HELD),
        ("t1.0 a U t1.1", "latest", {}, "nothing", Why.HELD),
        ("t1.0 a U", "latest", {"force": True}, "deploy 1.0", Why.BEHIND),
        ("t1.0 a U d1.0 t1.1", "latest", {}, "deploy 1.1", Why.BEHIND),
        ("t1.0 a U f1.0 t1.1", "latest", {}, "nothing", Why.FAILED),
        # a window stops what is new, and nothing else
        ("t1.0", "latest", CLOSED, "nothing", Why.WAITING),
        ("t1.0 a t1.1", "latest", CLOSED, "nothing", Why.WAITING),
        ("t1.0 a", "latest", CLOSED, "nothing", Why.IN_ORDER),
        ("t1.0 a t1.1 a w1.1", "latest", CLOSED, "deploy 1.0", Why.BEHIND),
        ("t1.0 t1.1 a w1.1", "latest", CLOSED, "deploy 1.0", Why.BEHIND),  # never live here
        ("t1.0 #1.0 p t1.1 #1.1 p #1.0", "#prod", CLOSED, "deploy 1.0", Why.BEHIND),
        ("t1.0 t1.1 #1.1 p #1.0", "#prod", CLOSED, "nothing", Why.WAITING),
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0 #1.1", "#prod", CLOSED, "nothing", Why.WAITING),
        ("t1.0 a t1.1", "latest", {**CLOSED, "force": True}, "nothing", Why.WAITING),
        # a rollout stops what is new until it is this host's turn, and nothing else
        ("t1.0", "latest", WAITS, "nothing", Why.WAITING),
        ("t1.0 a t1.1", "latest", WAITS, "nothing", Why.WAITING),
        ("t1.0 a t1.1", "latest", BRAKED, "nothing", Why.WAITING),
        ("t1.0 a t1.1", "latest", {"turn": Turn(Kind.GO)}, "deploy 1.1", Why.BEHIND),
        ("t1.0 a t1.1", "latest", {"turn": Turn(Kind.WRONG)}, "nothing", Why.WAITING),
        ("t1.0 a t1.1", "latest", {**BRAKED, "force": True}, "deploy 1.1", Why.BEHIND),
        ("t1.0 a t1.1", "latest", {**WAITS, **CLOSED, "force": True}, "nothing", Why.WAITING),
        ("t1.0 a t1.1 a w1.1", "latest", BRAKED, "deploy 1.0", Why.BEHIND),
        ("t1.0 t1.1 a w1.1", "latest", BRAKED, "deploy 1.0", Why.BEHIND),
        ("t1.0 #1.0 p t1.1 #1.1 p #1.0", "#prod", BRAKED, "deploy 1.0", Why.BEHIND),
        ("t1.0 a t1.1 h", "latest", WAITS, "nothing", Why.HELD),
        ("t1.0 a t1.1 a w1.1 h", "latest", WAITS, "nothing", Why.HELD),
        ("t1.0 a t1.1", "latest", {**BROKEN, **WAITS}, "repair 1.0", Why.BROKEN),
        ("t1.0 a t1.1", "latest", {**UNWATCHED, **WAITS}, "watch 1.0", Why.WAITING),
        ("t1.0 a t1.1 x1.1", "latest", BRAKED, "nothing", Why.FAILED),
        # a hold stops everything
        ("t1.0 a h t1.1", "latest", {}, "nothing", Why.HELD),
        ("t1.0 a H t1.1", "latest", {}, "nothing", Why.HELD),
        ("t1.0 a t1.1 a w1.1 h", "latest", {}, "nothing", Why.HELD),
        ("t1.0 a h", "latest", UNWATCHED, "nothing", Why.HELD),
        ("t1.0 a h", "latest", BROKEN, "nothing", Why.BROKEN),
        ("t1.0 t1.1 d1.0", "latest", {}, "nothing", Why.HELD),
        ("t1.0 t1.1 d1.0", "1.1.0", {}, "nothing", Why.HELD),  # also a rule that is one version
        ("t1.0 a h t1.1", "latest", {"force": True}, "nothing", Why.HELD),
        # what was rolled back, or failed, is not tried again
        ("t1.0 a t1.1 a r1.0", "latest", {}, "nothing", Why.IN_ORDER),
        ("t1.0 a t1.1 a r1.0 t1.2", "latest", {}, "deploy 1.2", Why.BEHIND),
        ("t1.0 a t1.1 a r1.0", "latest", {"force": True}, "deploy 1.1", Why.BEHIND),
        ("t1.0 t1.1 d1.1 r1.0", "1.1.0", {}, "nothing", Why.BLOCKED),
        ("t1.0 a t1.1 x1.1", "1.1.0", {}, "nothing", Why.FAILED),
        ("t1.0 a t1.1 x1.1", "latest", {}, "nothing", Why.FAILED),
        ("t1.0 a t1.1 f1.1", "latest", {}, "nothing", Why.FAILED),
        ("t1.0 f1.0", "latest", {}, "nothing", Why.FAILED),
        ("t1.0 a t1.1 x1.1 t1.2", "latest", {}, "deploy 1.2", Why.FAILED),
        ("t1.0 a t1.1 x1.1 t1.2", "latest", CLOSED, "nothing", Why.FAILED),
        ("t1.0 #1.0 p t1.1 #1.1 f1.1", "#prod", {}, "nothing", Why.FAILED),
        # a broken one does not stay
        ("t1.0 a", "latest", BROKEN, "repair 1.0", Why.BROKEN),
        ("t1.0 a", "latest", {**BROKEN, **CLOSED}, "repair 1.0", Why.BROKEN),
        ("t1.0 a t1.1", "latest", BROKEN, "deploy 1.1", Why.BROKEN),
        ("t1.0 a t1.1", "latest", {**BROKEN, **CLOSED}, "repair 1.0", Why.BROKEN),
        ("t1.0 #1.0 p t1.1 #1.1 f1.1", "#prod", BROKEN, "repair 1.0", Why.BROKEN),
        ("t1.0 a w1.0", "latest", BROKEN, "nothing", Why.BROKEN),  # withdrawn, and nothing else
        ("t0.9 t1.0 a w1.0", "latest", {**BROKEN, **CLOSED}, "deploy 0.9", Why.BROKEN),
        # the gate of what is live has no verdict yet
        ("t1.0 a", "latest", UNWATCHED, "watch 1.0", Why.IN_ORDER),
        ("t1.0 a t1.1", "latest", {**UNWATCHED, **CLOSED}, "watch 1.0", Why.WAITING),
        ("t1.0 a t1.1", "latest", UNWATCHED, "deploy 1.1", Why.BEHIND),
        ("t1.0 a", "latest", {**UNWATCHED, **BROKEN}, "repair 1.0", Why.BROKEN),
        ("t1.0 a t1.1 x1.1", "latest", UNWATCHED, "watch 1.0", Why.FAILED),
        # nothing is ever undeployed
        ("t1.0 a w1.0", "latest", {}, "nothing", Why.DRIFTED),
        ("t1.0 #1.0 p #!", "#prod", {}, "nothing", Why.IN_ORDER),
        # what drifted is told
        ("t1.0 a", "latest", DRIFTED, "nothing", Why.DRIFTED),
    ],
)  # fmt: skip
def test_what_is_done_next(story: str, rule: str, how: dict[str, Any], act: str, why: Why) -> None:
    done = step.next_step(facts_of(Story(story), rule, **how))
    assert (in_words(done), done.why) == (act, why)


def test_what_waits_for_its_turn_says_until_when_or_why() -> None:
    story = Story("t1.0 a t1.1")
    done = step.next_step(facts_of(story, **WAITS))
    assert (done.until, done.reasons[-1].what) == (
        LATER, "1.1.0 waits for its turn (step 2 of 3) until 2026-11-27 12:50:00 UTC"
    )  # fmt: skip
    done = step.next_step(facts_of(story, **BRAKED))
    assert (done.until, done.reasons[-1].what) == (
        None,
        "1.1.0 is braked by edge-1, which took it back: withdraw it, release the next one, or"
        " on this host: tagship deploy m@1.1.0",
    )


def test_an_empty_list_of_tags_undeploys_nothing() -> None:
    story = Story("t1.0 t1.1 a")
    story.tags.clear()
    done = step.next_step(facts_of(story))
    assert (done.act, done.why) == (Act.NOTHING, Why.DRIFTED)
    assert done.reasons[0].what == (
        "1.1.0 is live, but its tag is not here, and there is no newer version"
    )
    assert step.next_step(facts_of(story, is_watched=False)).act is Act.WATCH
    assert step.next_step(facts_of(story, broken="it is gone")).act is Act.NOTHING


@pytest.mark.parametrize(
    ("name", "story", "rule", "act", "why"),
    [
        ("m@v1.1.0", "t1.0 a t1.1", "latest", "nothing", Why.REFUSED),
        ("m#prod#4", "t1.0 d1.0 t1.1 #1.1", "#prod", "nothing", Why.REFUSED),
        # that tag only; but it is told
        ("m@v1.0.0", "t1.0 a t1.1", "latest", "deploy 1.1", Why.REFUSED),
        ("m#prod#2", "t1.0 #1.0 p t1.1 #1.1", "#prod", "deploy 1.1", Why.REFUSED),
        ("m@v1.0.0", "t1.0 a", "latest", "nothing", Why.REFUSED),
    ],
)
def test_a_tag_that_was_moved_is_not_deployed(
    name: str, story: str, rule: str, act: str, why: Why
) -> None:
    tag = TagName.parse(name)
    assert tag is not None
    done = step.next_step(facts_of(Story(story), rule, moved={tag: "it was moved"}))
    assert (in_words(done), done.why) == (act, why)
    assert done.reasons[0].what == f"{name}: it was moved"


def test_a_version_whose_tag_is_another_one_than_was_deployed_is_refused() -> None:
    story = Story("t1.0 a")
    story.tags[0] = story.tags[0]._replace(object_id="f" * 40)
    done = step.next_step(facts_of(story))
    assert (done.act, done.why) == (Act.NOTHING, Why.REFUSED)
    assert done.reasons[-1].what == "the tag m@v1.0.0 was moved since it was deployed here"
    assert step.next_step(facts_of(story, broken="it is gone")).act is Act.NOTHING


def test_what_could_not_be_done_is_tried_again_later() -> None:
    story = Story("t1.0 a t1.1")
    done = step.next_step(facts_of(story, retry=later(story, "1.1")))
    assert (done.act, done.why, done.until) == (Act.NOTHING, Why.WAITING, LATER)
    assert done.reasons[-1].what == "1.1.0 waits until 2026-11-27 12:50:00 UTC: the store is down"
    assert act(story, retry=later(story, "1.1", NOW)) == "deploy 1.1"
    assert act(story, retry=later(story, "1.1"), force=True) == "deploy 1.1"
    assert act(story, retry=later(story, "1.1"), is_watched=False) == "watch 1.0"
    story.tell("t1.2")  # another version does not wait for it
    assert act(story, retry=later(story, "1.1")) == "deploy 1.2"


def test_a_gate_and_a_repair_are_tried_again_later_too() -> None:
    story = Story("t1.0 a")
    for how in (UNWATCHED, BROKEN):
        done = step.next_step(facts_of(story, retry=later(story, "1.0"), **how))
        assert (done.act, done.until) == (Act.NOTHING, LATER)
        assert Why.WAITING in [reason.why for reason in done.reasons]


def test_the_next_pass_is_when_the_window_opens_or_the_gate_is_asked_again() -> None:
    story, soon = Story("t1.0 a t1.1"), NOW + timedelta(minutes=2)
    assert step.next_step(facts_of(story, **CLOSED)).until == LATER
    done = step.next_step(facts_of(story, **CLOSED, **UNWATCHED, retry=later(story, "1.0", soon)))
    assert (done.act, done.until) == (Act.NOTHING, soon)


def later(story: Story, version: str, at: datetime = LATER) -> Retry:
    release = story.known.get(long(version))
    assert release is not None
    return Retry(release.tag.object_id, at, "the store is down")


def refusal(story: Story, version: str) -> Refusal:
    return Refusal(later(story, version).tag_object, "a policy", "the tag is not signed")


def test_what_is_not_accepted_is_not_tried_again_and_stops_no_other_tag() -> None:
    story = Story("t1.0 a t1.1")
    done = step.next_step(facts_of(story, refusal=refusal(story, "1.1")))
    assert (done.act, done.why, done.until) == (Act.NOTHING, Why.REFUSED, None)
    assert done.reasons[-1].what == "1.1.0 is not deployed: the tag is not signed"
    assert act(story, refusal=refusal(story, "1.0")) == "deploy 1.1"
    assert act(story, refusal=refusal(story, "1.1"), force=True) == "deploy 1.1"
    broken = Story("t1.0 a")
    done = step.next_step(facts_of(broken, broken="it is gone", refusal=refusal(broken, "1.0")))
    assert (done.act, done.why) == (Act.NOTHING, Why.BROKEN)


def act(story: Story, **how: Any) -> str:
    return in_words(step.next_step(facts_of(story, **how)))


def test_what_was_put_off_before_the_clock_was_set_back_is_not_waited_for() -> None:
    story = Story("t1.0 a t1.1")
    year = NOW + timedelta(days=365)
    assert act(story, retry=later(story, "1.1", year)) == "deploy 1.1"


def test_what_could_not_be_done_is_put_off_twice_as_long_each_time() -> None:
    retry, minutes = None, []
    for _ in range(9):
        retry = step.put_off("a", "the store is down", NOW, retry, 0.5)
        minutes.append((retry.at - NOW) / timedelta(minutes=1))
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert retry is not None
    assert retry.tries == 9
    for chance, seconds in ((0, 48), (0.5, 60), (1, 72)):  # another version begins anew
        other = step.put_off("b", "no disk", NOW, retry, chance)
        assert other == Retry("b", NOW + timedelta(seconds=seconds), "no disk")
    asked = step.put_off("b", "busy", NOW, None, 0.5, timedelta(minutes=10))
    assert asked.at == NOW + timedelta(minutes=10)
    assert step.put_off("b", "busy", NOW, None, 0.5, timedelta(days=9)).at == NOW + step.LONGEST
    many = replace(retry, tries=10**9)
    assert step.put_off("a", "busy", NOW, many, 1).at == NOW + step.LONGEST * 1.2


# --- random stories


RULES = ("latest", "latest", "1", "#prod", "#prod", "1.2.0")
PEOPLE = ("r", "r", "r", "R", "d", "d", "h", "H", "U", *["u"] * 8)
SOMETHING = ("t", "t", "t", "w", "#", "#", "#!")
OUTSIDE = ("window", "turn", "broken", "moved", *["settled"] * 3)


@dataclass
class Follower:
    """A host that follows a rule by passes of ``sync``, and what may not happen to it.

    What is forbidden is kept beside the code, in the plainest form: ids of tag objects, and whether
    anything came since the last rollback.
    """

    dice: random.Random
    rule: str
    story: Story = field(default_factory=Story)
    is_open: bool = True
    turn: Turn = Turn(Kind.GO)
    is_broken: bool = False
    is_watched: bool = True
    retry: Retry | None = None
    moved: dict[TagName, str] = field(default_factory=dict)
    is_asked_to_hold: bool = False
    left: set[str] = field(default_factory=set)  # not to be tried again, until it went live
    has_news: bool = True  # since the last rollback
    log: list[str] = field(default_factory=list)
    count: Counter[str] = field(default_factory=Counter)

    @property
    def live(self) -> str | None:
        """The version that is."""
        live = live_of(self.story)
        return live.place.version if live else None

    def check(self, holds: object, what: str) -> None:
        assert holds, f"{what}; rule {self.rule}: {' '.join(self.log)}"

    def go_on(self) -> None:
        """Something happens."""
        kinds = [*SOMETHING, *OUTSIDE]
        if self.story.known.releases:
            kinds += [*PEOPLE, *["sync"] * 8]
        kind = self.dice.choice(kinds)
        self.story.minutes += 1
        self.count["events"] += 1
        if kind == "sync":
            for _ in range(self.dice.choice((1, 1, 2, 4))):
                self.sync()
                self.story.minutes += 3
        elif kind in OUTSIDE:
            self._turn(kind)
        elif kind in PEOPLE:
            self._person(kind)
        else:
            self._tag(kind)

    def _note(self, word: str) -> None:
        self.log.append(word)
        self.count[word.split(":", maxsplit=1)[0].rstrip("0123456789.")] += 1

    def _turn(self, kind: str) -> None:
        if kind == "window":
            self.is_open = not self.is_open
        elif kind == "turn":
            self.turn = Turn(self.dice.choice((*[Kind.GO] * 9, *Kind)))
        elif kind == "broken":
            self.is_broken = self.live is not None
        elif kind == "settled":
            self.moved = {}
        elif self.story.tags:
            self.moved = {self.dice.choice(self.story.tags).name: "it was moved"}
        self._note(kind)

    def _tag(self, kind: str) -> None:
        known = self.story.known
        if kind == "t":
            fresh = [f"{major}.{minor}" for major in (1, 2) for minor in range(8)
                     if known.get(f"{major}.{minor}.0") is None]  # fmt: skip
            word = "t" + (self.dice.choice(fresh[:2]) if fresh else "")
        elif kind == "#!":
            word = "#!" if known.holder("prod") else ""
        else:
            offered = [short(str(release.version)) for release in known.offered]
            word = kind + self.dice.choice(offered) if offered else ""
        if len(word) > 1:
            self.story.tell(word)
            self.has_news = True
            self._note(word)

    def _person(self, kind: str) -> None:
        story = self.story
        offered = [short(str(release.version)) for release in story.known.offered]
        good = [place.version for place in history.good(story.events)]
        if kind in "rR":
            if self.live is None or len(good) < 2 or self.is_broken:
                return
            target = self.dice.choice(good[:-1])
            if target == self.live or story.known.get(target) is None:
                return
            before = story.known
            story.tell(kind + short(target))
            self._went_back(before, target)
            self.is_asked_to_hold |= kind == "R"
            word = kind + short(target)
        elif kind == "d":
            if not offered:
                return
            word = "d" + self.dice.choice(offered)
            story.tell(word)
            self._went_live()
        elif kind == "U":
            if self.live is None or self.dice.random() < 0.7:
                return
            story.tell("U")
            self.is_broken, word = False, "U"
        else:
            if kind == "u" and story.decisions.hold is None:
                return
            story.tell(kind)
            self.is_asked_to_hold, word = kind != "u", kind
        self.has_news = self.has_news or kind not in "rRhH"
        self._note(word)

    def _went_live(self) -> None:
        event = self.story.events[-1]
        self.left.discard(str(event.tag_object))
        self.is_broken, self.is_watched, self.retry = False, True, None

    def _went_back(self, known: Any, target: str) -> None:
        floor = known.get(target)
        above = [r.tag.object_id for r in known.releases if r.version > floor.version]
        self.left |= {*above, *(tag.object_id for tag in known.assignments.values())}
        self._went_live()
        self.has_news = False

    def facts(self) -> Facts:
        opens = None if self.is_open else self.story._now + timedelta(hours=1)
        return facts_of(
            self.story, self.rule, now=self.story._now, opens=opens, retry=self.retry,
            moved=self.moved, broken="it is gone" if self.is_broken else "",
            is_watched=self.is_watched, turn=self.turn,
        )  # fmt: skip

    def sync(self) -> None:
        """One pass: the rules, and then what comes of it."""
        facts, before = self.facts(), self.live
        done = step.next_step(facts)
        self._keeps_the_rules(facts, done)
        self._stays(facts, done)
        self._note(f"{done.act.value}:{in_words(done)}")
        self.count[f"state {done.why.value[0]}"] += 1
        if done.act is Act.DEPLOY:
            self._deploy(done)
        elif done.act is Act.REPAIR:
            self._repair(done)
        elif done.act is Act.WATCH:
            self._measure()
        if self.live is None and before is not None:
            rejected = self.story.events[-1].action == "reject"
            self.check(rejected, "it was undeployed")

    def _keeps_the_rules(self, facts: Facts, done: Step) -> None:
        story, live, release = self.story, facts.live, done.release
        known = story.known
        if self.is_asked_to_hold or story.decisions.hold is not None:
            self.check(done.act is Act.NOTHING, f"{in_words(done)} in a hold")
        ends = [event for event in story.events if event.switched or event.undeployed]
        if ends and ends[-1].undeployed:
            self.check(done.act is Act.NOTHING, f"{in_words(done)} after an undeploy")
        if done.act is Act.DEPLOY:
            assert release is not None
            version, tag = str(release.version), release.tag
            is_withdrawn = live is not None and live.release is not None and not live.release.active
            has_news = self.has_news or is_withdrawn or not self._went_back_before()
            self.check(has_news, f"{version} is no news")
            self.check(release.active, f"{version} is withdrawn")
            self.check(tag.name not in self.moved, f"{version} was moved")
            waits = self.retry is not None and self.retry.at > story._now
            self.check(not waits or self.retry.tag_object != tag.object_id,  # type: ignore[union-attr]
                       f"{version} is tried too soon")  # fmt: skip
            is_left = tag.object_id in self.left
            if self.rule == "#prod":
                assigned = known.assignments["prod"]
                is_left = assigned.object_id in self.left and is_left
                self.check(assigned.commit == release.commit, f"{version} has no stage")
            self.check(not is_left, f"{version} is blocked")
            if self.rule in ("latest", "1") and live is not None and live.release is not None:
                goes_up = release.version > live.release.version
                is_strange = not Wanted.parse(self.rule, "m").fits(live.release.version)
                self.check(goes_up or is_withdrawn or is_strange, f"down to {version}")
        self._keeps_its_time(facts, done)
        if done.act is Act.REPAIR:
            is_same = release is not None and str(release.version) == self.live
            self.check(self.is_broken and is_same, "another one is repaired")
        if self.is_broken and story.decisions.hold is None and live and live.release:
            waits = self.retry is not None and self.retry.at > story._now
            is_possible = live.release.active and live.release.tag.name not in self.moved
            if is_possible and not waits:
                self.check(done.act in (Act.REPAIR, Act.DEPLOY), "a broken one stays")

    def _keeps_its_time(self, facts: Facts, done: Step) -> None:
        """Nothing new outside of the window or before its turn; and what may go, goes."""
        story, wish, live = self.story, facts.wish.release, facts.live
        is_wish_live = step.is_live(facts.wish, live)
        if wish is None or facts.wish.hold or facts.undeployed or is_wish_live:
            return
        is_withdrawn = live is not None and live.release is not None and not live.release.active
        good = {place.version for place in history.good(story.events)}
        may_go = is_withdrawn or str(wish.version) in good  # going back is never staged
        for holds, what in ((self.is_open, "outside of the window"),
                            (self.turn.goes, "before its turn")):  # fmt: skip
            is_right = holds or may_go or done.act is not Act.DEPLOY
            self.check(is_right, f"{wish.version} {what}")
        waits = bool(self.moved) or (self.retry is not None and self.retry.at > story._now)
        if not waits and (may_go or (self.is_open and self.turn.goes)):
            self.check(done.act is Act.DEPLOY, f"{wish.version} waits for nothing")

    def _stays(self, facts: Facts, done: Step) -> None:
        """What is in order stays so, whatever the time: ``workspace.settled`` relies on it."""
        if done.act is not Act.NOTHING or any(r.why is not Why.IN_ORDER for r in done.reasons):
            return
        for hours in (1, 1000):
            later = facts.now + timedelta(hours=hours)
            for opens in (None, later + timedelta(hours=1)):
                then = replace(facts, now=later, opens=opens, retry=None)
                self.check(step.next_step(then) == done, "time alone changed it")

    def _went_back_before(self) -> bool:
        return any(event.action == "rollback" for event in self.story.events)

    def _event(self, version: str, **how: Any) -> Event:
        story, live = self.story, live_of(self.story)
        release = story.known.get(version)
        assert release is not None
        return replace(
            Event(len(story.events) + 1, str(story.minutes), clock.stamp(story._now), "deploy",
                  "succeeded", "m", version=version, directory=f"v{version}_{story.minutes}",
                  tag_object=release.tag.object_id, previous=live.place if live else None,
                  rule=self.rule),
            **how,
        )  # fmt: skip

    def _wait(self, tag_object: str) -> None:
        now, chance = self.story._now, self.dice.random()
        self.retry = step.put_off(tag_object, "down", now, self.retry, chance)

    def _deploy(self, done: Step) -> None:
        assert done.release is not None
        version, tag_object = str(done.release.version), done.release.tag.object_id
        outcome = self.dice.choice(("good", "good", "good", "smoke", "down"))
        self._note(outcome)
        if outcome == "down":
            self._wait(tag_object)
        elif outcome == "smoke":
            assigned = self.story.known.assigned(done.release)
            self.story.tell("f" + short(version))
            self.left |= {tag_object, *assigned}
        else:
            self.story.events.append(self._event(version))
            self._went_live()
            self._measure()
            if self.is_watched and self.live == version:
                again = step.next_step(self.facts())
                self.check(again.act is Act.NOTHING, f"{in_words(again)} after {version}")

    def _repair(self, done: Step) -> None:
        assert done.release is not None
        if self.dice.random() < 0.3:
            self._wait(done.release.tag.object_id)
        else:
            news, watched = self.has_news, self.is_watched
            self.story.events.append(self._event(str(done.release.version)))
            self._went_live()
            self.has_news, self.is_watched = news, watched

    def _measure(self) -> None:
        """The gate of what is live."""
        verdict = self.dice.choice(("passed", "passed", "failed", "unmeasured"))
        self._note(verdict)
        self.is_watched = verdict != "unmeasured"
        live = live_of(self.story)
        assert live is not None
        if verdict == "unmeasured":
            self._wait(str(live.tag_object))
        elif verdict == "failed":
            self._take_back(live)

    def _take_back(self, live: Live) -> None:
        """The events of a gate that failed: a rejection, and the rollback that follows from it."""
        story, known = self.story, self.story.known
        rejected = self._event(live.place.version, action="reject", reason="its gate", rule=None)
        rejected = replace(rejected, directory=live.place.directory, previous=None)
        ids = [str(live.tag_object)]
        if live.release is not None:
            ids += known.assigned(live.release)
        before = history.rollback_target(story.events, live.place)
        target = before.version if before and known.get(before.version) else None
        blocked = story._blocked(target, *ids)
        story.events.append(replace(rejected, passed_over=blocked))
        self.left |= set(ids)
        if before is not None and target is not None:
            back = self._event(target, action="rollback", rule=None, passed_over=blocked)
            story.events.append(replace(back, previous=live.place))
            self._went_back(known, target)
        else:
            self.is_broken = False


STORIES, LENGTH = 100, 50
ENOUGH = {"deploy": 100, "repair": 20, "watch": 10, "nothing": 500}
STATES = ("in_order", "behind", "held", "waiting", "blocked", "refused", "failed", "broken")


def test_random_stories_keep_the_rules() -> None:
    counts: Counter[str] = Counter()
    for seed in range(STORIES):
        dice = random.Random(seed)
        follower = Follower(dice, dice.choice(RULES))
        for _ in range(LENGTH):
            follower.go_on()
        counts += follower.count
    passes = sum(counts[kind] for kind in ENOUGH)
    print(f"{counts['events']} events, {passes} passes: {dict(counts)}")  # noqa: T201 - pytest -s
    assert {kind for kind, least in ENOUGH.items() if counts[kind] < least} == set(), counts
    assert {state for state in STATES if not counts[f"state {state}"]} == set(), counts
