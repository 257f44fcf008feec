"""A bundle, taken into a folder that hosts follow: all of it is checked before any of it is there.

It is read once, in order. Nothing is extracted: what may come next follows from what came before
(the tags from the index, the objects from the capsules), and each thing goes to the place that its
digest gives it. The index is written last: until then nothing in the folder has changed for a host.
"""

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from tagship.carry import bundle as form
from tagship.carry import capsule, carrier, forms, index
from tagship.carry.bundle import Head, Reader
from tagship.carry.carrier import Changed
from tagship.carry.folder import Folder
from tagship.carry.index import Entry
from tagship.disk import atomic, capacity, scratch
from tagship.disk import files as disk_files
from tagship.disk.files import File
from tagship.dvc.pointers import Cached
from tagship.dvc.snapshot import Snapshot
from tagship.errors import Corrupt, Locked, NoRoom, NotTrusted, Refused, Unavailable
from tagship.export import target as target_folder
from tagship.export.arriving import Arrived, Receiving
from tagship.git import packed, quarantine
from tagship.git.quarantine import Examined
from tagship.git.run import Repository
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry import tags
from tagship.registry.refs import Action, TagName
from tagship.registry.tags import Tag
from tagship.signing.policy import Policy
from tagship.signing.statement import Signature, Statement
from tagship.stores.stream import TooLong
from tagship.workspace import admission
from tagship.workspace.source import Source

UNPACKING = "unbundle"  # beside the folders of models: what is not checked yet
OBJECTS = "objects"  # in there
CAPSULES = 256 << 20  # bytes of all capsules
TRIES = 20  # of writing an index that others write too
NAMED = 10  # tags in a note


@dataclass(frozen=True)
class Origin:
    """Who says what is in a bundle, where nothing here can tell whether that is true.

    Attributes:
        model: its name.
        versions: each tag, with its tagger, the ids of its tag object and its commit.
        digest: as of ``Unbundled``.
        files: of the versions, with sizes in bytes and digests.
        others: whether tags of the model were seen here, none of which its repository has.
    """

    model: str
    versions: tuple[Tag, ...]
    digest: str
    files: tuple[File, ...]
    others: bool

    @property
    def why(self) -> str:
        """What is not known of it."""
        if self.others:
            return f"its repository has none of the tags of {self.model} that were seen here"
        return f"nothing of {self.model} was seen here"


Accept = Callable[[Origin], bool]


@dataclass(frozen=True)
class Unbundled:
    """What was taken out of a bundle.

    Attributes:
        versions: their tags.
        directory: where they are now, for hosts.
        digest: the SHA-256 of the sums: ``tagship bundle`` printed the same.
        objects: how many there are of DVC, and ``size`` their bytes.
        new: the tags that were not there before.
        left_out: tags of stages and the like that are not signed as this host asks for.
    """

    model: str
    versions: tuple[str, ...]
    directory: Path
    digest: str
    objects: int
    size: int
    new: tuple[str, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What this machine asks of a bundle.

    Attributes:
        policy: the signatures.
        seen: the tags of a model that this host has seen: their tag objects, by name.
        limit: bytes that an object may have whose size no commit records.
        accept: is asked where the repository of a bundle has no tag of the model that was seen,
            and none must be signed; None where nobody can answer.
    """

    policy: Policy
    seen: Callable[[str], Mapping[str, str]] = lambda _: {}
    limit: int = 100 << 30
    accept: Accept | None = None


def unbundle(
    blocks: Iterator[bytes], where: str, target: Path, rules: Rules,
    progress: Progress = silent, tell: Tell = nobody,
) -> Unbundled:  # fmt: skip
    """Take a bundle into a folder that hosts follow, or that is a DVC remote.

    Args:
        blocks: its bytes.
        where: it is, for errors.
        target: the folder; it is made where it is missing.
        rules: what this machine asks.
        progress: is called with the bytes that arrived.
        tell: is told what was left out, and that the folder is in a work tree of Git.

    Raises:
        Corrupt: it is no bundle, or not as it was written.
        Refused: it is of a newer tagship, or has a tag that contradicts one that was seen here.
        NotTrusted: a signature is missing that this host asks for; or nobody says that a
            repository is the right one of which no tag was seen here.
        NoRoom, Unavailable: it cannot be written. Nothing is left of it.
    """
    place = target_folder.check_place(target, (), f"tagship unbundle {where} ../bundles")
    if place.exists() and not place.is_dir():
        raise Refused(f"{target} is not a folder", "give a folder, which hosts follow")
    reader = Reader(blocks, where)
    head = reader.head()
    if any((folder / ".git").exists() for folder in (place, *place.parents)):
        tell(f"{place} is in a work tree of Git, where the files of a bundle are untracked ones")
    with (
        _written(place),
        _made(place, place / carrier.FOLDER),
        scratch.folder(place / carrier.FOLDER / UNPACKING) as folder,
    ):
        return _Unpacking(reader, head, where, Folder(place), rules, folder).run(progress, tell)


@contextlib.contextmanager
def _written(place: Path) -> Iterator[None]:
    """Say what is wrong with the disk; nothing is left then.

    Raises:
        NoRoom, Unavailable: as it says.
    """
    again = "fix that, and unbundle again: nothing is left of it"
    try:
        yield
    except OSError as error:
        if error.filename is None or not os.path.lexists(error.filename):  # removed again
            error.filename = str(place)
        what = f"{place} could not be written: {error.strerror or error} ({error.filename})"
        if capacity.is_full(error):
            raise NoRoom(what, _make_room(place)) from None
        raise Unavailable(what, capacity.hint(error, again)) from None
    except NoRoom as error:
        raise NoRoom(error.message, _make_room(place)) from None
    except Unavailable as error:  # of Git, in its words
        raise error if error.hint else Unavailable(error.message, again) from None


def _make_room(place: Path) -> str:
    """Not ``tagship cleanup``: that removes what is deployed, not what waits here for hosts."""
    where = shlex.quote(str(place))
    return f"make room: df -h {where}; or begin a new folder for bundles: docs/air-gap.md"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say of what is damaged how it is brought again: by another bundle."""
    try:
        yield
    except (Corrupt, Refused) as error:
        if error.hint == forms.NEWER:
            raise
        raise type(error)(error.message, form.AGAIN) from None


@contextlib.contextmanager
def _made(*folders: Path) -> Iterator[None]:
    """Make folders; those that were missing, and are empty after an error, are removed again."""
    missing = [folder for folder in folders if not folder.exists()]
    try:
        for folder in folders:
            if folder.is_symlink():
                raise Refused(f"{folder} is a link", f"remove it: rm {shlex.quote(str(folder))}")
            atomic.make_folder(folder)
        yield
    except BaseException:
        for folder in reversed(missing):
            atomic.remove_empty(folder)
        raise


@dataclass
class _Unpacking:
    """A bundle that is being read.

    Attributes:
        folder: where its things are until all was checked.
    """

    reader: Reader
    head: Head
    where: str
    place: Folder
    rules: Rules
    folder: Path

    def run(self, progress: Progress, tell: Tell) -> Unbundled:
        """Read it, check it, move it."""
        entries = self._index()
        capacity.check(
            self.place.path, self.head.size, self.head.objects + len(entries), self.head.model
        )
        packs = self._capsules(entries)
        with quarantine.hold(packs.values(), self.folder / "git") as repository:
            quarantine.name_tags(repository, packs.values())
            source = Arrived(repository.top, self.folder / OBJECTS, held=repository)
            tags_of = self._tags(source, entries)
            left_out = self._left_out(repository, tags_of)
            snapshots = self._snapshots(source, packs, tags_of)
            with progress("reading the bundle", self.head.size) as advance:
                received = Receiving(self.reader, self.head, self.rules.limit, source, advance).run(
                    list(snapshots.values())
                )
            digest = self.reader.finish()
            files = self._check_files(source, snapshots, received)
        if not self._is_known(entries):
            self._ask(tuple(snapshots), digest, files)
        kept = {name: entry for name, entry in entries.items() if name not in left_out}
        new = self._move(kept, list(received))
        if left_out:
            names = ", ".join(left_out[:NAMED])
            more = f" and {len(left_out) - NAMED:,} more" if len(left_out) > NAMED else ""
            tell(f"left out, as this host asks for signed tags: {names}{more}")
        return Unbundled(
            self.head.model, self.head.versions, self.place.path, digest, self.head.objects,
            self.head.size, new, left_out,
        )  # fmt: skip

    # --- the tags

    def _index(self) -> dict[str, Entry]:
        """The tags that are in it: none contradicts what was seen here."""
        model = self.head.model
        data = self.reader.take(carrier.index_path(model), carrier.LARGEST_INDEX)
        entries = index.parse(data, model, self.where)
        if tuple(filter(_is_version, sorted(entries))) != self.head.versions:
            self.reader.refuse(f"its index has other versions than its {form.HEAD}")
        if sum(entry.size for entry in entries.values()) > CAPSULES:
            self.reader.refuse(f"its capsules have more than {CAPSULES} bytes")
        for name, entry in entries.items():
            then = self._seen.get(name, entry.object)
            if entry.object != then:
                raise Refused(
                    f"{name} is the tag object {entry.object[:10]} in {self.where}, and {then[:10]}"
                    " was seen here: it is another repository's bundle, or the tag was moved",
                    "take a bundle of the right repository; or if the tag was moved there, and its"
                    " version changed, release it under a new number",
                )
        return entries

    def _read(self) -> tuple[dict[str, Entry], str]:
        """The tags in the folder, and the mark of its index.

        Raises:
            Corrupt, Refused: the index there is damaged, or of a newer tagship.
        """
        path = self.place.path / carrier.index_path(self.head.model)
        again = f"remove it, and take the bundles in again: rm {shlex.quote(str(path))}"
        try:
            found = self.place.index(self.head.model) or carrier.Index()
            return index.parse(found.data, self.head.model, self.place.title), found.mark
        except TooLong:
            what = f"the index of {self.head.model} in {self.place.title} is too long"
            raise Corrupt(what, again) from None
        except Corrupt as error:
            hint = again if error.hint == forms.AGAIN else error.hint
            raise Corrupt(error.message, hint) from None

    @cached_property
    def _seen(self) -> Mapping[str, str]:
        """The tags of the model that were seen here: their tag objects, by name."""
        here = {name: entry.object for name, entry in self._read()[0].items()}
        return {**here, **self.rules.seen(self.head.model)}

    def _is_known(self, entries: Mapping[str, Entry]) -> bool:
        """Whether its repository is that of what was seen: the two have a tag in common.

        That tells mistakes. Who forges a bundle can copy the id of a tag: signatures tell that.
        """
        if self.rules.policy.require_signed:
            return True
        has = {**self.head.released, **{name: each.object for name, each in entries.items()}}
        return bool(has.items() & self._seen.items())

    def _capsules(self, entries: Mapping[str, Entry]) -> dict[str, Examined]:
        """The capsules, by the names of their tags: each is that of its tag, within bounds."""
        packs: dict[str, Examined] = {}
        left = packed.INFLATED
        (self.folder / carrier.CAPSULES).mkdir()
        for name in sorted(entries):
            data = self._capsule(name, entries[name])
            with _told():
                packs[name] = admission.examine(data, name, entries[name].object, self.where, left)
            left -= sum(each.size for each in packs[name].objects.values())
        return packs

    def _capsule(self, name: str, entry: Entry) -> bytes:
        member = carrier.Capsule(self.head.model, entry.capsule)
        data = self.reader.take(member.path, min(entry.size, carrier.LARGEST_CAPSULE))
        if capsule.digest(data) != entry.capsule:
            self.reader.refuse(f"the capsule of {name} has other bytes than its digest says")
        path = self.folder / carrier.CAPSULES / entry.capsule
        with disk_files.create(path) as file:
            file.write(data)
        path.chmod(0o444)
        return data

    def _tags(self, source: Source, entries: Mapping[str, Entry]) -> dict[str, Tag]:
        """The tags as Git reads them."""
        found = {str(tag.name): tag for tag in tags.read(source.repository, self.head.model)}
        for name, entry in entries.items():
            if name not in found or found[name].object_id != entry.object:
                self.reader.refuse(f"its tag {name} is out of form")
        return found

    def _left_out(self, repository: Repository, found: Mapping[str, Tag]) -> tuple[str, ...]:
        """The tags of no version that this host does not accept.

        Raises:
            NotTrusted: it does not accept that of a version.
        """
        left_out = []
        for name, tag in found.items():
            try:
                self.rules.policy.check_tag(repository, tag)
            except NotTrusted:
                if _is_version(name):
                    raise
                left_out.append(name)
        return tuple(left_out)

    def _snapshots(
        self, source: Source, packs: Mapping[str, Examined], found: Mapping[str, Tag]
    ) -> dict[Tag, Snapshot]:
        """What the commits of versions have; each capsule has what is read of it, and no more."""
        with _told():
            for error in admission.check(packs.values(), source).values():
                raise error
        return {
            found[name]: source.snapshot(pack.commit, self.head.model)
            for name, pack in packs.items()
            if _is_version(name)
        }

    # --- the files

    def _check_files(
        self, source: Source, snapshots: Mapping[Tag, Snapshot], received: Mapping[str, File]
    ) -> tuple[File, ...]:
        """The files of the versions, which are signed as this host asks for.

        Raises:
            Corrupt, NotTrusted: they are not.
        """
        content, every = source.content(offline=True), list[File]()
        for tag, snapshot in snapshots.items():
            files = tuple(
                replace(received[pointer.digest], path=pointer.path, executable=pointer.executable)
                if isinstance(pointer, Cached)
                else content.digest(pointer)
                for pointer in content.files(snapshot.pointers)
            )
            statement = Statement(self.head.model, str(tag.name.version), tag.commit, files)
            self.rules.policy.check_files(statement, Signature.of_tag(tag.trailers))
            every += files
        return tuple(every)

    def _ask(self, versions: tuple[Tag, ...], digest: str, files: tuple[File, ...]) -> None:
        """Ask whether a repository is the right one.

        Raises:
            NotTrusted: nobody says so.
        """
        origin = Origin(self.head.model, versions, digest, files, bool(self._seen))
        if self.rules.accept is None:
            raise NotTrusted(
                f"{origin.why}, so whether {self.where} is from the right repository is not known;"
                f" its digest is {digest}",
                "compare the digest with the one that was printed where it was written, then add"
                " --yes; or ask for signed tags: require_signed in host.toml",
            )
        if not self.rules.accept(origin):
            raise NotTrusted(f"{self.where} was not accepted", "tagship unbundle --yes")

    # --- the move

    def _move(self, entries: dict[str, Entry], objects: Sequence[str]) -> tuple[str, ...]:
        """Move everything to its place, durably, and write the index: the commit point.

        Returns:
            The tags that were not there.
        """
        atomic.sync_tree(self.folder)
        top, model = self.folder / OBJECTS, self.head.model
        self.place.take({name: top / name.path for name in map(carrier.Object, objects)})
        digests = sorted({entry.capsule for entry in entries.values()})
        self.place.take(
            {
                carrier.Capsule(model, each): self.folder / carrier.CAPSULES / each
                for each in digests
            }
        )
        for _ in range(TRIES):
            here, mark = self._read()
            merged = index.merged(here, entries, self.place.title)
            if merged == here:
                return ()
            with contextlib.suppress(Changed):
                self.place.write_index(model, index.write(model, merged), mark)
                return tuple(sorted(merged.keys() - here.keys()))
        raise Locked(f"others write the index in {self.place.title}", "try again in a minute")


def _is_version(name: str) -> bool:
    tag = TagName.parse(name)
    return tag is not None and tag.action is Action.REGISTER
