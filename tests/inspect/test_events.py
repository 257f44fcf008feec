"""Questions to the history: what was live when and why; events since, of a kind, of all models."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tagship.errors import Corrupt, InvalidName
from tagship.host import actions, history
from tagship.host.history import Event, Place
from tagship.text import clock
from tests.workbench import Workbench

DAY = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def event(seq: int, action: str, version: str, hour: float, status: str = "succeeded") -> Event:
    """An event at an hour of the day; it takes 36 seconds, which is a hundredth of an hour."""
    at = clock.stamp(DAY + hour * HOUR)
    return Event(
        seq, f"20261120_{seq:06}", at, action, status, "m", version,
        directory=f"v{version}_20261120_{seq:06}", duration_s=36,
    )  # fmt: skip


STORY = [
    event(1, "deploy", "1.0.0", 8),
    event(2, "deploy", "1.1.0", 10),
    event(3, "deploy", "1.2.0", 11, status="failed"),
    event(4, "pin", "1.0.0", 12),
    event(5, "rollback", "1.0.0", 14),
]


@pytest.mark.parametrize(
    ("hour", "version"),
    [
        (7.99, None),
        (8.0, None),  # it began, and was not live yet
        (8.01, "1.0.0"),
        (10.0, "1.0.0"),
        (10.01, "1.1.0"),
        (11.5, "1.1.0"),  # a deploy that failed changed nothing
        (14.0, "1.1.0"),
        (14.01, "1.0.0"),
        (23, "1.0.0"),
    ],
)
def test_what_was_live_then(hour: float, version: str | None) -> None:
    period = history.live_at(STORY, DAY + hour * HOUR)
    assert (period.place.version if period else None) == version


def test_the_periods_follow_each_other() -> None:
    periods = history.periods(STORY)
    assert [(period.place.version, period.event.seq) for period in periods] == [
        ("1.0.0", 1), ("1.1.0", 2), ("1.0.0", 5)
    ]  # fmt: skip
    assert [period.until for period in periods] == [periods[1].since, periods[2].since, None]


def test_a_rejected_version_was_live_until_its_rejection_and_then_nothing_was() -> None:
    rejected = [event(1, "deploy", "1.0.0", 8)]
    rejected.append(
        Event(2, "b", clock.stamp(DAY + 9 * HOUR), "reject", "succeeded", "m", "1.0.0",
              directory=rejected[0].directory)
    )  # fmt: skip
    assert [period.until for period in history.periods(rejected)] == [DAY + 9 * HOUR]
    assert history.live_at(rejected, DAY + 8.5 * HOUR) is not None
    assert history.live_at(rejected, DAY + 9 * HOUR) is None


@pytest.mark.parametrize(("status", "ended"), [("succeeded", True), ("failed", False)])
def test_a_version_was_live_until_it_was_undeployed(status: str, ended: bool) -> None:
    at = clock.stamp(DAY + 20 * HOUR)
    story = [*STORY, Event(6, "b", at, "undeploy", status, "m")]
    assert history.periods(story)[-1].until == (DAY + 20 * HOUR if ended else None)
    assert (history.live_at(story, DAY + 21 * HOUR) is None) is ended


def test_a_clock_that_went_back_does_not_change_the_order() -> None:
    story = [event(1, "deploy", "1.0.0", 12), event(2, "deploy", "1.1.0", 11)]
    assert [period.place.version for period in history.periods(story)] == ["1.0.0", "1.1.0"]
    period = history.live_at(story, DAY + 13 * HOUR)
    assert period is not None
    assert period.place == Place("1.1.0", "v1.1.0_20261120_000002")


def test_an_event_whose_date_is_none_is_told() -> None:
    broken = [Event(1, "a", "yesterday", "deploy", "succeeded", "m", "1.0.0", directory="v")]
    for ask in (history.periods, lambda events: list(history.choose(events, DAY))):
        with pytest.raises(Corrupt, match="event 1 has 'yesterday' for a date"):
            ask(broken)


@pytest.mark.parametrize("duration", ["x", None, 1e300, float("nan"), [1]])
def test_an_event_whose_duration_is_none_is_told(duration: float) -> None:
    broken = [replace(STORY[0], duration_s=duration)]
    with pytest.raises(Corrupt, match="for a duration in seconds"):
        history.periods(broken)


def test_events_are_chosen_by_when_they_began_and_by_what_they_are() -> None:
    def seqs(since: datetime | None, *actions: str) -> list[int]:
        return [event.seq for event in history.choose(STORY, since, actions)]

    assert seqs(None) == [1, 2, 3, 4, 5]
    assert seqs(DAY + 10 * HOUR) == [2, 3, 4, 5]
    assert seqs(None, "deploy") == [1, 2, 3]
    assert seqs(DAY + 11 * HOUR, "deploy", "pin") == [3, 4]
    assert seqs(DAY + 15 * HOUR) == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20", DAY),
        ("2026-11-20T12:00", DAY + 12 * HOUR),
        ("2026-11-20T12:00Z", DAY + 12 * HOUR),
        ("2026-11-20 12:00:30", DAY + 12 * HOUR + timedelta(seconds=30)),
        ("2026-11-20T12:00+02:00", DAY + 10 * HOUR),
    ],
)
def test_a_moment_is_utc_where_it_names_no_zone(text: str, moment: datetime) -> None:
    assert clock.moment(text) == moment
    assert clock.moment(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "12:00", "2026-13-01", "2026-11-20T25:00"])
def test_what_is_no_moment_is_told(text: str) -> None:
    with pytest.raises(InvalidName) as caught:
        clock.moment(text)
    assert caught.value.message == f"{text!r} is not a date"
    assert caught.value.hint == "give it as 2026-11-20 or 2026-11-20T12:00Z"


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00"])
def test_a_moment_that_utc_does_not_have_is_told(text: str) -> None:
    with pytest.raises(InvalidName, match="is not a date in UTC"):
        clock.moment(text)


def test_an_empty_history_of_a_model_that_is_gone_is_no_event(shipped: Workbench) -> None:
    ghost = shipped.repo / "models" / "ghost"
    ghost.mkdir()
    (ghost / history.FILE_NAME).write_text("[]\n")
    result = shipped.cli("history", "--all")
    assert (result.code, "ghost" in result.out) == (0, False)


@pytest.mark.parametrize("command", ["why churn@1.0", "history churn@1.0", "report churn@1.0"])
def test_a_version_is_not_taken_where_it_would_mean_nothing(
    shipped: Workbench, command: str
) -> None:
    result = shipped.cli(*command.split())
    assert result.code == 2
    assert "name the model alone: churn" in result.err


def test_the_actions_of_the_command_line_are_those_of_the_history(shipped: Workbench) -> None:
    error = shipped.cli("history", "churn", "--action", "delete").err
    assert error.endswith(f" is not one of {', '.join(map(repr, actions.ACTIONS))}.\n")


@pytest.fixture
def recorded(shipped: Workbench) -> Workbench:
    """1.0.0 and 1.1.0 deployed, gone back to 1.0.0, at hours of our own; ``wine`` deployed."""
    shipped.manager.rollback_to_version(reason="wrong on snow")
    path = shipped.folder / history.FILE_NAME
    values = json.loads(path.read_bytes())
    for hour, value in zip((8, 10, 14), values, strict=True):
        value.update(
            id=f"20261120_{hour:02}0000", at=f"2026-11-20T{hour:02}:00:00Z", duration_s=0.5,
            actor="ada", host="edge-1",
        )  # fmt: skip
    path.write_text(json.dumps(values))
    wine = shipped.repo / "models" / "wine"
    wine.mkdir()
    (wine / history.FILE_NAME).write_text(
        json.dumps([{**values[0], "model": "wine", "at": "2026-11-20T09:00:00Z"}])
    )
    return shipped


def test_what_was_live_and_why(recorded: Workbench) -> None:
    assert recorded.cli("history", "churn", "--at", "2026-11-20T12:00Z").out == (
        "churn: 1.1.0 was live at 2026-11-20 12:00:00 UTC\n"
        "  since 2026-11-20 10:00:00, until 2026-11-20 14:00:00\n"
        "  deploy 20261120_100000 by ada on edge-1\n"
    )
    assert recorded.cli("history", "churn", "--at", "2026-11-20T15:00").out == (
        "churn: 1.0.0 was live at 2026-11-20 15:00:00 UTC\n"
        "  since 2026-11-20 14:00:00, and is live still\n"
        "  rollback 20261120_140000 by ada on edge-1: wrong on snow\n"
    )
    assert recorded.cli("history", "churn", "--at", "2026-11-20").out == (
        "churn: nothing was live here at 2026-11-20 00:00:00 UTC\n"
    )


def test_what_was_live_of_all_models_one_of_which_is_declared_no_more(recorded: Workbench) -> None:
    result = recorded.cli("history", "--all", "--at", "2026-11-20T09:30", "--json")
    assert [
        (
            answer["model"],
            answer["moment"],
            answer["period"]["place"]["version"],
            answer["period"]["since"],
        )
        for answer in json.loads(result.out)
    ] == [
        ("churn", "2026-11-20T09:30:00Z", "1.0.0", "2026-11-20T08:00:00Z"),
        ("wine", "2026-11-20T09:30:00Z", "1.0.0", "2026-11-20T09:00:00Z"),
    ]


def test_the_events_of_all_models_stand_by_time(recorded: Workbench) -> None:
    lines = recorded.cli("history", "--all").out.splitlines()
    assert lines[0].split("\t")[:3] == ["MODEL", "SEQ", "AT (UTC)"]
    assert [line.split("\t")[:3] for line in lines[1:]] == [
        ["churn", "1", "2026-11-20 08:00:00"],
        ["wine", "1", "2026-11-20 09:00:00"],
        ["churn", "2", "2026-11-20 10:00:00"],
        ["churn", "3", "2026-11-20 14:00:00"],
    ]


def test_events_since_and_of_a_kind(recorded: Workbench) -> None:
    def seqs(*options: str) -> list[int]:
        events = json.loads(recorded.cli("history", "churn", "--json", *options).out)
        return [event["seq"] for event in events]

    assert seqs("--since", "2026-11-20T10:00Z") == [2, 3]
    assert seqs("--action", "rollback") == [3]
    assert seqs("--action", "rollback", "--action", "deploy", "--limit", "2") == [2, 3]
    assert seqs("--action", "cleanup") == []
    manager = recorded.manager
    assert [e.seq for e in manager.get_deployment_history(since="2026-11-20T12:00")] == [3]
    assert [e.seq for e in manager.get_deployment_history(1, actions=["deploy"])] == [2]
    then = manager.live_at("2026-11-20T12:00").period
    assert then is not None
    assert then.place.version == "1.1.0"


def test_a_moment_that_has_not_come_is_refused(recorded: Workbench) -> None:
    recorded.refuses(
        "history churn --at 2999-01-01",
        "2999-01-01T00:00:00Z is in the future",
        "what is live now: tagship current churn",
    )


USAGE = [
    (("history",), "name a model, or say --all"),
    (("history", "churn", "--all"), "name a model, or say --all"),
    (("history", "churn", "--at", "2026-11-20", "--limit", "1"), "--at goes with no other"),
    (("history", "churn", "--at", "2026-11-20", "--since", "2026-11-20"), "--at goes with no"),
    (("history", "churn", "--at", "2026-11-20", "--action", "pin"), "--at goes with no other"),
    (("history", "churn", "--at", "noon"), "'noon' is not a date"),
    (("history", "churn", "--since", "noon"), "'noon' is not a date"),
    (("history", "churn", "--action", "undo"), "'undo' is not one of"),
]


@pytest.mark.parametrize(("command", "error"), USAGE)
def test_a_question_that_makes_no_sense_is_wrong_usage(
    shipped: Workbench, command: tuple[str, ...], error: str
) -> None:
    result = shipped.cli(*command)
    assert (result.code, result.out) == (2, "")
    assert error in result.err


def test_thousands_of_events_are_told_all_the_same(shipped: Workbench) -> None:
    path = shipped.folder / history.FILE_NAME
    last = json.loads(path.read_bytes())[-1]
    many = [{**last, "seq": seq, "id": f"2{seq:07}_000000"} for seq in range(1, 5001)]
    path.write_text(json.dumps(many))
    assert len(shipped.cli("history", "churn").out.splitlines()) == 5001
    assert shipped.cli("history", "churn", "--limit", "1").out.splitlines()[1].startswith("5000\t")
