"""The history: what it says may be rolled back to, and its file."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.host import history, link
from tagship.host.history import Event, Place

AT = "2026-11-20T12:00:00Z"


def place(text: str) -> Place:
    """``2`` is version 2.0.0 in the directory a; ``2b`` is the same version in another one."""
    return Place(f"{text[0]}.0.0", f"v{text[0]}.0.0_{text[1:] or 'a'}")


def events(story: str) -> list[Event]:
    """Events from a story: ``+1`` deploy, ``-1`` rollback to 1, ``x`` instead where it failed,

    ``!1`` rejected after the switch, ``~1`` cleaned up, ``0`` undeployed; ``?1`` a deploy and
    ``-?1`` a rollback behind a gate, ``^1`` it passed.
    """
    kinds = {
        "+": ("deploy", "succeeded"),
        "-": ("rollback", "succeeded"),
        "x+": ("deploy", "failed"),
        "x-": ("rollback", "failed"),
        "!": ("reject", "succeeded"),
        "~": ("cleanup", "succeeded"),
        "0": ("undeploy", "succeeded"),
        "x0": ("undeploy", "failed"),
        "?": ("deploy", "succeeded"),
        "-?": ("rollback", "succeeded"),
        "^": ("gate", "succeeded"),
        "x^": ("gate", "failed"),
    }
    past = []
    for seq, word in enumerate(story.split(), 1):
        sign = word if word in kinds else word.rstrip("0123456789ab")
        (action, status), where = kinds[sign], place(word.removeprefix(sign) or "9")
        past.append(
            Event(
                seq, f"20261120_{seq:06}", AT, action, status, "m", where.version,
                directory=where.directory, gated=True if "?" in word else None,
            )
        )  # fmt: skip
    return past


def short(places: Sequence[Place | None]) -> str:
    """Places as in a story."""
    return " ".join(
        f"{place.version[0]}{place.directory[-1].replace('a', '')}" if place else "none"
        for place in places
    )


@pytest.mark.parametrize(
    ("story", "left"),
    [
        ("", False),
        ("+1 +2", False),
        ("+1 +2 -1", True),
        ("+1 +2 -1 +3", True),
        ("+1 +2 -1 +2", False),
        ("+1 +2 x-1", False),
        ("+1 +2 +3 -2", False),
        ("+1 +2 +3 -2 -1", True),
    ],
)
def test_what_a_rollback_left(story: str, left: bool) -> None:
    past: list[Event] = []
    live: Place | None = None
    for event in events(story):
        past.append(replace(event, previous=live))
        live = event.place if event.switched else live
    rollback = history.left_by_rollback(past, "2.0.0")
    assert (rollback is not None) == left
    assert rollback is None or rollback.action == "rollback"


@pytest.mark.parametrize(
    ("story", "live", "line", "target"),
    [
        ("", None, "", "none"),
        ("+1", "1", "1", "none"),
        ("+1 +2", "2", "1 2", "1"),
        ("+1 +2 +3", "3", "1 2 3", "2"),
        ("+1 +2 +3 -2", "2", "1 2", "1"),
        ("+1 +2 +3 -2 -1", "1", "1", "none"),
        ("+1 +2 +3 -1", "1", "1", "none"),
        ("+1 +2 +3 +4 -2", "2", "1 2", "1"),
        # forward again
        ("+1 +2 +3 -2 +4", "4", "1 2 4", "2"),
        ("+1 +2 +3 -2 +3", "3", "1 2 3", "2"),
        ("+1 +2 +3 -2 -3", "3", "1 2 3", "2"),
        ("+1 +2 +3 -1 +4", "4", "1 4", "1"),
        # what failed is no target
        ("+1 x+2 +3", "3", "1 3", "1"),
        ("+1 +2 x+3", "2", "1 2", "1"),
        ("+1 +2 +3 x-2", "3", "1 2 3", "2"),
        # nor what was rejected, until it is deployed again
        ("+1 +2 !2 -1", "1", "1", "none"),
        ("+1 +2 !2 -1 +3", "3", "1 3", "1"),
        ("+1 +2 !2 -1 +2b +3", "3", "1 2b 3", "2b"),
        ("+1 +2 +3 -2 !2 -3", "3", "1 3", "1"),
        ("+1 !1", None, "", "none"),
        # the same version again, in another directory
        ("+1 +2 +2b", "2b", "1 2 2b", "1"),
        ("+1 +2 +3 +2b", "2b", "1 2 3 2b", "3"),
        ("+1 +2 +3 -2b", "2b", "1 2b", "1"),
        ("+1 +2 +1", "1", "1 2 1", "2"),
        ("+1 +2 +1 -2", "2", "2", "none"),  # 1 was just rolled back, so it is no target
        ("+1 +2 +1 +2 -1", "1", "1 1", "none"),
        ("+3 +1 +2 +1 +2 -1", "1", "3 1 1", "3"),
        ("+1 +2 +3 +1 +3 -1", "1", "1 2 1", "2"),
        ("+1 +2 +1b +3 -1b", "1b", "1 2 1b", "2"),
        # the directory of the target is gone: it is the target still
        ("+1 +2 ~1", "2", "1 2", "1"),
        # the link was changed by hand
        ("+1 +2 +3", "1", "1 2 3", "none"),
        ("+1 +2 +3", "2", "1 2 3", "1"),
        ("+1 +2 +3", "9", "1 2 3", "3"),
        ("+1 +2 +3", None, "1 2 3", "3"),
        # what waits for its gate is live, but no target
        ("?1", "1", "1", "none"),
        ("?1 ^1", "1", "1", "none"),
        ("+1 ?2", "2", "1 2", "1"),
        ("+1 ?2 ?3", "3", "1 3", "1"),
        ("+1 ?2 ^2 ?3", "3", "1 2 3", "2"),
        ("+1 ?2 +3 ^2", "3", "1 2 3", "2"),
        ("?1 ?2", "2", "2", "none"),
        ("+1 ?2 ?3", "2", "1 3", "1"),  # the link was changed by hand
        ("+1 ?2", None, "1 2", "2"),  # it was lost: what was live should be
        ("+1 ?2 +3 !3", None, "1", "1"),
        # nor is what failed it
        ("+1 ?2 x^2", "2", "1 2", "1"),
        ("+1 ?2 x^2 -1", "1", "1", "none"),
        ("+1 ?2 x^2 +3", "3", "1 3", "1"),
        ("+1 +2 ?3 x^3 -?2", "2", "1 2", "1"),
        ("+1 ?2 x^2 +3 -2", "2", "1 2", "1"),  # by hand, without a gate
        ("+1 ?2 ^2 ?3 x^3 -?2 x^2 -1", "1", "1", "none"),
        ("+1 ?2 ^2 x^2 +3", "3", "1 3", "1"),
        ("+1 ?2 x^2 ^2 +3", "3", "1 2 3", "2"),  # the last verdict counts
        # what was good stays so while its gate has no new verdict
        ("+1 +2 -?1 +3", "3", "1 3", "1"),
        ("?1 ^1 +2 -?1 +3", "3", "1 3", "1"),
        ("?1 ?2 -?1 +3", "3", "3", "none"),
        # an unproven one that is gone back to by name cuts the line
        ("+1 ?2 +3 +4 -?2", "2", "1 2", "1"),
    ],
)
def test_a_rollback_goes_to_the_last_good_version_before_the_live_one(
    story: str, live: str | None, line: str, target: str
) -> None:
    past = events(story)
    assert short(history.good(past)) == line
    assert short([history.rollback_target(past, place(live) if live else None)]) == target


@pytest.mark.parametrize(
    ("story", "deployed"),
    [
        ("", ""),
        ("+1 +2 +3", "1 2 3"),
        ("+1 +2 +3 -2", "1 3 2"),
        ("+1 +2 -1 +2", "1 2"),
        ("+1 +2 +2b", "1 2 2b"),
        ("+1 x+2 +3 !3 -1", "1"),
        ("+1 +2 !2 -1 +2", "1 2"),
        ("+1 +2 ~1", "1 2"),
        ("+1 ?2 +3", "1 2 3"),
        ("+1 ?2 x^2 -1", "1"),
        ("+1 ?2 ^2", "1 2"),
    ],
)
def test_what_was_ever_good_stands_by_when_it_was_last_live(story: str, deployed: str) -> None:
    assert short(history.deployed(events(story))) == deployed


@pytest.mark.parametrize(
    ("story", "good", "target"),
    [
        ("+1 +2 0", "none", "2"),
        ("+1 +2 0 ~1", "none", "2"),
        ("+1 +2 0 x+2", "none", "2"),
        ("+1 +2 x0", "2", "2"),
        ("+1 +2 0 +1", "1", "1"),
        ("+1 +2 0 -2", "2", "2"),
    ],
)
def test_after_an_undeploy_nothing_should_be_live_and_a_rollback_returns_to_what_was(
    story: str, good: str, target: str
) -> None:
    past = events(story)
    assert short([history.last_good(past)]) == good
    assert short([history.rollback_target(past, None)]) == target


steps = st.tuples(
    st.sampled_from(["+", "-", "x+", "x-", "!", "~", "?", "-?", "^", "x^"]),
    st.sampled_from(["1", "2", "2b", "3"]),
)
stories = st.lists(steps.map("".join), max_size=10).map(" ".join)
places = st.sampled_from(["1", "2", "2b", "3", "9"]).map(place)


@given(stories, st.none() | places)
def test_rollbacks_always_leave_the_live_version_and_come_to_an_end(
    story: str, live: Place | None
) -> None:
    past = events(story)
    for _ in range(len(past) + 1):
        target = history.rollback_target(past, live)
        if target is None:
            return
        assert live is None or target.version != live.version
        past += events(f"-{short([target])}")
        live = target
    pytest.fail("the rollbacks go on and on")


@given(stories)
def test_each_rollback_goes_further_back(story: str) -> None:
    past = events(story)
    line = history.good(past)
    while line:
        target = history.rollback_target(past, line[-1])
        if target is None:
            return
        past += events(f"-{short([target])}")
        shorter = history.good(past)
        rest = iter(line)
        assert all(place in rest for place in shorter)  # in the same order
        assert len(shorter) < len(line)
        assert line[-1].version not in {place.version for place in shorter}  # never back to it
        line = shorter


@given(stories, st.none() | places, st.integers(1, 3))
def test_the_last_events_tell_the_same_as_all_of_them(
    story: str, live: Place | None, recent: int
) -> None:
    past = events(story)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "RECENT", recent)
        from_recent = history.last_good(past), history.rollback_target(past, live)
    line = history.good(past)
    assert from_recent == (line[-1] if line else None, history.rollback_target(past, live))


@pytest.mark.parametrize(
    ("story", "waits"),
    [
        ("", "none"),
        ("+1", "none"),
        ("?1", "1"),
        ("?1 ^1", "none"),
        ("?1 x^1", "none"),  # it is to be rolled back, and not measured again
        ("+1 ?2 x+3", "2"),
        ("?1 ^1 ?2", "2"),
        ("?1 ^1 ?2 ^1", "2"),
        ("?1 ^1 ?2 -?1", "1"),  # it went live again
        ("?1 ^1 +2 -1", "none"),
        ("?1 +2", "none"),
        ("?1 !1", "none"),
        ("?1 0", "none"),
        ("?1 x0 ~2", "1"),
        ("?1 ?2b", "2b"),
    ],
)
def test_what_is_live_and_waits_for_the_verdict_of_its_gate(story: str, waits: str) -> None:
    assert short([history.ungated(events(story))]) == waits


def test_what_did_not_pass_its_gate_is_no_good_version() -> None:
    unproven = history.unproven(events("+1 ?2 ?2b ^2b x^1 +3"))
    assert unproven == {place("1"), place("2")}


def test_the_last_events_are_enough_for_a_host_whose_every_deploy_has_a_gate() -> None:
    """A version that its event made was not live before: its first verdict is all there is."""
    past: list[Event] = []
    for number in range(1, 200):
        identity = f"20261120_{number:06}"
        switch = Event(
            2 * number, identity, AT, "deploy", "succeeded", "m", f"{number}.0.0",
            directory=f"v{number}.0.0_{identity}", gated=True,
        )  # fmt: skip
        passed = replace(switch, id=f"20261121_{number:06}", action="gate", gated=None)
        past += [switch] if number > 196 else [switch, passed]
    end = past[-history.RECENT :]
    assert history.rollback_target(past, past[-1].place) == past[-4].place
    line = history._proven(end, history._line(end, whole=False), past[-1].place, whole=False)
    assert line[-2:] == [past[-4].place, past[-1].place]


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "used", "identity"),
    [
        pytest.param(NOON, [], "20261120_120000", id="free"),
        pytest.param(
            NOON.astimezone(timezone(timedelta(hours=9))), [], "20261120_120000", id="in UTC"
        ),
        pytest.param(
            NOON.replace(microsecond=999_999),
            ["20261120_120000"],
            "20261120_120001",
            id="two in one second",
        ),
        pytest.param(
            NOON,
            ["20261120_120000", "20261120_120001", "20261120_120003"],
            "20261120_120002",
            id="the next free second",
        ),
        pytest.param(NOON, ["20261120_130000"], "20261120_120000", id="a clock that went back"),
        pytest.param(
            NOON.replace(month=12, day=31, hour=23, minute=59, second=59),
            ["20261231_235959"],
            "20270101_000000",
            id="over the year's end",
        ),
    ],
)
def test_a_deployment_id_is_the_first_second_that_is_not_taken(
    now: datetime, used: list[str], identity: str
) -> None:
    assert history.next_id(now, used.__contains__) == identity


@given(
    st.from_regex(r"[0-9]\.[0-9]{1,3}\.0(-rc\.[0-9])?(\+b-7)?", fullmatch=True),
    st.integers(0, 1 << 32),
)
def test_a_directory_name_and_its_version_and_id_are_inverses(text: str, seconds: int) -> None:
    identity = history.next_id(datetime.fromtimestamp(seconds, UTC), lambda _: False)
    name = history.directory_name(text, identity)
    assert (link.version_of(name), history.id_of(name)) == (text, identity)


def test_the_tag_object_of_a_version_is_that_of_its_last_deployment_here() -> None:
    past = [
        Event(**{**vars(event), "tag_object": f"t{event.seq}"})
        for event in events("+1 +2 +1b x+1 ~1")
    ]
    assert history.tag_object_of(past, "1.0.0") == "t3"
    assert history.tag_object_of(past, "3.0.0") is None
