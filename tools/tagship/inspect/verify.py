"""Deployed files compared with the checksums in their tag."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from tagship.disk import access, shared_lock
from tagship.disk import files as disk_files
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt, Forbidden, NotFound, Refused
from tagship.host import installed, metadata
from tagship.host import link as host_link
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.inspect import find as inspect_find
from tagship.loaders import selftest
from tagship.loaders.selftest import Report
from tagship.progress import Progress, silent
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Ref, Wanted
from tagship.signing.policy import Policy
from tagship.signing.statement import Signature
from tagship.text import yaml
from tagship.workspace import condition
from tagship.workspace.find import check_present
from tagship.workspace.host import Host
from tagship.workspace.source import Source


@dataclass(frozen=True)
class Verification:
    """The result of hashing one version directory; no problems: it is as it was released."""

    model: str
    version: str
    directory: str
    files: int
    size: int
    problems: tuple[disk_files.Problem, ...]


def self_test(directory: Path, timeout: float) -> Report:
    """Load a version on disk, and compare its answers with the released ones.

    This runs in a separate process, see ``selftest.run``.

    Args:
        directory: the version directory.
        timeout: seconds that it may take.

    Raises:
        Corrupt: its metadata cannot be read.
        SelfTestFailed: it does not load, or its answers differ.
        TagshipError: an extra that it needs is not installed.
    """
    with shared_lock.of(directory):
        described = metadata.read(directory)
        file = directory / described.self_test if described.self_test else None
        return selftest.run(directory / described.path, file, timeout)


def directory_of(source: Source, store: Store, ref: Ref) -> Path:
    """The directory of a version on disk; if there are several, the last one deployed.

    Raises:
        NotFound, Refused: there is no such version, or it is not on disk here.
    """
    version = str(inspect_find.find(source, ref).version)
    for directory in reversed(installed.by_seq(store)):
        if host_link.version_of(directory) == version:
            return store.path(directory)
    raise NotFound(f"{ref} is not on disk here", f"tagship deploy {ref}")


def verify(
    source: Source, host: Host, ref: Ref | None = None, progress: Progress = silent
) -> list[Verification]:
    """Hash what is on disk against its metadata, and compare the metadata with the tag.

    Args:
        source: where the tags are.
        host: where the versions are.
        ref: a model (all of its versions on disk), or one version of it; None for everything.
        progress: is called with the bytes hashed.

    Raises:
        NotFound: no such version is on disk.
    """
    verifications = []
    for known in _catalogs(source, host, ref):
        verifications += _of_model(source, host, known, ref, progress)
    if ref is not None and not verifications:
        raise NotFound(f"{ref} is not on disk here", f"tagship deploy {ref}")
    return verifications


def _of_model(
    source: Source, host: Host, known: Catalog, ref: Ref | None, progress: Progress
) -> list[Verification]:
    """Of the directories of a model; one that this account may not read stops no other."""
    try:
        store = host.store(known.model)
        directories = _chosen(source, store, ref)
    except (Forbidden, OSError) as error:
        return [_unknown(known.model, "", error)]
    verifications = []
    for directory in directories:
        try:
            with shared_lock.of(store.path(directory)):
                verifications.append(
                    verify_directory(source, host.policy, store, known, directory, progress)
                )
        except (Forbidden, OSError) as error:
            verifications.append(_unknown(known.model, directory, error))
    return verifications


def _unknown(model: str, directory: str, error: Forbidden | OSError) -> Verification:
    """Of what this account may not read; any other error is raised again."""
    denied = access.forbidden(error)
    if denied is None:
        raise error
    problem = disk_files.Problem.of_denial(".", denied)
    version = host_link.version_of(directory)
    return Verification(model, version, directory, 0, 0, (problem,))


def _catalogs(source: Source, host: Host, ref: Ref | None) -> list[Catalog]:
    """Those of the models that are asked for."""
    if ref is not None:
        check_present(source, host, ref.model)
        return [source.catalog(ref.model)]
    catalogs = source.catalogs()
    names = inspect_find.models(source.artifacts(), host)
    known = [catalogs.get(name, Catalog(name)) for name in names]
    foresee(source, host, known)
    return known


def foresee(source: Source, host: Host, catalogs: list[Catalog]) -> None:
    """Read the commits of all that is on disk here, in one process."""
    versions: list[Release] = []
    for known in catalogs:
        with contextlib.suppress(Corrupt, Refused, OSError):  # told where this model has its turn
            on_disk = set(map(host_link.version_of, host.store(known.model).directories()))
            versions += [release for release in known.releases if str(release.version) in on_disk]
    source.foresee(versions)


def _chosen(source: Source, store: Store, ref: Ref | None) -> list[str]:
    """The directories of a model, or those of one version of it."""
    version = None
    if ref is not None and ref.wanted != Wanted():
        version = str(inspect_find.find(source, ref).version)
    directories = installed.by_seq(store)
    return [name for name in directories if version in (None, host_link.version_of(name))]


def verify_directory(
    source: Source,
    policy: Policy,
    store: Store,
    known: Catalog,
    directory: str,
    progress: Progress = silent,
) -> Verification:
    """One version directory, compared with its metadata, its tag and the host's policy."""
    version = host_link.version_of(directory)
    try:
        described = metadata.read(store.path(directory))
    except Forbidden as error:
        denied = disk_files.Problem.of_denial(disk_files.METADATA, error)
        return Verification(known.model, version, directory, 0, 0, (denied,))
    except Corrupt:
        there = (store.path(directory) / disk_files.METADATA).exists()
        problem = disk_files.Problem(
            disk_files.METADATA, "cannot be read" if there else "is missing"
        )
        return Verification(known.model, version, directory, 0, 0, (problem,))
    problems = condition.problems(store.path(directory), described, progress=progress)
    problems += [
        disk_files.Problem(disk_files.METADATA, what)
        for what in (
            *_against_tag(source, described, known),
            *condition.against_policy(policy, source, described, known),
        )
    ]
    return Verification(
        known.model, version, directory, len(described.files), described.size, tuple(problems)
    )


def _against_tag(source: Source, described: Metadata, known: Catalog) -> list[str]:
    """Where the metadata differ from the tag and its commit."""
    release = known.get(described.version)
    if release is None:
        return [f"names the tag {described.tag.name}, which this clone has not"]
    wrong = []
    if described.tag.object != release.tag.object_id:
        wrong.append(f"was made from another tag object than {release.tag.name} is now")
    if described.commit.id != release.commit:
        wrong.append(f"names another commit than {release.tag.name}")
    snapshot = source.snapshot(release.commit, known.model)
    promised = _promised(source, snapshot)
    for file in described.files:
        if promised.get(file.path, file.md5) != file.md5:
            wrong.append(f"names another md5 for {file.path} than {release.tag.name}")
    if described.signature != Signature.of_tag(release.tag.trailers):
        wrong.append(f"has another signature than {release.tag.name}")
    if wrong:  # the rest follows from it
        return wrong
    return [
        f"has another {name} than {release.tag.name}"
        for name in _differing(source, described, release, snapshot)
    ]


def _differing(
    source: Source, described: Metadata, release: Release, snapshot: Snapshot
) -> list[str]:
    """The names of fields that follow from a tag and its commit, and differ."""
    expected = source.describe(release, snapshot, described.files)
    on_disk, at_tag = (yaml.flat(value.to_json()) for value in (described, expected))
    fields = ("model", "path", "self_test", "size", "lineage")
    groups = ("tag.", "commit.", "params.")
    names = [
        name
        for name in {**at_tag, **on_disk}
        if name in fields or (name.startswith(groups) and name != "tag.signer")
    ]
    differing = [name for name in names if on_disk.get(name) != at_tag.get(name)]
    # metrics that DVC keeps may be missing from the cache today, or were so when it was deployed
    complete = all(out.in_git for out in snapshot.metric_outs)
    return differing + [
        f"metrics.{name}"
        for name in {**expected.metrics, **described.metrics}
        if (complete or (name in expected.metrics and name in described.metrics))
        and described.metrics.get(name) != expected.metrics.get(name)
    ]


def _promised(source: Source, snapshot: Snapshot) -> dict[str, str]:
    """The md5 of every file that DVC tracks at a commit, as far as it is known here."""
    files = source.promised(snapshot)
    return {file.path: file.md5 for file in files if file.md5}
