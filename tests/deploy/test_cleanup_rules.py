"""What cleanup lets go, and why the rest stays: a decision of values alone."""

from dataclasses import replace

import pytest

from tagship.deploy import cleanup
from tagship.host import history
from tagship.host.history import Event, Place
from tests.workbench import MODEL, Workbench


def place(version: str, directory: str = "20261120_120000") -> Place:
    return Place(version, f"v{version}_{directory}")


ONE, TWO, THREE, FOUR, FIVE = (place(f"{number}.0.0") for number in range(1, 6))


def deploys(*places: Place, action: str = "deploy", status: str = "succeeded") -> list[Event]:
    return [
        Event(0, "", "", action, status, "m", place.version, directory=place.directory)
        for place in places
    ]


def behind_gate(place: Place, *verdicts: str) -> list[Event]:
    """A deploy behind a gate, and its verdicts."""
    (switch,) = deploys(place)
    gates = [deploys(place, action="gate", status=status)[0] for status in verdicts]
    return [replace(switch, gated=True), *gates]


def decide(
    events: list[Event],
    *,
    live: Place | None,
    keep: int,
    places: list[Place] | None = None,
    pinned: tuple[str, ...] = (),
    opened: tuple[str, ...] = (),
    left: str | None = None,
) -> list[str]:
    """Each directory (without the ``v``) and why it stays, in the order of the decision."""
    in_use = dict.fromkeys(opened, "open in a process")
    there = [ONE, TWO, THREE, FOUR, FIVE] if places is None else places
    target = history.rollback_target(events, live)
    decided = cleanup.decide(there, events, live, target, pinned, in_use, keep, left)
    return [
        f"{place.directory.removesuffix('_20261120_120000')[1:]}: {why or 'goes'}"
        for place, why in decided
    ]


def test_the_last_good_versions_stay_and_the_oldest_go() -> None:
    assert decide(deploys(ONE, TWO, THREE, FOUR, FIVE), live=FIVE, keep=3) == [
        "1.0.0: goes",
        "2.0.0: goes",
        "3.0.0: one of the 3 good versions kept",
        "4.0.0: rollback target",
        "5.0.0: live",
    ]


def test_nothing_goes_while_there_are_no_more_than_are_kept() -> None:
    decided = decide(deploys(ONE, TWO, THREE, FOUR, FIVE), live=FIVE, keep=5)
    assert not any(line.endswith("goes") for line in decided)


def test_what_was_live_until_now_stays_once_more() -> None:
    events = deploys(ONE, TWO, THREE, FOUR, FIVE)
    decided = decide(events, live=FIVE, keep=1, left=TWO.directory)
    assert decided == [
        "1.0.0: goes",
        "2.0.0: live until now",
        "3.0.0: goes",
        "4.0.0: rollback target",
        "5.0.0: live",
    ]


def test_the_live_version_and_the_rollback_target_stay_beyond_the_number_kept() -> None:
    events = deploys(ONE, TWO, THREE, FOUR, FIVE) + deploys(TWO, action="rollback")
    assert decide(events, live=TWO, keep=1) == [
        "1.0.0: rollback target",
        "3.0.0: goes",
        "4.0.0: goes",
        "5.0.0: goes",
        "2.0.0: live",
    ]


def test_a_pinned_version_and_one_that_a_process_has_open_stay() -> None:
    decided = decide(
        deploys(ONE, TWO, THREE, FOUR, FIVE),
        live=FIVE,
        keep=1,
        pinned=("1.0.0",),
        opened=(TWO.directory,),
    )
    assert decided == [
        "1.0.0: pinned",
        "2.0.0: open in a process",
        "3.0.0: goes",
        "4.0.0: rollback target",
        "5.0.0: live",
    ]


def test_keep_0_keeps_what_is_live_the_rollback_target_and_the_pinned() -> None:
    every = deploys(ONE, TWO, THREE, FOUR, FIVE)
    assert decide(every, live=FIVE, keep=0, pinned=("1.0.0",)) == [
        "1.0.0: pinned",
        "2.0.0: goes",
        "3.0.0: goes",
        "4.0.0: rollback target",
        "5.0.0: live",
    ]
    lost = decide([], live=None, keep=0, places=[ONE, TWO])
    assert lost == ["1.0.0: goes", "2.0.0: goes"]


def test_a_pin_keeps_every_directory_of_its_version() -> None:
    again = place("1.0.0", "20261121_120000")
    decided = decide(
        deploys(ONE, again, TWO), live=TWO, keep=1, places=[again, TWO, ONE], pinned=("1.0.0",)
    )
    assert decided == [
        "1.0.0: pinned",
        "1.0.0_20261121_120000: rollback target",
        "2.0.0: live",
    ]


@pytest.mark.parametrize(
    "failed",
    [
        pytest.param(deploys(FOUR, status="failed"), id="before the switch"),
        pytest.param(deploys(FOUR) + deploys(FOUR, action="reject"), id="after the switch"),
        pytest.param(behind_gate(FOUR, "failed"), id="its gate"),
        pytest.param([], id="of which nothing is known"),
    ],
)
def test_a_directory_that_failed_goes_first_and_takes_no_good_ones_place(
    failed: list[Event],
) -> None:
    events = deploys(ONE, TWO, THREE) + failed + deploys(FIVE)
    assert decide(events, live=FIVE, keep=3) == [
        "4.0.0: goes",
        "1.0.0: goes",
        "2.0.0: one of the 3 good versions kept",
        "3.0.0: rollback target",
        "5.0.0: live",
    ]


def test_the_rollback_target_stays_while_the_live_version_waits_for_its_gate() -> None:
    events = deploys(ONE, TWO) + behind_gate(THREE) + behind_gate(FIVE)
    assert decide(events, live=FIVE, keep=1, places=[ONE, TWO, THREE, FIVE]) == [
        "1.0.0: goes",
        "2.0.0: rollback target",
        "3.0.0: goes",
        "5.0.0: live",
    ]
    passed = events + deploys(THREE, FIVE, action="gate")
    assert decide(passed, live=FIVE, keep=2, places=[ONE, TWO, THREE, FIVE]) == [
        "1.0.0: goes",
        "2.0.0: goes",
        "3.0.0: rollback target",
        "5.0.0: live",
    ]


def test_behind_a_gate_nothing_goes_before_the_verdict(shipped: Workbench) -> None:
    (shipped.repo / "params.yaml").write_text("tagship: {keep: 1, auto_cleanup: false}\n")
    shipped.release("model 3\n")
    outcome = shipped.manager.deploy()
    assert outcome.event is not None
    waits = replace(outcome, event=replace(outcome.event, gated=True))
    host = shipped.manager.host
    assert cleanup.after(host, waits) == waits
    assert len(host.store(MODEL).directories()) == 3
    assert len(cleanup.after(host, outcome).removed) == 1


def test_the_order_is_that_of_the_history_and_never_of_the_names() -> None:
    old, new, newest = place("1.9.0"), place("1.10.0"), place("1.11.0", "20200101_000000")
    decided = decide(deploys(old, new, newest), live=newest, keep=1, places=[newest, new, old])
    assert decided == ["1.9.0: goes", "1.10.0: rollback target", "1.11.0_20200101_000000: live"]


def test_a_version_that_is_gone_takes_no_place() -> None:
    events = deploys(ONE, TWO, THREE, FOUR, FIVE)
    assert decide(events, live=FIVE, keep=3, places=[ONE, TWO, THREE, FIVE]) == [
        "1.0.0: goes",
        "2.0.0: one of the 3 good versions kept",
        "3.0.0: one of the 3 good versions kept",
        "5.0.0: live",
    ]


def test_what_is_live_by_hand_stays() -> None:
    decided = decide(deploys(ONE, TWO, THREE, FOUR), live=FIVE, keep=1)
    assert decided == [
        "5.0.0: live",
        "1.0.0: goes",
        "2.0.0: goes",
        "3.0.0: goes",
        "4.0.0: rollback target",
    ]


def test_where_nothing_is_live_the_last_good_version_stays_to_go_back_to() -> None:
    decided = decide(deploys(ONE, TWO), live=None, keep=1, places=[ONE, TWO])
    assert decided == ["1.0.0: goes", "2.0.0: rollback target"]
