"""A test bed: the forms that a DVC pipeline can have, each a small repository with a model.

``build`` makes the Git and DVC repository of a form, with DVC itself. The fixture ``grown`` (in
``conftest.py`` beside this file) builds each form once a session, and gives a test its own copy.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

from tests.workbench import commit, dvc, run, track

OTHER, OUTSIDE = "other", "outside"  # beside the repository: another DVC repository, plain files


@dataclass(frozen=True)
class Edit:
    """An edit of one file: ``old``, which is in it once, becomes ``new``."""

    path: str
    old: str
    new: str

    def apply(self, repo: Path) -> None:
        """Make the edit."""
        file = repo / self.path
        text = file.read_text()
        assert text.count(self.old) == 1, f"{self.path} has {self.old!r} {text.count(self.old)} x"
        file.write_text(text.replace(self.old, self.new))


DEPTH = Edit("params.yaml", "depth: 4", "depth: 6")


@dataclass(frozen=True)
class Form:
    """A form of a DVC pipeline.

    Attributes:
        name: of the form.
        files: what a user wrote: text by path.
        model: the model's name, as tagship has it.
        path: the model's file or folder, from Git's top.
        target: the stage that makes it, as ``dvc repro`` takes it in the folder ``project``.
        source: a file in Git that the model depends on; a line can be appended.
        data: a file that DVC tracks (itself, or in a folder) and the model depends on; likewise.
        added: paths that are tracked with ``dvc add``.
        param: an edit of a parameter that the model depends on.
        command: an edit of the command of the stage.
        project: the folder of ``.dvc``, from Git's top.
        prepare: what else is done before the pipeline runs, for example an import.
        finish: what is done after it ran, before the commit.
    """

    name: str
    files: dict[str, str]
    model: str = "churn"
    path: str = "model.bin"
    target: str = "train"
    source: str | None = "train.txt"
    data: str | None = None
    added: tuple[str, ...] = ()
    param: Edit | None = None
    command: Edit | None = Edit("dvc.yaml", "cmd: cat", "cmd: cat -u")
    project: str = ""
    prepare: tuple[Callable[[Path], None], ...] = ()
    finish: tuple[Callable[[Path], None], ...] = field(default=())

    def __str__(self) -> str:
        return self.name


def build(form: Form, folder: Path) -> Path:
    """The repository of a form in ``folder/repo``: everything up to date, and committed."""
    repo = folder / "repo"
    project = repo / form.project
    project.mkdir(parents=True)
    run(repo, "git", "init", "--quiet", "--initial-branch=main")
    dvc(project, "init", "--quiet", *(["--subdir"] if form.project else []))
    dvc(project, "remote", "add", "--quiet", "--default", "store", str(folder / "store"))
    for path, text in form.files.items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_text(dedent(text))
    for step in form.prepare:
        step(repo)
    for path in form.added:
        add(repo, form, path)
    dvc(project, "repro", "--quiet", "--all-pipelines")
    for step in form.finish:
        step(repo)
    commit(repo, form.name)
    return repo


def copy(source: Path, target: Path) -> Path:
    """A copy of all that ``build`` made in a folder; the repository in it."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    return target / "repo"


def clone(repo: Path, form: Form, target: Path) -> Path:
    """A clone as CI has it: what Git keeps, and nothing of what DVC keeps."""
    for name in (OTHER, OUTSIDE):
        if (repo.parent / name).is_dir():
            shutil.copytree(repo.parent / name, target / name)
    run(target, "git", "clone", "--quiet", str(repo), "repo")
    return target / "repo"


def add(repo: Path, form: Form, path: str) -> None:
    """Have DVC track a file or folder, as ``dvc add`` does, also in a ``--subdir`` repository."""
    project = repo / form.project
    track(project, Path(path).relative_to(form.project) if form.project else path)


def tracked(form: Form) -> str:
    """The path that ``dvc add`` was told of which ``form.data`` is, or is in."""
    assert form.data is not None
    return next(path for path in form.added if f"{form.data}/".startswith(f"{path}/"))


def _import_url(repo: Path) -> None:
    (repo.parent / OUTSIDE).mkdir()
    (repo.parent / OUTSIDE / "raw.csv").write_text("1,2\n")
    dvc(repo, "import-url", "--quiet", f"../{OUTSIDE}/raw.csv", "raw.csv")


def _import(repo: Path) -> None:
    other = repo.parent / OTHER
    other.mkdir()
    run(other, "git", "init", "--quiet", "--initial-branch=main")
    dvc(other, "init", "--quiet")
    (other / "raw.csv").write_text("1,2\n")
    track(other, "raw.csv")
    commit(other, "Data")
    dvc(repo, "import", "--quiet", f"../{OTHER}", "raw.csv")


def _outside(repo: Path) -> None:
    (repo.parent / OUTSIDE).mkdir()
    (repo.parent / OUTSIDE / "raw.csv").write_text("1,2\n")


def _freeze(target: str) -> Callable[[Path], None]:
    def freeze(repo: Path) -> None:
        dvc(repo, "freeze", "--quiet", target)

    return freeze


TRAIN = {"train.txt": "tree\n", "params.yaml": "train:\n  depth: 4\n  rate: 0.1\n"}
CHURN = "artifacts:\n  churn: {path: model.bin, type: model}\n"
SCORE = """echo '{"acc":0.5}'"""  # a metrics file, printed


def _stage(more: str, cmd: str = "cat train.txt > model.bin", tail: str = CHURN) -> dict[str, str]:
    """A dvc.yaml of the stage ``train`` with these entries, and its files."""
    entries = dedent(more).strip().replace("\n", "\n    ")
    pipeline = f"stages:\n  train:\n    cmd: {cmd}\n    {entries}\n{tail}"
    return {**TRAIN, "dvc.yaml": pipeline}


def _params_file(name: str, text: str, key: str = "depth") -> dict[str, str]:
    more = f"deps: [train.txt]\nparams: [{{{name}: [{key}]}}]\nouts: [model.bin]"
    return {**_stage(more), name: text}


FORMS = (
    Form(
        "plain",
        _stage("deps: [train.txt]\nparams: [train.depth]\nouts: [model.bin]"),
        param=DEPTH,
    ),
    Form(
        "two stages",
        {
            **TRAIN,
            "dvc.yaml": """\
                stages:
                  prepare:
                    cmd: tr a-z A-Z < raw.txt > clean.txt
                    deps: [raw.txt]
                    outs: [clean.txt]
                  train:
                    cmd: cat clean.txt train.txt > model.bin
                    deps: [clean.txt, train.txt]
                    params: [train]
                    outs: [model.bin]
                artifacts:
                  churn: {path: model.bin, type: model}
                """,
            "raw.txt": "a\n",
        },
        source="raw.txt",
        param=DEPTH,
    ),
    Form(
        "stages downstream",
        {
            **TRAIN,
            "dvc.yaml": """\
                stages:
                  train:
                    cmd: cat train.txt > model.bin
                    deps: [train.txt]
                    params: [train.depth]
                    outs: [model.bin]
                  evaluate:
                    cmd: echo '{"acc":0.5}' > metrics.json
                    deps: [model.bin, test.txt]
                    metrics: [{metrics.json: {cache: false}}]
                artifacts:
                  churn: {path: model.bin, type: model}
                """,
            "test.txt": "a\n",
        },
        param=DEPTH,
    ),
    Form(
        "template in the command",
        _stage(
            "deps: [train.txt]\nparams: [train.depth]\nouts: [model.bin]",
            "cat train.txt > model.bin && echo ${train.depth} >> model.bin",
        ),
        param=DEPTH,
    ),
    Form(
        "template in the command alone",  # no params: the parameter is in the command
        _stage(
            "deps: [train.txt]\nouts: [model.bin]",
            "cat train.txt > model.bin && echo ${train.depth} >> model.bin",
        ),
        param=DEPTH,
    ),
    Form(
        "mapping in the command",
        _stage(
            "deps: [train.txt]\nouts: [model.bin]",
            "cat train.txt > model.bin && echo ${train} >> model.bin",
        ),
        param=DEPTH,
    ),
    Form(
        "vars",
        {
            **TRAIN,
            "dvc.yaml": """\
                vars:
                  - names: {out: model.bin, metric: scores.json}
                stages:
                  train:
                    cmd: cat train.txt > ${names.out} && echo '{"acc":0.5}' > ${names.metric}
                    deps: [train.txt]
                    params: [train.depth]
                    outs: ["${names.out}"]
                    metrics: [{"${names.metric}": {cache: false}}]
                artifacts:
                  churn: {path: model.bin, type: model}
                """,
        },
        param=DEPTH,
    ),
    Form(
        "vars of a file",
        {
            **TRAIN,
            "conf/vars.yaml": "out: model.bin\nname: a\n",
            "dvc.yaml": """\
                vars: [conf/vars.yaml]
                stages:
                  train:
                    cmd: cat train.txt > ${out} && echo ${name} >> ${out}
                    deps: [train.txt]
                    outs: ["${out}"]
                artifacts:
                  churn: {path: model.bin, type: model}
                """,
        },
        param=Edit("conf/vars.yaml", "name: a", "name: b"),
    ),
    Form(
        "vars of a part of a file",
        {
            **TRAIN,
            "conf/vars.json": '{"out": "model.bin", "train": {"unused": 1}, "name": "a"}\n',
            "dvc.yaml": """\
                vars: ["conf/vars.json:out,name"]
                stages:
                  train:
                    cmd: cat train.txt > ${out} && echo ${name} >> ${out}
                    deps: [train.txt]
                    outs: ["${out}"]
                artifacts:
                  churn: {path: model.bin, type: model}
                """,
        },
        param=Edit("conf/vars.json", '"name": "a"', '"name": "b"'),
    ),
    Form(
        "vars of a stage",
        _stage(
            'vars: [{local: {out: model.bin}}]\ndeps: [train.txt]\nouts: ["${local.out}"]',
            "cat train.txt > ${local.out}",
        ),
    ),
    Form(
        "foreach list",
        {
            **TRAIN,
            "fraud.txt": "b\n",
            "dvc.yaml": """\
                stages:
                  train:
                    foreach: [train, fraud]
                    do:
                      cmd: cat ${item}.txt > ${item}.bin && echo '{"acc":0.5}' > ${item}.json
                      deps: ["${item}.txt"]
                      params: [train.depth]
                      outs: ["${item}.bin"]
                      metrics: [{"${item}.json": {cache: false}}]
                artifacts:
                  churn: {path: train.bin, type: model}
                  fraud: {path: fraud.bin, type: model}
                """,
        },
        path="train.bin",
        target="train@train",
        param=DEPTH,
    ),
    Form(
        "foreach mapping",
        {
            **TRAIN,
            "dvc.yaml": """\
                stages:
                  train:
                    foreach:
                      churn: {source: train, depth: 1}
                      fraud: {source: fraud, depth: 2}
                    do:
                      cmd: cat ${item.source}.txt > ${key}.bin && echo ${item.depth} > ${key}.log
                      deps: ["${item.source}.txt"]
                      outs: ["${key}.bin", {"${key}.log": {cache: false}}]
                artifacts:
                  churn: {path: churn.bin, type: model}
                """,
            "fraud.txt": "b\n",
        },
        path="churn.bin",
        target="train@churn",
        param=Edit("dvc.yaml", "source: train, depth: 1", "source: train, depth: 3"),
    ),
    Form(
        "foreach over a parameter",
        {
            "train.txt": "tree\n",
            "params.yaml": "models:\n  churn: {depth: 4}\n  fraud: {depth: 5}\n",
            "dvc.yaml": """\
                stages:
                  train:
                    foreach: ${models}
                    do:
                      wdir: models
                      cmd: cat ../train.txt > ${key}.bin && echo '{"acc":0.5}' > ${key}.json
                      deps: [../train.txt]
                      params: [{../params.yaml: ["models.${key}.depth"]}]
                      outs: ["${key}.bin"]
                      metrics: ["${key}.json"]
                artifacts:
                  churn: {path: models/churn.bin, type: model}
                  fraud: {path: models/fraud.bin, type: model}
                """,
            "models/README": "models\n",
        },
        path="models/churn.bin",
        target="train@churn",
        param=DEPTH,
    ),
    Form(
        "matrix",
        {
            **TRAIN,
            "dvc.yaml": """\
                stages:
                  train:
                    matrix:
                      kind: [a, b]
                      depth: [1, 2]
                    cmd: cat train.txt > ${item.kind}${item.depth}.bin && echo '{"acc":0.5}' >
                      ${item.kind}${item.depth}.json
                    deps: [train.txt]
                    params: [train.depth]
                    outs: ["${item.kind}${item.depth}.bin"]
                    metrics: [{"${item.kind}${item.depth}.json": {cache: false}}]
                artifacts:
                  churn: {path: a2.bin, type: model}
                """,
        },
        path="a2.bin",
        target="train@a-2",
        param=DEPTH,
    ),
    Form(
        "matrix over a parameter",
        {
            "train.txt": "tree\n",
            "params.yaml": "kinds: [{name: a, depth: 4}, {name: b, depth: 5}]\n",
            "dvc.yaml": """\
                stages:
                  train:
                    matrix:
                      kind: ${kinds}
                    cmd: cat train.txt > ${item.kind.name}.bin && echo ${item.kind.depth}
                    deps: [train.txt]
                    outs: ["${item.kind.name}.bin"]
                artifacts:
                  churn: {path: b.bin, type: model}
                """,
        },
        path="b.bin",
        target="train@kind1",
        param=Edit("params.yaml", "depth: 5", "depth: 6"),
    ),
    Form(
        "wdir",
        {
            "work/train.txt": "tree\n",
            "work/params.yaml": "train: {depth: 4}\n",
            "params.yaml": "train: {depth: 5}\n",
            "dvc.yaml": """\
                stages:
                  train:
                    wdir: work
                    cmd: cat train.txt > model.bin && echo '{"acc":0.5}' > metrics.json
                    deps: [train.txt]
                    params: [train.depth]
                    outs: [model.bin]
                    metrics: [{metrics.json: {cache: false}}]
                artifacts:
                  churn: {path: work/model.bin, type: model}
                """,
        },
        path="work/model.bin",
        source="work/train.txt",
        param=Edit("work/params.yaml", "depth: 4", "depth: 6"),
    ),
    Form(
        "templated wdir",
        {
            "params.yaml": "place: work\ntrain: {depth: 4}\n",
            "work/train.txt": "tree\n",
            "dvc.yaml": """\
                stages:
                  train:
                    wdir: ${place}
                    cmd: cat train.txt > model.bin && echo '{"acc":0.5}' > metrics.json
                    deps: [train.txt]
                    params: [{../params.yaml: [train.depth]}]
                    outs: [model.bin]
                    metrics: [metrics.json]
                artifacts:
                  churn: {path: work/model.bin, type: model}
                """,
        },
        path="work/model.bin",
        source="work/train.txt",
        param=DEPTH,
    ),
    Form(
        "folder with its own dvc.yaml",
        {
            f"projects/churn/{path}": text
            for path, text in _stage(
                "deps: [train.txt]\nparams: [train.depth]\nouts: [model.bin]"
                "\nmetrics: [{metrics.json: {cache: false}}]",
                f"cat train.txt > model.bin && {SCORE} > metrics.json",
            ).items()
        }
        | {"params.yaml": "train: {depth: 5}\n"},
        model="projects/churn:churn",
        path="projects/churn/model.bin",
        target="projects/churn/dvc.yaml:train",
        source="projects/churn/train.txt",
        param=Edit("projects/churn/params.yaml", "depth: 4", "depth: 6"),
        command=Edit("projects/churn/dvc.yaml", "cmd: cat", "cmd: cat -u"),
    ),
    Form(
        "two dvc.yaml",
        {
            "prepare/dvc.yaml": """\
                stages:
                  prepare:
                    cmd: cat raw.txt > clean.txt
                    deps: [raw.txt]
                    params: [case]
                    outs: [clean.txt]
                """,
            "prepare/params.yaml": "case: lower\n",
            "prepare/raw.txt": "a\n",
            **_stage(
                "deps: [prepare/clean.txt]\nouts: [model.bin]",
                "cat prepare/clean.txt > model.bin",
            ),
        },
        source="prepare/raw.txt",
        param=Edit("prepare/params.yaml", "lower", "upper"),
        command=Edit("prepare/dvc.yaml", "cmd: cat", "cmd: cat -u"),
    ),
    Form(
        "subdir",
        {
            f"churn/{path}": text
            for path, text in _stage(
                "deps: [train.txt]\nparams: [train.depth]\nouts: [model.bin]"
                "\nmetrics: [{metrics.json: {cache: false}}]",
                f"cat train.txt > model.bin && {SCORE} > metrics.json",
            ).items()
        },
        model="churn:churn",
        path="churn/model.bin",
        source="churn/train.txt",
        param=Edit("churn/params.yaml", "depth: 4", "depth: 6"),
        command=Edit("churn/dvc.yaml", "cmd: cat", "cmd: cat -u"),
        project="churn",
    ),
    Form(
        "params of another YAML file",
        _params_file("conf/train.yaml", "depth: 4\n"),
        param=Edit("conf/train.yaml", "depth: 4", "depth: 6"),
    ),
    Form(
        "params of a JSON file",
        _params_file("train.json", '{"depth": 4}\n'),
        param=Edit("train.json", '"depth": 4', '"depth": 6'),
    ),
    Form(
        "params of a TOML file",
        _params_file("train.toml", "[train]\ndepth = 4\n", "train.depth"),
        param=Edit("train.toml", "depth = 4", "depth = 6"),
    ),
    Form(
        "params of a Python file",
        _params_file("settings.py", "DEPTH = 4\nclass Train:\n    RATE = 1\n", "DEPTH, Train.RATE"),
        param=Edit("settings.py", "DEPTH = 4", "DEPTH = 6"),
    ),
    Form(
        "whole params file",
        {
            **_stage("deps: [train.txt]\nparams: [{conf.yaml: null}]\nouts: [model.bin]"),
            "conf.yaml": "depth: 4\nrate: 0.1\n",
        },
        param=Edit("conf.yaml", "rate: 0.1", "rate: 0.2"),
    ),
    Form(
        "params of a list and a mapping",
        {
            **_stage("deps: [train.txt]\nparams: [layers, part.a, part]\nouts: [model.bin]"),
            "params.yaml": "layers: [1, 2]\npart: {a: 1}\n",
        },
        param=Edit("params.yaml", "layers: [1, 2]", "layers: [2, 1]"),
    ),
    Form(
        "plots",
        _stage(
            """
            deps: [train.txt]
            params: [train.depth]
            outs: [model.bin]
            metrics: [scores.json]
            plots: [{loss.csv: {x: n, y: loss, cache: false}}]
            """,
            f"cat train.txt > model.bin && {SCORE} > scores.json && printf 'n,loss\\n1,2\\n'"
            " > loss.csv",
        ),
        param=DEPTH,
    ),
    Form(
        "metrics and plots of the top level",
        _stage(
            "deps: [train.txt]\nparams: [train.depth]\nouts: [model.bin, out]",
            f"cat train.txt > model.bin && mkdir -p out && {SCORE} > out/metrics.json",
            tail=f"metrics: [out/metrics.json]\nplots: [out/loss.csv]\nparams: [params.yaml]\n"
            f"{CHURN}",
        ),
        param=DEPTH,
    ),
    Form("model in Git", _stage("deps: [train.txt]\nouts: [{model.bin: {cache: false}}]")),
    Form("persist", _stage("deps: [train.txt]\nouts: [{model.bin: {persist: true}}]")),
    Form("push: false", _stage("deps: [train.txt]\nouts: [{model.bin: {push: false}}]")),
    Form("remote of an output", _stage("deps: [train.txt]\nouts: [{model.bin: {remote: store}}]")),
    Form(
        "model is a folder",
        _stage(
            "deps: [train.txt]\nouts: [bundle]",
            "cat train.txt; mkdir -p bundle/a && cp train.txt bundle/a/w && echo v > bundle/v",
            tail="artifacts:\n  churn: {path: bundle, type: model}\n",
        ),
        path="bundle",
    ),
    Form(
        "model in a folder",
        _stage(
            "deps: [train.txt]\nouts: [bundle/]",
            "cat train.txt; mkdir -p bundle && cp train.txt bundle/w && echo v > bundle/v",
            tail="artifacts:\n  churn: {path: bundle/w, type: model}\n",
        ),
        path="bundle/w",
    ),
    Form(
        "folder as a dependency",
        {
            **_stage(
                "deps: [src, train.txt]\nouts: [model.bin]", "cat src/a.txt train.txt > model.bin"
            ),
            "src/a.txt": "a\n",
            "src/deep/b.txt": "b\n",
        },
        source="src/deep/b.txt",
    ),
    Form(
        "commands",
        {
            **TRAIN,
            "dvc.yaml": """\
                stages:
                  train:
                    cmd:
                      - cat train.txt > model.bin
                      - echo ${train.depth} >> model.bin
                    deps: [train.txt]
                    outs: [model.bin]
                artifacts:
                  churn: {path: model.bin, type: model}
                """,
        },
        param=DEPTH,
        command=Edit("dvc.yaml", "- cat train.txt", "- cat -u train.txt"),
    ),
    Form(
        "command on several lines",
        {
            **TRAIN,
            "dvc.yaml": """\
                stages:
                  train:
                    cmd: >-
                      cat train.txt
                      > model.bin
                    deps:
                      - train.txt
                    outs:
                      - model.bin
                artifacts:
                  churn: {path: model.bin, type: model}
                """,
        },
        command=Edit("dvc.yaml", "cat train.txt\n", "cat -u train.txt\n"),
    ),
    Form(
        "odd names",
        {
            "die Bäume/[a] *?.txt": "tree\n",
            "dvc.yaml": """\
                stages:
                  träin-1_a:
                    cmd: cat die*/*.txt > 'mod el[1].bin'
                    deps: ["die Bäume/[a] *?.txt"]
                    outs: ["mod el[1].bin"]
                artifacts:
                  churn: {path: "mod el[1].bin", type: model}
                """,
        },
        path="mod el[1].bin",
        target="träin-1_a",
        source="die Bäume/[a] *?.txt",
    ),
    Form(
        "data from dvc add",
        {
            **_stage(
                "deps: [data/train.csv, train.txt]\nouts: [model.bin]",
                "cat data/train.csv train.txt > model.bin",
            ),
            "data/train.csv": "1,2\n",
        },
        data="data/train.csv",
        added=("data/train.csv",),
    ),
    Form(
        "folder from dvc add",
        {
            **_stage("deps: [data, train.txt]\nouts: [model.bin]", "cat data/* > model.bin"),
            "data/a.csv": "1,2\n",
            "data/b.csv": "3,4\n",
        },
        data="data/b.csv",
        added=("data",),
    ),
    Form(
        "file in a folder from dvc add",
        {
            **_stage("deps: [data/a.csv]\nouts: [model.bin]", "cat data/a.csv > model.bin"),
            "data/a.csv": "1,2\n",
            "data/b.csv": "3,4\n",
        },
        source=None,
        data="data/a.csv",
        added=("data",),
    ),
    Form(
        "import-url",
        _stage("deps: [raw.csv, train.txt]\nouts: [model.bin]", "cat raw.csv > model.bin"),
        prepare=(_import_url,),
    ),
    Form(
        "import",
        _stage("deps: [raw.csv, train.txt]\nouts: [model.bin]", "cat raw.csv > model.bin"),
        prepare=(_import,),
    ),
    Form(
        "file outside",
        _stage(
            f"deps: [../{OUTSIDE}/raw.csv, train.txt]\nouts: [model.bin]",
            f"cat ../{OUTSIDE}/raw.csv > model.bin",
        ),
        prepare=(_outside,),
    ),
    Form(
        "frozen stage",
        _stage("deps: [train.txt]\nparams: [train.depth]\nouts: [model.bin]"),
        param=DEPTH,
        finish=(_freeze("train"),),
    ),
    Form(
        "frozen stage upstream",
        {
            **TRAIN,
            "raw.txt": "a\n",
            "dvc.yaml": """\
                stages:
                  prepare:
                    cmd: tr a-z A-Z < raw.txt > clean.txt
                    deps: [raw.txt]
                    outs: [clean.txt]
                  train:
                    cmd: cat clean.txt > model.bin
                    deps: [clean.txt]
                    params: [train.depth]
                    outs: [model.bin]
                artifacts:
                  churn: {path: model.bin, type: model}
                """,
        },
        source="raw.txt",
        param=DEPTH,
        finish=(_freeze("prepare"),),
    ),
    Form(
        "always changed",
        _stage("deps: [train.txt]\nouts: [model.bin]\nalways_changed: true"),
    ),
    Form(
        "desc and meta",
        _stage(
            """
            desc: makes the model
            meta: {team: risk}
            deps: [train.txt]
            params: [train.depth]
            outs: [{model.bin: {desc: the model, type: model, labels: [a], meta: {b: 1}}}]
            """,
        ),
        param=DEPTH,
    ),
    Form(
        "templated artifact",
        {
            **TRAIN,
            "params.yaml": "names: [churn, fraud]\ntrain: {depth: 4}\n",
            "dvc.yaml": """\
                stages:
                  train:
                    cmd: cat train.txt > ${names[0]}.bin
                    deps: [train.txt]
                    params: [train.depth]
                    outs: ["${names[0]}.bin"]
                artifacts:
                  churn: {path: "${names[0]}.bin", type: model}
                  fraud: {path: train.txt, type: model}
                """,
        },
        path="churn.bin",
        param=DEPTH,
    ),
    Form(
        "self-test of another stage",
        {
            **TRAIN,
            "cases.txt": "1\n",
            "dvc.yaml": """\
                stages:
                  train:
                    cmd: cat train.txt > model.bin
                    deps: [train.txt]
                    outs: [model.bin]
                  cases:
                    cmd: cp cases.txt self_test.json
                    deps: [model.bin, cases.txt]
                    outs: [self_test.json]
                artifacts:
                  churn: {path: model.bin, type: model, meta: {self_test: self_test.json}}
                """,
        },
        target="cases",
        source="cases.txt",
    ),
    Form(
        "model from dvc add",
        {"dvc.yaml": CHURN, "model.bin": "tree\n"},
        target="model.bin.dvc",
        source=None,
        data="model.bin",
        added=("model.bin",),
        command=None,
    ),
)
