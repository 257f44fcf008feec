"""A host follows the tags of a repository by itself: what a pass does, and what it leaves alone."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagship import ModelVersionManager, load
from tagship.deploy import checkout
from tagship.text import clock
from tagship.workspace import witness
from tests.crash import cases
from tests.hosts import Following
from tests.workbench import Result

IN_ORDER = "churn: in order, live {}\n"
EMPTY = (
    "churn: waiting, live -\n  no version is there to follow by {}\n    fix: tagship list churn\n"
)
UNPUBLISHED = (
    "churn: waiting, live -\n  nothing of churn was published in the repository yet\n"
    "    fix: is churn its name, in tagship.toml? If so, push the tag of its version, then: tagship"
    " sync\n"
)
MEGABYTE = 1 << 20
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)  # a Monday


def in_order(version: str, *did: str) -> str:
    """What a pass says where all is well."""
    return IN_ORDER.format(version) + "".join(f"  {each}\n" for each in did)


def gate(host: Following, body: str, **numbers: float) -> None:
    """From now on the model has a gate: a script; one attempt, at once."""
    script = host.top / "check"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    more = "".join(f"{name} = {value}\n" for name, value in {"watch": 0, **numbers}.items())
    host.follow(gate=f'command = ["{script}"]\npass = "1 of 1"\n{more}')


def other_model(host: Following) -> None:
    """The repository has another model, ``other`` 1.0.0, and the host follows it too."""
    repo = host.bench.repo
    (repo / "models" / "other").mkdir()
    (repo / "models/other/model.bin").write_text("other 1\n")
    host.bench.track("models/other/model.bin")
    text = (repo / "dvc.yaml").read_text()
    entry = "  other:\n    path: models/other/model.bin\n"
    (repo / "dvc.yaml").write_text(text.replace("metrics:", f"{entry}metrics:"))
    host.bench.commit("Add another model")
    ModelVersionManager("other", repo).release(push=True)
    host.follow(more="[follow.other]\n")


# --- what is released goes live


def test_a_release_goes_live_and_a_pass_that_finds_nothing_changes_nothing(
    host: Following,
) -> None:
    host.passes(0, in_order("1.0.0", "1.0.0 is live"))
    assert host.live() == "model 1\n"
    assert load("churn", host.folder, loader=Path.read_text).model == "model 1\n"
    assert host.release("model 2\n") == "1.1.0"
    behind = "churn: behind, live 1.0.0\n  1.1.0 is released, 1.0.0 is live\n"
    fix = "    fix: tagship sync churn\n"
    host.passes(3, behind + fix, "--dry-run")
    assert host.cli("status").out == behind.replace("0\n", "0, latest 1.1.0\n", 1) + fix
    assert host.live() == "model 1\n"
    host.passes(0, in_order("1.1.0", "1.1.0 is live"))
    assert host.live() == "model 2\n"
    before = host.bench.state()
    host.at(clock.now() + timedelta(minutes=5))
    host.passes(0, in_order("1.1.0"))
    host.passes(0, "", "-q")
    assert host.bench.changes(before) == {"host/.tagship/agent.json"}
    assert host.actions() == [("deploy", "succeeded", "1.0.0"), ("deploy", "succeeded", "1.1.0")]


@pytest.mark.following
def test_a_pass_that_finds_nothing_imports_neither_dvc_nor_gitpython(host: Following) -> None:
    code = (
        "import sys\nfrom tagship.cli.main import main\n"
        f"sys.argv = ['tagship', '-C', {str(host.folder)!r}, 'sync']\n"
        "try: main()\nexcept SystemExit as stop: print(stop.code)\n"
        "heavy = ('dvc', 'git', 'dulwich', 'yaml', 'asyncio', 'tagship.deploy.follow')\n"
        "print(sorted(set(heavy) & set(sys.modules)))\n"
    )
    assert host.process(code=code) == Result(0, in_order("1.0.0") + "0\n[]\n", "")


def test_json_has_what_was_done_and_how_it_is(host: Following) -> None:
    assert host.report() == {
        "model": "churn", "did": ["1.0.0 is live"], "live": "1.0.0", "why": "in_order",
        "state": "in_order", "until": None, "code": 0,
        "reasons": [{"why": "in_order", "what": "1.0.0 is live"}],
    }  # fmt: skip


def test_nothing_is_released_yet(host: Following) -> None:
    host.serve("tag", "-d", "churn@v1.0.0")
    host.passes(3, UNPUBLISHED)
    assert UNPUBLISHED.partition("\n")[2] in host.cli("status").out
    assert not (host.model / "versions").exists()


def test_a_host_that_never_reached_the_server_says_that_alone(host: Following) -> None:
    host.origin.rename(host.origin.with_name("away.git"))
    result = host.sync()
    head, line, fix = result.out.splitlines()
    assert (result.code, head) == (1, "churn: unknown, live -")
    assert line.startswith("  nothing could be fetched: ")
    fetched = host.cli("fetch").err.splitlines()
    assert fetched[1] == fix.replace("    fix: ", "hint: ")  # the same helps
    assert line.removeprefix("  nothing could be fetched: ") in host.cli("status").out


@pytest.mark.parametrize(
    ("track", "versions"),
    [
        ("latest", ["1.2.0", "1.2.1", "2.0.0"]),
        ("^1.2", ["1.2.0", "1.2.1", "1.2.1"]),
        ("1.2.0", ["1.2.0", "1.2.0", "1.2.0"]),
        ("2", ["-", "-", "2.0.0"]),
    ],
)
def test_each_rule_selects(host: Following, track: str, versions: list[str]) -> None:
    host.follow(track)
    for number, (release, live) in enumerate(
        zip(("1.2.0", "1.2.1", "2.0.0"), versions, strict=True)
    ):
        host.release(f"model {number + 2}\n", release)
        assert host.report()["live"] == (None if live == "-" else live)


def test_another_rule_in_tagship_toml_counts_from_the_next_pass_on(host: Following) -> None:
    host.release("model 2\n", "2.0.0")
    host.follow("^1.0")
    host.passes(0, in_order("1.0.0", "1.0.0 is live"))
    host.follow("latest")
    host.passes(0, in_order("2.0.0", "2.0.0 is live"))
    host.follow("1.0.0")
    host.passes(0, in_order("1.0.0", "1.0.0 is live"))


def test_a_stage_is_followed_by_its_assignments(host: Following) -> None:
    host.follow("#prod")
    host.passes(3, EMPTY.format("#prod"))
    host.publish("churn#prod#1")
    host.passes(0, in_order("1.0.0", "1.0.0 is live"))
    host.release("model 2\n")
    host.passes(0, in_order("1.0.0"))
    host.publish("churn#prod#2")
    host.passes(0, in_order("1.1.0", "1.1.0 is live"))
    assert host.cli("rollback", "churn", "--yes").code == 0
    host.passes(0, in_order("1.0.0"))  # the assignment is blocked
    host.publish("churn#prod#3")  # of the same version: a new wish
    host.passes(0, in_order("1.1.0", "1.1.0 is live"))


# --- what a person does lasts


@pytest.mark.following
def test_a_rollback_by_hand_lasts_and_the_next_release_goes_live(host: Following) -> None:
    host.release("model 2\n")
    host.sync()
    assert host.cli("rollback", "churn", "--yes").code == 0
    for _ in range(2):
        host.passes(0, in_order("1.0.0"))
    assert host.report()["reasons"][0]["what"].startswith(
        "1.1.0 is passed over: rolled back to 1.0.0 by "
    )
    host.release("model 3\n")
    host.passes(0, in_order("1.2.0", "1.2.0 is live"))


@pytest.mark.following
def test_a_hold_stops_every_pass_and_never_ends_by_itself(host: Following) -> None:
    host.release("model 2\n")
    host.sync()
    assert host.cli("rollback", "churn", "--hold", "--reason", "odd", "--yes").code == 0
    host.release("model 3\n")
    told = host.report()
    assert (told["code"], told["why"], told["live"], told["did"]) == (3, "held", "1.0.0", [])
    host.at(clock.now() + timedelta(days=8))
    assert "(that is over; a hold does not end by itself): odd" in host.sync().out
    assert host.sync().code == 3
    assert host.cli("resume", "churn").code == 0
    host.passes(0, in_order("1.2.0", "1.2.0 is live"))
    assert host.cli("hold", "churn").code == 0
    host.release("model 4\n")
    assert host.report()["why"] == "held"
    assert host.live() == "model 3\n"


def test_a_quiet_pass_tells_once_what_is_not_in_order_and_that_it_is_again(
    host: Following,
) -> None:
    host.sync()
    assert host.cli("hold", "churn", "--reason", "odd").code == 0
    held = host.sync("-q", "--dry-run").out
    assert held.startswith("churn: held, live 1.0.0\n  held by ")
    assert host.sync("-q", "--dry-run").out == held  # nothing was told, as nothing was done
    host.passes(3, held, "-q")
    for _ in range(2):
        host.passes(3, "", "-q")
    host.passes(3, held)
    host.at(clock.now() + timedelta(days=8))
    assert "(that is over; a hold does not end by itself): odd" in host.sync("-q").out
    host.passes(3, "", "-q")
    assert host.cli("resume", "churn").code == 0
    host.passes(0, "churn: in order, live 1.0.0\n", "-q")
    host.passes(0, "", "-q")


def test_a_quiet_pass_tells_once_that_the_server_does_not_answer(host: Following) -> None:
    host.sync()
    away = host.origin.with_name("away.git")
    host.origin.rename(away)
    assert "nothing could be fetched" in host.sync("-q").out
    host.passes(1, "", "-q")
    away.rename(host.origin)
    host.passes(0, "churn: in order, live 1.0.0\n", "-q")


def test_a_quiet_pass_tells_of_one_model_and_not_of_the_others(host: Following) -> None:
    other_model(host)
    host.sync()
    assert host.cli("hold", "other").code == 0
    assert host.sync("-q").out.startswith("other: held, live 1.0.0\n")
    host.passes(3, "", "-q")
    host.passes(3, "", "-q", "--json")


@pytest.mark.following
def test_an_older_version_deployed_by_hand_holds(host: Following) -> None:
    host.release("model 2\n")
    host.sync()
    assert host.cli("deploy", "churn@1.0.0", "--yes").code == 0
    told = host.report()
    assert (told["code"], told["why"], told["live"]) == (3, "held", "1.0.0")
    assert host.cli("deploy", "churn@1.1.0", "--yes").code == 0
    host.passes(0, in_order("1.1.0"))


@pytest.mark.following
def test_an_undeploy_by_hand_lasts(host: Following) -> None:
    assert host.cli("undeploy", "churn", "--yes").code == 0
    host.release("model 2\n")
    told = host.report()
    assert (told["code"], told["why"], told["live"]) == (3, "held", None)


@pytest.mark.following
def test_a_withdrawn_version_is_left_for_the_one_before_in_a_closed_window(
    host: Following,
) -> None:
    host.release("model 2\n")
    host.sync()
    host.follow(more='[window]\nstart = "00:00"\nlength = "1m"\n')
    host.at(NOON)
    host.publish("churn@v1.1.0!")
    host.passes(0, in_order("1.0.0", "1.0.0 is live"))


# --- when


def test_a_closed_window_is_waited_for_with_its_time(host: Following) -> None:
    host.follow(more='[window]\nstart = "12:00"\nlength = "1h"\n')
    host.at(NOON - timedelta(minutes=1))
    told = host.report()
    assert (told["code"], told["why"], told["until"]) == (3, "waiting", "2026-11-30T12:00:00Z")
    assert told["reasons"][0]["what"] == (
        "1.0.0 waits until 2026-11-30 12:00:00 UTC: the window is closed"
    )
    host.at(NOON)
    host.passes(0, in_order("1.0.0", "1.0.0 is live"))


@pytest.mark.following
def test_a_clock_that_is_set_back_stops_nothing(host: Following) -> None:
    host.release("model 2\n")
    bytes_of_it = host.object_of("model 2\n").read_bytes()
    host.object_of("model 2\n").unlink()
    assert host.report()["why"] == "waiting"
    host.at(clock.now() - timedelta(days=300))
    host.object_of("model 2\n").write_bytes(bytes_of_it)
    host.passes(0, in_order("1.1.0", "1.1.0 is live"))
    host.release("model 3\n")
    host.passes(0, in_order("1.2.0", "1.2.0 is live"))
    assert [event.seq for event in host.events()] == [1, 2, 3, 4]


# --- gates


def test_what_passes_its_gate_stays_and_one_that_fails_is_taken_back_and_blocked(
    host: Following,
) -> None:
    gate(host, "echo no good; [ $TAGSHIP_VERSION != 1.1.0 ]")
    passed = "1 of 1 attempt passed"
    host.passes(0, in_order("1.0.0", "1.0.0 is live", f"1.0.0 passed its gate: {passed}"))
    host.release("model 2\n")
    failure = f"1 of 1 attempt failed: {host.top}/check exited with 1: no good"
    told = host.report()
    assert (told["code"], told["why"], told["live"]) == (4, "failed", "1.0.0")
    assert told["did"] == [
        "1.1.0 is live", f"1.1.0 failed its gate: {failure}; 1.0.0 is live again",
    ]  # fmt: skip
    assert host.live() == "model 1\n"
    told = host.report()
    assert (told["code"], told["did"]) == (4, [])
    host.release("model 3\n")
    host.passes(0, in_order("1.2.0", "1.2.0 is live", f"1.2.0 passed its gate: {passed}"))
    host.passes(0, in_order("1.2.0"))
    assert host.actions() == [
        ("deploy", "succeeded", "1.0.0"), ("gate", "succeeded", "1.0.0"),
        ("deploy", "succeeded", "1.1.0"), ("gate", "failed", "1.1.0"),
        ("rollback", "succeeded", "1.0.0"), ("deploy", "succeeded", "1.2.0"),
        ("gate", "succeeded", "1.2.0"), ("cleanup", "succeeded", "1.1.0"),
    ]  # fmt: skip


def test_a_gate_that_cannot_be_measured_is_told_and_measured_later(host: Following) -> None:
    gate(host, "exit 75")
    told = host.report()
    assert (told["code"], told["why"], told["live"]) == (3, "waiting", "1.0.0")
    what = f"the gate of 1.0.0 could not be measured: 0 of 1 attempt passed: {host.top}/check"
    assert told["did"][1].startswith(what)
    assert host.report()["did"] == []  # not yet
    assert host.report("--retry")["why"] == "waiting"  # measured now, in vain
    gate(host, "exit 0")
    host.at(clock.now() + timedelta(hours=2))
    host.passes(0, in_order("1.0.0", "1.0.0 passed its gate: 1 of 1 attempt passed"))
    assert host.actions() == [("deploy", "succeeded", "1.0.0"), ("gate", "succeeded", "1.0.0")]


@pytest.mark.following
def test_a_verdict_that_cannot_be_written_is_no_verdict(host: Following) -> None:
    host.release("model 2\n")
    lock = host.model / ".tagship" / "lock"
    gate(host, f"[ -d {lock} ] || {{ rm {lock}; mkdir {lock}; }}; exit 1")
    told = host.report()
    assert (told["code"], told["why"], told["live"]) == (3, "waiting", "1.1.0")
    assert told["did"][1].startswith("the gate of 1.1.0 has no verdict: ")
    lock.rmdir()
    gate(host, "exit 1")
    told = host.report()
    assert (told["code"], told["why"], told["live"]) == (4, "failed", "1.0.0")


@pytest.mark.following
def test_a_rollback_by_hand_ends_the_watch(host: Following) -> None:
    host.release("model 2\n")
    rollback = f"{sys.executable} -m tagship -C {host.folder} rollback churn --yes"
    gate(host, f"setsid --wait {rollback}; exit 1", timeout=60)  # a person is in another session
    assert host.report()["did"] == ["1.1.0 is live", "another version is live by now"]
    end = time.monotonic() + 30
    while host.store.has_intent and time.monotonic() < end:
        time.sleep(0.05)
    assert host.actions()[1:] == [
        ("deploy", "succeeded", "1.1.0"), ("rollback", "succeeded", "1.0.0"),
    ]  # fmt: skip
    host.passes(0, in_order("1.0.0"))


def test_a_first_version_that_fails_its_gate_leaves_nothing_live(host: Following) -> None:
    gate(host, "exit 1")
    told = host.report()
    assert (told["code"], told["why"], told["live"]) == (4, "failed", None)
    assert told["did"][1].endswith("; nothing is live now")
    assert (host.report()["did"], host.live()) == ([], None)
    gate(host, "exit 0")
    host.release("model 2\n")
    assert host.report()["live"] == "1.1.0"


def test_what_failed_is_tried_again_where_a_person_asks(host: Following) -> None:
    gate(host, "exit 1")
    host.sync()
    told = host.report("--retry")
    assert (told["code"], told["why"], len(told["did"])) == (4, "failed", 2)
    gate(host, "exit 0")
    assert host.report()["did"] == []
    assert host.report("--retry")["live"] == "1.0.0"


@pytest.mark.following
def test_a_deploy_by_hand_has_its_gate_too_and_no_gate_leaves_it_out(host: Following) -> None:
    host.release("model 2\n")
    gate(host, "exit 1")
    assert host.cli("fetch").code == 0
    result = host.cli("deploy", "churn", "--yes")
    assert (result.code, host.live()) == (1, "model 1\n")
    assert "churn 1.1.0 failed its gate" in result.err
    assert host.cli("deploy", "churn@1.1.0", "--no-gate", "--yes").code == 0
    assert host.live() == "model 2\n"
    host.passes(0, in_order("1.1.0"))


# --- the smoke test


def test_without_the_framework_a_host_follows_all_the_same(host: Following) -> None:
    with cases.found("bad_loader"):  # the framework "bad" is nowhere installed
        host.passes(0, in_order("1.0.0", "1.0.0 is live"))


@pytest.mark.following
def test_what_fails_its_smoke_test_never_goes_live_and_is_not_tried_again(
    host: Following,
) -> None:
    host.release("model 2\n")
    with cases.found("bad_loader"):
        told = host.report("--smoke-test")
    assert (told["code"], told["why"], told["live"]) == (4, "failed", "1.0.0")
    assert "model.bin has a wrong size" in told["did"][0]
    told = host.report()
    assert (told["code"], told["did"], host.live()) == (4, [], "model 1\n")
    host.release("model 3\n")
    host.passes(0, in_order("1.2.0", "1.2.0 is live"))


# --- what could not be done


@pytest.mark.following
def test_bytes_that_the_store_lacks_are_waited_for_and_block_nothing(host: Following) -> None:
    host.release("model 2\n")
    place = host.object_of("model 2\n")
    data = place.read_bytes()
    place.unlink()
    told = host.report()
    assert (told["code"], told["why"], told["live"]) == (3, "waiting", "1.0.0")
    assert told["did"][0].startswith("1.1.0 could not be deployed: md5:")
    first = datetime.fromisoformat(told["until"])
    assert host.report()["did"] == []  # not before its time
    host.at(first + timedelta(seconds=1))
    again = host.report()
    wait = datetime.fromisoformat(again["until"]) - first
    assert again["did"] != []
    assert timedelta(seconds=90) < wait < timedelta(seconds=150)  # twice as long
    place.write_bytes(data)
    host.at(first + timedelta(hours=1))
    host.passes(0, in_order("1.1.0", "1.1.0 is live"))


@pytest.mark.following
def test_other_bytes_in_the_store_never_go_live_and_block_nothing(host: Following) -> None:
    host.release("model 2\n")
    place = host.object_of("model 2\n")
    data = place.read_bytes()
    place.chmod(0o644)
    place.write_bytes(b"model X\n")
    told = host.report()
    assert (told["code"], told["why"], host.live()) == (3, "waiting", "model 1\n")
    assert "the DVC remote has other bytes" in told["did"][0]
    place.write_bytes(data)
    host.passes(0, in_order("1.1.0", "1.1.0 is live"), "--retry")


@pytest.fixture
def small_disk(host: Following) -> Iterator[Path]:
    """The host's folder is a disk of its own."""
    words = ["mount", "-t", "tmpfs", "-o", "size=40m,mode=755", "tmpfs", str(host.folder)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted: {result.stderr.strip()}")
    yield host.folder
    subprocess.run(["umount", "--lazy", str(host.folder)], check=True)


def test_a_full_disk_is_cleaned_up_and_the_version_tried_once_more(
    host: Following, small_disk: Path
) -> None:
    host.follow()
    for number in range(1, 4):
        host.release(f"model {number}".ljust(MEGABYTE))
        host.sync()
    host.release("model 4".ljust(MEGABYTE))
    host.follow(deploy="keep = 1")
    needed = MEGABYTE + checkout.MARGIN
    with (small_disk / "filling").open("wb") as file:
        free = os.statvfs(small_disk)
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - needed + MEGABYTE // 2)
    told = host.report()
    assert (told["code"], told["live"]) == (0, "1.4.0")
    removed = [event.version for event in host.events() if event.action == "cleanup"]
    assert removed == ["1.1.0", "1.2.0"]  # the second one after the deploy


@pytest.mark.following
def test_a_live_version_that_was_damaged_is_made_whole(host: Following) -> None:
    (host.model / "current").unlink()
    host.passes(0, in_order("1.0.0", "1.0.0 is whole again"))
    version = (host.model / "current").resolve()
    version.chmod(0o755)
    (version / "model.bin").unlink()
    version.chmod(0o555)
    whole, damaged = host.report()["did"]
    assert whole == "1.0.0 is whole again"
    what = f"{version.name} was damaged (model.bin is missing)"
    assert damaged == f"{what}: {(host.model / 'current').resolve().name} takes its place"
    assert host.events()[-1].reason == f"what is live was broken; {what}"
    assert host.live() == "model 1\n"
    shutil.rmtree(host.model / "versions")
    host.passes(0, in_order("1.0.0", "1.0.0 is whole again"))
    assert host.live() == "model 1\n"


def other_bytes(host: Following) -> None:
    """A byte of the live file is another one, as a bad disk or a person makes it."""
    file = (host.model / "current").resolve() / "model.bin"
    file.chmod(0o644)
    file.write_text("model X\n")
    file.chmod(0o444)


def open_file(host: Following) -> None:
    (host.model / "current" / "model.bin").chmod(0o666)


def foreign_file(host: Following) -> None:
    folder = (host.model / "current").resolve()
    folder.chmod(0o755)
    (folder / "notes.txt").touch()
    folder.chmod(0o555)


@pytest.mark.following
@pytest.mark.parametrize("damage", [other_bytes, open_file, foreign_file])
def test_a_pass_tells_what_status_tells_of_what_is_live_and_ends_with_its_code(
    host: Following, damage: Callable[[Following], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so does the next one, as long as nobody mends it; the pass before it found all well."""
    monkeypatch.setattr(witness, "TICK", 0)  # of this disk it is some milliseconds
    host.passes(0, in_order("1.0.0"))
    damage(host)
    shown = host.cli("status")
    assert (shown.code, shown.out.count("fix: ")) == (3, 1)
    for _ in range(2):
        told = host.sync()
        assert (told.code, told.out, told.err) == (3, shown.out.replace(", latest 1.0.0", ""), "")
    assert host.cli("fleet", "--json").code == 3


def test_one_model_that_fails_keeps_no_other_from_going_live(host: Following) -> None:
    other_model(host)
    place = host.object_of("other 1\n")
    data = place.read_bytes()
    place.chmod(0o644)
    place.write_bytes(b"other X\n")
    result = host.sync()
    assert result.out.startswith("churn: in order, live 1.0.0\n  1.0.0 is live\nother: waiting")
    assert result.code == 3
    place.write_bytes(data)
    (host.model / "deployment_history.json").write_text("[{")
    result = host.sync("--retry")
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith("churn: unknown, live 1.0.0\n")
    assert result.out.endswith("other: in order, live 1.0.0\n  1.0.0 is live\n")
    assert host.sync("other") == Result(0, "other: in order, live 1.0.0\n", "")


def test_a_second_pass_at_once_is_told_who_is_at_work(host: Following) -> None:
    command = f"{sys.executable} -m tagship -C {host.folder} sync"
    gate(host, f"{command} >{host.top}/said 2>&1; echo $? >>{host.top}/said; exit 0", timeout=60)
    assert host.sync().code == 0
    said = (host.top / "said").read_text()
    assert said.startswith("error: sync is under way: ")
    assert said.endswith("with --wait SECONDS\n1\n")
    assert [each[0] for each in host.actions()] == ["deploy", "gate"]


@pytest.mark.following
def test_what_another_command_holds_is_tried_later(host: Following) -> None:
    host.release("model 2\n")
    with host.store.locked({"what": "a test"}, 0, lambda _: None):
        told = host.report()
    assert (told["code"], told["why"], told["live"]) == (3, "waiting", "1.0.0")
    host.passes(0, in_order("1.1.0", "1.1.0 is live"), "--retry")


def test_a_model_that_is_not_followed_is_named(host: Following) -> None:
    there_are = "there are: churn; or add [follow.nope] to tagship.toml"
    told = f"error: this host does not follow nope\nhint: {there_are}\n"
    assert host.sync("nope") == Result(1, "", told)
    assert not host.mirror.exists()
    result = host.sync("chrun")
    hint = "did you mean churn? If not, add [follow.chrun] to tagship.toml"
    assert result.err.splitlines()[1] == f"hint: {hint}"


def test_why_a_version_is_refused_is_told_once(host: Following) -> None:
    host.sync()
    host.serve("update-ref", "refs/tags/churn@v2.0.0", host.kept()["churn@v1.0.0"])
    out = host.sync().out
    assert out.count("the tag churn@v2.0.0 holds the tag object of churn@v1.0.0") == 1
    assert "2.0.0 is not deployed: " in out


def test_a_host_is_no_clone(host: Following) -> None:
    host.sync()
    assert "as far as this host knows (to update it: tagship fetch)" in (
        host.cli("deploy", "churn", "--yes").out
    )


@pytest.mark.following
def test_agent_json_may_be_lost_or_damaged(host: Following) -> None:
    file = host.folder / ".tagship" / "agent.json"
    file.write_text("[")
    host.passes(0, in_order("1.0.0"))
    file.unlink()
    file.mkdir()
    host.passes(0, in_order("1.0.0"))


def test_passes_go_on_until_they_are_stopped_though_one_fails(host: Following) -> None:
    words = [sys.executable, "-m", "tagship", "-C", str(host.folder), "sync", "--every", "1"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        killer = threading.Timer(120, process.kill)
        killer.start()
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == IN_ORDER.format("1.0.0")
        aside, broken = host.top / "aside.toml", host.top / "broken.toml"
        shutil.copyfile(host.file, aside)
        broken.write_text("[")
        broken.rename(host.file)
        assert process.stderr.readline().startswith(f"error: {host.file} is no TOML")
        host.release("model 2\n")
        aside.rename(host.file)
        assert any(line == "  1.1.0 is live\n" for line in process.stdout)
        process.send_signal(signal.SIGINT)
        process.communicate()
        killer.cancel()
    assert process.returncode == 130
    assert host.live() == "model 2\n"


def test_a_host_that_goes_back_after_a_withdrawal_keeps_why(host: Following) -> None:
    host.release("model 2\n")
    host.sync()
    manager = host.bench.manager
    manager.withdraw("1.1.0", message="trained on wrong labels\n\nmore", push=True)
    host.passes(0, "churn: in order, live 1.0.0\n  1.0.0 is live\n")
    assert host.events()[-1].reason == "1.1.0 was withdrawn: trained on wrong labels"


def test_a_hint_for_a_remote_names_the_file_of_the_host(host: Following) -> None:
    host.remote.rename(host.remote.with_name("elsewhere"))
    assert host.cli("fetch").code == 0
    result = host.cli("deploy", "churn@1.0.0", "--yes")
    assert (result.code, "set source.remote in tagship.toml to URL" in result.err) == (1, True)
    assert "dvc" not in result.err.split("hint:")[1]


@pytest.mark.parametrize(("track", "shown"), [("#prd", "#prd"), ("^3", "^3"), ("2.0.0", "2.0.0")])
def test_status_says_that_a_rule_selects_nothing(host: Following, track: str, shown: str) -> None:
    host.follow(track)
    host.passes(3, EMPTY.format(shown))
    result = host.cli("status")
    what = f"no version is there to follow by {shown}\n    fix: tagship list churn\n"
    assert (result.code, what in result.out) == (3, True)


def test_a_model_that_nobody_releases_is_no_host_in_order(host: Following) -> None:
    host.follow(more="[follow.chrun]\n")
    result = host.sync()
    assert (result.code, result.out) == (
        3,
        f"{in_order('1.0.0', '1.0.0 is live')}chrun: waiting, live -\n"
        "  nothing of chrun was published in the repository yet (did you mean churn?)\n"
        "    fix: is chrun its name, in tagship.toml? If so, push the tag of its version, then:"
        " tagship sync\n",
    )
    status = host.cli("status")
    assert status.code == 3
    assert "chrun: waiting" in status.out and "(did you mean churn?)" in status.out
