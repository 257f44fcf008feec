"""Sizes, counts, times and numbers as text for people."""

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
