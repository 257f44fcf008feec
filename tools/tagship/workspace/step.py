"""What a pass of ``sync`` does for a model: the rules of a host that follows by itself. Pure.

In this order: a hold stops everything, and so does an undeploy; what is desired goes live, unless
its tag is refused, or it waits for the window, for its turn in a staged rollout, or until it is
tried again; else what is live and broken is repaired, and what is live without a verdict of its
gate is watched. Nothing is ever undeployed, however few tags there are.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from tagship.host.agent import Refusal
from tagship.host.history import FAILED, Event, Place
from tagship.registry import seen
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import TagName, Wanted
from tagship.text import clock, words
from tagship.workspace import desired, moved, rollout
from tagship.workspace.desired import Desired
from tagship.workspace.rollout import Turn
from tagship.workspace.state import Reason, Why

FIRST, LONGEST = timedelta(minutes=1), timedelta(hours=1)  # until something is tried again
SPREAD = 0.2  # of that, earlier or later: many hosts shall not come back at once


class Act(Enum):
    """What is to be done."""

    NOTHING = "nothing"
    DEPLOY = "deploy"  # the release of the step goes live, by the rule
    REPAIR = "repair"  # what is live, or should be by the history, is made whole again
    WATCH = "watch"  # the gate of what is live is measured


@dataclass(frozen=True)
class Live:
    """What is live; or what should be by the history, where its link is gone.

    Attributes:
        place: its version and directory.
        tag_object: the id of the tag that it was deployed from; None where that is unknown.
        release: the same version among those that there are; None if its tag is not here.
        broken: why it cannot answer, such as ``its directory is gone``; empty if it can.
        is_watched: its gate has a verdict, or it has none.
        is_deprecated: the model is, and with it all of its versions.
    """

    place: Place
    tag_object: str | None = None
    release: Release | None = None
    broken: str = ""
    is_watched: bool = True
    is_deprecated: bool = False


@dataclass(frozen=True)
class Retry:
    """What could not be measured or fetched, and when it is tried again.

    Attributes:
        tag_object: of the version that this is about: another one does not wait for it.
        at: not before then.
        reason: why it could not be done.
        tries: how often it was tried by now.
    """

    tag_object: str
    at: datetime
    reason: str
    tries: int = 1


@dataclass(frozen=True)
class Facts:
    """All that a step depends on.

    Attributes:
        wish: what should be live, by the rule and the history.
        now: the time.
        live: None where nothing is, nor should be.
        chosen_by: the tags that make it desired: see ``chosen_by``.
        moved: the names of tags that were moved or cannot be, to what happened to them in words.
        opens: when the window opens; None where it is open, or there is none.
        retry: of the last pass that could not do what it should.
        is_way_back: it waits for no window and no turn: see ``is_way_back``.
        failed: the failure since the last success.
        undeployed: the undeploy since which nothing is live: see ``host.decisions.undeployed``.
        drifted: in which ways what is live is not as it was deployed, though it answers.
        is_forced: a person said ``--retry``: nothing waits for its turn, or to be tried again.
        turn: whether it is this host's turn in a staged rollout; None where there is none.
        accepted: the ids of tag objects of what is desired that people accepted, though moved.
        refusal: a version that this host does not accept, and why.
        again: what to do about a tag that could not be taken in.
        upstream: what should be known of where the tags come from.
        rule: what selects the version.
        latest: the highest version that is available.
    """

    wish: Desired
    now: datetime
    live: Live | None = None
    chosen_by: tuple[TagName, ...] = ()
    moved: Mapping[TagName, str] = field(default_factory=dict)
    opens: datetime | None = None
    retry: Retry | None = None
    is_way_back: bool = False
    failed: Event | None = None
    undeployed: Event | None = None
    drifted: tuple[Reason, ...] = ()
    is_forced: bool = False
    turn: Turn | None = None
    accepted: Collection[str] = ()
    refusal: Refusal | None = None
    again: str = ""
    upstream: tuple[Reason, ...] = ()
    rule: Wanted = field(default_factory=Wanted)
    latest: Release | None = None


@dataclass(frozen=True)
class Step:
    """What is to be done now, and how the model is until then.

    Attributes:
        act: what to do.
        reasons: why; how the model is where nothing is done.
        release: what to deploy or to repair; what is watched.
        until: when there will be something to do, as far as that is known.
    """

    act: Act
    reasons: tuple[Reason, ...]
    release: Release | None = None
    until: datetime | None = None

    @property
    def why(self) -> Why:
        """The worst of the reasons: the state, and the exit code where nothing is done."""
        return max((reason.why for reason in self.reasons), key=lambda why: why.rank)


def put_off(
    tag_object: str,
    reason: str,
    now: datetime,
    before: Retry | None,
    chance: float,
    asked: timedelta = timedelta(0),
) -> Retry:
    """When a version is tried again: after a minute, then twice as long each time, up to an hour.

    Args:
        tag_object: of the version.
        reason: why it could not be done now.
        now: the time.
        before: what the last pass put off; of another version it does not count.
        chance: from 0 to 1, at random: a fifth less to a fifth more.
        asked: a server said to wait so long (``Retry-After``); an hour at most.
    """
    tries = before.tries + 1 if before is not None and before.tag_object == tag_object else 1
    wait = min(FIRST * 2 ** min(tries - 1, 16), LONGEST) * (1 + SPREAD * (2 * chance - 1))
    return Retry(tag_object, now + max(wait, min(asked, LONGEST)), reason, tries)


def is_way_back(wish: Desired, live: Release | None, good: Collection[str]) -> bool:
    """Whether a wish only goes back, which waits for no window and no turn.

    Args:
        wish: what should be live.
        live: the release that is.
        good: the versions that were live here, and were neither rolled back nor failed.
    """
    if wish.release is None:
        return False
    is_withdrawn = live is not None and not live.active
    return is_withdrawn or str(wish.release.version) in good


def chosen_by(known: Catalog, rule: Wanted, wish: Desired) -> tuple[TagName, ...]:
    """The tags that make a version desired: its own, and the assignment of the stage."""
    if wish.release is None:
        return ()
    assignment = known.assignments.get(rule.stage) if rule.stage is not None else None
    name = wish.release.tag.name
    return (name,) if assignment is None else (name, assignment.name)


def next_step(facts: Facts) -> Step:
    """What a pass does."""
    told = tuple(_told(facts))
    if facts.wish.hold is not None:
        held = Reason(Why.HELD, desired.in_words(facts.wish.hold))
        return Step(Act.NOTHING, (*told, held))
    if facts.undeployed is not None and facts.live is None and not facts.is_forced:
        return Step(Act.NOTHING, (*told, _undeployed(facts.undeployed)))
    release, is_live_now = facts.wish.release, is_live(facts.wish, facts.live)
    stop, until = (None, None) if is_live_now else _stop(facts)
    if release is not None and not is_live_now and stop is None:
        return Step(Act.DEPLOY, (*told, _behind(facts, release)), release)
    reasons = told if stop is None else (*told, stop)
    step = _care(facts, reasons, until) if facts.live is not None else None
    if step is None and not reasons:
        reasons = (Reason(Why.IN_ORDER, in_order(facts.live)),)
    return step or Step(Act.NOTHING, reasons, until=until)


def left(now: Step) -> Step:
    """How a model is between two passes: a gate that has no verdict by now waits for the next."""
    if now.act is not Act.WATCH or now.release is None:
        return now
    *others, last = now.reasons
    waits = replace(last, why=Why.WAITING, fix=f"tagship sync {now.release.tag.name.model}")
    return replace(now, reasons=(*others, waits))


def is_live(wish: Desired, live: Live | None) -> bool:
    """Whether what is desired is live, from this very tag."""
    release = wish.release
    if release is None or live is None or live.place.version != str(release.version):
        return False
    return live.tag_object in (None, release.tag.object_id)


def _told(facts: Facts) -> Iterable[Reason]:
    """What is wrong whatever is done."""
    live, failed, passed = facts.live, facts.failed, facts.wish.passed_over
    for name, what in facts.moved.items():
        known = {seen.MOVED: moved.accepting(name), seen.IMPOSSIBLE: ""}
        yield Reason(Why.REFUSED, f"{name}: {what}", known.get(what, facts.again))
    yield from facts.upstream
    yield from facts.drifted
    if failed is not None:
        error = failed.error if failed.status == FAILED else failed.reason
        what = f"{failed.version} failed, {words.moment(failed.at)} UTC: {error}"
        yield Reason(Why.FAILED, what)
    elif passed is not None and facts.wish.release is not None:
        back = f"tagship deploy {passed.by.model}@{passed.version} brings it back"
        what = f"{passed.version} is passed over: {passed.in_words}; {back}"
        yield Reason(Why.IN_ORDER, what)
    if live is not None and live.broken:
        yield Reason(Why.BROKEN, f"{live.place.version} is live, but {live.broken}")


def _stop(facts: Facts) -> tuple[Reason | None, datetime | None]:
    """Why what is desired does not go live now, and until when; None if it does."""
    release, live = facts.wish.release, facts.live
    if release is None:
        return _nothing_desired(facts), None
    refused = [name for name in facts.chosen_by if name in facts.moved]
    if refused:
        what = f"{release.version} is not deployed: the tag {refused[0]} is refused"
        return Reason(Why.REFUSED, what), None
    is_same = live is not None and live.place.version == str(release.version)
    if is_same and release.tag.object_id not in facts.accepted:
        what = f"the tag {release.tag.name} was moved since it was deployed here"
        return Reason(Why.REFUSED, what, moved.accepting(release.tag.name)), None
    if (refusal := _refusal(facts, release.tag.object_id)) is not None:
        what = f"{release.version} is not deployed: {refusal.reason}"
        return Reason(Why.REFUSED, what, _instead(release)), None
    if (retry := _retry(facts, release.tag.object_id)) is not None:
        return _tried_again(release, retry), retry.at
    if facts.opens is not None and not facts.is_way_back:
        return _waits(str(release.version), facts.opens, "the window is closed"), facts.opens
    turn = None if facts.is_way_back or facts.is_forced else facts.turn
    if turn is not None and not turn.goes:
        what = rollout.in_words(turn, release.tag.name.model, str(release.version))
        return Reason(Why.WAITING, what), turn.until
    return None, None


def _nothing_desired(facts: Facts) -> Reason | None:
    """How it is where nothing may go live: what is live stays."""
    live, passed = facts.live, facts.wish.passed_over
    if passed is not None:
        what = f"{passed.version} is passed over: {passed.in_words}"
        return Reason(Why.BLOCKED, what, f"tagship deploy {passed.by.model}@{passed.version}")
    if live is None:
        return None
    if live.release is None:
        what = "is live, but its tag is not here, and there is no newer version"
        return Reason(Why.DRIFTED, f"{live.place.version} {what}", "tagship fetch")
    if not live.release.active:
        gone = f"{live.release.tag.name.model} is deprecated"
        what = f"is live, but {gone if live.is_deprecated else 'it was withdrawn'}"
        what = f"{live.place.version} {what}, and its rule selects no other version"
        return Reason(Why.DRIFTED, what, _another(facts, live.release))
    return None


def _another(facts: Facts, gone: Release) -> str:
    """What makes another version live where the rule selects none: a host cannot release."""
    model, latest = gone.tag.name.model, facts.latest
    if facts.rule.stage is not None and latest is not None:
        assign = f"tagship assign {model}@{latest.version} {facts.rule.stage}"
        return f"assign another one where the model is released: {assign}"
    return f"release another one where the model is released: tagship release {model}"


def _care(facts: Facts, reasons: tuple[Reason, ...], until: datetime | None) -> Step | None:
    """The step that looks after what is live, as nothing else goes live; None if it needs none."""
    live = facts.live
    if live is None or not (_can_repair(facts, live) if live.broken else not live.is_watched):
        return None
    if live.broken and (refusal := _refusal(facts, live.tag_object)) is not None:
        text = f"{live.place.version} is not deployed again: {refusal.reason}"
        return Step(Act.NOTHING, (*reasons, Reason(Why.REFUSED, text)), until=until)
    if live.release and (retry := _retry(facts, live.tag_object)) is not None:
        waits = _tried_again(live.release, retry)
        soonest = retry.at if until is None else min(until, retry.at)
        return Step(Act.NOTHING, (*reasons, waits), until=soonest)
    if live.broken:
        return Step(Act.REPAIR, reasons, live.release, until)
    what = Reason(Why.IN_ORDER, f"{live.place.version} is live, and its gate has no verdict yet")
    return Step(Act.WATCH, (*reasons, what), live.release, until)


def _can_repair(facts: Facts, live: Live) -> bool:
    """Whether what is live can be deployed again: it is available, from the tag that it had."""
    release = live.release
    if release is None or not release.active or release.tag.name in facts.moved:
        return False
    return live.tag_object in (None, release.tag.object_id)


def _refusal(facts: Facts, tag_object: str | None) -> Refusal | None:
    """Why a version is not tried: this host does not accept its tag or its files."""
    refusal = facts.refusal
    if refusal is None or facts.is_forced or refusal.tag_object != tag_object:
        return None
    return refusal


def _retry(facts: Facts, tag_object: str | None) -> Retry | None:
    """What is waited for before a version is tried again; None if nothing.

    Nothing is put off for much longer than ``LONGEST``: then the clock was set back meanwhile.
    """
    retry = facts.retry
    if retry is None or facts.is_forced or not facts.now < retry.at <= facts.now + LONGEST * 1.5:
        return None
    return retry if retry.tag_object == tag_object else None


def _instead(release: Release) -> str:
    """What helps where a version is not accepted: it is never passed over in silence."""
    model = release.tag.name.model
    withdraw = f"tagship withdraw {model}@{release.version} --push"
    return f"where the model is released, signed: {withdraw}; or release a higher version"


def _tried_again(release: Release, retry: Retry) -> Reason:
    """That something could not be done with a version; it may be tried before its time."""
    again = f"once that is solved: tagship sync {release.tag.name.model} --retry"
    return Reason(Why.WAITING, _waits(str(release.version), retry.at, retry.reason).what, again)


def _waits(version: str, until: datetime, why: str) -> Reason:
    moment = words.moment(clock.stamp(until))
    return Reason(Why.WAITING, f"{version} waits until {moment} UTC: {why}")


def _undeployed(event: Event) -> Reason:
    what = f"undeployed by {event.actor}, {words.moment(event.at)} UTC"
    what = f"{what}: nothing goes live here until somebody deploys"
    return Reason(Why.HELD, what, f"tagship deploy {event.model}")


def _behind(facts: Facts, release: Release) -> Reason:
    live = facts.live
    what = f"{live.place.version} is live" if live is not None else "nothing is live"
    again = f"tagship sync {release.tag.name.model}"
    return Reason(Why.BEHIND, f"{release.version} is released, {what}", again)


def in_order(live: Live | None) -> str:
    """That there is nothing to do, in words."""
    return f"{live.place.version} is live" if live is not None else "no version is there to follow"
