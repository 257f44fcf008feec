"""Whole numbers in text that anybody may have written: Python reads no more than 4,300 digits."""

TOO_LONG = "a number in it has more digits than anybody would write"


def is_too_long(error: ValueError) -> bool:
    """Whether that is the error: its own words tell of Python's ``sys``."""
    return str(error).startswith("Exceeds the limit")
