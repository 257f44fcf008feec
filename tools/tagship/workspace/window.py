"""When something new may go live by itself: days and hours of the week, in UTC.

In UTC, as an hour of local time comes twice in a night of autumn, and not at all in one of spring.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from tagship.text.table import Table

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK = timedelta(days=7)
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True)
class Window:
    """On each of some days it opens at ``start``, for ``length``, which may go past midnight.

    Attributes:
        days: those on which it opens, 0 for Monday.
        start: a time of the day in UTC.
        length: more than nothing, at most a week.
    """

    days: frozenset[int]
    start: time
    length: timedelta

    def is_open(self, now: datetime) -> bool:
        """Whether it is open at a moment; the moment of its end is outside."""
        return any(begin <= now < begin + self.length for begin in self._starts(now))

    def opens_at(self, now: datetime) -> datetime:
        """The first moment from ``now`` on at which it is open."""
        if self.is_open(now):
            return now
        return next(begin for begin in self._starts(now) if begin > now)

    def _starts(self, now: datetime) -> list[datetime]:
        """Each of its beginnings from a week before a moment to a week after it."""
        today = datetime.combine(now.astimezone(UTC).date(), self.start, UTC)
        dates = (today + timedelta(days=day) for day in range(-8, 8))
        return [begin for begin in dates if begin.weekday() in self.days]


def parse(value: object, key: str, file: str) -> Window:
    """The window in a table of tagship.toml. Pure.

    Args:
        value: as ``tomllib`` read it.
        key: of the table, such as ``window``.
        file: where it stands, for errors.

    Raises:
        Refused: an unknown key, or a value that may not be; or it never opens.
    """
    table = Table.of(value, key, file, ("days", "start", "length"))
    for name in ("start", "length"):
        if name not in table.values:
            raise table.wrong(name, 'a window has a start, "07:00" in UTC, and a length, "9h"')
    seconds = table.duration("length", 0, shortest=60, longest=WEEK.total_seconds())
    return Window(_days(table), _start(table), timedelta(seconds=seconds))


def _days(table: Table) -> frozenset[int]:
    """Every day, where none are named."""
    names = table.values.get("days", list(DAYS))
    if not isinstance(names, list) or not names or not all(name in DAYS for name in names):
        raise table.wrong("days", "give at least one of " + ", ".join(DAYS))
    return frozenset(DAYS.index(name) for name in names)


def _start(table: Table) -> time:
    given = table.values["start"]
    if isinstance(given, time) and given.tzinfo is None:  # a local time of TOML: 07:00:00
        return given
    match = _TIME.fullmatch(str(given))
    if match is None:
        raise table.wrong("start", 'give a time of the day in UTC: "07:00"')
    return time(int(match[1]), int(match[2]))
