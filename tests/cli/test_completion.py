"""The Tab key: models and versions, in the shells themselves."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagship.cli import complete
from tests.workbench import Workbench

PATIENCE = 30  # seconds


@pytest.fixture
def released(bench: Workbench) -> Workbench:
    """churn 1.0.0, 1.1.0 (both released), 1.2.0, which was deregistered, and a pre-release."""
    for version in ("1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1"):
        bench.git("tag", "--annotate", "--message=x", f"churn@v{version}")
    bench.git("tag", "--annotate", "--message=x", "churn@v1.2.0!")
    bench.git("tag", "--annotate", "--message=x", "churned@v9.0.0")
    bench.monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    bench.monkeypatch.chdir(bench.repo)
    return bench


def test_models_are_those_declared_and_those_that_are_here(released: Workbench) -> None:
    (released.repo / "models" / "wine" / "versions").mkdir(parents=True)
    assert complete.models(released.repo) == ["churn", "wine"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("artifacts:\n  a:\n    path: x\n  b-1:   # two\n    path: y\n", {"a", "b-1"}),
        (
            "stages: {}\nartifacts: # ours\n\n# one\n    a:\n      path: x\nplots: []\n",
            {"a"},
        ),
        ("artifacts:\n", set()),
        ("stages: {}\n", set()),
        ("", set()),
        ("artifacts: {a: {path: x}}\n", None),
        ("artifacts:\n  'a': {path: x}\n", None),
        ("artifacts:\n  a: {path: x}\n", None),
        ("artifacts:\n  a:\n    path: x\n  ? b\n  : {path: y}\n", None),
        ("artifacts:\n\ta:\n", None),
        ("{artifacts: {a: {path: x}}}\n", None),
        ('"artifacts":\n  a:\n    path: x\n', None),
    ],
)
def test_names_are_read_without_a_parser_where_they_are_as_usual(
    text: str, names: set[str] | None
) -> None:
    assert complete._names(text) == names


def test_the_tab_key_imports_neither_git_nor_yaml(released: Workbench) -> None:
    for words in ("tagship deploy ch", "tagship deploy churn@"):
        code = (
            "import sys, contextlib; from tagship.cli.main import main\n"
            "sys.argv = ['tagship']\n"
            "with contextlib.suppress(SystemExit):\n    main()\n"
            "print(sorted({'git', 'dvc', 'ruamel', 'rich'} & set(sys.modules)))\n"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=released.repo, capture_output=True, text=True,
            check=True,
            env={**os.environ, "_TAGSHIP_COMPLETE": "bash_complete", "COMP_WORDS": words,
                 "COMP_CWORD": "2"},
        )  # fmt: skip
        assert result.stdout.startswith("plain,churn")
        assert result.stdout.endswith("\n[]\n")


@pytest.mark.parametrize("words", ["tagship history m --action ", "tagship release m --bump "])
def test_the_words_of_an_option_are_completed_from_a_light_module(
    words: str, tmp_path: Path
) -> None:
    code = (
        "import sys, contextlib; from tagship.cli.main import main\n"
        "sys.argv = ['tagship']\n"
        "with contextlib.suppress(SystemExit):\n    main()\n"
        "print([name for name in sorted(sys.modules) if name.startswith('tagship.')])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "_TAGSHIP_COMPLETE": "bash_complete", "COMP_WORDS": words,
             "COMP_CWORD": "4"},
    )  # fmt: skip
    *answers, modules = result.stdout.splitlines()
    assert all(answer.startswith("plain,") for answer in answers) and len(answers) >= 3
    for heavy in ("release", "dvc", "git", "workspace", "deploy"):
        assert f"'tagship.{heavy}" not in modules
    assert "tagship.host.history" not in modules


def test_a_folder_whose_name_a_shell_would_run_is_no_model(released: Workbench) -> None:
    for name in ("$(touch PWNED)", "a;b", "x`y`", "line\nbreak"):
        (released.repo / "models" / name / "versions").mkdir(parents=True)
    assert complete.models(released.repo) == ["churn"]


def test_versions_are_those_on_offer_the_highest_first(released: Workbench) -> None:
    assert complete.versions(released.repo, "churn") == ["2.0.0-rc.1", "1.1.0", "1.0.0"]
    assert complete.versions(released.repo, "churned") == ["9.0.0"]


def test_a_version_is_offered_once_its_at_is_typed(released: Workbench) -> None:
    assert complete.references(released.repo, "ch") == ["churn"]
    assert complete.references(released.repo, "churn@1") == [
        "churn@2.0.0-rc.1", "churn@1.1.0", "churn@1.0.0"
    ]  # fmt: skip


def test_what_cannot_be_known_is_no_name_and_no_error(tmp_path: Path, bench: Workbench) -> None:
    assert complete.models(tmp_path) == complete.versions(tmp_path, "churn") == []
    assert complete.versions(bench.repo, "-c core.editor=x") == []
    (bench.repo / "dvc.yaml").write_text("artifacts: [")
    assert complete.models(bench.repo) == []
    bench.monkeypatch.setenv("PATH", "/nonexistent")
    assert complete.versions(bench.repo, "churn") == []


ASKED = [
    ("tagship dep", ["deploy", "deprecate"]),
    ("tagship deploy ", ["churn"]),
    ("tagship deploy churn@1", ["churn@1.1.0", "churn@1.0.0"]),
    ("tagship rollback churn --to ", ["2.0.0-rc.1", "1.1.0", "1.0.0"]),
    ("tagship compare churn 1.", ["1.1.0", "1.0.0"]),
    ("tagship history churn --action ro", ["rollback"]),
    ("tagship deploy churn --dry", ["--dry-run"]),
    ("tagship completion z", ["zsh"]),
]


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(("line", "answers"), ASKED)
def test_bash_is_answered(released: Workbench, line: str, answers: list[str]) -> None:
    script = (
        'eval "$(tagship completion bash)"\n'
        "compopt() { :; }\n"  # it works in a real completion alone
        f'COMP_LINE="{line}" COMP_POINT={len(line)}\n'
        "_tagship_completion tagship\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    before = "churn" if "@" in line else ""  # to bash a word ends there, and it keeps that
    assert [before + answer for answer in result.stdout.split()] == answers
    assert result.stderr == ""


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize("folder", ["'my dir'", '"my dir"', r"my\ dir"])
def test_bash_is_answered_for_a_folder_with_a_blank(released: Workbench, folder: str) -> None:
    (released.repo.parent / "my dir").symlink_to(released.repo)
    released.monkeypatch.chdir(released.repo.parent)
    for line, answers in (("list ", ["churn"]), ("list c", ["churn"]), ("li", ["list"])):
        script = (
            'eval "$(tagship completion bash)"; compopt() { :; }\n'
            'COMP_LINE="$1" COMP_POINT=${#1}; _tagship_completion tagship\n'
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        asked = ["bash", "-c", script, "bash", f"tagship -C {folder} {line}"]
        result = subprocess.run(asked, capture_output=True, text=True, check=True)
        assert result.stdout.split() == answers


@pytest.mark.skipif(not shutil.which("fish"), reason="needs fish")
@pytest.mark.parametrize(("line", "answers"), ASKED)
def test_fish_is_answered(released: Workbench, line: str, answers: list[str]) -> None:
    script = f"tagship completion fish | source; complete --do-complete '{line}'"
    result = subprocess.run(
        ["fish", "--no-config", "-c", script], capture_output=True, text=True, check=True
    )
    completions = [answer.partition("\t")[0] for answer in result.stdout.splitlines()]
    assert sorted(completions) == sorted(answers)


def typed(shell: list[str], prepare: str, line: str, until: str) -> str:
    """What a shell of its own shows, on a terminal, when a line ends in the Tab key."""
    process, terminal = pty.fork()
    if not process:
        os.execvpe(shell[0], shell, {**os.environ, "PS1": "> ", "TERM": "dumb"})
    os.write(terminal, f"{prepare}; echo rea''dy\n".encode())
    screen, pressed, end = b"", False, time.monotonic() + PATIENCE
    while time.monotonic() < end and until.encode() not in screen:
        if select.select([terminal], [], [], 0.5)[0]:
            screen += os.read(terminal, 4096)
        if not pressed and b"\nready" in screen:
            os.write(terminal, f"{line}\t\n".encode())
            pressed = True
    os.write(terminal, b"exit\n")
    os.close(terminal)
    os.waitpid(process, 0)
    return screen.decode(errors="replace")


SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(tagship completion bash)"'),
    "zsh": (
        ["zsh", "--no-rcs", "-i"],
        'unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D;'
        ' eval "$(tagship completion zsh)"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_a_line_is_completed_at_the_prompt(released: Workbench, shell: str) -> None:
    command, prepare = SHELLS[shell]
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    error = "no version of churn is live"
    screen = typed(command, prepare, "tagship current chu", error)
    assert error in screen
    released.git("tag", "--annotate", "--message=x", "churn@v3.1.0")
    assert "churn 3.1.0" in typed(command, prepare, "tagship show churn@3", "churn 3.1.0")


def test_another_shell_is_wrong_usage(bench: Workbench) -> None:
    assert bench.cli("completion", "tcsh").code == 2
