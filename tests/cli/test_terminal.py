"""What a person sees on a terminal: colours, bars, and lines and tables that fit 80 columns."""

import os
import pty
import re
import subprocess
import sys

import pytest

from tagship.cli import terminal
from tests.workbench import Workbench

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


def shown(bench: Workbench, *command: str, **environment: str) -> str:
    """What a command draws on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tagship", *command],
        cwd=bench.repo, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24", **environment},
    )  # fmt: skip
    os.close(theirs)
    screen = b""
    while True:
        try:
            screen += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    process.wait()
    return screen.decode().replace("\r\n", "\n")


@pytest.fixture
def colourful(shipped: Workbench) -> Workbench:
    shipped.monkeypatch.delenv("NO_COLOR")
    return shipped


COLOURED = [
    (("status", "churn"), "\x1b[32min order\x1b[0m"),
    (("current", "chrun"), "\x1b[31merror:\x1b[0m there is no model chrun"),
    (("current", "chrun"), "\x1b[36mhint:\x1b[0m did you mean churn?"),
    (("list", "churn"), "\x1b[32mlive"),
]


@pytest.mark.parametrize(("command", "text"), COLOURED)
def test_words_have_colours_on_a_terminal(
    colourful: Workbench, command: tuple[str, ...], text: str
) -> None:
    assert text in shown(colourful, *command)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("command", [command for command, _ in COLOURED])
def test_no_colour_for_who_wants_none(
    colourful: Workbench, command: tuple[str, ...], environment: dict[str, str]
) -> None:
    assert not COLOUR.search(shown(colourful, *command, **environment))


@pytest.mark.parametrize("command", [command for command, _ in COLOURED])
def test_no_colour_in_a_pipe(colourful: Workbench, command: tuple[str, ...]) -> None:
    result = colourful.process(*command)
    assert "\x1b" not in result.out + result.err


def test_output_fits_80_columns(bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_text(
        "train:\n" + "".join(f"  parameter_number_{n}: a rather long value\n" for n in range(20))
    )
    metrics = ", ".join(f'"valid.metric_number_{n}": 0.123456789' for n in range(9))
    (bench.repo / "metrics.json").write_text(f"{{{metrics}}}\n")
    bench.commit(
        "A message that is long, as messages are that explain what was done and why it was"
    )
    bench.ship()
    bench.train("model 2\n")
    bench.release()
    paths = str(bench.repo)  # a path is not broken: it is there to be copied
    for command in ("list churn", "show churn", "history churn", "compare churn", "why churn",
                    "models", "status", "verify"):  # fmt: skip
        screen = re.sub(r"\x1b\[[0-9;]*m", "", shown(bench, *command.split()))
        lines = screen.splitlines()
        assert lines
        assert [line for line in lines if len(line) > 80 and paths not in line] == [], command


def test_a_long_line_is_wrapped_between_its_words_and_indented(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert terminal.fitted("  key: one two three four five\nshort\n\nlast") == (
        "  key: one two three\n      four five\nshort\n\nlast"
    )


@pytest.mark.parametrize("total", [None, 4096])
def test_a_bar_shows_what_is_done_and_its_bytes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int | None
) -> None:
    monkeypatch.setattr(terminal, "SHORT", 0)
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    with terminal.bar("copying", total) as advance:
        advance(1024)
        advance(1024)
    screen = capsys.readouterr().err
    assert "copying" in screen
    assert "2.0" in screen
    assert "kB" in screen


def test_what_is_short_shows_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.bar("copying", 10) as advance:
        advance(10)
    assert capsys.readouterr().err == ""
