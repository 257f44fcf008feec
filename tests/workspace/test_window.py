"""When a window is open, and when it opens next."""

import tomllib
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagship.errors import Refused
from tagship.workspace import window
from tagship.workspace.window import DAYS, WEEK, Window

WORKING = 'days = ["mon", "tue", "wed", "thu"]\nstart = "07:00"\nlength = "9h"\n'


def parsed(text: str) -> Window:
    return window.parse(tomllib.loads(text), "window", "tagship.toml")


def test_a_window_is_read_as_it_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gates.md").read_text(encoding="utf-8")
    table = tomllib.loads(page.split("```toml\n")[2].split("```")[0])["window"]
    assert window.parse(table, "window", "tagship.toml") == parsed(WORKING)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "opens"),
    [
        (WORKING, "2026-11-23 06:59:59", "2026-11-23 07:00"),  # a Monday
        (WORKING, "2026-11-23 07:00", "2026-11-23 07:00"),
        (WORKING, "2026-11-23 15:59:59", "2026-11-23 15:59:59"),
        (WORKING, "2026-11-23 16:00", "2026-11-24 07:00"),
        (WORKING, "2026-11-26 16:00", "2026-11-30 07:00"),  # from Thursday to Monday
        # over midnight: it belongs to the day on which it opens
        ('days = ["sun"]\nstart = "22:00"\nlength = "4h"', "2026-11-23 01:59", "2026-11-23 01:59"),
        ('days = ["sun"]\nstart = "22:00"\nlength = "4h"', "2026-11-23 02:00", "2026-11-29 22:00"),
        ('days = ["mon"]\nstart = "22:00"\nlength = "4h"', "2026-11-23 01:59", "2026-11-23 22:00"),
        # longer than a day
        ('days = ["fri"]\nstart = "18:00"\nlength = "60h"', "2026-11-30 05:59", "2026-11-30 05:59"),
        ('days = ["fri"]\nstart = "18:00"\nlength = "7d"', "2026-11-27 17:59", "2026-11-27 17:59"),
        # every day, where none is named; TOML's own time of a day
        ("start = 07:00:00\nlength = 60", "2026-11-28 07:01", "2026-11-29 07:00"),
    ],
)
def test_a_window_opens(text: str, now: str, opens: str) -> None:
    assert parsed(text).opens_at(at(now)) == at(opens)
    assert parsed(text).is_open(at(now)) is (now == opens)


def test_another_time_zone_is_the_same_moment() -> None:
    moment = datetime(2026, 11, 23, 3, 30, tzinfo=timezone(timedelta(hours=-5)))  # 08:30 in UTC
    assert parsed(WORKING).is_open(moment)


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("", "window.start in tagship.toml is missing",
         'a window has a start, "07:00" in UTC, and a length, "9h"'),
        ('start = "07:00"', "window.length in tagship.toml is missing",
         'a window has a start, "07:00" in UTC, and a length, "9h"'),
        ('days = []\nstart = "07:00"\nlength = "9h"', "window.days in tagship.toml may not be []",
         "give at least one of mon, tue, wed, thu, fri, sat, sun"),
        ('days = ["monday"]\nstart = "07:00"\nlength = "9h"',
         "window.days in tagship.toml may not be ['monday']",
         "give at least one of mon, tue, wed, thu, fri, sat, sun"),
        ('days = "mon"\nstart = "07:00"\nlength = "9h"', "window.days in tagship.toml may not be"
         " 'mon'", "give at least one of mon, tue, wed, thu, fri, sat, sun"),
        ('start = "07:00"\nlength = 0', "window.length in tagship.toml may not be 0",
         'give a duration from 1m to 7d, such as "5s" or "2m"'),
        ('start = "07:00"\nlength = "8d"', "window.length in tagship.toml may not be '8d'",
         'give a duration from 1m to 7d, such as "5s" or "2m"'),
        ('start = "24:00"\nlength = "9h"', "window.start in tagship.toml may not be '24:00'",
         'give a time of the day in UTC: "07:00"'),
        ('start = 7\nlength = "9h"', "window.start in tagship.toml may not be 7",
         'give a time of the day in UTC: "07:00"'),
        ('begin = "07:00"\nlength = "9h"', "window in tagship.toml has an unknown key 'begin'",
         "there are: days, start, length"),
        ('start = "07:00"\nlenght = "9h"', "window in tagship.toml has an unknown key 'lenght'",
         "did you mean length?"),
    ],
)  # fmt: skip
def test_a_window_that_never_opens_or_is_none_is_refused(text: str, what: str, hint: str) -> None:
    with pytest.raises(Refused) as refused:
        parsed(text)
    assert (refused.value.message, refused.value.hint) == (what, hint)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(Refused, match=r"window in tagship\.toml may not be 'always'"):
        window.parse("always", "window", "tagship.toml")


windows = st.builds(
    Window,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.times(),
    st.timedeltas(timedelta(minutes=1), WEEK),
)
moments = st.datetimes(
    datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001
)  # fmt: skip


@given(windows, moments)
def test_it_opens_at_the_first_moment_at_which_it_is_open(week: Window, now: datetime) -> None:
    opens = week.opens_at(now)
    assert now <= opens < now + WEEK
    assert week.is_open(opens)
    if opens > now:
        instant = timedelta(microseconds=1)
        assert not week.is_open(opens - instant)
        between = (opens - now) / 7
        assert not any(week.is_open(now + between * part) for part in range(7))


@given(windows, moments)
def test_it_is_open_where_the_days_and_hours_say(week: Window, now: datetime) -> None:
    """Slowly: each day of the last nine is asked whether its window still lasts."""
    lasts = False
    for back in range(9):
        day = (now - timedelta(days=back)).date()
        begin = datetime.combine(day, week.start, UTC)
        lasts |= day.weekday() in week.days and begin <= now < begin + week.length
    assert week.is_open(now) is lasts


@given(windows, moments)
def test_a_week_later_it_is_the_same(week: Window, now: datetime) -> None:
    assert week.is_open(now) is week.is_open(now + WEEK)
    assert week.opens_at(now + WEEK) == week.opens_at(now) + WEEK


@given(windows)
def test_a_window_is_read_as_it_is_written(week: Window) -> None:
    start = week.start.replace(second=0, microsecond=0)
    minutes = int(week.length.total_seconds() // 60)
    table: dict[str, Any] = {
        "days": [DAYS[day] for day in sorted(week.days)],
        "start": f"{start:%H:%M}",
        "length": f"{minutes}m",
    }
    assert window.parse(table, "window", "tagship.toml") == Window(
        week.days, time(start.hour, start.minute), timedelta(minutes=minutes)
    )
