"""Questions about models and versions, and what is on disk held against what should be."""

import enum
import heapq
import itertools
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from tagship import (
    active,
    config,
    history,
    manifest,
    metadata,
    objects,
    plans,
    pointer,
    refs,
    selftest,
    tracked,
    workspace,
)
from tagship.catalog import Catalog, Release
from tagship.errors import Corrupt, InvalidName, NotFound, Refused, TagshipError, told
from tagship.history import Event
from tagship.journal import Past
from tagship.metadata import Metadata
from tagship.pointer import LinkState
from tagship.progress import Progress, silent
from tagship.refs import Ref, Wanted
from tagship.selftest import Report
from tagship.signing import Signature
from tagship.store import Store
from tagship.workspace import Workspace


class State(enum.IntEnum):
    """How a model is; the value is the exit code of ``tagship status``."""

    IN_ORDER = 0
    DRIFTED = 3
    BROKEN = 5


@dataclass(frozen=True)
class Finding:
    """One thing that is not in order, and the command that mends it."""

    state: State
    what: str
    mend: str


@dataclass(frozen=True)
class Status:
    """How a model is on this host."""

    model: str
    live: str | None
    latest: str | None
    findings: tuple[Finding, ...]

    @property
    def state(self) -> State:
        """The worst of the findings."""
        return max((finding.state for finding in self.findings), default=State.IN_ORDER)


@dataclass(frozen=True)
class Verification:
    """What hashing one version directory found; no problems: it is as it was released."""

    model: str
    version: str
    directory: str
    files: int
    size: int
    problems: tuple[manifest.Problem, ...]


@dataclass(frozen=True)
class LiveThen:
    """What was live at a moment; no period: nothing was."""

    model: str
    moment: datetime
    period: history.Period | None


def show(space: Workspace, ref: Ref) -> Metadata:
    """All that is known of a version: as it was deployed, or else as its tag has it.

    Raises:
        NotFound, Refused: there is no such version.
    """
    return describe(space, find(space, ref))


def find(space: Workspace, ref: Ref) -> Release:
    """A version, deregistered ones included: what was released can be looked at.

    Raises:
        NotFound, Refused: there is no such version.
    """
    known = space.catalog(ref.model)
    if ref.wanted.exact is not None and (release := known.get(str(ref.wanted.exact))):
        return release
    return known.find(ref)


def describe(space: Workspace, release: Release) -> Metadata:
    """A version as it was deployed here, or else as its tag has it."""
    model = release.tag.name.model
    store = space.store(model)
    for directory in reversed(plans.by_seq(store)):
        described = plans.read_metadata(store, directory)
        if described and described.version == str(release.version):
            return described
    taken = space.snapshot(release.commit, model)
    return space.describe(release, taken, _tracked_files(space, store, taken))


def _tracked_files(
    space: Workspace, store: Store, taken: tracked.Snapshot
) -> tuple[manifest.File, ...]:
    """The files of a version that is not on disk: no sha256, and no list that is not here."""
    try:
        fetch = objects.Fetcher(space.cache, store.incoming, offline=True)
        files = tracked.files(taken, fetch)
    except (TagshipError, OSError):
        return ()
    return tuple(
        manifest.File(file.path, file.object.size or 0, _md5(file), "", file.executable)
        for file in files
    )


def _md5(file: tracked.TrackedFile) -> str:
    return file.object.digest if file.object.hash_name == objects.MD5 else ""


def self_test(space: Workspace, model: str, wanted: Wanted | None = None) -> Report:
    """Load the live version, or another one on disk, and ask it what it was released with.

    In a process of its own, see ``selftest.run``.

    Args:
        space: the workspace.
        model: its name.
        wanted: a version on disk; None for the live one.

    Raises:
        NotFound: nothing is live, or that version is not on disk here.
        Refused, Corrupt: ``current`` is no link of ours, or what it leads to cannot be read.
        SelfTestFailed: it does not load, or does not answer as it was released.
        TagshipError: an extra that it needs is not installed.
    """
    store = space.store(model)
    if wanted is None:
        directory = active.resolve(model, space.project).directory
    else:
        directory = store.path(_directory_of(space, model, wanted))
    described = metadata.read(directory)
    asked = directory / described.self_test if described.self_test else None
    return selftest.run(directory / described.path, asked, space.settings.smoke_timeout)


def _directory_of(space: Workspace, model: str, wanted: Wanted) -> str:
    """The directory on disk of a version, the one that was deployed last."""
    version = str(find(space, Ref(model, wanted)).version)
    for directory in reversed(plans.by_seq(space.store(model))):
        if pointer.version_of(directory) == version:
            return directory
    name = f"{model}@{version}"
    raise NotFound(f"{name} is not on disk here", f"tagship deploy {name}")


def known_models(space: Workspace) -> list[str]:
    """The models that HEAD declares, and those that once were and have a history here."""
    past = {
        unquote(path.parent.name)
        for path in space.root.glob(f"*/{history.FILE_NAME}")
        if refs.is_model(unquote(path.parent.name))
    }
    return sorted(past.union(space.artifacts()))


def events(
    space: Workspace,
    models: Iterable[str],
    limit: int | None = None,
    since: datetime | None = None,
    actions: Iterable[str] = (),
) -> list[Event]:
    """What happened to some models here, by time; of each model always by ``seq``.

    Args:
        space: the workspace.
        models: their names.
        limit: the last so many; None for all.
        since: only events that began then or later.
        actions: only events of these actions; of all where none is named.

    Raises:
        NotFound: there is no such model, and nothing ever happened to it here.
        Corrupt: a history cannot be read, or an event has no date.
        InvalidName: ``limit`` is no number of events.
    """
    if limit is not None and limit < 1:
        raise InvalidName(f"{limit} is no number of events", "give 1 or more")
    past = [_past(space, model) for model in models]
    newest = heapq.merge(*map(reversed, reversed(past)), key=lambda event: event.at, reverse=True)
    found = list(itertools.islice(history.choose(newest, since, actions), limit))
    return found[::-1]


def _past(space: Workspace, model: str) -> Past:
    store = space.store(model)
    if not (store.folder / history.FILE_NAME).exists():
        space.declared(model)
    return workspace.events(store)


def live_at(space: Workspace, model: str, moment: datetime) -> LiveThen:
    """What was live on this host at a moment, and why.

    Raises:
        NotFound, Corrupt: as for ``events``.
        Refused: that moment has not come yet.
    """
    if moment > history.now():
        what = f"{history.stamp(moment)} has not come yet"
        raise Refused(what, f"what is live now: tagship current {model}")
    return LiveThen(model, moment, history.live_at(_past(space, model), moment))


def verify(
    space: Workspace, ref: Ref | None = None, progress: Progress = silent
) -> list[Verification]:
    """Hash what is on disk against its metadata, and hold the metadata against the tag.

    Args:
        space: the workspace.
        ref: a model (all of its versions on disk), or one version of it; None for everything.
        progress: is told the bytes hashed.

    Raises:
        NotFound: there is nothing of that on disk.
    """
    names = sorted(space.artifacts()) if ref is None else [ref.model]
    if ref is not None:
        plans.check_deployed(space, space.store(ref.model), ref.model)
    found = [one for name in names for one in _verify_model(space, name, ref, progress)]
    if ref is not None and not found:
        raise NotFound(f"{ref} is not on disk here", f"tagship deploy {ref}")
    return found


def _verify_model(
    space: Workspace, model: str, ref: Ref | None, progress: Progress
) -> Iterable[Verification]:
    store, known = space.store(model), space.catalog(model)
    wanted = None
    if ref is not None and ref.wanted != Wanted():
        wanted = str(find(space, ref).version)
    for directory in plans.by_seq(store):
        version = pointer.version_of(directory)
        if wanted in (None, version):
            yield _verify_directory(space, store, known, directory, progress)


def _verify_directory(
    space: Workspace,
    store: Store,
    known: Catalog,
    directory: str,
    progress: Progress = silent,
) -> Verification:
    version = pointer.version_of(directory)
    try:
        described = metadata.read(store.path(directory))
    except Corrupt:
        there = (store.path(directory) / manifest.METADATA).exists()
        problem = manifest.Problem(manifest.METADATA, "cannot be read" if there else "is missing")
        return Verification(known.model, version, directory, 0, 0, (problem,))
    problems = metadata.verify(store.path(directory), described, progress=progress)
    told = {problem.path for problem in problems}
    modes = manifest.modes(store.path(directory), described.files)
    problems += [problem for problem in modes if problem.path not in told]
    problems += [
        manifest.Problem(manifest.METADATA, what)
        for what in (
            *_against_tag(space, described, known),
            *_against_policy(space, described, known),
        )
    ]
    return Verification(
        known.model, version, directory, len(described.files), described.size, tuple(problems)
    )


def _against_tag(space: Workspace, described: Metadata, known: Catalog) -> list[str]:
    """Where the metadata and what follows from the tag and its commit part."""
    release = known.get(described.version)
    if release is None:
        return [f"names the tag {described.tag.name}, which this clone has not"]
    wrong = []
    if described.tag.object != release.tag.object_id:
        wrong.append(f"was made from another tag object than {release.tag.name} is now")
    if described.commit.id != release.commit:
        wrong.append(f"names another commit than {release.tag.name}")
    taken = space.snapshot(release.commit, known.model)
    promised = _promised(space, taken)
    for file in described.files:
        if promised.get(file.path, file.md5) != file.md5:
            wrong.append(f"names another md5 for {file.path} than {release.tag.name}")
    if described.signature != Signature.of_tag(release.tag.trailers):
        wrong.append(f"has another signature than {release.tag.name}")
    if wrong:  # the rest follows from it
        return wrong
    return [
        f"has another {name} than {release.tag.name}"
        for name in _otherwise(space, described, release, taken)
    ]


def _otherwise(
    space: Workspace, described: Metadata, release: Release, taken: tracked.Snapshot
) -> list[str]:
    """The fields that follow from a tag and its commit, and are others."""
    wanted = space.describe(release, taken, described.files)
    found, right = (config.flat(one.to_json()) for one in (described, wanted))
    fields = ("model", "path", "self_test", "size", "lineage")
    groups = ("tag.", "commit.", "params.")
    names = [
        name
        for name in {**right, **found}
        if name in fields or (name.startswith(groups) and name != "tag.signer")
    ]
    wrong = [name for name in names if found.get(name) != right.get(name)]
    # of metrics that DVC keeps, the cache may hold others today than when it was deployed
    whole = all(out.names for out in taken.metric_outs)
    return wrong + [
        f"metrics.{name}"
        for name in {**wanted.metrics, **described.metrics}
        if (whole or (name in wanted.metrics and name in described.metrics))
        and described.metrics.get(name) != wanted.metrics.get(name)
    ]


def _against_policy(space: Workspace, described: Metadata, known: Catalog) -> list[str]:
    """What this host asks for today, and the version has not: a key may have been revoked."""
    release = known.get(described.version)
    try:
        if release is not None:
            space.policy.check_tag(space.repository, release.tag)
        space.policy.check_files(described.statement, described.signature)
    except (Refused, Corrupt) as error:
        return [f"is of a version that may not go live here: {error.message}"]
    return []


def _promised(space: Workspace, taken: tracked.Snapshot) -> dict[str, str]:
    """The md5 of every file that DVC promises at a commit, as far as this machine knows."""
    files = _tracked_files(space, space.store(taken.artifact.model), taken)
    return {file.path: file.md5 for file in files if file.md5}


def status(space: Workspace, model: str) -> Status:
    """Whether what is live is what should be, and the commands that mend what is not.

    A model that cannot be read is broken: whoever asks for several is told of the others too.
    """
    try:
        return _status(space, model)
    except (Corrupt, OSError) as error:
        what, hint = told(error)
        mend = hint.partition(": ")[2] or hint  # it may begin with words
        return Status(model, None, None, (Finding(State.BROKEN, what, mend),))


def _status(space: Workspace, model: str) -> Status:
    store, known = space.store(model), space.catalog(model)
    latest = str(known.latest.version) if known.latest else None
    link = store.link()
    live = plans.told_live(store)
    good = _good(store)
    findings = [
        *_link_findings(store, model, latest, good),
        *(_live_findings(space, store, known, live) if live and link.state is LinkState.OK else ()),
        *_history_findings(store, model, live),
    ]
    if live and known.is_ahead_of(live.version):
        findings.append(_behind(store, model, live, str(latest)))
    findings += _open_findings(store)
    return Status(model, live.version if live else None, latest, tuple(findings))


def _good(store: Store) -> history.Place | None:
    """The version that should be live, as the history has it."""
    try:
        return history.last_good(workspace.events(store))
    except Corrupt:
        return None


def _behind(store: Store, model: str, live: history.Place, latest: str) -> Finding:
    """A later version is released: not deployed yet, or rolled back, with a reason."""
    left = history.left_by_rollback(workspace.events(store).about(latest), latest)
    if left is not None and left.place == live:
        why = f": {left.reason}" if left.reason else ""
        what = f"{latest} was rolled back to {live.version}{why}"
        return Finding(State.DRIFTED, what, f"tagship release {model}, once it is better")
    what = f"{latest} is released, {live.version} is live"
    return Finding(State.DRIFTED, what, f"tagship deploy {model}")


def _link_findings(
    store: Store, model: str, latest: str | None, good: history.Place | None
) -> Iterable[Finding]:
    link, again = store.link(), f"tagship deploy {model}"
    if good is not None:
        again = f"tagship rollback {model} --to {good.version}"
    if link.state is LinkState.NONE and good is not None:
        yield Finding(State.BROKEN, f"{store.current} is gone", again)
    elif link.state is LinkState.NONE and latest is not None:
        yield Finding(State.DRIFTED, "nothing is deployed", again)
    elif link.state is LinkState.FOLDER:
        what = f"{store.current} is no link"
        yield Finding(State.DRIFTED, what, f"mv {store.current} {store.current}.old && {again}")
    elif link.state is LinkState.FOREIGN:
        what = f"{store.current} leads to {link.target}"
        yield Finding(State.DRIFTED, what, f"rm {store.current} && {again}")
    elif link.state is LinkState.DANGLING:
        version = pointer.version_of(link.directory or "")
        what = f"{store.current} leads to {link.directory}, which is gone"
        yield Finding(State.BROKEN, what, f"tagship deploy {model}@{version} --force")


def _open_findings(store: Store) -> Iterable[Finding]:
    """Folders that others can write to, once something was deployed into them."""
    if not store.versions.is_dir():
        return
    for folder, mode in store.open_to():
        who = {0o020: "its group", 0o002: "everybody"}.get(mode, "its group and everybody")
        what = f"{folder} can be written by {who}, who can so change what is live"
        mend = "".join(letter for bit, letter in ((0o020, "g"), (0o002, "o")) if mode & bit)
        yield Finding(State.DRIFTED, what, f"chmod {mend}-w {shlex.quote(str(folder))}")


def _live_findings(
    space: Workspace, store: Store, known: Catalog, live: history.Place
) -> Iterable[Finding]:
    found = _verify_directory(space, store, known, live.directory)
    again = f"tagship deploy {known.model}@{live.version} --force"
    missing = any(
        problem.what == "is missing" or (problem.path == manifest.METADATA and not found.files)
        for problem in found.problems
    )
    described, release = plans.read_metadata(store, live.directory), known.get(live.version)
    moved = bool(described and (not release or described.tag.object != release.tag.object_id))
    back = f"git tag -f {described.tag.name} {described.tag.object}" if described else again
    back = back if release else "git fetch --tags"
    for problem in found.problems:
        state = State.BROKEN if missing else State.DRIFTED
        mend = back if moved and problem.path == manifest.METADATA else again
        if problem.mode is not None:
            path = store.path(live.directory) / problem.path
            mend = f"chmod {problem.mode} {shlex.quote(str(path))}"
        yield Finding(state, f"{live.directory}/{problem.path} {problem.what}", mend)


def _history_findings(store: Store, model: str, live: history.Place | None) -> Iterable[Finding]:
    try:
        good = history.last_good(workspace.events(store))
        intent = workspace.intent(store)
    except Corrupt as error:
        command = error.hint.partition(": ")[2] or error.hint  # it may begin with words
        yield Finding(State.DRIFTED, error.message, command)
        return
    busy = store.holder()
    if busy is not None:
        yield Finding(State.IN_ORDER, busy, f"ask again when it is done: tagship status {model}")
        return
    if intent is not None:
        mend = f"tagship cleanup {model} --keep 1000 --yes"
        yield Finding(State.DRIFTED, "a run was cut short; the next command mends it", mend)
        return
    if live is not None and live != good:
        told = f"the history says {good.directory if good else 'nothing'}"
        what = f"{store.current} was changed by hand: it means {live.directory}, {told}"
        mend = f"tagship deploy {model}@{live.version} --force"
        if good is not None:
            mend = f"tagship rollback {model} --to {good.version}"
        yield Finding(State.DRIFTED, what, mend)
