"""The roster: which hosts there should be. A text file with a name in each line."""

from pathlib import Path

from tagship.disk import access
from tagship.errors import Corrupt, TagshipError, Unavailable
from tagship.progress import Tell
from tagship.text import escape
from tagship.workspace import reports

LONGEST = 1 << 20  # bytes


def read(path: Path) -> frozenset[str]:
    """The names in a roster; ``#`` begins a comment.

    Raises:
        Unavailable: it cannot be read.
        Corrupt: it has something else than names of hosts.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except OSError as error:
        what, hint = access.explain(error)
        if isinstance(error, FileNotFoundError):
            hint = f"write it, a name of a host in each line; or name another file: {path}"
        raise Unavailable(f"the roster cannot be read: {what}", hint) from None
    names = set()
    for number, line in enumerate(data[:LONGEST].decode(errors="replace").splitlines(), 1):
        name = line.partition("#")[0].strip()
        if name and not reports.is_host(name):
            what = f"{path}, line {number}: {escape.line(name)[:80]!r} is no name of a host"
            raise Corrupt(what, "one name in each line, as name in the host's tagship.toml")
        names.add(name)
    if len(data) > LONGEST:
        raise Corrupt(f"{path} is longer than {LONGEST} bytes", "one name in each line")
    return frozenset(names - {""})


def names(path: Path | None, tell: Tell) -> tuple[str, ...]:
    """The same in order, for a pass, which goes on without: none where it cannot be read."""
    if path is None:
        return ()
    try:
        return tuple(sorted(read(path)))
    except TagshipError as error:
        tell(error.message)
        return ()


def warn(path: Path | None, host: str, tell: Tell) -> None:
    """Tell where this host is not in the roster."""
    known = names(path, tell)
    if known and host not in known:
        tell(f"this host is {host}, and the roster {path} does not have it")
