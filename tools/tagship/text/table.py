"""A table of a TOML file that a person wrote: its values checked, and what is wrong named."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Self

from tagship.errors import Refused
from tagship.text import choose, redact, words


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        values: what it has, as ``tomllib`` read it.
        key: its own key, such as ``follow.churn.gate``.
        file: where it stands, for errors.
    """

    values: Mapping[str, Any]
    key: str
    file: str

    @classmethod
    def of(cls, value: object, key: str, file: str, known: tuple[str, ...] | None) -> Self:
        """A table that has only keys that are known; any keys where ``known`` is None.

        Raises:
            Refused: it is no table, or has another key.
        """
        if not isinstance(value, Mapping):
            what = f"{key} in {file} may not be {shown(value)}"
            raise Refused(what, ": ".join(["write it as a table", *_listed(known)]))
        for name in value:
            if known is not None and name not in known:
                where = f"{key} in {file}" if key else file
                raise Refused(f"{where} has an unknown key {name!r}", choose.near(name, known))
        return cls(value, key, file)

    def wrong(self, name: str, hint: str) -> Refused:
        """The error of a value that may not be."""
        what = f"{'.'.join(filter(None, (self.key, name)))} in {self.file}"
        if name not in self.values:
            return Refused(f"{what} is missing", hint)
        return Refused(f"{what} may not be {shown(self.values[name])}", hint)

    def duration(self, name: str, default: float, *, shortest: float, longest: float) -> float:
        """Seconds.

        Raises:
            Refused: it is no duration, or not within these.
        """
        if name not in self.values:
            return default
        seconds = words.seconds_in(self.values[name])
        if seconds is None or not shortest <= seconds <= longest:
            least, most = words.duration(shortest), words.duration(longest)
            raise self.wrong(name, f'give a duration from {least} to {most}, such as "5s" or "2m"')
        return seconds


def shown(value: object) -> str:
    """A wrong value for an error, as a file has it: without a secret, and not at any length."""
    text = redact.text(_written(value))
    return text if len(text) <= 100 else text[:99] + "…"


def _written(value: object) -> str:
    """``true``, ``null`` and dates in the words of TOML and YAML, not in those of Python."""
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    return repr(value)


def _listed(known: tuple[str, ...] | None) -> list[str]:
    return [", ".join(known)] if known else []
