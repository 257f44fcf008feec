"""The network and its servers, started when a story first asks for them: ``make fleet-test``."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import edges, network, servers
from tests.lab.edges import Team
from tests.lab.servers import Lab
from tests.workbench import Workbench

STORIES = ("test_one_host.py", "test_transports.py", "test_fleet.py", "test_hundred.py",
           "test_air_gap.py")  # fmt: skip


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What needs the servers is collected with ``--all-fleet`` alone."""
    return True if collection_path.name in STORIES and not config.getoption("all_fleet") else None


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The servers, in a network that is this process's until the tests end."""
    if reason := network.lacking():
        pytest.skip(reason)
    if lacking := servers.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    folder = Path(tempfile.mkdtemp(prefix="fleet-"))
    folder.chmod(0o755)  # the accounts of the servers read it
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        net = stack.enter_context(network.network())
        yield stack.enter_context(servers.lab(net, folder))


@pytest.fixture
def team(lab: Lab, bench: Workbench, request: pytest.FixtureRequest) -> Team:
    """Who releases; the transcript has the name of the test."""
    return edges.team(bench, lab, request.node.name.removeprefix("test_").replace("_", "-"))
