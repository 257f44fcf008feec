"""Times as text: ISO 8601 in UTC."""

import re
from datetime import UTC, datetime, timedelta

from tagship.errors import InvalidName


def moment(text: str) -> datetime:
    """Parse ISO 8601; a date alone is its beginning, and the default zone is UTC.

    Raises:
        InvalidName: the text is not a date.
    """
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        hint = "give it as 2026-11-20 or 2026-11-20T12:00Z"
        raise InvalidName(f"{text!r} is not a date", hint) from None
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:  # before the year 1, or after 9999
        raise InvalidName(f"{text!r} is not a date in UTC", "give a year of our time") from None


def span(text: str) -> tuple[datetime, datetime]:
    """The day, the hour, the minute or the second that a text means: its begin, and its end.

    Raises:
        InvalidName: as for ``moment``.
    """
    begin, (_, *rest) = moment(text), re.split(r"[T ]", text, maxsplit=1)
    digits = len(re.sub(r"[Z+-].*|\D", "", rest[0])) if rest else 0
    lengths = {0: timedelta(days=1), 2: timedelta(hours=1), 4: timedelta(minutes=1)}
    return begin, begin + lengths.get(digits, timedelta(seconds=1))


def now() -> datetime:
    """The time in UTC. All of tagship uses this clock."""
    return datetime.now(UTC)


def fine(moment: datetime) -> str:
    """As ``stamp``, to the millisecond: ``2026-11-23T05:31:22.000Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second: ``2026-11-23T05:31:22Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z"
