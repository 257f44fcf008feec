"""Capsules are taken in: looked at without Git, by Git, and by what reads a version.

A version is read in the quarantine as a deploy reads it. What that asks for must be in the capsule,
and nothing else may be: once more of a commit is read, capsules get another schema. Whether its tag
is signed as a host wants is asked by who deploys it.
"""

import contextlib
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tagship.carry import capsule
from tagship.carry.forms import damaged
from tagship.errors import Corrupt, TagshipError, Unavailable
from tagship.git import packed, quarantine
from tagship.git.quarantine import Examined, Unsure
from tagship.git.tree import MissingBlobs
from tagship.registry.refs import Action, TagName
from tagship.workspace import encapsulate
from tagship.workspace.source import Source

Opened = Callable[[Path], Source]
Keep = Callable[[Sequence[Examined]], None]


class Late(Unavailable):
    """A capsule that was not looked at: those before it took too long."""


@dataclass
class Patience:
    """How long the capsules of each model are looked at: at least one of them.

    Attributes:
        most: seconds of processor time.
        spent: the same, by model.
    """

    most: float = math.inf
    spent: dict[str, float] = field(default_factory=dict)

    def check(self, name: str) -> None:
        """Refuse to begin with the capsule of a tag.

        Raises:
            Late: the time is over.
        """
        model = _model(name)
        if self.spent.get(model, 0.0) > self.most:
            raise Late(f"the capsules of {model} before it took too long", "tagship fetch")

    @contextlib.contextmanager
    def looking(self, name: str) -> Iterator[None]:
        """Look at the capsule of a tag, and count the time."""
        begun = time.thread_time()
        try:
            yield
        finally:
            model, spent = _model(name), time.thread_time() - begun
            self.spent[model] = self.spent.get(model, 0.0) + spent


def _model(name: str) -> str:
    tag = TagName.parse(name)
    return tag.model if tag is not None else ""


def examine(
    data: bytes, name: str, object_id: str, where: str, most: int = packed.INFLATED
) -> Examined:
    """Look at a capsule without Git.

    Args:
        data: its bytes.
        name: of the tag that it should have.
        object_id: of the tag object, in the index.
        where: it is, for errors.
        most: bytes that its objects may have.

    Raises:
        Corrupt: it is out of form, or has another tag.
        Refused: it is of a newer tagship.
    """
    read = capsule.parse(data, f"of {name} in {where}")
    if read.head.tag != name:
        raise damaged(f"the capsule of {name} in {where}", f"it is of {read.head.tag}")
    if read.head.object != object_id:
        what = f"it has the tag object {read.head.object[:10]}, not {object_id[:10]}"
        raise damaged(f"the capsule of {name} in {where}", what)
    return quarantine.examine(name, object_id, read.head.commit, read.pack, most)


def admit(
    packs: Sequence[Examined], opened: Opened, keep: Keep, beside: Path | None = None,
    patience: Patience | None = None,
) -> dict[str, TagshipError]:  # fmt: skip
    """Take capsules in: all that are as they should be are kept at once.

    Args:
        packs: of ``examine``.
        opened: reads versions in a repository.
        keep: keeps those that are as they should be.
        beside: a path to make the quarantine beside; None for the system's temporary folder.
        patience: how long versions are read; None for as long as that takes.

    Returns:
        Why some were not kept, by the names of their tags.

    Raises:
        Unavailable: Git failed, or the disk is full.
    """
    if len(packs) > 1 and sum(each.size for each in packs) > packed.INFLATED:
        return _by_halves(packs, opened, keep, beside, patience)
    try:
        with quarantine.hold(packs, beside) as repository:
            refused = check(packs, opened(repository.top), patience)
    except Corrupt as error:
        if len(packs) == 1:
            return {packs[0].tag: error}
        return _by_halves(packs, opened, keep, beside, patience)
    good = [each for each in packs if each.tag not in refused]
    if good:
        keep(good)
    return refused


def _by_halves(
    packs: Sequence[Examined], opened: Opened, keep: Keep, beside: Path | None,
    patience: Patience | None,
) -> dict[str, TagshipError]:  # fmt: skip
    half = len(packs) // 2
    parts = (packs[:half], packs[half:])
    first, then = (admit(part, opened, keep, beside, patience) for part in parts)
    return {**first, **then}


def check(
    packs: Collection[Examined], source: Source, patience: Patience | None = None
) -> dict[str, TagshipError]:
    """Why some capsules are not as they should be, by the names of their tags.

    Args:
        packs: in quarantine.
        source: reads versions there.
        patience: as for ``admit``.
    """
    refused: dict[str, TagshipError] = {}
    patience = patience or Patience()
    for each in packs:
        try:
            patience.check(each.tag)
            with patience.looking(each.tag):
                each.check(_needed(each, source))
        except TagshipError as error:
            refused[each.tag] = error
    return refused


def _needed(pack: Examined, source: Source) -> set[str]:
    """The ids of what is read of a version; of another tag nothing is."""
    name = TagName.parse(pack.tag)
    if name is None or name.action is not Action.REGISTER:
        return set()
    try:
        return encapsulate.needed(source, pack.commit, name.model)
    except Unavailable as error:
        told = damaged(f"the capsule of {pack.tag}", f"it is not whole: {error.message}")
        kind = Corrupt if isinstance(error, MissingBlobs) else Unsure  # Git may have failed
        raise kind(told.message, told.hint) from None
