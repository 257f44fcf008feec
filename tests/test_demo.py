"""``tagship demo``: the main job, whole, on the two real models of this repository."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tagship.errors import NotFound, Refused, TagshipError
from tagship.manager import demo as demos
from tagship.manager.demo import Change
from tests.training import Demo
from tests.workbench import Workbench

ROOT = Path(__file__).parent.parent
STATE = (
    r"  time:          [0-9-]+ [0-9:]+ UTC, [0-9.]+ s\n"
    r"  deployment id: ([0-9]{8}_[0-9]{6})\n"
    r"(?:  smoke test:    passed: [0-9]+ answers as released\n)?"
    r"  link:          models/(.._model)/current\n"
    r"(?:  note:          1\.1\.0 is blocked, live by exact number only: .*\n)?"  # after a rollback
    r"state:\n"
    r"  live version:  ([0-9.]+), ([0-9]) versions? on disk\n"
    r"  link active:   yes, points to versions/v[0-9.]+_[0-9]{8}_[0-9]{6}/model\.(?:cbm|keras)\n"
    r"  file:          accessible\n"
)


@pytest.fixture(scope="module")
def story(demo: Demo) -> str:
    """The demo's output; run on a clone of what is committed and changed here, without tags."""
    assert (demo.code, demo.err) == (0, ""), demo.out + demo.err
    assert demo.left == []  # nothing of the copy is left
    assert demo.after == demo.before
    return demo.out


def _chapter(story: str, title: str) -> str:
    _, heading, rest = story.partition(f"\n== {title} ==\n")
    assert heading, title
    return rest.partition("\n== ")[0]


def test_it_runs_the_commands_of_a_user_the_catboost_model_first(story: str) -> None:
    deeper, longer = "ml.train.depth: 4 -> 6", "dl.train.epochs: 6 -> 10"
    object_id = "[0-9a-f]{2}/[0-9a-f]{30}"
    expected = [
        "dvc repro --pipeline ml_train",
        "tagship release ml_model -m 'first version'",
        "tagship deploy ml_model --yes",
        "dvc repro --pipeline ml_train",
        f"git commit --quiet --all -m '{deeper}'",
        f"tagship release ml_model -m '{deeper}'",
        "tagship deploy ml_model --dry-run",
        "tagship deploy ml_model --yes",
        "tagship current ml_model",
        f"rm -f /.*/remote/files/md5/{object_id}",
        "dvc push models/ml_model/model.cbm",
        f"tagship deploy ml_model --yes --reason '{deeper}'",
        "tagship verify ml_model",
        "tagship rollback ml_model --reason 'wrong answers in production' --yes",
        "tagship history ml_model",
        "tagship why ml_model",
        "tagship status ml_model",
        "tagship report ml_model -o /.*/demo-ml_model.html",
        "dvc repro --pipeline dl_train",
        "git commit --quiet --all -m 'Train the first version'",
        "tagship release dl_model -m 'first version'",
        "tagship deploy dl_model --yes",
        "dvc repro --pipeline dl_train",
        f"git commit --quiet --all -m '{longer}'",
        f"tagship release dl_model -m '{longer}'",
        "tagship deploy dl_model --dry-run",
        f"tagship deploy dl_model --yes --reason '{longer}'",
        "tagship rollback dl_model --reason 'wrong answers in production' --yes",
        "tagship report dl_model -o /.*/demo-dl_model.html",
    ]
    commands = re.findall(r"^\$ (.*)$", story, re.MULTILINE)
    assert len(commands) == len(expected)
    for command, pattern in zip(commands, expected, strict=True):
        assert re.fullmatch(pattern.replace("'", '"'), command)


def _figures(story: str, name: str) -> list[float]:
    return [float(text) for text in re.findall(rf"^  {name}: ([0-9.]+)$", story, re.MULTILINE)]


def test_both_models_learn_far_more_than_the_largest_class(story: str) -> None:
    accuracy, baseline = _figures(story, "accuracy"), _figures(story, "baseline_accuracy")
    ml_first, ml_better, dl_first, dl_better = accuracy
    ml_baseline, _, dl_baseline, _ = baseline
    assert ml_better > ml_first > ml_baseline + 0.25
    assert dl_better > 0.93 > dl_baseline + 0.5
    assert dl_first > dl_baseline + 0.5


def test_a_deploy_is_told_in_the_form_of_the_first_document(story: str) -> None:
    deploys = re.findall(
        rf"^(.._model) ([0-9.]+) is live(?: \(before: ([0-9.]+)\))?\n{STATE}", story, re.MULTILINE
    )
    assert [(*found[:3], found[-1]) for found in deploys] == [
        (name, *switch)
        for name in ("ml_model", "dl_model")
        for switch in (("1.0.0", "", "1"), ("1.1.0", "1.0.0", "2"), ("1.0.0", "1.1.0", "2"))
    ]
    for name, version, _, _, linked, live, _ in deploys:
        assert (linked, live) == (name, version)


def test_a_damaged_byte_is_refused_and_what_was_live_stays_live(story: str) -> None:
    chapter = _chapter(story, "ml_model: a damaged byte is refused")
    refused, _, repaired = chapter.partition("(now repair it as the hint says)\n")
    assert re.search(
        r"^\$ tagship deploy ml_model --yes\n"
        r"error: .*other bytes for .* than it was released with\n"
        r"hint: .*dvc push\n"
        r"\(exit code 1\)\n"
        r"\$ tagship current ml_model\n"
        r"1\.0\.0\n",
        refused,
        re.MULTILINE,
    )
    assert "ml_model 1.1.0 is live (before: 1.0.0)\n" in repaired
    assert repaired.count("is as it was released") == 2


def test_history_why_and_status_tell_of_the_rollback(story: str) -> None:
    chapter = _chapter(story, "ml_model: what happened, why, and what now")
    events = [line.split("\t")[2:6] for line in chapter.splitlines() if re.match("[0-9]\t", line)]
    assert events == [
        ["deploy", "succeeded", "1.0.0", ""],
        ["deploy", "failed", "1.1.0", "1.0.0"],
        ["deploy", "succeeded", "1.1.0", "1.0.0"],
        ["rollback", "succeeded", "1.0.0", "1.1.0"],
    ]
    assert "ml_model 1.0.0 is live: " in chapter
    assert "ml_model: in order, live 1.0.0, latest 1.1.0\n" in chapter
    assert re.search(
        r"^  1\.1\.0 is passed over: rolled back to 1\.0\.0 by .*: wrong answers in production; ",
        chapter,
        re.MULTILINE,
    )
    assert "(exit code" not in chapter


def test_the_reports_are_left_and_their_paths_are_the_last_lines(story: str, demo: Demo) -> None:
    reports = [Path(demo.folder) / f"demo-{name}.html" for name in ("ml_model", "dl_model")]
    assert story.splitlines()[-2:] == [f"Report: {path}" for path in reports]
    for path in reports:
        assert "wrong answers in production" in path.read_text(encoding="utf-8")


def test_the_catboost_story_runs_no_stage_of_the_other_model(story: str) -> None:
    before, _, _ = story.partition("\n== dl_model: ")
    assert "Running stage 'ml_train':" in before
    assert "dl_" not in before


def test_the_catboost_story_needs_neither_tensorflow_nor_scikit_image() -> None:
    code = (
        "import sys, pipeline.ml_prepare, pipeline.ml_train, pipeline.ml_evaluate;"
        "print(*{'tensorflow', 'keras', 'skimage'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": "tools"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == "\n"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    first = " ".join(extras["pipeline-ml"])
    assert "catboost" in first
    for heavy in ("keras", "tensorflow", "scikit-image"):
        assert heavy not in first


# ---- what it refuses


def _refused(bench: Workbench, model: str | None = None) -> TagshipError:
    with pytest.raises((Refused, NotFound)) as error:
        demos.run(bench.repo, model=model, keep=False, say=pytest.fail)
    return error.value


def test_without_a_parameter_to_change_it_says_where_to_name_one(bench: Workbench) -> None:
    error = _refused(bench)
    assert str(error) == "params.yaml names no parameter that a demo could change"
    assert error.hint == "tagship: {demo: {churn: {train.depth: 5}}}, in params.yaml"
    (bench.repo / "params.yaml").write_text("name: x\nfast: true\nfit:\n  rate: 0.5\n")
    assert _refused(bench).hint == "tagship: {demo: {churn: {fit.rate: 1.5}}}, in params.yaml"
    (bench.repo / "params.yaml").write_text("fast: true\n")
    assert _refused(bench).hint.startswith("tagship: {demo: {churn: {train.depth: 6}}}")


def test_parameters_are_named_for_each_model(bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_text("tagship: {demo: {train.depth: 6}}\n")
    assert str(_refused(bench)) == (
        "tagship: demo: train.depth: in params.yaml names no parameters"
    )


def test_a_model_that_is_not_named_there_is_refused(bench: Workbench) -> None:
    (bench.repo / "params.yaml").write_text("tagship: {demo: {churn: {train.depth: 6}}}\n")
    assert str(_refused(bench, "wine")) == "tagship: demo: in params.yaml has no model wine"


def test_a_parameter_has_a_better_value_or_two() -> None:
    assert demos.plan({"churn": {"a": 6, "b.c": [1, 2], "d": [1]}}) == {
        "churn": (Change("a", None, 6), Change("b.c", 1, 2), Change("d", None, [1]))
    }
