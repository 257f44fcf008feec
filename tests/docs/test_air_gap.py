"""docs/air-gap.md: each command prints what the page says."""

import re
import shlex
from pathlib import Path

import pytest

from tests.docs import pages
from tests.workbench import Workbench

COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
HEX = re.compile(r"[0-9a-f]{64}")


def printed(bench: Workbench, top: Path) -> list[tuple[str, str, str]]:
    """Each command of the page, what the page says that it prints, and what it prints."""
    bench.manager.release()
    bench.train("model 2\n", 0.8)
    bench.manager.release()
    (top / "usb").mkdir()
    places = {
        "/srv/churn": str(bench.repo), "/media/usb": str(top / "usb"),
        "/srv/models": str(top / "models"), "/srv/bundles": str(top / "bundles"),
    }  # fmt: skip
    folder, told = bench.repo, list[tuple[str, str, str]]()
    text = pages.page("air-gap.md")
    for command, expected in [p for b in pages.blocks(text, "console") for p in COMMAND.findall(b)]:
        here = command
        for name, place in places.items():
            here = here.replace(name, place)
        if here.startswith("cd "):
            folder = Path(here.removeprefix("cd "))
            continue
        if here.startswith("tagship ") and not re.search("[|>]", here):  # quicker in this process
            done = bench.cli_in(folder, *shlex.split(here)[1:])
        else:
            done = pages.bash(folder, f"exec 2>&1; {here}")
        shown = done.out + done.err
        for name, place in places.items():
            shown = shown.replace(place, name)
        told.append((command, expected, shown))
    return told


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Where the other machine and the medium are."""
    (tmp_path / "gap").mkdir()
    return tmp_path / "gap"


def test_each_command_of_the_page_prints_what_stands_there(bench: Workbench, top: Path) -> None:
    for command, expected, shown in printed(bench, top):
        assert HEX.sub("HEX", shown) == HEX.sub("HEX", expected), command
