"""docs/hosts.md, from an empty machine to its removal: the page's own commands, in its order.

Not run: ``python3 -m venv`` and ``pip install``, as for docs/server.md; and ``systemctl``, which
needs a machine that systemd runs: ``tests/packaging/test_booted.py``. A pass is started as the
unit and its drop-ins say.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagship.workspace import host_file
from tests import conftest
from tests.docs import machine, pages
from tests.docs.machine import Machine
from tests.workbench import Result

PAGE = pages.page("hosts.md")
SKIPPED = ("python3 -m venv", "/opt/tagship/bin/pip install", "systemctl", "cd tagship/packaging")
UNITS = "/etc/systemd/system"
REASON = machine.lacking()
needs_a_machine = pytest.mark.skipif(REASON is not None, reason=str(REASON))


def commands(heading: str) -> str:
    """The commands under a heading of the page."""
    text = "".join(pages.blocks(pages.section(PAGE, heading)))
    lines = [line for line in text.splitlines() if not line.startswith(SKIPPED)]
    return "\n".join(lines) + "\n"


def shown(heading: str) -> str:
    """What the page says that the commands under a heading print."""
    return pages.blocks(pages.section(PAGE, heading), "")[0]


@pytest.fixture(scope="module")
def prepared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.0.0 and 1.1.0 were made on a laptop; the tag of 1.0.0 alone is on the Git remote."""
    folder = tmp_path_factory.mktemp("team")
    with conftest.prepared(template, folder) as bench:
        bench.manager.release()
        bench.train("model 2\n")
        bench.manager.release()
        bench.git("push", "--quiet", "origin", "HEAD:main", "churn@v1.0.0")
    return folder


@pytest.fixture(scope="module")
def host(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine.machine(tmp_path_factory.mktemp("machine"), prepared) as place:
        place.run("root", commands("Install") + "useradd --create-home ada\n")
        yield place


def sync(host: Machine) -> Result:
    """A pass, as systemd starts it: the account, the variables and the keys of the units."""
    escaped = "tagship-sync@srv-models.service"
    lines = host.run(
        "root", f"cat {UNITS}/tagship-sync@.service {UNITS}/{escaped}.d/*"
    ).splitlines()
    pairs = [line.replace("%f", "/srv/models").partition("=") for line in lines]
    host.run("root", "rm -rf /mnt/keys; install -d -o tagship -m 500 /mnt/keys")
    for name, key in (text.split(":") for what, _, text in pairs if what == "LoadCredential"):
        path = key.replace("%i", "srv-models")
        host.run("root", f"install -o tagship -m 400 {path} /mnt/keys/{name}")
    named = " ".join(text for what, _, text in pairs if what == "Environment")
    named = named.replace("%d", "/mnt/keys").replace("%S", "/srv")
    words = " ".join(map(shlex.quote, shlex.split(named)))
    [start] = [text for what, _, text in pairs if what == "ExecStart"]
    return host.bash(f"cd /; umask 027; runuser -u tagship -- env {words} {start}")


@pytest.fixture(scope="module")
def following(host: Machine) -> str:
    """What the commands printed up to a host that follows."""
    host.run("root", commands("Keys"))
    written = host.run("root", commands("The folder"))
    assert written == shown("The folder")
    *install, status = commands("The timer").splitlines()
    units = pages.ROOT / "packaging" / "systemd"
    host.run("root", f"cd {shlex.quote(str(units))}\n" + "\n".join(install))
    assert sync(host).code == 0
    return host.run("root", status)


def live(host: Machine) -> str:
    return host.run("root", "cat /srv/models/churn/current/model.bin")


@needs_a_machine
def test_the_page_leads_from_an_empty_machine_to_a_host_that_follows(
    host: Machine, following: str
) -> None:
    assert following == shown("The timer")
    assert live(host) == "model 1\n"
    assert sync(host) == Result(0, "", "")


@needs_a_machine
def test_no_key_is_readable_by_another_account(host: Machine, following: str) -> None:
    for name in ("aws", "deploy_key"):
        assert host.login("ada", f"cat /etc/tagship/srv-models/{name}").code == 1
        refused = host.bash(f"runuser -u tagship -- cat /etc/tagship/srv-models/{name}")
        assert refused.code == 1
    assert "SECRET" not in host.run("root", "cat /srv/models/tagship.toml")


@needs_a_machine
def test_a_member_of_the_group_reads_and_rolls_back_and_the_rollback_lasts(
    host: Machine, prepared: Path, following: str
) -> None:
    host.run("root", f"git -C {prepared}/repo push --quiet {machine.ORIGIN} churn@v1.1.0")
    assert sync(host).out == "churn: in order, live 1.1.0\n  1.1.0 is live\n"
    first, *reading = commands("Who reads, who rolls back").splitlines()[:4]
    assert host.login("ada", "tagship -C /srv/models current churn").code != 0
    host.run("root", first)
    read = host.run("root", "\n".join(reading))
    assert "churn: in order, live 1.1.0, latest 1.1.0\n1.1.0\n" in read
    back, hold, resume = commands("Who reads, who rolls back").splitlines()[4:]
    assert "churn 1.0.0 is live (before: 1.1.0)" in host.run("root", f"cd /\n{back}")
    assert "ada as tagship" in host.run("root", "tagship -C /srv/models history churn")
    assert sync(host) == Result(0, "", "")
    assert live(host) == "model 1\n"
    host.run("root", f"cd /\n{hold}")
    held = sync(host)
    assert (held.code, "held by ada as tagship" in held.out) == (3, True)
    host.run("root", f"cd /\n{resume}")
    assert sync(host).code == 0


@needs_a_machine
def test_the_server_gives_small_files_alone_after_the_commands_of_the_page(
    host: Machine, following: str
) -> None:
    host.run("root", commands("The Git server"))
    host.run("root", "rm -rf /srv/models/.tagship/mirror.git")
    assert sync(host).code == 0
    assert host.run("root", f"git -C {machine.ORIGIN} config uploadpack.allowFilter") == "true\n"


@needs_a_machine
def test_after_the_removal_nothing_is_left(host: Machine, following: str) -> None:
    host.run("root", "cd /\n" + commands("Removal"))
    left = host.run(
        "root",
        "find /etc /home /opt /srv /usr/local/bin -path '*tagship*' -o -path '/srv/*';"
        " grep -c tagship /etc/passwd /etc/group || true",
    )
    assert left.splitlines() == ["/etc/tagship", "/etc/passwd:0", "/etc/group:0"]


def test_the_file_of_the_page_is_read_and_the_table_has_its_keys() -> None:
    [text] = pages.blocks(pages.section(PAGE, "tagship.toml"), "toml")
    read = host_file.parse(text.encode(), Path("/srv/models/tagship.toml"))
    assert (read.name, read.settings.keep, read.window is not None) == ("edge-1", 3, True)
    gate = read.follow["churn"].gate
    assert gate is not None and gate.http is not None
    assert set(tomllib.loads(text)) == {"name", "source", "deploy", "follow", "window"}
    table = pages.section(PAGE, "tagship.toml")
    named = "".join(re.findall(r"^\| ([^|]+)", table, re.MULTILINE))
    assert set(host_file.OF_HOST) <= set(re.findall(r"`(?:deploy\.)?([a-z_]+)`", named))
