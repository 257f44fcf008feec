"""What the decisions of a pass depend on, kept for the next pass: see ``workspace.settled``.

A fact that a step depends on belongs here. One that is no file, and can turn what is in order into
something else, must be told by another reason than ``Why.IN_ORDER``, or with an ``until``.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import tagship
from tagship.host import agent
from tagship.host.agent import Settled
from tagship.host.history import FILE_NAME
from tagship.registry import seen
from tagship.registry.project_files import HOST_FILE, PRIVATE
from tagship.signing import policy
from tagship.text import clock
from tagship.workspace import settled
from tagship.workspace.host import Host
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.state import Followed, Why
from tagship.workspace.upstream import BUNDLE, GIT

TICK = 2 * 10**9  # nanoseconds: changes so near may have the same time, on some file system
MOST = 5000  # files and folders: with more of them a full pass takes no longer


def is_settled(rows: Iterable[Followed]) -> bool:
    """Whether the next pass finds and does the same, if nothing changes. Pure."""
    return all(
        not row.did and row.until is None and all(each.why is Why.IN_ORDER for each in row.reasons)
        for row in rows
    )


def keep(host: Host, before: Settled | None, rows: Iterable[Followed]) -> None:
    """Keep what a pass found, if it found all in order.

    Args:
        host: the host.
        before: what ``stamps`` saw before anything was decided.
        rows: what the pass says; of all models that are followed, else nothing is kept.
    """
    said = {row.model: row for row in rows}
    if before is None or said.keys() != host.rules.keys() or not is_settled(said.values()):
        return
    live = {model: row.live for model, row in said.items()}
    told = {model: [each.what for each in row.reasons] for model, row in said.items()}
    found = replace(before, live=live, told=told)
    agent.write(host.root, replace(agent.read(host.root), settled=found))


def stamps(source: Mirrored, host: Host) -> Settled | None:
    """The stamps of all that a pass depends on, once it has fetched and before it decides.

    None where they would not tell every change: something was changed a moment ago, and could be
    once more at what the file system calls the same time (as in racy-git.txt of Git).
    """
    above = (host.root, *host.root.parents)
    if any((folder / ".git").exists() for folder in above):  # what Git tracks there counts
        return None
    trees = [source.start, *_live_directories(host)]
    files = [*_files(host, above), *(path for top in trees for path in _tree(top))]
    if len(files) > MOST:
        return None
    address = source.file.upstream
    if not all(isinstance(value, str | int | float) for value in address.options.values()):
        return None  # a date of TOML, which JSON does not have
    before = Settled(
        str(host.root), clock.stamp(clock.now()), os.geteuid(), settled.configuration(),
        address.text if address.kind == GIT else "", str(source.start),
        seen.patterns(source.file.follow), {}, {},
        {str(path): settled.stamp(path) for path in files},
        {str(path): settled.stamp(path, follow=True) for path in (*_policy(host), *trees)},
        {str(path): settled.rights(path) for path in (*above, *_private(host), *_of_policy(host))},
        "" if address.kind == GIT else address.text, dict(address.options),
        address.kind == BUNDLE,
    )  # fmt: skip
    return before if _is_old(before) else None


def _files(host: Host, above: Iterable[Path]) -> Iterator[Path]:
    """The files whose names are known, whether there are such files or not."""
    yield Path(tagship.__file__)  # a new tagship may decide otherwise
    yield host.root / HOST_FILE
    for folder in above:
        yield folder / ".dvc"
        yield folder / ".git"
    for model in host.rules:
        store = host.store(model)
        yield from (store.current, store.intent_file, store.folder / FILE_NAME)


def _private(host: Host) -> Iterator[Path]:
    """Folders that nobody else may write to, and in which much else changes."""
    yield host.root / PRIVATE
    for model in host.rules:
        store = host.store(model)
        yield from (store.folder, store.versions, store.folder / PRIVATE)


def _live_directories(host: Host) -> list[Path]:
    stores = map(host.store, host.rules)
    return [store.versions / name for store in stores if (name := store.link().directory)]


def _tree(top: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(top):
        yield Path(folder)
        yield from (Path(folder, name) for name in (*folders, *files))


def _policy(host: Host) -> Iterator[Path]:
    """Where host.toml may be, and what it names."""
    if own := settled.configuration():
        yield Path(own, policy.FILE)
    yield policy.SYSTEM / policy.FILE
    named = (host.policy.allowed_signers, host.policy.revoked_keys, host.policy.model_keys)
    yield from filter(None, named)


def _of_policy(host: Host) -> set[Path]:
    """The folders above these: who can write there can put others in their place."""
    files = [path for path in _policy(host) if path.exists()]
    places = [each for path in files for each in (path.parent.resolve(), path.resolve().parent)]
    return {folder for place in places for folder in (place, *place.parents)}


def _is_old(before: Settled) -> bool:
    """Whether all was changed well before this pass wrote agent.json, by the disk's own clock."""
    try:
        written = agent.place_in(Path(before.folder)).stat().st_mtime_ns
    except OSError:
        return False
    known = (*before.entries.values(), *before.targets.values())
    return all(int(stamp.rpartition(":")[2]) < written - TICK for stamp in known)
