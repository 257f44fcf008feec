"""Deploy, roll back, recover: the ten steps of docs/architecture.md, in one function each.

The link ``current`` is the truth. A run that is killed leaves an intent behind, and the next one
asks the link how far it came.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tagship.deploy import plan
from tagship.disk import capacity
from tagship.errors import Corrupt, Interrupted, SelfTestFailed, TagshipError, Unavailable
from tagship.host import history, installed, journal, metadata, process
from tagship.host.history import Event, Place
from tagship.host.journal import Past
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry.catalog import Release
from tagship.registry.refs import Ref, Wanted
from tagship.text import clock
from tagship.workspace.workspace import Workspace

if TYPE_CHECKING:
    from tagship.dvc.snapshot import Snapshot
    from tagship.loaders.selftest import Report
    from tagship.release.publish import Released


@dataclass(frozen=True)
class Options:
    """How a deploy or a rollback is done.

    Attributes:
        force: deploy what is live and intact again.
        smoke_test: load the model first, and run its self-test; None for what the settings say.
        reason: why, for the history.
        wait: seconds to wait for the lock.
        progress: is told the bytes fetched, copied and hashed.
        verify: a rollback hashes every file, and not only what was touched since its deploy.
        tell: is told whose lock is waited for.
    """

    force: bool = False
    smoke_test: bool | None = None
    reason: str | None = None
    wait: float = 0
    progress: Progress = silent
    verify: bool = False
    tell: Tell = nobody


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
    """

    model: str
    place: Place
    path: Path
    event: Event | None = None
    report: "Report | None" = None
    repaired: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass
class _Job:
    """One act under way; becomes its event.

    Attributes:
        creates: whether it makes its directory.
        signer: whose signature was asked for.
    """

    store: Store
    event: Event
    started: float = field(default_factory=time.monotonic)
    creates: bool = False
    signer: str = ""
    report: "Report | None" = None

    def done(self, status: str, error: str | None = None) -> Event:
        """The event, now that the act came to an end."""
        took = round(time.monotonic() - self.started, 3)
        return replace(self.event, status=status, error=error, duration_s=took)


def deploy(space: Workspace, ref: Ref, options: Options = Options()) -> Outcome:
    """Check a version out into ``versions/`` and make it ``current``.

    Raises:
        NotFound, Refused: there is no such version, it is not on offer, or its tag was moved.
        Locked: another process works on the model.
        Corrupt, Unavailable: its bytes cannot be had as they were released.
        SelfTestFailed: it does not answer as it was released. What was live is live.
    """
    release = space.catalog(ref.model).find(ref)
    taken = space.snapshot(release.commit, ref.model)
    store = space.store(ref.model)
    what = f"deploy of {ref.model}@{release.version}"
    with at_work(store, ref.model, what, options) as mended:
        past = journal.events(store)
        signer = plan.check_tag(space, past, release)
        if not options.force and plan.is_live(store, release, options.progress):
            return _nothing_to_do(store, ref.model, mended)
        job = _begin(store, past, history.DEPLOY, release, options)
        job.signer = signer
        outcome = _check_out_and_switch(space, job, release, taken, options)
    return replace(outcome, repaired=mended)


def rollback(
    space: Workspace,
    model: str,
    wanted: Wanted | None = None,
    options: Options = Options(),
) -> Outcome:
    """Make the last good version before the live one current again, or the one that is wanted.

    Its directory is used where it is intact; else its tag is checked out again.

    Raises:
        NotFound: there is nothing to go back to.
        Refused, Locked, Corrupt, Unavailable, SelfTestFailed: as for ``deploy``.
    """
    store = space.store(model)
    space.check_deployed(model)
    with at_work(store, model, f"rollback of {model}", options) as mended:
        past = journal.events(store)
        live = installed.live_place(store)
        target = plan.rollback_target(space, model, past, live, wanted)
        broken = installed.is_broken(
            store, target.directory, deep=True, touched=not options.verify,
            progress=options.progress,
        )  # fmt: skip
        if target == live and not broken:
            return _nothing_to_do(store, model, mended)
        if broken:
            release = space.catalog(model).find(Ref(model, Wanted.parse(target.version, model)))
            signer = plan.check_tag(space, past, release)
            taken = space.snapshot(release.commit, model)
            job = _begin(store, past, history.ROLLBACK, release, options)
            job.signer = signer
            outcome = _check_out_and_switch(space, job, release, taken, options)
        else:
            store.protect(target.directory)
            kept = metadata.read(store.path(target.directory))
            plan.check_kept(space, past, kept)
            job = _begin_again(store, past, target, kept, options)
            outcome = _switch(space, job)
    return replace(outcome, repaired=mended)


@contextlib.contextmanager
def at_work(store: Store, model: str, what: str, options: Options) -> Iterator[tuple[str, ...]]:
    """Hold the model's lock; gives what a killed run had left and is in order now.

    Raises:
        Locked, Refused: as for ``Store.locked``.
    """
    with store.locked(process.owner(what), options.wait, options.tell):
        mended = recover(store, model)
        try:
            yield mended
        except TagshipError as error:
            error.repaired = mended
            raise


@contextlib.contextmanager
def interruptible(space: Workspace, released: "Released | None") -> Iterator[None]:
    """Around the deploy of what was just released, if it was: an interrupt tells how far it came.

    Raises:
        Interrupted: it was interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        if released is None:
            raise
        model, version = released.model, str(released.version)
        live = installed.told_live(space.store(model))
        done = live is not None and live.version == version
        raise Interrupted(
            f"{model} {version} is released, and {'is' if done else 'not'} live",
            f"tagship deploy {model}@{version}",
        ) from None


def recover(store: Store, model: str) -> tuple[str, ...]:
    """Put in order what a killed run left: close its intent as the link says, sweep its files.

    Needs the lock. Nothing to do is the usual case.

    Returns:
        What was mended, in words.
    """
    past, intent = journal.events(store), journal.intent(store)
    events, mended = ([], []) if intent is None else _closed(store, past, intent)
    ours = [name for name in store.directories() if history.is_directory(name)]
    opened = sorted(name for name in ours if store.seal(name))
    if opened:  # the move of one into the trash was cut short
        mended.append(f"made read-only again: {', '.join(opened)}")
    left = store.sweep()
    if left:
        mended.append(f"removed what was left lying about: {', '.join(left)}")
    if mended:  # in one step: a recovery that is cut short is told by the next one
        reason = "; ".join(mended)
        taken = [event.id for event in events]
        events.append(event_of_now(past, "recover", model, reason=reason, taken=taken))
        try:
            journal.record(store, *events)
        except OSError as error:
            raise Unavailable(
                f"what a run left cannot be put in order: {error.strerror} ({error.filename})",
                capacity.hint(error, "mend the disk, then try again", model),
            ) from error
    if intent is not None:
        store.close_intent()
    return tuple(mended)


def _closed(store: Store, past: Past, intent: journal.Intent) -> tuple[list[Event], list[str]]:
    """The event that a killed run could not write, and what it comes to, in words."""
    event = intent.event
    name = f"{event.action} of {event.model}@{event.version}"
    live = store.link().directory == event.directory
    if intent.creates and not live and event.directory in store.directories():
        store.discard(event.directory)
    if past.has(event.id):
        return [], []
    done = replace(event, status=history.SUCCEEDED)
    if live:
        return [done], [
            f"the {name} was cut short after the switch: it is live, and in the history"
        ]
    if _takes_back(store, past, event):  # what failed its check may not stay live
        store.switch(str(event.directory))
        return [done], [f"the {name} was cut short before the switch: it is live now"]
    failed = replace(event, status=history.FAILED, error="cut short before the switch")
    return [failed], [f"the {name} was cut short before the switch: what was live is live"]


def _takes_back(store: Store, past: Past, event: Event) -> bool:
    """Whether an intent is that of ``_take_back``, which had rejected what is live still."""
    last, live = past[-1] if past else None, store.link().directory
    return (
        last is not None
        and last.action == history.REJECT
        and last.place is not None
        and last.place == event.previous
        and last.place.directory == live
        and event.directory in store.directories()
    )


def _check_out_and_switch(
    space: Workspace, job: _Job, release: Release, taken: "Snapshot", options: Options
) -> Outcome:
    """Steps 2 to 10 of a deploy: fetch, stage, verify, test, publish, switch, record, check."""
    from tagship.deploy import checkout

    job.creates = True
    with _recorded(job):
        job.report = checkout.check_out(
            space, job.store, job.event, release, taken, signer=job.signer,
            smoke_test=options.smoke_test, progress=options.progress,
        )  # fmt: skip
    return _switch(space, job)


def _switch(space: Workspace, job: _Job) -> Outcome:
    """Steps 7 to 10: the link, the history, the check of what is now live, and cleaning up."""
    store, directory = job.store, _directory(job)
    with _recorded(job):
        if not job.creates:
            store.open_intent({"event": job.event.to_json(), "creates": False})
        store.switch(directory)
    event = job.done(history.SUCCEEDED)
    try:
        past = journal.record(store, event)
        store.close_intent()
    except OSError as error:
        raise Unavailable(
            f"{event.model} {event.version} is live, but the history could not be written: {error}",
            f"the next command mends it, once there is room:"
            f" tagship deploy {event.model}@{event.version}",
        ) from None
    _check_live(space, job, past)
    place = Place(str(event.version), directory)
    return Outcome(event.model, place, store.path(directory), past[-1], job.report)


@contextlib.contextmanager
def _recorded(job: _Job) -> Iterator[None]:
    """A failure before the switch goes into the history, and leaves nothing else behind."""
    try:
        yield
    except BaseException as error:
        store, directory = job.store, _directory(job)
        if store.link().directory != directory:  # else it is live, and recovery records it
            with contextlib.suppress(OSError):  # a full disk: recovery does it, once there is room
                _record_failure(job, error)
        if isinstance(error, OSError):
            raise Unavailable(
                f"the {job.event.action} of {job.event.model} {job.event.version} failed:"
                f" {error.strerror or error} ({error.filename or store.folder})",
                capacity.hint(
                    error,
                    f"mend the disk, then see what is live: tagship status {job.event.model}",
                    job.event.model,
                ),
            ) from error
        raise


def _record_failure(job: _Job, error: BaseException) -> None:
    store, directory = job.store, _directory(job)
    if job.creates and directory in store.directories():
        store.discard(directory)
    interrupted = isinstance(error, KeyboardInterrupt)
    said = "interrupted" if interrupted else str(error) or type(error).__name__
    journal.record(store, job.done(history.FAILED, said))
    store.close_intent()
    store.sweep()


def _check_live(space: Workspace, job: _Job, past: Past) -> None:
    """Step 9. A version that fails is taken back, and rejected: no rollback returns to it unasked.

    Raises:
        SelfTestFailed: it failed; what was live before is live again.
    """
    try:
        _after_switch(space, job)
    except (TagshipError, OSError) as error:
        said = error.message if isinstance(error, TagshipError) else str(error)
        now = _take_back(job, past, said)
        event = job.event
        raise SelfTestFailed(
            f"{event.model} {event.version} failed its check once it was live: {said}; {now}",
            f"tagship history {event.model}",
        ) from None


def _take_back(job: _Job, past: Past, said: str) -> str:
    """Make what was live before live again, a rollback of its own; what is live now, in words."""
    store, event, back = job.store, job.event, job.event.previous
    rejected = event_of_now(past, history.REJECT, event.model, place=event.place, reason=said)
    if back is None or back.directory not in store.directories():
        store.unlink()
        journal.record(store, rejected)
        return "nothing is live now"
    reason = f"{event.version} failed its check once it was live"
    again = event_of_now(
        past, history.ROLLBACK, event.model, place=back, reason=reason, taken=[rejected.id]
    )
    again = replace(again, previous=event.place)
    store.open_intent({"event": again.to_json(), "creates": False})
    journal.record(store, rejected)
    store.switch(back.directory)
    journal.record(store, again)
    store.close_intent()
    return f"{back.version} is live again"


def _after_switch(space: Workspace, job: _Job) -> None:
    live = job.store.current.resolve()
    if live != job.store.path(_directory(job)).resolve():
        raise Corrupt(f"{job.store.current} leads to {live}", "")
    described = metadata.read(live)
    problems = metadata.verify(live, described, deep=False)
    if problems:
        raise Corrupt(f"{problems[0].path} {problems[0].what}", "")
    if space.settings.after_switch == "self_test":
        from tagship.loaders import selftest

        self_test = live / described.self_test if described.self_test else None
        selftest.run(live / described.path, self_test, space.settings.smoke_timeout)


def _begin(store: Store, past: Past, action: str, release: Release, options: Options) -> _Job:
    version = str(release.version)
    event = _event_of_place(store, past, action, release.tag.name.model, options)
    event = replace(
        event,
        version=version,
        directory=history.directory_name(version, event.id),
        tag=str(release.tag.name),
        tag_object=release.tag.object_id,
        commit=release.commit,
        previous=installed.live_place(store),
    )
    return _Job(store, event)


def _begin_again(store: Store, past: Past, target: Place, kept: Metadata, options: Options) -> _Job:
    """A rollback to a directory that is still there: nothing is read from Git."""
    event = replace(
        _event_of_place(store, past, history.ROLLBACK, kept.model, options),
        version=target.version,
        directory=target.directory,
        tag=kept.tag.name,
        tag_object=kept.tag.object,
        commit=kept.commit.id,
        previous=installed.live_place(store),
    )
    return _Job(store, event)


def event_of_now(
    past: Past,
    action: str,
    model: str,
    *,
    place: Place | None = None,
    reason: str | None = None,
    taken: Iterable[str] = (),
) -> Event:
    """An event of now, of an id that is neither in the past nor taken; it has no ``seq`` yet."""
    now, others = clock.now(), set(taken)
    return Event(
        seq=0,
        id=history.next_id(now, lambda one: one in others or past.has(one)),
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


def _event_of_place(store: Store, past: Past, action: str, model: str, options: Options) -> Event:
    """The same, where no directory has the id either: the history may have been lost."""
    taken = [history.id_of(name) for name in store.directories()]
    return event_of_now(past, action, model, reason=options.reason, taken=taken)


def _directory(job: _Job) -> str:
    if job.event.directory is None:
        raise AssertionError("a deploy has a directory")
    return job.event.directory


def _nothing_to_do(store: Store, model: str, mended: tuple[str, ...]) -> Outcome:
    place = installed.live_place(store)
    if place is None:
        raise AssertionError("what is live and intact has a place")
    return Outcome(model, place, store.path(place.directory), repaired=mended)
