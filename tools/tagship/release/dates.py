"""The date of a new tag: of two tags the later one counts, by its date in whole seconds."""

import shlex
from collections.abc import Sequence
from datetime import MAXYEAR

from tagship.errors import Refused
from tagship.git import worktree
from tagship.registry import tags
from tagship.registry.refs import Action
from tagship.registry.tags import Tag
from tagship.text import clock
from tagship.workspace.source import Source

FUTURE = 60  # seconds that the clocks of two machines may differ without a word


def of_release(source: Source, others: Sequence[Tag]) -> tuple[int | None, list[str]]:
    """``after`` for the tag of a version. It may have the date of other versions: numbers decide.

    Raises:
        Refused: as for ``after``.
    """
    ties = {tag.name.action for tag in others if tag.at == others[-1].at} != {Action.REGISTER}
    return after(source, others, ties=ties)


def after(
    source: Source, others: Sequence[Tag], *, ties: bool = True
) -> tuple[int | None, list[str]]:
    """The date of a new tag, where Git's would not be the latest of the model; and what to know.

    Args:
        source: the repository.
        others: the tags of the model, the latest last.
        ties: the date of the latest one is not late enough.

    Returns:
        In seconds since 1970; None for that of Git. And notes.

    Raises:
        Refused: Git does not know who you are, or there is no later date.
    """
    if not others:
        return None, []
    last = others[-1]
    identity, now = worktree.committer(source.repository)
    if not identity:
        raise Refused("Git does not know who you are", tags.IDENTIFY)
    newest = int(last.at.timestamp())
    if now > newest or (now == newest and not ties):
        return None, []
    date = clock.stamp(last.at)
    if last.at.year == MAXYEAR:
        raise Refused(
            f"the tag {last.name} has the date {date}, and a later one can have none after it",
            f"remove it here, and on each remote: git tag -d {shlex.quote(str(last.name))}",
        )
    if newest - now <= FUTURE:
        return newest + 1, []
    return newest + 1, [f"{last.name} has a date in the future, {date}: this tag has the one after"]
