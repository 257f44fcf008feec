"""One version: its tag, and all that is known of it."""

from tagship.disk import files as disk_files
from tagship.dvc import cache, content, remote, snapshot
from tagship.errors import TagshipError
from tagship.host import installed
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.registry.catalog import Release
from tagship.registry.refs import Ref
from tagship.workspace.source import Source


def show(source: Source, store: Store, ref: Ref) -> Metadata:
    """All that is known of a version: as it was deployed, or else as its tag has it.

    Raises:
        NotFound, Refused: there is no such version.
    """
    return describe(source, store, find(source, ref))


def find(source: Source, ref: Ref) -> Release:
    """A version, deregistered ones included: what was released can be looked at.

    Raises:
        NotFound, Refused: there is no such version.
    """
    known = source.catalog(ref.model)
    if ref.wanted.exact is not None and (release := known.get(str(ref.wanted.exact))):
        return release
    return known.find(ref)


def describe(source: Source, store: Store, release: Release) -> Metadata:
    """A version as it was deployed here, or else as its tag has it."""
    for directory in reversed(installed.by_seq(store)):
        described = installed.read_metadata(store, directory)
        if described and described.version == str(release.version):
            return described
    taken = source.snapshot(release.commit, release.tag.name.model)
    return source.describe(release, taken, tracked_files(source, taken))


def tracked_files(source: Source, taken: snapshot.Snapshot) -> tuple[disk_files.File, ...]:
    """The files of a version that is not on disk: no sha256, and no list that is not here."""
    try:
        fetch = remote.Fetcher(source.cache, source.incoming, offline=True)
        files = content.files(taken, fetch)
    except (TagshipError, OSError):
        return ()
    return tuple(
        disk_files.File(file.path, file.object.size or 0, _md5(file), "", file.executable)
        for file in files
    )


def _md5(file: content.TrackedFile) -> str:
    return file.object.digest if file.object.hash_name == cache.MD5 else ""
