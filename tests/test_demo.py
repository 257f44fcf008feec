"""``tagship demo``: the main job, whole, on the two real models of this repository."""

import re

import pytest

from tests.training import Demo


@pytest.fixture(scope="module")
def story(demo: Demo) -> str:
    """The demo's output; run on a clone of what is committed and changed here, without tags."""
    assert demo.code == 0, demo.out + demo.err
    assert demo.left == []  # nothing of the copy is left
    assert demo.tags == ""
    return demo.out


def _figures(story: str, name: str) -> list[float]:
    return [float(text) for text in re.findall(rf"^  {name}: ([0-9.]+)$", story, re.MULTILINE)]


def test_both_models_learn_far_more_than_the_largest_class(story: str) -> None:
    accuracy, baseline = _figures(story, "accuracy"), _figures(story, "baseline_accuracy")
    dl_model, ml_model, ml_model_again = zip(accuracy, baseline, strict=True)
    assert dl_model[0] > 0.93 > dl_model[1] + 0.5
    assert ml_model[0] > ml_model[1] + 0.25
    assert ml_model_again[0] > ml_model_again[1] + 0.25


def test_the_story_is_told_in_the_form_of_the_first_document(story: str) -> None:
    deploys = re.findall(
        r"^\$ tagship deploy .._model\n"
        r"model found: [0-9.]+ [kM]B; deploying \.\.\.\n"
        r"deployment succeeded!\n"
        r"   • Version: ([0-9.]+)\n"
        r"   • Time: [0-9-]+ [0-9:]+ UTC\n"
        r"   • Deployment id: [0-9]{8}_[0-9]{6}\n"
        r"   • Link: models/(..)_model/current\n"
        r"   • Smoke test: passed, [0-9]+ answers as released\n",
        story,
        re.MULTILINE,
    )
    assert deploys == [("1.0.0", "dl"), ("1.0.0", "ml"), ("1.1.0", "ml")]


def test_the_rollback_makes_the_first_version_active_again(story: str) -> None:
    _, _, end = story.partition("== Roll back ml_model ==\n")
    assert re.fullmatch(
        r"\$ tagship rollback ml_model\n"
        r"rolled back in 0\.[0-9]+ s\n"
        r"state after this:\n"
        r"   • Active version: 1\.0\.0\n"
        r"   • Number of versions: 2\n"
        r"   • Symbolic link active: yes\n"
        r"   • Points to: versions/v1\.0\.0_[0-9]{8}_[0-9]{6}/model\.cbm\n"
        r"   • File accessible: yes\n"
        r"\nThe copy is removed\. .*\n",
        end,
    )


def test_only_what_depends_on_the_changed_parameter_is_trained_again(story: str) -> None:
    _, _, again = story.partition("== Change ml.train.depth")
    assert "Running stage 'ml_train':" in again
    assert "Stage 'dl_train' didn't change, skipping" in again
    assert "Running stage 'dl_train':" not in again
