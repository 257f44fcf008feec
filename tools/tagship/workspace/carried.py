"""carried.json, in a mirror that is fed from a place: what that has shown there.

Losing it costs a repeat: what was seen is in the refs of the mirror.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tagship.disk import atomic
from tagship.errors import Corrupt, Forbidden, NoAnswer, Unavailable
from tagship.git.carried import CARRIED
from tagship.text import escape, json_reader

AT_ONCE = 8  # requests
MOST_BAD = 1000  # capsules: more of them are brought and refused again


@dataclass(frozen=True)
class Fault:
    """Why the index of a model could not be read, and what helps."""

    what: str
    fix: str


@dataclass(frozen=True)
class Bad:
    """A capsule whose bytes are those that the index names, and that was refused for them.

    Attributes:
        object, capsule: of its tag in the index: with others it is looked at again.
        why: it was refused.
    """

    object: str
    capsule: str
    why: str


@dataclass(frozen=True)
class Carried:
    """What a place has shown.

    Attributes:
        place: its address.
        marks: of the index of each model that was taken in as a whole.
        refused: why the capsule of a tag was not taken in, by its name.
        unread: the models whose index could not be read, or whose capsules only in part.
        bad: capsules that are not brought again, by the names of their tags.
        judge: the tagship that refused those: another one looks for itself.
    """

    place: str = ""
    marks: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unread: dict[str, Fault] = field(default_factory=dict)
    bad: dict[str, Bad] = field(default_factory=dict)
    judge: str = ""


def read(top: Path) -> Carried:
    """What is kept; nothing where that cannot be read."""
    try:
        return atomic.read_json(
            top / CARRIED, lambda value: json_reader.read(Carried, value), CARRIED, ""
        )
    except (FileNotFoundError, NotADirectoryError, Corrupt, Forbidden):
        return Carried()


@functools.cache
def judge() -> str:
    """The version of this tagship."""
    from importlib.metadata import version

    return version("tagship")


def unread(top: Path, place: str, model: str) -> Fault | None:
    """Why the last fetch from a place could not read the index of a model; None where it could."""
    last = read(top)
    return last.unread.get(model) if last.place == place else None


def write(top: Path, carried: Carried) -> None:
    """Keep it, if it is another one: the next pass looks when the file was changed."""
    if carried != read(top):
        atomic.write(top / CARRIED, escape.json(asdict(carried)).encode() + b"\n")


def check_there(place: str, *, has_bundles: bool) -> None:
    """Say that nobody has filled a folder of bundles yet, or that it was taken away.

    Raises:
        Unavailable: it is not there, or is no folder.
    """
    if has_bundles and not Path(place).is_dir():
        hint = "mount it, or bring a bundle: tagship unbundle FILE"
        is_file = Path(place).exists()
        raise Unavailable(f"{place} is {'not a folder' if is_file else 'not there'}", hint)


def is_same(
    top: Path, place: str, options: Mapping[str, Any], models: Sequence[str], *,
    has_bundles: bool = False,
) -> bool:  # fmt: skip
    """Whether a place shows for each model what it showed last: by one request for each.

    Raises:
        NoAnswer: the place does not do its part.
        Refused: it is none.
    """
    from tagship.carry import places
    from tagship.stores.stream import TooLong

    last = read(top)
    if last.place != place or not last.marks.keys() >= set(models):
        return False
    try:
        check_there(place, has_bundles=has_bundles)
        carrier = places.of(place, options)
        if len(models) == 1:
            return carrier.index(models[0], last.marks[models[0]]) is None
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = pool.map(lambda model: carrier.index(model, last.marks[model]), models)
            return all(answer is None for answer in answers)
    except Unavailable as error:
        raise NoAnswer(error.message, error.hint) from None
    except TooLong:
        return False
