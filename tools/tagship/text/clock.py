"""Times as text: ISO 8601 in UTC."""

from datetime import UTC, datetime

from tagship.errors import InvalidName


def moment(text: str) -> datetime:
    """A moment as ISO 8601 gives it, a date alone being its beginning; UTC where no zone is given.

    Raises:
        InvalidName: the text is not a date.
    """
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        hint = "give it as 2026-11-20 or 2026-11-20T12:00Z"
        raise InvalidName(f"{text!r} is not a date", hint) from None
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:  # before the year 1, or after 9999
        raise InvalidName(f"{text!r} is not a date in UTC", "give a year of our time") from None


def now() -> datetime:
    """The time in UTC; the one clock of tagship."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second: ``2026-11-23T05:31:22Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z"
