"""How a model is on this host, as its status object says it; from the tags and the history."""

import contextlib
import hashlib
import importlib.metadata
from collections.abc import Iterable
from dataclasses import replace

from tagship.deploy.sync import Followed
from tagship.errors import TagshipError
from tagship.fleet import status_object
from tagship.fleet.status_object import DONE, SKIPPED, Hold, Live, StatusObject, Wish
from tagship.host import decisions, history, installed, journal
from tagship.host.decisions import Decisions
from tagship.host.journal import Past
from tagship.host.store import Store
from tagship.inspect import status as inspect_status
from tagship.registry.catalog import Catalog
from tagship.registry.refs import Wanted
from tagship.text import clock
from tagship.workspace import desired, turns
from tagship.workspace.host import Host
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.reports import is_host
from tagship.workspace.state import Why
from tagship.workspace.step import Reason

NOBODY = "0" * 16  # the id of a host that never wrote a status object


def look(source: Mirrored, host: Host, model: str) -> Followed:
    """How a model is now, without a fetch; nothing is changed. As ``tagship status``."""
    status = inspect_status.status(source, host, model)
    reasons = tuple(Reason(each.why, each.what) for each in status.findings)
    if not reasons:
        what = f"{status.live} is live" if status.live else "nothing is live"
        reasons = (Reason(Why.IN_ORDER, what),)
    return Followed(model, (), status.live, status.why, reasons)


def build(source: Mirrored, host: Host, row: Followed, identity: str = NOBODY) -> StatusObject:
    """The status object of a model on this host, as long as it is; ``seq`` is 0.

    Args:
        source, host: the mirror, and where versions go.
        row: what a pass found.
        identity: the id of this host.
    """
    store = host.store(row.model)
    status = StatusObject(
        status_object.SCHEMA,
        row.model,
        source.file.name if is_host(source.file.name) else "this-host",
        identity,
        clock.stamp(clock.now()),
        0,
        row.why.value[0],
        importlib.metadata.version("tagship"),
        reason=in_words(row.reasons),
    )
    with contextlib.suppress(TagshipError, OSError):  # what is damaged is the reason by now
        return _with_facts(status, source, host.rules.get(row.model, Wanted()), store)
    return status


def in_words(reasons: Iterable[Reason]) -> str:
    """What the worst of the reasons is, and then the others that are not in order."""
    told = sorted(reasons, key=lambda reason: -reason.why.rank)
    return "; ".join(each.what for each in told[:1] + [r for r in told[1:] if r.why.exit_code])


def _with_facts(status: StatusObject, source: Mirrored, rule: Wanted, store: Store) -> StatusObject:
    known, past = source.versions(status.model), journal.events(store)
    decided = decisions.read(past, rule)
    release = desired.desired(known, rule, decided).release
    live = _live(store, past, decided)
    return replace(
        status,
        live=live,
        desired=Wish(str(release.version), release.tag.object_id) if release else None,
        hold=_hold(decided),
        failed=turns.failed(known, past, status_object.FAILED),
        seen=seen(known),
        smoke_test=_smoke_test(store) if live else None,
    )


def _live(store: Store, past: Past, decided: Decisions) -> Live | None:
    place = installed.told_live(store)
    if place is None:
        return None
    tag_object = history.tag_object_of(past.about(place.version), place.version)
    switch = decided.switch
    since = switch and switch.place and switch.place.version == place.version
    return Live(
        place.version,
        tag_object,
        history.id_of(place.directory),
        clock.stamp(history.moment_of(switch)) if since and switch else None,
    )


def _hold(decided: Decisions) -> Hold | None:
    hold = decided.hold
    if hold is None:
        return None
    until = clock.stamp(hold.until)
    return Hold(hold.event.actor, until, hold.event.reason or "")


def _smoke_test(store: Store) -> str:
    described = installed.live_metadata(store)
    passed = described is not None and described.smoke_test.startswith("passed")
    return DONE if passed else SKIPPED


def seen(known: Catalog) -> str:
    """A digest of the tags of a model: hosts that saw the same tags have the same."""
    lines = [
        f"{release.tag.object_id} {release.active} {' '.join(release.stages)}"
        for release in known.releases
    ]
    lines += sorted(tag.object_id for tag in known.assignments.values())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
