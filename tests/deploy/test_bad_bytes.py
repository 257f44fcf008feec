"""Bytes that are no UTF-8, from a terminal, a server or a file: no pass stumbles over them."""

import json
from pathlib import Path

import pytest

from tests.deploy.test_sync import other_model
from tests.hosts import Following
from tests.workbench import Workbench

BAD = "caf\udce9"  # what Python makes of an argument in Latin-1
HELD = "caf\N{REPLACEMENT CHARACTER}"


def test_a_reason_in_latin_1_is_kept_as_far_as_it_can_be_read(host: Following) -> None:
    host.sync()
    assert host.cli("hold", "churn", "--reason", BAD).code == 0
    for arguments in (["-q"], [], ["--json"]):
        result = host.sync(*arguments)
        assert (result.code, result.err) == (3, "")
        assert HELD in result.out
    assert host.events()[-1].reason == HELD
    assert host.cli("resume", "churn", "--reason", BAD).code == 0
    host.passes(0, "churn: in order, live 1.0.0\n")


def test_a_history_of_before_with_such_a_reason_ends_no_pass(host: Following) -> None:
    other_model(host)
    host.sync()
    host.cli("hold", "churn", "--reason", "PLACE")
    path = host.model / "deployment_history.json"
    path.write_text(path.read_text().replace("PLACE", "caf\\udce9"))
    result = host.sync()
    assert (result.code, result.err) == (3, "")
    assert "caf\\udce9" in result.out
    assert "other: in order, live 1.0.0" in result.out


@pytest.mark.parametrize("command", ["rollback churn --yes", "undeploy churn --yes",
                                     "deploy churn@1.0.0 --yes", "pin churn@1.0.0"])  # fmt: skip
def test_it_keeps_nobody_from_an_act(shipped: Workbench, command: str) -> None:
    assert shipped.cli(*command.split(), "--reason", BAD).code == 0
    events = json.loads(shipped.cli("history", "churn", "--json").out)
    assert HELD in [event["reason"] for event in events]


def test_the_message_of_a_tag_is_utf8(bench: Workbench) -> None:
    assert bench.cli("release", "churn", "-m", BAD).code == 0
    assert bench.cli("assign", "churn@1.0.0", "prod", "-m", BAD).code == 0
    for tag in ("churn@v1.0.0", "churn#prod#1"):
        assert HELD in bench.git("cat-file", "tag", tag)


def test_a_server_that_answers_with_any_bytes_is_told(host: Following, tmp_path: Path) -> None:
    host.sync()
    garbage = tmp_path / "ssh"
    garbage.write_text(
        "#!/bin/sh\nprintf '\\377\\376hello\\n'; printf '\\377fatal\\n' >&2; exit 3\n"
    )
    garbage.chmod(0o755)
    host.bench.monkeypatch.setenv("GIT_SSH_COMMAND", str(garbage))
    host.follow(git="ssh://git@host.invalid/models.git")
    for arguments in ([], ["-q"], ["--json"]):
        result = host.sync(*arguments)
        assert "should not have happened" not in result.err
        assert result.code == 1
    assert "nothing could be fetched: " in host.sync().out
    assert "should not" not in host.cli("fetch").err
