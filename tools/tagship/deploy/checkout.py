"""Check a version out: from DVC's objects and Git's blobs to a directory below ``versions/``.

Steps 2 to 6 of a deploy. A separate module: a rollback to a directory on disk does not need it.
"""

import functools
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tagship import loaders
from tagship.deploy.act import Switch
from tagship.disk import atomic, capacity
from tagship.disk import files as disk_files
from tagship.disk.files import File
from tagship.dvc.pointers import Pointer
from tagship.dvc.snapshot import Snapshot
from tagship.host import installed, metadata
from tagship.host.store import Store
from tagship.loaders import selftest
from tagship.loaders.selftest import Report
from tagship.registry.catalog import Release
from tagship.registry.settings import INSTALLED, Settings
from tagship.signing.policy import Policy
from tagship.signing.statement import Signature, Statement
from tagship.workspace import ignored
from tagship.workspace.host import Host
from tagship.workspace.source import Source

MARGIN = 16 << 20  # bytes to leave free on a disk, for metadata, history and the file system
SPARE = 8  # inodes to leave free: the intent, the link and the history are new files each time


def check_out(
    source: Source,
    host: Host,
    switch: Switch,
    release: Release,
    snapshot: Snapshot,
    signer: str,
) -> Report:
    """Fetch, stage, verify, test and publish the files of a version; it is not live yet.

    Args:
        source: where its bytes come from.
        host: where they go.
        switch: the act, with the directory that is to be created; its event is the intent.
        release: the version.
        snapshot: the model at its commit.
        signer: who signed the tag; empty where this host asks for no signature.

    Returns:
        The result of the smoke test.

    Raises:
        Corrupt, Unavailable: its bytes are not available as they were released, or do not fit.
        Refused: they are not signed as this host requires.
        SelfTestFailed: its answers are not those that it was released with.
        OSError: the disk.
    """
    store, options = switch.act.store, switch.act.options
    ignored.exclude(source.repository, host, store.folder, options.tell)
    kept = functools.cache(functools.partial(installed.files_by_md5, store))
    content = source.content(options.progress, kept=kept, tell=options.tell)
    pointers = content.files(snapshot.pointers)
    _check_space(store, snapshot, pointers, host.settings.min_free_bytes)
    switch.write_intent()
    with store.stage(switch.event.id) as staged:
        files = content.bring(pointers, staged)
        for file in files:  # before it is stamped: this changes the stamp
            atomic.protect_file(staged / file.path)
        _check_signed(host.policy, release, files)
        artifact = snapshot.artifact
        self_test = Path(artifact.self_test).name if artifact.self_test else None
        model = staged / Path(artifact.path).name
        report = smoke_test(host.settings, model, self_test, options.smoke_test)
        described = source.describe(release, snapshot, files).tested(report)
        deployment = metadata.DeploymentInfo(
            switch.event.id, switch.act.past.last_seq + 1, switch.event.at, switch.event.actor,
            switch.event.host, {file.path: disk_files.stamp(staged / file.path) for file in files},
        )  # fmt: skip
        tag = replace(described.tag, signer=signer)
        metadata.write(staged, replace(described, tag=tag, deployment=deployment))
        store.publish(staged, switch.place.directory)
    return report


def _check_signed(policy: Policy, release: Release, files: tuple[File, ...]) -> None:
    """Refuse files with a wrong signature, or without one that is required, before they load."""
    model = release.tag.name.model
    statement = Statement(model, str(release.version), release.commit, files)
    policy.check_files(statement, Signature.of_tag(release.tag.trailers))


def smoke_test(
    settings: Settings, model: Path, self_test: str | None, requested: bool | None
) -> Report:
    """Load a model, and run its self-test, if this is asked for.

    Args:
        settings: of the host; they decide where nothing is requested.
        model: its file or folder.
        self_test: the name of its self-test, beside it.
        requested: what the act asks for.

    Raises:
        SelfTestFailed: it does not load, or its answers are not those that it was released with.
    """
    wish = settings.smoke_test if requested is None else requested
    if not wish:
        return Report(selftest.SKIPPED, "not asked for")
    if wish == INSTALLED and (framework := loaders.missing(model)):
        return Report(selftest.SKIPPED, f"{framework} is not installed on this host", framework)
    return selftest.run(
        model, model.parent / self_test if self_test else None, settings.smoke_timeout
    )


def _check_space(
    store: Store, snapshot: Snapshot, pointers: tuple[Pointer, ...], min_free: int
) -> None:
    """Check the free space in the model's folder.

    The size of a tracked folder is what DVC recorded; an unknown size counts as 0.

    Raises:
        NoRoom: the disk has too few bytes, or too few inodes.
    """
    needed = sum(pointer.size or 0 for pointer in snapshot.pointers)
    folders = {parent for pointer in pointers for parent in PurePosixPath(pointer.path).parents}
    inodes = len(pointers) + len(folders) + SPARE
    model = snapshot.artifact.model
    capacity.check(store.folder, needed + MARGIN, inodes, model, min_free)
