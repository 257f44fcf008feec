"""The proposer: follows all models of a server, and has its members agree.

It is in the supervisor, or, with one worker, in a thread of the worker itself.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from tagship.host.store import Store
from tagship.serve.epoch import Cell, Epochs
from tagship.serve.follow import Follow, Kept, LiveLink, Target
from tagship.serve.orders import Accept, Name, Order, Ready, Reply


class Link(Protocol):
    """The way to a member."""

    def tell(self, order: Order) -> None:
        """Hand it an order; a member that has ended hears nothing."""


class Proposer:
    """All rules of a server, and its members, by numbers that are never used again.

    Args:
        stores: the folders of the models.
        names: what is followed, in the order of the cells.
        epochs: the cells.
        targets: where it is looked at, if not at the link, or at the version that the name has.
    """

    def __init__(
        self,
        stores: Mapping[str, Store],
        names: Collection[Name],
        epochs: Epochs,
        targets: Mapping[Name, Target] | None = None,
    ) -> None:
        self._members: dict[int, Link] = {}
        self._voters: set[int] = set()
        self._follows = {
            name: _follow(name, stores[name.model], epochs.cells[index], self, targets or {})
            for index, name in enumerate(names)
        }

    def tell(self, order: Order, member: int | None = None) -> None:
        """Tell one member, or all."""
        members = list(self._members) if member is None else [member]
        for each in members:
            if each in self._members:
                self._members[each].tell(order)

    def voters(self) -> Collection[int]:
        """The members that answer requests."""
        return self._voters

    def members(self) -> Collection[int]:
        """All of them, with those that are starting."""
        return self._members.keys()

    def step(self, now: float) -> None:
        """Look at everything that is followed."""
        for follow in self._follows.values():
            follow.step(now)

    def join(self, member: int, link: Link) -> None:
        """A member has come; it is told to accept requests once it has all that is live."""
        self._members[member] = link
        for follow in self._follows.values():
            follow.joined(member)
        self._admit()

    def leave(self, member: int, now: float) -> None:
        """A member has ended."""
        self._members.pop(member, None)
        voted = member in self._voters
        self._voters.discard(member)
        for follow in self._follows.values():
            follow.left(member, now, voted=voted)
        self._admit()

    def hear(self, member: int, reply: Reply, now: float) -> None:
        """What a member says."""
        follow = self._follows[reply.name]
        if isinstance(reply, Ready):
            follow.ready(member, reply, now)
        else:
            follow.failed(member, reply, now)
        self._admit()

    def _admit(self) -> None:
        """Let members accept requests: those that have all that is live; any, if nobody else does,
        as a server that says 503 is better than one that says nothing."""
        for member in self._members.keys() - self._voters:
            is_current = all(follow.is_current(member) for follow in self._follows.values())
            if is_current or (not self._voters and self._cannot(member)):
                self._voters.add(member)
                self.tell(Accept(), member)

    def _cannot(self, member: int) -> bool:
        """Whether a member could not load something that is live."""
        return any(follow.lacks(member) for follow in self._follows.values())


def _follow(
    name: Name, store: Store, cell: Cell, crowd: Proposer, targets: Mapping[Name, Target]
) -> Follow:
    usual = (
        LiveLink(store, name.model)
        if name.challenger is None
        else Kept(store, name.model, name.challenger)
    )
    return Follow(name, targets.get(name, usual), cell, crowd, store.folder.parent)
