"""Undeploy: remove everything of a model that was deployed here, so that its folder can go too.

The link goes first, so that nobody loads a version that is half removed. The intent is open until
all versions are gone: after a kill, the next command removes the rest.
"""

import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tagship.deploy import act, cleanup, mounts, open_files
from tagship.deploy.act import PLAIN, Act, Options
from tagship.disk import capacity
from tagship.errors import Refused, Unavailable
from tagship.host import actions, history, installed, journal
from tagship.host.journal import Intent
from tagship.host.link import LinkState
from tagship.host.store import Pin, Store, Stuck
from tagship.workspace.host import Host
from tagship.workspace.source import Source


@dataclass(frozen=True)
class Removal:
    """A version directory that goes, and its size in bytes."""

    directory: str
    version: str
    live: bool
    pinned: bool
    size: int


@dataclass(frozen=True)
class Undeployed:
    """What an undeploy removed, or would remove.

    Attributes:
        model: the model.
        live: the version that was live; None where none was.
        removals: the version directories, the oldest first.
        history: whether the history goes too.
        stays: names below versions/ that tagship did not make.
        dry_run: nothing was removed.
        repaired: what a killed run had left, and was put in order first.
    """

    model: str
    live: str | None
    removals: tuple[Removal, ...]
    history: bool
    stays: tuple[str, ...]
    dry_run: bool
    repaired: tuple[str, ...] = ()

    @property
    def freed(self) -> int:
        """Bytes of the directories that go."""
        return sum(removal.size for removal in self.removals)

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to remove that anybody would miss."""
        return not (self.removals or self.live or self.history)


def undeploy(
    source: Source,
    host: Host,
    model: str,
    *,
    with_history: bool = False,
    dry_run: bool = False,
    plan: Undeployed | None = None,
    options: Options = PLAIN,
) -> Undeployed:
    """Remove what is deployed here of a model; its tags and DVC's objects stay.

    Args:
        source: asked for the model where nothing of it is here.
        host: where it is deployed.
        model: the model; it may have left dvc.yaml, or have no tag any more.
        with_history: remove the history too.
        dry_run: decide, and remove nothing.
        plan: what was decided, shown and confirmed before: nothing else is removed.
        options: ``force`` removes pinned versions too; ``reason`` and ``wait`` are used.

    Raises:
        NotFound: there is no such model, and nothing of it is here.
        Locked: another process works on the model.
        Refused: a process uses a version, one is pinned, or more would go than the plan says.
        Unavailable: the disk, or a directory that cannot be removed; the others are.
    """
    store = host.store(model)
    past = _history(store).exists()
    if not (_is_here(store) or (with_history and past)):
        if not past:
            source.declared(model)
        return Undeployed(model, None, (), False, (), dry_run)
    if dry_run:
        return _checked(store, model, options.force, with_history, dry_run=True)
    with act.begin(store, model, f"undeploy of {model}", options) as deed:
        checked = _checked(store, model, options.force, with_history, dry_run=False)
        if plan is not None:
            _check_shown(plan, checked)
        failures = _remove(deed, checked) if _is_deployed(store) else []
        if failures:
            why = "; ".join(map(_short, failures))
            fixes = " && ".join(dict.fromkeys(left.fix for left in failures))
            raise Unavailable(
                f"not all of {model} could be removed: {why}",
                f"{fixes}; then again: tagship undeploy {model}",
            )
        _clear(store, model, with_history=with_history)
    return replace(checked, repaired=deed.repaired)


def _history(store: Store) -> Path:
    return store.folder / history.FILE_NAME


def _is_here(store: Store) -> bool:
    """Whether the model's folder has anything of a deployment, beside its history."""
    beside = (store.current, store.versions, store.private)
    return any(os.path.lexists(path) for path in beside) or _is_deployed(store)


def _is_deployed(store: Store) -> bool:
    """Whether a version is live or on disk here, or should be by the history."""
    is_linked = store.own_link().state is not LinkState.NONE
    past = journal.events(store)
    return is_linked or bool(act.own_directories(store)) or history.last_good(past) is not None


def _checked(
    store: Store, model: str, force: bool, with_history: bool, *, dry_run: bool
) -> Undeployed:
    """What would be removed, if nothing forbids it."""
    live, pins = installed.live_place(store), store.pins()
    _check_unused(store)
    if not force:
        _check_pins(model, list(pins.values()))
    ours = set(act.own_directories(store))
    places = [cleanup.place_of(store, name) for name in installed.by_seq(store) if name in ours]
    removals = tuple(
        Removal(
            place.directory,
            place.version,
            live is not None and place.directory == live.directory,
            place.version in pins,
            cleanup.size_of(store.path(place.directory)),
        )
        for place in places
    )
    stays = sorted(set(store.entries()) - ours)
    version = live.version if live else None
    return Undeployed(model, version, removals, with_history, tuple(stays), dry_run)


def _check_unused(store: Store) -> None:
    """Refuse to remove a version that a process has loaded, or may still read files of."""
    for name, where in mounts.holders(store.versions).items():
        raise Refused(
            f"in use: {name} (mounted at {where})",
            f"end what uses it, or {_unmount(where)}; then try again",
        )
    opened, locked = open_files.holders(store.versions), store.in_use()
    users = {n: {*opened.get(n, ()), *locked.get(n, ())} for n in sorted({*opened, *locked})}
    if not users:
        return
    processes = sorted(set().union(*users.values()))
    look = f": ps -fp {','.join(map(str, processes))}" if processes else ""
    raise Refused(
        f"in use: {'; '.join(_used(name, ids) for name, ids in users.items())}",
        f"end what uses it, then try again{look}",
    )


def _used(name: str, processes: set[int]) -> str:
    named = f"process {', '.join(map(str, sorted(processes)))}" if processes else "a process"
    return f"{name} ({named})"


def _unmount(where: str) -> str:
    """The command for a mount: of this process, or in the namespace of another one."""
    place, _, process = where.partition(" of process ")
    command = f"umount {shlex.quote(place)}"
    return f"nsenter --target {process} --mount {command}" if process else command


def _check_pins(model: str, pins: Sequence[Pin]) -> None:
    if pins:
        named = (f"{pin.version} ({pin.reason})" if pin.reason else pin.version for pin in pins)
        raise Refused(
            f"{model} has pinned versions: {', '.join(named)}",
            f"tagship unpin {model}@{pins[0].version}, or remove them too: --force",
        )


def _check_shown(plan: Undeployed, checked: Undeployed) -> None:
    """Refuse to remove what a plan did not show."""
    shown = {removal.directory for removal in plan.removals}
    more = [removal.directory for removal in checked.removals if removal.directory not in shown]
    if more:
        raise Refused(
            f"{', '.join(more)} would be removed by now too, so nothing was",
            f"look again: tagship undeploy {plan.model} --dry-run",
        )


def _remove(deed: Act, checked: Undeployed) -> list[Stuck]:
    """The link, then the versions, then the event; what could not be removed, and why."""
    store, started = deed.store, time.monotonic()
    event = replace(deed.event(actions.UNDEPLOY), previous=deed.live)
    try:
        _write_intent(store, Intent(event, unchecked=deed.unchecked))
        if store.link().state is not LinkState.NONE:
            store.unlink()
        failures = store.remove(removal.directory for removal in checked.removals)
        took = round(time.monotonic() - started, 3)
        deed.record(replace(event, error="; ".join(map(_short, failures)) or None, duration_s=took))
        store.close_intent()
    except OSError as error:
        again = f"fix the disk, then try again: tagship undeploy {deed.model}"
        raise Unavailable(
            f"the undeploy of {deed.model} was cut short: {error.strerror} ({error.filename})",
            capacity.hint(error, again, deed.model),
        ) from error
    return failures


def _short(left: Stuck) -> str:
    return f"{left.path.name}: {left.why}"


def _write_intent(store: Store, intent: Intent) -> None:
    """Write down what is about to be done; a full disk takes it no more, and is to get room."""
    try:
        journal.open_intent(store, intent)
    except OSError as error:
        if not capacity.is_full(error):
            raise


def _clear(store: Store, model: str, *, with_history: bool) -> None:
    try:
        store.clear([journal.digest_file(store), *([_history(store)] if with_history else [])])
    except OSError as error:
        raise Unavailable(
            f"{model} is undeployed, but its folder could not be tidied: {error.strerror}"
            f" ({error.filename})",
            f"fix the disk, then try again: tagship undeploy {model}",
        ) from error
