"""Git and deployed files: a deploy has Git ignore them, and status finds those that Git has."""

import subprocess
import sys
from pathlib import Path

import pytest

from tagship import ModelVersionManager
from tagship.git import ignore
from tagship.workspace import ignored
from tests.workbench import MODEL, Result, Workbench, run

RULES = "".join(f"{line}\n" for line in ignored.patterns("models"))


@pytest.fixture
def never(bench: Workbench) -> Workbench:
    """A project that never ran ``tagship init``, with a released version."""
    (bench.repo / ".gitignore").unlink()
    (bench.repo / ".dvcignore").unlink()
    bench.commit()
    bench.release()
    return bench


def _exclude(repo: Path) -> Path:
    return repo / ".git" / "info" / "exclude"


def _note(file: Path) -> str:
    return (
        f"note: Git now ignores deployed files in this clone, by {file};"
        " for all clones: tagship init\n"
    )


def _untracked(bench: Workbench) -> str:
    return bench.git("status", "--porcelain", "--untracked-files=all")


def test_a_deploy_has_git_ignore_what_it_makes_and_says_so_once(never: Workbench) -> None:
    _exclude(never.repo).parent.mkdir(exist_ok=True)
    _exclude(never.repo).write_text("*.swp")  # without an end of line
    first = never.cli("deploy", MODEL, "--yes")
    assert (first.code, first.err) == (0, _note(_exclude(never.repo)))
    assert _exclude(never.repo).read_text() == f"*.swp\n{ignored.HEADING}\n{RULES}"
    assert _untracked(never) == ""
    never.git("clean", "-f", "-d", "--quiet")
    assert never.live() == "model 1\n"
    never.release("model 2\n")  # commits with git add --all
    assert never.cli("deploy", MODEL, "--yes").err == ""
    assert (
        never.git("ls-files", "models") == "models/churn/.gitignore\nmodels/churn/model.bin.dvc\n"
    )
    assert never.cli("status", MODEL).code == 0


def test_init_afterwards_adds_the_rules_for_all_clones(never: Workbench) -> None:
    never.manager.deploy()
    assert never.cli("init").out.startswith("wrote .gitignore .dvcignore; now: ")
    assert (never.repo / ".gitignore").read_text() == f"{ignored.HEADING}\n{RULES}"


def test_the_worktrees_of_a_clone_share_the_rules(never: Workbench) -> None:
    tree = never.repo.parent / "tree"
    never.git("worktree", "add", "--quiet", str(tree))
    notes: list[str] = []
    ModelVersionManager(MODEL, tree, tell=notes.append).deploy()
    assert [f"note: {note}\n" for note in notes] == [_note(_exclude(never.repo))]
    assert run(tree, "git", "status", "--porcelain", "--untracked-files=all") == ""
    assert never.cli("deploy", MODEL, "--yes").err == ""


def test_a_git_directory_elsewhere_has_the_rules(never: Workbench) -> None:
    never.git("init", "--quiet", "--separate-git-dir", "../elsewhere.git")
    never.manager.deploy()
    assert _untracked(never) == ""
    exclude = never.repo.parent / "elsewhere.git" / "info" / "exclude"
    assert exclude.read_text().endswith(RULES)


def test_the_rules_name_the_folder_of_the_settings(never: Workbench) -> None:
    (never.repo / "params.yaml").write_text("tagship: {root: 'api/[models]/'}\n")
    never.commit()
    never.manager.deploy()
    assert _untracked(never) == ""
    rules = _exclude(never.repo).read_text().splitlines()
    assert rules[-4] == r"/api/\[models\]/*/versions"


@pytest.mark.parametrize(
    "rules",
    [
        "/models\n",
        "versions/\ncurrent\ndeployment_history.json\n.tagship/\n",
        "/models/*/*\n!/models/*/*.dvc\n!/models/*/.gitignore\n",
        RULES.replace("\n", "\r\n"),
    ],
    ids=["the folder", "names", "all but DVC's", "those of init, from Windows"],
)
def test_where_git_ignores_them_already_nothing_is_added(rules: str, never: Workbench) -> None:
    (never.repo / ".gitignore").write_bytes(rules.encode())
    before = _exclude(never.repo).exists() and _exclude(never.repo).read_text()
    assert never.cli("deploy", MODEL, "--yes").err == ""
    assert (_exclude(never.repo).exists() and _exclude(never.repo).read_text()) == before
    assert never.cli("status", MODEL).code == 0


def test_a_rule_for_some_of_them_is_not_enough(never: Workbench) -> None:
    (never.repo / ".gitignore").write_text("versions/\n.tagship/\n")
    never.commit()
    assert never.cli("deploy", MODEL, "--yes").err == _note(_exclude(never.repo))
    assert _untracked(never) == ""


def test_an_exclude_file_that_is_a_link_stays_one_and_keeps_its_mode(never: Workbench) -> None:
    shared = never.repo.parent / "shared-rules"
    shared.write_text("*.swp\n")
    shared.chmod(0o664)
    _exclude(never.repo).parent.mkdir(exist_ok=True)
    _exclude(never.repo).unlink(missing_ok=True)
    _exclude(never.repo).symlink_to(shared)
    never.manager.deploy()
    assert _exclude(never.repo).is_symlink()
    assert (shared.stat().st_mode & 0o777, _untracked(never)) == (0o664, "")


def test_rules_that_cannot_be_written_are_a_note(never: Workbench) -> None:
    info = _exclude(never.repo).parent
    if info.exists():
        info.rename(info.with_name("aside"))
    info.write_text("a file\n")
    result = never.cli("deploy", MODEL, "--yes")
    assert (result.code, never.live()) == (0, "model 1\n")
    why = "Not a directory"
    assert result.err == (
        f"note: Git does not ignore deployed files (.git/info/exclude: {why}): tagship init\n"
    )
    told = never.cli("status", MODEL)
    assert told.code == 3
    assert told.out.endswith(
        f"  git add --all would add deployed files in {never.folder}:"
        " .tagship, current, deployment_history.json, versions\n    fix: tagship init\n"
    )
    assert never.cli("init").code == 0
    assert never.cli("status", MODEL).code == 0


def test_a_models_folder_behind_a_link_is_no_matter_of_git(never: Workbench) -> None:
    (never.repo / "params.yaml").write_text("tagship: {root: served}\n")
    (never.repo.parent / "disk").mkdir()
    (never.repo / "served").symlink_to("../disk")
    assert never.cli("deploy", MODEL, "--yes").err == ""
    assert never.cli("status", MODEL).code == 0


def _git_commands(bench: Workbench, *arguments: str) -> list[str]:
    """The commands of Git that a command starts."""
    trace = bench.repo.parent / "trace"
    trace.unlink(missing_ok=True)
    bench.monkeypatch.setenv("GIT_TRACE", str(trace))
    assert bench.cli(*arguments).code == 0
    bench.monkeypatch.delenv("GIT_TRACE")
    lines = trace.read_text().splitlines() if trace.exists() else []
    return [line.partition("built-in: git ")[2].split()[0] for line in lines if "built-in" in line]


def test_git_is_asked_once_and_not_where_the_rules_are_there(never: Workbench) -> None:
    assert _git_commands(never, "deploy", MODEL, "--yes").count("check-ignore") == 1
    never.release("model 2\n")
    assert "check-ignore" not in _git_commands(never, "deploy", MODEL, "--yes")
    assert "check-ignore" not in _git_commands(never, "rollback", MODEL, "--yes")
    (never.repo / ".gitignore").write_text(RULES)
    _exclude(never.repo).write_text("")
    again = _git_commands(never, "deploy", MODEL, "--force", "--yes")
    assert "check-ignore" not in again


# ---- what Git has already


def _do(bench: Workbench, fix: str) -> str:
    """A command as a user pastes it."""
    script = f'tagship() {{ "{sys.executable}" -m tagship "$@"; }}\n{fix}\n'
    done = subprocess.run(
        ["bash", "-euc", script], cwd=bench.repo, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def taken(never: Workbench) -> Workbench:
    """Live files that an earlier tagship left to ``git add --all``: versions, link, history."""
    never.manager.deploy()
    _exclude(never.repo).write_text("")
    never.commit("Everything")
    return never


def _fix(bench: Workbench) -> str:
    row, *others = bench.manager.status().findings
    assert others == []
    tracked = ".tagship, current, deployment_history.json, versions"
    assert row.what == (
        f"Git tracks deployed files in {bench.folder}: {tracked}; other hosts must not pull their"
        " removal: see status in docs/cli.md"
    )
    return row.fix


@pytest.mark.parametrize("state", ["committed", "staged, and changed since"])
def test_status_finds_what_git_tracks_and_its_fix_loses_nothing_live(
    state: str, taken: Workbench
) -> None:
    if state != "committed":
        taken.git("reset", "--quiet", "--soft", "HEAD~")
        taken.manager.pin("1.0.0")  # history and pins are other than staged
    told = taken.cli("status", MODEL)
    assert (told.code, "Git tracks deployed files" in told.out) == (3, True)
    before = {path: path.lstat().st_ino for path in taken.folder.rglob("*")}
    assert "now: git add .gitignore .dvcignore && git commit" in _do(taken, _fix(taken))
    assert {path: path.lstat().st_ino for path in taken.folder.rglob("*")} == before
    assert taken.cli("status", MODEL) == Result(
        0, "churn: in order, live 1.0.0, latest 1.0.0\n", ""
    )
    taken.commit("Keep deployed files out of Git")
    tracked = taken.git("ls-files", "models")
    assert tracked == "models/churn/.gitignore\nmodels/churn/model.bin.dvc\n"
    assert (taken.live(), _untracked(taken)) == ("model 1\n", "")


def test_another_host_gets_the_removal_and_keeps_what_is_live(taken: Workbench) -> None:
    taken.git("push", "--quiet", "--tags", "origin", "main")
    host = taken.repo.parent / "host"
    run(taken.repo.parent, "git", "clone", "--quiet", "origin.git", "host")
    there = Workbench(host, taken.monkeypatch, taken.capture)
    assert there.live() == "model 1\n"
    _do(taken, _fix(taken))
    taken.commit("Keep deployed files out of Git")
    taken.git("push", "--quiet", "origin", "main")
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    (command,) = (line for line in page.splitlines() if line.startswith("git fetch && git reset"))
    _do(there, command)
    assert there.git("rev-parse", "HEAD") == taken.git("rev-parse", "HEAD")
    assert (there.live(), _untracked(there)) == ("model 1\n", "")


def test_a_rule_that_takes_them_back_is_shown(never: Workbench) -> None:
    (never.repo / ".gitignore").write_text(f"{RULES}!/models/*/current\n")
    assert never.cli("deploy", MODEL, "--yes").err == ""
    (finding,) = never.manager.status().findings
    assert finding.what == f"git add --all would add deployed files in {never.folder}: current"
    assert _do(never, finding.fix) == f".gitignore:5:!/models/*/current\t{never.current}\n"


def test_one_process_looks_for_all_models(shipped: Workbench) -> None:
    for name in ("other", "a%2Fb"):
        (shipped.repo / "models" / name / "versions" / "v1").mkdir(parents=True)
        (shipped.repo / "models" / name / "versions" / "v1" / "x").write_text("x\n")
    shipped.git("add", "--force", "models/other/versions", "models/a%2Fb/versions")
    in_git = ignored.in_git(shipped.manager.source.repository, shipped.manager.host)
    expected = ignored.InGit(tracked=("versions",))
    assert in_git == {"other": expected, "a/b": expected}
    assert _git_commands(shipped, "status").count("ls-files") == 1


def test_lines_are_added_once_in_any_text(tmp_path: Path) -> None:
    file = tmp_path / "rules"
    file.write_bytes(b"caf\xe9")
    ignore.add_lines(file, "# ours", ["/a", "/b"])
    assert file.read_bytes() == b"caf\xe9\n# ours\n/a\n/b\n"
    assert ignore.with_lines(file, "# ours", ["/a", "/b"]) is None
    ignore.add_lines(file, "# ours", ["/a", "/c"])
    assert file.read_bytes() == b"caf\xe9\n# ours\n/a\n/b\n/c\n"
