"""What a command costs does not grow with tags, files or events: counted, not timed.

Counted are the processes that it starts, its questions to the one process of Git that answers many
(``cat-file --batch``), and the modules that it imports.
"""

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
from benchmarks.workspaces import TAGSHIP
from tagship.disk import atomic
from tests import workbench

FEW, MANY = 3, 300
FEW_MODELS, MANY_MODELS = 2, 6
DEPLOY = ("--yes", "--no-smoke-test")
QUICK = ("current", "--help", "Tab")  # what a prompt waits for
# Packages that the quick commands must not import, however they come by them.
HEAVY = {
    "catboost", "cryptography", "dvc", "dvc_data", "dvc_objects", "dvc_render", "filelock", "git",
    "keras", "numpy", "pandas", "rich", "tensorflow",
}  # fmt: skip
# All that they may import, beside tagship's own modules and the standard library.
LIGHT = {"current": {"click"}, "--help": {"click"}, "Tab": {"click", "semver"}}

SPY = """
import atexit, json, os, sys
seen, before = {"processes": [], "questions": 0}, set(sys.modules)
STARTS = ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system")
def listen(event, arguments):
    if event == "subprocess.Popen":
        seen["processes"].append([os.fsdecode(part) for part in arguments[1]])
    elif event in STARTS:
        seen["processes"].append([event])
sys.addaudithook(listen)
def write(target=sys.argv.pop(1)):
    with open(target, "w", encoding="utf-8") as file:
        json.dump({**seen, "modules": sorted(set(sys.modules) - before)}, file)
atexit.register(write)
if sys.argv.pop(1) == "questions":
    from tagship.git.tree import Blobs
    def counted(asked):
        def ask(*arguments):
            seen["questions"] += 1
            return asked(*arguments)
        return ask
    for name in ('content', 'entries', 'read', 'write'):
        setattr(Blobs, name, counted(getattr(Blobs, name)))
sys.argv[0] = "tagship"
from tagship.cli.main import main
main()
"""


@dataclass(frozen=True)
class Cost:
    """What a command needed: processes by their kind, questions to Git, modules imported."""

    processes: Counter[str]
    questions: int
    modules: frozenset[str]


def cost(repo: Path, *arguments: str, environment: dict[str, str] | None = None) -> Cost:
    """Run tagship in a process of its own, and count."""
    target = repo.parent / "seen.json"
    quick = bool(environment) or arguments[0] in QUICK
    code = [sys.executable, "-c", SPY, str(target), "none" if quick else "questions"]
    done = subprocess.run(
        [*code, *arguments],
        cwd=repo,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode in (0, 3 if arguments[:1] == ("status",) else 0), done.stderr
    seen = json.loads(target.read_bytes())
    kinds = Counter(kind(process) for process in seen["processes"])
    return Cost(kinds, seen["questions"], frozenset(seen["modules"]))


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
    tell(repo, TAGSHIP, "deploy", f"{model}@{new}", *DEPLOY)
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
            tell(repo, TAGSHIP, "release", "m")
    return story(repo, "m", "1.0.0", "1.1.0")


def over_events(folder: Path, count: int) -> Costs:
    """A model to which much has happened on this host."""
    done = workspaces.tagged(folder, models=1, versions=2)
    workspaces.write_history(done.repo, done.model, workspaces.events(done.model, count))
    found = {"deploy": cost(done.repo, "deploy", f"{done.model}@1.0.0", *DEPLOY)}
    tell(done.repo, TAGSHIP, "deploy", done.model, *DEPLOY)
    return found | {
        "history": cost(done.repo, "history", done.model),
        "status": cost(done.repo, "status", done.model),
        "rollback": cost(done.repo, "rollback", done.model, "--yes"),
    }


def over_models(folder: Path, count: int) -> Costs:
    """All models at once."""
    done = workspaces.tagged(folder, models=count, versions=1)
    for model in done.models:
        tell(done.repo, TAGSHIP, "deploy", model, *DEPLOY)
    return {name: cost(done.repo, name) for name in ALL_MODELS}


DIMENSIONS = {
    "tags": over_tags,
    "tags of GTO": over_tags_of_gto,
    "files": over_files,
    "files of Git": over_files_of_git,
    "events": over_events,
    "models": over_models,
}
COMMANDS = (
    "release", "list", "models", "show", "deploy", "status", "history", "verify", "current",
    "--help", "Tab", "rollback",
)  # fmt: skip
ALL_MODELS = ("models", "status", "verify")
MEASURED = {
    "tags": COMMANDS,
    "tags of GTO": ("list", "models", "show"),
    "files": COMMANDS,
    "files of Git": COMMANDS,
    "events": ("deploy", "history", "status", "rollback"),
    "models": ALL_MODELS,
}
EACH_FILE = "each file that Git keeps is a question to the one process that has them"
EACH_MODEL = "each model is asked for on its own"
EACH_COMMIT = "a tag without metrics in its message has its commit read"
KNOWN = {
    ("questions", "tags of GTO", "list"): EACH_COMMIT,
    ("questions", "files of Git", "deploy"): EACH_FILE,
    **{
        (what, "models", name): EACH_MODEL
        for what in ("processes", "questions")
        for name in ("status", "verify")
    },
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
        for command in commands
        for key in [(what, dimension, command)]
    ]


@pytest.fixture(scope="module")
def costs(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], tuple[Costs, Costs]]]:
    """What each command costs with few and with many, measured once for all tests."""
    folder = tmp_path_factory.mktemp("growth")
    known: dict[str, tuple[Costs, Costs]] = {}

    def measured(dimension: str) -> tuple[Costs, Costs]:
        if dimension not in known:
            counts = (FEW_MODELS, MANY_MODELS) if dimension == "models" else (FEW, MANY)
            measure, places = DIMENSIONS[dimension], [folder / f"{dimension} {n}" for n in counts]
            few, many = (measure(*one) for one in zip(places, counts, strict=True))
            known[dimension] = (few, many)
        return known[dimension]

    with workspaces.sealed(folder / "seal"):
        yield measured
    atomic.remove_tree(folder)


@pytest.mark.parametrize(("dimension", "command"), pairs("processes"))
def test_no_more_processes_are_started_for_many_than_for_few(
    costs: Callable[[str], tuple[Costs, Costs]], dimension: str, command: str
) -> None:
    few, many = costs(dimension)
    assert many[command].processes == few[command].processes


@pytest.mark.parametrize(("dimension", "command"), pairs("questions"))
def test_no_more_questions_are_asked_for_many_than_for_few(
    costs: Callable[[str], tuple[Costs, Costs]], dimension: str, command: str
) -> None:
    few, many = costs(dimension)
    assert many[command].questions == few[command].questions


@pytest.mark.parametrize(("dimension", "command"), pairs("modules"))
def test_no_more_is_imported_for_many_than_for_few(
    costs: Callable[[str], tuple[Costs, Costs]], dimension: str, command: str
) -> None:
    few, many = costs(dimension)
    assert many[command].modules == few[command].modules


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_imports_nothing_heavy(
    costs: Callable[[str], tuple[Costs, Costs]], command: str
) -> None:
    packages = {name.partition(".")[0] for name in costs("tags")[1][command].modules}
    foreign = packages - set(sys.stdlib_module_names) - {"tagship"}
    assert packages & HEAVY == set()
    assert foreign <= LIGHT[command]


@pytest.mark.parametrize("command", ["current", "--help"])
def test_a_quick_command_starts_no_process(
    costs: Callable[[str], tuple[Costs, Costs]], command: str
) -> None:
    assert costs("tags")[1][command].processes == Counter()
