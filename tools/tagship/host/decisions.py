"""What a model's history says of rollbacks, failures and holds: derived from the events alone.

A rollback lists the tag objects that it passed over, and with them those that were blocked before;
so the last list is the whole of it. Only the events that decide are parsed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tagship.host import actions, history
from tagship.host.history import Event, Place
from tagship.host.journal import Past
from tagship.registry import refs
from tagship.registry.refs import Wanted

_HOLDS = (b'"action": "hold"', b'"action": "resume"', b'"until": "')
_BACK = (b'"action": "rollback"', b'"action": "reject"')
_GATE = b'"action": "gate"'
BLOCKS = (b'"passed_over": [', *_BACK, (_GATE, b'"status": "failed"'))
_SWITCHES = (b'"action": "deploy"', b'"action": "undeploy"', *_BACK, _GATE)
_RULES = (b'"rule": "',)
_WENT_LIVE = re.compile(rb'"action": "(?:deploy|rollback)",\s+"status": "succeeded"')
_VERSION = re.compile(rb'"version": "([^"\\]+)"')  # the first is the event's own
_OBJECT = re.compile(rb'"tag_object": "([0-9a-f]+)"')


@dataclass(frozen=True)
class Hold:
    """Nothing goes live by itself.

    Attributes:
        event: the hold, or the rollback or deploy that began it.
        until: when it should have ended; it does not end by itself.
        asked: a person asked for it; else it follows from a deploy of another version than the
            desired one.
    """

    event: Event
    until: datetime
    asked: bool


@dataclass(frozen=True)
class Blocks:
    """The tag objects that do not go live by themselves, since a rollback or a failure.

    Attributes:
        event: the last event that blocked one.
        objects: their ids; None where the event does not list them, as Git could not be asked or
            an older tagship wrote it: then all that were made until then.
        deployed: the ids of the tag objects that went live by this event or since: they are not
            blocked any more.
        since: the same since the last rollback: an assignment of theirs counts again.
        past: the history, to look up why one is blocked.
        tried: where ``objects`` is None, the ids that the history has until then: these were known
            here, whatever the clocks say.
    """

    event: Event
    objects: frozenset[str] | None
    deployed: frozenset[str] = frozenset()
    since: frozenset[str] = frozenset()
    past: Past | None = None
    tried: frozenset[str] = frozenset()

    def cover(self, tag_object: str, made: datetime) -> bool:
        """Whether a tag object is blocked; ``made``: its date."""
        if tag_object in self.deployed:
            return False
        if self.objects is None:
            return tag_object in self.tried or made <= history.moment_of(self.event)
        return tag_object in self.objects

    def cause(self, tag_object: str) -> Event:
        """The event that blocked a tag object: the last one lists it too, if an older one did."""
        cause = self.event
        if self.past is None:
            return cause
        for _, event in self.past.last(*BLOCKS, b'"tag_object": "%b"' % tag_object.encode()):
            if event.tag_object == tag_object and event.switched:
                break
            if event.passed_over is not None and tag_object in event.passed_over:
                cause = event
        return cause


@dataclass(frozen=True)
class Decisions:
    """What people, and checks that failed, decided about a model on this host.

    Attributes:
        hold: the current one.
        blocks: what may not go live by itself.
        switch: the event that made the live version live; None where nothing is live.
        failed: the deploy that failed its self-test, or the rejection after the switch, by its
            check or its gate, if nothing went live since but what was live before.
        rule: the one by which a version was last selected, such as ``#prod``.
    """

    hold: Hold | None = None
    blocks: Blocks | None = None
    switch: Event | None = None
    failed: Event | None = None
    rule: str | None = None

    @property
    def gone_back(self) -> Event | None:
        """The rollback that made the live version live; None after a deploy."""
        switch = self.switch
        return switch if switch is not None and switch.action == actions.ROLLBACK else None


def read(past: Past, follows: Wanted | None = None) -> Decisions:
    """The decisions in a history.

    Args:
        past: the history.
        follows: the rule that a file of this host names; None: the one that was followed last.

    Raises:
        Corrupt: an event that decides cannot be read.
    """
    switch, failed = _last_switch(past)
    rule = follows.text if follows else next((e.rule for _, e in past.last(*_RULES)), None)
    return Decisions(_hold(past), blocks(past), switch, failed, rule)


def blocks(past: Past) -> Blocks | None:
    """What may not go live by itself; None if nothing ever was rolled back or failed."""
    for index, event in past.last(*BLOCKS):
        is_rollback = event.action == actions.ROLLBACK and event.switched
        if event.passed_over is not None or is_rollback or event.rejects:
            objects = None if event.passed_over is None else frozenset(event.passed_over)
            deployed, since = _deployed(past.texts[index:]), _deployed(past.texts[_floor(past) :])
            known = tried(past.texts[: index + 1]) if objects is None else ()
            ids = frozenset(identity for _, identity in known)
            return Blocks(event, objects, deployed, since, past, ids)
    return None


def undeployed(past: Past) -> Event | None:
    """The undeploy that left nothing live, if that is so since: somebody wants nothing here."""
    ends = (e for _, e in past.last(*_SWITCHES) if e.switched or e.undeployed)
    last = next(ends, None)
    return last if last is not None and last.undeployed else None


def _floor(past: Past) -> int:
    """The index of the last rollback, which blocks every assignment that was known; 0 if none."""
    return next(
        (
            index
            for index, event in past.last(*BLOCKS)
            if event.action == actions.ROLLBACK and event.status == history.SUCCEEDED
        ),
        0,
    )


def _deployed(texts: Sequence[bytes]) -> frozenset[str]:
    """The ids of the tag objects that went live in these events; none of them is parsed."""
    objects = (_OBJECT.search(text) for text in texts if _WENT_LIVE.search(text))
    return frozenset(match[1].decode() for match in objects if match)


def tried(texts: Sequence[bytes]) -> set[tuple[str, str]]:
    """The versions that were deployed here, or failed, and the ids of their tag objects.

    Their tags may be gone by now, or be none that count. No event is parsed.
    """
    pairs = {
        (version[1], identity[1])
        for text in texts
        if (version := _VERSION.search(text)) and (identity := _OBJECT.search(text))
    }
    return {(v.decode(), i.decode()) for v, i in pairs if refs.is_version(v.decode())}


def _last_switch(past: Past) -> tuple[Event | None, Event | None]:
    """The event that made the live version live, and the failure since the last success.

    A failed check after the switch leaves a rejection, and then the rollback that follows from it;
    a gate that failed likewise. One that passes later takes back its failure. A rollback counts as
    the switch also where its version was deployed again by a rule: that only repaired its files,
    and nobody decided anything.
    """
    switch, failed = _newest_switch(event for _, event in past.last(*_SWITCHES))
    if switch is not None and _repeats(switch):
        for _, event in past.last(*_SWITCHES):
            if event.switched and not _repeats(event):
                return (event if event.action == actions.ROLLBACK else switch), failed
    return switch, failed


def _repeats(event: Event) -> bool:
    """Whether a rule deployed the version again that was live already."""
    is_same = event.previous is not None and event.previous.version == event.version
    return is_same and event.action == actions.DEPLOY and event.rule is not None


def _newest_switch(events: Iterator[Event]) -> tuple[Event | None, Event | None]:
    """The last switch, and the failure since the one before."""
    failed: Event | None = None
    passed: set[Place | None] = set()
    for event in events:
        if event.action == actions.REJECT or event.undeployed:
            return None, failed or (event if event.action == actions.REJECT else None)
        if event.switched:
            is_rollback = event.action == actions.ROLLBACK
            before = next(filter(_changes, events), None) if is_rollback else None
            if before and before.rejects and before.place == event.previous:
                failed = failed or before
            return event, failed
        if event.passed_gate:
            passed.add(event.place)
        elif event.passed_over is not None or (event.rejects and event.place not in passed):
            failed = failed or event
    return None, failed


def _changes(event: Event) -> bool:
    """Whether an event made something live or not live, or says that what is live failed."""
    return event.switched or event.undeployed or event.rejects


def _lasting(past: Past) -> Iterator[Event]:
    """What was switched, the last first, without what a failed check took back at once.

    Of that the history has the switch, its rejection, and the rollback where one was possible; or
    the switch, its gate that failed, and the rollback: without it what failed is live still.
    """
    back: Event | None = None
    failed: Place | None = None
    for event in filter(_changes, (event for _, event in past.last(*_SWITCHES))):
        follows = back is not None and event.rejects and event.place == back.previous
        if back is not None and not follows:
            yield back
        back, switch_failed = None, event.switched and event.place == failed
        if event.rejects:
            failed = event.place if follows or event.action == actions.REJECT else failed
            continue
        failed = None
        if event.switched and event.action == actions.ROLLBACK and not switch_failed:
            back = event
        elif not switch_failed:
            yield event
    if back is not None:
        yield back


def _hold(past: Past) -> Hold | None:
    """The hold that a person asked for, or else that of the last switch."""
    switch = next(_lasting(past), None)
    implied = switch if switch is not None and switch.action == actions.DEPLOY else None
    for _, event in past.last(*_HOLDS):
        if event.action == actions.RESUME:
            if implied is not None and implied.seq < event.seq:
                implied = None
            break
        if event.status == history.SUCCEEDED and event.until and event.action != actions.DEPLOY:
            return Hold(event, history.end_of(event), asked=True)
    if implied is None or implied.until is None:
        return None
    return Hold(implied, history.end_of(implied), asked=False)
