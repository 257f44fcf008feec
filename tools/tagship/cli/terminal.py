"""What a person sees on a terminal: bars, tables, colours, lines that fit. ``cli`` prints them."""

import contextlib
import os
import re
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, cast

import click

from tagship.progress import Advance
from tagship.text import escape

if TYPE_CHECKING:
    from rich.table import Table

# rich is imported only where it is used: an error's two lines must not wait for it.

# Words that a table or a line may end in or hold, and their colours on a terminal.
COLOURS = {
    "better": "green", "worse": "red", "live": "green", "in order": "green", "drifted": "yellow",
    "broken": "red", "behind": "yellow", "failed": "red", "reject": "red", "rollback": "yellow",
    "removed": "yellow", "would go": "yellow", "error:": "red", "hint:": "cyan", "note:": "yellow",
}  # fmt: skip
PAINTED = re.compile(r"^(error:|hint:|note:)|(?<=: )(in order|drifted|broken)(?=, live)")
SHORT = 1.0  # seconds; what takes longer shows a bar


@contextlib.contextmanager
def bar(doing: str, total: int | None) -> Iterator[Advance]:
    """A bar with bytes and their rate, for what takes longer than a second."""
    began, copied, shown = time.monotonic(), 0, contextlib.ExitStack()
    drawn: Advance | None = None
    lock = threading.Lock()

    def advance(count: int) -> None:
        nonlocal copied, drawn
        with lock:  # objects arrive in several threads
            copied += count
            if drawn is None and time.monotonic() - began > SHORT:
                drawn = shown.enter_context(_drawn_bar(doing, total, copied))
            elif drawn is not None:
                drawn(count)

    with shown:
        yield advance


class _Terminal:
    """Standard error for a bar: where a terminal is lost, nobody sees it, and the work goes on."""

    def __init__(self) -> None:
        self._stream = sys.stderr

    def write(self, text: str) -> int:
        """As of a stream; what cannot be written is dropped."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """The same."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _drawn_bar(doing: str, total: int | None, copied: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20),
        DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(compact=True),
    )  # fmt: skip
    console = Console(file=cast("IO[str]", _Terminal()))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(doing, total=total, completed=copied)
        yield lambda count: bar.advance(task, count)


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    """A table whose cells are wrapped to the width of the terminal."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in heading:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(escape.line(cell), COLOURS.get(cell, "")) for cell in row))
    return drawn


def fitted(text: str) -> str:
    """Lines that fit the terminal, wrapped between words, with the colours of their words."""
    width = shutil.get_terminal_size().columns
    lines = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        lines += textwrap.wrap(
            line, width, subsequent_indent=indent, break_long_words=False,
            break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False,
        ) or [""]  # fmt: skip
    return "\n".join(painted(line) for line in lines)


def painted(line: str) -> str:
    """A line with its words coloured, for a user who wants colours (no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return line
    return PAINTED.sub(lambda match: click.style(match[0], fg=COLOURS[match[0]]), line)
