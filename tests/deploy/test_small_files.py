"""A host has the small files of the versions that it follows: what asks for others fetches them."""

import json

import pytest

from tests.hosts import Following


@pytest.fixture
def three(host: Following) -> Following:
    """1.2.0 is live, and nothing was ever fetched of 1.0.0 and 1.1.0 but their tags."""
    host.release("model 2\n")
    host.release("model 3\n")
    host.sync()
    assert host.live() == "model 3\n"
    return host


def test_a_rollback_to_a_version_that_was_never_here_fetches_them(three: Following) -> None:
    result = three.cli("rollback", "churn", "--to", "1.1.0", "--yes")
    assert (result.code, result.err, three.live()) == (0, "", "model 2\n")
    assert three.actions()[-1] == ("rollback", "succeeded", "1.1.0")


def test_so_do_show_and_compare(three: Following) -> None:
    assert three.cli("show", "churn@1.1.0").out.startswith("churn 1.1.0\n")
    result = three.cli("compare", "churn", "1.0", "1.1")
    assert (result.code, result.err) == (0, "")
    assert three.live() == "model 3\n"


def test_what_is_on_disk_asks_no_server(three: Following) -> None:
    three.cli("rollback", "churn", "--to", "1.1.0", "--yes")
    three.origin.rename(three.origin.with_name("away.git"))
    for command in (
        "show churn@1.2.0",
        "compare churn 1.1.0 1.2.0",
        "rollback churn --to 1.2.0 --yes",
    ):
        assert three.cli(*command.split()).code == 0, command
    result = three.cli("rollback", "churn", "--to", "1.0.0", "--yes")
    assert (result.code, three.live()) == (1, "model 3\n")
    assert "tagship fetch" not in result.err


def test_who_only_reads_is_told_the_command_that_fetches_them(three: Following) -> None:
    three.file.chmod(0o666)  # nobody acts here
    assert three.cli("show", "churn@1.1.0").err.splitlines()[1] == (
        "hint: tagship deploy churn@1.1.0 --dry-run"
    )
    three.file.chmod(0o644)
    assert three.cli("deploy", "churn@1.1.0", "--dry-run").code == 0
    three.file.chmod(0o666)
    assert three.cli("show", "churn@1.1.0").code == 0


def test_models_says_what_is_not_known_of_the_latest_version(host: Following) -> None:
    host.follow(track="1.0.0")
    host.sync()
    host.release("model 2\n")
    host.sync()
    heading, row = host.cli("models").out.splitlines()
    assert heading.split("\t")[-1] == "PATH"
    assert row.split("\t") == ["churn", "1.0.0", "1.1.0", "", "8 B", "not known here"]
    assert json.loads(host.cli("models", "--json").out)[0]["path"] is None
