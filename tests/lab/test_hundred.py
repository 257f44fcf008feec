"""A hundred hosts' folders on one machine: each pass a real process, with a clock of its own."""

import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta

from tests import hosts
from tests.lab import edges, network
from tests.lab.edges import ROOT, Edge, Transcript
from tests.lab.network import Here
from tests.workbench import MODEL, Workbench

HOSTS = 100
CANARY = "host-042"
MONDAY = datetime(2035, 1, 1, 9, tzinfo=UTC)  # later than any real clock
HOUR = timedelta(hours=1)
ROLLOUT = """
tagship:
  rollout:
    canary: ["host-042"]
    steps: [{share: 10%, after: 1h}, {share: 100%, after: 4h}]
    need: 1 healthy
    brake: 1 failed
"""
FILE = """
name = "{name}"
[source]
git = "file://{top}/origin.git"
remote = "{top}/dvc-remote"
[follow.churn]
[follow.churn.gate]
command = ["{top}/check"]
pass = "1 of 1"
watch = "0s"
[report]
status = "{top}/status"
roster = "{top}/roster"
"""
CHECK = """#!/bin/sh
! grep -q broken "$TAGSHIP_DIRECTORY/model.bin" || { echo "wrong answers"; exit 1; }
"""


class Fleet:
    """The hosts."""

    def __init__(self, bench: Workbench) -> None:
        self.bench, self.top = bench, bench.repo.parent
        self.log = Transcript(
            ROOT / "build" / "fleet" / "hundred-hosts.txt", ((str(self.top), "/fleet"),)
        )
        names = [f"host-{number:03}" for number in range(HOSTS)]
        (self.top / "roster").write_text("".join(f"{name}\n" for name in names))
        (self.top / "status").mkdir()
        (self.top / "check").write_text(CHECK)
        (self.top / "check").chmod(0o755)
        hosts.of(bench)  # its server gives small files by their id
        self.hosts = [self._host(name) for name in names]

    def _host(self, name: str) -> Edge:
        folder = self.top / "hosts" / name
        folder.mkdir(parents=True)
        (folder / "tagship.toml").write_text(FILE.format(name=name, top=self.top))
        home = {"HOME": str(self.top / "home")}
        return Edge(Here(name), self.log, home, folder=str(folder))

    def release(self, content: str, moment: datetime) -> None:
        for role in ("AUTHOR", "COMMITTER"):
            date = f"{moment.timestamp():.0f} +0000"
            self.bench.monkeypatch.setenv(f"GIT_{role}_DATE", date)
        self.bench.train(content)
        version = self.bench.manager.release(push=True).version
        self.log.write(f"laptop$ tagship release churn --push\n{MODEL} {version} is released")

    def passes(self, title: str, moment: datetime) -> dict[int, int]:
        """A pass on each; how many ended with which code."""
        self.log.heading(title)
        for host in self.hosts:
            host.moment = moment
        results = edges.sync(self.hosts).values()
        assert {result.err for result in results} == {""}
        for file in (self.top / "status").rglob("*.json"):
            if file.stat().st_mtime < MONDAY.timestamp():  # it was written in this pass
                os.utime(file, (moment.timestamp(), moment.timestamp()))
        return Counter(result.code for result in results)

    def show(self) -> dict[str, int]:
        """``tagship fleet``: how many hosts are in which state."""
        self.hosts[0].tagship("fleet")
        shown = network.finish(self.hosts[0].start("fleet", "--json")).out
        return Counter(row["state"] for row in json.loads(shown)["rows"])

    def live(self) -> dict[str | None, int]:
        """How many hosts have what live."""
        return Counter(host.live() for host in self.hosts)


def test_a_hundred_hosts(bench: Workbench) -> None:
    fleet, rest = Fleet(bench), HOSTS - 1
    params = bench.repo / "params.yaml"
    params.write_text(params.read_text() + ROLLOUT)
    fleet.release("model 2\n", MONDAY)
    assert fleet.passes("the canary", MONDAY) == {0: 1, 3: rest}
    assert fleet.live() == {"model 2": 1, None: rest}
    assert fleet.show() == {"in order": 1, "waiting": rest}
    assert fleet.passes("an hour later: 10 %", MONDAY + HOUR) == {0: 10, 3: HOSTS - 10}
    assert fleet.live() == {"model 2": 10, None: HOSTS - 10}
    assert fleet.passes("four hours later: all", MONDAY + 4 * HOUR) == {0: HOSTS}
    assert fleet.live() == {"model 2": HOSTS}
    assert fleet.show() == {"in order": HOSTS}
    fleet.release("model 3, broken\n", MONDAY + 24 * HOUR)
    assert fleet.passes("a bad one: on the canary", MONDAY + 24 * HOUR) == {4: 1, 3: rest}
    assert fleet.passes("and nowhere else", MONDAY + 48 * HOUR) == {4: 1, 3: rest}
    assert fleet.live() == {"model 2": HOSTS}
    assert [host.node.name for host in fleet.hosts if host.tried("1.1.0")] == [CANARY]
    assert fleet.show() == {"failed": 1, "waiting": rest}
