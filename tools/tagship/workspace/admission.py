"""Capsules are taken in: looked at without Git, by Git, and by what reads a version.

A version is read in the quarantine as a deploy reads it. What that asks for must be in the capsule,
and nothing else may be: once more of a commit is read, capsules get another schema. Whether its tag
is signed as a host wants is asked by who deploys it.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from tagship.carry import capsule
from tagship.carry.forms import damaged
from tagship.errors import Corrupt, TagshipError, Unavailable
from tagship.git import packed, quarantine
from tagship.git.quarantine import Examined
from tagship.registry.refs import Action, TagName
from tagship.workspace import encapsulate
from tagship.workspace.source import Source

Opened = Callable[[Path], Source]
Keep = Callable[[Sequence[Examined]], None]


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
    packs: Sequence[Examined], opened: Opened, keep: Keep, beside: Path | None = None
) -> dict[str, TagshipError]:
    """Take capsules in: all that are as they should be are kept at once.

    Args:
        packs: of ``examine``.
        opened: reads versions in a repository.
        keep: keeps those that are as they should be.
        beside: a path to make the quarantine beside; None for the system's temporary folder.

    Returns:
        Why some were not kept, by the names of their tags.

    Raises:
        Unavailable: Git failed, or the disk is full.
    """
    if len(packs) > 1 and sum(each.size for each in packs) > packed.INFLATED:
        return _by_halves(packs, opened, keep, beside)
    try:
        with quarantine.hold(packs, beside) as repository:
            refused = check(packs, opened(repository.top))
    except Corrupt as error:
        if len(packs) == 1:
            return {packs[0].tag: error}
        return _by_halves(packs, opened, keep, beside)
    good = [each for each in packs if each.tag not in refused]
    if good:
        keep(good)
    return refused


def _by_halves(
    packs: Sequence[Examined], opened: Opened, keep: Keep, beside: Path | None
) -> dict[str, TagshipError]:
    half = len(packs) // 2
    first, then = (admit(part, opened, keep, beside) for part in (packs[:half], packs[half:]))
    return {**first, **then}


def check(packs: Collection[Examined], source: Source) -> dict[str, TagshipError]:
    """Why some capsules are not as they should be, by the names of their tags.

    Args:
        packs: in quarantine.
        source: reads versions there.
    """
    refused: dict[str, TagshipError] = {}
    for each in packs:
        try:
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
        raise damaged(f"the capsule of {pack.tag}", f"it is not whole: {error.message}") from None
