"""Deploy and roll back: the ten steps of docs/architecture.md, in one function each."""

from functools import partial

from tagship.deploy import act, plan
from tagship.deploy.act import PLAIN, Options, Outcome
from tagship.errors import Corrupt
from tagship.host import actions, history, installed, metadata
from tagship.host.store import Store
from tagship.registry.refs import Ref, Wanted
from tagship.registry.settings import Settings
from tagship.workspace.host import Host
from tagship.workspace.source import Source


def deploy(source: Source, host: Host, ref: Ref, options: Options = PLAIN) -> Outcome:
    """Check a version out into ``versions/`` and make it ``current``.

    Raises:
        NotFound, Refused: there is no such version, it is not available, or its tag was moved.
        Locked: another process works on the model.
        Corrupt, Unavailable: its bytes are not available as they were released.
        SelfTestFailed: its answers differ from the released ones. The live version stays live.
    """
    from tagship.deploy import checkout

    release = source.release(ref)
    at_commit = source.snapshot(release.commit, ref.model)
    store = host.store(ref.model)
    what = f"deploy of {ref.model}@{release.version}"
    with act.begin(store, ref.model, what, options) as deed:
        signer = plan.check_tag(host.policy, source.repository, deed.past, release)
        if deed.live and not options.force and plan.is_live(store, release, options.progress):
            return deed.nothing_to_do(deed.live)
        switch = deed.switch_to_new(actions.DEPLOY, release)
        with switch.recorded():
            report = checkout.check_out(source, host, switch, release, at_commit, signer)
        return switch.go_live(partial(_check_live, store, switch.place, host.settings), report)


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
    with act.begin(store, model, f"rollback of {model}", options) as deed:
        target = plan.rollback_target(source, model, deed.past, deed.live, selector)
        broken = installed.is_broken(
            store, target.directory, deep=True, touched=not options.verify,
            progress=options.progress,
        )  # fmt: skip
        if target == deed.live and not broken:
            return deed.nothing_to_do(target)
        report = None
        if broken:
            from tagship.deploy import checkout  # not needed if the directory is intact

            release = source.release(Ref(model, Wanted.parse(target.version, model)))
            signer = plan.check_tag(host.policy, source.repository, deed.past, release)
            at_commit = source.snapshot(release.commit, model)
            switch = deed.switch_to_new(actions.ROLLBACK, release)
            with switch.recorded():
                report = checkout.check_out(source, host, switch, release, at_commit, signer)
        else:
            store.protect(target.directory)
            kept = metadata.read(store.path(target.directory))
            plan.check_kept(source, host.policy, deed.past, kept)
            switch = deed.switch_to_kept(actions.ROLLBACK, target, kept)
        return switch.go_live(partial(_check_live, store, switch.place, host.settings), report)


def _check_live(store: Store, place: history.Place, settings: Settings) -> None:
    """Step 9: check that the link points to the version, and that its files are intact.

    Raises:
        Corrupt: they are not.
        SelfTestFailed: with ``after_switch: self_test``, the model does not answer as released.
    """
    live = store.current.resolve()
    if live != store.path(place.directory).resolve():
        raise Corrupt(f"{store.current} leads to {live}", "")
    described = metadata.read(live)
    problems = metadata.verify(live, described, deep=False)
    if problems:
        raise Corrupt(f"{problems[0].path} {problems[0].what}", "")
    if settings.after_switch == "self_test":
        from tagship.loaders import selftest

        self_test = live / described.self_test if described.self_test else None
        selftest.run(live / described.path, self_test, settings.smoke_timeout)
