"""What a commit has of a pipeline is what DVC itself says of it, form by form."""

import contextlib
import functools
import json
import os
import posixpath
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.stage import PipelineStage

from tagship.dvc import pipeline
from tagship.dvc.snapshot import Snapshot
from tagship.git import commits
from tagship.registry.artifacts import Artifact
from tagship.text import yaml
from tagship.workspace.find import find
from tagship.workspace.source import Source
from tests.dvc.forms import CHURN, FORMS, SCORE, Form
from tests.dvc.forms import _stage as stage_of
from tests.workbench import run

MORE = (
    Form(
        "metrics of every kind",
        {
            **stage_of(
                """
                deps: [train.txt]
                outs: [model.bin]
                metrics: [a.yaml, b.toml, c.json, d.txt, e.py, f.yaml]
                """,
                "sh train.txt",
            ),
            "train.txt": """\
                echo a > model.bin
                echo 'deep: {x: 1, none: null, list: [1], no: {}, t: text}' > a.yaml
                printf '[v]\\nacc = 0.5\\nok = true\\n' > b.toml
                echo '{"nan": NaN, "zero": 0, "empty": "", "1": {"2": 3}}' > c.json
                echo 0.75 > d.txt
                echo 'RATE = 0.1' > e.py
                echo '[1, 2]' > f.yaml
                """,
        },
    ),
    Form(
        "metrics of a folder and of a file in an output",
        {
            "train.txt": """\
                mkdir -p out/deep all
                echo a > out/model.bin
                echo 'acc: 1' > out/deep/m.yaml
                echo 'auc: 2' > all/a.yaml
                echo 'f1: 3' > all/b.yaml
                """,
            "params.yaml": "place: out\n",
            "dvc.yaml": """\
                stages:
                  train:
                    cmd: sh train.txt
                    deps: [train.txt]
                    outs: [out]
                    metrics: [all]
                metrics: ["${place}/deep/m.yaml"]
                artifacts:
                  churn: {path: out/model.bin, type: model}
                """,
        },
        path="out/model.bin",
    ),
    Form(
        "templates in a folder of its own",
        {
            "a/params.yaml": "names: [x, y]\nwhere: {in: work}\n",
            "a/conf/stage.yaml": "out: model.bin\n",
            "params.yaml": "names: [other]\nwhere: {in: nowhere}\n",
            "a/work/train.txt": "tree\n",
            "a/dvc.yaml": """\
                vars: [{suffix: json}]
                stages:
                  train:
                    foreach: ${names}
                    do:
                      wdir: ${where.in}
                      vars: [../conf/stage.yaml]
                      cmd: cat train.txt > ${item}-${out} && echo '{"acc":0.5}' > ${item}.${suffix}
                      deps: [train.txt]
                      params: [{../params.yaml: [names]}]
                      outs: ["${item}-${out}"]
                      metrics: [{"${item}.${suffix}": {cache: false}}]
                      plots: [{"${item}.csv": {x: "${item}", cache: false}}]
                artifacts:
                  "${names[0]}": {path: "${where.in}/${names[0]}-model.bin", desc: "of ${names[0]}"}
                """.replace("> ${item}.${suffix}", "> ${item}.${suffix} && echo a > ${item}.csv"),
        },
        model="a:x",
        path="a/work/x-model.bin",
    ),
    Form(
        "templates that are none",
        stage_of("outs: [model.bin]\nmetrics: ['\\${x}.json']",
                 f"echo a > model.bin; {SCORE} > '\\${{x}}.json'"),
        source=None,
    ),
    Form(
        "parameters of one name in two folders",
        {
            "prepare/dvc.yaml": "stages: {prepare: {cmd: cp raw.txt clean.txt, deps: [raw.txt],"
            " params: [depth, {more.yaml: [depth]}], outs: [clean.txt]}}\n",
            "prepare/params.yaml": "depth: 1\n",
            "prepare/more.yaml": "depth: 2\n",
            "prepare/raw.txt": "a\n",
            "params.yaml": "depth: 3\n",
            "dvc.yaml": "stages: {train: {cmd: cp prepare/clean.txt model.bin, deps:"
            f" [prepare/clean.txt], params: [depth], outs: [model.bin]}}}}\n{CHURN}",
        },
    ),
)  # fmt: skip
ALL = (*FORMS, *MORE)
# Of several models, or stages that have nothing to do with it, the model's own alone
OF_THE_MODEL = {
    "foreach list": {"train.json"},
    "foreach over a parameter": {"models/churn.json"},
    "matrix": {"a2.json"},
    "templates in a folder of its own": {"a/work/x.json"},
}


@dataclass(frozen=True)
class Asked:
    """The repository of a form, and what HEAD has of its model."""

    repo: Path
    source: Source
    at_commit: Snapshot


Ask = Callable[[Form], Asked]


@pytest.fixture(scope="module")
def ask(built: Callable[[Form], Path]) -> Ask:
    known: dict[str, Asked] = {}

    def ask(form: Form) -> Asked:
        if form.name not in known:
            repo = built(form) / "repo"
            source = find(repo / form.project)[0]
            head = commits.commit(source.repository, "HEAD").id
            known[form.name] = Asked(repo, source, source.snapshot(head, form.model))
        return known[form.name]

    return ask


@contextlib.contextmanager
def _opened(repo: Path, form: Form) -> Iterator[Repo]:
    project = repo / form.project
    with contextlib.chdir(project), contextlib.closing(Repo(str(project))) as opened:
        yield opened


def _stages(opened: Repo) -> list[PipelineStage]:
    return [stage for stage in opened.index.stages if isinstance(stage, PipelineStage)]


def _from(repo: Path, path: str) -> str:
    relative = os.path.relpath(path, repo)
    return "" if relative == "." else relative


@pytest.mark.parametrize("form", ALL, ids=str)
def test_the_stages_of_a_commit_are_those_that_dvc_has(ask: Ask, form: Form) -> None:
    repo, asked = ask(form).repo, ask(form)
    read = functools.partial(asked.source.blobs.read, asked.at_commit.commit)
    ours: dict[tuple[str, str], Any] = {}
    theirs: dict[tuple[str, str], Any] = {}
    with _opened(repo, form) as opened:
        for stage in _stages(opened):
            folder = _from(repo, str(Path(stage.path).parent))
            theirs[folder, stage.name] = (
                _from(repo, stage.wdir),
                {_from(repo, out.fs_path) for out in stage.outs},
                {_from(repo, out.fs_path) for out in stage.outs if out.metric},
                {_from(repo, out.fs_path): _options(out.plot) for out in stage.outs if out.plot},
            )
            for name, defined in pipeline.at(read, folder).definitions.items():
                ours[folder, name] = (
                    defined.wdir,
                    set(defined.outs),
                    set(defined.metrics),
                    {path: _options(options) for path, options in defined.plots},
                )
    assert ours == theirs


def _options(plot: Any) -> dict[str, Any]:
    """The options of a plot alone, not those of its file."""
    kept = plot if isinstance(plot, dict) else {}
    return {key: value for key, value in kept.items() if key in ("x", "y", "template")}


@pytest.mark.parametrize("form", ALL, ids=str)
def test_the_models_of_a_commit_are_those_that_dvc_has(ask: Ask, form: Form) -> None:
    with _opened(ask(form).repo, form) as opened:
        declared = opened.artifacts.read()
    theirs = {}
    for path, entries in declared.items():
        folder = posixpath.dirname(posixpath.join(form.project, path))
        for name, entry in entries.items():
            model = f"{folder}:{name}" if folder else name
            theirs[model] = (posixpath.join(folder, entry.path), entry.desc or "")
    ours = {
        model: (entry.path, entry.description)
        for model, entry in ask(form).source.artifacts().items()
        if isinstance(entry, Artifact)
    }
    assert ours == theirs


@pytest.mark.parametrize("form", ALL, ids=str)
def test_the_metrics_of_a_model_are_those_that_dvc_shows(ask: Ask, form: Form) -> None:
    with _opened(ask(form).repo, form) as opened:
        (shown,) = opened.metrics.show(hide_workspace=False).values()
    assert _metrics(ask(form)) == _shown(shown["data"], form)


@pytest.mark.parametrize("form", MORE, ids=str)
def test_the_metrics_of_a_model_are_those_that_a_process_of_dvc_shows(ask: Ask, form: Form) -> None:
    words = (sys.executable, "-m", "dvc", "metrics", "show", "--json")
    shown = json.loads(run(ask(form).repo / form.project, *words))
    assert _metrics(ask(form)) == _shown(shown.get("", {}).get("data", {}), form)


def _metrics(asked: Asked) -> dict[str, Any]:
    return asked.source.metrics(asked.at_commit)


def _shown(shown: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """What DVC shows of the model's files, flat; NaN, which JSON has not, as a text."""
    values = {posixpath.join(form.project, path): value["data"] for path, value in shown.items()}
    flat: dict[str, Any] = {}
    for path in OF_THE_MODEL.get(form.name, set(values)):
        data = values[path]
        flat |= yaml.flat(data) if isinstance(data, dict) else {path: data}
    return {name: "nan" if value != value else value for name, value in flat.items()}


@pytest.mark.parametrize("form", ALL, ids=str)
def test_the_parameters_of_a_model_are_those_that_dvc_recorded(ask: Ask, form: Form) -> None:
    asked = ask(form)
    with _opened(asked.repo, form) as opened:
        theirs = {stage.name: _params(asked.repo, stage) for stage in _stages(opened)}
    ours = {stage.name: stage.params for stage in asked.at_commit.makers}
    assert ours == {name: theirs[name] for name in ours}
    assert ours or form.target.endswith(".dvc")


def _params(repo: Path, stage: PipelineStage) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for dependency in stage.deps:
        if isinstance(dependency, ParamsDependency):
            default = Path(dependency.fs_path) == Path(stage.wdir, "params.yaml")
            file = "" if default else f"{_from(repo, dependency.fs_path)}:"
            named |= {f"{file}{key}": value for key, value in dependency.hash_info.value.items()}
    return named
