"""Rollback: the last good version before the live one, further back each time."""

import os
import shutil

import pytest

from tagship import NotFound, Refused
from tagship.disk.atomic import remove_tree
from tagship.errors import Held
from tests.workbench import Workbench


def _ship(bench: Workbench, *numbers: int) -> None:
    for number in numbers:
        bench.ship(f"model {number}\n" if number > 1 else None)


def test_each_rollback_goes_further_back_and_the_last_says_so(bench: Workbench) -> None:
    _ship(bench, 1, 2, 3)
    assert bench.manager.rollback_to_version().place.version == "1.1.0"
    assert bench.manager.rollback_to_version().place.version == "1.0.0"
    with pytest.raises(NotFound, match="churn has no good version to go back to"):
        bench.manager.rollback_to_version()
    assert bench.live() == "model 1\n"


def test_a_rollback_never_returns_to_a_version_that_failed(bench: Workbench) -> None:
    _ship(bench, 1)
    bench.release("model 2\n")
    shutil.rmtree(bench.repo / ".dvc/cache")
    shutil.rmtree(bench.repo.parent / "dvc-remote")
    with pytest.raises(Exception, match="the DVC remote store is a folder, which is not here"):
        bench.manager.deploy()
    with pytest.raises(NotFound):
        bench.manager.rollback_to_version()
    assert bench.live() == "model 1\n"


def test_a_deploy_after_a_rollback_is_rolled_back_to_where_it_came_from(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    bench.manager.rollback_to_version()
    _ship(bench, 3)
    assert bench.manager.rollback_to_version().place.version == "1.0.0"


@pytest.mark.parametrize("name", ["1.0.0", "v1.0.0", "1.0", "churn@v1.0.0"])
def test_a_version_may_be_named(bench: Workbench, name: str) -> None:
    _ship(bench, 1, 2, 3)
    assert bench.manager.rollback_to_version(name).place.version == "1.0.0"


@pytest.mark.released
def test_a_version_that_was_never_deployed_here_is_checked_out(bench: Workbench) -> None:
    _ship(bench, 2)
    outcome = bench.manager.rollback_to_version("1.0.0")
    assert outcome.place.version == "1.0.0"
    assert bench.live() == "model 1\n"
    assert bench.actions()[-1] == ("rollback", "succeeded", "1.0.0")


def test_a_directory_that_is_gone_is_checked_out_again(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    first = bench.manager.get_deployment_history()[0].directory or ""
    remove_tree(bench.folder / "versions" / first)
    outcome = bench.manager.rollback_to_version()
    assert outcome.place.directory != first
    assert bench.live() == "model 1\n"


def test_a_directory_that_was_edited_is_not_gone_back_to(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    first = bench.manager.get_deployment_history()[0].directory or ""
    edited = bench.folder / "versions" / first / "model.bin"
    edited.chmod(0o644)
    edited.write_text("tampere\n")
    outcome = bench.manager.rollback_to_version()
    assert outcome.place.directory != first
    assert bench.live() == "model 1\n"


def test_a_rollback_needs_neither_tags_nor_cache_nor_remote(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    shutil.rmtree(bench.repo / ".dvc/cache")
    shutil.rmtree(bench.repo.parent / "dvc-remote")
    bench.git("tag", "--delete", "churn@v1.0.0")
    bench.manager.rollback_to_version()
    assert bench.live() == "model 1\n"


def test_a_lost_link_is_repaired_and_what_is_new_goes_live_by_itself(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    bench.release("model 3\n")
    bench.current.unlink()
    outcome = bench.manager.rollback_to_version("1.1.0")
    assert (bench.live(), outcome.blocked) == ("model 2\n", ())
    assert bench.manager.deploy().place.version == "1.2.0"


def test_without_git_a_repair_blocks_nothing_either(bench: Workbench) -> None:
    _ship(bench, 1)
    bench.release("model 2\n")
    bench.current.unlink()
    (bench.repo / ".git").rename(bench.repo / "away")
    bench.manager.rollback_to_version("1.0.0")
    (bench.repo / "away").rename(bench.repo / ".git")
    assert bench.manager.deploy().place.version == "1.1.0"


def test_what_was_blocked_stays_so_when_the_link_is_repaired(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    bench.manager.rollback_to_version()
    bench.current.unlink()
    bench.manager.rollback_to_version("1.0.0")
    assert bench.manager.deploy().event is None
    assert bench.live() == "model 1\n"


def test_a_hold_goes_on_when_the_link_is_repaired(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    bench.manager.deploy("1.0.0")  # another than the latest: it holds
    bench.current.unlink()
    bench.manager.rollback_to_version("1.0.0")
    with pytest.raises(Held):
        bench.manager.deploy()
    bench.manager.resume()
    assert bench.manager.deploy().place.version == "1.1.0"


def test_what_a_rollback_returns_to_is_not_named_as_blocked(bench: Workbench) -> None:
    _ship(bench, 1, 2, 3)
    assert bench.manager.rollback_to_version("1.0.0").blocked == ("1.1.0", "1.2.0")
    told = bench.cli("rollback", "churn", "--to", "1.1.0", "--yes")
    assert (told.code, "1.2.0 is blocked" in told.out, "1.1.0 is blocked" in told.out) == (0, 1, 0)
    assert bench.manager.rollback_to_version("1.2.0").blocked == ()
    assert bench.cli("status", "churn").code == 0


def test_a_rollback_below_what_was_live_blocks_although_the_link_is_lost(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    bench.current.unlink()
    assert bench.manager.rollback_to_version("1.0.0").blocked == ("1.1.0",)
    assert bench.manager.deploy().event is None


@pytest.mark.released
def test_after_the_first_deploy_the_next_lower_version_is_named(bench: Workbench) -> None:
    bench.release("model 2\n")
    _ship(bench, 3)
    with pytest.raises(NotFound) as error:
        bench.manager.rollback_to_version()
    assert error.value.hint == "tagship rollback churn --to 1.1.0"
    bench.manager.rollback_to_version("1.1.0")
    with pytest.raises(NotFound) as error:
        bench.manager.rollback_to_version()
    assert error.value.hint == "tagship rollback churn --to 1.0.0"
    assert bench.manager.deploy().event is None


def test_rolling_back_to_what_is_live_does_nothing(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    assert bench.manager.rollback_to_version("1.1").event is None


def test_order_is_by_seq_and_not_by_name(bench: Workbench) -> None:
    """v1.10.0 sorts before v1.9.0."""
    for number, version in enumerate(["1.9.0", "1.10.0", "1.11.0"], 2):
        bench.release(f"model {number}\n", version)
        bench.manager.deploy(version)
    assert bench.manager.rollback_to_version().place.version == "1.10.0"
    assert bench.manager.rollback_to_version().place.version == "1.9.0"


def test_a_tag_that_was_moved_is_not_checked_out(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    first = bench.manager.get_deployment_history()[0].directory or ""
    remove_tree(bench.folder / "versions" / first)
    bench.git("tag", "--force", "-m", "moved", "churn@v1.0.0", "HEAD")
    before = os.readlink(bench.current)
    with pytest.raises(Refused, match="was moved since it was deployed here"):
        bench.manager.rollback_to_version()
    assert os.readlink(bench.current) == before


def test_where_all_directories_are_gone_the_tag_is_checked_out_again(bench: Workbench) -> None:
    _ship(bench, 1, 2)
    remove_tree(bench.folder / "versions")
    assert bench.manager.rollback_to_version().place.version == "1.0.0"
    assert bench.live() == "model 1\n"
