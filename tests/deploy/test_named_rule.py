"""A rule that a person names counts before the one in tagship.toml, and is not undone by a pass."""

import json

import pytest

from tagship import ModelVersionManager
from tests.hosts import Following


@pytest.fixture
def behind(host: Following) -> Following:
    """The host follows 1.0.0, which is live; there is 1.1.0 too."""
    host.release("model 2\n")
    host.follow(track="1.0.0")
    host.sync()
    assert host.live() == "model 1\n"
    return host


@pytest.mark.parametrize("rule", ["latest", "1", "^1.0"])
def test_a_rule_that_is_named_is_not_the_one_of_tagship_toml(behind: Following, rule: str) -> None:
    result = behind.cli("deploy", f"churn@{rule}", "--yes")
    assert (result.code, behind.live()) == (0, "model 2\n")
    assert "no other version goes live by itself; to end it: tagship resume churn" in result.out
    assert behind.report()["why"] == "held"
    assert behind.live() == "model 2\n"
    assert behind.cli("resume", "churn").code == 0
    assert behind.sync().code == 0
    assert behind.live() == "model 1\n"


def test_without_a_version_the_rule_of_tagship_toml_counts(behind: Following) -> None:
    assert "churn 1.0.0 is live and intact" in behind.cli("deploy", "churn", "--yes").out
    manager = ModelVersionManager("churn", behind.folder)
    assert manager.deploy().event is None
    assert manager.plan("latest").version == "1.1.0"
    assert manager.deploy("latest").place.version == "1.1.0"


def test_a_rule_that_selects_what_the_host_follows_holds_nothing(behind: Following) -> None:
    behind.follow(track="^1.0")
    result = behind.cli("deploy", "churn@latest", "--yes")
    assert (result.code, behind.live()) == (0, "model 2\n")
    assert "resume" not in result.out
    behind.passes(0, "churn: in order, live 1.1.0\n")


def test_what_is_here_needs_no_fetch(behind: Following) -> None:
    def plan(name: str) -> dict[str, object]:
        value: dict[str, object] = json.loads(behind.cli("deploy", name, "--dry-run", "--json").out)
        return value

    assert (plan("churn@latest")["version"], plan("churn@latest")["to_fetch"]) == ("1.1.0", 1)
    assert (plan("churn")["live"], plan("churn")["to_fetch"]) == (True, 0)
    behind.cli("deploy", "churn@1.1.0", "--yes")
    assert (plan("churn@1.0.0")["on_disk"], plan("churn@1.0.0")["to_fetch"]) == (True, 0)
