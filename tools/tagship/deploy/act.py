"""Act: one change of a model's folder, from the lock to the event in its history.

``begin`` takes the lock and puts in order what a killed run left. A ``Switch`` is the part that
makes a version live: its event is written down as the intent before anything is changed, so the
next run can ask the link ``current`` how far a killed one came. The intent stays open until what is
live was checked: a check that was cut short is run again by the next command that can.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tagship.disk import capacity
from tagship.errors import (
    Corrupt,
    FailedHere,
    Interrupted,
    SelfTestFailed,
    TagshipError,
    Unavailable,
)
from tagship.host import actions, decisions, history, installed, journal, process
from tagship.host.history import Event, Place
from tagship.host.journal import Intent, Past
from tagship.host.link import LinkState
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry.catalog import Release
from tagship.registry.refs import TagName
from tagship.text import clock, escape
from tagship.workspace import desired
from tagship.workspace.desired import PassedOver

if TYPE_CHECKING:
    from tagship.loaders.selftest import Report


@dataclass(frozen=True)
class Options:
    """How an act is done.

    Attributes:
        force: deploy what is live and intact again.
        smoke_test: load the model first, and run its self-test; None for what the settings say.
        reason: why, for the history.
        wait: seconds to wait for the lock.
        progress: is told the bytes fetched, copied and hashed.
        verify: a rollback hashes every file, and not only what was touched since its deploy.
        retry: deploy what is blocked too, if the rule selects it.
        shown: the version that a plan showed, and that was confirmed; None if none was.
        hold: after a rollback nothing goes live by itself until then; None: only what is newer.
        gate: what goes live has to pass its gate, where this host has one for the model.
        staged: what a rule selects waits for its turn in a rollout, unless ``retry``.
        tell: is told whose lock is waited for, or which remote.
    """

    force: bool = False
    smoke_test: bool | None = None
    reason: str | None = None
    wait: float = 0
    progress: Progress = silent
    verify: bool = False
    retry: bool = False
    shown: str | None = None
    hold: datetime | None = None
    gate: bool = True
    staged: bool = True
    tell: Tell = nobody

    def __post_init__(self) -> None:
        if self.reason is not None:  # a terminal that writes no UTF-8 keeps nobody from a rollback
            object.__setattr__(self, "reason", escape.encodable(self.reason))


PLAIN = Options()
Check = Callable[[Place], None]  # raises a TagshipError or OSError if what is live is not right


@dataclass(frozen=True)
class Outcome:
    """What a deploy or a rollback did.

    Attributes:
        place: what is live now.
        path: its directory.
        event: the event in the history; None where nothing had to be done.
        report: of the smoke test, where one was run.
        repaired: what a killed run had left, and was put in order first.
        warnings: what went wrong without any harm to what is live.
        passed_over: a version that the rule selects, but that is blocked.
        blocked: the versions that do not go live by themselves after a rollback.
        held: nothing goes live by itself now, by a hold of before or by a new one.
        removed: the version directories that the cleanup after a deploy removed.
        freed: the bytes of those.
    """

    model: str
    place: Place
    path: Path
    event: Event | None = None
    report: "Report | None" = None
    repaired: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    passed_over: PassedOver | None = None
    blocked: tuple[str, ...] = ()
    held: bool = False
    removed: tuple[str, ...] = ()
    freed: int = 0


@dataclass(frozen=True)
class Act:
    """An act under way: the model's lock is held, and what a killed run had left is in order.

    Attributes:
        past: the history as it was when the act began.
        repaired: what a killed run had left, in words.
        tags: asks for the id of every tag of the model; None where Git cannot be asked.
        unchecked: the switch to what is live, if its check was cut short and is still to be run.
        rejected: what failed that check as this act began, and was taken back.
    """

    store: Store
    model: str
    options: Options
    past: Past
    repaired: tuple[str, ...]
    tags: Callable[[], Mapping[TagName, str] | None]
    unchecked: Intent | None = None
    rejected: Place | None = None

    @cached_property
    def live(self) -> Place | None:
        """What was live when the act began.

        Raises:
            Refused: ``current`` is not a link of ours.
        """
        return installed.live_place(self.store)

    def event(
        self,
        action: str,
        place: Place | None = None,
        reason: str | None = None,
        ids: Iterable[str] = (),
    ) -> Event:
        """An event of now, of an id that is not taken; it has no ``seq`` yet."""
        reason = self.options.reason if reason is None else reason
        return event_of_now(self.past, action, self.model, place=place, reason=reason, ids=ids)

    def blocked(self, floor: str | None, *ids: str) -> tuple[str, ...] | None:
        """The ids of the tag objects that are blocked from now on; None if tags cannot be read.

        Args:
            floor: what is above this version is blocked; None for ``ids`` alone.
            ids: are blocked in any case.
        """
        tags, blocks = self.tags(), decisions.blocks(self.past)
        tried = decisions.tried(self.past.texts)
        return None if tags is None else desired.blocked(tags, blocks, floor, ids, tried)

    def record(self, *events: Event) -> Past:
        """Append to the history, durably."""
        return journal.record(self.store, *events)

    def conclude(self, check: Check) -> None:
        """Run the check of what is live, if it was cut short: see ``Switch.conclude``."""
        intent = self.unchecked
        if intent is None or intent.place is None:
            return
        before = replace(self, past=self.past.before(intent.event.id), unchecked=None)
        switch = Switch(before, intent.event, intent.place, intent.creates, intent.assignments)
        switch.conclude(check, self.past)

    def take_back(
        self, rejected: Event, back: Place | None, reason: str, selected: Iterable[str]
    ) -> str:
        """Make another version live, as what is live failed; what is live now, in words.

        The intent has the failure too, so from its first moment on a kill changes nothing in it.

        Args:
            rejected: the event that says what failed, and why.
            back: what is to be live; nothing, where that is not here.
            reason: why, for the rollback.
            selected: the ids of the tag objects by which the failed version may be chosen.
        """
        store = self.store
        if back is None or back.directory not in store.directories():
            rejected = replace(
                rejected, action=actions.REJECT, status=history.SUCCEEDED,
                passed_over=self.blocked(None, *selected),
            )  # fmt: skip
            journal.open_intent(store, Intent(rejected))
            self.record(rejected)
            store.unlink()
            store.close_intent()
            return "nothing is live now"
        again = event_of_now(
            self.past, actions.ROLLBACK, self.model, place=back, reason=reason, ids=[rejected.id]
        )
        blocked = self.blocked(back.version, *selected)
        again = replace(again, previous=rejected.place, passed_over=blocked)
        journal.open_intent(store, Intent(again, rejected=rejected, unchecked=self.unchecked))
        self.record(rejected)
        store.switch(back.directory)
        self.record(again)
        journal.close_intent(store, self.unchecked)
        return f"{back.version} is live again"

    def nothing_to_do(self, place: Place) -> Outcome:
        """The outcome where what is wanted is live and intact."""
        path = self.store.path(place.directory)
        held = _is_held(self.past)
        return Outcome(self.model, place, path, repaired=self.repaired, held=held)

    def switch_to_new(self, action: str, release: Release) -> "Switch":
        """The switch to a version that is to be checked out into a new directory."""
        event = self._event_of_switch(action)
        version = str(release.version)
        place = Place(version, history.directory_name(version, event.id))
        tag = release.tag
        event = replace(event, tag=str(tag.name), tag_object=tag.object_id, commit=release.commit)
        return Switch.of(self, event, place, creates=True)

    def switch_to_kept(self, action: str, place: Place, kept: Metadata) -> "Switch":
        """The switch to a version whose directory is here and intact; nothing is read from Git."""
        event = replace(
            self._event_of_switch(action),
            tag=kept.tag.name, tag_object=kept.tag.object, commit=kept.commit.id,
        )  # fmt: skip
        return Switch.of(self, event, place, creates=False)

    def _event_of_switch(self, action: str) -> Event:
        """An event whose id no directory has either: the history may have been lost."""
        ids = [history.id_of(name) for name in self.store.directories()]
        reasons = (self.options.reason, self._foreign)
        reason = "; ".join(filter(None, reasons)) or None
        event = event_of_now(self.past, action, self.model, reason=reason, ids=ids)
        return replace(event, previous=self.live)

    @property
    def _foreign(self) -> str:
        """That the link led to a folder that is no version of tagship, in words; else empty."""
        directory = self.store.live()
        is_foreign = directory is not None and self.live is None
        return f"current led to {directory}, not a version of tagship" if is_foreign else ""


@dataclass(frozen=True)
class Switch:
    """A version on its way to being live.

    Attributes:
        event: what the history will say; until then it is the intent.
        place: the version, and its directory below ``versions/``.
        creates: whether the directory is made by this act.
        assignments: the ids of the tag objects that assign the version to a stage.
        started: when it began, in seconds of ``time.monotonic``.
    """

    act: Act
    event: Event
    place: Place
    creates: bool
    assignments: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, act: Act, event: Event, place: Place, *, creates: bool) -> "Switch":
        """The switch to a place; its event names it."""
        event = replace(event, version=place.version, directory=place.directory)
        return cls(act, event, place, creates)

    def noted(
        self, *, rule: str | None = None, until: datetime | None = None,
        passed_over: tuple[str, ...] | None = None, gated: bool = False,
    ) -> "Switch":  # fmt: skip
        """The same, with what its event says of the choice: see ``Event``."""
        end, has_gate = clock.stamp(until) if until else None, True if gated else None
        event = replace(
            self.event, rule=rule, until=end, passed_over=passed_over, gated=has_gate
        )  # fmt: skip
        return replace(self, event=event)

    def because(self, what: str) -> "Switch":
        """The same, with a reason beside that of the person who does it."""
        reason = "; ".join(filter(None, (self.event.reason, what)))
        return replace(self, event=replace(self.event, reason=reason))

    def ended(self, status: str, error: str | None = None) -> Event:
        """The event, now that the act came to an end."""
        took = round(time.monotonic() - self.started, 3)
        return replace(self.event, status=status, error=error, duration_s=took)

    @property
    def selected(self) -> list[str]:
        """The ids of the tag objects that may make it the choice: its own, and of its stages."""
        own = [self.event.tag_object] if self.event.tag_object else []
        return [*own, *self.assignments]

    def write_intent(self) -> None:
        """Write down, durably, what is about to be done."""
        intent = Intent(
            self.event, self.creates, self.assignments, unchecked=self.act.unchecked
        )  # fmt: skip
        journal.open_intent(self.act.store, intent)

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """A failure before the switch goes into the history, and leaves nothing else behind.

        Raises:
            Unavailable: for an OSError, with what helps.
        """
        store, event = self.act.store, self.event
        try:
            yield
        except BaseException as error:
            if store.link().directory != self.place.directory:  # else recovery records it: live
                with contextlib.suppress(OSError):  # a full disk: recovery does it, with room
                    self._record_failure(error)
            if isinstance(error, OSError):
                raise Unavailable(
                    f"the {event.action} of {event.model} {event.version} failed:"
                    f" {error.strerror or error} ({error.filename or store.folder})",
                    capacity.hint(
                        error,
                        f"fix the disk, then see what is live: tagship status {event.model}",
                        event.model,
                    ),
                ) from error
            if isinstance(error, FailedHere):  # once that is changed: `latest` passes over it
                raise FailedHere(error.message, f"{error.hint}; then: {self._again}") from None
            raise

    @property
    def _again(self) -> str:
        """The command that tries the very version again."""
        event = self.event
        if event.action == actions.ROLLBACK:
            return f"tagship rollback {event.model} --to {event.version}"
        return f"tagship deploy {event.model}@{event.version}"

    def _record_failure(self, error: BaseException) -> None:
        store = self.act.store
        if self.creates and self.place.directory in store.directories():
            store.discard(self.place.directory)
        interrupted = isinstance(error, KeyboardInterrupt)
        message = "interrupted" if interrupted else str(error) or type(error).__name__
        event = replace(self.ended(history.FAILED, message), passed_over=None, until=None)
        if isinstance(error, SelfTestFailed):  # it is not tried again by itself
            event = replace(event, passed_over=self.act.blocked(None, *self.selected))
        self.act.record(event)
        journal.close_intent(store, self.act.unchecked)
        store.sweep()

    def go_live(self, check: Check, report: "Report | None" = None) -> Outcome:
        """Steps 7 to 9: the link, the history, and the check of what is now live.

        Args:
            check: of what is live.
            report: of the smoke test.

        Raises:
            Unavailable: the disk; what is live is then the old version, or the new one.
            SelfTestFailed: the check failed; what was live before is live again.
        """
        store = self.act.store
        with self.recorded():
            if not self.creates:
                self.write_intent()
            store.switch(self.place.directory)
        event = self.ended(history.SUCCEEDED)
        try:
            past = self.act.record(event)
        except OSError as error:
            raise Unavailable(
                f"{event.model} {event.version} is live, but the history could not be written:"
                f" {error}",
                "the next command repairs it, once there is room:"
                f" tagship deploy {event.model}@{event.version}",
            ) from None
        self.conclude(check, past)
        path = store.path(self.place.directory)
        return Outcome(
            event.model, self.place, path, past[-1], report, self.act.repaired,
            held=_is_held(past),
        )  # fmt: skip

    def conclude(self, check: Check, past: Past) -> None:
        """Step 9: close the intent once what is live passed its check; else take it back.

        Args:
            check: of what is live.
            past: the history, with the event of this switch.

        Raises:
            SelfTestFailed: it failed; what was live before is live again.
            Unavailable: the disk; the next command goes on with it.
            Interrupted: what is live is not checked yet; the next command does that.
        """
        name = f"{self.event.model} {self.event.version}"
        try:
            check(self.place)
        except (TagshipError, OSError) as error:
            message = error.message if isinstance(error, TagshipError) else str(error)
            failure = f"{name} failed its check once it was live: {message}"
            with self._able(f"{failure}; it could not be taken back"):
                now = self._take_back(past, message)
            raise SelfTestFailed(
                f"{failure}; {now}", f"tagship history {self.event.model}"
            ) from None
        except KeyboardInterrupt:
            raise Interrupted(f"{name} is live, and not checked yet", self._again) from None
        with self._able(f"{name} is live and passed its check, but its intent could not be closed"):
            journal.close_intent(self.act.store, self.act.unchecked)

    @contextlib.contextmanager
    def _able(self, what: str) -> Iterator[None]:
        """What the disk keeps from being done after the switch is done by the next command.

        Raises:
            Unavailable: for an OSError.
        """
        try:
            yield
        except OSError as error:
            model = self.event.model
            again = (
                f"fix the disk; the next command goes on: tagship cleanup {model} --keep 1000 --yes"
            )
            raise Unavailable(
                f"{what}: {error.strerror or error} ({error.filename or self.act.store.folder})",
                capacity.hint(error, again, model),
            ) from error

    def _take_back(self, past: Past, message: str) -> str:
        """Make what was live before live again, a rollback of its own; what is live, in words.

        The version is rejected: no rollback returns to it unasked. The intent has the rejection
        too, so from its first moment on a kill changes nothing in it.
        """
        act, event = replace(self.act, past=past), self.event
        rejected = event_of_now(past, actions.REJECT, event.model, place=self.place, reason=message)
        reason = f"{event.version} failed its check once it was live"
        return act.take_back(rejected, event.previous, reason, self.selected)


def _is_held(past: Past) -> bool:
    """Whether a model is held; not known to be where its history is damaged."""
    try:
        return decisions.read(past).hold is not None
    except Corrupt:
        return False


def _unknown() -> None:
    """The tags, where Git is not asked."""


@contextlib.contextmanager
def begin(
    store: Store, model: str, what: str, options: Options, *, without_room: bool = False,
    tags: Callable[[], Mapping[TagName, str] | None] = _unknown, check: Check | None = None,
) -> Iterator[Act]:  # fmt: skip
    """Hold the model's lock for an act, once what a killed run left is in order.

    Args:
        store: the model's folder.
        model: its name.
        what: the act in words, for who waits for the lock.
        options: ``wait``, ``tell`` and ``reason`` are used by every act.
        without_room: begin on a full disk too: the act makes room, and then recovers.
        tags: as for ``Act``.
        check: of what is live, if a killed run did not come to its end; None: that is left to
            another command.

    Raises:
        Locked, Refused: as for ``Store.locked``.
        Unavailable: what a killed run left cannot be put in order.
    """
    with store.locked(process.owner(what), options.wait, options.tell):
        try:
            deed = settle(store, model, options, tags, check)
        except Unavailable as error:
            if not (without_room and capacity.is_cause(error)):
                raise
            deed = Act(store, model, options, journal.events(store), (), tags)
        try:
            yield deed
        except TagshipError as error:
            error.repaired = deed.repaired
            raise


def settle(
    store: Store, model: str, options: Options,
    tags: Callable[[], Mapping[TagName, str] | None] = _unknown, check: Check | None = None,
) -> Act:  # fmt: skip
    """Put in order what a killed run left, and check what it made live. Needs the lock.

    Raises:
        Unavailable: the disk.
    """
    repaired = recover(store, model)
    unchecked = journal.unchecked(store, journal.intent(store))
    deed = Act(store, model, options, journal.events(store), repaired, tags, unchecked)
    if unchecked is None or unchecked.place is None or check is None:
        return deed
    name = f"{model} {unchecked.place.version}"
    options.tell(f"the check of {name} was cut short: it is run again")
    rejected, verdict = None, f"the check of {name} was cut short: it passed now"
    try:
        deed.conclude(check)
    except SelfTestFailed as error:
        rejected, verdict = unchecked.place, error.message
    return replace(
        deed, past=journal.events(store), repaired=(*repaired, verdict), unchecked=None,
        rejected=rejected,
    )  # fmt: skip


@contextlib.contextmanager
def interruptible(store: Store, released: tuple[str, str] | None) -> Iterator[None]:
    """Around the deploy of what was just released: an interrupt tells how far it came.

    Args:
        store: the model's folder.
        released: the model and the version; None where nothing was released.

    Raises:
        Interrupted: it was interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        if released is None:
            raise
        model, version = released
        live = installed.told_live(store)
        is_live = live is not None and live.version == version
        raise Interrupted(
            f"{model} {version} is released, and {'is' if is_live else 'not'} live",
            f"tagship deploy {model}@{version}",
        ) from None


def recover(store: Store, model: str) -> tuple[str, ...]:
    """Put in order what a killed run left: close its intent as the link says, sweep its files.

    The intent of what is live and not checked yet stays open. Needs the lock. Nothing to do is the
    usual case.

    Returns:
        What was repaired, in words.

    Raises:
        Unavailable: the disk.
    """
    past, intent = journal.events(store), journal.intent(store)
    events, repaired = ([], []) if intent is None else _closed(store, past, intent)
    opened = sorted(name for name in own_directories(store) if store.seal(name))
    if opened:  # the move of one into the trash was cut short
        repaired.append(f"made read-only again: {', '.join(opened)}")
    left, stuck = store.sweep()
    if left:
        repaired.append(f"removed leftover files: {', '.join(left)}")
    if repaired:  # in one step: a recovery that is cut short is told by the next one
        reason = "; ".join(repaired)
        ids = [event.id for event in events]
        events.append(event_of_now(past, "recover", model, reason=reason, ids=ids))
        try:
            journal.record(store, *events)
        except OSError as error:
            raise Unavailable(
                f"what a run left cannot be put in order: {error.strerror} ({error.filename})",
                capacity.hint(error, "fix the disk, then try again", model),
            ) from error
    if intent is not None and intent != (unchecked := journal.unchecked(store, intent)):
        journal.close_intent(store, unchecked)
    return (*repaired, *map(str, stuck))


def _closed(store: Store, past: Past, intent: Intent) -> tuple[list[Event], list[str]]:
    """The event that a killed run could not write, and what it comes to, in words."""
    event, place = intent.event, intent.place
    if place is None:
        return _undeployed(store, past, event)
    if event.action == actions.REJECT:
        return _rejected(store, past, intent)
    name = f"{event.action} of {event.model}@{event.version}"
    live, rejected = intent.is_live(store), intent.rejected
    before = [rejected] if rejected is not None and not past.has(rejected.id) else []
    if past.has(event.id):  # later than that of the rejection
        return [], []
    if intent.creates and not live and place.directory in store.directories():
        store.discard(place.directory)
    succeeded = replace(event, status=history.SUCCEEDED)
    if live:
        return [*before, succeeded], [
            f"the {name} was cut short after the switch: it is live, and in the history"
        ]
    if _takes_back(store, intent, place):  # what failed its check may not stay live
        store.switch(place.directory)
        return [*before, succeeded], [f"the {name} was cut short before the switch: it is live now"]
    failed = replace(
        event, status=history.FAILED, error="cut short before the switch", passed_over=None,
        until=None,
    )  # fmt: skip
    return [*before, failed], [f"the {name} was cut short before the switch: what was live is live"]


def _rejected(store: Store, past: Past, intent: Intent) -> tuple[list[Event], list[str]]:
    """The same of the first version that failed its check: nothing was live before."""
    event, live = intent.event, intent.is_live(store)
    if live:
        store.unlink()
    if not live and past.has(event.id):
        return [], []
    what = f"{event.model} {event.version} failed its check once it was live: {event.reason}"
    return [] if past.has(event.id) else [event], [f"{what}; nothing is live now"]


def _undeployed(store: Store, past: Past, event: Event) -> tuple[list[Event], list[str]]:
    """The same of an undeploy: once the link is gone, the versions go too."""
    name = f"undeploy of {event.model}"
    if store.link().state is not LinkState.NONE:
        error = "cut short before anything was removed"
        return [replace(event, status=history.FAILED, error=error)], [f"the {name} was {error}"]
    failures = [str(left) for left in store.remove(own_directories(store))]
    if past.has(event.id):
        return [], []
    event = replace(event, error="; ".join(failures) or None)
    return [event], [f"the {name} was cut short: it is done now", *failures]


def own_directories(store: Store) -> list[str]:
    """The names below versions/ that tagship made, in no order that means anything."""
    return [name for name in store.directories() if history.is_directory(name)]


def _takes_back(store: Store, intent: Intent, place: Place) -> bool:
    """Whether an intent is that of ``_take_back``, and what failed its check is live still."""
    failed = intent.rejected.place if intent.rejected else None
    return (
        failed is not None
        and failed.directory == store.link().directory
        and place.directory in store.directories()
    )


def event_of_now(
    past: Past,
    action: str,
    model: str,
    *,
    place: Place | None = None,
    reason: str | None = None,
    ids: Iterable[str] = (),
) -> Event:
    """An event of now, of an id that is neither in the past nor taken; it has no ``seq`` yet."""
    now, others = clock.now(), set(ids)
    return Event(
        seq=0,
        id=history.next_id(now, lambda identity: identity in others or past.has(identity)),
        at=clock.stamp(now),
        action=action,
        status=history.SUCCEEDED,
        model=model,
        version=place.version if place else None,
        directory=place.directory if place else None,
        actor=process.actor(),
        host=process.host_name(),
        reason=reason,
    )
