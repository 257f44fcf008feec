"""What a command costs does not grow with tags, files or events: counted, not timed.

Counted are the processes that it starts, its questions to the one process of Git that answers many
(``cat-file --batch``), the YAML documents that it parses and their bytes, the files of the
repository that it opens, how often it goes through a dvc.lock, and the modules that it imports.
"""

import functools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks import workspaces
from benchmarks.timing import tell
from tagship import Workspace
from tagship.disk import atomic
from tests import workbench

FEW, MANY = 3, 300
FEW_MODELS, MORE_MODELS, MANY_MODELS = 4, 8, 16
DEPLOY = ("--yes", "--no-smoke-test")
PROPORTIONAL = ("questions", "parses", "parsed", "opens", "stages")  # may grow as the models do
QUICK = ("current", "--help", "Tab")  # what a prompt waits for
# Packages that the quick commands must not import, however they come by them.
HEAVY = {
    "catboost", "cryptography", "dvc", "dvc_data", "dvc_objects", "dvc_render", "filelock", "git",
    "keras", "numpy", "pandas", "rich", "tensorflow",
}  # fmt: skip
# All that they may import, beside tagship's own modules and the standard library.
LIGHT = {"current": {"click"}, "--help": {"click"}, "Tab": {"click", "semver"}}

# A process forked for each command. Before it forks, it has imported only what each command imports
# before it looks at its arguments, and what counts. What a prompt waits for begins with nothing.
SPY = """
import atexit, json, os, sys
seen = {"processes": [], "questions": 0, "parses": 0, "parsed": 0, "opens": 0, "stages": 0}
before, here = set(sys.modules), []
STARTS = ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system")
def listen(event, arguments):
    if event == "subprocess.Popen":
        seen["processes"].append([os.fsdecode(part) for part in arguments[1]])
    elif event in STARTS:
        seen["processes"].append([event])
    elif event == "open" and not isinstance(arguments[0], int):  # a descriptor has no name
        if os.path.abspath(os.fsdecode(arguments[0])).startswith(here[0]):
            seen["opens"] += 1
def write():
    with open(target, "w", encoding="utf-8") as file:
        json.dump({**seen, "modules": sorted(set(sys.modules) - before)}, file)
if len(sys.argv) == 1:
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from git import Git
    from tagship.git import batch
    from tagship.text import safe_yaml
    def counted(what, asked):
        def ask(*arguments):
            seen[what] += 1
            return asked(*arguments)
        return ask
    for name in ("stream_object_data", "get_object_header"):
        setattr(Git, name, counted("questions", getattr(Git, name)))
    batch.Batch._ask = counted("questions", batch.Batch._ask)
    def parse(data, *rest, asked=safe_yaml._parse):
        seen["parsed"] += len(data)
        return asked(data, *rest)
    safe_yaml._parse = counted("parses", parse)
    from tagship.dvc import stages
    stages._stage = counted("stages", stages._stage)
    stages.holds = counted("stages", stages.holds)
    stages.digest = counted("stages", stages.digest)
    from tagship.cli.main import main
    for line in sys.stdin:
        folder, errors, *arguments = json.loads(line)
        if not (child := os.fork()):
            break
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    else:
        sys.exit()
    os.chdir(folder)
    for path, descriptor in ((os.devnull, 0), (os.devnull, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
    sys.argv[1:] = arguments
target, sys.argv[0] = sys.argv.pop(1), "tagship"
here.append(os.getcwd() + os.sep)
atexit.register(write)
sys.addaudithook(listen)
from tagship.cli.main import main
main()
"""


@dataclass(frozen=True)
class Cost:
    """What a command needed: processes by their kind, modules imported, and what was counted."""

    processes: Counter[str]
    modules: frozenset[str]
    questions: int
    parses: int
    parsed: int
    opens: int
    stages: int


def cost(repo: Path, *arguments: str, environment: dict[str, str] | None = None) -> Cost:
    """Run tagship in a process of its own, and count."""
    target = repo.parent / "seen.json"
    if environment or arguments[0] in QUICK:
        done = subprocess.run(
            [sys.executable, "-c", SPY, str(target), *arguments],
            cwd=repo,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        code, errors = done.returncode, done.stderr
    else:
        told = repo.parent / "errors"
        told.write_bytes(b"")
        code = _spy().run([str(repo), str(told), str(target), *arguments])
        errors = told.read_text()
    assert code in (0, 3 if arguments[:1] == ("status",) else 0), errors
    seen = json.loads(target.read_bytes())
    kinds = Counter(kind(process) for process in seen["processes"])
    counts = (seen[name] for name in PROPORTIONAL)
    return Cost(kinds, frozenset(seen["modules"]), *counts)


class Spy:
    """The process that forks one for each command; it has the environment of its beginning."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SPY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, words: list[str]) -> int:
        """Run a command to its end; its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> None:
        """End it."""
        self._process.communicate()


@functools.cache
def _spy() -> Spy:
    return Spy()


def kind(process: list[str]) -> str:
    """``git for-each-ref``, whatever its options; of other programs the name."""
    name, *words = process
    if Path(name).name != "git":
        return Path(name).name
    at = 0
    while words[at].startswith("-") and words[at] != "--version":
        at += 2 if words[at] in ("-c", "-C") else 1
    return f"git {words[at]}"


Costs = dict[str, Cost]


def story(repo: Path, model: str, old: str, new: str) -> Costs:
    """Every command once, on a model with a released version and a commit that is not yet one."""
    found = {
        "release": cost(repo, "release", model),
        "list": cost(repo, "list", model),
        "models": cost(repo, "models"),
        "show": cost(repo, "show", f"{model}@{new}"),
        "deploy": cost(repo, "deploy", f"{model}@{old}", *DEPLOY),
    }
    Workspace(repo).model(model).deploy(new, smoke_test=False)
    return found | {
        "status": cost(repo, "status", model),
        "history": cost(repo, "history", model),
        "verify": cost(repo, "verify", model),
        "current": cost(repo, "current", model),
        "--help": cost(repo, "--help"),
        "Tab": tab(repo, model),
        "rollback": cost(repo, "rollback", model, "--yes"),
    }


def tab(repo: Path, model: str) -> Cost:
    """The Tab key behind ``tagship deploy MODEL@``."""
    line = {"COMP_WORDS": f"tagship deploy {model}@", "COMP_CWORD": "2"}
    return cost(repo, environment={"_TAGSHIP_COMPLETE": "bash_complete", **line})


def over_tags(folder: Path, count: int) -> Costs:
    done = workspaces.tagged(folder, models=2, versions=count)
    done.train()
    return story(done.repo, done.model, "1.0.0", f"1.{count}.0")


def over_tags_of_gto(folder: Path, count: int) -> Costs:
    """The tags' messages tell neither metrics nor size."""
    done = workspaces.tagged(folder, models=1, versions=count, by_gto=True)
    return {
        "list": cost(done.repo, "list", done.model),
        "models": cost(done.repo, "models"),
        "show": cost(done.repo, "show", done.model),
    }


def over_files(folder: Path, count: int) -> Costs:
    """A folder that DVC tracks."""
    return of_folder(folder, count, lambda repo: workbench.track(repo, "models/m/data"))


def over_files_of_git(folder: Path, count: int) -> Costs:
    """A folder that Git itself keeps."""
    return of_folder(folder, count, lambda _: None)


def of_folder(folder: Path, count: int, track: Callable[[Path], None]) -> Costs:
    repo = workspaces.trained(folder, {}).repo
    (repo / "dvc.yaml").write_text("artifacts:\n  m:\n    path: models/m/data\n")
    data = repo / "models" / "m" / "data"
    data.mkdir(parents=True)
    for words in ("first", "second"):
        for number in range(count):
            (data / f"{number:03}.bin").write_text(f"{words} {number}\n")
        track(repo)
        tell(repo, "git", "add", "--all")
        tell(repo, "git", "commit", "--quiet", f"--message=The {words}")
        if words == "first":
            Workspace(repo).model("m").release()
    return story(repo, "m", "1.0.0", "1.1.0")


def over_events(folder: Path, count: int) -> Costs:
    """A model to which much has happened on this host."""
    done = workspaces.tagged(folder, models=1, versions=2)
    workspaces.write_history(done.repo, done.model, workspaces.events(done.model, count))
    found = {"deploy": cost(done.repo, "deploy", f"{done.model}@1.0.0", *DEPLOY)}
    Workspace(done.repo).model(done.model).deploy("1.1.0", smoke_test=False)
    return found | {
        "history": cost(done.repo, "history", done.model),
        "status": cost(done.repo, "status", done.model),
        "rollback": cost(done.repo, "rollback", done.model, "--yes"),
    }


def over_versions_of_gto(kept: str, pipeline: str | None = None) -> "Measure":
    """GTO's tags on commits that keep the model so; None of them costs a process of its own."""

    def measure(folder: Path, count: int) -> Costs:
        done = workspaces.tagged(
            folder, models=1, versions=count, by_gto=True, kept=kept, pipeline=pipeline
        )
        return {"list": cost(done.repo, "list", done.model)}

    return measure


def over_commits_with_nothing(folder: Path, count: int) -> Costs:
    """GTO's tags on commits that declare the model, and have no pointer to it."""
    done = workspaces.tagged(folder, models=2, versions=count, by_gto=True, kept=workspaces.NOTHING)
    page = str(folder / "report.html")
    return {
        "list": cost(done.repo, "list", done.model),
        "models": cost(done.repo, "models"),
        "status": cost(done.repo, "status"),
        "report": cost(done.repo, "report", "--output", page),
    }


def over_models(folder: Path, count: int) -> Costs:
    """All models at once, of one dvc.yaml."""
    return of_models(workspaces.tagged(folder, models=count, versions=1).repo)


def over_stages(folder: Path, count: int) -> Costs:
    """The same, where each is made by a stage and evaluated by another; GTO made the tags."""
    return of_models(
        workspaces.tagged(
            folder, models=count, versions=1, by_gto=True, kept=workspaces.STAGES
        ).repo
    )


def over_folders(folder: Path, count: int) -> Costs:
    """All models at once, each in a folder with a dvc.yaml of its own; half have no tag."""
    repo = workspaces.trained(folder, {}).repo
    for number in range(count):
        project = repo / "projects" / f"p{number}"
        project.mkdir(parents=True)
        (project / "dvc.yaml").write_text("artifacts:\n  m: {path: model.bin}\n")
        (project / "model.bin").write_text(f"{number}\n")
    tell(repo, "git", "add", "--all")
    tell(repo, "git", "commit", "--quiet", "--message=Projects")
    for number in range(0, count, 2):
        name = f"projects/p{number}=m@v1.0.0"
        tell(repo, "git", "tag", "--annotate", f"--message={name}", name)
    return of_models(repo)


def of_models(repo: Path) -> Costs:
    """Deploy all that has a version, and ask of all models."""
    workspace = Workspace(repo)
    for row in workspace.models():
        if row.latest:
            workspace.model(row.model).deploy(smoke_test=False)
    page = str(repo.parent / "report.html")
    return {
        **{name: cost(repo, name) for name in ("models", "status", "verify")},
        "history": cost(repo, "history", "--all"),
        "report": cost(repo, "report", "--output", page),
        "Tab": tab(repo, "x"),
    }


Measure = Callable[[Path, int], Costs]
BROKEN = "artifacts: [\n"
TEMPLATE = "vars: [{dir: models}]\nartifacts:\n  model-0: {path: '${dir}/model-0/model.bin'}\n"
COMMITS_OF_GTO = {
    "a file of Git": over_versions_of_gto(workspaces.GIT_FILE),
    "a folder of Git": over_versions_of_gto(workspaces.GIT_FOLDER),
    "a template": over_versions_of_gto(workspaces.DVC_FILE, TEMPLATE),
    "a broken dvc.yaml": over_versions_of_gto(workspaces.DVC_FILE, BROKEN),
}
DIMENSIONS: dict[str, Measure] = {
    "tags": over_tags,
    "tags of GTO": over_tags_of_gto,
    "files": over_files,
    "files of Git": over_files_of_git,
    "commits of GTO with nothing": over_commits_with_nothing,
    **{f"commits of GTO with {name}": measure for name, measure in COMMITS_OF_GTO.items()},
    "events": over_events,
    "models": over_models,
    "stages": over_stages,
    "folders": over_folders,
}
LAYOUTS = ("models", "stages", "folders")
COMMANDS = (
    "release", "list", "models", "show", "deploy", "status", "history", "verify", "current",
    "--help", "Tab", "rollback",
)  # fmt: skip
ALL_MODELS = ("models", "status", "verify", "history", "report", "Tab")
MEASURED = {
    "tags": COMMANDS,
    "tags of GTO": ("list", "models", "show"),
    "files": COMMANDS,
    "files of Git": COMMANDS,
    "commits of GTO with nothing": ("list", "models", "status", "report"),
    **{f"commits of GTO with {name}": ("list",) for name in COMMITS_OF_GTO},
    "events": ("deploy", "history", "status", "rollback"),
    **dict.fromkeys(LAYOUTS, ALL_MODELS),
}
EACH_FILE = "each file that Git keeps is a question to the one process that has them"
EACH_COMMIT = "a tag without metrics in its message has its commit read"
EACH_POINTER = "each version has a .dvc file of its own"
KNOWN = {
    ("questions", "tags of GTO", "list"): EACH_COMMIT,
    ("parses", "tags of GTO", "list"): EACH_POINTER,
    ("questions", "commits of GTO with nothing", "list"): EACH_COMMIT,
    ("questions", "commits of GTO with nothing", "report"): EACH_COMMIT,
    **{
        ("questions", f"commits of GTO with {name}", "list"): EACH_COMMIT for name in COMMITS_OF_GTO
    },
    ("parses", "commits of GTO with a template", "list"): EACH_POINTER,
    ("questions", "files of Git", "deploy"): EACH_FILE,
}


def pairs(what: str) -> list[Any]:
    """Every dimension with each of its commands; what is known to grow is marked."""
    return [
        pytest.param(
            dimension,
            command,
            marks=[pytest.mark.xfail(reason=KNOWN[key], strict=True)] if key in KNOWN else [],
        )
        for dimension, commands in MEASURED.items()
        if dimension not in LAYOUTS or what not in PROPORTIONAL
        for command in commands
        for key in [(what, dimension, command)]
    ]


@pytest.fixture(scope="module")
def costs(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], list[Costs]]]:
    """What each command costs with few and with many, measured once for all tests."""
    folder = tmp_path_factory.mktemp("growth")
    known: dict[str, list[Costs]] = {}

    def measured(dimension: str) -> list[Costs]:
        if dimension not in known:
            counts = (FEW_MODELS, MORE_MODELS, MANY_MODELS) if dimension in LAYOUTS else (FEW, MANY)
            places = [folder / f"{dimension} {count}" for count in counts]
            pairs = zip(places, counts, strict=True)
            known[dimension] = [DIMENSIONS[dimension](*pair) for pair in pairs]
        return known[dimension]

    with workspaces.sealed(folder / "seal"):
        spy = _spy()  # it begins here, with this environment
        yield measured
        spy.end()
        _spy.cache_clear()
    atomic.remove_tree(folder)


@pytest.mark.parametrize(("dimension", "command"), pairs("processes"))
def test_no_more_processes_are_started_for_many_than_for_few(
    costs: Callable[[str], list[Costs]], dimension: str, command: str
) -> None:
    few, *_, many = costs(dimension)
    assert many[command].processes == few[command].processes


@pytest.mark.parametrize(("dimension", "command"), pairs("questions"))
def test_no_more_questions_are_asked_for_many_than_for_few(
    costs: Callable[[str], list[Costs]], dimension: str, command: str
) -> None:
    few, *_, many = costs(dimension)
    assert many[command].questions == few[command].questions


@pytest.mark.parametrize(("dimension", "command"), pairs("parses"))
def test_no_more_yaml_is_parsed_for_many_than_for_few(
    costs: Callable[[str], list[Costs]], dimension: str, command: str
) -> None:
    few, *_, many = costs(dimension)
    assert many[command].parses == few[command].parses


@pytest.mark.parametrize("what", PROPORTIONAL)
@pytest.mark.parametrize("command", ALL_MODELS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_command_over_all_models_costs_grows_as_the_models_do(
    costs: Callable[[str], list[Costs]], layout: str, command: str, what: str
) -> None:
    few, more, many = (getattr(one[command], what) for one in costs(layout))
    wider = 1.05 if what == "parsed" else 1  # model-10 is a letter more than model-9
    assert many - more <= 2 * wider * (more - few)  # from 4 to 8 models, and from 8 to 16


@pytest.mark.parametrize(("dimension", "command"), pairs("modules"))
def test_no_more_is_imported_for_many_than_for_few(
    costs: Callable[[str], list[Costs]], dimension: str, command: str
) -> None:
    few, *_, many = costs(dimension)
    assert many[command].modules == few[command].modules


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_imports_nothing_heavy(
    costs: Callable[[str], list[Costs]], command: str
) -> None:
    packages = {name.partition(".")[0] for name in costs("tags")[1][command].modules}
    foreign = packages - set(sys.stdlib_module_names) - {"tagship"}
    assert packages & HEAVY == set()
    assert foreign <= LIGHT[command]


@pytest.mark.parametrize("command", ["current", "--help"])
def test_a_quick_command_starts_no_process(
    costs: Callable[[str], list[Costs]], command: str
) -> None:
    assert costs("tags")[1][command].processes == Counter()
