"""What a few lines of dvc.yaml may stand for, what of it is bounded, and whom an error concerns."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tagship import Corrupt
from tagship.dvc import pipeline, resolver
from tagship.dvc.stages import Pipeline
from tagship.registry.artifacts import Artifact

Files = dict[str, Any]


def _read(files: Files) -> Callable[[str], bytes | None]:
    texts = {
        path: content if isinstance(content, bytes) else json.dumps(content).encode()
        for path, content in files.items()
    }
    return texts.get


def _pipeline(declared: Any, **more: Any) -> Pipeline:
    return pipeline.at(_read({"dvc.yaml": declared, **more}), "")


def _stages(name: str, entry: Any, declared: Any = None, **more: Any) -> Pipeline:
    return _pipeline({**(declared or {}), "stages": {name: entry}}, **more)


PLAIN = {"cmd": "p", "outs": ["plain.bin"]}


def test_a_stage_that_cannot_be_resolved_hides_no_other_one() -> None:
    entry = {"foreach": "${nowhere}", "do": {"cmd": "t", "outs": ["${item}.bin"]}}
    known = _pipeline({"stages": {"train": entry, "plain": PLAIN}})
    assert list(known.definitions) == ["plain"]
    assert known.problems["train"].message == (
        "stage train in dvc.yaml cannot be resolved: failed to parse 'stages.train.foreach' in"
        " 'dvc.yaml': Could not find 'nowhere'"
    )
    assert known.problem("train@a") == known.problems["train"]
    assert known.problem("plain@a") is None


def test_what_of_a_stage_is_no_template_is_known_where_another_part_is_wrong() -> None:
    entry = {"cmd": "t", "wdir": "w", "outs": ["m.bin", "${x}"], "metrics": ["m.json", "${x}.json"]}
    stage = _stages("train", entry).definitions["train"]
    assert (stage.wdir, list(stage.outs)) == ("w", ["w/m.bin", "w/m.json"])
    assert stage.metrics == ("w/m.json",)
    assert stage.problem is not None


def test_where_a_stage_runs_is_never_guessed() -> None:
    known = _stages("train", {"cmd": "t", "wdir": "${x}", "outs": ["m.bin"]})
    assert (known.definitions, list(known.problems)) == ({}, ["train"])


def test_the_error_of_a_model_is_its_own() -> None:
    entries = {
        "churn": {"path": "${nowhere}/m.bin"},
        "fraud": {"path": "models/${names[0]}.bin"},
        "wine": {"path": "wine.bin"},
        "no path": {"path": "x"},
        "${names[1]}": {"path": "b.bin"},
        "${nowhere}": {"path": "c.bin"},
        "beer": {"type": "model"},
    }
    files = {"dvc.yaml": {"artifacts": entries}, "params.yaml": {"names": ["a", "b"]}}
    models = pipeline.models(_read(files), "")
    assert {name: entry for name, entry in models.items() if isinstance(entry, Artifact)} == {
        "fraud": Artifact("fraud", "models/a.bin"),
        "wine": Artifact("wine", "wine.bin"),
        "b": Artifact("b", "b.bin"),
    }
    errors = {name: str(entry) for name, entry in models.items() if isinstance(entry, Corrupt)}
    assert errors == {
        "churn": "artifacts: churn in dvc.yaml cannot be resolved: failed to parse"
        " 'artifacts.churn' in 'dvc.yaml': Could not find 'nowhere'",
        "beer": "artifacts: beer in dvc.yaml has no path",
    }


def test_params_that_cannot_be_read_concern_what_is_a_template_alone() -> None:
    declared = {
        "stages": {"train": {"cmd": "t", "outs": ["${name}.bin"]}, "plain": PLAIN},
        "metrics": ["${name}.json", "m.json"],
    }
    known = _pipeline(declared, **{"params.yaml": b"name: [\n"})
    assert list(known.definitions) == ["train", "plain"]
    assert known.metrics == ("m.json",)
    why = "cannot be resolved: params.yaml is not valid YAML, line 2"
    assert str(known.definitions["train"].problem) == f"stage train in dvc.yaml {why}"
    assert known.notes == (f"metrics: item 0 in dvc.yaml {why}",)


@pytest.mark.parametrize("path", ["/etc/hostname", "../up.yaml", ".git/config", ".dvc/config", "."])
def test_nothing_outside_of_the_commit_is_read(path: str) -> None:
    asked: list[str] = []

    def read(name: str) -> bytes | None:
        asked.append(name)
        files: Files = {"dvc.yaml": {"vars": [path], "stages": {"a": {"outs": ["${x}"]}}}}
        return _read(files)(name)

    problem = pipeline.at(read, "").definitions["a"].problem
    assert "does not exist" in str(problem)
    assert set(asked) <= {"dvc.yaml", "params.yaml"}


def test_a_python_file_is_read_and_not_executed(capsys: pytest.CaptureFixture[str]) -> None:
    code = b"print('ran')\nNAME = 'a'\nOTHER = print('ran')\n"
    known = _stages("train", {"outs": ["${NAME}.bin"]}, {"vars": ["conf.py"]}, **{"conf.py": code})
    assert list(known.definitions["train"].outs) == ["a.bin"]
    assert capsys.readouterr().out == ""


MANY = [{"a": 1}] * 20_000
WIDE = list(range(1000))


@pytest.mark.parametrize(
    ("entry", "params", "why"),
    [
        ({"foreach": MANY, "do": {"outs": ["${item}"]}}, {}, "expands to"),
        ({"foreach": list(range(10_001)), "do": {"outs": ["${item}"]}}, {}, "10,001 stages"),
        ({"outs": ["${a}"]}, {"a": MANY}, "expands to"),
        ({"vars": ["big.yaml"], "outs": ["${a}"]}, {"a": 1}, "expands to"),
        ({"matrix": {"a": WIDE, "b": WIDE, "c": WIDE}, "outs": ["${item.a}"]}, {}, "1,000,000,000"),
        ({"foreach": WIDE, "do": {"outs": ["${text}"] * 99}}, {"text": "x" * 9999}, "expands to"),
        ({"foreach": WIDE, "do": {"outs": ["${item}"] * 999}}, {}, "expands to"),
        ({"outs": ["${text}" * 9999]}, {"text": "x" * 99999}, "expands to"),
        ({"outs": ["${text}" * 300] * 100}, {"text": "x"}, "expands to"),
        ({"vars": ["long.yaml"], "outs": ["${long}" * 9999]}, {}, "expands to"),
        ({"outs": ["${text"]}, {"text": "x"}, None),
        ({"outs": ["${a.b.c[0]}"]}, {"a": 1}, "Could not find"),
        ({"outs": ["${a..b}"]}, {"a": 1}, "failed to parse"),
        ({"outs": "${a}"}, {"a": ["x"]}, "Cannot interpolate"),
        ({"foreach": 7, "do": {"outs": ["${item}"]}}, {}, "expected list/dictionary"),
        ({"foreach": [1], "do": 7}, {}, "is not of DVC's form"),
        ({"matrix": 7, "outs": ["${item}"]}, {}, "int"),
        ({"matrix": {"a": 7}, "outs": ["${item}"]}, {}, "int"),
        ({"vars": 7, "outs": ["${a}"]}, {"a": "x"}, "int"),
        ({"vars": [7], "outs": ["${a}"]}, {"a": "x"}, "is not of DVC's form"),
        ({"vars": ["${a}"], "outs": ["${a}"]}, {"a": "x"}, "interpolating is not allowed"),
        ({"wdir": ["${a}"], "outs": ["x"]}, {"a": "x"}, "expected string"),
    ],
)  # fmt: skip
def test_what_stands_for_too_much_or_for_nothing_is_an_error_of_its_stage(
    entry: dict[str, Any], params: Any, why: str | None
) -> None:
    files: Files = {"params.yaml": params, "long.yaml": {"long": "x" * 99999}}
    files["big.yaml"] = b"# " + b"x" * (1 << 20)
    try:
        known = _pipeline({"stages": {"bad": entry, "plain": PLAIN}}, **files)
    except Corrupt as error:
        assert why == "is not of DVC's form" and why in str(error)
        return
    assert "plain" in known.definitions
    bad = known.definitions.get("bad")
    problem = known.problems.get("bad") or (bad.problem if bad else None)
    if why is None:
        assert problem is None
    else:
        assert why in str(problem)
        assert len(str(problem)) < resolver.LONGEST_ERROR + 100


def test_a_file_is_resolved_once_until_something_that_it_reads_differs() -> None:
    asked: list[str] = []

    def reading(files: Files) -> Callable[[str], bytes | None]:
        def read(path: str) -> bytes | None:
            asked.append(path)
            return _read(files)(path)

        return read

    files = {
        "dvc.yaml": {"stages": {"once": {"outs": ["${name}.bin"]}}},
        "params.yaml": {"name": "once"},
        "README": b"one",
    }
    first = pipeline.at(reading(files), "")
    assert pipeline.at(reading({**files, "README": b"two"}), "") is first
    other = pipeline.at(reading({**files, "params.yaml": {"name": "twice"}}), "")
    assert list(other.definitions["once"].outs) == ["twice.bin"]
    assert pipeline.at(reading(files), "") is first
    assert set(asked) == {"dvc.yaml", "params.yaml"}


def test_a_plain_file_asks_for_nothing_else() -> None:
    asked: list[str] = []

    def read(path: str) -> bytes | None:
        asked.append(path)
        return _read({"dvc.yaml": {"stages": {"alone": PLAIN}, "metrics": ["m.json"]}})(path)

    assert list(pipeline.at(read, "").definitions["alone"].outs) == ["plain.bin"]
    assert asked == ["dvc.yaml"]
