"""Capsules beside the objects of a model: so hosts follow its DVC remote, and ask no Git server.

The place has a capsule of every tag of the model, and an index of them, which only grows. Whatever
a run leaves out, the next one adds: so a run that failed is repeated, by whoever releases next.
"""

import contextlib
import hashlib
import os
import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tagship.carry import capsule, carrier, index, places
from tagship.carry.bucket import Bucket
from tagship.carry.carrier import LARGEST_CAPSULE, Capsule, Carrier, Changed
from tagship.carry.index import Entry
from tagship.dvc import credentials
from tagship.dvc.content import Content
from tagship.dvc.pointers import Blob, Cached
from tagship.dvc.routing import Routes
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt, Interrupted, NotFound, Refused, TagshipError, Unavailable
from tagship.git import remotes
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry import tags
from tagship.registry.refs import Action, TagName
from tagship.registry.tags import Tag
from tagship.release import carried_objects
from tagship.stores.stream import Allowance, TooLong
from tagship.text import redact
from tagship.workspace import encapsulate
from tagship.workspace.source import Source

AT_ONCE = 8  # capsules that are sent at a time
TRIES, LONGEST_WAIT = 12, 2.0  # of who finds another index each time; seconds before a next one
LOST, DAMAGED = "was lost", "was damaged"


@dataclass(frozen=True)
class Published:
    """What a place has now.

    Attributes:
        place: its address.
        tags: those whose capsules it did not have before.
        notes: what the user should know.
    """

    place: str
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def place_of(source: Source, model: str, to: str = "", snapshot: Snapshot | None = None) -> Carrier:
    """Where the capsules of a model are: its DVC remote, or another place. It is not asked yet.

    Args:
        source: the repository.
        model: its name.
        to: the address of another place, which gets the objects too.
        snapshot: of the version that is released; None for that of the newest one.

    Raises:
        NotFound: there is no such remote.
        Refused: nothing can be carried there.
        Unavailable: the package that reaches it is not installed.
    """
    if to:
        return _taking(places.of(to, {}))
    remote = source.content(offline=True).remote
    routes, config = remote.routes, remote.read_config()
    name = _remote(routes, snapshot or _newest(source, model))
    if routes.versioned[name.lower()]:
        raise Refused(
            f"the DVC remote {redact.text(name)} keeps files by their paths, in versions: hosts"
            " that ask no Git server need them by digest",
            "use a remote without version_aware and worktree: dvc remote add NAME URL",
        )
    options = config.remote(name)
    credentials.check(name, options, config.host["remote"], os.environ)
    return _taking(places.of(str(options.pop("url")), options))


def _taking(place: Carrier) -> Carrier:
    """A place that can be written to.

    Raises:
        Refused: it can only be read.
    """
    if isinstance(place, Bucket):
        place.check_takes()
    return place


def _remote(routes: Routes, snapshot: Snapshot | None) -> str:
    pointers = snapshot.pointers if snapshot else ()
    kept = next((each for each in pointers if isinstance(each, Cached)), None)
    return routes.of(kept or Cached("a model", ""))


def _newest(source: Source, model: str) -> Snapshot | None:
    """The model as its newest version has it; None where that cannot be read."""
    releases = source.versions(model).releases
    with contextlib.suppress(TagshipError):
        return source.snapshot(releases[-1].commit, model) if releases else None
    return None


def check(source: Source, snapshot: Snapshot, to: str = "") -> None:
    """Refuse what could not be published, before anything is done; no place is asked.

    Args:
        source: the repository.
        snapshot: what is released.
        to: as for ``place_of``.

    Raises:
        NotFound, Refused, Unavailable: as for ``place_of``; or the capsule would be too large.
    """
    model = snapshot.artifact.model
    place_of(source, model, to, snapshot)
    if to:
        carried_objects.check(snapshot.pointers)
    size = sum(each.size for each in snapshot.pointers if isinstance(each, Blob))
    if size > LARGEST_CAPSULE:
        raise encapsulate.too_large(model, f"Git keeps {size} bytes of it")
    encapsulate.check(source, snapshot.commit, model)


def publish(
    source: Source, model: str, tag: TagName | None = None, to: str = "", tell: Tell = nobody,
    progress: Progress = silent,
) -> Published:  # fmt: skip
    """Add the capsules that the place of a model lacks, of all its tags on Git's remote.

    Where Git has no remote, the tags of this clone count. Several may do this at the same time.
    One that is in the index, and was lost, is written anew; where there is nothing to add, each is
    read, and one that was damaged is written anew too.

    Args:
        source: the repository.
        model: its name.
        tag: whose capsule must be there then; that others cannot be made is a note.
        to: as for ``place_of``.
        tell: is told whom is waited for.
        progress: is called with the bytes of objects that go to another place.

    Raises:
        NotFound, Refused: as for ``place_of``; or the index there is of something else.
        Corrupt: the index there is damaged.
        Unavailable: the place or Git's remote does not answer, or this clone lacks something.
    """
    place = place_of(source, model, to)
    ours = _counting(source, model, tell)
    failures: dict[str, TagshipError] = {}
    content = source.content(progress, tell=tell) if to else None
    added, notes = _added(_Sender(source, place, content, failures), ours)
    if tag is not None and (error := failures.get(str(tag))):
        raise error
    notes += [f"no capsule of {name}: {error.message}" for name, error in failures.items()]
    return Published(place.title, tuple(sorted(added)), (*ours.notes, *notes))


def lacking(source: Source, model: str, to: str = "", tell: Tell = nobody) -> bool:
    """Whether the place lacks the capsule of a tag that ``publish`` could write, or has a bad one.

    Raises:
        TagshipError: as for ``publish``.
    """
    place, ours = place_of(source, model, to), _counting(source, model, tell)
    listed = _index(place, ours).tags
    if any(str(tag.name) not in listed for tag in ours.tags):
        return True
    return bool(_damaged(place, ours.tags, listed, deep=True))


def after_push(
    source: Source, tag: TagName, retry: str, to: str = "", tell: Tell = nobody,
    progress: Progress = silent,
) -> Published:  # fmt: skip
    """Publish, once a tag is on Git's remote: it stays there, whatever happens.

    Args:
        source: the repository.
        tag: what was pushed.
        retry: the command that does the rest.
        to, progress: as for ``publish``.
        tell: is told whom is waited for.

    Raises:
        Unavailable: the capsule is not there, with the command.
        Interrupted: the same, of a user who did not wait.
    """
    try:
        return publish(source, tag.model, tag, to, tell, progress)
    except TagshipError as error:
        done = _made_known(source)
        what = f"the tag {tag} is {done}, but hosts that follow the store do not see it yet"
        hint = f"{error.hint}; then: " if error.hint else ""
        raise Unavailable(f"{what}: {error.message}", f"{hint}{retry}") from None
    except KeyboardInterrupt:
        done = _made_known(source)
        what = f"the tag {tag} is {done}; hosts that follow the store may not see it yet"
        raise Interrupted(what, retry) from None


def _made_known(source: Source) -> str:
    """What was done with a tag before its capsule: without a remote of Git there is no push."""
    return "made" if is_possible(source, push=False) else "pushed"


def later(act: str) -> str:
    """The note of who asked for a capsule, and did not push the tag."""
    return f"hosts follow pushed tags: the capsule is written with tagship {act} --push --capsule"


def is_possible(source: Source, *, push: bool) -> bool:
    """Whether a new tag counts: it is pushed, or Git has no remote."""
    return push or remotes.to_release_to(source.repository, source.git_remote) is None


class _Ours(NamedTuple):
    """The tags of a model that count.

    Attributes:
        tags: those that are here.
        absent: the names of others.
        notes: what the user should know.
    """

    model: str
    tags: list[Tag]
    absent: list[str]
    notes: tuple[str, ...]


def _counting(source: Source, model: str, tell: Tell) -> _Ours:
    here = tags.read(source.repository, model)
    remote = remotes.to_release_to(source.repository, source.git_remote)
    if remote is None:
        return _Ours(model, here, [], ())
    theirs = tags.of_remote(source.repository, remote, tell, remotes.ANSWER, model)
    ids = {name: tag.object_id for name, tag in theirs.items() if tag.annotated}
    where = redact.text(remote)
    moved = [tag.name for tag in here if ids.get(tag.name, tag.object_id) != tag.object_id]
    notes = tuple(f"no capsule of {name}: it is another tag on {where}" for name in moved)
    known = {tag.name for tag in here}
    absent = [str(name) for name in ids if name not in known]
    return _Ours(model, [tag for tag in here if ids.get(tag.name) == tag.object_id], absent, notes)


class _Listed(NamedTuple):
    """The index of a place.

    Attributes:
        tags: by name.
        mark: the place's.
        notes: what the user should know.
    """

    tags: dict[str, Entry]
    mark: str
    notes: tuple[str, ...] = ()


def _index(place: Carrier, ours: _Ours) -> _Listed:
    """The index of a model; a damaged one is empty, if all that it had can be written anew.

    Raises:
        Corrupt: it is damaged, and this clone lacks tags.
        Refused: it is of a newer tagship, or has no end.
    """
    try:
        found = place.index(ours.model)
    except TooLong:
        error, path = _without_end(place, ours.model), carrier.index_path(ours.model)
        again = f"remove {path} there, then the same again"
        raise Refused(error.message, again) from None
    assert found is not None  # nobody has seen one
    try:
        return _Listed(index.parse(found.data, ours.model, place.title), found.mark)
    except Corrupt as error:
        if ours.absent:
            raise Corrupt(error.message, "git fetch --tags, then the same again") from None
        return _Listed({}, found.mark, (f"{error.message}: it is written anew",))


@dataclass(frozen=True)
class _Sender:
    """Where capsules go.

    Attributes:
        source: the repository.
        place: the place.
        content: the objects, which go there too; None where the place has them.
        failures: why a capsule cannot be made, by tag: filled on the way.
    """

    source: Source
    place: Carrier
    content: Content | None
    failures: dict[str, TagshipError]


def _added(sender: _Sender, ours: _Ours) -> tuple[set[str], list[str]]:
    """Write the capsules that the place lacks, and then the index; those tags, and notes.

    Raises:
        Unavailable: others write it again and again.
    """
    written, damaged = dict[str, Entry](), dict[str, str]()
    place, failures = sender.place, sender.failures
    for number in range(TRIES):
        listed = _index(place, ours)
        known = {*listed.tags, *written, *failures}
        missing = [tag for tag in ours.tags if str(tag.name) not in known]
        if number == 0:
            damaged = _damaged(place, ours.tags, listed.tags, deep=not missing)
            bad = [tag for tag in ours.tags if str(tag.name) in damaged]
            written |= _put(sender, bad, anew=True)
        written |= _put(sender, missing)
        new = {
            name: entry
            for name, entry in written.items()
            if name not in listed.tags or (name in damaged and listed.tags[name] != entry)
        }
        again = [f"{damaged[name]}: it is written anew" for name in damaged if name in written]
        notes = [*listed.notes, *again, *_notes(ours, listed, place)]
        if not new:
            return set(written), notes
        kept = {name: entry for name, entry in listed.tags.items() if name not in new}
        data = index.write(ours.model, index.merged(kept, new, place.title))
        try:
            place.write_index(ours.model, data, listed.mark)
        except Changed:
            time.sleep(random.uniform(0, min(0.1 * 2**number, LONGEST_WAIT)))  # noqa: S311 - no secret
        except TooLong:
            raise _without_end(place, ours.model) from None
        else:
            return set(written), notes
    what = f"others write the index of {ours.model} in {place.title} all the time"
    raise Unavailable(what, "try again later")


def _damaged(
    place: Carrier, tags: list[Tag], listed: dict[str, Entry], *, deep: bool
) -> dict[str, str]:
    """What is wrong with capsules that are in an index, by the names of their tags.

    Args:
        place: where they are.
        tags: those that count.
        listed: the index; what is of another tag there is left as it is.
        deep: read each; else their sizes are asked for.

    Raises:
        Unavailable: the place does not answer.
    """
    known = {
        str(tag.name): (Capsule(tag.name.model, entry.capsule), entry)
        for tag in tags
        if (entry := listed.get(str(tag.name))) and entry.object == tag.object_id
    }

    def look(one: tuple[Capsule, Entry]) -> str:
        name, entry = one
        return _read(place, name, entry) if deep else _measured(place, name, entry)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = zip(known, pool.map(look, known.values()), strict=True)
        what = f"the capsule of {{}} in {place.title}"
        return {name: f"{what.format(name)} {bad}" for name, bad in found if bad}


def _measured(place: Carrier, name: Capsule, entry: Entry) -> str:
    """What is wrong with a capsule by its size; empty if nothing is."""
    size = place.size(name)
    return LOST if size is None else "" if size == entry.size else DAMAGED


def _read(place: Carrier, name: Capsule, entry: Entry) -> str:
    """What is wrong with the bytes of a capsule; empty if nothing is."""
    found = hashlib.sha256()
    try:
        for block in place.blocks(name, Allowance(entry.size)):
            found.update(block)
    except FileNotFoundError:
        return LOST
    except TooLong:
        return DAMAGED
    return "" if found.hexdigest() == entry.capsule else DAMAGED


def _notes(ours: _Ours, listed: _Listed, place: Carrier) -> list[str]:
    """What of a place is not as Git's remote has it."""
    others = [
        f"{place.title} has another tag {tag.name}, which counts there: {entry.object[:10]}"
        for tag in ours.tags
        if (entry := listed.tags.get(str(tag.name))) and entry.object != tag.object_id
    ]
    absent = sorted(name for name in ours.absent if name not in listed.tags)
    if absent:
        more = f", and of {len(absent) - 1} more" if len(absent) > 1 else ""
        others.append(
            f"no capsule of {absent[0]}{more}: not in this clone (git fetch --tags brings them)"
        )
    return others


def _without_end(place: Carrier, model: str) -> Refused:
    most = carrier.LARGEST_INDEX >> 20
    what = f"the index of {model} in {place.title} has more than {most} MB"
    return Refused(what, f"look at it: {carrier.index_path(model)}")


def _put(sender: _Sender, missing: list[Tag], *, anew: bool = False) -> dict[str, Entry]:
    """Send the capsules of some tags; ``anew`` those that were damaged."""
    put = partial(sender.place.put, anew=anew)
    with (
        tempfile.TemporaryDirectory(prefix="tagship-") as name,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        sent = [
            (
                tag,
                entry,
                pool.submit(put, Capsule(tag.name.model, entry.capsule), path, _nobody),
            )
            for tag, entry, path in _made(sender, missing, Path(name))
        ]
        for _, _, future in sent:
            future.result()
    return {str(tag.name): entry for tag, entry, _ in sent}


def _made(sender: _Sender, missing: list[Tag], folder: Path) -> Iterator[tuple[Tag, Entry, Path]]:
    """The capsules of some tags, as files; the objects are where they go by then."""
    for tag in missing:
        try:
            data = encapsulate.capsule_of(sender.source, tag)
            if sender.content is not None and tag.name.action is Action.REGISTER:
                carried_objects.send(sender.source, sender.content, sender.place, tag)
        except (Unavailable, Refused, NotFound, Corrupt) as error:
            sender.failures[str(tag.name)] = error
            continue
        digest = capsule.digest(data)
        path = folder / digest
        path.write_bytes(data)
        yield tag, Entry(tag.object_id, digest, len(data)), path


def _nobody(_: int) -> None:
    """Nobody waits for a few kilobytes."""
