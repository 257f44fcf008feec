"""A pass of ``sync``: the tags are fetched, and each model is made what it should be.

What goes live goes by ``deploy.deploy``, as by hand. What it can do alone is decided by
``workspace.step``; this module collects the facts, and acts.
"""

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from tagship.deploy import cleanup, deploy, gate, plan, verdict
from tagship.deploy.act import Options
from tagship.deploy.gate import Gate, Measured, Subject, Verdict
from tagship.disk import capacity, lock
from tagship.errors import Held, Locked, Refused, SelfTestFailed, TagshipError, Unavailable
from tagship.host import agent, decisions, history, installed, journal, metadata, process
from tagship.host.agent import Agent
from tagship.host.history import Place
from tagship.host.store import PRIVATE, Store
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Ref, TagName, Wanted
from tagship.registry.seen import Seen
from tagship.text import clock
from tagship.workspace import desired, step
from tagship.workspace.host import Host
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.state import Why
from tagship.workspace.step import Act, Facts, Live, Reason, Retry, Step

AT_ONCE = 32  # gates that are measured at a time


@dataclass(frozen=True)
class Followed:
    """What a pass did with one model, and how it is now.

    Attributes:
        did: what it did, in words; empty where there was nothing to do.
        live: the version that is live.
        why: the worst of the reasons.
        reasons: how it is now.
        until: when there will be something to do, as far as that is known.
    """

    model: str
    did: tuple[str, ...]
    live: str | None
    why: Why
    reasons: tuple[Reason, ...]
    until: datetime | None = None


@dataclass(frozen=True)
class Pass:
    """One pass over the models of a host.

    Attributes:
        source, host: the mirror, and where versions go.
        options: of the deploys.
        seen: how the server's tags differ from those that were seen.
        unfetched: why the tags could not be fetched; None where they were.
        dry_run: nothing goes live, and no gate is measured.
    """

    source: Mirrored
    host: Host
    options: Options
    seen: Seen
    unfetched: TagshipError | None = None
    dry_run: bool = False

    @property
    def root(self) -> Path:
        """The folder of the host."""
        return self.host.root


def sync(
    source: Mirrored, host: Host, models: Sequence[str], options: Options, *, dry_run: bool = False
) -> tuple[Followed, ...]:
    """One pass.

    Args:
        source, host: the mirror, and where versions go.
        models: those to look after.
        options: of the deploys; ``retry``: nothing waits, and what is blocked is tried again.
        dry_run: only fetch, and say what would be done.

    Raises:
        Locked: another pass is under way on this host.
        Refused: tagship.toml says something that may not be.
    """
    gates = gates_of(source)
    with _alone(host.root, options):
        one = _fetched(source, host, options, dry_run=dry_run)
        done = {model: _look_after(one, model) for model in models}
        if not dry_run:
            done |= _watch_all(one, gates, done)
        return tuple(_followed(one, model, did) for model, did in done.items())


def gates_of(source: Mirrored) -> dict[str, Gate]:
    """The gates of the followed models.

    Raises:
        Refused: one has a value that may not be.
    """
    file = str(source.project / "tagship.toml")
    return {
        model: gate.parse(follow.gate, f"follow.{model}.gate", file)
        for model, follow in source.file.follow.items()
        if follow.gate is not None
    }


def _alone(root: Path, options: Options) -> contextlib.AbstractContextManager[None]:
    """One pass at a time on a host."""
    owner = process.owner("sync")
    return lock.locked(root / PRIVATE / "sync", owner, options.wait, options.tell)


def _fetched(source: Mirrored, host: Host, options: Options, *, dry_run: bool) -> Pass:
    """A pass with the newest tags; with those that were seen where the server does not answer."""
    try:
        seen = source.fetch(options.tell, signed=host.policy.require_signed)
    except (Unavailable, Locked) as error:
        return Pass(source, host, options, Seen(), error, dry_run)
    agent.write(host.root, replace(agent.read(host.root), fetched_at=clock.stamp(clock.now())))
    return Pass(source, host, options, seen, dry_run=dry_run)


# --- the facts, and the step that follows from them


def next_step(one: Pass, model: str) -> Step:
    """What is to be done with a model now, and how it is until then."""
    facts = _facts(one, model)
    decided = step.next_step(facts)
    if one.unfetched is None:
        return decided
    unknown = Reason(Why.UNKNOWN, f"nothing could be fetched: {one.unfetched.message}")
    return replace(decided, reasons=(*decided.reasons, unknown))


def _facts(one: Pass, model: str) -> Facts:
    store, known = one.host.store(model), _catalog(one, model)
    rule = one.host.rules.get(model, Wanted())
    past = journal.foreseen(store)
    decided = decisions.read(past, rule)
    wish = desired.desired(known, rule, decided, retry=one.options.retry)
    live, drifted = _live(one.host, store, known, past)
    now, window = clock.now(), one.source.file.window
    good = [place.version for place in history.good(past)] if window else []
    return Facts(
        wish,
        now,
        live,
        step.chosen_by(known, rule, wish),
        _refused(one.seen, model),
        None if window is None or window.is_open(now) else window.opens_at(now),
        _retry(agent.read(one.root), model),
        step.is_way_back(wish, live.release if live else None, good),
        desired.failure(known, decided),
        drifted,
        one.options.retry,
    )


def _catalog(one: Pass, model: str) -> Catalog:
    """The versions that were seen; none before the first fetch."""
    if not (one.source.start / "HEAD").is_file():
        return Catalog(model)
    return one.source.versions(model)


def _live(
    host: Host, store: Store, known: Catalog, past: journal.Past
) -> tuple[Live | None, tuple[str, ...]]:
    """What is live, or should be by the history; and how it differs from what was deployed."""
    place = installed.told_live(store)
    broken, drifted = "", tuple[str, ...]()
    if place is None:
        place = history.last_good(past)
        broken = "its link is gone"
    if place is None:
        return None, ()
    if not broken:
        broken, drifted = _condition(store, place)
    tag_object = history.tag_object_of(past.about(place.version), place.version)
    is_watched = known.model not in host.gated or history.ungated(past) != place
    release = known.get(place.version)
    return Live(place, tag_object, release, broken, is_watched), drifted


def _condition(store: Store, place: Place) -> tuple[str, tuple[str, ...]]:
    """Why what is live cannot answer; and in which ways it is not as it was deployed."""
    described = installed.read_metadata(store, place.directory)
    if described is None:
        return "its directory is gone", ()
    problems = metadata.verify(store.path(place.directory), described, deep=False)
    told = [f"{place.directory}/{problem.path} {problem.what}" for problem in problems]
    missing = [text for text, each in zip(told, problems, strict=True) if each.is_lost]
    return (missing[0], ()) if missing else ("", tuple(told))


def _refused(seen: Seen, model: str) -> dict[TagName, str]:
    """The tags of a model that the server changed, or that cannot be kept."""
    moved = dict.fromkeys(seen.moved, "the server has moved it; the tag that was seen first counts")
    impossible = dict.fromkeys(seen.impossible, "it cannot be kept beside a tag that was seen")
    return {name: what for name, what in (moved | impossible).items() if name.model == model}


def _retry(state: Agent, model: str) -> Retry | None:
    waiting = state.waiting.get(model)
    if waiting is None:
        return None
    return Retry(waiting.tag_object, clock.moment(waiting.at), waiting.reason)


# --- what is done


def _look_after(one: Pass, model: str) -> tuple[str, ...]:
    """Deploy or repair a model, where that is the step; what was done, in words."""
    decided = next_step(one, model)
    release = decided.release
    if one.dry_run or release is None or decided.act not in (Act.DEPLOY, Act.REPAIR):
        return ()
    does = _deploy if decided.act is Act.DEPLOY else _repair
    try:
        told = _with_room(one, model, partial(does, one, release))
    except (SelfTestFailed, Held) as error:  # the history has it
        return (error.message,)
    except Refused as error:
        return _later(one, model, release, error)
    except (TagshipError, OSError) as error:
        return _later(one, model, release, error)
    _write(one.root, agent.read(one.root).done(model))
    return told


def _with_room(one: Pass, model: str, does: "partial[tuple[str, ...]]") -> tuple[str, ...]:
    """Act; on a full disk clean up, then act once more."""
    try:
        return does()
    except Unavailable as error:
        if not capacity.is_cause(error):
            raise
        gone, _ = cleanup.make_room(one.host, model)
        if not gone:
            raise
        return (f"removed {', '.join(gone)}: the disk was full", *does())


def _deploy(one: Pass, release: Release) -> tuple[str, ...]:
    model = release.tag.name.model
    outcome = deploy.deploy(one.source, one.host, Ref(model), one.options)
    if one.host.settings.auto_cleanup and not (outcome.event and outcome.event.gated):
        outcome = cleanup.after(one.host, outcome)
    return (*outcome.repaired, f"{outcome.place.version} is live", *outcome.warnings)


def _repair(one: Pass, release: Release) -> tuple[str, ...]:
    model, version = release.tag.name.model, release.version
    options = replace(one.options, reason="what is live was broken")
    selector = Wanted(exact=version)
    outcome = deploy.rollback(one.source, one.host, model, selector, options)
    return (*outcome.repaired, f"{outcome.place.version} is whole again", *outcome.warnings)


def _later(
    one: Pass, model: str, release: Release, error: TagshipError | OSError
) -> tuple[str, ...]:
    """What could not be done is tried again later; nothing is blocked for it."""
    reason = error.message if isinstance(error, TagshipError) else str(error)
    state = agent.read(one.root)
    _write(one.root, state.later(model, release.tag.object_id, reason, clock.now()))
    return (f"{release.version} could not be deployed: {reason}",)


def _write(root: Path, state: Agent) -> None:
    """Keep what is waited for; where the disk has no room for it, the next pass comes sooner."""
    if state != agent.read(root):
        with contextlib.suppress(OSError):
            agent.write(root, state)


# --- gates


def _watch_all(
    one: Pass, gates: Mapping[str, Gate], done: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Measure the gates of what went live and has no verdict yet, all at once."""
    due = {model: live for model in done if model in gates and (live := _ungated(one, model))}
    if not due:
        return {}
    with ThreadPoolExecutor(min(len(due), AT_ONCE)) as pool:
        told = pool.map(lambda model: watch(one, model, gates[model], due[model]), due)
        return {model: (*done[model], *words) for model, words in zip(due, told, strict=True)}


def _ungated(one: Pass, model: str) -> Place | None:
    store = one.host.store(model)
    place = history.ungated(journal.events(store))
    is_due = next_step(one, model).act is Act.WATCH
    return place if is_due and place == installed.told_live(store) else None


def watch(one: Pass, model: str, watched: Gate, place: Place) -> tuple[str, ...]:
    """Measure a gate, and do what follows from it; what was done, in words."""
    store, known = one.host.store(model), _catalog(one, model)
    measured = gate.measure(
        watched, _subject(one, store, model, place), lambda: installed.told_live(store) == place
    )
    release = known.get(place.version)
    if measured.verdict is Verdict.ENDED:
        return (measured.reason,)
    if measured.verdict is Verdict.NOT_MEASURED:
        if release is None:
            return (_not_measured(place, measured),)
        return _later_gate(one, model, release, place, measured)
    tags = partial(plan.tag_ids, one.source, model)
    options = replace(one.options, reason=None)
    told = verdict.record(store, known, place, measured, options, tags)
    if measured.verdict is Verdict.PASSED and one.host.settings.auto_cleanup:
        with contextlib.suppress(TagshipError, OSError):
            cleanup.cleanup(one.host, model)
    return (told,) if told else ()


def _subject(one: Pass, store: Store, model: str, place: Place) -> Subject:
    described = metadata.read(store.path(place.directory))
    return Subject(
        model, place.version, described.tag.name, described.commit.id,
        store.path(place.directory), one.root,
    )  # fmt: skip


def _not_measured(place: Place, measured: Measured) -> str:
    return f"the gate of {place.version} could not be measured: {measured.reason}"


def _later_gate(
    one: Pass, model: str, release: Release, place: Place, measured: Measured
) -> tuple[str, ...]:
    told = _not_measured(place, measured)
    state = agent.read(one.root).later(model, release.tag.object_id, told, clock.now())
    _write(one.root, state)
    return (told,)


# --- what came of it


def _followed(one: Pass, model: str, did: tuple[str, ...]) -> Followed:
    decided = next_step(one, model)
    live = installed.told_live(one.host.store(model))
    version = live.version if live else None
    return Followed(model, did, version, decided.why, decided.reasons, decided.until)
