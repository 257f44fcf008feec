"""What a release would do, told before it is done."""

import pytest

from tagship import Refused, Unavailable
from tagship.release import publish
from tagship.release.numbers import AlreadyReleased
from tests.workbench import PATH, Workbench, run


@pytest.mark.released
def test_a_plan_touches_nothing_and_says_what_is_released_then(bench: Workbench) -> None:
    bench.train("model 2, larger\n", accuracy=0.875)
    before = bench.state()
    plan = bench.manager.release_plan(bump="major", push=True)
    assert bench.changes(before) == set()
    assert (plan.tag, plan.size, plan.waiting, plan.push_to) == (
        "churn@v2.0.0", 16, False, "origin",
    )  # fmt: skip
    done = bench.manager.release(bump="major", push=True)
    for name in ("model", "version", "tag", "commit", "previous", "size", "metrics", "warnings"):
        assert getattr(done, name) == getattr(plan, name)
    assert done.pushed_to == plan.push_to


def test_what_was_planned_is_published_though_head_has_moved(bench: Workbench) -> None:
    plan = bench.manager.release_plan()
    bench.train("model 2\n")
    done = publish.publish(bench.manager.source, plan, "as it was shown")
    assert (done.commit, done.tag) == (plan.commit, "churn@v1.0.0")
    assert bench.git("rev-parse", "churn@v1.0.0^{commit}").strip() == plan.commit
    bench.manager.deploy()
    assert bench.live() == "model 1\n"


def test_a_plan_whose_tag_somebody_made_meanwhile_is_refused(bench: Workbench) -> None:
    plan = bench.manager.release_plan()
    bench.git("tag", "-m", "theirs", plan.tag)
    before = bench.git("rev-parse", plan.tag)
    with pytest.raises(Refused, match=r"churn@v1\.0\.0"):
        publish.publish(bench.manager.source, plan)
    assert bench.git("rev-parse", plan.tag) == before


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.released
def test_what_is_released_already_is_named(bench: Workbench, committed: bool) -> None:
    if committed:  # another commit, with the same bytes
        bench.commit()
    with pytest.raises(AlreadyReleased) as caught:
        bench.manager.release_plan()
    assert str(caught.value.version) == "1.0.0"


@pytest.mark.released
def test_a_release_that_waits_to_be_pushed_is_planned_as_such(bench: Workbench) -> None:
    plan = bench.manager.release_plan(push=True)
    assert (plan.tag, plan.waiting, plan.push_to) == ("churn@v1.0.0", True, "origin")


@pytest.mark.released
def test_a_lower_version_is_planned_with_a_note(bench: Workbench) -> None:
    bench.train("model 2\n")
    told = ("0.9.0 is lower than 1.0.0, which stays the latest",)
    assert bench.manager.release_plan(version="0.9.0").warnings == told


def test_a_plan_asks_no_remote_for_the_size_of_a_folder(bench: Workbench) -> None:
    (bench.repo / "bundle").mkdir()
    (bench.repo / "bundle/a").write_text("a")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: bundle/a\n")
    bench.track("bundle")
    bench.commit()
    assert bench.manager.release_plan().size == 1
    bench.dvc("push", "--quiet")
    run(bench.repo, "rm", "-rf", ".dvc/cache", "bundle")
    before = bench.state()
    assert bench.manager.release_plan().size is None
    assert bench.changes(before) == set()
    assert bench.manager.release().size is None
    assert "Size:" not in bench.git("tag", "--list", "--format=%(contents)")


def test_what_a_release_would_refuse_its_plan_refuses(bench: Workbench) -> None:
    bench.git("remote", "set-url", "origin", "../gone.git")
    with pytest.raises(Unavailable):
        bench.manager.release_plan(push=True)
    (bench.repo / PATH).write_text("being trained\n")
    with pytest.raises(Refused, match=r"models/churn/model\.bin was changed"):
        bench.manager.release_plan()
