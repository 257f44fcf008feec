"""Packs that did not come from a server of Git: looked at in a repository of their own first.

A pack has one tag, its commit, and of that commit's files as many as somebody reads. It is looked
at in three steps: without Git, within bounds (``examine``); by Git, in a repository that is gone
afterwards (``hold``); and by who knows what reads a version, in that repository. Only then it comes
into a mirror (``keep``).
"""

import contextlib
import re
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tagship.disk import atomic
from tagship.errors import Corrupt, Refused
from tagship.git import bounded, mirror, packed, run
from tagship.git.bounded import Limit, Question
from tagship.git.packed import BadPack, Object
from tagship.git.run import FSYNC, NO_HOOKS, CommandFailed, Repository

# For packs whose objects were counted and measured already: a second net.
INDEX = Limit(silence=60, total=300, traffic=1 << 31, file=1 << 29, memory=1 << 30)
# What no Git writes.
HARMFUL = ("fullPathname", "hasDot", "hasDotdot", "hasDotgit")
DAMAGED = 1 | 4  # exit codes of git-fsck(1): of objects, of objects in packs; 2 is about links
_TAG = re.compile(rb"object ([0-9a-f]{40})\ntype commit\ntag ([^\n\0]+)\n")
_TREE = re.compile(rb"tree ([0-9a-f]{40})\n((?:parent [0-9a-f]{40}\n)*)")
_PARENT = re.compile(rb"parent ([0-9a-f]{40})\n")


class Unsure(Corrupt):
    """A pack that cannot be read, though perhaps not for what is in it: it is tried again."""


@dataclass(frozen=True)
class Examined:
    """A pack whose bounds and tag were checked.

    Attributes:
        tag: the name of the tag.
        object: the id of the tag object.
        commit: the id of its commit.
        parents: of the commit; they are in no such pack.
        objects: all that is in the pack, by ids, without their content.
        way: the ids of the tag and of the commit.
    """

    tag: str
    object: str
    commit: str
    parents: tuple[str, ...]
    objects: dict[str, Object]
    way: frozenset[str]

    @property
    def size(self) -> int:
        """The bytes of its objects, inflated."""
        return sum(each.size for each in self.objects.values())

    def check(self, needed: Collection[str]) -> None:
        """Refuse a pack with what nobody needs; or without what somebody does.

        Args:
            needed: the ids of what is read of the commit.

        Raises:
            Corrupt, Refused: as it says.
        """
        if missing := set(needed) - self.objects.keys():
            what = f"{len(missing)} objects are missing, such as {min(missing)[:10]}"
            raise Corrupt(f"the capsule of {self.tag} is damaged: {what}", _again(self.tag))
        if foreign := self.objects.keys() - self.way - set(needed):
            what = f"{len(foreign)} objects that it does not need, such as {min(foreign)[:10]}"
            raise Refused(f"the capsule of {self.tag} has {what}", _again(self.tag))


def examine(
    tag: str, object_id: str, commit: str, pack: bytes, most: int = packed.INFLATED
) -> Examined:
    """Look at a pack without Git: its form and bounds, and that its tag is what it should be.

    Args:
        tag: the name of the tag that it should have.
        object_id: the id of the tag object.
        commit: the id of the tag's commit.
        pack: its bytes.
        most: bytes that its objects may have, inflated and all together.

    Raises:
        Corrupt: it is out of form, too large, or has another tag or commit.
    """
    try:
        objects = packed.read(pack, most)
        way = _way(tag, object_id, commit, objects)
        parents = _parents(objects[commit])
    except BadPack as error:
        what = f"the capsule of {tag} is damaged: {error.message}"
        raise Corrupt(what, _again(tag)) from None
    for each in objects.values():
        if each.content:  # many packs are kept at a time, and nobody reads it any more
            objects[each.id] = replace(each, content=b"")
    return Examined(tag, object_id, commit, parents, objects, frozenset(way))


def _way(tag: str, object_id: str, commit: str, objects: dict[str, Object]) -> tuple[str, str]:
    """The ids of a tag and of its commit.

    A tag of a tag is none that counts; with the inner one the mirror would have a version without
    its files, and would not ask for them.
    """
    found = objects.get(object_id)
    if found is None:
        raise BadPack(f"it lacks the object {object_id[:10]}")
    head = _TAG.match(found.content) if found.kind == "tag" else None
    if head is None or head[1] != commit.encode():
        raise BadPack(f"{object_id[:10]} is no annotated tag of the commit {commit[:10]}")
    if head[2] != tag.encode():
        raise BadPack(f"its tag has another name: {head[2].decode(errors='replace')!r:.200}")
    if commit not in objects:
        raise BadPack(f"it lacks the object {commit[:10]}")
    return object_id, commit


def _parents(commit: Object) -> tuple[str, ...]:
    head = _TREE.match(commit.content)
    if head is None:
        raise BadPack(f"the commit {commit.id[:10]} is out of form")
    return tuple(each.decode() for each in _PARENT.findall(head[2]))


def _again(tag: str) -> str:
    model = re.split("[@#]", tag, maxsplit=1)[0]
    return f"write it again where the model is released: tagship release {model} --push --capsule"


@contextlib.contextmanager
def hold(packs: Collection[Examined], beside: Path | None = None) -> Iterator[Repository]:
    """Have Git look at packs: a repository with nothing but them, until the end of the block.

    Args:
        packs: of ``examine``.
        beside: a path to make it beside; None for the system's folder for temporary files.

    Raises:
        Corrupt: Git finds an object out of form; Unsure: it was killed.
        Unavailable: Git failed, or the disk is full.
    """
    place = beside or Path(tempfile.gettempdir(), "tagship")
    top = mirror.make_empty(place)
    try:
        repository = Repository(top, bare=True, ours=True)
        _index(repository, packs)
        _check(repository, packs)
        yield repository
    finally:
        atomic.remove_tree(top)


def keep(repository: Repository, packs: Collection[Examined]) -> None:
    """Put what is in packs into a mirror: durable, and whole or not at all.

    Args:
        repository: of ``mirror.open_or_make``.
        packs: that were held.

    Raises:
        Unavailable: Git failed, or the disk is full.
        Locked: another process fetches into the mirror.
    """
    mirror.keep(repository, lambda mirrored: _index(mirrored, packs), _parents_of(packs))


def fill(repository: Repository, packs: Collection[Examined]) -> None:
    """``keep``, for who has the mirror alone: in ``see`` of a ``mirror.Feed``."""
    mirror.fill(repository, lambda mirrored: _index(mirrored, packs), _parents_of(packs))


def _parents_of(packs: Collection[Examined]) -> dict[str, tuple[str, ...]]:
    return {each.commit: each.parents for each in packs}


def _index(repository: Repository, packs: Collection[Examined]) -> None:
    """Put what is in packs into a repository, as one pack."""
    pack = packed.write(each for one in packs for each in one.objects.values())
    settings = [word for setting in (NO_HOOKS, *mirror.SMALL) for word in ("-c", setting)]
    bounded.act(
        repository, "the capsule", INDEX, lambda: None,
        *settings, *FSYNC, "index-pack", "--stdin", f"--promisor={mirror.REMOTE}",
        more=Question("git fsck", pack),
    )  # fmt: skip


def name_tags(repository: Repository, packs: Collection[Examined]) -> None:
    """Give the tags of packs their names in a repository that has their objects.

    Raises:
        Unavailable: Git failed; or the name of one is that of a folder of another one.
    """
    mirror.name_tags(repository, {each.tag: each.object for each in packs})


def _check(repository: Repository, packs: Collection[Examined]) -> None:
    """Check the form of objects: names in folders, headers, what Git keeps in .gitmodules.

    Not by ``index-pack --fsck-objects``: before Git 2.45 that takes no severities, and refuses what
    Git itself wrote once.

    Raises:
        Corrupt: one is out of form.
    """
    settings = [
        *(f"fsck.{each}=ignore" for each in mirror.HARMLESS),
        *(f"fsck.{each}=error" for each in HARMFUL),
        *mirror.SMALL,
    ]  # fmt: skip
    words = [word for setting in settings for word in ("-c", setting)]
    try:
        run.answer(repository, *words, "fsck", "--no-progress", "--no-dangling")
    except CommandFailed as error:
        if not isinstance(error.status, int) or error.status < 0 or error.status & DAMAGED:
            names = ", ".join(sorted(each.tag for each in packs)[:3])
            why = next((line for line in error.stderr.splitlines() if "error" in line), str(error))
            what = f"the capsule of {names} is damaged: {why.removeprefix('error: '):.300}"
            kind = Corrupt if isinstance(error.status, int) and error.status > 0 else Unsure
            raise kind(what, _again(min(each.tag for each in packs))) from None
