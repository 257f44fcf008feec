"""A program of the operator's is bounded: its time, its children, its output, its environment."""

import os
import signal
import stat
import time
from pathlib import Path

import pytest

from tagship.disk import program
from tagship.disk.program import Ended, NotStarted

PLENTY = 30.0  # seconds that nothing here takes


def script(folder: Path, text: str, name: str = "check") -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def run(command: str, *arguments: str, seconds: float = PLENTY, given: bytes = b"") -> Ended:
    return program.run([command, *arguments], seconds, program.clean({}), given=given)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(file: Path) -> bool:
    """Whether the process whose id a file has is gone, within a moment."""
    pid, end = int(file.read_text()), time.monotonic() + PLENTY
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(pid)


@pytest.mark.parametrize(
    ("text", "code", "last"),
    [
        ("exit 0", 0, ""),
        ("echo ready; exit 75", 75, "ready"),
        ("echo one; echo two >&2; echo; exit 3", 3, "two"),
        ("kill -SEGV $$", -signal.SIGSEGV, ""),
        (r"printf 'red \033[31m\n'; exit 1", 1, r"red \x1b[31m"),
        ("echo tried https://ada:secret@example.com/x?key=1; exit 1", 1,
         "tried https://example.com/x"),
        (r"printf '\377\n'; exit 1", 1, "�"),
    ],
)  # fmt: skip
def test_a_program_ends_with_a_code_and_its_last_line(
    tmp_path: Path, text: str, code: int, last: str
) -> None:
    ended = run(script(tmp_path, text))
    assert (ended.code, ended.last) == (code, last)


def test_a_program_runs_in_the_top_folder_and_a_session_of_its_own(tmp_path: Path) -> None:
    assert run(script(tmp_path, "pwd")).last == "/"
    session = run(script(tmp_path, "cut -d' ' -f6 /proc/$$/stat")).last
    assert int(session) != os.getsid(0)


def test_a_program_reads_what_it_is_given_and_nothing_else(tmp_path: Path) -> None:
    assert run(script(tmp_path, "cat"), given=b'{"a": 1}\n').last == '{"a": 1}'
    assert run(script(tmp_path, "cat; echo end")).last == "end"
    long = run(script(tmp_path, "wc -c"), given=b"x" * 1_000_000)
    assert long.last == "1000000"
    assert run(script(tmp_path, "exit 4"), given=b"x" * 1_000_000).code == 4


def test_arguments_are_no_text_of_a_shell(tmp_path: Path) -> None:
    assert run(script(tmp_path, 'echo "$1"'), "$(id); `id` *").last == "$(id); `id` *"


def test_a_program_sees_no_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GIT_SSH_COMMAND", "SSH_AUTH_SOCK", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("PATH", "/tmp/mine:/usr/bin:/bin")
    out = tmp_path / "out"
    command = script(tmp_path, f"env > {out}")
    program.run([command], PLENTY, program.clean({"TAGSHIP_MODEL": "churn"}))
    lines = dict(line.split("=", 1) for line in out.read_text().splitlines())
    of_shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {name: text for name, text in lines.items() if name not in of_shell} == {
        "PATH": program.PATH,
        "HOME": os.environ["HOME"],
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "TAGSHIP_MODEL": "churn",
    }


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none", "No such file or directory"),
        ("plain", "Permission denied"),
        ("folder", "Permission denied"),
        ("orphan", "No such file or directory"),  # its interpreter
        ("empty", "Exec format error"),
    ],
)
def test_what_cannot_be_executed_is_told(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "folder").mkdir()
    for file, text in (("orphan", "#!/nonexistent/sh\n"), ("empty", "no program\n")):
        (tmp_path / file).write_text(text)
        (tmp_path / file).chmod(0o755)
    with pytest.raises(NotStarted) as caught:
        run(str(tmp_path / name))
    assert caught.value.message == f"{tmp_path / name} cannot be executed: {why}"


def test_a_program_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    command = script(tmp_path, f"sleep 1000 &\necho $! > {child}\necho waiting\nwait")
    ended = run(command, seconds=0.3)
    assert (ended.code, ended.last) == (None, "waiting")
    assert ended.seconds < program.GRACE + 5
    assert gone(child)


def test_a_program_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    child = tmp_path / "child"
    text = f"trap '' TERM\n(trap '' TERM; echo $(exec sh -c 'echo $PPID') > {child}; sleep 1000)\n"
    ended = run(script(tmp_path, text + "while :; do sleep 1000; done"), seconds=0.3)
    assert ended.code is None
    assert gone(child)


def test_a_program_may_tidy_up_when_it_is_told_to_end(tmp_path: Path) -> None:
    tidy = tmp_path / "tidy"
    text = f"trap 'touch {tidy}; exit 0' TERM\nwhile :; do sleep 0.01; done"
    assert run(script(tmp_path, text), seconds=0.3).code is None
    assert tidy.exists()


def test_what_a_program_leaves_behind_is_ended_and_not_waited_for(tmp_path: Path) -> None:
    child = tmp_path / "child"
    command = script(tmp_path, f"sleep 1000 & echo $! > {child}; echo started")  # it holds the pipe
    ended = run(command)
    assert (ended.code, ended.last) == (0, "started")
    assert ended.seconds < 10
    assert gone(child)


def test_a_process_that_left_its_session_is_not_waited_for(tmp_path: Path) -> None:
    child = tmp_path / "child"
    command = script(tmp_path, f"setsid sleep 1000 & echo $! > {child}; echo started")
    try:
        ended = run(command)
        assert (ended.code, ended.last) == (0, "started")
        assert ended.seconds < 10
    finally:
        os.kill(int(child.read_text()), signal.SIGKILL)


def test_output_without_end_fills_no_memory(tmp_path: Path) -> None:
    ended = run(script(tmp_path, "yes printing"), seconds=0.3)
    assert (ended.code, ended.last) == (None, "printing")
    line = run(script(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x; exit 1"))
    assert (line.code, line.last) == (1, "x" * program.LONGEST)


def test_a_program_ends_once_its_answer_is_not_needed(tmp_path: Path) -> None:
    began = tmp_path / "began"
    command = script(tmp_path, f"touch {began}; sleep 1000")
    environment = program.clean({})
    ended = program.run([command], PLENTY, environment, is_needed=lambda: not began.exists())
    assert ended.code is None
    assert ended.seconds < 10


def test_only_errors_count_where_that_is_asked(tmp_path: Path) -> None:
    command = script(tmp_path, "echo wrong >&2; echo chatter; exit 1")
    ended = program.run([command], PLENTY, program.clean({}), errors_only=True)
    assert ended.last == "wrong"


def test_a_programs_file_descriptors_are_its_own(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        ended = run(script(tmp_path, f"ls /proc/$$/fd/{file.fileno()} && exit 9; exit 0"))
        assert stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    assert ended.code == 0


def test_a_framework_keeps_what_it_needs_and_nothing_that_may_be_a_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {
        "PYTHONPATH": f"{tmp_path}:lib", "PATH": "/opt/conda/bin:/bin", "LD_LIBRARY_PATH": "/cuda",
        "CUDA_VISIBLE_DEVICES": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "OPENBLAS_NUM_THREADS": "1",
        "KERAS_BACKEND": "tensorflow", "TAGSHIP_LINEAR": "1", "LC_ALL": "C", "TMPDIR": "/var/tmp",
    }  # fmt: skip
    dropped = (
        "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_SECRET",
        "GIT_CONFIG_COUNT", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "TF_VAR_password", "TF_VAR_PASSWORD",
        "TF_TOKEN_app_terraform_io", "PYTHON_KEYRING_BACKEND", "http_proxy", "HF_TOKEN",
    )  # fmt: skip
    for name in (*kept, *dropped):
        monkeypatch.setenv(name, kept.get(name, "secret"))
    monkeypatch.chdir(tmp_path)
    environment = program.for_framework()
    assert {name: environment[name] for name in kept} == {
        **kept, "PYTHONPATH": f"{tmp_path}:{tmp_path / 'lib'}"
    }  # fmt: skip
    assert "secret" not in environment.values()
