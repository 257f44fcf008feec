"""The units of packaging/systemd: accepted by systemd, bounded, and of one mind with tagship."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tagship.workspace.state import Why

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"
SERVICE, TIMER = "tagship-sync@.service", "tagship-sync@.timer"
INSTANCE = "tagship-sync@srv-models.service"
EXPOSURE = 20  # in tenths; without a setting of its own a service has 96
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze"
)


def values(name: str) -> dict[str, list[str]]:
    """The settings of a unit file or a drop-in, each with its values in their order."""
    lines = (UNITS / name).read_text(encoding="utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root folder with the units, the keys of a host, and the program that they run."""
    system = tmp_path / "etc/systemd/system"
    system.mkdir(parents=True)
    for name in (SERVICE, TIMER):
        shutil.copy(UNITS / name, system)
    shutil.copytree(UNITS / "keys", system / f"{INSTANCE}.d")
    program = tmp_path / "usr/local/bin/tagship"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


def analyze(machine: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", f"--root={machine}", "--man=no", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def verify(machine: Path, *names: str) -> "subprocess.CompletedProcess[str]":
    paths = [f"/etc/systemd/system/{name}" for name in names]
    return analyze(machine, "--recursive-errors=no", "verify", *paths)


@needs_systemd
def test_systemd_accepts_the_units_of_a_host_with_all_its_keys(machine: Path) -> None:
    verified = verify(machine, INSTANCE, TIMER)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@needs_systemd
def test_systemd_would_complain_of_a_setting_that_is_none(machine: Path) -> None:
    path = machine / "etc/systemd/system" / SERVICE
    path.write_text(path.read_text().replace("RestrictRealtime", "RestrictRealTime"))
    verified = analyze(
        machine, "--recursive-errors=no", "verify", f"/etc/systemd/system/{INSTANCE}"
    )
    assert "RestrictRealTime" in verified.stderr


@needs_systemd
def test_the_exposure_of_the_service_is_bounded(machine: Path) -> None:
    bounds = ("--offline=true", f"--threshold={EXPOSURE}", "security", INSTANCE)
    bounded = analyze(machine, *bounds)
    assert bounded.returncode == 0, bounded.stdout


@needs_systemd
def test_the_timer_elapses_every_five_minutes() -> None:
    [calendar] = values(TIMER)["OnCalendar"]
    said = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=2", "--base-time=2026-11-20 12:01 UTC",
         calendar], capture_output=True, text=True, check=True, env={"TZ": "UTC"},
    ).stdout  # fmt: skip
    assert re.findall(r"12:\d\d:00 UTC", said) == ["12:05:00 UTC", "12:10:00 UTC"]


def test_only_what_needs_a_person_fails_the_unit() -> None:
    succeeds = {0, *map(int, values(SERVICE)["SuccessExitStatus"])}
    fails = {why.name for why in Why if why.exit_code not in succeeds}
    assert fails == {"UNKNOWN", "FAILED", "BROKEN"}


@pytest.mark.parametrize("name", ["git-ssh", "git-https", "s3", "gs"])
def test_a_credential_is_read_where_systemd_puts_it(name: str) -> None:
    key = values(f"keys/{name}.conf")
    [credential] = key["LoadCredential"]
    read = set(re.findall(r"%d/(\w+)", " ".join(key["Environment"])))
    assert read == {credential.partition(":")[0]}


def test_git_gets_the_token_of_the_file_and_asks_nobody(tmp_path: Path) -> None:
    (tmp_path / "git_token").write_text("username=robot\npassword=hidden\n")
    lines = values("keys/git-https.conf")["Environment"]
    words = [word for line in lines for word in shlex.split(line.replace("%d", str(tmp_path)))]
    filled = subprocess.run(
        ["git", "credential", "fill"], input="protocol=https\nhost=git.example.com\n\n",
        env=os.environ | dict(word.split("=", 1) for word in words) | {"GIT_TERMINAL_PROMPT": "0"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert filled.stdout.splitlines()[-2:] == ["username=robot", "password=hidden"]
