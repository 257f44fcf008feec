"""What should be live: stories of tags and events, and what each rule selects after them."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.errors import Held, Refused
from tagship.host import decisions, journal
from tagship.host.decisions import Decisions
from tagship.host.history import Event, Place
from tagship.registry import catalog
from tagship.registry.catalog import Catalog
from tagship.registry.refs import Ref, TagName, Wanted
from tagship.registry.tags import Tag
from tagship.text import clock
from tagship.workspace import desired
from tagship.workspace.desired import Desired

START = datetime(2026, 11, 1, tzinfo=UTC)
SOON = clock.stamp(clock.now() + timedelta(days=7))
NUMBER = re.compile(r"\d+(\.\d+)*(-\w+)?")


class Story:
    """A host and its tags, told in words, each a minute after the one before.

    ``t1.2`` a release, ``w1.2`` it is withdrawn, ``#1.2`` it is assigned to prod, ``#!`` it is not
    any more; ``d1.2`` a deploy of an exact version, ``a`` an automatic deploy of the latest (``p``
    of #prod), ``r1.2`` a rollback (``R1.2`` one that holds), ``o1.2`` one of an older tagship,
    ``f1.2`` a deploy whose smoke test fails, ``x1.2`` one that is taken back to the version before
    (if there is one), ``k1.2`` one that passes its gate, ``g1.2`` one whose gate fails and that is
    rolled back then, ``G1.2`` one that is not yet, ``e`` a deploy of what is live again, by the
    rule, ``U`` an undeploy, ``h`` a hold, ``H`` one that is over, ``u`` resumes.
    """

    def __init__(self, text: str = "") -> None:
        self.tags: list[Tag] = []
        self.events: list[Event] = []
        self.minutes = 0
        for word in text.split():
            self.tell(word)

    @property
    def known(self) -> Catalog:
        return catalog.of(self.tags, "m")

    @property
    def decisions(self) -> Decisions:
        return decisions.read(journal.past_of(self.events))

    @property
    def live(self) -> str | None:
        switches = [event for event in self.events if event.switched or event.undeployed]
        return switches[-1].version if switches else None

    def wish(self, rule: str = "latest", *, retry: bool = False) -> desired.Desired:
        selector = Wanted.parse(rule, "m")
        return desired.desired(self.known, selector, self.decisions, retry=retry)

    def desired(self, rule: str = "latest", *, retry: bool = False) -> str:
        release = self.wish(rule, retry=retry).release
        return short(str(release.version)) if release else "none"

    def tell(self, word: str) -> None:
        self.minutes += 1
        kind, version = word[0], long(word[1:])
        if kind in "tw#":
            self._tag(kind, version, cancels=word == "#!")
        else:
            self._event(kind, version)

    def _tag(self, kind: str, version: str, *, cancels: bool) -> None:
        counter = f"#{self.minutes}"
        if kind == "#":
            holder = self.known.holder("prod") if cancels else self.known.get(version)
            assert holder is not None
            name, commit = f"m#prod{'!' if cancels else ''}{counter}", holder.commit
        else:
            release = self.known.get(version)
            commit = release.commit if release and kind == "w" else f"c{self.minutes:039}"
            name = f"m@v{version}" + (f"!{counter}" if kind == "w" else "")
        parsed = TagName.parse(name)
        assert parsed is not None, name
        identity = f"{self.minutes:040}"
        self.tags.append(Tag(parsed, identity, commit, "ada", self._now, "", name))

    @property
    def _now(self) -> datetime:
        return START + timedelta(minutes=self.minutes)

    def _event(self, kind: str, version: str) -> None:
        event = Event(
            len(self.events) + 1, str(self.minutes), clock.stamp(self._now), "deploy", "succeeded",
            "m", actor="ada",
        )  # fmt: skip
        if kind in "ap":
            wish = self.wish("#prod" if kind == "p" else "latest")
            if wish.release is None or wish.hold or str(wish.release.version) == self.live:
                return
            event = replace(event, rule="#prod" if kind == "p" else "latest")
            version = str(wish.release.version)
        if kind == "e":
            live = next(past for past in reversed(self.events) if past.switched)
            event = replace(event, rule="latest", previous=live.place)
            version = str(live.version)
        if version:
            release = self.known.get(version)
            assert release is not None, version
            event = replace(
                event, version=version, directory=f"v{version}_{self.minutes}",
                tag_object=release.tag.object_id,
            )  # fmt: skip
            if kind in "dxkgG" and desired.holds(self.known, release, self.decisions):
                event = replace(event, until=SOON)
        self.events += self._decided(kind, event)

    def _decided(self, kind: str, event: Event) -> list[Event]:
        """The events of a word, with what they decide."""
        if kind in "hHu":
            until = {"h": SOON, "H": clock.stamp(START), "u": None}[kind]
            return [replace(event, action="resume" if kind == "u" else "hold", until=until)]
        if kind in "rR":
            blocked, until = self._blocked(event.version), SOON if kind == "R" else None
            return [replace(event, action="rollback", passed_over=blocked, until=until)]
        if kind == "o":
            return [replace(event, action="rollback")]
        if kind == "f":
            blocked = self._blocked(None, *self._tried(event))
            return [replace(event, status="failed", error="no", passed_over=blocked)]
        if kind == "U":
            return [replace(event, action="undeploy")]
        if kind in "kgG":
            status = "succeeded" if kind == "k" else "failed"
            verdict = replace(event, action="gate", status=status, until=None, reason="no answer")
            past = [replace(event, gated=True), replace(verdict, tag_object=None)]
            if kind != "g":
                return past
            back = next(past for past in reversed(self.events) if past.switched)
            blocked = self._blocked(back.version, *self._tried(event))
            again = replace(back, action="rollback", passed_over=blocked, previous=event.place)
            failed = replace(again, status="failed", error="disk", passed_over=None, until=None)
            passed = replace(back, action="gate", tag_object=None, until=None, passed_over=None)
            return [*past, failed, replace(again, until=None, gated=True), passed]
        if kind == "x" and self.live is None:
            blocked = self._blocked(None, *self._tried(event))
            rejected = replace(event, action="reject", reason="no", until=None)
            return [event, replace(rejected, passed_over=blocked)]
        if kind == "x":
            back = next(past for past in reversed(self.events) if past.switched)
            blocked = self._blocked(back.version, *self._tried(event))
            again = replace(
                back, action="rollback", passed_over=blocked, previous=event.place, until=None
            )
            rejected = replace(event, action="reject", reason="wrong answer", until=None)
            return [event, rejected, again]
        return [event]

    def _tried(self, event: Event) -> list[str]:
        """The tag objects of a version that failed: its own, and those that assign it."""
        release = self.known.get(str(event.version))
        assert release is not None
        return [release.tag.object_id, *self.known.assigned(release)]

    def _blocked(self, floor: str | None, *ids: str) -> tuple[str, ...]:
        tags = {tag.name: tag.object_id for tag in self.tags}
        return desired.blocked(tags, self.decisions.blocks, floor, ids)


def long(text: str) -> str:
    """``1.2`` is 1.2.0, ``1.2-rc`` is 1.2.0-rc."""
    number, dash, rest = text.partition("-")
    return f"{number}.0{dash}{rest}" if NUMBER.fullmatch(text) and number.count(".") == 1 else text


def short(version: str) -> str:
    return version.replace(".0-", "-").removesuffix(".0")


@pytest.mark.parametrize(
    ("story", "rule", "version"),
    [
        ("", "latest", "none"),
        ("t1.0 t1.1", "latest", "1.1"),
        ("t1.0 t1.1 d1.1", "latest", "1.1"),
        ("t1.0 t2.0", "1", "1.0"),
        ("t1.0 t1.1 w1.1", "latest", "1.0"),
        # a rollback lasts
        ("t1.0 a t1.1 a r1.0", "latest", "1.0"),
        ("t1.0 a t1.1 a r1.0", "1", "1.0"),
        ("t1.0 t1.1 t1.2 a r1.0", "latest", "1.0"),  # 1.1 was known, and does not sneak in
        ("t1.0 a t1.1 a r1.0 t1.2", "latest", "1.2"),  # a later release does
        ("t1.0 a t1.2 a r1.0 t1.1", "latest", "1.1"),
        ("t1.0 a t1.1 a r1.0 t0.9", "latest", "1.0"),
        ("t1.0 a t1.1 a r1.0 t1.2 a w1.2", "latest", "1.0"),  # and not 1.1
        ("t1.0 a t1.1 a t1.2 a r1.1 r1.0 t1.3 a r1.0 w1.0", "latest", "none"),
        ("t1.0 t1.1 d1.1 r1.0 w1.0", "latest", "none"),
        ("t0.9 t1.0 t1.1 d1.1 r1.0 w1.0", "latest", "0.9"),  # what follows from a withdrawal
        # only an exact version unblocks, and that one alone
        ("t1.0 t1.1 t1.2 a r1.0 d1.1", "latest", "1.1"),
        ("t1.0 t1.1 t1.2 a r1.0 d1.2", "latest", "1.2"),
        ("t1.0 t1.1 t1.2 a r1.0 d1.1 r1.0", "latest", "1.0"),
        # what was gone back to is desired though the rule would not select it
        ("t1.0 t1.1-rc d1.1-rc u t1.1 a r1.1-rc", "latest", "1.1-rc"),
        ("t1.0 t1.1-rc d1.1-rc u t1.1 a r1.1-rc t1.2", "latest", "1.2"),
        ("t1.0 t1.1-rc d1.1-rc u t1.1 a r1.1-rc e", "latest", "1.1-rc"),  # also once repaired
        ("t1.0 t1.1-rc d1.1-rc u t1.1 a r1.1-rc e e t1.2", "latest", "1.2"),
        ("t1.0 t2.0 a r1.0", "2", "none"),
        # a failed check blocks
        ("t1.0 a t1.1 f1.1", "latest", "1.0"),
        ("t1.0 a t1.1 x1.1", "latest", "1.0"),
        ("t1.0 a t1.1 x1.1 t1.2", "latest", "1.2"),
        ("t1.0 a t1.1 x1.1 t1.2 f1.2", "latest", "1.0"),
        ("t1.0 a t1.1 f1.1 d1.1", "latest", "1.1"),
        ("t1.0 f1.0", "latest", "none"),
        # and a gate that fails
        ("t1.0 a t1.1 g1.1", "latest", "1.0"),
        ("t1.0 a t1.1 g1.1 t1.2", "latest", "1.2"),
        ("t1.0 a t1.1 k1.1", "latest", "1.1"),
        ("t1.0 k1.0 t1.1 t1.2 G1.1", "latest", "1.0"),
        ("t1.0 a t1.1 G1.1", "latest", "1.0"),  # the rollback is still to come
        ("t1.0 G1.0", "latest", "none"),
        ("t1.0 a t1.1 G1.1 r1.0", "latest", "1.0"),
        ("t1.0 a t1.1 G1.1 t1.2 f1.2", "latest", "1.0"),
        ("t1.0 a t1.1 G1.1 t1.2 f1.2 t1.3", "latest", "1.3"),
        ("t1.0 a t1.1 G1.1 d1.1 t1.2 f1.2", "latest", "1.1"),
        ("t1.0 #1.0 p t1.1 #1.1 g1.1", "#prod", "1.0"),
        ("t1.0 #1.0 p t1.1 #1.1 g1.1 #1.1", "#prod", "1.1"),
        # the same of a history without lists, by the dates of the tags
        ("t1.0 t1.1 a o1.0", "latest", "1.0"),
        ("t1.0 t1.1 a o1.0 t1.2", "latest", "1.2"),
        ("t1.0 t1.1 t1.2 a o1.0 d1.1", "latest", "1.1"),
        ("t1.0 t1.1 t1.2 a o1.1 t1.3 a r1.1", "latest", "1.1"),
        ("t1.0 t1.1 t1.2 a o1.1 r1.0", "latest", "1.0"),
        ("t1.0 t1.1 t1.2 a o1.0 d1.1 f1.2", "latest", "1.1"),
        # stages: the assignment is what is blocked
        ("t1.0 #1.0 p t1.1 #1.1", "#prod", "1.1"),
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0", "#prod", "1.0"),
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0 t1.2", "#prod", "1.0"),
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0 #1.1", "#prod", "1.1"),  # a new wish
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0 #!", "#prod", "1.0"),
        ("t0.9 #0.9 p t1.0 d1.0 t1.1 #1.1 p r1.0 #!", "#prod", "1.0"),  # not the older holder
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0 d1.1", "#prod", "1.1"),
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0 w1.0", "#prod", "none"),
        ("t0.9 #0.9 p t1.0 d1.0 t1.1 #1.1 p r1.0 e #!", "#prod", "1.0"),
        # the failure of another version leaves an assignment whose version went live
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0 d1.1 t1.2 f1.2", "#prod", "1.1"),
        ("t1.0 t1.1 #1.1 f1.1 d1.1 t1.2 f1.2", "#prod", "1.1"),
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0 d1.1 t1.2 x1.2", "#prod", "1.1"),
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0 d1.1 f1.1", "#prod", "none"),
        ("t1.0 #1.0 p t1.1 #1.1 p r1.0 d1.1 r1.0", "#prod", "1.0"),
        # what failed is not tried by its stage either, until it is assigned again
        ("t1.0 d1.0 t1.1 #1.1 f1.1", "#prod", "none"),
        ("t1.0 d1.0 t1.1 #1.1 f1.1 #1.1", "#prod", "1.1"),
        ("t1.0 d1.0 t1.1 #1.0 f1.1", "#prod", "1.0"),
        ("t1.0 d1.0 t1.1 #1.1 x1.1", "#prod", "1.0"),
        # an exact version that is followed is a rule like any other
        ("t1.0 t1.1 d1.0", "1.0.0", "1.0"),
        ("t1.0 t1.1", "1.2.0", "none"),
        ("t1.0 t1.1 w1.1", "1.1.0", "none"),
        ("t1.0 d1.0 t1.1 x1.1", "1.1.0", "none"),
        ("t1.0 d1.0 t1.1 f1.1", "1.1.0", "none"),
        ("t1.0 t1.1 d1.1 r1.0", "1.1.0", "none"),
        ("t1.0 t1.1 d1.1 r1.0 d1.1", "1.1.0", "1.1"),
        ("t1.0 t1.1 t1.2 a r1.1", "1.0.0", "1.0"),  # the operator's file has another rule now
    ],
)
def test_what_a_rule_selects(story: str, rule: str, version: str) -> None:
    assert Story(story).desired(rule) == version


def test_the_version_gone_back_to_is_not_left_for_a_lower_one_if_its_tag_is_missing() -> None:
    story = Story("t1.0 t1.1 t1.2 a r1.1")
    story.tags = [tag for tag in story.tags if str(tag.name.version) != "1.1.0"]
    assert story.desired() == "none"
    story.tell("t1.3")
    assert story.desired() == "1.3"


def test_nor_is_the_live_one() -> None:
    story = Story("t1.0 t1.1 a")
    del story.tags[1]
    wish = story.wish()
    assert _of_clone(wish, "git fetch --tags") == (
        "git fetch --tags; or name the version: tagship deploy m@1.0.0"
    )
    assert _of_clone(wish, None) == "tagship deploy m@1.0.0"


def _of_clone(wish: Desired, fetch: str | None) -> str:
    """The hint where the tag of the live version is not here."""
    with pytest.raises(Refused, match="the tag of the live version of m is not in this") as refused:
        desired.choose(Ref("m"), wish, lambda: fetch)
    return refused.value.hint


@pytest.mark.parametrize(
    ("story", "rule", "words"),
    [
        ("t1.0 t1.1 a r1.0", "latest", "rolled back to 1.0.0 by ada, 2026-11-01 00:04:00 UTC"),
        ("t1.0 a t1.1 f1.1", "latest", "the deploy of 1.1.0 failed, 2026-11-01 00:04:00 UTC: no"),
        ("t1.0 f1.0", "latest", "the deploy of 1.0.0 failed, 2026-11-01 00:02:00 UTC: no"),
        ("t1.0 t1.1 a r1.0 d1.1 r1.0", "latest",
         "rolled back to 1.0.0 by ada, 2026-11-01 00:06:00 UTC"),
        # each version by the event that blocked it first
        ("t1.0 a t1.1 f1.1 t1.2 f1.2 w1.2", "latest",
         "the deploy of 1.1.0 failed, 2026-11-01 00:04:00 UTC: no"),
        ("t1.0 k1.0 t1.1 G1.1", "latest",
         "1.1.0 failed its gate once it was live, 2026-11-01 00:04:00 UTC: no answer"),
        ("t1.0 G1.0", "latest",
         "1.0.0 failed its gate once it was live, 2026-11-01 00:02:00 UTC: no answer"),
    ],
)  # fmt: skip
def test_what_is_passed_over_is_told_with_the_reason(story: str, rule: str, words: str) -> None:
    passed = Story(story).wish(rule).passed_over
    assert passed is not None
    assert passed.in_words == words


@pytest.mark.parametrize(
    "story",
    [
        "t1.0 t1.1 a",
        "t1.0 t1.1 a r1.0 t1.2",
        "t1.0 a t1.1 a r1.0 d1.1",
        "t1.0 k1.0 t1.1",
        "t1.0 a t1.1 G1.1 d1.1",
    ],
)
def test_nothing_is_passed_over_where_nothing_is_blocked(story: str) -> None:
    assert Story(story).wish().passed_over is None


def test_retry_selects_what_is_blocked() -> None:
    assert Story("t1.0 t1.1 a r1.0").desired(retry=True) == "1.1"


@pytest.mark.parametrize(
    ("story", "held"),
    [
        ("t1.0 a", ""),
        ("t1.0 a h", "asked"),
        ("t1.0 a H", "asked"),  # it complains, and does not end by itself
        ("t1.0 a h u", ""),
        ("t1.0 a h u h", "asked"),
        ("t1.0 t1.1 a R1.0", "asked"),
        ("t1.0 t1.1 a r1.0", ""),
        ("t1.0 t1.1 a R1.0 u", ""),
        ("t1.0 t1.1 d1.1", ""),
        ("t1.0 t1.1 d1.0", "implied"),  # an older one
        ("t1.0 t1.1-rc d1.1-rc", "implied"),  # a pre-release
        ("t1.0 t1.1 d1.0 d1.1", ""),  # the desired one ends it
        ("t1.0 t1.1 h d1.1", "asked"),  # but not what a person asked for
        ("t1.0 t1.1 h d1.0", "asked"),
        ("t1.0 t1.1 h d1.0 u", ""),
        ("t1.0 t1.1 d1.0 u", ""),
        ("t1.0 t1.1 t1.2 a r1.0 d1.1", ""),  # 1.1 is unblocked, 1.2 is not: 1.1 is desired
        ("t1.0 #1.0 p t1.1 d1.1", "implied"),  # latest, but #prod was followed
        ("t1.0 #1.0 p t1.1 d1.1 r1.0", ""),
        ("t1.0 t1.1 t1.2 d1.1 r1.0", ""),
        # what is taken back at once leaves the hold as it was
        ("t1.0 t1.1 d1.0 x1.1", "implied"),
        ("t1.0 t1.1 t1.2 d1.0 x1.1", "implied"),
        ("t1.0 t1.1 a x1.0", ""),
        ("t1.0 t1.1 x1.0", ""),  # nothing was live before
        ("t1.0 t1.1 d1.0 x1.1 r1.0", ""),
        ("t1.0 t1.1 d1.0 x1.1 u", ""),
        ("t1.0 t1.1 h a x1.1", "asked"),
        # so does a gate that fails
        ("t1.0 t1.1 d1.0 g1.1", "implied"),
        ("t1.0 t1.1 t1.2 k1.0 g1.1", "implied"),
        ("t1.0 t1.1 a g1.0", ""),
        ("t1.0 t1.1 a g1.0 g1.0", ""),
        ("t1.0 t1.1 d1.0 g1.1 u", ""),
        ("t1.0 t1.1 a k1.0", "implied"),
        ("t1.0 t1.1 a G1.0", "implied"),  # it is live still
        ("t1.0 a t1.1 h g1.1", "asked"),
    ],
)
def test_what_holds(story: str, held: str) -> None:
    hold = Story(story).decisions.hold
    assert ("" if hold is None else "asked" if hold.asked else "implied") == held


def test_a_hold_stops_a_rule_and_says_who_until_when_and_why() -> None:
    story = Story("t1.0 a h t1.1")
    hold = story.decisions.hold
    assert hold is not None
    end = clock.stamp(hold.until).replace("T", " ").removesuffix("Z")
    with pytest.raises(Held) as held:
        desired.choose(Ref("m"), story.wish(), lambda: None)
    assert held.value.message == f"m is held by ada until {end} UTC"
    assert (held.value.hint, held.value.exit_code) == ("tagship resume m", 3)


def test_a_hold_that_is_over_complains() -> None:
    hold = Story("t1.0 a H").decisions.hold
    assert hold is not None
    assert desired.in_words(hold).endswith(" UTC (that is over; a hold does not end by itself)")


@pytest.mark.parametrize(
    ("story", "version", "repairs"),
    [
        ("t1.0 t1.1 a", "1.1", True),
        ("t1.0 t1.1 a", "1.0", False),
        ("t1.0 t1.1 a r1.0", "1.0", True),
        ("t1.0 t1.1 a r1.0", "1.1", False),
        ("t1.0 a t1.1 x1.1", "1.0", True),  # it was taken back to it
        ("t1.0 x1.0", "1.0", False),  # it failed, and nothing should be live
        ("t1.0 a U", "1.0", False),
    ],
)
def test_a_rollback_to_what_should_be_live_is_a_repair_where_nothing_else_is(
    story: str, version: str, repairs: bool
) -> None:
    decided = Story(story).decisions
    assert desired.is_repair(long(version), None, decided) is repairs
    assert desired.is_repair(long(version), Place(long(version), "d"), decided) is repairs
    assert not desired.is_repair(long(version), Place("9.9.9", "d"), decided)


@pytest.mark.parametrize(
    ("story", "failed"),
    [
        ("t1.0 a", None),
        ("t1.0 a t1.1 f1.1", "1.1.0"),
        ("t1.0 a t1.1 x1.1", "1.1.0"),
        ("t1.0 a t1.1 f1.1 t1.2 a", None),
        ("t1.0 a t1.1 x1.1 d1.1", None),
        ("t1.0 t1.1 a r1.0", None),  # wanted: no failure
        ("t1.0 a t1.1 a x1.1 r1.0", None),
        ("t1.0 a U f1.0", "1.0.0"),
        ("t1.0 a t1.1 f1.1 U", None),
        ("t1.0 x1.0", "1.0.0"),
        ("t1.0 t1.1 x1.1 f1.0", "1.0.0"),
        ("t1.0 a t1.1 g1.1", "1.1.0"),
        ("t1.0 a t1.1 G1.1", "1.1.0"),
        ("t1.0 a t1.1 g1.1 t1.2 k1.2", None),
        ("t1.0 a t1.1 g1.1 d1.1", None),
        ("t1.0 a t1.1 a g1.1 r1.0", None),
        ("t1.0 a t1.1 k1.1", None),
        ("t1.0 a t1.1 G1.1 f1.0", "1.0.0"),
    ],
)
def test_the_failure_since_the_last_success(story: str, failed: str | None) -> None:
    event = Story(story).decisions.failed
    assert (event.version if event else None) == failed


VERSIONS = [f"{major}.{minor}" for major, minor in itertools.product((1, 2), range(4))]


@st.composite
def stories(draw: st.DrawFn) -> Sequence[str]:
    """Words that make sense one after the other."""
    words: list[str] = []
    released: list[str] = []
    for _ in range(draw(st.integers(1, 14))):
        fresh = [version for version in VERSIONS if version not in released]
        kinds = (["t"] if fresh else []) + (list("wdarfxgkhu#p") if released else [])
        kind = draw(st.sampled_from(kinds))
        if kind == "t":
            released.append(draw(st.sampled_from(fresh)))
        needs = kind in "wdrfxgk#"
        version = released[-1] if kind == "t" else draw(st.sampled_from(released)) if needs else ""
        if kind in "xg" and not any(word[0] in "dark" for word in words):
            continue
        words.append(kind + version)
    return words


@given(stories(), st.sampled_from(["latest", "1", "#prod"]))
def test_after_a_rollback_only_what_came_after_it_changes_what_is_live(
    words: Sequence[str], rule: str
) -> None:
    """The rules of desired, of random stories; ``a`` and ``p`` are the automatic deploys."""
    story = Story()
    for word in words:
        if word[0] in "xg" and story.live is None:
            continue
        before = story.live
        story.tell(word)
        if word[0] == "r":
            assert story.desired() in (short(str(story.live)), "none")
            assert story.desired("#prod") in (short(str(story.live)), "none")
        if word[0] in "ap" and story.live != before:
            assert story.decisions.hold is None  # nothing changes in a hold
            release = story.known.get(str(story.live))
            assert release is not None
            assert release.active  # nor to what is withdrawn
        wish, blocks, back = story.wish(rule), story.decisions.blocks, story.decisions.gone_back
        if wish.release is not None and blocks is not None and rule != "#prod":
            tag = wish.release.tag
            is_kept = back is not None and back.tag_object == tag.object_id
            assert is_kept or not blocks.cover(tag.object_id, tag.at)
