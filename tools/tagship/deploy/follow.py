"""What a pass of ``sync`` does with a model: deploys it, repairs it, watches its gate.

What goes live goes by ``deploy.deploy``, as by hand.
"""

import contextlib
import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from tagship.deploy import act, check, cleanup, deploy, gate, plan, sync, verdict
from tagship.deploy.act import Options, Outcome
from tagship.deploy.gate import Subject, Verdict
from tagship.deploy.sync import Pass
from tagship.disk import access
from tagship.errors import Held, Locked, NotTrusted, SelfTestFailed, TagshipError
from tagship.host import agent, history, installed, journal, metadata
from tagship.host.agent import Agent, Refusal, Waiting
from tagship.host.history import Place
from tagship.host.store import Store
from tagship.registry.catalog import Release
from tagship.registry.refs import Ref, Wanted
from tagship.registry.seen import Seen
from tagship.text import clock
from tagship.workspace import facts, step
from tagship.workspace.host import Host
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.step import Act, Step

LONGEST = 200  # letters of why a version was withdrawn, in the history
AT_ONCE = 32  # gates that are measured at a time
_STATE = threading.Lock()  # each of them reads and writes what is waited for


def recover(one: Pass, model: str) -> tuple[str, ...]:
    """Put in order what a killed run left of a model, and check what it made live; in words.

    Where that is no killed run but one under way, nothing is left.
    """
    store, tags = one.host.store(model), partial(plan.tag_ids, one.source, model)
    what, checks = f"recovery of {model}", check.of(one.host, model)
    try:
        with act.begin(store, model, what, one.options, tags=tags, check=checks) as deed:
            return deed.repaired
    except Locked:
        return ()
    except (TagshipError, OSError) as error:
        return (access.explain(error)[0],)


def act_on(
    one: Pass, steps: Mapping[str, Step], repaired: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Do what the steps of a pass say; what was done, in words, by model, after what was before."""
    done = {
        model: (*repaired[model], *_look_after(one, model, each)) for model, each in steps.items()
    }
    return done | _watch_all(one, done)


def _look_after(one: Pass, model: str, now: Step) -> tuple[str, ...]:
    """Deploy or repair a model, where that is the step."""
    if now.release is None or now.act not in (Act.DEPLOY, Act.REPAIR):
        return ()
    does = _deploy if now.act is Act.DEPLOY else _repair
    try:
        outcome = cleanup.with_room(one.host, model, partial(does, one, now.release))
    except (SelfTestFailed, Held) as error:  # the history has it
        return (error.message,)
    except NotTrusted as error:
        return _refuse(one, model, now.release, error)
    except (TagshipError, OSError) as error:
        return _later(one, model, now.release, error)
    _done(one, model)
    if one.host.settings.auto_cleanup:  # after a gate it waits for the verdict
        outcome = cleanup.after(one.host, outcome)
    said = "is live" if now.act is Act.DEPLOY else "is whole again"
    return (*outcome.repaired, f"{outcome.place.version} {said}", *outcome.warnings)


def _deploy(one: Pass, release: Release) -> Outcome:
    model = release.tag.name.model
    # the step knows that it is its turn
    options = replace(one.options, staged=False, reason=_withdrawn(one, model))
    return deploy.deploy(one.source, one.host, Ref(model), options)


def _withdrawn(one: Pass, model: str) -> str | None:
    """That what is live was taken back for all hosts, and why; None if it was not."""
    live, known = installed.told_live(one.host.store(model)), one.source.versions(model)
    tag = known.withdrawal(live.version) if live is not None else None
    if live is None or tag is None:
        return None
    why = tag.message.strip().partition("\n\n")[2].partition("\n")[0]  # below the subject
    return f"{live.version} was withdrawn" + (f": {why[:LONGEST]}" if why else "")


def _repair(one: Pass, release: Release) -> Outcome:
    model, selector = release.tag.name.model, Wanted(exact=release.version)
    options = replace(one.options, reason="what is live was broken")
    return deploy.rollback(one.source, one.host, model, selector, options)


def _later(
    one: Pass, model: str, release: Release, error: TagshipError | OSError
) -> tuple[str, ...]:
    """What could not be done is tried again later; nothing is blocked for it."""
    reason = error.message if isinstance(error, TagshipError) else str(error)
    _wait(one, model, release, reason)
    live = installed.told_live(one.host.store(model))
    if live is not None and live.version == str(release.version):  # what follows it went wrong
        return (reason,)
    return (f"{release.version} could not be deployed: {reason}",)


def _refuse(one: Pass, model: str, release: Release, error: NotTrusted) -> tuple[str, ...]:
    """What this host does not accept is not tried again until the tag or its policy changes."""
    trust = facts.trust(one.host, one.source.versions(model), release)
    with _STATE:
        refusal = Refusal(release.tag.object_id, trust, error.message)
        _write(one.root, agent.read(one.root).refuses(model, refusal))
    return (f"{release.version} could not be deployed: {error.message}",)


def _wait(one: Pass, model: str, release: Release | None, reason: str) -> None:
    """Have the next passes wait before they try a version again."""
    if release is None:
        return
    with _STATE:
        state = agent.read(one.root)
        before, now, chance = facts.retry_of(state, model), clock.now(), random.random()  # noqa: S311
        retry = step.put_off(release.tag.object_id, reason, now, before, chance)
        entry = Waiting(retry.tag_object, retry.tries, clock.stamp(retry.at), retry.reason)
        _write(one.root, state.waits(model, entry))


def _done(one: Pass, model: str) -> None:
    """Nothing of a model is waited for any more."""
    with _STATE:
        _write(one.root, agent.read(one.root).done(model))


def _write(root: Path, state: Agent) -> None:
    """Keep what is waited for."""
    if state != agent.read(root):
        agent.write(root, state)


# --- gates


def _watch_all(one: Pass, done: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Measure the gates of what went live and has no verdict yet, all at once."""
    due = {model: live for model in done if (live := _ungated(one, model))}
    if not due:
        return {}
    with ThreadPoolExecutor(min(len(due), AT_ONCE)) as pool:
        told = pool.map(lambda model: _watched(one, model, due[model]), due)
        return {model: (*done[model], each) for model, each in zip(due, told, strict=True)}


def _ungated(one: Pass, model: str) -> Place | None:
    if sync.next_step(one, model).act is not Act.WATCH:
        return None
    store = one.host.store(model)
    place = history.ungated(journal.events(store))
    return place if place == installed.told_live(store) else None


def _watched(one: Pass, model: str, place: Place) -> str:
    """Measure a gate; what was done, in words. What goes wrong with it stops no other model."""
    try:
        return _watch(one, model, place)[1]
    except (TagshipError, OSError) as error:
        return f"the gate of {place.version} has no verdict: {access.explain(error)[0]}"


def by_hand(source: Mirrored, host: Host, outcome: Outcome, options: Options) -> Outcome:
    """Measure the gate of what a person just deployed, and say what came of it.

    Raises:
        SelfTestFailed: it failed, and what was live before is live again.
    """
    model = outcome.model
    one = Pass(source, host, options, Seen())
    found, told = _watch(one, model, outcome.place)
    if found is Verdict.FAILED:
        raise SelfTestFailed(f"{model} {told}", f"tagship history {model}")
    return replace(outcome, warnings=(*outcome.warnings, told))


def _watch(one: Pass, model: str, place: Place) -> tuple[Verdict, str]:
    """Measure a gate, and do what follows from it; what was done, in words."""
    store, known = one.host.store(model), one.source.versions(model)
    watched = one.source.file.follow[model].gate
    if watched is None:  # it was taken out of tagship.toml: nobody asks for a verdict any more
        return Verdict.ENDED, f"{model} has no gate any more"
    measured = gate.measure(
        watched, _subject(one, store, model, place), lambda: installed.told_live(store) == place
    )
    if measured.verdict is Verdict.ENDED:
        return measured.verdict, measured.reason
    if measured.verdict is Verdict.NOT_MEASURED:
        told = f"the gate of {place.version} could not be measured: {measured.reason}"
        _wait(one, model, known.get(place.version), told)
        return measured.verdict, f"{told}; tagship sync measures it again"
    tags = partial(plan.tag_ids, one.source, model)
    _done(one, model)
    told = verdict.record(store, known, place, measured, replace(one.options, reason=None), tags)
    if measured.verdict is Verdict.PASSED and one.host.settings.auto_cleanup:
        with contextlib.suppress(TagshipError, OSError):
            cleanup.cleanup(one.host, model)
    return measured.verdict, told or "another version is live by now"


def _subject(one: Pass, store: Store, model: str, place: Place) -> Subject:
    described = metadata.read(store.path(place.directory))
    return Subject(
        model, place.version, described.tag.name, described.commit.id,
        store.path(place.directory), one.root,
    )  # fmt: skip
