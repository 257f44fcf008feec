"""The rule of a swap, step by step: a clock and members of the tests' own, and a real folder."""

import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tagship.errors import NoRoom
from tagship.host.store import Store
from tagship.serve import follow, room
from tagship.serve.epoch import Cell, Epochs
from tagship.serve.follow import Follow, Kept, LiveLink
from tagship.serve.orders import (
    Accept,
    Amend,
    Drop,
    Failed,
    Name,
    Note,
    Order,
    Prepare,
    Ready,
    Switched,
)
from tagship.serve.proposer import Proposer
from tagship.serve.slot import Refusal
from tests.serve.shelf import MODEL, Shelf

NAME = Name(MODEL)


@dataclass
class Crowd:
    """Members that note what they are told."""

    voting: set[int] = field(default_factory=lambda: {1})
    orders: list[tuple[int | None, Order]] = field(default_factory=list)

    def tell(self, order: Order, member: int | None = None) -> None:
        self.orders.append((member, order))

    def voters(self) -> Collection[int]:
        return self.voting

    def members(self) -> Collection[int]:
        return self.voting

    def take(self) -> list[Order]:
        """What was said since it was asked last."""
        orders = [order for _, order in self.orders]
        self.orders.clear()
        return orders


@dataclass
class Stand:
    """A rule, its members, its cell, its clock."""

    shelf: Shelf
    crowd: Crowd
    cell: Cell
    rule: Follow
    now: float = 100.0

    def step(self, seconds: float = 0.1) -> list[Order]:
        """Time goes by, and the rule looks."""
        self.now += seconds
        self.rule.step(self.now)
        return self.crowd.take()

    def prepared(self, seconds: float = 0.1) -> Prepare:
        """It looks, and has a version loaded."""
        (order,) = self.step(seconds)
        assert isinstance(order, Prepare)
        return order

    def asked(self) -> list[tuple[int | None, Order]]:
        """It looks, and has a version loaded; by whom."""
        self.rule.step(self.now)
        orders = [each for each in self.crowd.orders if isinstance(each[1], Prepare)]
        self.crowd.take()
        return orders

    def ready(self, number: int, *members: int, seconds: float = 0.5) -> list[Order]:
        """Members say that a generation is ready."""
        for member in members or (1,):
            self.rule.ready(member, Ready(NAME, number, seconds), self.now)
        return self.crowd.take()

    def failed(self, number: int, member: int = 1) -> list[Order]:
        """A member says that it cannot."""
        self.rule.failed(member, Failed(NAME, number, "it does not load"), self.now)
        return self.crowd.take()

    def left(self, member: int, *, voted: bool = True) -> list[Order]:
        """A member ends."""
        self.crowd.voting.discard(member)
        self.rule.left(member, self.now, voted=voted)
        return self.crowd.take()

    def live(self, version: str) -> str:
        """A version is deployed, and answers."""
        directory = self.shelf.ship(version)
        self.ready(self.prepared().number, *self.crowd.voting)
        return directory


@pytest.fixture
def stand(shelf: Shelf) -> Stand:
    """One member votes, and nothing is live."""
    crowd, cell = Crowd(), Epochs(1).cells[0]
    rule = Follow(NAME, LiveLink(shelf.store, MODEL), cell, crowd, shelf.root)
    return Stand(shelf, crowd, cell, rule)


def test_what_goes_live_is_prepared_and_switched_to_once_all_members_are_ready(
    stand: Stand,
) -> None:
    stand.crowd.voting = {1, 2}
    assert stand.step() == []  # nothing is deployed
    directory = stand.shelf.ship("1.0.0")
    prepare = stand.prepared()
    assert prepare == Prepare(NAME, 1, directory, 1, "2026-11-20T12:00:00Z")
    assert stand.step() == []
    assert stand.ready(1, 1) == []
    assert stand.cell.read() == 0
    (order,) = stand.ready(1, 2)
    assert isinstance(order, Switched)
    assert (order.number, round(order.seconds, 6)) == (1, 0.1)
    assert stand.cell.read() == 1
    assert stand.step() == []


def test_the_log_says_once_that_nothing_is_live(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.step()
    stand.step()
    stand.live("1.0.0")
    stand.shelf.store.current.unlink()
    stand.step()
    stand.step()
    assert caplog.messages == [
        f"{MODEL}: no version is live; it is ready once one is",
        f"{MODEL}: no version is live; 1.0.0 goes on answering",
    ]


def test_the_log_names_what_is_there_where_a_model_has_no_folder(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.shelf.ship("1.0.0")
    root = stand.shelf.store.folder.parent
    name, link = Name(f"{MODEL}s"), LiveLink(Store(root / f"{MODEL}s"), f"{MODEL}s")
    rule = Follow(name, link, stand.cell, stand.crowd, root)
    rule.step(0.0)
    rule.step(1.0)
    link.store.folder.mkdir()
    Follow(name, link, stand.cell, stand.crowd, root).step(0.0)
    waits = f"{MODEL}s: no version is live; it is ready once one is"
    assert caplog.messages == [f"{waits} (there is no folder {MODEL}s; there are: {MODEL})", waits]


def test_the_log_says_in_one_line_what_is_not_taken_and_what_helps(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    directory = stand.shelf.ship("1.1.0")
    shutil.rmtree(stand.shelf.store.versions / directory)
    stand.step()
    (line,) = caplog.messages
    assert line.startswith(f"{MODEL}: 1.1.0 is not taken: ")
    assert "; hint: tagship " in line
    assert line.endswith("; tried again in 2 s")


def test_what_a_member_says_is_in_that_line_too_and_a_client_sees_less(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.shelf.ship("1.1.0")
    [order] = stand.step()
    assert isinstance(order, Prepare)
    reply = Failed(NAME, order.number, "it does not load", "it does not load: a path; hint: help")
    stand.rule.failed(1, reply, stand.now)
    assert caplog.messages == [
        f"{MODEL}: 1.1.0 is not taken: it does not load: a path; hint: help; tried again in 2 s"
    ]
    [refusal] = [order.refusal for order in stand.crowd.take() if isinstance(order, Note)]
    assert refusal is not None
    assert refusal.reason == "it does not load"


def test_one_refusal_is_enough_and_the_version_rests_longer_each_time(stand: Stand) -> None:
    stand.crowd.voting = {1, 2}
    stand.live("1.0.0")
    bad = stand.shelf.ship("1.1.0")
    for tries, wait in enumerate((2, 4, 8, 16, 32, 60, 60), 1):
        number = stand.prepared(0.5).number
        stand.ready(number, 1)
        assert stand.failed(number, 2) == [
            Drop(NAME, number),
            Note(NAME, Refusal("1.1.0", bad, "it does not load", tries)),
        ]
        assert stand.cell.read() == 1
        assert stand.step(wait - 0.4) == []
    assert stand.prepared(0.5).directory == bad


def test_the_next_good_version_is_taken_at_once(stand: Stand) -> None:
    stand.live("1.0.0")
    stand.shelf.ship("1.1.0")
    stand.failed(stand.prepared().number)
    good = stand.shelf.ship("1.2.0")
    order = stand.prepared()
    assert order.directory == good
    assert stand.ready(order.number) == [Switched(NAME, order.number, 0), Note(NAME, None)]


def test_a_bad_version_that_is_made_live_once_more_is_tried_at_once_and_then_rests_longer(
    stand: Stand,
) -> None:
    """A person or an agent decided again; it may have been repaired."""
    good = stand.live("1.0.0")
    bad = stand.shelf.ship("1.1.0")
    stand.failed(stand.prepared().number)
    stand.shelf.point(good)
    assert Note(NAME, None) in stand.step()
    stand.shelf.point(bad)
    stand.failed(stand.prepared().number)
    assert stand.step(3.8) == []
    assert stand.prepared(0.3).directory == bad


def test_a_version_that_became_good_begins_anew(stand: Stand) -> None:
    first = stand.live("1.0.0")
    bad = stand.shelf.ship("1.1.0")
    stand.failed(stand.prepared().number)
    stand.ready(stand.prepared(2).number)
    stand.shelf.point(first)
    stand.ready(stand.prepared().number)
    stand.shelf.point(bad)
    stand.failed(stand.prepared().number)
    assert stand.step(1.9) == []
    assert stand.prepared(0.2).directory == bad


def test_what_was_gone_back_from_while_it_was_loaded_never_answers(stand: Stand) -> None:
    good = stand.live("1.0.0")
    stand.shelf.ship("1.1.0")
    number = stand.prepared().number
    stand.shelf.point(good)
    assert stand.ready(number) == [Drop(NAME, number)]
    assert stand.cell.read() == 1
    assert [order for order in stand.step() if isinstance(order, Prepare | Note)] == []


def test_a_link_that_moves_on_has_the_newer_version_loaded_at_once(stand: Stand) -> None:
    stand.shelf.ship("1.0.0")
    number = stand.prepared().number
    newer = stand.shelf.ship("1.1.0")
    assert stand.step() == [Drop(NAME, number)]
    order = stand.prepared()
    assert (order.directory, order.number) == (newer, number + 1)
    assert stand.ready(number) == []  # too late
    assert stand.ready(order.number)[0] == Switched(NAME, order.number, 0)


def test_a_link_that_is_removed_or_dangles_leaves_the_old_version_alone(stand: Stand) -> None:
    stand.live("1.0.0")
    stand.shelf.store.current.unlink()
    assert stand.step() == [Note(NAME, Refusal("", "", "no version is live", 0))]
    assert stand.step() == []
    directory = stand.shelf.ship("1.1.0")
    shutil.rmtree(stand.shelf.store.versions / directory)
    reason = f"{MODEL}/current leads to {directory}, which is gone"
    assert stand.step() == [Note(NAME, Refusal("1.1.0", directory, reason))]
    assert stand.cell.read() == 1


@pytest.mark.parametrize("target", ["/etc", "../elsewhere"])
def test_a_foreign_link_is_refused_without_a_path(stand: Stand, target: str) -> None:
    stand.live("1.0.0")
    stand.shelf.store.current.unlink()
    stand.shelf.store.current.symlink_to(target)
    (order,) = stand.step()
    assert order == Note(
        NAME, Refusal("", "", f"{MODEL}/current leads to {target}, which is not a version")
    )


def test_members_that_take_too_long_refuse(stand: Stand) -> None:
    """Thirty seconds, or ten times as long as the longest load so far."""
    stand.live("1.0.0")  # half a second
    stand.shelf.ship("1.1.0")
    number = stand.prepared().number
    assert stand.step(30) == []
    drop, note = stand.step(0.1)
    assert drop == Drop(NAME, number)
    assert isinstance(note, Note)
    assert note.refusal is not None
    assert note.refusal.reason == "1 worker did not load it in 30 s"


@pytest.mark.parametrize(("longest", "limit"), [(0.0, 600), (1.0, 30), (12.0, 120)])
def test_the_limit_follows_how_long_loads_take(stand: Stand, longest: float, limit: float) -> None:
    stand.shelf.ship("1.0.0")
    if longest:
        stand.ready(stand.prepared().number, seconds=longest)
        stand.shelf.ship("1.1.0")
    stand.prepared()
    assert stand.step(limit) == []
    assert len(stand.step(0.1)) == 2


def test_a_member_that_ends_between_ready_and_the_commit_stops_nothing(stand: Stand) -> None:
    stand.crowd.voting = {1, 2, 3}
    stand.shelf.ship("1.0.0")
    number = stand.prepared().number
    stand.ready(number, 1, 2)
    assert stand.left(2) == []
    assert stand.ready(number, 3) == [Switched(NAME, number, 0)]


def test_the_last_member_that_was_not_ready_ends_and_that_counts_as_a_refusal(
    stand: Stand,
) -> None:
    """It may have ended because of the version, and all others would."""
    stand.crowd.voting = {1, 2}
    stand.shelf.ship("1.0.0")
    number = stand.prepared().number
    stand.ready(number, 1)
    drop, note = stand.left(2)
    assert drop == Drop(NAME, number)
    assert isinstance(note, Note)
    assert note.refusal is not None
    assert note.refusal.reason == "a worker ended while it loaded it"
    assert stand.cell.read() == 0


def test_one_loads_a_version_before_the_others_as_it_may_end_it(stand: Stand) -> None:
    """A version that kills its process costs one worker, and not all at once."""
    stand.crowd.voting = {1, 2, 3}
    stand.live("1.0.0")
    stand.shelf.ship("1.1.0")
    assert [member for member, _ in stand.asked()] == [1]
    assert stand.left(1)[0] == Drop(NAME, 2)
    stand.shelf.ship("1.2.0")
    assert [member for member, _ in stand.asked()] == [2]
    stand.crowd.voting.add(4)  # started meanwhile
    stand.rule.ready(2, Ready(NAME, 3, 0.5), stand.now)
    assert {member for member, _ in stand.crowd.orders} == {3, 4}
    assert stand.cell.read() == 1
    stand.crowd.take()
    assert stand.ready(3, 3, 4)[0] == Switched(NAME, 3, 0)


def test_all_load_a_version_at_once_where_it_cannot_end_them(stand: Stand) -> None:
    """It is loaded into processes of its own, as the one before."""
    stand.crowd.voting = {1, 2}
    stand.shelf.ship("1.0.0")
    stand.prepared()
    for member in (1, 2):
        stand.rule.ready(member, Ready(NAME, 1, 0.5, (4000 + member,)), stand.now)
    stand.crowd.take()
    stand.shelf.ship("1.1.0")
    assert [member for member, _ in stand.asked()] == [None]


def test_one_that_is_starting_has_no_vote_and_loads_what_is_live(stand: Stand) -> None:
    first = stand.live("1.0.0")
    second = stand.shelf.ship("1.1.0")
    number = stand.prepared().number
    stand.rule.joined(2)
    assert [
        (member, order.directory)
        for member, order in stand.crowd.orders
        if isinstance(order, Prepare)
    ] == [(2, first), (2, second)]
    stand.crowd.take()
    assert not stand.rule.is_current(2)
    stand.rule.ready(2, Ready(NAME, 1, 0.5), stand.now)
    assert stand.crowd.take() == [Switched(NAME, 1, 0.5)]
    assert stand.rule.is_current(2)
    assert stand.ready(number, 1) == [Switched(NAME, number, 0)]
    assert not stand.rule.is_current(2)  # until it has that one too
    assert stand.ready(number, 2) == [Switched(NAME, number, 0.5)]
    assert stand.rule.is_current(2)


def test_one_that_cannot_load_what_is_live_tries_it_again(stand: Stand) -> None:
    directory = stand.live("1.0.0")
    stand.rule.joined(2)
    stand.failed(1, 2)
    assert stand.rule.lacks(2)
    assert stand.step(1.8) == []
    assert stand.step(0.3) == [Prepare(NAME, 1, directory, 1, "2026-11-20T12:00:00Z")]
    assert stand.step() == []
    stand.failed(1, 2)
    assert stand.step(3.8) == []
    assert len(stand.step(0.3)) == 1


def test_a_version_that_is_made_live_once_more_has_the_number_of_its_new_event(
    stand: Stand,
) -> None:
    directory = stand.live("1.0.0")
    stand.shelf.point(directory)
    assert stand.step() == [Amend(NAME, 1, 2, "2026-11-20T12:00:00Z")]
    assert stand.step() == []


def test_a_kept_version_is_loaded_once_whatever_is_live(stand: Stand) -> None:
    kept = stand.shelf.keep("1.1.0")
    stand.rule = Follow(
        NAME, Kept(stand.shelf.store, MODEL, "1.1"), stand.cell, stand.crowd, stand.shelf.root
    )
    order = stand.prepared()
    assert order.directory == kept
    stand.ready(order.number)
    stand.shelf.ship("1.1.1")
    assert stand.step() == []


def test_a_kept_version_that_is_not_here_yet_is_looked_for_again(stand: Stand) -> None:
    stand.rule = Follow(
        NAME, Kept(stand.shelf.store, MODEL, "1.1.0"), stand.cell, stand.crowd, stand.shelf.root
    )
    (note,) = stand.step()
    assert isinstance(note, Note)
    assert note.refusal is not None
    assert note.refusal.reason == f"{MODEL} 1.1.0 is not on this host"
    stand.shelf.keep("1.1.0")
    assert isinstance(stand.step(2)[0], Prepare)


def test_a_second_model_is_not_loaded_where_memory_has_no_room(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "used", lambda process: 700_000_000)
    monkeypatch.setattr(room, "available", lambda: 300_000_000)
    stand.shelf.ship("1.0.0")  # the first has to fit anyhow
    number = stand.prepared().number
    stand.rule.ready(1, Ready(NAME, number, 0.5, processes=(7,)), stand.now)
    stand.crowd.take()
    directory = stand.shelf.ship("1.1.0")
    assert stand.step() == [
        Note(
            NAME,
            Refusal(
                "1.1.0",
                directory,
                f"{MODEL} 1.1.0 needs about 700.0 MB of memory beside what answers now, and"
                " 300.0 MB are available",
            ),
        )
    ]
    monkeypatch.setattr(room, "available", lambda: 800_000_000)
    assert isinstance(stand.step(2)[0], Prepare)


def test_room_in_memory_is_that_of_the_machine_and_of_its_groups() -> None:
    available = room.available()
    assert available is None or available > 1_000_000
    if available is not None:
        with pytest.raises(NoRoom, match=r"x needs about .* of memory beside what answers now"):
            room.check("x", 2**60)
        room.check("x", 1)


def test_only_the_last_few_bad_versions_are_remembered(stand: Stand) -> None:
    for number in range(follow.REMEMBERED + 3):
        stand.shelf.ship(f"1.{number}.0")
        stand.failed(stand.prepared().number)
    assert len(stand.rule._bad) == follow.REMEMBERED


# The proposer: who may vote.


@dataclass
class Way:
    """The way to a member that notes what it is told."""

    orders: list[Order] = field(default_factory=list)

    def tell(self, order: Order) -> None:
        self.orders.append(order)

    @property
    def accepts(self) -> bool:
        """Whether it was told to take connections."""
        return Accept() in self.orders


@pytest.fixture
def proposer(shelf: Shelf) -> Proposer:
    return Proposer({MODEL: shelf.store}, [NAME], Epochs(1))


def test_a_worker_accepts_at_once_where_nothing_is_live(proposer: Proposer) -> None:
    way = Way()
    proposer.join(1, way)
    assert way.accepts


def test_a_worker_that_starts_later_accepts_once_it_has_what_is_live(
    proposer: Proposer, shelf: Shelf
) -> None:
    shelf.ship("1.0.0")
    first, second = Way(), Way()
    proposer.join(1, first)
    proposer.step(1)
    proposer.hear(1, Ready(NAME, 1, 0.1), 2)
    proposer.join(2, second)
    assert not second.accepts
    proposer.hear(2, Ready(NAME, 1, 0.1), 3)
    assert second.accepts


def test_where_all_others_are_gone_a_worker_accepts_without_what_is_live(
    proposer: Proposer, shelf: Shelf
) -> None:
    """503 is better than no answer."""
    shelf.ship("1.0.0")
    proposer.join(1, Way())
    proposer.step(1)
    proposer.hear(1, Ready(NAME, 1, 0.1), 2)
    proposer.leave(1, 3)
    second = Way()
    proposer.join(2, second)
    assert not second.accepts
    proposer.hear(2, Failed(NAME, 1, "it does not load"), 4)
    assert second.accepts


def test_a_worker_that_has_what_is_live_votes_on_what_is_about_to_be(
    proposer: Proposer, shelf: Shelf
) -> None:
    shelf.ship("1.0.0")
    first, second = Way(), Way()
    proposer.join(1, first)
    proposer.step(1)
    proposer.hear(1, Ready(NAME, 1, 0.1), 2)
    shelf.ship("1.1.0")
    proposer.step(3)
    proposer.join(2, second)
    proposer.hear(2, Ready(NAME, 1, 0.1), 4)
    proposer.hear(1, Ready(NAME, 2, 0.1), 5)
    assert Switched(NAME, 2, 2) not in first.orders
    proposer.hear(2, Ready(NAME, 2, 0.1), 6)
    assert Switched(NAME, 2, 3) in first.orders
    assert Switched(NAME, 2, 3) in second.orders


def test_messages_pass_through_a_line_as_they_are() -> None:
    from tagship.serve import orders

    name = Name("a/b", "1.1")
    refusal = Refusal("1.0.0", "v1.0.0_20261120_000001", 'ä "quoted"\nreason', 3)
    for message in (
        Prepare(name, 3, "v1.0.0_20261120_000001", 7, "2026-11-20T12:00:00Z"),
        Switched(NAME, 1, 0.25), Drop(NAME, 1), Amend(NAME, 1, 2, ""), Note(NAME, refusal),
        Note(name, None), Accept(), orders.Reopen(), orders.Started(),
        Ready(NAME, 1, 0.5, (3, 4)), Failed(name, 2, "x"),
    ):  # fmt: skip
        line = orders.to_line(message)
        assert line.count(b"\n") == 1
        assert orders.of_line(line) == message


def test_a_reason_has_no_path_and_nothing_of_a_framework() -> None:
    from tagship.errors import Corrupt
    from tagship.serve import reasons

    root = Path("/srv/models")
    assert reasons.of(Corrupt("/srv/models/churn/x does not load: line 3 of secret.cc"), root) == (
        "churn/x does not load"
    )
    assert reasons.of(PermissionError(13, "Permission denied", "/srv/models/x"), root) == (
        "cannot be read: Permission denied"
    )
