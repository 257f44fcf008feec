"""What may go from versions/, decided from values; and its removal, first into the trash."""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from semver import Version

from tagship.deploy import act, check, mounts, open_files
from tagship.deploy.act import PLAIN, Act, Options, Outcome
from tagship.disk import capacity, shared_lock
from tagship.errors import Corrupt, Forbidden, NotFound, Refused, TagshipError, Unavailable
from tagship.host import history, installed, journal, link, metadata, process
from tagship.host.history import Event, Place
from tagship.host.store import Pin, Store, Stuck
from tagship.registry.refs import Ref
from tagship.text import clock
from tagship.workspace.host import Host

NOT_REMOVED = "cannot be removed"


@dataclass(frozen=True)
class Verdict:
    """Whether a version directory stays, and why; its size in bytes."""

    directory: str
    version: str
    keep: bool
    why: str
    size: int


@dataclass(frozen=True)
class Cleanup:
    """What a cleanup decided, oldest first, and the bytes that it freed (or would free).

    ``stuck``: what should have gone, and could not be removed.
    """

    model: str
    verdicts: tuple[Verdict, ...]
    dry_run: bool
    repaired: tuple[str, ...] = ()
    stuck: tuple[Stuck, ...] = ()

    @property
    def freed(self) -> int:
        """Bytes of the directories that go."""
        return sum(verdict.size for verdict in self.verdicts if not verdict.keep)


@dataclass(frozen=True)
class Pinned:
    """Whether cleanup may have a version; ``repaired``: what a killed run had left."""

    model: str
    version: str
    pinned: bool
    repaired: tuple[str, ...] = ()


def decide(
    places: Sequence[Place],
    events: Sequence[Event],
    live: Place | None,
    target: Place | None,
    pinned: Iterable[str],
    in_use: Mapping[str, str],
    keep: int,
    left: str | None = None,
) -> list[tuple[Place, str]]:
    """Which places stay, and why; an empty reason means that the place goes. Pure.

    Args:
        places: what is below versions/, by the ``seq`` of its deploy.
        events: the history, or what of it names these places.
        live: what ``current`` means.
        target: where a rollback would go.
        pinned: versions that somebody protects.
        in_use: names below versions/ that something uses, and how.
        keep: how many good versions stay, the live one among them; 0: only those with a reason of
            their own.
        left: the directory that was live until now: a program may have resolved it, and still
            be about to open a file of it.
    """
    mentioned = {event.directory for event in events}
    # what a lost history does not mention was good when it was deployed
    ours = [place for place in places if history.is_directory(place.directory)]
    known = [place for place in ours if place.directory not in mentioned]
    known += [place for place in history.deployed(events) if place in places]
    unproven = history.unproven(events)
    newest = _newest([place for place in known if place not in unproven], keep)
    pins = set(pinned)
    order = {place: index for index, place in enumerate(known)}

    def why(place: Place) -> str:
        if live is not None and place.directory == live.directory:
            return "live"
        if target is not None and place.directory == target.directory:
            return "rollback target"
        if place.directory == left:
            return "live until now"
        if not history.is_directory(place.directory):
            return "not made by tagship"
        if place.version in pins:
            return "pinned"
        if place.directory in in_use:
            return in_use[place.directory]
        return f"one of the {keep} good versions kept" if place in newest else ""

    return [(p, why(p)) for p in sorted(places, key=lambda p: (order.get(p, -1), p.directory))]


def _newest(good: Sequence[Place], keep: int) -> list[Place]:
    """The last directory of each of the last ``keep`` versions."""
    by_version: dict[str, Place] = {}
    for place in good:
        by_version.pop(place.version, None)
        by_version[place.version] = place
    return list(by_version.values())[-keep:] if keep else []


def cleanup(
    host: Host,
    model: str,
    keep: int | None = None,
    *,
    dry_run: bool = False,
    plan: Cleanup | None = None,
    options: Options = PLAIN,
    left: str | None = None,
) -> Cleanup:
    """Remove old versions from this host; the tags and DVC's objects stay, so each can come back.

    Args:
        host: where they are.
        model: the model.
        keep: good versions that stay; None for what the settings say.
        dry_run: decide, and remove nothing.
        plan: what was decided, shown and confirmed before: nothing else is removed.
        options: ``reason`` and ``wait`` are used.
        left: the directory that was live until now, which stays.

    Raises:
        Locked: another process works on the model.
        Refused: by now more would be removed than the plan says; nothing is.
    """
    store = host.store(model)
    keep = host.settings.keep if keep is None else keep
    if type(keep) is not int or keep < 0:  # True is an int, and would remove all but one
        raise Refused(f"cleanup cannot keep {keep!r} versions", "give a whole number: --keep 0")
    if dry_run:
        return Cleanup(model, _verdicts(store, keep, left), dry_run=True)
    what, checks = f"cleanup of {model}", check.of(host, model)
    with act.begin(store, model, what, options, without_room=True, check=checks) as deed:
        verdicts = _verdicts(store, keep, left or _left(store))
        gone = [verdict for verdict in verdicts if not verdict.keep]
        if plan is not None:
            _check_shown(plan, gone)
        stuck = store.discard_all(verdict.directory for verdict in gone)
        kept = {left.path.name: left.why if left.in_use else NOT_REMOVED for left in stuck}
        stuck = [left for left in stuck if not left.in_use]
        gone = [verdict for verdict in gone if verdict.directory not in kept]
        if gone:
            store.hollow_trash()  # a full disk takes no history before it has room again
            _record(deed, gone)
        stuck += store.empty_trash()
        repaired = deed.repaired or act.settle(store, model, options, check=checks).repaired
    verdicts = tuple(
        replace(verdict, keep=True, why=kept[verdict.directory])
        if verdict.directory in kept
        else verdict
        for verdict in verdicts
    )
    stuck = [left for left in stuck if os.path.lexists(left.path)]  # recovery tried once more
    return Cleanup(model, verdicts, False, repaired, tuple(stuck))


def _left(store: Store) -> str | None:
    """What was live before a switch that is not put in order yet, as the disk is full."""
    intent = journal.intent(store)
    return intent.event.previous.directory if intent and intent.event.previous else None


def _check_shown(plan: Cleanup, gone: Sequence[Verdict]) -> None:
    """Refuse to remove what a plan did not show."""
    shown = {verdict.directory for verdict in plan.verdicts if not verdict.keep}
    more = [verdict.directory for verdict in gone if verdict.directory not in shown]
    if more:
        raise Refused(
            f"{', '.join(more)} would be removed by now too, so nothing was",
            f"look again: tagship cleanup {plan.model} --dry-run",
        )


def _record(deed: Act, gone: Sequence[Verdict]) -> None:
    """One event a directory, each with an id of its own; an open intent has one too."""
    intent = journal.intent(deed.store)
    ids = [intent.event.id] if intent else []
    events: list[Event] = []
    for verdict in gone:
        place, reason = Place(verdict.version, verdict.directory), deed.options.reason
        events.append(deed.event("cleanup", place, reason or verdict.why, ids=ids))
        ids.append(events[-1].id)
    try:
        deed.record(*events)
    except OSError as error:
        model = deed.model
        raise Unavailable(
            f"{len(gone)} of the versions of {model} are removed, but the history could not be"
            f" written: {error.strerror} ({error.filename})",
            capacity.hint(
                error, f"fix the disk, then see what is left: tagship list {model}", model
            ),
        ) from error


def after(host: Host, outcome: Outcome) -> Outcome:
    """Step 10 of a deploy: clean up. What fails here is a warning: the new version is live.

    Most deploys have nothing to clean up: then the lock is not taken again. Behind a gate nothing
    goes before that has passed.
    """
    if outcome.event is not None and outcome.event.gated:
        return outcome
    before = outcome.event.previous if outcome.event else None
    try:
        if len(host.store(outcome.model).directories()) <= host.settings.keep:
            return outcome
        done = cleanup(host, outcome.model, left=before.directory if before else None)
    except (TagshipError, OSError) as error:
        again = f"again: tagship cleanup {outcome.model}"
        failed = f"the cleanup after the deploy failed: {error}; {again}"
        return replace(outcome, warnings=(*outcome.warnings, failed))
    removed = tuple(verdict.directory for verdict in done.verdicts if not verdict.keep)
    warnings = (*outcome.warnings, *map(str, done.stuck))
    return replace(outcome, removed=removed, freed=done.freed, warnings=warnings)


def with_room(host: Host, model: str, attempt: Callable[[], Outcome]) -> Outcome:
    """A deploy or a rollback; if the disk has no room for it: clean up, then once more.

    What goes is what the cleanup after a deploy would remove, of every model on this host; nothing
    does where ``auto_cleanup`` is off.

    Raises:
        TagshipError: what ``attempt`` raises: the first time, if nothing could be removed.
    """
    try:
        return attempt()
    except Unavailable as error:
        if not (host.settings.auto_cleanup and capacity.is_cause(error)):
            raise
        removed, freed = make_room(host, model)
        if not removed:
            raise
    outcome = attempt()
    return replace(
        outcome, removed=(*removed, *outcome.removed), freed=freed + outcome.freed
    )  # fmt: skip


def make_room(host: Host, model: str) -> tuple[tuple[str, ...], int]:
    """Clean up a model, then the others on this host; the directories that went, and their bytes.

    A model that cannot be cleaned up, such as one that another process works on, stays as it is.
    """
    done: list[Cleanup] = []
    options = replace(PLAIN, reason="the disk had no room")
    for name in sorted(host.models_with(link.VERSIONS), key=lambda name: (name != model, name)):
        with contextlib.suppress(TagshipError, OSError):
            done.append(cleanup(host, name, options=options))
    gone = [v.directory for cleaned in done for v in cleaned.verdicts if not v.keep]
    return tuple(gone), sum(cleaned.freed for cleaned in done)


def pin(store: Store, model: str, version: str, options: Options) -> Pinned:
    """Protect a version from cleanup.

    Raises:
        Refused: it is pinned already.
        Locked: another process works on the model.
    """
    with act.begin(store, model, f"pin of {model}@{version}", options) as deed:
        pins = store.pins()
        if version in pins:
            raise Refused(f"{model} {version} is pinned already", f"tagship list {model}")
        at = clock.stamp(clock.now())
        pins[version] = Pin(version, options.reason, at, process.actor())
        store.write_pins(pins)
        deed.record(replace(deed.event("pin"), version=version))
    return Pinned(model, version, True, deed.repaired)


def unpin(store: Store, ref: Ref, options: Options) -> Pinned:
    """Remove the cleanup protection from a version; which one, of those that are pinned.

    Raises:
        NotFound: it is not pinned.
        Locked: another process works on the model.
    """
    model = ref.model
    pinned = ref.wanted.select(Version.parse(version) for version in store.pins())
    if pinned is None:
        text = str(ref.wanted).lstrip("@")
        raise NotFound(f"{model} {text} is not pinned", f"tagship list {model}")
    version = str(pinned)
    with act.begin(store, model, f"unpin of {model}@{version}", options) as deed:
        pins = store.pins()
        pins.pop(version, None)
        store.write_pins(pins)
        deed.record(replace(deed.event("unpin"), version=version))
    return Pinned(model, version, False, deed.repaired)


def _verdicts(store: Store, keep: int, left: str | None = None) -> tuple[Verdict, ...]:
    places = [place_of(store, directory) for directory in installed.by_seq(store)]
    past, live = journal.events(store), installed.live_place(store)
    decided = decide(
        places,
        past.about(*(place.directory for place in places)),
        live,
        history.rollback_target(past, live),
        store.pins(),
        in_use(store),
        keep,
        left,
    )
    return tuple(
        Verdict(p.directory, p.version, bool(why), why or "old", size_of(store.path(p.directory)))
        for p, why in decided
    )


def in_use(store: Store) -> dict[str, str]:
    """The names below versions/ that a process or a mount uses, and how."""
    mounted = {
        name: f"mounted at {where}" for name, where in mounts.holders(store.versions).items()
    }
    opened = dict.fromkeys(open_files.holders(store.versions), "open in a process")
    return mounted | opened | {n: shared_lock.in_words(ids) for n, ids in store.in_use().items()}


def place_of(store: Store, directory: str) -> Place:
    """A version directory and its version: as its metadata says, or else its name."""
    try:
        return Place(metadata.read(store.path(directory)).version, directory)
    except (Corrupt, Forbidden):
        return Place(link.version_of(directory), directory)


def size_of(top: Path) -> int:
    """The bytes of the files below a folder; none for a link, which is not followed."""
    if top.is_symlink():
        return 0
    return sum(
        Path(folder, name).stat(follow_symlinks=False).st_size
        for folder, _, names in os.walk(top)
        for name in names
    )
