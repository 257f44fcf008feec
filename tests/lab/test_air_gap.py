"""A host without any network: fed by a bundle, rolled back, fed again.

Each of its commands runs in a network namespace that has not even a loopback, and the repository
and the store are moved away meanwhile: what it has, it has from the file.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hosts import Following
from tests.lab import network
from tests.workbench import MODEL, Result, Workbench

READ = "import sys, tagship; print(tagship.load('churn', loader=lambda p: p.read_text()).model)"


@dataclass(frozen=True)
class Gap:
    """Where the host is, and what is brought there."""

    bench: Workbench

    @property
    def host(self) -> Path:
        return self.bench.repo.parent / "host"

    def run(self, *command: str, code: int = 0) -> str:
        """Run a program there; what it printed."""
        with self._away():
            done = subprocess.run(
                ["unshare", "--net", *command], cwd=self.host, capture_output=True, text=True,
                check=False, stdin=subprocess.DEVNULL, env={**os.environ, "LANG": "C.UTF-8"},
            )  # fmt: skip
        told = Result(done.returncode, done.stdout, done.stderr)
        assert told.code == code, told
        return told.out + told.err

    def tagship(self, *arguments: str, code: int = 0) -> str:
        return self.run(sys.executable, "-m", "tagship", *arguments, code=code)

    @contextlib.contextmanager
    def _away(self) -> Iterator[None]:
        """Nothing of the other side can be reached by a path either."""
        top = self.bench.repo.parent
        names = ("repo", "origin.git", "dvc-remote")
        for name in names:
            (top / name).rename(top / f"{name}.away")
        try:
            yield
        finally:
            for name in names:
                (top / f"{name}.away").rename(top / name)

    def carry(self, version: str) -> Path:
        """Write a bundle, and carry it there."""
        file = self.bench.repo.parent / f"{MODEL}-{version}.tar"
        told = self.bench.cli("bundle", f"{MODEL}@{version}", "-o", str(file))
        assert told.code == 0, told
        return Path(shutil.move(file, self.host / file.name))

    def model(self) -> str:
        """What a program there loads."""
        return self.run(sys.executable, "-c", READ).splitlines()[0]


@pytest.fixture
def gap(bench: Workbench) -> Gap:
    if reason := network.lacking():
        pytest.skip(reason)
    bench.manager.release(push=True)
    (bench.repo.parent / "host").mkdir()
    return Gap(bench)


def test_a_host_without_any_network_is_fed_rolls_back_and_is_fed_again(gap: Gap) -> None:
    assert gap.run("ip", "route") == ""
    links = gap.run("ip", "-brief", "link")
    assert [line.split()[:2] for line in links.splitlines()] == [["lo", "DOWN"]]
    place = gap.host.parent / "bundles"
    gap.tagship("host", "init", ".", "--bundle", str(place), "--follow", MODEL)
    first = gap.carry("1.0.0")
    assert "was seen here" in gap.tagship("unbundle", first.name, code=1)
    assert not place.exists()
    gap.tagship("unbundle", first.name, "--yes")
    gap.tagship("sync")
    assert gap.model() == "model 1"
    follow = Following(gap.bench)
    follow.release("model 2\n")
    gap.tagship("unbundle", gap.carry("1.1.0").name)
    gap.tagship("sync")
    assert gap.model() == "model 2"
    gap.tagship("rollback", MODEL, "--yes")
    assert gap.model() == "model 1"
    gap.tagship("sync")
    assert gap.model() == "model 1"
    follow.release("model 3\n")
    follow.publish("churn@v1.1.0!", at="HEAD~")
    third = gap.carry("1.2.0")
    with third.open("r+b") as file:
        file.truncate(third.stat().st_size - 2048)
    assert "is cut short" in gap.tagship("unbundle", third.name, code=1)
    assert gap.model() == "model 1"
    third.unlink()
    told = gap.tagship("unbundle", gap.carry("1.2.0").name)
    assert "  new: churn@v1.1.0!, churn@v1.2.0\n" in told
    gap.tagship("sync")
    assert gap.model() == "model 3"
    assert "in order" in gap.tagship("status")
