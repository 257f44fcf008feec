"""The operator's program is told each change, and nothing that it does ends a pass."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.fleet.objects import NOON
from tests.hosts import Following


def notifies(host: Following, body: str) -> Path:
    """The host runs a script at each change; what it is told is in a file, a line each."""
    script, told = host.top / "notify", host.top / "told"
    script.write_text(f"#!/bin/sh\n{body.format(told=told)}\n")
    script.chmod(0o755)
    host.follow(more=f'[report]\nnotify = ["{script}", "--channel"]\n')
    return told


def lines(told: Path) -> list[dict[str, Any]]:
    """What it was told."""
    return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []


def test_each_change_is_told_once(host: Following) -> None:
    told = notifies(host, "cat >> {told}")
    host.at(NOON)
    assert host.sync().err == ""
    assert lines(told) == [{
        "schema": 1, "model": "churn", "host": "edge-1", "at": "2026-11-30T12:00:00Z",
        "why": "in_order", "reason": "1.0.0 is live", "live": "1.0.0", "desired": "1.0.0",
        "since": "2026-11-30T12:00:00Z", "before": None,
    }]  # fmt: skip
    host.sync()
    host.at(NOON + timedelta(days=1))
    host.sync()
    assert len(lines(told)) == 1
    host.release("model 2\n")
    host.sync()
    last = lines(told)[-1]
    assert (last["live"], last["before"]) == ("1.1.0", {"why": "in_order", "live": "1.0.0"})
    host.cli("hold", "churn", "--until", "2026-12-24")
    host.sync()
    assert (lines(told)[-1]["why"], len(lines(told))) == ("held", 3)


def test_it_has_no_credentials_in_its_environment(host: Following) -> None:
    host.bench.monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    told = notifies(host, "env > {told}; pwd >> {told}; echo $1 >> {told}")
    host.sync()
    text = told.read_text()
    assert "secret" not in text
    assert "TAGSHIP_MODEL=churn" in text
    assert text.endswith("/\n--channel\n")


def test_what_fails_is_a_note_and_is_told_again_with_the_next_change(host: Following) -> None:
    notifies(host, "echo no network >&2; exit 7")
    result = host.sync()
    assert (result.code, host.live()) == (0, "model 1\n")
    assert result.err == "note: notify failed for churn: exit code 7: no network\n"
    assert host.sync().err == ""
    told = notifies(host, "cat >> {told}")
    host.release("model 2\n")
    host.sync()
    assert [(each["live"], each["before"]) for each in lines(told)] == [("1.1.0", None)]


def test_a_program_that_is_not_there_is_a_note(host: Following) -> None:
    host.follow(more='[report]\nnotify = ["/nonexistent/notify"]\n')
    result = host.sync()
    assert (result.code, result.err) == (
        0,
        "note: notify failed for churn: /nonexistent/notify cannot be executed: No such file or"
        " directory\n",
    )


def test_a_program_without_end_is_ended(host: Following) -> None:
    host.bench.monkeypatch.setattr("tagship.fleet.notify.SECONDS", 0.2)
    notifies(host, "exec sleep 100")
    assert host.sync().err == "note: notify failed for churn: not over in 0.2s\n"
