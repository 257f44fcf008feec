"""A hostile repository: nothing outside the model's folder is written, nothing of it is run."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import conftest, workbench
from tests.hostile.cases import CASES, Case
from tests.hostile.sandbox import READS, SECONDS, Sandbox
from tests.workbench import MODEL, PATH, Result, Workbench

LINES = 8  # of standard error: a few notes, an error, a hint


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Path:
    """The workspace with 1.0.0 deployed and 1.1.0 released, built once; each test gets a copy."""
    folder = tmp_path_factory.mktemp("released")
    with conftest.prepared(template, folder) as bench:
        bench.ship()
        bench.release("model 2\n")
        workbench.slim(folder)
    shutil.rmtree(folder / "repo/.git/hooks")
    return folder


@pytest.fixture
def box(released: Path, copied: Callable[[Path], Workbench]) -> Sandbox:
    found = Sandbox(copied(released))
    found.prepare()
    return found


def _check_told(done: Result, codes: tuple[int, ...]) -> None:
    """An exit code that is documented, and no more than a few lines, without a traceback."""
    told = done.err.splitlines()
    assert done.code in codes, done
    assert "Traceback" not in done.err + done.out
    assert len(told) <= LINES and len(done.err) < 4096, done.err
    if done.code == 1:
        assert any(line.startswith("error: ") for line in told), done
    elif done.code == 0:
        assert not any(line.startswith("error: ") for line in told), done


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_repository_is_refused_or_passed_over(box: Sandbox, case: Case) -> None:
    case.spoil(box)
    assert box.fired() == []  # none of it is the author's own doing
    before = box.snapshot()
    live = box.bench.current.readlink() if box.bench.current.is_symlink() else None
    done = box.deploy() if case.process else box.bench.cli("deploy", MODEL, "--yes")
    _check_told(done, (0, 1))
    if case.refused is None:
        assert done.code == 0, done
        files = (one for one in box.bench.current.rglob("*") if one.is_file())
        assert case.live in [one.read_text() for one in files]
    elif case.refused:
        assert done.code == 1, done
        assert re.search(case.refused, done.err.splitlines()[0]), done.err
        if live is not None and box.bench.current.is_symlink():
            assert box.bench.current.readlink() == live
    for command in READS[:2] if case.swept else READS:
        read = box.bench.cli(*command.split())
        _check_told(read, (0, 1, 3, 4, 5) if command.startswith("status") else (0, 1))
        if case.reads:
            assert read.code != 1, (command, read)
    assert box.fired() == []
    assert box.written(before) == []


def _with_settings_of_the_environment(box: Sandbox) -> None:
    """The user's own Git settings name programs; none of them is needed for a deploy."""
    programs = ("core.fsmonitor", "diff.external", "core.sshCommand", "gpg.program", "core.pager",
                "core.editor", "core.askPass", "core.alternateRefsCommand")  # fmt: skip
    settings = {name: box.canary(f"env-{name}") for name in programs}
    hooks = box.top / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "reference-transaction", "post-checkout"):
        (hooks / name).symlink_to(box.canary(f"env-hook-{name}"))
    settings |= {"core.hooksPath": str(hooks), "protocol.ext.allow": "always",
                 "core.quotePath": "true", "log.showSignature": "true",
                 "i18n.logOutputEncoding": "latin1"}  # fmt: skip
    box.bench.monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (name, value) in enumerate(settings.items()):
        box.bench.monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", name)
        box.bench.monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    box.bench.monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file:ext")
    box.bench.monkeypatch.setenv("GIT_EXTERNAL_DIFF", box.canary("env-external-diff"))


@pytest.mark.parametrize(
    "name",
    [
        "there is every hook",
        "Git is told to run core.fsmonitor",
        "Git would fetch what it lacks by a program",
        "Git's addresses are rewritten to a program",
    ],
)
def test_settings_of_the_environment_run_nothing_in_a_hostile_repository(
    box: Sandbox, name: str
) -> None:
    """What tagship promises comes before what the environment has for Git."""
    case = _case(name)
    case.spoil(box)
    _with_settings_of_the_environment(box)
    before = box.snapshot()
    done = box.bench.cli("deploy", MODEL, "--yes")
    _check_told(done, (0, 1))
    for command in READS:
        box.bench.cli(*command.split())
    assert box.fired() == []
    assert box.written(before) == []


def _case(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


PLAIN: list[tuple[str, tuple[str, ...], str]] = [
    ("Git is told to run core.fsmonitor", ("git", "status"), "core.fsmonitor"),
    ("there is every hook", ("git", "checkout", "--quiet", "-b", "x"), "hook-post-checkout"),
    ("there is every hook", ("git", "add", "README"), "hook-post-index-change"),
    ("the hooks are in the work tree", ("git", "tag", "x"), "hook-reference-transaction"),
    (
        "Git is told of filters",
        ("git", "cat-file", "--filters", "HEAD:plain/model.bin"),
        "process",
    ),
    ("Git is told to verify what it shows, by a program", ("git", "show"), "gpg.program"),
    ("Git would fetch what it lacks by a program", ("git", "show", f"HEAD:{PATH}.dvc"), "ext"),
    ("Git includes a configuration from the work tree", ("git", "status"), "included"),
    ("Git's addresses are rewritten to a program", ("git", "ls-remote"), "ext"),
    (
        "modules of every name lie in the work tree",
        (sys.executable, "-m", "tagship.loaders.selftest"),
        "import-tagship",
    ),
    (
        "the remote's credentialpath comes with the repository",
        (sys.executable, "-P", "-m", "dvc", "fetch"),
        "credentialpath",
    ),
]


@pytest.mark.parametrize(("name", "command", "fired"), PLAIN, ids=lambda one: str(one)[:50])
def test_the_same_repository_runs_its_programs_under_git_and_dvc_themselves(
    box: Sandbox, name: str, command: tuple[str, ...], fired: str
) -> None:
    """Else the table above would show nothing: a program that nobody can run never runs."""
    if fired == "credentialpath":
        pytest.importorskip("dvc_s3")
    _case(name).spoil(box)
    done = subprocess.run(command, cwd=box.repo, capture_output=True, timeout=SECONDS, check=False)
    assert fired in box.fired(), done


def test_dvc_itself_writes_where_a_list_says(box: Sandbox) -> None:
    box.listed([box.entry("../../victim/outside")])
    before = box.snapshot()
    words = [sys.executable, "-P", "-m", "dvc", "checkout", "bundle.dvc"]
    subprocess.run(words, cwd=box.repo, capture_output=True, timeout=SECONDS, check=False)
    assert "victim/outside" in box.written(before)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace tells what is executed")
def test_a_deploy_executes_git_and_python_alone(box: Sandbox) -> None:
    for name in (
        "modules of every name lie in the work tree",
        "programs of the names git and python lie in the work tree",
        "Git is told to run core.fsmonitor",
        "there is every hook",
    ):
        _case(name).spoil(box)
    log = box.top / "strace.log"
    done = box.deploy(trace=("strace", "-f", "-qq", "-e", "trace=execve", "-o", str(log)))
    assert "is not a CatBoost model" in done.err  # the smoke test ran
    executed = set(re.findall(r'execve\("([^"]+)".*\) = 0', log.read_text()))
    git = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
    allowed = {sys.executable, shutil.which("git"), f"{git.stdout.strip()}/git"}
    assert executed <= allowed
    assert {sys.executable, shutil.which("git")} <= executed
    assert box.fired() == []
