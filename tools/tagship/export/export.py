"""A version with its descriptions in a folder of its own, for Hugging Face, MLflow or an audit.

The folder is built beside its place under a random name, every byte hashed, and then renamed.
Nothing of the model's folder here is changed, and no lock is taken.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tagship.deploy import plan
from tagship.disk import atomic, files
from tagship.disk.files import Digests, File
from tagship.dvc import content
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt, NotFound, Refused, SelfTestFailed, TagshipError, Unavailable
from tagship.export import formats as export_formats
from tagship.host import installed, journal
from tagship.host.link import CURRENT, VERSIONS
from tagship.host.metadata import Metadata
from tagship.host.settings import Settings
from tagship.host.store import PRIVATE, Store
from tagship.inspect import find, verify
from tagship.loaders import selftest
from tagship.progress import Advance, Progress, silent
from tagship.registry.catalog import Release
from tagship.registry.refs import Ref, Wanted
from tagship.workspace.host import Host
from tagship.workspace.source import Source


@dataclass(frozen=True)
class Exported:
    """A version described.

    Attributes:
        descriptions: text by file name, in the order of the formats, main files first.
        directory: where they and the version's files are; None where nothing was written.
        files: of the version, with sizes in bytes and digests, as they are in ``directory``.
    """

    model: str
    version: str
    tag: str
    commit: str
    formats: tuple[str, ...]
    descriptions: dict[str, str]
    directory: Path | None = None
    files: tuple[File, ...] = ()


def export(
    source: Source,
    host: Host,
    ref: Ref,
    formats: Sequence[str],
    target: Path | None = None,
    progress: Progress = silent,
) -> Exported:
    """Describe a version, and put it with its descriptions into a new folder.

    Args:
        source: where the version is.
        host: where it may be deployed.
        ref: the version; deregistered ones can be exported too.
        formats: names in ``descriptions.FORMATS``.
        target: a folder that does not exist, or is empty; None for the texts alone.
        progress: is told the bytes hashed, fetched and copied.

    Raises:
        NotFound: there is no such version, or no such format.
        Refused: the tag was moved, a format does not take the model, ``target`` may not be
            written, or the file is not what its name says. Nothing is left behind.
        Corrupt, Unavailable: the bytes cannot be had as they were released, or not be written.
        SelfTestFailed: a version that was never deployed does not answer as it was released.
    """
    release, store = find.find(source, ref), host.store(ref.model)
    plan.check_not_moved(journal.events(store), release)
    taken = source.snapshot(release.commit, ref.model)
    wanted = tuple(dict.fromkeys(formats))
    described = find.describe(source, store, release)
    export_formats.check(wanted, described)
    if target is None:
        texts = export_formats.write(wanted, described, taken.artifact)
        return _exported(release, wanted, texts)
    _check_names(taken, wanted)
    place = _check_target(target, host.root, source.cache.folder)
    try:
        intact = _intact(source, host, release, progress)
        return _export(
            source, store, host.settings, release, taken, wanted, place, intact, progress
        )
    except OSError as error:
        raise Unavailable(
            f"{target} could not be written: {error.strerror or error} ({error.filename})",
            "mend that, and export again: nothing is left of it",
        ) from None


def _exported(release: Release, formats: tuple[str, ...], texts: dict[str, str]) -> Exported:
    name = release.tag.name
    return Exported(name.model, str(release.version), str(name), release.commit, formats, texts)


def _check_names(taken: Snapshot, formats: tuple[str, ...]) -> None:
    """Refuse a model whose file would be a description's; a Mac takes ``readme.md`` for both."""
    own = {name.casefold(): name for name in export_formats.names(formats)}
    for path in taken.artifact.paths:
        name = Path(path).name
        if name.casefold() in own:
            raise Refused(
                f"{name} of {taken.artifact.model} would lie where"
                f" {own[name.casefold()]} of the export goes",
                "choose another format, or rename the model's file and release it again",
            )


def _check_target(target: Path, *reserved: Path) -> Path:
    """The real path of a folder that may be made.

    Raises:
        NotFound: the folder that it would be made in is not there.
        Refused: it holds something, one stands in it, or it lies where versions, Git's or DVC's own
            files are.
    """
    place, *others = (Path(os.path.realpath(one)) for one in (target, *reserved))
    if any(folder in others or _is_reserved(folder) for folder in (place, *place.parents)):
        raise Refused(
            f"{target} lies where models are deployed, or where Git or DVC keep their own",
            "give a folder elsewhere: -o ../export",
        )
    if not place.parent.is_dir():
        raise NotFound(f"there is no folder {target.parent}", f"mkdir -p {target.parent}")
    if place == Path.cwd().resolve():  # it would be another one's name, and this one gone
        raise Refused(f"{target} is the folder that you are in", "give a new one: -o ./export")
    if place.exists() and not _is_empty(place):
        raise Refused(
            f"{target} exists and is no empty folder", "give a folder that does not exist"
        )
    return place


def _is_reserved(folder: Path) -> bool:
    """Whether a folder is Git's, DVC's, or tagship's in a model's folder, of any workspace."""
    if folder.name.lower() in (".git", ".dvc"):
        return True
    return folder.name in (VERSIONS, CURRENT, PRIVATE) and (folder.parent / PRIVATE).is_dir()


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _export(
    source: Source,
    store: Store,
    settings: Settings,
    release: Release,
    taken: Snapshot,
    formats: tuple[str, ...],
    place: Path,
    intact: Sequence[str],
    progress: Progress,
) -> Exported:
    with _new_folder(place) as folder:
        described = _copy_kept(store, intact, folder, progress)
        if described is None:
            described = _copy_cached(source, release, taken, folder, progress)
        if described.architecture is None:
            described = _tested(settings, described, folder)
        texts = export_formats.write(formats, described, taken.artifact)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    done = _exported(release, formats, texts)
    return replace(done, directory=place, files=described.files)


@contextlib.contextmanager
def _new_folder(place: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when all is in it; else it is gone."""
    temporary = atomic.temporary_name(place)
    try:
        temporary.mkdir()
        yield temporary
        if place.exists():
            temporary.chmod(stat.S_IMODE(place.stat().st_mode))
        atomic.sync_tree(temporary)
        os.rename(temporary, place)  # over an empty folder, never over one that is not
    except BaseException:
        atomic.remove_tree(temporary)
        raise
    atomic.sync_directory(place.parent)


def _copy_kept(
    store: Store, directories: Sequence[str], folder: Path, progress: Progress
) -> Metadata | None:
    """Copy the version as it was deployed here; None where no directory of it is intact."""
    for directory in directories:
        source = store.path(directory)
        described = installed.read_metadata(store, directory)
        if described is not None:
            with progress("copying", described.size) as advance:
                for file in described.files:
                    _copy(source / file.path, file, folder / file.path, advance)
            return described
    return None


def _intact(source: Source, host: Host, release: Release, progress: Progress) -> list[str]:
    """The directories whose bytes are as their metadata say, and their metadata as the tag says."""
    model, version = release.tag.name.model, str(release.version)
    try:
        found = verify.verify(source, host, Ref(model, Wanted.parse(version, model)), progress)
    except NotFound:
        return []
    return [one.directory for one in reversed(found) if not one.problems]


def _copy(source: Path, file: File, target: Path, advance: Advance) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if files.copy(source, target, advance) != Digests(file.size, file.md5, file.sha256):
        raise Corrupt(f"{source} changes while it is read", "look who writes there: tagship verify")
    if file.executable:
        target.chmod(0o755)


def _copy_cached(
    source: Source, release: Release, taken: Snapshot, folder: Path, progress: Progress
) -> Metadata:
    """Copy the version as a deploy does: from the DVC cache, which gets what it lacks."""
    fetch = source.fetcher(progress=progress)
    files = content.files(taken, fetch)
    fetch(file.object for file in files)
    with progress("copying", sum(file.object.size or 0 for file in files) or None) as advance:
        copied = tuple(
            content.copy(file, source.blobs, fetch, folder / file.path, advance) for file in files
        )
    return source.describe(release, taken, copied)


def _tested(settings: Settings, described: Metadata, folder: Path) -> Metadata:
    """What the smoke test of a deploy would have found; where it cannot be run, the same."""
    if not settings.smoke_test:
        return described
    self_test = folder / described.self_test if described.self_test else None
    try:
        report = selftest.run(folder / described.path, self_test, settings.smoke_timeout)
    except (SelfTestFailed, Refused):
        raise
    except TagshipError:  # the framework is not installed here
        return described
    return described.tested(report)
