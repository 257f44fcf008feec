"""The units of packaging/systemd: accepted by systemd, bounded, and of one mind with tagship."""

import re
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
    """The settings of a unit file, each with its values in their order."""
    lines = (UNITS / name).read_text(encoding="utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root folder with the units as docs/hosts.md installs them, and their program."""
    system = tmp_path / "etc/systemd/system"
    system.mkdir(parents=True)
    for name in (SERVICE, TIMER):
        shutil.copy(UNITS / name, system)
    drop_in = system / f"{INSTANCE}.d"
    drop_in.mkdir()
    shutil.copy(UNITS / "keys.conf", drop_in)
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


@needs_systemd
def test_systemd_accepts_the_units_of_a_host_with_all_its_keys(machine: Path) -> None:
    names = [f"/etc/systemd/system/{name}" for name in (INSTANCE, TIMER)]
    verified = analyze(machine, "--recursive-errors=no", "verify", *names)
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


def test_a_credential_is_named_where_the_service_reads_it() -> None:
    keys = values("keys.conf")
    named = {value.partition(":")[0] for value in keys["LoadCredential"]}
    assert set(re.findall(r"%d/(\w+)", " ".join(keys["Environment"]))) == named
