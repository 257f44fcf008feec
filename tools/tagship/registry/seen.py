"""Which tags a host follows, and what became of them on their server."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tagship.git.mirror import Changes
from tagship.registry.refs import TagName

MOVED = "it was moved; the tag that was seen first counts"
IMPOSSIBLE = "it cannot be kept beside a tag that was seen"


class Unread(NamedTuple):
    """A model whose tags in a place could not be read, and why.

    Attributes:
        model: its name.
        what, fix: as of ``workspace.state.Reason``.
    """

    model: str
    what: str
    fix: str


class Seen(NamedTuple):
    """How the tags of models on their server differ from those that were seen before.

    Attributes:
        new: seen for the first time.
        moved: they name another object than they did, which does not count.
        vanished: they are not there any more, and count all the same.
        impossible: they cannot be kept beside what was seen before.
        lightweight: they are no annotated tags of commits, and never count.
        damaged: their capsules could not be taken in, and why.
        unread: the models whose index could not be read.
        foreign: they were not seen before, and are not kept: see ``mirror.Changes``.
        lost: all that was seen of a model, where nothing of that is shown as it was.
    """

    new: tuple[TagName, ...] = ()
    moved: tuple[TagName, ...] = ()
    vanished: tuple[TagName, ...] = ()
    impossible: tuple[TagName, ...] = ()
    lightweight: tuple[TagName, ...] = ()
    damaged: tuple[tuple[TagName, str], ...] = ()
    unread: tuple[Unread, ...] = ()
    foreign: tuple[TagName, ...] = ()
    lost: tuple[TagName, ...] = ()

    def emptied(self, models: Iterable[str]) -> list[str]:
        """The models of which tags were seen, and nothing is shown any more."""
        there = {name.model for name in (*self.moved, *self.foreign)}
        lost = {name.model for name in self.lost} - there
        return [model for model in models if model in lost]

    def unknown(self, model: str) -> list[TagName]:
        """The tags of another repository: what is shown in place of all that was seen."""
        if not any(name.model == model for name in self.lost):
            return []
        return [name for name in (*self.moved, *self.foreign) if name.model == model]

    def unread_of(self, model: str) -> Unread | None:
        """Why the index of a model could not be read; None where it was."""
        return next((each for each in self.unread if each.model == model), None)

    def refused(self, model: str) -> dict[TagName, str]:
        """The tags of a model that were changed, or that cannot be kept or read, and why."""
        moved, impossible = (
            dict.fromkeys(self.moved, MOVED),
            dict.fromkeys(self.impossible, IMPOSSIBLE),
        )
        return {
            name: what
            for name, what in (moved | impossible | dict(self.damaged)).items()
            if name.model == model
        }


def patterns(models: Iterable[str]) -> list[str]:
    """What names the tags of some models, versions and stages, in a server's and Git's words."""
    names = (model.replace(":", "=") for model in models)
    return [f"{name}{mark}*" for name in names for mark in "@#"]


def of(
    changes: Changes, damaged: Mapping[str, str] | None = None,
    unread: Iterable[Unread] = (),
) -> Seen:  # fmt: skip
    """What a fetch found, without the tags that are not in the grammar of GTO.

    Args:
        changes: of the mirror.
        damaged: why capsules were not taken in, by the names of their tags.
        unread: the models whose index could not be read.
    """
    bad = damaged or {}
    return Seen(
        _parsed(changes.new),
        _parsed(changes.moved),
        _parsed(changes.vanished),
        _parsed(changes.impossible),
        _parsed(changes.lightweight),
        tuple((tag, bad[name]) for name in sorted(bad) if (tag := TagName.parse(name))),
        tuple(sorted(unread)),
        _parsed(changes.foreign),
        _parsed(changes.lost),
    )


def _parsed(names: Iterable[str]) -> tuple[TagName, ...]:
    return tuple(tag for name in names if (tag := TagName.parse(name)) is not None)
