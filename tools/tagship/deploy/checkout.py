"""Check a version out: from DVC's objects and Git's blobs to a directory below ``versions/``.

Steps 2 to 6 of a deploy. Apart from ``deploy``: a rollback to a directory needs none of it.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from tagship.disk import atomic, capacity
from tagship.disk import files as disk_files
from tagship.disk.files import File
from tagship.dvc import cache, content, remote
from tagship.dvc.snapshot import Snapshot
from tagship.host import journal, metadata
from tagship.host.history import Event
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.loaders import selftest
from tagship.loaders.selftest import Report
from tagship.progress import Progress
from tagship.registry.catalog import Release
from tagship.signing.statement import Signature, Statement
from tagship.workspace.workspace import Workspace

MARGIN = 16 << 20  # bytes to leave free on a disk, for metadata, history and the file system
SPARE = 8  # inodes to leave free: the intent, the link and the history are new files each time


def check_out(
    space: Workspace,
    store: Store,
    event: Event,
    release: Release,
    taken: Snapshot,
    *,
    signer: str,
    smoke_test: bool | None,
    progress: Progress,
) -> Report:
    """Fetch, stage, verify, test and publish the files of a version; it is not live yet.

    Args:
        space: the workspace.
        store: the model's folder here; its lock is held.
        event: the act, with the directory that is to be made; it is the intent.
        release: the version.
        taken: the model at its commit.
        signer: whose signature of the tag was asked for.
        smoke_test: load the model first; None for what the settings say.
        progress: is told the bytes fetched, copied and hashed.

    Returns:
        What the smoke test found.

    Raises:
        Corrupt, Unavailable: its bytes cannot be had as they were released, or do not fit.
        Refused: they are not signed as this host asks for.
        SelfTestFailed: it does not answer as it was released.
        OSError: the disk.
    """
    if event.directory is None:
        raise AssertionError("a deploy has a directory")
    fetch = space.fetcher(store, progress)
    files = content.files(taken, fetch)
    _check_space(space, store, taken, files)
    fetch(file.object for file in files)
    store.open_intent({"event": event.to_json(), "creates": True})
    with store.stage(event.id) as staged:
        copied = _copy(space, files, fetch, staged, progress)
        _check_signed(space, release, copied)
        report = _smoke_test(space, taken, staged, smoke_test)
        described = _describe(space, store, event, release, taken, copied, staged).tested(report)
        tag = replace(described.tag, signer=signer)
        metadata.write(staged, replace(described, tag=tag))
        store.publish(staged, event.directory)
    return report


def _copy(
    space: Workspace,
    files: tuple[content.TrackedFile, ...],
    fetch: remote.Fetcher,
    staged: Path,
    progress: Progress,
) -> tuple[File, ...]:
    """Step 4: every file into the staging directory, hashed and compared."""
    with progress("copying", sum(file.object.size or 0 for file in files) or None) as advance:
        copied = []
        for file in files:
            target = staged / file.path
            copied.append(content.copy(file, space.blobs, fetch, target, advance))
            atomic.protect_file(target)  # now, and not once it was stamped
        return tuple(copied)


def _check_signed(space: Workspace, release: Release, files: tuple[File, ...]) -> None:
    """Nothing is loaded that has another signature than its own, or lacks one that is asked for."""
    model = release.tag.name.model
    statement = Statement(model, str(release.version), release.commit, files)
    space.policy.check_files(statement, Signature.of_tag(release.tag.trailers))


def _smoke_test(space: Workspace, taken: Snapshot, staged: Path, wanted: bool | None) -> Report:
    if not (space.settings.smoke_test if wanted is None else wanted):
        return Report(selftest.SKIPPED, "not asked for")
    artifact = taken.artifact
    self_test = staged / Path(artifact.self_test).name if artifact.self_test else None
    model = staged / Path(artifact.path).name
    return selftest.run(model, self_test, space.settings.smoke_timeout)


def _describe(
    space: Workspace,
    store: Store,
    event: Event,
    release: Release,
    taken: Snapshot,
    files: tuple[File, ...],
    staged: Path,
) -> Metadata:
    described = space.describe(release, taken, files)
    deployment = metadata.DeploymentInfo(
        event.id, journal.events(store).last_seq + 1, event.at, event.actor, event.host,
        {file.path: disk_files.stamp(staged / file.path) for file in files},
    )  # fmt: skip
    return replace(described, deployment=deployment)


def _check_space(
    space: Workspace, store: Store, taken: Snapshot, files: tuple[content.TrackedFile, ...]
) -> None:
    """Refuse what cannot fit: in the model's folder, and in DVC's cache for what it lacks.

    The size of a tracked folder is what DVC recorded; an unknown size counts as nothing.

    Raises:
        Unavailable: a disk has too few bytes, or too few inodes.
    """
    cached = {file.object for file in files if file.object.hash_name != cache.GIT}
    lacking = {one for one in cached if not space.cache.holds(one)}
    recorded = [one for out in taken.outs for one in out.objects]
    needed = sum(one.size or 0 for one in recorded)
    fetched = 0
    if lacking:
        here = sum(space.cache.path(one).stat().st_size for one in cached - lacking)
        fetched = max(0, sum(o.size or 0 for o in recorded if o.hash_name != cache.GIT) - here)
    folders = {parent for file in files for parent in PurePosixPath(file.path).parents}
    inodes = len(files) + len(folders) + SPARE
    disks = [(store.folder, needed + MARGIN, inodes), (space.cache.folder, fetched, len(lacking))]
    if capacity.same_disk(store.folder, space.cache.folder):
        disks = [(store.folder, needed + MARGIN + fetched, inodes + len(lacking))]
    for folder, size, count in disks:
        capacity.check(folder, size, count, taken.artifact.model)
