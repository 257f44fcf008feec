"""What is live, and what a deploy or a rollback would change. Touches nothing."""

from dataclasses import dataclass, replace
from typing import Any

from semver import Version

from tagship import git, history, metadata, pointer, workspace
from tagship.catalog import Release
from tagship.errors import Corrupt, NotFound, Refused, Unavailable
from tagship.history import Event, Place
from tagship.journal import Past
from tagship.metadata import Metadata
from tagship.pointer import LinkState
from tagship.progress import Progress, silent
from tagship.refs import Ref, Wanted
from tagship.store import Store
from tagship.workspace import Workspace


@dataclass(frozen=True)
class Plan:
    """What a deploy would do.

    Attributes:
        source: what is live now, None where nothing is.
        version, tag, commit: what would be live.
        commits: how many commits the target has that the live version has not; None if unknown.
        size: of the target, in bytes; None where DVC did not record it.
        to_fetch: objects that the DVC cache lacks.
        metrics: name to (live, target), for every metric of either.
        live: the target is live and its files are there: nothing is to be done.
        left: the rollback that left the target on this host; None where nobody rolled it back.
    """

    model: str
    source: Place | None
    version: str
    tag: str
    commit: str
    commits: int | None
    size: int | None
    to_fetch: int
    metrics: dict[str, tuple[Any, Any]]
    live: bool
    left: Event | None = None


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback would do; ``on_disk``: its directory is still there, and whole."""

    model: str
    source: Place | None
    target: Place
    on_disk: bool


def of_deploy(space: Workspace, ref: Ref, progress: Progress = silent) -> Plan:
    """What deploying ``ref`` would change. Touches nothing.

    Raises:
        NotFound, Refused: there is no such version, or it is not on offer.
    """
    release = space.catalog(ref.model).find(ref)
    store = space.store(ref.model)
    past = workspace.events(store)
    check_tag(space, past, release)
    version, tag = str(release.version), str(release.tag.name)
    made = of_commit(space, ref.model, release.commit, version, tag)
    left = history.left_by_rollback(past.about(version), version)
    return replace(made, live=is_live(store, release, progress), left=left)


def of_commit(space: Workspace, model: str, commit: str, version: str, tag: str) -> Plan:
    """What deploying a commit would change, once it is released as that version. Touches nothing.

    Raises:
        NotFound, Corrupt, Refused: as for ``Workspace.snapshot``.
    """
    taken = space.snapshot(commit, model)
    store = space.store(model)
    source, live = live_place(store), _live_metadata(store)
    sizes = [one.size for out in taken.outs for one in out.objects]
    now = space.metrics(taken)
    before = live.metrics if live else {}
    return Plan(
        model,
        source,
        version,
        tag,
        commit,
        _commits_between(space, live, commit),
        None if None in sizes else sum(size for size in sizes if size is not None),
        sum(not space.cache.holds(one) for one in taken.dvc_objects),
        {name: (before.get(name), now.get(name)) for name in sorted({*before, *now})},
        live=False,
    )


def of_rollback(space: Workspace, model: str, wanted: Wanted | None = None) -> RollbackPlan:
    """What a rollback would go back to. Touches nothing.

    Raises:
        NotFound: there is nothing to go back to.
    """
    store = space.store(model)
    check_deployed(space, store, model)
    live = live_place(store)
    target = rollback_target(space, model, workspace.events(store), live, wanted)
    on_disk = not is_broken(store, target.directory, deep=False)
    return RollbackPlan(model, live, target, on_disk)


def check_tag(space: Workspace, past: Past, release: Release) -> str:
    """Whether a tag may go live: it was not moved, and is signed where this host asks for it.

    Returns:
        Who signed it; empty where nobody asks.

    Raises:
        Refused: as ``check_not_moved`` and ``Policy.check_tag``.
    """
    check_not_moved(past, release)
    return space.policy.check_tag(space.repository, release.tag)


def check_not_moved(past: Past, release: Release) -> None:
    """Refuse a tag that names another object than when it was last deployed here."""
    version = str(release.version)
    before = history.tag_object_of(past.about(version), version)
    if before is not None and before != release.tag.object_id:
        raise Refused(
            f"the tag {release.tag.name} was moved since it was deployed here: it was"
            f" {before[:10]}, and is {release.tag.object_id[:10]}",
            f"release a new version, or set the tag back: git tag -f {release.tag.name} {before}",
        )


def check_kept(space: Workspace, past: Past, kept: Metadata) -> None:
    """Whether a version that is on disk may be live again: as ``check_tag``, and its files too.

    Raises:
        NotFound: its tag is not in this clone.
        Refused, Corrupt: what this host asks for is not there, or does not fit.
    """
    if not space.policy.asks:
        return  # a rollback to a directory asks Git nothing
    release = space.catalog(kept.model).get(kept.version)
    if release is None:
        raise NotFound(
            f"the tag {kept.tag.name} is not in this clone, and this host asks who signed it",
            "git fetch --tags",
        )
    check_tag(space, past, release)
    space.policy.check_files(kept.statement, kept.signature)


def check_deployed(space: Workspace, store: Store, model: str) -> None:
    """Raise NotFound where no version of the model ever was on this host."""
    if not store.versions.is_dir() and not workspace.events(store):
        space.declared(model)
        raise NotFound(f"{model} was never deployed here", f"tagship deploy {model}")


def rollback_target(
    space: Workspace,
    model: str,
    past: Past,
    live: Place | None,
    wanted: Wanted | None,
) -> Place:
    """Where a rollback goes; a place without a directory is a tag that was never deployed here.

    Raises:
        NotFound: there is nothing to go back to, or no such version.
    """
    if wanted is None:
        target = history.rollback_target(past, live)
        if target is None:
            raise NotFound(f"{model} has no good version to go back to", f"tagship list {model}")
        return target
    told = past.about(str(wanted.exact)) if wanted.exact else past
    known = {place.version: place for place in history.deployed(told)}
    version = wanted.select(Version.parse(name) for name in known)
    if version is not None and not wanted.stage:
        return known[str(version)]
    release = space.catalog(model).find(Ref(model, wanted))
    return known.get(str(release.version), Place(str(release.version), ""))


def live_place(store: Store) -> Place | None:
    """The version that ``current`` means; from its directory's metadata, or else its name."""
    directory = store.live()
    if directory is None:
        return None
    described = read_metadata(store, directory)
    version = described.version if described else pointer.version_of(directory)
    return Place(version, directory)


def told_live(store: Store) -> Place | None:
    """The same for whoever only tells: None also where ``current`` is no link of ours."""
    ours = store.link().state in (LinkState.OK, LinkState.DANGLING)
    return live_place(store) if ours else None


def _live_metadata(store: Store) -> Metadata | None:
    directory = store.live()
    return None if directory is None else read_metadata(store, directory)


def read_metadata(store: Store, directory: str) -> Metadata | None:
    """The metadata of a version directory; None where it has none that can be read."""
    try:
        return metadata.read(store.path(directory))
    except Corrupt:
        return None


def by_seq(store: Store) -> list[str]:
    """The names below versions/, by the ``seq`` of their deployment, the oldest first."""

    def seq(directory: str) -> int:
        described = read_metadata(store, directory)
        return described.deployment.seq if described and described.deployment else 0

    return sorted(store.directories(), key=seq)


def is_broken(
    store: Store,
    directory: str,
    *,
    deep: bool,
    touched: bool = True,
    progress: Progress = silent,
) -> bool:
    """Whether a version directory is gone, or not as its metadata says.

    Args:
        store: the model's folder.
        directory: a name below versions/.
        deep: hash the files.
        touched: those alone that were touched since they were deployed; else every byte.
        progress: is told the bytes hashed.
    """
    described = read_metadata(store, directory) if directory else None
    if described is None:
        return True
    path = store.path(directory)
    return bool(metadata.verify(path, described, deep=deep, touched=touched, progress=progress))


def is_live(store: Store, release: Release, progress: Progress = silent) -> bool:
    """Whether a version is live, from this very tag, and its files as they were deployed."""
    if store.link().state is not LinkState.OK:
        return False
    described = _live_metadata(store)
    live = store.live()
    return (
        described is not None
        and live is not None
        and described.tag.object == release.tag.object_id
        and not is_broken(store, live, deep=True, progress=progress)
    )


def _commits_between(space: Workspace, live: Metadata | None, commit: str) -> int | None:
    if live is None:
        return None
    try:
        return len(git.apart(space.repository, live.commit.id, commit)[1])
    except Unavailable:  # a shallow clone, or the live version's commit is not in this one
        return None
