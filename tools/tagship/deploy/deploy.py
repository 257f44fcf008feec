"""Deploy and roll back: the ten steps of docs/architecture.md, in one function each."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from tagship.deploy import act, check, plan
from tagship.deploy.act import PLAIN, Act, Options, Outcome, Switch
from tagship.disk import access
from tagship.errors import SelfTestFailed, TagshipError
from tagship.host import actions, decisions, history, installed, journal, metadata
from tagship.host.decisions import Decisions
from tagship.host.metadata import Metadata
from tagship.registry.refs import Action, Ref, TagName, Wanted
from tagship.text import clock
from tagship.workspace import desired
from tagship.workspace.host import Host
from tagship.workspace.source import Source

if TYPE_CHECKING:
    from tagship.loaders.selftest import Report


def deploy(source: Source, host: Host, ref: Ref, options: Options = PLAIN) -> Outcome:
    """Check a version out into ``versions/`` and make it ``current``.

    Without an exact version it is the desired one: see ``workspace.desired``. A directory of the
    version that is here already is used, once its bytes are hashed.

    Raises:
        NotFound, Refused: there is no such version, it is not available, or its tag was moved.
        Held: no exact version is named, and the model is held, or it is not this host's turn.
        Locked: another process works on the model.
        Corrupt, Unavailable: its bytes are not available as they were released.
        SelfTestFailed: its answers differ from the released ones. The live version stays live.
    """
    from tagship.deploy import checkout

    source.check_owner(ref.model, f"deploy {ref}")
    known = source.catalog(ref.model)
    store = host.store(ref.model)
    choose = partial(
        plan.choose, source, known, ref, retry=options.retry, shown=options.shown,
        rule=host.rules.get(ref.model),
    )  # fmt: skip
    release = choose(journal.foreseen(store)).release
    source.complete([release], options.tell)  # not under the lock: it may wait for a server
    what = f"deploy of {ref.model}@{release.version}"
    tags = partial(plan.tag_ids, source, ref.model)
    checks = check.of(host, ref.model)
    with act.begin(store, ref.model, what, options, tags=tags, check=checks) as deed:
        choice = choose(deed.past)
        release = choice.release
        _check_not_rejected(deed, str(release.version))
        signer = plan.check_choice(host.policy, source.repository, deed.past, choice)
        if deed.live and not options.force and plan.is_live(store, release, options.progress):
            told = _follow(host, deed, choice)
            outcome = deed.nothing_to_do(deed.live)
            return replace(outcome, passed_over=choice.passed_over, warnings=told)
        if options.staged and not options.retry:
            plan.check_turn(source, host, known, choice, deed.past, retry=False)
        if options.force:
            version = str(release.version)
            kept, damage = None, plan.damage_of(store, version, deed.live, options.progress)
        else:
            kept, damage = plan.kept(source, store, release, options.progress)
        if kept is not None:
            switch = _chosen(host, deed.switch_to_kept(actions.DEPLOY, *kept), choice)
            switch = _repairing(switch, damage)
            report = _test_kept(host, switch, kept[1])
        else:
            with _needed_by(damage):
                at_commit = source.tagged(release)
            switch = _chosen(host, deed.switch_to_new(actions.DEPLOY, release), choice)
            switch = _repairing(switch, damage)
            with switch.recorded(), _needed_by(damage):
                report = checkout.check_out(source, host, switch, release, at_commit, signer)
        outcome = _noted(host, switch.go_live(checks, report), damage)
        return replace(outcome, passed_over=choice.passed_over)


def _check_not_rejected(deed: Act, version: str) -> None:
    """Refuse to try again at once what failed the check that a killed run had not come to."""
    if deed.rejected is not None and deed.rejected.version == version:
        raise SelfTestFailed(
            f"{deed.model} {version} was live, and failed its check just now",
            f"tagship history {deed.model}",
        )


def _follow(host: Host, deed: Act, choice: plan.Choice) -> tuple[str, ...]:
    """Record a rule that was not followed until now: ``status`` goes by it; and what to tell."""
    before = plan.rule_before(host, deed.model, deed.past, choice.rule)
    if before is None:
        return ()
    deed.record(replace(deed.event(actions.FOLLOW, deed.live), rule=choice.rule))
    return (f"from now on by the rule {choice.rule} (before: {before})",)


def _chosen(host: Host, switch: Switch, choice: plan.Choice) -> Switch:
    """The switch, with what selected the version in its event, and whether a gate is to pass."""
    switch = replace(switch, assignments=choice.assignments)
    gated = switch.act.options.gate and switch.act.model in host.gated
    return switch.noted(rule=choice.rule, until=choice.until, gated=gated)


def _test_kept(host: Host, switch: Switch, kept: Metadata) -> "Report":
    """The signatures and the smoke test of a version whose directory is here and intact."""
    from tagship.deploy import checkout

    act = switch.act
    act.store.protect(switch.place.directory)
    with switch.recorded():
        host.policy.check_files(kept.statement, kept.signature)
        model = act.store.path(switch.place.directory) / kept.path
        return checkout.smoke_test(host.settings, model, kept.self_test, act.options.smoke_test)


def rollback(
    source: Source,
    host: Host,
    model: str,
    selector: Wanted | None = None,
    options: Options = PLAIN,
) -> Outcome:
    """Roll back to the previous good version, or to the version that ``selector`` names.

    Its directory is used if it is intact; else its tag is checked out again.

    Raises:
        NotFound: there is nothing to go back to.
        Refused, Locked, Corrupt, Unavailable, SelfTestFailed: as for ``deploy``.
    """
    store = host.store(model)
    tags = cache(partial(plan.tag_ids, source, model))
    checks = check.of(host, model)  # a check that was cut short would only delay it
    with act.begin(store, model, f"rollback of {model}", options, tags=tags) as deed:
        target = plan.rollback_target(source, model, deed.past, deed.live, selector)
        broken = installed.damage(
            store, target.directory, deep=True, touched=not options.verify,
            progress=options.progress,
        )  # fmt: skip
        damage = plan.Damage.of(target.directory, broken)
        if target == deed.live and not broken:
            deed.conclude(checks)
            return _held_as_it_is(deed, target, tags() or {})
        report = None
        if broken:
            from tagship.deploy import checkout  # not needed if the directory is intact

            with _needed_by(damage):
                release = source.release(Ref(model, Wanted.parse(target.version, model)))
                signer = plan.check_tag(host.policy, source.repository, deed.past, release)
                source.complete([release], options.tell)  # its bytes have to be fetched too
                at_commit = source.tagged(release)
            switch = _passing_over(deed.switch_to_new(actions.ROLLBACK, release))
            switch = _repairing(switch, damage)
            with switch.recorded(), _needed_by(damage):
                report = checkout.check_out(source, host, switch, release, at_commit, signer)
        else:
            store.protect(target.directory)
            kept = metadata.read(store.path(target.directory))
            plan.check_kept(source, host.policy, deed.past, kept)
            switch = _passing_over(deed.switch_to_kept(actions.ROLLBACK, target, kept))
        outcome = _noted(host, switch.go_live(checks, report), damage)
        blocked = desired.versions(tags() or {}, switch.event.passed_over)
        blocked = tuple(each for each in blocked if each != target.version)  # it was asked for
        return _with_hold(deed, replace(outcome, blocked=blocked))


@contextlib.contextmanager
def _needed_by(damage: plan.Damage | None) -> Iterator[None]:
    """An error while a version is checked out says that its directory here is damaged."""
    try:
        yield
    except SelfTestFailed:  # this is no fault of what was here
        raise
    except TagshipError as error:
        if damage is not None:
            error.follows(f"{damage.now('is')}, so the version has to be checked out anew")
        raise


def _repairing(switch: Switch, damage: plan.Damage | None) -> Switch:
    """The switch; where a directory of its version is damaged, its event says so."""
    return switch if damage is None else switch.because(damage.now("was"))


def _noted(host: Host, outcome: Outcome, damage: plan.Damage | None) -> Outcome:
    """The outcome, with notes: what was damaged; what root made in a folder of another account."""
    notes = [access.by_root(host.within or host.root)]
    if damage is not None:
        notes.insert(0, f"{damage.now('was')}: {outcome.place.directory} takes its place")
    return replace(outcome, warnings=(*outcome.warnings, *filter(None, notes)))


def _with_hold(deed: Act, outcome: Outcome) -> Outcome:
    """The outcome of a rollback, which tells where it ended a hold."""
    before = decisions.read(deed.past).hold
    if before is None or outcome.held:
        return outcome
    began = f"the hold that began with the deploy of {before.event.version}"
    note = f"{began} has ended; to hold the model: tagship hold {deed.model}"
    return replace(outcome, warnings=(*outcome.warnings, note))


def _held_as_it_is(deed: Act, live: history.Place, tags: Mapping[TagName, str]) -> Outcome:
    """The outcome where the target is live and intact: a hold that was asked for begins.

    Nobody goes back from anything, so nothing is blocked.
    """
    outcome, until = deed.nothing_to_do(live), deed.options.hold
    if until is not None:
        past = deed.record(replace(deed.event(actions.HOLD), until=clock.stamp(until)))
        return replace(outcome, event=past[-1], held=True)
    if outcome.held:
        return outcome
    decided = decisions.read(deed.past)
    known = set(desired.blocked({}, decided.blocks, None))
    above = set(deed.blocked(live.version) or ()) - known
    names = {name: tag for name, tag in tags.items() if name.action is Action.REGISTER}
    newer = [each for each in desired.versions(names, above) if each != live.version]
    if not newer:
        return outcome
    note = (
        f"nobody went back from anything, so nothing is blocked: {', '.join(newer[-3:])} may go"
        f" live by itself; to prevent that: tagship hold {deed.model}"
    )
    return replace(outcome, warnings=(*outcome.warnings, note))


def _passing_over(switch: Switch) -> Switch:
    """A rollback blocks what is above its version and known here by now; ``hold`` holds too."""
    act, version = switch.act, switch.place.version
    is_other = act.live is not None and act.live.version != version
    decided = None if is_other else decisions.read(act.past)
    if decided is not None and desired.is_repair(version, act.live, decided):
        return _as_decided(switch, decided)
    return switch.noted(until=act.options.hold, passed_over=act.blocked(version))


def _as_decided(switch: Switch, decided: Decisions) -> Switch:
    """A repair of the link: what was blocked or held stays so, and nothing else is."""
    blocks, hold, until = decided.blocks, decided.hold, switch.act.options.hold
    if until is None and hold is not None and not hold.asked:  # it ends with the switch it is of
        until = hold.until
    is_listed = blocks is None or blocks.objects is not None
    blocked = desired.blocked({}, blocks, None) if is_listed else switch.act.blocked(None)
    return switch.noted(until=until, passed_over=blocked)
