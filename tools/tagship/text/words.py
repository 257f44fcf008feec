"""Sizes, counts, times and numbers as text for people."""

import re
from typing import Any


def size(total: int | None) -> str:
    """Bytes for people, (1 MB is 10^6 bytes); ``-`` if unknown."""
    return "-" if total is None else of_bytes(total)


def count(number: int, noun: str) -> str:
    """``1 object``, ``2 objects``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def moment(text: str) -> str:
    """``2026-11-23T05:31:22Z`` as ``2026-11-23 05:31:22``."""
    return text.replace("T", " ").removesuffix("Z")


def figure(value: Any) -> str:
    """A metric for people."""
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def bytes_in(text: object) -> int | None:
    """The bytes that a text such as ``5 GB`` means; None if it is no such text."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) ?(B|kB|MB|GB|TB)", str(text))
    return round(float(found[1]) * UNITS[found[2]]) or None if found else None


def of_bytes(total: int) -> str:
    """Bytes for people (1 MB is 10^6 bytes)."""
    if total < 1000:
        return f"{total} B"
    number = float(total)
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.95 or unit == "TB":
            break
    return f"{number:.1f} {unit}"


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_in(value: object) -> float | None:
    """The seconds that ``5s``, ``2m``, ``1.5h``, ``7d`` or a number mean; None if it is neither."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if 0 <= value < float("inf") else None
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([smhd])", str(value))
    return float(match[1]) * SECONDS[match[2]] if match else None


def duration(seconds: float) -> str:
    """Seconds in the largest unit that fits: ``90s``, ``2m``; ``seconds_in`` reads it."""
    unit = next((unit for unit in ("d", "h", "m") if seconds and seconds % SECONDS[unit] == 0), "s")
    return f"{round(seconds / SECONDS[unit], 6):.15g}{unit}"
