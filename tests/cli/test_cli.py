"""The command line as a person and as a program see it: terminal, pipe, JSON, exit codes."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tagship.cli import main
from tests.workbench import Result, Workbench


def _on_a_terminal(bench: Workbench, answer: str, *arguments: str) -> tuple[int, str]:
    """Run in a process of its own whose three streams are a terminal; type the answer."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tagship", *arguments],
        cwd=bench.repo,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    shown = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # the terminal's other side was closed
            break
        if not block:
            break
        shown += block
    os.close(ours)
    return process.wait(), shown.decode().replace("\r\n", "\n")


@pytest.mark.live
def test_a_deploy_shows_its_plan_and_asks(bench: Workbench) -> None:
    bench.train("model 2, larger\n", accuracy=0.875)
    bench.manager.release()
    code, shown = _on_a_terminal(bench, "y\n", "deploy", "churn")
    assert code == 0
    assert (
        "churn: 1.0.0 -> 1.1.0\n"
        "  commits between: 1\n"
        "  size: 16 B, to fetch: 0 objects\n"
        "  accuracy: 0.75 -> 0.875 (+0.125)\n"
        "Go on? [y/N]: "
    ) in shown
    assert "churn 1.1.0 is live (before: 1.0.0)\n" in shown
    assert bench.live() == "model 2, larger\n"


@pytest.mark.released
def test_no_is_an_answer(bench: Workbench) -> None:
    code, shown = _on_a_terminal(bench, "n\n", "deploy", "churn")
    assert code == 1
    assert shown.endswith("Cancelled.\n")
    assert not bench.current.is_symlink()


def test_a_withdrawal_shows_what_takes_its_place_and_asks(shipped: Workbench) -> None:
    plan = "withdraw churn 1.1.0: churn@v1.1.0!\n  latest: 1.1.0 -> 1.0.0\nGo on? [y/N]: "
    shipped.git("remote", "set-url", "origin", "../nowhere.git")  # noted, and once
    code, shown = _on_a_terminal(shipped, "n\n", "withdraw", "churn@1.1.0")
    assert (code, plan in shown, shown.endswith("Cancelled.\n")) == (1, True, True)
    assert shipped.git("tag", "--list", "churn@v1.1.0!") == ""
    code, shown = _on_a_terminal(shipped, "y\n", "withdraw", "churn@1.1.0")
    assert (code, plan in shown, shown.count("could not be read")) == (0, True, 1)
    assert "churn 1.1.0 is withdrawn, by the tag churn@v1.1.0!\n" in shown
    code, shown = _on_a_terminal(shipped, "", "withdraw", "churn@1.1.0")  # nobody is asked
    assert (code, "is withdrawn already" in shown) == (0, True)


@pytest.mark.released
def test_a_table_is_drawn_on_a_terminal_and_is_plain_in_a_pipe(bench: Workbench) -> None:
    code, shown = _on_a_terminal(bench, "", "models")
    assert code == 0
    assert "MODEL" in shown
    assert "\x1b[" in shown
    assert bench.process("models").out == (
        "MODEL\tLIVE\tLATEST\tSTATE\tSIZE\tPATH\nchurn\t-\t1.0.0\tbehind\t-\tmodels/churn/model.bin\n"
    )


@pytest.mark.live
def test_the_version_for_a_prompt(bench: Workbench) -> None:
    assert bench.process("current", "churn").out == "1.0.0\n"
    path = bench.process("current", "churn", "--path").out.strip()
    assert Path(path) == bench.current.resolve()


COMMANDS = [
    ("init",),
    ("models",),
    ("deploy", "churn", "--dry-run"),
    ("deploy", "churn", "--yes"),
    ("rollback", "churn", "--yes"),
    ("current", "churn"),
    ("list", "churn"),
    ("show", "churn"),
    ("history", "churn"),
    ("cleanup", "churn", "--yes"),
    ("undeploy", "churn", "--yes"),
    ("pin", "churn@1.0.0"),
    ("history", "churn", "--at", "2026-11-20"),
    ("compare", "churn"),
    ("why", "churn"),
    ("export", "churn", "--format", "cyclonedx"),
    ("verify",),
    ("status",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.live
def test_every_report_is_json_for_programs(bench: Workbench, command: tuple[str, ...]) -> None:
    bench.ship("model 2\n")
    result = bench.cli(*command, "--json")
    assert result.code in (0, 3)
    json.loads(result.out)


@pytest.mark.parametrize("command", ["", *sorted(main.cli.commands)])
def test_help_is_there_and_has_an_example(bench: Workbench, command: str) -> None:
    result = bench.cli(*([command] if command else []), "--help")
    assert result.code == 0
    if command:
        assert f"Example: tagship {command}" in result.out


def test_a_wrong_option_is_exit_2(bench: Workbench) -> None:
    assert bench.cli("deploy", "churn", "--no-such-option").code == 2
    assert bench.cli("no-such-command").code == 2


def test_the_version_of_the_tool(bench: Workbench) -> None:
    result = bench.cli("--version")
    assert (result.code, result.out) == (0, "tagship 0.1.0\n")


@pytest.mark.parametrize("text", ["{}\n", "artifacts: {}\n", "{stages: {}}\n"])
def test_init_leaves_a_dvc_yaml_of_braces_as_it_is(bench: Workbench, text: str) -> None:
    (bench.repo / "dvc.yaml").write_text(text)
    bench.refuses(
        "init --model wine --path models/wine.cbm",
        "artifacts: in dvc.yaml is not written one line a key",
        "add wine to it by hand: {path: models/wine.cbm, type: model}",
    )


@pytest.mark.released
def test_a_quiet_deploy_speaks_only_of_what_it_did(bench: Workbench) -> None:
    quiet = ("deploy", "churn", "--yes", "--quiet")
    assert "churn 1.0.0 is live" in bench.cli(*quiet).out
    assert bench.cli(*quiet) == Result(0, "", "")
    assert bench.cli(*quiet, "--json") == Result(0, "", "")
    (bench.folder / ".tagship/staging/left").mkdir()  # of a run that was killed
    repaired = bench.cli(*quiet)
    assert (repaired.code, repaired.out) == (0, "")
    assert repaired.err.startswith("note: ")
    assert bench.cli("deploy", "churn@9.9", "--yes", "-q").code == 1


@pytest.mark.released
def test_who_ran_sudo_is_in_the_history(bench: Workbench) -> None:
    bench.monkeypatch.setenv("LOGNAME", "deploy")
    for caller, actor in (("ada", "ada as deploy"), ("deploy", "deploy")):
        bench.monkeypatch.setenv("SUDO_USER", caller)
        event = bench.manager.deploy(force=True).event
        assert event is not None
        assert event.actor == actor


def test_init_prepares_a_new_repository_and_a_second_time_changes_nothing(
    bench: Workbench,
) -> None:
    repo = bench.repo.parent / "new"
    repo.mkdir()
    subprocess.run(["git", "init", "--quiet", str(repo)], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=repo, check=True)
    (repo / "dvc.yaml").write_text("# the pipeline\nstages: {}\n")
    command = ("-C", str(repo), "init", "--model", "wine", "--path", "models/wine/model.cbm")
    assert bench.process(*command).out == (
        "wrote .gitignore .dvcignore dvc.yaml;"
        " now: git add .gitignore .dvcignore dvc.yaml && git commit\n"
    )
    assert (repo / "dvc.yaml").read_text() == (
        "# the pipeline\nstages: {}\n"
        "artifacts:\n  wine:\n    path: models/wine/model.cbm\n    type: model\n"
    )
    assert "/models/*/versions" in (repo / ".gitignore").read_text().splitlines()
    assert bench.process(*command).out == "nothing to do\n"
    (repo / ".dvcignore").unlink()
    (repo / "part").mkdir()
    assert bench.process("-C", str(repo / "part"), "init").out == (
        "wrote .dvcignore; now: cd ../new && git add .dvcignore && git commit\n"
    )
