"""The form and the bounds of each setting, for the command line, programs and workers alike."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tagship.errors import Refused
from tagship.registry.refs import Ref

ANY = "*"
ISOLATION = ("auto", "process", "thread")
MOST = 1 << 62  # of a count or of bytes
LONGEST = 1e6  # seconds of any wait: eleven days
_NAME = re.compile(r"[^\s/:*@\[\]]+")  # of a host, if it is no address


@dataclass(frozen=True)
class Bound:
    """What a setting may be: ``read`` brings it into its form or raises, ``words`` say the same."""

    read: Callable[[Any], Any]
    words: str


def read(name: str, value: Any) -> Any:
    """A setting in its form.

    Raises:
        Refused, InvalidName: no server can have that value.
    """
    bound = _BOUNDS[name]
    try:
        return bound.read(value)
    except (TypeError, ValueError):
        raise Refused(f"{name} cannot be {value!r}", f"{name} is {bound.words}") from None


def check_name(name: str) -> str:
    """A name that requests may have in the header ``Host``, whose port is never compared.

    Raises:
        Refused: no request has such a name.
    """
    if name == ANY or _NAME.fullmatch(name) or _is_address(name):
        return name
    if not name.strip():
        raise Refused("an empty name allows no Host", "--allow-host '*' allows any")
    if ANY in name:
        raise Refused(
            f"{name!r} is a pattern: names are compared whole", "--allow-host '*' allows any"
        )
    raise Refused(f"{name!r} is a URL or has a port: give the name alone", "--allow-host NAME")


def _is_address(name: str) -> bool:
    try:
        ip_address(_bare(name))
    except ValueError:
        return False
    return True


def _bare(host: str) -> str:
    """An address without the brackets that it has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(value)
    return value


def _each(value: Any, kind: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Those of a list, each once; or the only one, given as text."""
    values = (value,) if isinstance(value, str) else tuple(value)
    return tuple(dict.fromkeys(map(kind, values)))


def _model(value: Any) -> str:
    model, at, version = _text(value).partition("@")
    if at:
        raise Refused(
            f"what is live of {model} is served, and not a version that is named",
            f"tagship serve {model} --challenger {model}@{version} serves that beside it",
        )
    return model


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return check_name(value)


def _challenger(value: Any) -> tuple[str, str]:
    """A model and a version: as ``MODEL@VERSION``, or as a pair."""
    if isinstance(value, str):
        if "@" not in value:
            raise ValueError(value)
        ref = Ref.parse(value)
        value = (ref.model, str(ref.wanted).removeprefix("@"))
    model, version = map(_text, value)
    return model, version


def _one_of(values: tuple[Any, ...]) -> Bound:
    def chosen(value: Any) -> Any:
        return values[values.index(value)]

    return Bound(chosen, "one of " + ", ".join(map(str, values)))


def _number(least: int, most: int = MOST) -> Bound:
    def number(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(value)
        return value

    words = (
        f"a whole number from {least} on" if most == MOST else f"a number from {least} to {most}"
    )
    return Bound(number, words)


def _seconds(least: float) -> Bound:
    def seconds(value: Any) -> float:
        if isinstance(value, bool) or not least <= value <= LONGEST:  # NaN is refused too
            raise ValueError(value)
        return float(value)

    return Bound(seconds, f"seconds, from {least:g} on")


_PATH = Bound(Path, "a path")
_WAIT = _seconds(0.001)
_COUNT = _number(1)
_BOUNDS = {
    "models": Bound(lambda value: _each(value, _model), "a list of names"),
    "start": _PATH,
    "root": _PATH,
    "host": Bound(lambda value: _bare(_text(value)), "a name or an address"),
    "port": _number(0, 65535),
    "workers": _number(1, 256),
    "isolate": _one_of(ISOLATION),
    "challengers": Bound(lambda value: _each(value, _challenger), "a list of MODEL@VERSION"),
    "allow_hosts": Bound(lambda value: _each(value, _name), "a list of names"),
    "token_file": _PATH,
    "access_log": Bound(lambda value: str(Path(value)), "a path, or - for standard output"),
    "audit": _PATH,
    "audit_inputs": _one_of((True, False)),
    "max_body": _COUNT,
    "max_bodies": _COUNT,
    "max_rows": _COUNT,
    "request_timeout": _WAIT,
    "header_timeout": _WAIT,
    "body_timeout": _WAIT,
    "idle_timeout": _WAIT,
    "stop_timeout": _seconds(0),
    "max_connections": _COUNT,
    "threads": _COUNT,
    "poll": _WAIT,
}
