"""A version as one file, to carry to where no network goes: its capsules and its objects.

The capsules of all stages, withdrawals and deprecations of the model that this clone has are in it
too, so that a rule such as ``#prod`` means there what it means here.
"""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagship.carry import bundle as form
from tagship.carry import capsule, carrier, index
from tagship.carry.bundle import Bad, Head, Writer
from tagship.carry.index import Entry
from tagship.disk import atomic, scratch
from tagship.disk import files as disk_files
from tagship.dvc.content import Content
from tagship.dvc.pointers import Cached, Pointer
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt, Refused
from tagship.export import oci
from tagship.export import target as target_folder
from tagship.export.oci import Versions
from tagship.inspect import find
from tagship.progress import Advance, Progress, Tell, nobody, silent
from tagship.registry import tags
from tagship.registry.catalog import Release
from tagship.registry.refs import Action, Ref
from tagship.registry.tags import Tag
from tagship.workspace import encapsulate
from tagship.workspace.host import Host
from tagship.workspace.source import Source

FILE, FETCHED = "bundle", "fetched"  # in the folder beside
STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


@dataclass(frozen=True)
class Bundled:
    """A version in a file.

    Attributes:
        file: where it is.
        size: of the file, in bytes.
        digest: the SHA-256 of the sums in it, which stands for all that is in it.
        objects: how many there are of DVC.
        tags: all whose capsules are in it.
    """

    model: str
    version: str
    tag: str
    commit: str
    file: Path
    size: int
    digest: str
    objects: int
    tags: tuple[str, ...]


def bundle(
    source: Source,
    host: Host,
    ref: Ref,
    target: Path,
    progress: Progress = silent,
    tell: Tell = nobody,
) -> Bundled:
    """Write a version into a new file, which appears whole or not at all.

    Args:
        source: where the version is.
        host: where it may be deployed.
        ref: the version.
        target: the file; there is none of this name.
        progress: is called with the bytes fetched and written.
        tell: is told which remote is waited for, and which tags are left out.

    Raises:
        NotFound: there is no such version.
        Refused: its tag was moved or is not signed as this host asks for, ``target`` may not be
            written, or DVC 2 tracked the model.
        Corrupt, NoRoom, Unavailable: the bytes are not available as they were released, or cannot
            be written.
    """
    _check_file(target)
    place = target_folder.check_file(target, host.root, *source.content(tell=tell).folders)
    version = oci.of(source, host, _release(source, ref), progress, tell)
    members = _members(version, tell)
    try:
        with scratch.folder(place) as folder:
            digest = _Writing(version, members, folder).run(progress)
            os.rename(folder / FILE, place)
            atomic.sync_directory(place.parent)
            size = place.stat().st_size
    except OSError as error:
        raise target_folder.not_written(target, place, error, "write it again", "a file") from None
    tag = version.release.tag
    return Bundled(
        tag.name.model, str(version.release.version), str(tag.name), version.release.commit, place,
        size, digest, len(members.lists) + len(members.files), tuple(members.capsules),
    )  # fmt: skip


def _check_file(target: Path) -> None:
    """Refuse standard output: what is written there cannot be taken back if an object is bad."""
    if str(target) in STANDARD_OUTPUT:
        raise Refused(
            "a bundle is written into a file, which appears whole or not at all",
            "-o x.tar; then pipe it: cat x.tar | ...",
        )


def _release(source: Source, ref: Ref) -> Release:
    """The version; one that was taken back only by its whole number, as it carries that over."""
    try:
        return find.find(source, ref)
    except Refused as error:
        version = ref.wanted.select(source.catalog(ref.model).taken)
        if version is None:
            raise
        name = shlex.quote(f"{ref.model}@{version}")
        hint = f"a bundle of it carries that over: tagship bundle {name} -o FILE"
        raise Refused(error.message, f"{hint}; or choose another version") from None


@dataclass(frozen=True)
class _Members:
    """What goes into a bundle.

    Attributes:
        capsules: by the names of tags, sorted.
        lists: the objects that list the files of folders, by their digests, sorted.
        files: the other objects, each once, sorted by digest.
        released: the tag objects of the newest versions of the model, by name.
    """

    capsules: dict[str, bytes]
    lists: dict[str, bytes]
    files: tuple[Cached, ...]
    released: dict[str, str]


def _members(version: Versions, tell: Tell) -> _Members:
    snapshots, content = (version.snapshot,), version.content
    lists = {each.digest: content.list_bytes(each) for each in lists_of(snapshots)}
    of_model = [
        tag
        for tag in tags.read(version.source.repository, version.release.tag.name.model)
        if tag.own_name == str(tag.name) and _is_carried(tag, version.release.tag, tell)
    ]
    capsules, files = _capsules(version, of_model), files_of(content, snapshots)
    return _Members(capsules, lists, files, _released(of_model))


def _is_carried(tag: Tag, chosen: Tag, tell: Tell) -> bool:
    """Whether a bundle has a tag: one that GTO made may have a name that no carrier takes."""
    if tag == chosen or index.takes(str(tag.name)):
        return True
    tell(f"left out, as its name is too long for any carrier: {tag.name!s:.100}...")
    return False


def _released(of_model: Iterable[Tag]) -> dict[str, str]:
    """The tag objects of the newest versions, by name, sorted."""
    versions = [tag for tag in of_model if tag.name.action is Action.REGISTER]
    newest = sorted(versions, key=lambda tag: (tag.at, str(tag.name)))[-form.RELEASED :]
    return {str(tag.name): tag.object_id for tag in sorted(newest, key=lambda tag: str(tag.name))}


def _capsules(version: Versions, of_model: Iterable[Tag]) -> dict[str, bytes]:
    """Of the version, and of all tags of the model that are of no version."""
    source, chosen = version.source, version.release.tag
    others = [tag for tag in of_model if tag.name.action is not Action.REGISTER]
    ordered = sorted([chosen, *others], key=lambda tag: str(tag.name))
    return {str(tag.name): encapsulate.capsule_of(source, tag) for tag in ordered}


@dataclass(frozen=True)
class _Writing:
    """A bundle that is written into a folder."""

    version: Versions
    members: _Members
    folder: Path

    def run(self, progress: Progress) -> str:
        """Write it, durably; again, once what is bad here was fetched.

        Returns:
            As ``Writer.finish``.
        """
        self._bring([each for each in self.members.files if self._content.place(each) is None])
        while True:
            try:
                return self._write(progress)
            except Bad as bad:
                self._bring(
                    [pointer for pointer in self.members.files if pointer.digest == bad.md5]
                )

    @property
    def _content(self) -> Content:
        return self.version.content

    def _bring(self, pointers: Sequence[Cached]) -> None:
        if pointers:
            self._content.bring(pointers, self.folder / FETCHED)

    def _write(self, progress: Progress) -> str:
        files = [(pointer, *self._place(pointer)) for pointer in self.members.files]
        total = sum(size for _, _, size in files) + sum(map(len, self.members.lists.values()))
        path = self.folder / FILE
        path.unlink(missing_ok=True)  # of a file that was bad
        with (
            progress("writing the bundle", total) as advance,
            disk_files.create(path) as file,
            disk_files.through(file) as write,
        ):
            writer = Writer(write)
            self._head(writer, len(files) + len(self.members.lists), total)
            for digest, data in self.members.lists.items():
                writer.add(carrier.Object(digest).path, data)
                advance(len(data))
            for pointer, place, size in files:
                self._add(writer, pointer, place, size, advance)
            digest = writer.finish()
        atomic.sync_file(path)
        return digest

    def _place(self, pointer: Cached) -> tuple[Path, int]:
        """Where the bytes of an object are, and how many; as they are by now."""
        fetched = self.folder / FETCHED / pointer.path
        place = fetched if fetched.exists() else self._content.place(pointer)
        if place is None:  # removed meanwhile
            raise Bad(pointer.digest)
        return place, place.stat().st_size

    def _head(self, writer: Writer, objects: int, size: int) -> None:
        """The first member, the index and the capsules."""
        tag = self.version.release.tag
        model, capsules = tag.name.model, self.members.capsules
        head = Head(form.SCHEMA, model, (str(tag.name),), objects, size, self.members.released)
        writer.add(form.HEAD, head.data)
        writer.add(carrier.index_path(model), index.write(model, _entries(capsules)))
        for data in capsules.values():
            writer.add(carrier.Capsule(model, capsule.digest(data)).path, data)

    def _add(
        self, writer: Writer, pointer: Cached, place: Path, size: int, advance: Advance
    ) -> None:
        try:
            writer.add_file(
                carrier.Object(pointer.digest).path, place, size, pointer.digest, advance
            )
        except (Bad, disk_files.Unreadable):
            if place.is_relative_to(self.folder):
                raise Corrupt(f"{place} changes while it is read", "try again") from None
            raise Bad(pointer.digest) from None


def _entries(capsules: Mapping[str, bytes]) -> dict[str, Entry]:
    """The index of capsules."""
    heads = {name: capsule.parse(data, name).head for name, data in capsules.items()}
    return {
        name: Entry(heads[name].object, capsule.digest(data), len(data))
        for name, data in capsules.items()
    }


def lists_of(snapshots: Iterable[Snapshot]) -> tuple[Cached, ...]:
    """The lists of tracked folders; those that a commit itself lists have none.

    Raises:
        Refused: DVC 2 tracked an object.
    """
    pointers = [pointer for each in snapshots for pointer in each.pointers]
    return _objects(each for each in pointers if _is_list(each))


def files_of(content: Content, snapshots: Iterable[Snapshot]) -> tuple[Cached, ...]:
    """The objects of all files, once ``content`` can read the lists.

    Raises:
        Refused: DVC 2 tracked an object.
        Corrupt, NotFound, Unavailable: as for ``Content.files``.
    """
    return _objects(content.files(pointer for each in snapshots for pointer in each.pointers))


def _is_list(pointer: Pointer) -> bool:
    return isinstance(pointer, Cached) and pointer.is_folder and not pointer.members


def _objects(pointers: Iterable[Pointer]) -> tuple[Cached, ...]:
    by_digest: dict[str, Cached] = {}
    for pointer in pointers:
        if isinstance(pointer, Cached):
            _check_new(pointer)
            by_digest.setdefault(pointer.digest, pointer)
    return tuple(by_digest[digest] for digest in sorted(by_digest))


def _check_new(pointer: Cached) -> None:
    if pointer.legacy:
        raise Refused(
            f"DVC 2 tracked {pointer.place or pointer.path}, by digests that are not of its bytes",
            "dvc cache migrate --dvc-files && git commit -a; then release a new version",
        )
