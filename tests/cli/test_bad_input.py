"""What a user may get wrong in a command: what it says, how it exits, and that nothing changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tagship
import tagship.errors
from tagship.cli import main
from tagship.disk import atomic
from tests.hosts import Following
from tests.workbench import MODEL, PATH, Result, Workbench, run

COMMANDS = (
    "release {model}",
    "deploy {model} --yes",
    "deploy {model} --dry-run",
    "rollback {model} --yes",
    "list {model}",
    "show {model}",
    "history {model}",
    "cleanup {model} --yes",
    "undeploy {model} --yes",
    "pin {model}@1.0.0",
    "unpin {model}@1.0.0",
    "verify {model}",
    "status {model}",
    "current {model}",
)
VERSIONED = (
    "deploy churn@{version} --yes",
    "deploy churn@{version} --dry-run",
    "rollback churn --to {version} --yes",
    "show churn@{version}",
    "pin churn@{version}",
    "verify churn@{version}",
)
NAMES = "a name has letters, digits, '-' and '_', and starts and ends with a letter or a digit"
VERSIONS = "give 1.2.0, 1.2, 1, latest, or a tag such as churn@v1.2.0"
SECRET = "s3cr3t"


def usage(command: str, arguments: str, error: str) -> str:
    """What click says of options and arguments that are wrong."""
    program = f"tagship {command}".rstrip()
    return f"Usage: {program} {arguments}\nTry '{program} --help' for help.\n\nError: {error}\n"


# --- names and versions


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_model_is_refused_with_the_nearest_name(bench: Workbench, command: str) -> None:
    bench.refuses(command.format(model="chrun"), "there is no model chrun", "did you mean churn?")
    bench.refuses(command.format(model="zebra"), "there is no model zebra", "there are: churn")


@pytest.mark.parametrize("command", ["release", "list", "compare", "rollback", "cleanup", "why",
                                     "undeploy", "current", "history", "status"])  # fmt: skip
def test_a_version_where_a_model_alone_is_named_is_wrong_usage(
    bench: Workbench, command: str
) -> None:
    result = bench.cli(command, "churn@1.0")
    option = " --to 1.0" if command == "rollback" else ""
    last = f"Error: name the model alone: churn{option}"
    assert (result.code, result.err.splitlines()[-1]) == (2, last)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_illegal_model_name_is_wrong_usage(bench: Workbench, command: str) -> None:
    for name in ("Churn!", "../churn", "a/../b", "churn ", ""):
        bench.refuses(command.format(model=f"'{name}'"), f"{name!r} is not a model name", NAMES, 2)


@pytest.mark.parametrize("command", VERSIONED)
def test_an_unknown_version_is_refused(shipped: Workbench, command: str) -> None:
    for version in ("9.9.9", "v9.9.9", "churn@v9.9.9"):
        shipped.refuses(
            command.format(version=version),
            "churn has no version 9.9.9",
            "git fetch --tags; or: tagship list churn",
        )
    shipped.refuses(
        command.format(version="9"),
        "churn has no version 9",
        "git fetch --tags; or: tagship list churn",
    )


@pytest.mark.parametrize("command", VERSIONED)
def test_what_no_version_can_be_is_wrong_usage(shipped: Workbench, command: str) -> None:
    for text in ("abc", "1.0.0.0", "01.2.3", "1.0.0-01", "v1.0.0!", ""):
        shipped.refuses(
            command.format(version=f"'{text}'"), f"{text!r} is not a version of churn", VERSIONS, 2
        )


@pytest.mark.parametrize("command", VERSIONED)
def test_a_tag_of_another_model_is_no_version(shipped: Workbench, command: str) -> None:
    shipped.git("tag", "--annotate", "--message=x", "other@v1.0.0")
    shipped.refuses(
        command.format(version="other@v1.0.0"),
        "'other@v1.0.0' is not a version of churn",
        VERSIONS,
        2,
    )


def test_release_takes_only_a_semantic_version(bench: Workbench) -> None:
    for text in ("abc", "1.0.0.0", "01.2.3", "churn@v1.0.0", ""):
        bench.refuses(
            f"release churn --version '{text}'",
            f"{text!r} is not a SemVer 2.0.0 version",
            "give it as 1.2.0",
            2,
        )


def test_before_the_first_release_there_is_no_version(bench: Workbench) -> None:
    for command in ("deploy churn --yes", "show churn"):
        bench.refuses(
            command,
            "churn has no released version",
            "git fetch --tags; or: tagship release churn",
        )


@pytest.mark.released
def test_before_the_first_deploy_there_is_nothing_to_act_on(bench: Workbench) -> None:
    for command in ("rollback churn --yes", "cleanup churn --yes", "verify churn",
                    "verify churn@1.0.0"):  # fmt: skip
        bench.refuses(command, "churn was never deployed here", "tagship deploy churn")
    bench.refuses("current churn", "no version of churn is live", "tagship deploy churn")


def test_a_version_that_is_not_on_disk_cannot_be_verified(shipped: Workbench) -> None:
    shipped.release("model 3\n")
    shipped.refuses(
        "verify churn@1.2.0", "churn@1.2.0 is not on disk here", "tagship deploy churn@1.2.0"
    )


@pytest.mark.live
def test_one_version_is_nothing_to_go_back_to(bench: Workbench) -> None:
    bench.refuses(
        "rollback churn --yes", "churn has no good version to go back to", "tagship list churn"
    )


def test_what_is_pinned_is_not_pinned_again_and_what_is_not_is_not_unpinned(
    shipped: Workbench,
) -> None:
    shipped.refuses("unpin churn@1.0.0", "churn 1.0.0 is not pinned", "tagship list churn")
    shipped.manager.pin("1.0.0")
    shipped.refuses("pin churn@1.0.0", "churn 1.0.0 is pinned already", "tagship list churn")


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (
            "cleanup churn --keep -1",
            usage("cleanup", "[OPTIONS] MODEL",
                  "Invalid value for '--keep': -1 is not in the range x>=0."),
        ),
        (
            "history churn --limit 0",
            usage("history", "[OPTIONS] [MODEL]",
                  "Invalid value for '--limit': 0 is not in the range x>=1."),
        ),
        (
            "deploy churn --wait -1",
            usage("deploy", "[OPTIONS] MODEL[@VERSION]",
                  "Invalid value for '--wait': -1.0 is not in the range 0<=x<=31536000."),
        ),
        (
            "release churn --bump huge",
            usage("release", "[OPTIONS] MODEL",
                  "Invalid value for '--bump': 'huge' is not one of 'minor', 'major', 'patch'."),
        ),
        (
            "pin churn",
            usage("pin", "[OPTIONS] MODEL@VERSION", "name the version: MODEL@VERSION"),
        ),
        *(
            (
                f"sync {option} {value}",
                usage("sync", "[OPTIONS] [MODEL...]", f"Invalid value for '{option}': {what}"),
            )
            for option, value, what in (
                ("--every", "nan", "'nan' is not a number of seconds"),
                ("--jitter", "inf", "inf is not in the range 0<=x<=31536000."),
                ("--wait", "1e300", "1e+300 is not in the range 0<=x<=31536000."),
            )
        ),
        (
            "init --model churn",
            usage("init", "[OPTIONS]", "--model and --path go together"),
        ),
        (
            "xyz churn",
            usage("", "[OPTIONS] COMMAND [ARGS]...", "No such command 'xyz'."),
        ),
    ],
)  # fmt: skip
def test_wrong_options_are_wrong_usage(bench: Workbench, command: str, error: str) -> None:
    before = bench.state()
    assert bench.cli(*command.split()) == Result(2, "", error)
    assert bench.changes(before) == set()


MEANT = {
    "deploy churn 1.1.0 --yes": "tagship deploy churn@1.1.0 --yes",
    "show churn v1.0": "tagship show churn@v1.0",
    "verify churn latest": "tagship verify churn@latest",
    "rollback churn 1.0.0 --yes": "tagship rollback churn --to 1.0.0 --yes",
    "release churn 2.0.0 --push": "tagship release churn --version 2.0.0 --push",
    "undeploy churn 1.0.0": "undeploy takes no version: name the model alone",
    "status churn 1.0.0": "status takes no version: name the model alone",
    "deploy churn@1.0 1.1": "",
    "status churn price": "",
    "init churn": "",
    "status -v": "put it first: tagship -C {repo} -v status",
    "status -C .": "put it first: tagship -C {repo} -C . status",
    "status -C": "",
}


@pytest.mark.parametrize("command", MEANT)
def test_a_command_line_that_is_nearly_right_gives_the_right_one(
    shipped: Workbench, command: str
) -> None:
    before, hint = shipped.state(), MEANT[command]
    told = shipped.cli(*command.split())
    assert (told.code, told.out) == (2, "")
    [_, said] = told.err.split("\n\nError: ")
    hint = hint.format(repo=shipped.repo).replace(f" -C {shipped.repo}", "", 1)
    assert said.splitlines()[1:] == ([f"hint: {hint}"] if hint else [])
    assert shipped.changes(before) == set()


@pytest.mark.parametrize("command", ["show churn 1.0", "rollback churn 1.0.0 --yes"])
def test_the_command_that_was_meant_works(shipped: Workbench, command: str) -> None:
    hint = shipped.cli(*command.split()).err.splitlines()[-1]
    assert shipped.cli(*hint.removeprefix("hint: tagship ").split()).code == 0


@pytest.mark.parametrize("path", [PATH, f"{PATH}.dvc", "models/churn", "{repo}/models/churn"])
@pytest.mark.parametrize("command", ["deploy {}", "deploy {}@1.0 --yes", "status {}", "current {}",
                                     "pin {}@1.0.0", "release {} --push"])  # fmt: skip
def test_the_path_of_a_model_is_answered_with_its_name(
    bench: Workbench, command: str, path: str
) -> None:
    given = command.format(path.format(repo=bench.repo))
    hint = f"hint: the model at this path is churn: tagship {command.format('churn')}"
    told = bench.cli(*given.split())
    assert told.err.splitlines()[-1] == hint
    assert told.code in (1, 2)


def test_a_path_of_no_model_gets_the_rule_of_names(bench: Workbench) -> None:
    bench.refuses("deploy ./README", "'./README' is not a model name", NAMES, 2)
    (bench.repo / "dvc.yaml").write_text("[\n")
    bench.refuses(f"deploy {PATH}", f"{PATH!r} is not a model name", NAMES, 2)
    atomic.remove_tree(bench.repo / ".dvc")
    bench.refuses(f"deploy {PATH}", f"{PATH!r} is not a model name", NAMES, 2)


# --- where there is nothing to work on


def test_a_folder_that_is_missing_is_wrong_usage(bench: Workbench) -> None:
    for name, what in (("nowhere", "does not exist"), ("README", "is a file")):
        folder = bench.repo / name
        option = "'-C' (env var: 'TAGSHIP_ROOT')"
        error = f"Invalid value for {option}: Directory '{folder}' {what}."
        assert bench.cli("-C", str(folder), "status") == Result(
            2, "", usage("", "[OPTIONS] COMMAND [ARGS]...", error)
        )


@pytest.mark.parametrize("command", [command for command in COMMANDS if "current" not in command])
def test_outside_a_git_repository_a_command_is_refused(bench: Workbench, command: str) -> None:
    atomic.remove_tree(bench.repo / ".git")
    bench.refuses(
        command.format(model=MODEL),
        f"not a Git repository: {bench.repo}",
        'git init && git add --all && git commit -m "..."',
    )


GONE = "error: the working directory is gone\nhint: cd to another one\n"
HERE = ("current churn", "status", "release churn", "report -o x.html", "host init x --git u")


def _in_a_folder_that_is_gone(bench: Workbench, line: str) -> Result:
    return _shell(bench, f"mkdir gone && cd gone && rmdir ../gone && {line}")


@pytest.mark.parametrize("command", HERE)
@pytest.mark.released
def test_a_working_directory_that_is_gone_is_said(bench: Workbench, command: str) -> None:
    assert _in_a_folder_that_is_gone(bench, f"tagship {command}") == Result(1, "", GONE)


@pytest.mark.live
def test_from_there_a_folder_that_is_named_answers(bench: Workbench) -> None:
    to = f"tagship -C {bench.repo}"
    result = _in_a_folder_that_is_gone(bench, f"{to} current churn; {to} current chrun")
    error = "error: there is no model chrun\nhint: did you mean churn?\n"
    assert result == Result(1, "1.0.0\n", error)


def test_the_api_says_so_too(bench: Workbench) -> None:
    gone = bench.repo / "gone"
    gone.mkdir()
    bench.monkeypatch.chdir(gone)
    gone.rmdir()
    manager = tagship.ModelVersionManager("churn")
    for ask in (
        lambda: tagship.resolve("churn"),
        lambda: tagship.resolve("churn", root="models"),
        lambda: tagship.load("churn"),
        lambda: tagship.watch("churn", changed=print),
        manager.get_current_version,
        manager.list_versions,
    ):
        with pytest.raises(tagship.errors.NotFound, match="the working directory is gone"):
            ask()


@pytest.mark.live
def test_current_needs_no_git_at_all(bench: Workbench) -> None:
    atomic.remove_tree(bench.repo / ".git")
    assert bench.process("current", MODEL, environment={"PATH": ""}) == Result(0, "1.0.0\n", "")


def test_without_git_installed_a_command_says_so(bench: Workbench) -> None:
    result = bench.process("list", MODEL, environment={"PATH": ""})
    assert result == Result(1, "", "error: git is not installed\nhint: install it first\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_outside_a_dvc_repository_a_command_is_refused(bench: Workbench, command: str) -> None:
    atomic.remove_tree(bench.repo / ".dvc")
    bench.git("commit", "--quiet", "--all", "--message", "Without DVC")
    bench.refuses(
        command.format(model=MODEL),
        f"not a DVC repository: {bench.repo}",
        "dvc init && tagship init",
    )


@pytest.mark.parametrize("command", ["release", "deploy --yes", "list", "show", "history",
                                     "status"])  # fmt: skip
def test_without_a_commit_there_is_no_model(bench: Workbench, command: str) -> None:
    atomic.remove_tree(bench.repo / ".git")
    bench.git("init", "--quiet")
    hint = 'git add --all && git commit -m "..."'
    bench.refuses(f"{command} churn", "the repository has no commit yet", hint)


@pytest.mark.parametrize("folder", ["repo", "repo/models", "."])
def test_a_hint_keeps_the_folder_that_was_given(shipped: Workbench, folder: str) -> None:
    shipped.monkeypatch.chdir(shipped.repo if folder == "." else shipped.repo.parent)
    said = shipped._run(main.main, "-C", folder, "rollback", "churn", "--to", "1.0.9", "--yes")
    where = "" if folder == "." else f" -C {folder}"
    assert said.err == (
        "error: churn has no version 1.0.9\n"
        f"hint: git{where} fetch --tags; or: tagship{where} list churn; did you mean 1.0.0?\n"
    )


def test_so_do_the_fixes_of_status_and_what_git_and_dvc_are_to_do(shipped: Workbench) -> None:
    shipped.release("model 3\n")
    shipped.git("tag", "--delete", "churn@v1.1.0")
    shipped.monkeypatch.chdir(shipped.repo.parent)
    said = shipped._run(main.main, "-C", "repo", "status")
    assert "    fix: tagship -C repo deploy churn\n" in said.out
    assert "    fix: git -C repo fetch --tags\n" in said.out
    (shipped.repo.parent / "new").mkdir()
    said = shipped._run(main.main, "-C", "new", "status")
    assert said.err.endswith(
        "hint: go into the repository, or name it with -C DIR; to begin one:"
        " git -C new init && dvc --cd new init && tagship -C new init\n"
    )


@pytest.mark.parametrize("ref", ["churn@1.0.0", "churn@v1.0"])
def test_a_rollback_to_a_version_in_the_wrong_place_names_the_option(
    shipped: Workbench, ref: str
) -> None:
    said = shipped.cli("rollback", ref, "--yes")
    assert said.code == 2
    assert f"name the model alone: churn --to {ref.partition('@')[2]}\n" in said.err


# --- nobody to ask, nobody to read


@pytest.mark.parametrize("options", ["", " --json"])
@pytest.mark.parametrize(
    "command", ["deploy churn@1.0.0", "rollback churn", "cleanup churn", "undeploy churn"]
)
def test_where_nobody_can_answer_yes_must_be_said(
    shipped: Workbench, command: str, options: str
) -> None:
    shipped.refuses(command + options, "not a terminal: use --yes to skip the confirmation")


def test_a_closed_standard_input_is_no_terminal(shipped: Workbench) -> None:
    result = _shell(shipped, "tagship rollback churn <&-")
    error = "error: not a terminal: use --yes to skip the confirmation\n"
    assert result == Result(1, "", error)


def test_a_closed_standard_output_is_no_error(shipped: Workbench) -> None:
    assert _shell(shipped, "tagship list churn >&-") == Result(0, "", "")


def test_a_reader_that_leaves_early_sees_no_traceback(shipped: Workbench) -> None:
    result = _shell(shipped, "tagship list churn | head -1")
    assert result == Result(0, "VERSION\tSTATE\tRELEASED (UTC)\tCOMMIT\tSIZE\tMETRICS\n", "")


@pytest.mark.parametrize("command", ["list churn", "show churn --json", "release churn --deploy"])
@pytest.mark.live
def test_what_is_begun_is_done_though_nobody_reads_it(bench: Workbench, command: str) -> None:
    bench.train("model 2\n")
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "tagship", *command.split()],
        cwd=bench.repo, stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")
    assert bench.live() == ("model 2\n" if "deploy" in command else "model 1\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("command", ["list churn", "list churn --json", "--help", "--version"])
@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_full_disk_under_the_output_is_told(
    shipped: Workbench, command: str, unbuffered: bool
) -> None:
    shipped.monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    if unbuffered:
        shipped.monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    assert _shell(shipped, f"tagship {command} >/dev/full") == Result(74, "", UNWRITTEN)


UNWRITTEN = "error: standard output cannot be written: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("json", ["", " --json"])
@pytest.mark.released
def test_what_is_done_all_the_same_is_said(bench: Workbench, json: str) -> None:
    lost = UNWRITTEN.removeprefix("error: ")

    def says(line: str) -> str:
        result = _shell(bench, f"tagship {line}{json} >/dev/full")
        assert (result.code, result.out) == (74, "")
        return result.err

    assert says("deploy churn --yes") == f"error: churn 1.0.0 is live; {lost}"
    bench.train("model 2\n")
    released = bench.git("rev-parse", "--short=10", "HEAD").strip()
    assert says("release churn --deploy") == (
        f"error: churn 1.1.0 is released as churn@v1.1.0, commit {released};"
        f" churn 1.1.0 is live (before: 1.0.0); {lost}"
    )
    assert says("cleanup churn --keep 0 --dry-run") == UNWRITTEN
    assert says("undeploy churn --yes").startswith("error: churn: 2 directories removed, ")
    assert not bench.current.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_so_is_what_a_pass_of_a_host_did(host: Following) -> None:
    result = _shell(host.bench, f"tagship -C {host.folder} sync >/dev/full")
    did = UNWRITTEN.removeprefix("error: ")
    assert result == Result(74, "", f"error: churn: in order, live 1.0.0; {did}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.released
def test_what_fails_keeps_its_exit_code_and_a_full_standard_error_stops_nothing(
    bench: Workbench,
) -> None:
    held = _shell(bench, "tagship status >/dev/full")
    assert held == Result(74, "", UNWRITTEN)
    assert _shell(bench, "tagship deploy churn@9 --yes >/dev/full").code == 1
    both = _shell(bench, "tagship deploy churn --yes >/dev/full 2>/dev/full")
    assert (both, bench.live()) == (Result(74, "", ""), "model 1\n")


def _shell(bench: Workbench, line: str) -> Result:
    """Run a line of bash, its exit code that of the whole pipe."""
    script = f'set -o pipefail; tagship() {{ "$0" -m tagship "$@"; }}; {line}'
    result = subprocess.run(
        ["bash", "-c", script, sys.executable],
        cwd=bench.repo, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Result(result.returncode, result.stdout, result.stderr)


# --- what an error shows


def test_an_error_shows_a_traceback_only_where_it_is_asked_for(bench: Workbench) -> None:
    hint = "git fetch --tags; or: tagship release churn"
    error = f"error: churn has no released version\nhint: {hint}\n"
    assert bench.cli("show", MODEL) == Result(1, "", error)
    asked = bench.cli("-v", "show", MODEL)
    assert (asked.code, asked.out) == (1, "")
    assert asked.err.startswith("Traceback (most recent call last):\n")
    assert asked.err.endswith(error)


def test_credentials_of_a_git_remote_are_never_shown(bench: Workbench) -> None:
    bench.git("remote", "set-url", "origin", f"https://user:{SECRET}@127.0.0.1:9/x?token={SECRET}")
    refused = bench.cli("-v", "release", MODEL, "--push")
    assert (refused.code, refused.out) == (1, "")
    assert "https://127.0.0.1:9/x" in refused.err
    assert SECRET not in refused.err
    warned = bench.cli("release", MODEL, "--deploy")
    assert warned.code == 0
    assert "note: the tags of origin could not be read" in warned.err
    assert SECRET not in warned.out + warned.err
    _check_no_secret_is_kept(bench)


@pytest.mark.parametrize("password", [SECRET, f"p@{SECRET}"])
def test_credentials_in_the_settings_are_never_shown(bench: Workbench, password: str) -> None:
    (bench.repo / "params.yaml").write_text(
        f"tagship:\n  git_remote: https://user:{password}@127.0.0.1:9/x\n"
    )
    for command in (f"release {MODEL} --push", f"release {MODEL} --deploy", f"show {MODEL}"):
        result = bench.cli("-v", *command.split())
        assert SECRET not in result.out + result.err
    (bench.repo / "params.yaml").unlink()
    _check_no_secret_is_kept(bench)


@pytest.mark.live
def test_credentials_of_a_dvc_remote_are_never_shown(bench: Workbench) -> None:
    bench.dvc("remote", "modify", "store", "url", f"https://user:{SECRET}@127.0.0.1:9/x")
    bench.train("model 2\n")
    refused = bench.cli("-v", "release", MODEL)
    assert (refused.code, refused.out) == (1, "")
    assert SECRET not in refused.err
    for place in (bench.repo / ".dvc/cache", bench.current.resolve()):
        atomic.remove_tree(place)
    failed = bench.cli("-v", "deploy", MODEL, "--yes", "--force")
    assert (failed.code, failed.out) == (1, "")
    assert SECRET not in failed.err
    assert bench.actions()[-1] == ("deploy", "failed", "1.0.0")
    _check_no_secret_is_kept(bench)


def _check_no_secret_is_kept(bench: Workbench) -> None:
    """Neither in the history nor in a version's metadata, nor in a tag's message."""
    kept = [path for path in bench.folder.rglob("*") if path.is_file()]
    assert any(path.name == "metadata.json" for path in kept) or not bench.current.exists()
    assert [path for path in kept if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in bench.git("for-each-ref", "--format=%(contents)")


def test_a_repository_of_another_object_format_is_refused(tmp_path: Path, bench: Workbench) -> None:
    repo = tmp_path / "sha256"
    repo.mkdir()
    run(repo, "git", "init", "--quiet", "--object-format=sha256")
    (repo / ".dvc").mkdir()
    result = bench.cli("-C", str(repo), "models")
    assert result == Result(
        1,
        "",
        "error: the repository has sha256 objects, which GitPython cannot read\n"
        "hint: use a repository with sha1 objects, Git's default\n",
    )
