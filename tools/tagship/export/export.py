"""A version with its descriptions in a folder of its own, for Hugging Face, MLflow or an audit.

The folder is built beside its place under a random name, every byte hashed, and then renamed.
Nothing of the model's folder here is changed, and no lock is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tagship.disk import files, shared_lock
from tagship.disk.files import File
from tagship.dvc.content import Content
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt, NotFound, Refused, SelfTestFailed, TagshipError
from tagship.export import formats as export_formats
from tagship.export import target as target_folder
from tagship.host import installed, journal
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.inspect import find, verify
from tagship.loaders import selftest
from tagship.progress import Advance, Progress, Tell, nobody, silent
from tagship.registry.catalog import Release
from tagship.registry.refs import Ref, Wanted
from tagship.registry.settings import Settings
from tagship.workspace import moved
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
    tell: Tell = nobody,
) -> Exported:
    """Describe a version, and put it with its descriptions into a new folder.

    Args:
        source: where the version is.
        host: where it may be deployed.
        ref: the version; deregistered ones can be exported too.
        formats: names in ``formats.FORMATS``.
        target: a folder that does not exist, or is empty; None for the texts alone.
        progress: is called with the bytes hashed, fetched and copied.
        tell: is told which remote is waited for.

    Raises:
        NotFound: there is no such version, or no such format.
        Refused: the tag was moved, a format cannot describe the model, ``target`` may not be
            written, or the file is not what its name says. Nothing is left behind.
        Corrupt, Unavailable: the bytes are not available as they were released, or cannot be
            written.
        SelfTestFailed: the answers of a version that was never deployed are not those that it was
            released with.
    """
    release, store = find.find(source, ref), host.store(ref.model)
    moved.check(source.repository, journal.events(store), release)
    snapshot = source.tagged(release)
    names = tuple(dict.fromkeys(formats))
    described = find.describe(source, store, release)
    export_formats.check(names, described)
    if target is None:
        texts = export_formats.write(names, described, snapshot.artifact)
        return _exported(release, names, texts)
    _check_names(snapshot, names)
    content = source.content(progress, tell=tell)
    place = target_folder.check(target, host.root, *content.folders)
    try:
        intact = _intact(source, host, release, progress)
        with target_folder.new(place) as folder:
            described = _copy_kept(store, intact, folder, progress) or source.describe(
                release, snapshot, _copy_tracked(content, snapshot, folder)
            )
            if described.architecture is None:
                described = _tested(host.settings, described, folder)
            texts = export_formats.write(names, described, snapshot.artifact)
            for name, text in texts.items():
                (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise target_folder.not_written(target, place, error, "export again") from None
    exported = _exported(release, names, texts)
    return replace(exported, directory=place, files=described.files)


def _exported(release: Release, formats: tuple[str, ...], texts: dict[str, str]) -> Exported:
    name = release.tag.name
    return Exported(name.model, str(release.version), str(name), release.commit, formats, texts)


def _check_names(snapshot: Snapshot, formats: tuple[str, ...]) -> None:
    """Refuse a model file with the name of a description; on a Mac, case does not count."""
    own = {name.casefold(): name for name in export_formats.names(formats)}
    for path in snapshot.artifact.paths:
        name = Path(path).name
        if name.casefold() in own:
            raise Refused(
                f"{name} of {snapshot.artifact.model} would lie where"
                f" {own[name.casefold()]} of the export goes",
                "choose another format, or rename the model's file and release it again",
            )


def _copy_kept(
    store: Store, directories: Sequence[str], folder: Path, progress: Progress
) -> Metadata | None:
    """Copy the version as it was deployed here; None where no directory of it is intact."""
    for directory in directories:
        source = store.path(directory)
        with shared_lock.of(source):
            described = installed.read_metadata(store, directory)
            if described is not None:
                with progress("copying", described.size) as advance:
                    for file in described.files:
                        _copy(source / file.path, file, folder / file.path, advance)
                return described
    return None


def _intact(source: Source, host: Host, release: Release, progress: Progress) -> list[str]:
    """The directories whose files match their metadata, and whose metadata match the tag."""
    model, version = release.tag.name.model, str(release.version)
    try:
        verified = verify.verify(source, host, Ref(model, Wanted.parse(version, model)), progress)
    except NotFound:
        return []
    return [checked.directory for checked in reversed(verified) if not checked.problems]


def _copy(source: Path, file: File, target: Path, advance: Advance) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    copied = files.copy(source, target, advance)
    if replace(copied, path=file.path, executable=file.executable) != file:
        raise Corrupt(f"{source} changes while it is read", "tagship verify")
    if file.executable:
        target.chmod(0o755)


def _copy_tracked(content: Content, snapshot: Snapshot, folder: Path) -> tuple[File, ...]:
    """Copy the version as a deploy does: from the DVC cache, or else from the remote."""
    return content.bring(content.files(snapshot.pointers), folder)


def _tested(settings: Settings, described: Metadata, folder: Path) -> Metadata:
    """The metadata with the result of a deploy's smoke test; unchanged where it cannot be run."""
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
