"""docs/hosts.md on a machine that systemd runs: the page's own commands, units and timer.

The addresses of the Git server and of the store alone are others: folders, as there is no network.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import conftest
from tests.docs import pages
from tests.packaging import booted
from tests.packaging.booted import Booted
from tests.workbench import Workbench

PAGE = pages.page("hosts.md")
SERVICE, TIMER = "tagship-sync@srv-models.service", "tagship-sync@srv-models.timer"
ADDRESSES = {
    "git@git.example.com:team/models.git": "file:///team/origin.git",
    "s3://models/dvc --endpoint http://minio.example.com:9000": "/team/dvc-remote",
}
ALERT = """\
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "$MONITOR_UNIT $MONITOR_EXIT_STATUS" >> /alerts'
"""
OFTEN = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/1\nRandomizedDelaySec=0\nAccuracySec=50ms\n"
WAIT = """
tagship() { /usr/local/bin/tagship -C /srv/models "$@"; }
state() { systemctl show --value --property "$1" tagship-sync@srv-models.service; }
until_() { for _ in $(seq 600); do "$@" && return; sleep 0.1; done; echo "never: $*"; return 1; }
is_live() { [ "$(tagship current churn)" = "$1" ]; }
ended() { [ "$(state ActiveState) $(state Result) $(state ExecMainStatus)" = "$*" ]; }
"""


def commands(heading: str) -> str:
    """The commands under a heading of the page, in a shell of their own in root's home."""
    text = "".join(pages.blocks(pages.section(PAGE, heading)))
    for old, new in ADDRESSES.items():
        text = text.replace(old, new)
    return f"(\ncd\n{text})\n"


@pytest.fixture(scope="module")
def bench(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """1.0.0 is released."""
    with conftest.prepared(template, tmp_path_factory.mktemp("team")) as made:
        made.manager.release(push=True)
        yield made


@pytest.fixture(scope="module")
def host(
    bench: Workbench, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Booted]:
    if not request.config.getoption("containers"):
        pytest.skip("needs --containers: make container-test")
    if why := booted.lacking():
        pytest.skip(why)
    with booted.machine(tmp_path_factory.mktemp("machine"), {"/team": bench.repo.parent}) as made:
        if why := made.cannot():
            pytest.skip(why)
        yield made


def test_the_page_makes_a_host_that_follows_by_its_timer_tells_faults_and_is_removed(
    bench: Workbench, host: Booted
) -> None:
    """Four boots: set up; a release that the timer alone brings; what fails; the removal."""
    trusted = "git config --system safe.directory '*'; chmod -R a+rX /team\n"  # it is no server
    install = "".join(map(commands, ("Install", "Keys", "The folder", "The timer")))
    said = host.run(trusted + install)
    assert said.endswith(pages.blocks(pages.section(PAGE, "The timer"), "")[0])

    bench.train("model 2\n")
    bench.manager.release(push=True)
    system = host.root / "etc/systemd/system"
    often = system / f"{TIMER}.d"
    often.mkdir()
    (often / "often.conf").write_text(OFTEN)
    host.run(
        f"{WAIT}until_ is_live 1.1.0\nended inactive success 0 || until_ ended inactive success 0"
    )

    (often / "often.conf").unlink()
    (alert,) = pages.blocks(pages.section(PAGE, "Exit codes and alerts"), "ini")
    (system / f"{SERVICE}.d" / "alert.conf").write_text(alert)
    (system / "tagship-alert@.service").write_text(ALERT)
    said = host.run(
        f"{WAIT}systemctl start {SERVICE}\n"
        "runuser -u tagship -- /usr/local/bin/tagship -C /srv/models hold churn --reason trial\n"
        f"systemctl start {SERVICE}; ended inactive success 3\n"
        "mount -t tmpfs nothing /team\n"
        f"! systemctl start {SERVICE}; ended failed exit-code 1\n"
        "until_ test -s /alerts; cat /alerts; is_live 1.1.0\n"
        "systemctl --failed --plain --no-legend; umount /team\n"
        f"systemctl start {SERVICE}; ended inactive success 3\n"
    )
    assert f"{SERVICE} 1\n" in said
    assert f"{SERVICE} loaded failed failed" in said

    said = host.run(
        "useradd --create-home --groups tagship ada\n" + commands("Removal")
        + "ls -d /srv/* /etc/tagship/* /etc/systemd/system/*sync* /usr/local/bin/* || true\n"
    )  # fmt: skip
    assert "2 directories removed" in said
    assert re.findall("^/.*", said, re.MULTILINE) == []
