"""Twenty hosts, each on a machine of its own: canary, steps, brake, withdrawal, a cable pulled."""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from tagship.text import clock
from tests import browser
from tests.lab import edges, network
from tests.lab.edges import Edge, Team
from tests.lab.servers import STORE
from tests.workbench import MODEL, Result

HOSTS = 20
CANARY = "edge-07"
MINUTE = timedelta(minutes=1)
SEEN = ("ten-percent", "braked")  # steps at which the page is looked at
REPORT = """
[report]
status = "s3://fleet/{name}"
roster = "/etc/tagship/hosts"

[report.options]
endpointurl = "https://{store}"

[follow.churn.gate]
command = ["/etc/tagship/check"]
pass = "1 of 1"
watch = "0s"
"""
CHECK = """#!/bin/sh
! grep -q broken "$TAGSHIP_DIRECTORY/model.bin" || { echo "wrong answers"; exit 1; }
"""
ROLLOUT = """
tagship:
  rollout:
    canary: ["edge-07"]
    steps: [{share: 10%, after: 2m}, {share: 100%, after: 4m}]
    need: 1 healthy
    brake: 1 failed
"""
LOOKS = {  # options of the browser
    "light": ("--window-size=1200,1400",),
    "dark": ("--window-size=1200,1400", "--blink-settings=preferredColorScheme=0"),
    "phone": ("--window-size=390,844", "--force-device-scale-factor=2"),
}


class Fleet:
    """The hosts, and their clock."""

    def __init__(self, team: Team, names: Iterable[str]) -> None:
        self.team = team
        roster = "".join(f"{name}\n" for name in names)
        self.hosts = {name: self._host(name, roster) for name in roster.split()}

    def _host(self, name: str, roster: str) -> Edge:
        edge = self.team.host(name, size="20m")
        edge.add(REPORT.format(name=self.team.name, store=STORE))
        edge.node.write("/etc/tagship/hosts", roster)
        edge.node.write("/etc/tagship/check", CHECK, 0o755)
        return edge

    def now(self) -> datetime:
        """The real time, or what it is on the hosts, where that is later."""
        times = [clock.now(), *filter(None, (host.moment for host in self.hosts.values()))]
        return max(times).replace(microsecond=0)

    def at(self, moment: datetime) -> None:
        """From now on it is this time, on the hosts and on the laptop.

        The store has a clock of its own, and ``tagship fleet`` tells of one that is another one:
        so it is never far from the real time.
        """
        for host in self.hosts.values():
            host.moment = moment
        self.team.set_clock(moment)

    def sync(self) -> dict[str, Result]:
        """A pass on each."""
        return edges.sync(self.hosts.values())

    def live(self) -> dict[str | None, set[str]]:
        """The hosts by what is live there."""
        live: dict[str | None, set[str]] = {}
        for name, host in self.hosts.items():
            live.setdefault(host.live(), set()).add(name)
        return live

    def counts(self) -> dict[str | None, int]:
        """How many hosts have what live."""
        return {content: len(names) for content, names in self.live().items()}

    def show(self, title: str) -> dict[str, int]:
        """``tagship fleet`` of the canary: how many hosts are in which state.

        The table is in the transcript; the page, and how it looks at some steps, beside that.
        """
        host, kept = self.hosts[CANARY], self.team.log.path.with_name(f"fleet-{title}.html")
        host.tagship("fleet", "-o", "/srv/fleet.html")
        shutil.copyfile(host.node.path("/srv/fleet.html"), kept)
        if title in SEEN:
            photograph(kept)
        rows = json.loads(network.finish(host.start("fleet", "--json")).out)["rows"]
        return Counter(row["state"] for row in rows)


def photograph(page: Path) -> None:
    """How a page looks, beside it."""
    if browser.CHROMIUM is None:
        return
    for look, options in LOOKS.items():
        picture = page.with_name(f"{page.stem}-{look}.png")
        subprocess.run(
            [browser.CHROMIUM, "--headless", *browser.ARGUMENTS, *options, "--hide-scrollbars",
             f"--screenshot={picture}", page.as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        assert picture.stat().st_size > 5000


def codes(results: dict[str, Result]) -> dict[int, int]:
    """How many passes ended with which code."""
    return Counter(result.code for result in results.values())


def test_twenty_hosts(team: Team) -> None:
    fleet, log = Fleet(team, [f"edge-{number:02}" for number in range(1, HOSTS + 1)]), team.log
    log.heading("a release without steps is followed by all")
    fleet.at(fleet.now())
    team.release()
    assert codes(fleet.sync()) == {0: HOSTS}
    assert fleet.counts() == {"model 1": HOSTS}
    assert fleet.show("all") == {"in order": HOSTS}

    log.heading("one with steps: the canary first")
    began = fleet.now()
    fleet.at(began)
    params = team.bench.repo / "params.yaml"
    params.write_text(params.read_text() + ROLLOUT)
    team.release("model 2\n")
    assert codes(fleet.sync()) == {0: 1, 3: HOSTS - 1}
    assert fleet.live()["model 2"] == {CANARY}
    assert fleet.show("canary") == {"in order": 1, "waiting": HOSTS - 1}

    log.heading("two minutes later: 10 % of the hosts")
    fleet.at(began + 2 * MINUTE)
    assert codes(fleet.sync()) == {0: 2, 3: HOSTS - 2}
    assert fleet.counts() == {"model 1": HOSTS - 2, "model 2": 2}
    assert fleet.show("ten-percent") == {"in order": 2, "waiting": HOSTS - 2}

    log.heading("four minutes later: the rest, but one, whose cable was pulled")
    fleet.at(began + 4 * MINUTE)
    lost = min(fleet.live()["model 1"])
    fleet.hosts[lost].node.cut()
    assert codes(fleet.sync()) == {0: HOSTS - 1, 1: 1}
    assert fleet.live() == {"model 1": {lost}, "model 2": set(fleet.hosts) - {lost}}
    assert fleet.show("one-cut") == {"in order": HOSTS - 1, "waiting": 1}
    fleet.hosts[lost].node.mend()
    assert fleet.hosts[lost].tagship("sync").code == 0
    assert fleet.counts() == {"model 2": HOSTS}

    log.heading("a bad one stops at the canary")
    began = fleet.now()
    fleet.at(began)
    team.release("model 3, broken\n")
    assert codes(fleet.sync()) == {3: HOSTS - 1, 4: 1}
    fleet.at(began + 4 * MINUTE)
    assert codes(fleet.sync()) == {3: HOSTS - 1, 4: 1}
    assert fleet.counts() == {"model 2": HOSTS}
    assert [name for name, host in fleet.hosts.items() if host.tried("1.2.0")] == [CANARY]
    assert fleet.show("braked") == {"failed": 1, "waiting": HOSTS - 1}

    log.heading("a withdrawal is obeyed by all in one pass")
    for version, reason in (("1.2.0", "wrong answers"), ("1.1.0", "wrong labels")):
        team.tagship("withdraw", f"{MODEL}@{version}", "--push", "--yes", "-m", reason)
    assert codes(fleet.sync()) == {0: HOSTS}
    assert fleet.counts() == {"model 1": HOSTS}
    assert fleet.show("withdrawn") == {"in order": HOSTS}
