"""The verdict of a gate: an event; and what did not pass is taken back, and blocked here."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from tagship.deploy import act
from tagship.deploy.act import Options
from tagship.deploy.gate import Measured, Verdict
from tagship.host import actions, history
from tagship.host.history import Place
from tagship.host.store import Store
from tagship.registry.catalog import Catalog
from tagship.registry.refs import TagName


def record(
    store: Store, known: Catalog, place: Place, measured: Measured, options: Options,
    tags: Callable[[], Mapping[TagName, str] | None],
) -> str:  # fmt: skip
    """Write a verdict into the history; after a failure make the last good version live again.

    Args:
        store: the model's folder.
        known: its versions.
        place: what was measured.
        measured: what its gate says; a verdict.
        options: of the act.
        tags: as for ``act.Act``.

    Returns:
        What is live now, in words; empty where what was measured is not live any more.

    Raises:
        Locked: another process works on the model.
        Unavailable: the disk; the next pass measures again.
    """
    model = known.model
    with act.begin(store, model, f"verdict of the gate of {model}", options, tags=tags) as deed:
        if deed.live != place or history.ungated(deed.past) != place:
            return ""
        event = deed.event(actions.GATE, place, measured.reason)
        if measured.verdict is Verdict.PASSED:
            deed.record(event)
            return f"{place.version} passed its gate: {measured.reason}"
        identity = history.tag_object_of(deed.past.about(place.version), place.version)
        release = known.get(place.version)
        selected = [identity] if identity else []
        selected += known.assigned(release) if release is not None else []
        failed = replace(
            event, status=history.FAILED, error=measured.reason,
            passed_over=deed.blocked(None, *selected),
        )  # fmt: skip
        back = history.rollback_target(deed.past, place)
        reason = f"{place.version} failed its gate once it was live"
        now = deed.take_back(failed, back, reason, selected)
        return f"{place.version} failed its gate: {measured.reason}; {now}"
