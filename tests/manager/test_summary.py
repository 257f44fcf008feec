"""What a deploy and a rollback print: one form, and the state is read from disk."""

import os
import shutil

import pytest

from tagship.manager import summary
from tagship.manager.summary import State
from tests.workbench import Workbench


def _time(bench: Workbench, seq: int) -> str:
    event = bench.manager.get_deployment_history()[seq - 1]
    return f"{event.at.replace('T', ' ').rstrip('Z')} UTC, {event.duration_s:.2f} s"


def test_a_deploy_and_a_rollback_have_one_form(shipped: Workbench) -> None:
    shipped.train("model 3\n")
    shipped.manager.release()
    deployed = shipped.process("deploy", "churn", "--yes")
    back = shipped.process("rollback", "churn", "--yes", "--reason", "worse")
    _, second, third, fourth = shipped.manager.get_deployment_history()
    assert deployed.out == (
        "churn 1.2.0 is live (before: 1.1.0)\n"
        f"  time:          {_time(shipped, 3)}\n"
        f"  deployment id: {third.id}\n"
        "  smoke test:    skipped: no loader reads model.bin\n"
        "  link:          models/churn/current\n"
        "state:\n"
        "  live version:  1.2.0, 3 versions on disk\n"
        f"  link active:   yes, points to versions/v1.2.0_{third.id}/model.bin\n"
        "  file:          accessible\n"
    )
    assert back.out == (
        "churn 1.1.0 is live (before: 1.2.0)\n"
        f"  time:          {_time(shipped, 4)}\n"
        f"  deployment id: {fourth.id}\n"
        "  link:          models/churn/current\n"
        "  note:          1.2.0 is blocked, live by exact number only: tagship deploy churn@1.2.0;"
        " what is new here from now on goes live by itself\n"
        "state:\n"
        "  live version:  1.1.0, 3 versions on disk\n"
        f"  link active:   yes, points to versions/v1.1.0_{second.id}/model.bin\n"
        "  file:          accessible\n"
    )


@pytest.mark.released
def test_of_the_first_deploy_there_is_no_version_before(bench: Workbench) -> None:
    lines = summary.lines(bench.manager.deploy())
    assert lines[0] == "churn 1.0.0 is live"
    assert lines[-3] == "  live version:  1.0.0, 1 version on disk"


def test_what_is_live_and_intact_is_one_line(shipped: Workbench) -> None:
    assert summary.lines(shipped.manager.deploy()) == [
        "churn 1.1.0 is live and intact: nothing to do"
    ]


def test_from_another_directory_the_link_is_absolute(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shipped.folder / "versions")
    outcome = shipped.manager.deploy(force=True)
    assert f"  link:          {shipped.current}" in summary.lines(outcome)


def test_a_version_that_is_on_disk_twice_counts_once(shipped: Workbench) -> None:
    shipped.manager.deploy(force=True)
    assert len(os.listdir(shipped.folder / "versions")) == 3
    assert State.of(shipped.store).versions == 2


def test_a_link_that_dangles_is_not_active(shipped: Workbench) -> None:
    target = shipped.current.resolve()
    target.chmod(0o755)
    shutil.rmtree(target)
    assert State.of(shipped.store).rows == [
        ("live version", "none, 1 version on disk"),
        ("link active", "no"),
        ("file", "not accessible"),
    ]


def test_without_its_metadata_the_link_points_to_the_directory(shipped: Workbench) -> None:
    live = shipped.current.resolve()
    live.chmod(0o755)
    (live / "metadata.json").unlink()
    assert State.of(shipped.store) == State("1.1.0", 2, f"versions/{live.name}", True)


def test_a_model_file_that_is_gone_is_not_accessible(shipped: Workbench) -> None:
    live = shipped.current.resolve()
    live.chmod(0o755)
    (live / "model.bin").unlink()
    state = State.of(shipped.store)
    assert state.points_to == f"versions/{live.name}/model.bin"
    assert state.rows[-1] == ("file", "not accessible")
