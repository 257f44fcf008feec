"""A host that asks no Git server: its mirror is fed from the capsules in a place.

The index of a model says which tags there are, as a server of Git does, and is believed no more.
Each capsule is looked at in a quarantine before anything of it comes into the mirror. There the
tags are compared as those of a server are: what was seen first counts.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from tagship.carry import capsule as capsules
from tagship.carry import carrier, index, places
from tagship.carry.carrier import LARGEST_CAPSULE, LARGEST_INDEX, Carrier
from tagship.carry.forms import AGAIN, damaged
from tagship.carry.index import Entry
from tagship.errors import Corrupt, Refused, TagshipError, Unavailable
from tagship.git import mirror, quarantine
from tagship.git.bounded import TooMuch
from tagship.git.quarantine import Examined
from tagship.git.run import Repository
from tagship.progress import Tell
from tagship.registry import seen
from tagship.registry.catalog import Release
from tagship.registry.refs import TagName
from tagship.registry.seen import Seen, Unread
from tagship.stores.stream import Allowance, TooLong
from tagship.workspace import admission, carried
from tagship.workspace.carried import Carried, Fault
from tagship.workspace.source import Source
from tagship.workspace.upstream import BUNDLE, Address

AT_ONCE = 16  # capsules in transfer
MODELS = 8  # indexes
ALTOGETHER = 1 << 30  # bytes of capsules that are taken at a time
MANY, LARGE = 500, 8 << 20  # capsules, and bytes of them, that are looked at together
Entries = dict[str, Entry]
Wanted = tuple[str, Entry]


class Fetched(NamedTuple):
    """The tags of a model in a place.

    Attributes:
        entries: by name; None where they are those that were shown last.
        mark: of the index.
    """

    entries: Entries | None
    mark: str


@dataclass(frozen=True)
class Place:
    """A store, a folder or a registry with capsules.

    Attributes:
        address: where it is.
        opened: reads versions in another repository as they are read in the mirror.
    """

    address: Address
    opened: Callable[[Path], Source]

    @cached_property
    def carrier(self) -> Carrier:
        """What reads it.

        Raises:
            Refused, Unavailable: as for ``places.of``; or the folder of bundles is not there.
        """
        carried.check_there(self.address.text, has_bundles=self.address.kind == BUNDLE)
        return places.of(self.address.text, self.address.options)

    def work_tree(self) -> str:
        """As ``Upstream``."""
        return "release in a clone of the repository, with --capsule"

    @property
    def title(self) -> str:
        """As ``Upstream``."""
        return self.address.shown

    def bringing(self, model: str) -> str:
        """As ``Upstream``."""
        if self.address.kind == BUNDLE:
            return "bring its bundle: tagship unbundle FILE"
        return f"publish it where it is released: tagship release {model} --push --capsule"

    def fetch(self, top: Path, models: Collection[str], tell: Tell, *, signed: bool) -> Seen:  # noqa: ARG002 - a place needs no signatures of its own
        """As ``Upstream``."""
        feed = Feed(self, top, tuple(models), tell)
        changes = mirror.take(mirror.made(top), feed, seen.patterns(models))
        changes = replace(changes, impossible=(*changes.impossible, *feed.impossible))
        return seen.of(changes, feed.refused, _unread(feed.faults))

    def repair(self, repository: Repository, models: Collection[str], tell: Tell) -> bool:
        """As ``Upstream``."""
        return mirror.repair_from(repository, Feed(self, repository.top, tuple(models), tell))

    def bring(
        self, repository: Repository, missing: Mapping[Release, Collection[str]], tell: Tell
    ) -> None:
        """As ``Upstream``: a mirror that was fed from Git before has the tags, and lacks files."""
        feed = Feed(self, repository.top, (), tell)
        names = {str(release.tag.name): release for release in missing}
        for model in {release.tag.name.model for release in missing}:
            entries = self._read(model).entries or {}
            wanted = [(name, entries[name]) for name in names if name in entries]
            keep = partial(quarantine.keep, repository)
            feed.admit([(n, e) for n, e in wanted if names[n].tag.name.model == model], keep)
        for name, release in names.items():
            if (why := feed.refused.get(name)) is not None:
                raise Unavailable(why, self.again())
            if mirror.lacks(repository, missing[release]):
                raise Unavailable(
                    f"{self.title} has no capsule of {name} with its files", self.again()
                )

    def last_seen(self, repository: Repository, models: Collection[str]) -> Seen:
        """As ``Upstream``."""
        changes = mirror.changes(repository, seen.patterns(models))
        last = carried.read(repository.top)
        faults = last.unread if last.place == self.title else {}
        return seen.of(changes, last.refused, _unread(faults))

    def again(self, model: str = "MODEL") -> str:
        """As ``Upstream``."""
        if self.address.kind == BUNDLE:
            return "bring it again: tagship unbundle FILE"
        again = f"tagship release {model} --push --capsule"
        return f"write it again where the model is released: {again}"

    # --- the indexes

    def indexes(
        self, models: Sequence[str], marks: Mapping[str, str]
    ) -> Iterator[tuple[str, Fetched | TagshipError]]:
        """The tags of models, asked for at the same time; or what is wrong with the index of one.

        Raises:
            Unavailable: the place does not answer.
        """

        def ask(model: str) -> Fetched | TagshipError:
            try:
                return self._read(model, marks.get(model, ""))
            except (Corrupt, Refused) as error:
                return error

        if len(models) == 1:
            yield models[0], ask(models[0])
            return
        with ThreadPoolExecutor(MODELS) as pool:
            yield from zip(models, pool.map(ask, models), strict=True)

    def _read(self, model: str, mark: str = "") -> Fetched:
        """The tags in an index.

        Raises:
            Corrupt, Refused: it is damaged, or of a newer tagship.
            Unavailable: the place does not answer.
        """
        try:
            found = self.carrier.index(model, mark)
            if found is None:
                return Fetched(None, mark)
            return Fetched(index.parse(found.data, model, self.title), found.mark)
        except TooLong:
            what = f"it is longer than {LARGEST_INDEX:,} bytes"
            error = damaged(f"the index of {model} in {self.title}", what)
            raise Corrupt(error.message, self.again(model)) from None
        except (Corrupt, Refused) as error:
            if error.hint != AGAIN:
                raise
            raise type(error)(error.message, self.again(model)) from None

    # --- the capsules

    def capsule(self, name: str, entry: Entry, together: Allowance) -> bytes:
        """The bytes of a capsule.

        Raises:
            Corrupt: it is not there, or is another one.
            Unavailable: the place does not answer; or TooMuch.
        """
        tag = TagName.parse(name)
        assert tag is not None, name  # ``index.parse`` looked
        what = f"the capsule of {name} in {self.title}"
        if entry.size > LARGEST_CAPSULE:
            raise damaged(what, f"it has {entry.size:,} bytes")
        allowance = Allowance(entry.size, shared=together)
        try:
            blocks = self.carrier.blocks(carrier.Capsule(tag.model, entry.capsule), allowance)
            data = b"".join(blocks)
        except FileNotFoundError:
            raise damaged(what, "it is not there") from None
        except TooLong:
            if together.left < entry.size:
                raise TooMuch(
                    f"{self.title} has more than {together.most:,} bytes of new capsules",
                    "tagship fetch",
                ) from None
            raise damaged(what, "it is longer than the index says") from None
        if capsules.digest(data) != entry.capsule:
            raise damaged(what, "it is cut short, or its bytes were changed")
        return data


@dataclass
class Feed:
    """What a place shows, put into a mirror: see ``mirror.Feed``.

    Attributes:
        place: the place.
        beside: the mirror of the host.
        models: that are followed.
        tell: is told what was repaired.
        refused: why a capsule was not taken in, by the name of its tag.
        faults: what is wrong with the index of a model.
        impossible: tags that cannot be kept beside others of the place.
    """

    place: Place
    beside: Path
    models: tuple[str, ...]
    tell: Tell
    refused: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    impossible: tuple[str, ...] = ()

    def see(self, repository: Repository) -> None:
        """As ``mirror.Feed``."""
        patterns = seen.patterns(self.models)
        last = carried.read(repository.top)
        if last.place != self.place.title:
            last = Carried(self.place.title)
        before = mirror.shown(repository, patterns)
        after = dict(before)
        marks: dict[str, str] = {}
        self.refused, self.faults, new = {}, {}, dict[str, Entry]()
        for model, answer in self.place.indexes(self.models, last.marks):
            if isinstance(answer, TagshipError):
                self.faults[model] = Fault(answer.message, answer.hint)
            elif answer.entries is None:
                marks[model] = answer.mark
                self.refused |= {n: why for n, why in last.refused.items() if _is_of(n, model)}
            else:
                marks[model] = answer.mark
                after = {n: i for n, i in after.items() if not _is_of(n, model)}
                after |= {name: entry.object for name, entry in answer.entries.items()}
                new |= answer.entries
        self._take(repository, new)
        for name in self.refused:  # as it was shown last
            after.pop(name, None)
            after |= {name: before[name]} if name in before else {}
        if after != before:  # who cuts this short has it read again
            carried.write(repository.top, replace(last, marks={}))
        self.impossible = mirror.show(repository, after, patterns)
        bad = {tag.model for each in self.refused if (tag := TagName.parse(each))}
        kept = {model: mark for model, mark in marks.items() if model not in bad and mark}
        carried.write(repository.top, Carried(self.place.title, kept, self.refused, self.faults))

    def pack(self, repository: Repository) -> None:
        """As ``mirror.Feed``."""
        mirror.pack(repository)

    def _take(self, repository: Repository, entries: Entries) -> None:
        """Take in the capsules of the tags whose objects are not here."""
        ids = [entry.object for entry in entries.values()]
        lacking = mirror.lacks(repository, ids)
        wanted = [(name, entry) for name, entry in entries.items() if entry.object in lacking]
        self.admit(wanted, partial(quarantine.fill, repository))

    def admit(self, wanted: Sequence[Wanted], keep: admission.Keep) -> None:
        """Bring capsules, and keep those that are as they should be.

        Raises:
            Unavailable: the place does not answer, or Git failed.
        """
        together = Allowance(ALTOGETHER)
        for batch in _batches(wanted):
            packs = self._bring(batch, together)
            if packs:
                refused = admission.admit(packs, self.place.opened, keep, self.beside)
                self.refused |= {name: error.message for name, error in refused.items()}

    def _bring(self, batch: Sequence[Wanted], together: Allowance) -> list[Examined]:
        def bring(wanted: Wanted) -> Examined | TagshipError:
            name, entry = wanted
            try:
                data = self.place.capsule(name, entry, together)
                return admission.examine(data, name, entry.object, self.place.title)
            except (Corrupt, Refused) as error:
                return error

        with self._pool(batch) as pool:
            packs = list((pool.map if pool else map)(bring, batch))
        for (name, _), each in zip(batch, packs, strict=True):
            if isinstance(each, TagshipError):
                self.refused[name] = each.message
        return [each for each in packs if isinstance(each, Examined)]

    @staticmethod
    def _pool(
        batch: Sequence[Wanted],
    ) -> contextlib.AbstractContextManager[ThreadPoolExecutor | None]:
        return contextlib.nullcontext() if len(batch) == 1 else ThreadPoolExecutor(AT_ONCE)


def _unread(faults: Mapping[str, Fault]) -> list[Unread]:
    return [Unread(model, fault.what, fault.fix) for model, fault in faults.items()]


def _batches(wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Capsules that are looked at together."""
    batch, size = list[Wanted](), 0
    for each in wanted:
        if batch and (len(batch) == MANY or size + each[1].size > LARGE):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += each[1].size
    if batch:
        yield batch


def _is_of(name: str, model: str) -> bool:
    tag = TagName.parse(name)
    return tag is not None and tag.model == model
