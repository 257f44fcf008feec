"""The stages of dvc.lock: values from text, and which of them made or judge a model."""

import json
import sys

import pytest

from tagship import Corrupt
from tagship.dvc import pipeline, stages

YAML = b"""
stages:
  prepare: {cmd: p, wdir: work, metrics: [{rows.json: {cache: false}}]}
  train: {cmd: t}
  evaluate: {cmd: e, metrics: [scores.json, "${templated}.json"]}
  other: {cmd: o}
  many: {foreach: [a, b], do: {cmd: m, wdir: "sub"}}
"""
LOCK = b"""
schema: '2.0'
stages:
  other: {cmd: o, deps: [{path: raw.csv, md5: aa}], outs: [{path: other.bin, md5: bb}]}
  evaluate: {cmd: e, deps: [{path: out, md5: cc}], outs: [{path: scores.json, md5: dd}]}
  train:
    cmd: [one, two]
    deps: [{path: work/clean, md5: ee.dir}, {path: train.py, md5: ff}]
    params: {params.yaml: {train.depth: 4}, other.yaml: {seed: 1}}
    outs: [{path: out/model.bin, md5: '11'}]
  prepare: {cmd: p, deps: [{path: ../raw.csv, md5: aa}], outs: [{path: clean, md5: ee.dir}]}
  many@a: {cmd: m, outs: [{path: a.bin, md5: '22'}]}
"""


def _read() -> stages.Stages:
    return _stages("dvc.lock", LOCK, YAML)


def _stages(name: str, lock: bytes, declared: bytes) -> stages.Stages:
    """The stages of a lock, with a dvc.yaml beside it."""
    folder = name.rpartition("/")[0]
    return stages.read(name, lock, pipeline.at(lambda _: declared, folder))


def test_paths_are_from_the_top_and_commands_are_lines() -> None:
    by_name = {stage.name: stage for stage in _read()}
    assert by_name["prepare"].deps == {"raw.csv": "aa"}
    assert list(by_name["prepare"].outs) == ["work/clean"]
    assert by_name["prepare"].metrics == ("work/rows.json",)
    assert by_name["evaluate"].metrics == ("scores.json",)
    assert by_name["train"].command == "one && two"
    assert by_name["train"].params == {"train.depth": 4, "other.yaml:seed": 1}
    assert list(by_name["many@a"].outs) == ["sub/a.bin"]


def test_the_makers_of_a_model_come_first_things_first() -> None:
    assert [stage.name for stage in stages.makers([_read()], "out/model.bin")] == [
        "prepare",
        "train",
    ]


def test_related_are_the_makers_and_those_that_judge_and_no_others() -> None:
    names = [stage.name for stage in stages.related([_read()], "out/model.bin")]
    assert names == ["prepare", "train", "evaluate"]


def test_a_file_in_an_output_is_written_by_its_stage() -> None:
    written = stages.writer([_read()], "work/clean/part-1.csv")
    assert written is not None
    assert (written[0].name, written[1]) == ("prepare", "work/clean")
    assert stages.writer([_read()], "work/cleaner") is None


def test_stages_in_a_circle_end() -> None:
    lock = b"""
stages:
  a: {cmd: a, deps: [{path: y, md5: aa}], outs: [{path: x, md5: bb}]}
  b: {cmd: b, deps: [{path: x, md5: bb}], outs: [{path: y, md5: aa}]}
"""
    declared = b"stages: {a: {cmd: a}, b: {cmd: b}}"
    makers = stages.makers([_stages("dvc.lock", lock, declared)], "x")
    assert sorted(stage.name for stage in makers) == ["a", "b"]


@pytest.mark.parametrize(
    "lock",
    [
        b"stages: [a]",
        b"stages: {a: 1}",
        b"stages: {a: {outs: [{md5: aa}]}}",
        b"stages: {a: {outs: 1}}",
    ],
)
def test_a_lock_of_another_form_is_refused(lock: bytes) -> None:
    with pytest.raises(Corrupt, match=r"sub/dvc\.lock is not of DVC's form"):
        _stages("sub/dvc.lock", lock, b"stages: {a: {cmd: a}}")


def test_the_plots_of_a_stage_have_their_options() -> None:
    declared = b"""
stages:
  train:
    cmd: t
    wdir: work
    plots: [../a.csv, {b.csv: {x: n, cache: false}}, {c.png: null}, 7]
  many: {foreach: [a], do: {cmd: m, plots: {d.csv: {y: v}}}}
"""
    lock = b"stages: {train: {cmd: t}, many@a: {cmd: m}}"
    train, many = _stages("sub/dvc.lock", lock, declared)
    assert train.plots == (
        ("sub/a.csv", {}),
        ("sub/work/b.csv", {"x": "n", "cache": False}),
        ("sub/work/c.png", {}),
    )
    assert many.plots == (("sub/d.csv", {"y": "v"}),)
    assert "plots" not in train.to_json()


def _many(count: int) -> tuple[stages.Stages, list[str]]:
    """``count`` models, each with a stage that makes it from what all share, and one after it."""
    names = [f"m{number}" for number in range(count)]
    each = [
        (f"train-{name}", ["raw/all.csv", f"raw/{name}"], f"models/{name}/model.bin")
        for name in names
    ] + [
        (f"evaluate-{name}", [f"models/{name}"], f"models/{name}.json") for name in names
    ]  # fmt: skip
    entries = {
        stage: {
            "cmd": stage,
            "deps": [{"path": dep, "md5": "aa"} for dep in deps],
            "outs": [{"path": out, "md5": "bb"}],
        }
        for stage, deps, out in each
    }
    lock = json.dumps({"stages": entries}).encode()
    declared = json.dumps({"stages": {stage: {"cmd": stage} for stage in entries}}).encode()
    return _stages("dvc.lock", lock, declared), [f"models/{name}/model.bin" for name in names]


def _calls(count: int) -> int:
    """How many functions are called to find the makers of ``count`` models, and what evaluates."""
    recorded, paths = _many(count)
    calls = 0

    def note(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(note)
    try:
        related = [stages.related([recorded], path) for path in paths]
    finally:
        sys.setprofile(None)
    assert [len(stages_of_model) for stages_of_model in related] == [2] * count
    return calls


def test_the_stages_of_all_models_are_found_at_a_cost_that_grows_as_the_models_do() -> None:
    assert _calls(80) <= 2.2 * _calls(40)


def test_a_path_from_two_slashes_ends() -> None:
    assert stages.parents("//host/a/b") == ["//host/a", "//host"]
