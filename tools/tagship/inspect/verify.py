"""Deployed files compared with the checksums in their tag."""

from collections.abc import Iterable
from dataclasses import dataclass

from tagship.disk import files as disk_files
from tagship.dvc import snapshot
from tagship.errors import Corrupt, NotFound, Refused
from tagship.host import active, installed, metadata
from tagship.host import link as host_link
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.inspect import find as inspect_find
from tagship.loaders import selftest
from tagship.loaders.selftest import Report
from tagship.progress import Progress, silent
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Ref, Wanted
from tagship.signing.statement import Signature
from tagship.text import yaml
from tagship.workspace.workspace import Workspace


@dataclass(frozen=True)
class Verification:
    """What hashing one version directory found; no problems: it is as it was released."""

    model: str
    version: str
    directory: str
    files: int
    size: int
    problems: tuple[disk_files.Problem, ...]


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
    version = str(inspect_find.find(space, Ref(model, wanted)).version)
    for directory in reversed(installed.by_seq(space.store(model))):
        if host_link.version_of(directory) == version:
            return directory
    name = f"{model}@{version}"
    raise NotFound(f"{name} is not on disk here", f"tagship deploy {name}")


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
        space.check_deployed(ref.model)
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
        wanted = str(inspect_find.find(space, ref).version)
    for directory in installed.by_seq(store):
        version = host_link.version_of(directory)
        if wanted in (None, version):
            yield verify_directory(space, store, known, directory, progress)


def verify_directory(
    space: Workspace,
    store: Store,
    known: Catalog,
    directory: str,
    progress: Progress = silent,
) -> Verification:
    """One version directory, compared with its metadata, its tag and the host's policy."""
    version = host_link.version_of(directory)
    try:
        described = metadata.read(store.path(directory))
    except Corrupt:
        there = (store.path(directory) / disk_files.METADATA).exists()
        problem = disk_files.Problem(
            disk_files.METADATA, "cannot be read" if there else "is missing"
        )
        return Verification(known.model, version, directory, 0, 0, (problem,))
    problems = metadata.verify(store.path(directory), described, progress=progress)
    told = {problem.path for problem in problems}
    modes = disk_files.modes(store.path(directory), described.files)
    problems += [problem for problem in modes if problem.path not in told]
    problems += [
        disk_files.Problem(disk_files.METADATA, what)
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
    space: Workspace, described: Metadata, release: Release, taken: snapshot.Snapshot
) -> list[str]:
    """The fields that follow from a tag and its commit, and are others."""
    wanted = space.describe(release, taken, described.files)
    found, right = (yaml.flat(one.to_json()) for one in (described, wanted))
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


def _promised(space: Workspace, taken: snapshot.Snapshot) -> dict[str, str]:
    """The md5 of every file that DVC promises at a commit, as far as this machine knows."""
    files = inspect_find.tracked_files(space, space.store(taken.artifact.model), taken)
    return {file.path: file.md5 for file in files if file.md5}
