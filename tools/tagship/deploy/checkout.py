"""Check a version out: from DVC's objects and Git's blobs to a directory below ``versions/``.

Steps 2 to 6 of a deploy. Apart from ``deploy``: a rollback to a directory needs none of it.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from tagship.deploy.act import Switch
from tagship.disk import atomic, capacity
from tagship.disk import files as disk_files
from tagship.disk.files import File
from tagship.dvc import cache, content, remote
from tagship.dvc.snapshot import Snapshot
from tagship.host import metadata
from tagship.host.settings import Settings
from tagship.host.store import Store
from tagship.loaders import selftest
from tagship.loaders.selftest import Report
from tagship.progress import Progress
from tagship.registry.catalog import Release
from tagship.signing.policy import Policy
from tagship.signing.statement import Signature, Statement
from tagship.workspace.host import Host
from tagship.workspace.source import Source

MARGIN = 16 << 20  # bytes to leave free on a disk, for metadata, history and the file system
SPARE = 8  # inodes to leave free: the intent, the link and the history are new files each time


def check_out(
    source: Source,
    host: Host,
    switch: Switch,
    release: Release,
    taken: Snapshot,
    signer: str,
) -> Report:
    """Fetch, stage, verify, test and publish the files of a version; it is not live yet.

    Args:
        source: where its bytes come from.
        host: where they go.
        switch: the act, with the directory that is to be made; its event is the intent.
        release: the version.
        taken: the model at its commit.
        signer: whose signature of the tag was asked for.

    Returns:
        What the smoke test found.

    Raises:
        Corrupt, Unavailable: its bytes cannot be had as they were released, or do not fit.
        Refused: they are not signed as this host asks for.
        SelfTestFailed: it does not answer as it was released.
        OSError: the disk.
    """
    store, options = switch.act.store, switch.act.options
    fetch = source.fetcher(store, options.progress)
    files = content.files(taken, fetch)
    _check_space(source, store, taken, files)
    fetch(file.object for file in files)
    switch.write_intent()
    with store.stage(switch.event.id) as staged:
        copied = _copy(source, files, fetch, staged, options.progress)
        _check_signed(host.policy, release, copied)
        report = _smoke_test(host.settings, taken, staged, options.smoke_test)
        described = source.describe(release, taken, copied).tested(report)
        deployment = metadata.DeploymentInfo(
            switch.event.id, switch.act.past.last_seq + 1, switch.event.at, switch.event.actor,
            switch.event.host, {file.path: disk_files.stamp(staged / file.path) for file in copied},
        )  # fmt: skip
        tag = replace(described.tag, signer=signer)
        metadata.write(staged, replace(described, tag=tag, deployment=deployment))
        store.publish(staged, switch.place.directory)
    return report


def _copy(
    source: Source,
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
            copied.append(content.copy(file, source.blobs, fetch, target, advance))
            atomic.protect_file(target)  # now, and not once it was stamped
        return tuple(copied)


def _check_signed(policy: Policy, release: Release, files: tuple[File, ...]) -> None:
    """Nothing is loaded that has another signature than its own, or lacks one that is asked for."""
    model = release.tag.name.model
    statement = Statement(model, str(release.version), release.commit, files)
    policy.check_files(statement, Signature.of_tag(release.tag.trailers))


def _smoke_test(settings: Settings, taken: Snapshot, staged: Path, wanted: bool | None) -> Report:
    if not (settings.smoke_test if wanted is None else wanted):
        return Report(selftest.SKIPPED, "not asked for")
    artifact = taken.artifact
    self_test = staged / Path(artifact.self_test).name if artifact.self_test else None
    model = staged / Path(artifact.path).name
    return selftest.run(model, self_test, settings.smoke_timeout)


def _check_space(
    source: Source, store: Store, taken: Snapshot, files: tuple[content.TrackedFile, ...]
) -> None:
    """Refuse what cannot fit: in the model's folder, and in DVC's cache for what it lacks.

    The size of a tracked folder is what DVC recorded; an unknown size counts as nothing.

    Raises:
        Unavailable: a disk has too few bytes, or too few inodes.
    """
    cached = {file.object for file in files if file.object.hash_name != cache.GIT}
    lacking = {one for one in cached if not source.cache.holds(one)}
    recorded = [one for out in taken.outs for one in out.objects]
    needed = sum(one.size or 0 for one in recorded)
    fetched = 0
    if lacking:
        here = sum(source.cache.path(one).stat().st_size for one in cached - lacking)
        fetched = max(0, sum(o.size or 0 for o in recorded if o.hash_name != cache.GIT) - here)
    folders = {parent for file in files for parent in PurePosixPath(file.path).parents}
    inodes = len(files) + len(folders) + SPARE
    disks = [(store.folder, needed + MARGIN, inodes), (source.cache.folder, fetched, len(lacking))]
    if capacity.same_disk(store.folder, source.cache.folder):
        disks = [(store.folder, needed + MARGIN + fetched, inodes + len(lacking))]
    for folder, size, count in disks:
        capacity.check(folder, size, count, taken.artifact.model)
