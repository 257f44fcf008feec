"""docs/oci.md: each command prints what the page says."""

import re
from collections.abc import Iterator

import pytest

from tests.docs import pages
from tests.export import registry
from tests.export.registry import FakeRegistry
from tests.workbench import Workbench

COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
PLACE = "localhost:5000"


@pytest.fixture
def place() -> Iterator[FakeRegistry]:
    with registry.running() as running:
        yield running


@pytest.mark.released
def test_each_command_of_the_page_prints_what_stands_there(
    bench: Workbench, place: FakeRegistry
) -> None:
    there = place.host.replace("127.0.0.1", "localhost")
    commands = [pair for block in pages.blocks(pages.page("oci.md"), "console")
                for pair in COMMAND.findall(block)]  # fmt: skip
    words = [command.split()[-2 if "current" in command else 1] for command, _ in commands]
    assert words == ["export", "show", "export", "verify", "unpack", "current"]
    [digest] = re.findall("sha256:[0-9a-f]{64}", bench.cli("show", "churn", "--oci").out)
    for command, expected in commands:
        here = re.sub("sha256:[0-9a-f]{64}", digest, command).replace(PLACE, there)
        printed = pages.run(bench.repo, f"exec 2>&1; {here}")
        shown = printed.replace(str(bench.repo), "/srv/churn").replace(there, PLACE)
        assert shown == expected, command


def test_the_digests_of_the_page_are_one() -> None:
    assert len(set(re.findall(r"[0-9a-f]{64}", pages.page("oci.md")))) == 1
