"""The commands of a page, taken out of the page itself, and run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.workbench import Result

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#{2,4}) (.+)$", re.MULTILINE)
BIN = Path(sys.executable).parent


def page(name: str) -> str:
    """The text of a page in docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    prose = FENCE.sub(lambda fence: re.sub(r"^#", "\0", fence[0], flags=re.MULTILINE), text)
    starts = [match.start() for match in HEADING.finditer(prose)] + [len(prose)]
    [start] = [match.start() for match in HEADING.finditer(prose) if match[2] == heading]
    end = min(place for place in starts if place > start)
    return text[start:end]


def blocks(text: str, language: str = "sh") -> list[str]:
    """The fenced blocks of a language, in their order."""
    return [body for tag, body in FENCE.findall(text) if tag == language]


def bash(folder: Path, commands: str, **environment: str) -> Result:
    """Run commands in one bash, which stops at the first that fails."""
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", commands],
        cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment},
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)


def run(folder: Path, commands: str, **environment: str) -> str:
    """Run commands that must succeed; what they print."""
    result = bash(folder, commands, **environment)
    assert result.code == 0, f"{commands}\n{result.out}{result.err}"
    return result.out
