"""A host that asks no Git server: its mirror is fed from the capsules in a place.

The index of a model says which tags there are, as a server of Git does, and is believed no more.
Each capsule is looked at in a quarantine before anything of it comes into the mirror. There the
tags are compared as those of a server are: what was seen first counts.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
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
from tagship.git.quarantine import Examined, Unsure
from tagship.git.run import Repository
from tagship.progress import Tell
from tagship.registry import refs, seen
from tagship.registry.catalog import Release
from tagship.registry.refs import Action, TagName
from tagship.registry.seen import Seen, Unread
from tagship.stores.stream import Allowance, TooLong
from tagship.text import words
from tagship.workspace import admission, carried
from tagship.workspace.admission import Late, Patience
from tagship.workspace.carried import Bad, Carried, Fault
from tagship.workspace.source import Source
from tagship.workspace.upstream import BUNDLE, Address

AT_ONCE = 16  # capsules in transfer
MODELS = 8  # indexes
ALTOGETHER = 1 << 30  # bytes of capsules that are taken at a time
MANY, LARGE = 500, 8 << 20  # capsules, and bytes of them, that are looked at together
# Seconds of processor time for the capsules of a model in a pass: to unpack them, and to read the
# versions in them. Some milliseconds do for one that a release wrote.
PATIENCE = 30.0
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

    @property
    def is_refilled(self) -> bool:
        """As ``mirror.Feed``: a folder of bundles is emptied when it is full."""
        return self.address.kind == BUNDLE

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
            if (why := feed.refused.get(name) or feed.late.get(name)) is not None:
                raise Unavailable(why, self.again())
            if mirror.lacks(repository, missing[release]):
                raise Unavailable(
                    f"{self.title} has no capsule of {name} with its files", self.again()
                )

    def last_seen(self, repository: Repository, models: Collection[str]) -> Seen:
        """As ``Upstream``."""
        patterns, is_refilled = seen.patterns(models), self.is_refilled
        changes = mirror.changes(repository, patterns, is_refilled=is_refilled)
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
        late: why a capsule was not looked at in this pass, by the name of its tag.
        bad: capsules that were refused for what is in them, by the names of their tags.
        unpacking, reading: how long capsules are unpacked, and the versions in them read.
        impossible: tags that cannot be kept beside others of the place.
    """

    place: Place
    beside: Path
    models: tuple[str, ...]
    tell: Tell
    refused: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)
    bad: dict[str, Bad] = field(default_factory=dict)
    unpacking: Patience = field(default_factory=lambda: Patience(PATIENCE))
    reading: Patience = field(default_factory=lambda: Patience(PATIENCE))
    impossible: tuple[str, ...] = ()

    @property
    def is_refilled(self) -> bool:
        """As ``mirror.Feed``."""
        return self.place.is_refilled

    def see(self, repository: Repository) -> None:
        """As ``mirror.Feed``."""
        patterns = seen.patterns(self.models)
        last = carried.read(repository.top)
        if last.place != self.place.title:
            last = Carried(self.place.title)
        before = mirror.shown(repository, patterns)
        after = dict(before)
        marks: dict[str, str] = {}
        self.refused, self.faults, self.late, new = {}, {}, {}, dict[str, Entry]()
        self.bad = dict(last.bad) if last.bad and last.judge == carried.judge() else {}
        self.unpacking, self.reading = Patience(PATIENCE), Patience(PATIENCE)
        for model, answer in self.place.indexes(self.models, last.marks):
            if isinstance(answer, TagshipError):
                self.faults[model] = Fault(answer.message, answer.hint)
            elif answer.entries is None:
                marks[model] = answer.mark
                self.refused |= {n: why for n, why in last.refused.items() if _model(n) == model}
            else:
                marks[model] = answer.mark
                after = {n: i for n, i in after.items() if _model(n) != model}
                after |= {name: entry.object for name, entry in answer.entries.items()}
                new |= answer.entries
        self._take(repository, new, last.refused)
        for name in (*self.refused, *self.late):  # as it was shown last
            after.pop(name, None)
            after |= {name: before[name]} if name in before else {}
        if after != before:  # who cuts this short has it read again
            carried.write(repository.top, replace(last, marks={}))
        self.impossible = mirror.show(repository, after, patterns)
        late = Counter(map(_model, self.late))
        self.faults |= {model: self._late(model, number) for model, number in late.items()}
        again = {*map(_model, self.refused), *late}
        kept = {model: mark for model, mark in marks.items() if model not in again and mark}
        carried.write(repository.top, self._carried(kept))

    def _late(self, model: str, number: int) -> Fault:
        """That some capsules of a model are looked at by the next pass."""
        capsules = f"{words.count(number, 'capsule')} of {model} in {self.place.title}"
        why = f"as those before took more than {PATIENCE:.0f} s of processor time"
        return Fault(f"not read in this pass: {capsules}, {why}", "tagship fetch")

    def _carried(self, marks: dict[str, str]) -> Carried:
        """What is kept for the next pass."""
        of = {n: b for n, b in self.bad.items() if n in self.refused or _model(n) in self.faults}
        bad = dict(islice(of.items(), carried.MOST_BAD))
        judge = carried.judge() if bad else ""
        return Carried(self.place.title, marks, self.refused, self.faults, bad, judge)

    def pack(self, repository: Repository) -> None:
        """As ``mirror.Feed``."""
        mirror.pack(repository)

    def _take(
        self, repository: Repository, entries: Entries, before: Collection[str]
    ) -> None:  # fmt: skip
        """Take in the capsules of the tags whose objects are not here.

        What is bad is known without them; what was refused ``before`` comes last.
        """
        ids = [entry.object for entry in entries.values()]
        lacking = mirror.lacks(repository, ids)
        wanted = {name: entry for name, entry in entries.items() if entry.object in lacking}
        bad = {name for name, entry in wanted.items() if _is_known(self.bad.get(name), entry)}
        self.refused |= {name: self.bad[name].why for name in bad}
        ordered = [(name, wanted[name]) for name in _ordered(wanted.keys() - bad, before)]
        self.admit(ordered, partial(quarantine.fill, repository))

    def admit(self, wanted: Sequence[Wanted], keep: admission.Keep) -> None:
        """Bring capsules, and keep those that are as they should be.

        Raises:
            Unavailable: the place does not answer, or Git failed.
        """
        together = Allowance(ALTOGETHER)
        for batch in _batches(wanted):
            packs = self._bring(batch, together)
            if packs:
                refused = admission.admit(packs, self.place.opened, keep, self.beside, self.reading)
                entries = dict(batch)
                for name, error in refused.items():
                    self._refuse(name, error, entries[name])

    def _bring(self, batch: Sequence[Wanted], together: Allowance) -> list[Examined]:
        def bring(wanted: Wanted) -> Examined | TagshipError:
            name, entry = wanted
            try:
                self.unpacking.check(name)
                data = self.place.capsule(name, entry, together)
            except (Corrupt, Refused, Late) as error:
                return error
            try:
                with self.unpacking.looking(name):
                    return admission.examine(data, name, entry.object, self.place.title)
            except (Corrupt, Refused, Late) as error:
                self._refuse(name, error, entry)
                return error

        with self._pool(batch) as pool:
            packs = list((pool.map if pool else map)(bring, batch))
        for (name, _), each in zip(batch, packs, strict=True):
            if isinstance(each, TagshipError):
                self._refuse(name, each)
        return [each for each in packs if isinstance(each, Examined)]

    def _refuse(self, name: str, error: TagshipError, entry: Entry | None = None) -> None:
        """Note why the capsule of a tag is not taken in.

        Args:
            name: of the tag.
            error: why.
            entry: of the capsule, if that is the one which the index names.
        """
        if isinstance(error, Late):
            self.late[name] = error.message
            return
        self.refused[name] = error.message
        if entry is not None and not isinstance(error, Unsure):
            self.bad[name] = Bad(entry.object, entry.capsule, error.message)

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


def _ordered(names: Collection[str], before: Collection[str]) -> list[str]:
    """In which order capsules are looked at, in case that the time is over.

    First those of stages and of what was taken back; of versions the highest: so what a rule
    selects is right though others are not read yet. Those that were refused ``before`` come last.
    """
    versions = {
        name: tag.version
        for name in sorted(names)
        if (tag := TagName.parse(name)) and tag.action is Action.REGISTER and tag.version
    }
    others = [name for name in sorted(names) if name not in versions]
    highest = sorted(versions, key=lambda name: refs.precedence(versions[name]), reverse=True)
    return sorted([*others, *highest], key=lambda name: name in before)


def _is_known(bad: Bad | None, entry: Entry) -> bool:
    return bad is not None and (bad.object, bad.capsule) == (entry.object, entry.capsule)


def _model(name: str) -> str:
    tag = TagName.parse(name)
    return tag.model if tag is not None else ""
