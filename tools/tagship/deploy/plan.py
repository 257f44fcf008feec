"""What a deploy or a rollback would change. Touches nothing."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from semver import Version

from tagship.errors import NotFound, Refused, Unavailable
from tagship.git import clone, commits
from tagship.host import history, installed, journal
from tagship.host.history import Event, Place
from tagship.host.journal import Past
from tagship.host.link import LinkState
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.progress import Progress, silent
from tagship.registry.catalog import Release
from tagship.registry.refs import Ref, Wanted
from tagship.workspace.host import Host
from tagship.workspace.source import Source

if TYPE_CHECKING:
    from tagship.git.run import Repository
    from tagship.signing.policy import Policy


@dataclass(frozen=True)
class Plan:
    """What a deploy would do.

    Attributes:
        source: what is live now, None where nothing is.
        version, tag, commit: what would be live.
        commits: how many commits the target has and the live version lacks; None if unknown.
        size: of the target, in bytes; None where DVC did not record it.
        to_fetch: objects that the DVC cache lacks.
        metrics: name to (live, target), for every metric of either.
        live: the target is live and intact: there is nothing to do.
        left: the rollback from the target to another version here; None if there was none.
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
    """What a rollback would do; ``on_disk``: the target's directory exists and is intact."""

    model: str
    source: Place | None
    target: Place
    on_disk: bool


def of_deploy(source: Source, host: Host, ref: Ref, progress: Progress = silent) -> Plan:
    """What deploying ``ref`` would change. Touches nothing.

    Raises:
        NotFound, Refused: there is no such version, or it was withdrawn or deprecated.
    """
    release = source.release(ref)
    store = host.store(ref.model)
    past = journal.events(store)
    check_tag(host.policy, source.repository, past, release)
    version, tag = str(release.version), str(release.tag.name)
    plan = of_commit(source, store, ref.model, release.commit, version, tag)
    left = history.left_by_rollback(past.about(version), version)
    return replace(plan, live=is_live(store, release, progress), left=left)


def of_commit(
    source: Source, store: Store, model: str, commit: str, version: str, tag: str
) -> Plan:
    """What deploying a commit would change, once it is released as that version. Touches nothing.

    Raises:
        NotFound, Corrupt, Refused: as for ``Source.snapshot``.
    """
    snapshot = source.snapshot(commit, model)
    place, live = installed.live_place(store), installed.live_metadata(store)
    now = source.metrics(snapshot)
    before = live.metrics if live else {}
    return Plan(
        model,
        place,
        version,
        tag,
        commit,
        _commits_between(source, live, commit),
        snapshot.size,
        len(source.content(offline=True).lacking(snapshot.pointers)),
        {name: (before.get(name), now.get(name)) for name in sorted({*before, *now})},
        live=False,
    )


def of_rollback(
    source: Source, store: Store, model: str, selector: Wanted | None = None
) -> RollbackPlan:
    """The plan of a rollback. Touches nothing.

    Raises:
        NotFound: there is nothing to go back to.
    """
    live = installed.live_place(store)
    target = rollback_target(source, model, journal.events(store), live, selector)
    on_disk = not installed.is_broken(store, target.directory, deep=False)
    return RollbackPlan(model, live, target, on_disk)


def check_tag(policy: "Policy", repository: "Repository", past: Past, release: Release) -> str:
    """Check that a tag may go live: it was not moved, and is signed if this host requires it.

    Returns:
        Who signed it; empty if no signature is required.

    Raises:
        Refused: as ``check_not_moved`` and ``Policy.check_tag``.
    """
    check_not_moved(repository, past, release)
    return policy.check_tag(repository, release.tag)


def check_not_moved(repository: "Repository", past: Past, release: Release) -> None:
    """Refuse a tag that points to another object than at its last deployment here."""
    version = str(release.version)
    before = history.tag_object_of(past.about(version), version)
    if before is not None and before != release.tag.object_id:
        hint = f"release a new version, or set the tag back: git tag -f {release.tag.name} {before}"
        if not clone.has(repository, before):  # such as after git filter-repo
            again = f"tagship release {release.tag.name.model} --force"
            hint = f"the old tag is gone; release it as a new version: {again}"
        raise Refused(
            f"the tag {release.tag.name} was moved since it was deployed here: it was"
            f" {before[:10]}, and is {release.tag.object_id[:10]}",
            hint,
        )


def check_kept(source: Source, policy: "Policy", past: Past, kept: Metadata) -> None:
    """Check that a version on disk may be live again: its tag as ``check_tag``, and its files.

    Raises:
        NotFound: its tag is not in this clone.
        Refused, Corrupt: a signature that this host requires is missing, or does not match.
    """
    if not policy.asks:
        return  # a rollback to a directory on disk needs no Git
    release = source.catalog(kept.model).get(kept.version)
    if release is None:
        raise NotFound(
            f"the tag {kept.tag.name} is not in this clone, and this host requires a signature",
            "git fetch --tags",
        )
    check_tag(policy, source.repository, past, release)
    policy.check_files(kept.statement, kept.signature)


def rollback_target(
    source: Source,
    model: str,
    past: Past,
    live: Place | None,
    selector: Wanted | None,
) -> Place:
    """The target of a rollback; without a directory if it was never deployed here.

    Raises:
        NotFound: there is nothing to go back to, or no such version.
    """
    if selector is None:
        target = history.rollback_target(past, live)
        if target is None:
            raise NotFound(f"{model} has no good version to go back to", f"tagship list {model}")
        return target
    events = past.about(str(selector.exact)) if selector.exact else past
    known = {place.version: place for place in history.deployed(events)}
    version = selector.select(Version.parse(name) for name in known)
    if version is not None and not selector.stage:
        return known[str(version)]
    release = source.release(Ref(model, selector))
    return known.get(str(release.version), Place(str(release.version), ""))


def is_live(store: Store, release: Release, progress: Progress = silent) -> bool:
    """Whether a version is live, from exactly this tag, and its files are intact."""
    if store.link().state is not LinkState.OK:
        return False
    described = installed.live_metadata(store)
    live = store.live()
    return (
        described is not None
        and live is not None
        and described.tag.object == release.tag.object_id
        and not installed.is_broken(store, live, deep=True, progress=progress)
    )


def _commits_between(source: Source, live: Metadata | None, commit: str) -> int | None:
    if live is None:
        return None
    try:
        return len(commits.apart(source.repository, live.commit.id, commit)[1])
    except Unavailable:  # a shallow clone, or the live version's commit is not in this one
        return None
