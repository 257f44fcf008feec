"""How the commands print: text and tables for people, JSON for programs, notes and questions."""

import codecs
import contextlib
import enum
import io
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from tagship.errors import Refused
from tagship.text import escape, words

if TYPE_CHECKING:
    from tagship.host.history import Event
    from tagship.host.metadata import CommitInfo, TagInfo
    from tagship.progress import Progress

Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # heading and rows
Document = Sequence[str | Table]  # lines of text, and tables
LONGEST = 60  # letters of a value in a table; JSON has it whole
UNWRITTEN = 74  # the exit code of it: EX_IOERR of <sysexits.h>
_done: deque[str] = deque(maxlen=8)  # the last things that were done, a line each
_unwritten: deque[OSError] = deque(maxlen=1)  # why standard output does not take what is printed


# ---- values


def plain(value: Any) -> Any:
    """A value of the API as JSON values: dataclasses are objects of their fields."""
    from dataclasses import fields, is_dataclass  # --help does without

    if value is None or isinstance(value, str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # as metrics have it: JSON has neither NaN nor infinities
    return value if isinstance(value, int | float) else _text_of(value)


def _text_of(value: Any) -> Any:
    from datetime import datetime

    from semver import Version

    from tagship.text import clock

    if isinstance(value, datetime):
        return clock.stamp(value)
    return str(value) if isinstance(value, Version | Path) else value


def as_json(value: Any) -> str:
    """The same as JSON text, indented, with control characters escaped."""
    return escape.json(plain(value))


# ---- pieces of text that several commands print


def text(lines: Iterable[str]) -> str:
    """Lines as text: no value can start a new line."""
    return "\n".join(map(escape.line, lines))


def section(title: str, content: dict[str, Any], indent: str = "  ") -> list[str]:
    """A heading and a line for each value; empty if there are none."""
    if not content:
        return []
    lines = (f"{indent}  {key}: {words.figure(value)}" for key, value in content.items())
    return [f"{indent}{title}:", *lines]


def short(value: Any) -> str:
    """A value in a cell: one line, not too long."""
    one_line = " ".join(words.figure(value).split())
    return one_line if len(one_line) <= LONGEST else one_line[: LONGEST - 3] + "..."


def subject(message: str) -> str:
    """The first line of a commit's message, which may be empty."""
    return message.partition("\n")[0]


def because(event: "Event") -> str:
    """The reason of an event, to end a line with."""
    return f": {event.reason}" if event.reason else ""


def made_live(event: "Event") -> str:
    """When an event was, who made it, and why."""
    by = f"{words.moment(event.at)} UTC by {event.actor} on {event.host}"
    return f"{by}, {event.action} {event.id}{because(event)}"


def origin(tag: "TagInfo", commit: "CommitInfo") -> list[str]:
    """The tag and the commit of a version, and who made them."""
    return [
        f"  tag:        {tag.name} ({tag.object[:10]})",
        f"              {words.moment(tag.at)} UTC by {tag.tagger}",
        f"  commit:     {commit.id[:10]} {short(subject(commit.message))}",
        f"              {words.moment(commit.at)} UTC by {commit.author}",
    ]


# ---- printing


def show(value: Any, json: bool, content: str) -> None:
    """Print a result: JSON where it is asked for, else the text."""
    if json:
        return echo(as_json(value))
    if not is_terminal(sys.stdout):
        return echo(content)
    from tagship.cli import terminal

    return _print(terminal.fitted(escape.shown(content)))


def show_done(value: Any, json: bool, content: str) -> None:
    """The same for what was done: the first line of the text says it."""
    did(content)
    show(value, json, content)


def did(content: str) -> None:
    """Note what was done, by its first line: where it cannot be printed, the error says it."""
    _done.append(content.partition("\n")[0])


def show_table(value: Any, json: bool, table: Callable[[Any], Table]) -> None:
    """Print a result: JSON where it is asked for, else the table."""
    show_document(value, json, lambda content: [table(content)])


def show_document(value: Any, json: bool, document: Callable[[Any], Document]) -> None:
    """Print lines and tables; if not on a terminal, the cells are separated by tabs."""
    if json:
        return echo(as_json(value))
    before: str | Table | None = None
    for part in document(value):
        if before is not None and not (isinstance(before, str) and isinstance(part, str)):
            echo("")  # around a table
        before = part
        if isinstance(part, str):
            show(None, False, escape.line(part))
            continue
        heading, rows = part
        if is_terminal(sys.stdout):
            _draw(heading, rows)
        else:
            echo(tabbed((heading, *rows)))
    return None


def _draw(heading: Sequence[str], rows: Sequence[Sequence[str]], *, err: bool = False) -> None:
    from rich.console import Console

    from tagship.cli import terminal

    Console(stderr=err).print(terminal.table(heading, rows), markup=False)


def tabbed(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines, with tabs between their cells."""
    return "\n".join("\t".join(map(escape.line, row)) for row in rows)


def echo(content: str, *, err: bool = False) -> None:
    """Print text that may hold anything."""
    _print(escape.shown(content), err=err)


def warn(lines: Iterable[str]) -> None:
    """Print notes on standard error."""
    for line in lines:
        complain(f"note: {line}")


def complain(content: str) -> None:
    """Print a line on standard error, its first word coloured on a terminal."""
    line = escape.line(content)
    if is_terminal(sys.stderr):
        from tagship.cli import terminal

        line = terminal.painted(line)
    with contextlib.suppress(OSError):  # nobody can be told, and what is under way goes on
        click.echo(line, err=True)


def confirm(plan: str, *, err: bool, table: Table | None = None) -> None:
    """Show a plan and ask for confirmation.

    Args:
        plan: its lines.
        err: on standard error, to keep JSON apart.
        table: of the plan, above its lines.

    Raises:
        Refused: nobody can answer.
        SystemExit: the answer is no; exit code 1.
    """
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise Refused("not a terminal: use --yes to skip the confirmation")
    if table is not None:
        _draw(*table, err=err)
    echo(plan, err=err)
    if not click.confirm("Go on?", err=err):
        echo("Cancelled.", err=True)
        raise SystemExit(1)


def progress() -> "Progress":
    """A progress bar if on a terminal, else nothing."""
    from tagship import progress as watchers

    if not is_terminal(sys.stderr):
        return watchers.silent
    from tagship.cli import terminal

    return terminal.bar


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is a terminal; a closed one is None."""
    return stream is not None and stream.isatty()


def open_streams() -> None:
    """Make the standard streams ones that can be written to: closed ones lead to nowhere.

    Else the next file that is opened would be standard output, and get what a library prints.
    """
    for number, mode in enumerate(("r", "w", "w")):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):  # no /dev
                _open_nowhere(number, mode)
    codecs.register_error("escaped", escape.for_encoding)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # in a locale that cannot write all of Unicode
            stream.reconfigure(errors="escaped")


def _open_nowhere(number: int, mode: str) -> None:
    """Open a standard stream; ``open`` takes the lowest number that is free, which is this."""
    stream = open(os.devnull, mode)  # noqa: SIM115 - until the process ends
    if stream.fileno() == number:
        setattr(sys, ("stdin", "stdout", "stderr")[number], stream)
        os.set_inheritable(number, True)


def discard() -> None:
    """Drop unwritten output, so that Python does not try to write it again when it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _print(content: str, *, err: bool = False) -> None:
    """Print; a reader that stops early (``tagship list m | head -1``) is not an error.

    Where it cannot be written, what is under way goes on, and ``unwritten`` has why.
    """
    try:
        click.echo(content, err=err)
    except BrokenPipeError:
        discard()
    except OSError as error:
        if err:
            raise
        lose(error)


def lose(error: OSError) -> None:
    """Note that standard output cannot be written."""
    _unwritten.append(error)
    discard()


def is_of_echo(error: OSError) -> bool:
    """Whether it was raised where something was to be printed, also by click: ``--help``."""
    import traceback

    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code is click.echo.__code__ for frame, _ in frames)


def unwritten() -> str:
    """What was done, where standard output could not be written; else empty. It is told once."""
    done = list(_done)
    _done.clear()
    if not _unwritten:
        return ""
    error = _unwritten.pop()
    return "; ".join([*done, f"standard output cannot be written: {error.strerror or error}"])
