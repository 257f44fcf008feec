"""Kinds of clones x commands: each answers as in a full clone, or names the command that fixes it.

The command that a hint names is run, and must make the clone answer as a full one does.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import conftest
from tests.workbench import Result, Workbench, run

DEPLOY = "deploy churn@1.0 --yes"  # the last of them, as it changes what the others say
COMMANDS = (
    "list churn", "show churn@1.0", "compare churn 1.0 1.1", "models", "status", "current churn",
    "why churn",
    "deploy churn --dry-run", "deploy churn@1.0 --dry-run", "release churn", DEPLOY,
)  # fmt: skip
SAME_BYTES = "the bytes of churn are those of 1.1.0"
ANSWERS: dict[str, Result] = {}  # of a full clone, by command


@pytest.fixture(scope="session")
def origin(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.0.0 and 1.1.0 are released and pushed, and then a commit that changes only the README."""
    folder = tmp_path_factory.mktemp("clones")
    with conftest.prepared(template, folder) as bench:
        bench.manager.release(push=True)
        bench.train("model 2\n", accuracy=0.875)
        bench.manager.release(push=True)
        (bench.repo / "README").write_text("docs\n")
        bench.commit()
        bench.git("push", "--quiet", "origin", "main")
        for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            run(folder / "origin.git", "git", "config", setting, "true")
    return folder


@pytest.fixture
def at(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Workbench]:  # fmt: skip
    """A place for a clone, beside the remote of DVC."""
    run(tmp_path, "git", "config", "--global", "protocol.file.allow", "always")
    (tmp_path / "dvc-remote").symlink_to(origin / "dvc-remote")
    shutil.copytree(origin / "origin.git", tmp_path / "origin.git")
    yield Workbench(tmp_path / "repo", monkeypatch, capsys)


def clone(bench: Workbench, *options: str, name: str = "repo") -> Workbench:
    """Clone the origin, by its address: a path would be copied whole."""
    folder = bench.repo.parent
    run(folder, "git", "clone", "--quiet", *options, f"file://{folder}/origin.git", name)
    return replace(bench, repo=folder / name)


def full(bench: Workbench) -> Workbench:
    return clone(bench)


def blobless(bench: Workbench) -> Workbench:
    return clone(bench, "--filter=blob:none")


def treeless(bench: Workbench) -> Workbench:
    return clone(bench, "--filter=tree:0")


def blobless_without_tags(bench: Workbench) -> Workbench:
    return clone(bench, "--filter=blob:none", "--no-tags")


def shallow(bench: Workbench) -> Workbench:
    return clone(bench, "--depth=1")


def shallow_and_blobless(bench: Workbench) -> Workbench:
    return clone(bench, "--depth=1", "--filter=blob:none")


def sparse(bench: Workbench) -> Workbench:
    return clone(bench, "--sparse")


def sparse_by_patterns(bench: Workbench) -> Workbench:
    ours = clone(bench, "--no-checkout")
    ours.git("sparse-checkout", "set", "--no-cone", "/dvc.yaml", "/models/")
    ours.git("checkout", "--quiet", "main")
    return ours


def without_checkout(bench: Workbench) -> Workbench:
    return clone(bench, "--no-checkout")


def without_dvc_folder(bench: Workbench) -> Workbench:
    ours = clone(bench)
    shutil.rmtree(ours.repo / ".dvc")
    return ours


def single_branch(bench: Workbench) -> Workbench:
    return clone(bench, "--single-branch")


def without_tags(bench: Workbench) -> Workbench:
    return clone(bench, "--no-tags")


def without_tags_and_shallow(bench: Workbench) -> Workbench:
    return clone(bench, "--no-tags", "--depth=1")


def tags_pruned(bench: Workbench) -> Workbench:
    ours = clone(bench)
    ours.git("tag", "--delete", "churn@v1.0.0", "churn@v1.1.0")
    return ours


def checked_out_at_a_tag(bench: Workbench) -> Workbench:
    """As actions/checkout does it: the commit is fetched to the name of the tag."""
    ours = clone(bench, "--no-tags", "--depth=1")
    commit = run(bench.repo.parent / "origin.git", "git", "rev-parse", "churn@v1.1.0^{}").strip()
    ours.git("fetch", "--quiet", "--no-tags", "--depth=1", "origin",
             f"+{commit}:refs/tags/churn@v1.1.0")  # fmt: skip
    ours.git("checkout", "--quiet", "main")
    return ours


def the_latest_tag_is_lightweight(bench: Workbench) -> Workbench:
    """As actions/checkout does it with all of the history."""
    ours = clone(bench)
    ours.git("tag", "--force", "churn@v1.1.0", "churn@v1.1.0^{}")
    ours.git("checkout", "--quiet", "--detach", "churn@v1.1.0")
    return ours


def bare(bench: Workbench) -> Workbench:
    return clone(bench, "--bare")


def mirror(bench: Workbench) -> Workbench:
    return clone(bench, "--mirror")


def no_branch_at_head(bench: Workbench) -> Workbench:
    run(bench.repo.parent / "origin.git", "git", "symbolic-ref", "HEAD", "refs/heads/gone")
    return clone(bench)


def linked_worktree(bench: Workbench) -> Workbench:
    ours = clone(bench, name="first")
    ours.git("worktree", "add", "--quiet", "-b", "other", str(bench.repo))
    return bench


def submodule(bench: Workbench) -> Workbench:
    outer = bench.repo.parent / "outer"
    run(bench.repo.parent, "git", "init", "--quiet", "outer")
    run(outer, "git", "submodule", "--quiet", "add", f"file://{outer.parent}/origin.git", "repo")
    (outer / "dvc-remote").symlink_to(outer.parent / "dvc-remote")
    return replace(bench, repo=outer / "repo")


def fork(bench: Workbench) -> Workbench:
    """The fork has the commits, and no tag; a second remote is what it was forked from."""
    run(bench.repo.parent, "git", "clone", "--quiet", "--bare", "origin.git", "fork.git")
    for version in ("1.0.0", "1.1.0"):
        run(bench.repo.parent / "fork.git", "git", "tag", "--delete", f"churn@v{version}")
    ours = clone(bench, "--no-tags")
    ours.git("remote", "rename", "origin", "upstream")
    ours.git("remote", "add", "origin", "../fork.git")
    return ours


def remote_of_another_name(bench: Workbench) -> Workbench:
    return clone(bench, "--origin=hub", "--no-tags")


def an_object_is_gone(bench: Workbench) -> Workbench:
    """A damaged clone: dvc.yaml of all commits is one blob."""
    ours = clone(bench)
    pack = next((ours.repo / ".git/objects/pack").glob("*.pack"))
    shutil.move(pack, bench.repo.parent / "pack")
    for path in (ours.repo / ".git/objects/pack").iterdir():
        path.unlink()
    with open(bench.repo.parent / "pack", "rb") as objects:
        subprocess.run(["git", "unpack-objects", "-q"], cwd=ours.repo, stdin=objects, check=True)
    blob = ours.git("rev-parse", "churn@v1.0.0:models/churn/model.bin.dvc").strip()
    (ours.repo / ".git/objects" / blob[:2] / blob[2:]).unlink()
    return ours


def of_another_owner(bench: Workbench) -> Workbench:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    ours = clone(bench)
    for path in (ours.repo, ours.repo / ".git"):
        os.chown(path, 4242, 4242)
    return ours


def pushed_to_deploy(bench: Workbench) -> Workbench:
    """A hook of a bare repository checks its files out into a folder, and calls tagship there."""
    bench.repo.mkdir()
    hub = bench.repo.parent / "origin.git"
    run(hub, "git", f"--git-dir={hub}", f"--work-tree={bench.repo}", "checkout", "--force", "main")
    (bench.repo / "in-hook-of").symlink_to(hub)
    return bench


KINDS: tuple[Callable[[Workbench], Workbench], ...] = (
    blobless, treeless, blobless_without_tags, shallow, shallow_and_blobless, sparse,
    sparse_by_patterns, without_checkout, without_dvc_folder, single_branch, without_tags,
    without_tags_and_shallow, tags_pruned, checked_out_at_a_tag, the_latest_tag_is_lightweight,
    bare, mirror, no_branch_at_head, linked_worktree, submodule, fork, remote_of_another_name,
    an_object_is_gone, of_another_owner, pushed_to_deploy,
)  # fmt: skip


def answer(bench: Workbench, command: str) -> Result:
    """What a command says, without what another clone or second would change in it."""
    hook = bench.repo / "in-hook-of"
    if hook.exists():
        bench.monkeypatch.setenv("GIT_DIR", str(hook.readlink()))  # tagship drops it
    told = bench.cli(*command.split())

    def plain(text: str) -> str:
        text = text.replace(str(bench.repo), "REPO")
        text = re.sub(r"note: root works in a folder of 4242, .*\n", "", text)
        return re.sub(r"\d{8}_\d{6}|\d{4}-\d\d-\d\d[T ][\d:]+Z?|\d+(\.\d+)? m?s\b", "T", text)

    return Result(told.code, plain(told.out), plain(told.err))


def is_right(command: str, told: Result) -> bool:
    if command == "release churn":
        # where HEAD is the commit of the tag, that is said instead
        known = (SAME_BYTES, "this commit carries churn 1.1.0 already")
        return told.code == 1 and any(words in told.err for words in known)
    return told == ANSWERS[command]


def fix_of(told: Result) -> str | None:
    """The command in a hint, a note or a remark, up to what may be tried else."""
    for line in [*told.err.splitlines(), *told.out.splitlines()]:
        found = re.search(
            r"^(?:hint|note|    fix|    next|commits): (?:.*?: )??(git .*?)(?:[;)]|$)",
            line,
        )
        if found:
            return found[1]
    return None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_clone_answers_as_a_full_one_or_names_the_command_that_fixes_it(
    kind: Callable[[Workbench], Workbench], at: Workbench
) -> None:
    if not ANSWERS:
        whole = clone(at, name="whole")
        ANSWERS.update({command: answer(whole, command) for command in COMMANDS})
        assert SAME_BYTES in ANSWERS["release churn"].err
        assert {told.code for told in ANSWERS.values()} == {0, 1, 3}, ANSWERS
    bench = kind(at)
    for command in COMMANDS[:-1]:  # nothing is fixed yet
        told = answer(bench, command)
        assert is_right(command, told) or fix_of(told), (command, told)
        assert "git init" not in told.err
    for command in COMMANDS:
        told = answer(bench, command)
        for _ in range(2):  # at most two things are wrong with a clone
            if not is_right(command, told):
                bench = apply(fix_of(told) or "", bench)
                told = answer(bench, command)
        assert is_right(command, told), (command, told, ANSWERS[command])


def apply(fix: str, bench: Workbench) -> Workbench:
    """Run the command as a person would."""
    other = bench.repo.parent / "clone"
    command = fix.replace("FOLDER", shlex.quote(str(other))).replace("REPO", str(bench.repo))
    bench.monkeypatch.delenv("GIT_DIR", raising=False)
    subprocess.run(command, shell=True, cwd=bench.repo, check=False, capture_output=True)
    return replace(bench, repo=other) if "FOLDER" in fix else bench


def test_tags_that_were_rewritten_are_released_again(shipped: Workbench) -> None:
    """As by git filter-repo: each commit and tag is another object, and the old ones are gone."""
    shipped.git("tag", "--delete", "churn@v1.0.0")
    shipped.git("commit", "--quiet", "--amend", "--message", "Rewritten")
    shipped.git("tag", "--force", "--annotate", "--message=Rewritten", "churn@v1.1.0")
    shipped.git("reflog", "expire", "--expire=now", "--all")
    shipped.git("gc", "--quiet", "--prune=now")
    told = shipped.cli("deploy", "churn", "--yes", "--force")
    assert told.code == 1
    assert told.err.splitlines()[1] == (
        "hint: the old tag is gone; release it as a new version: tagship release churn --force"
    )
    again = "tagship release churn --force --deploy"
    assert f"    fix: {again}\n" in shipped.cli("status").out
    shipped.manager.hold()  # the fix works in a hold too
    assert shipped.cli("release", "churn", "--force", "--deploy").code == 0
    assert (shipped.manager.status().why.value, shipped.manager.status().live) == (
        ("held", 3),
        "1.2.0",
    )
    shipped.manager.resume()
    assert shipped.cli("status").code == 0


def test_a_model_of_the_old_gto_is_told_as_such(bench: Workbench) -> None:
    (bench.repo / "artifacts.yaml").write_text("legacy:\n  path: models/churn/model.bin\n")
    bench.commit()
    bench.git("tag", "--annotate", "--message=Registering", "legacy@v0.1.0")
    for command in ("deploy legacy --yes", "show legacy", "release legacy"):
        bench.refuses(
            command,
            "legacy is declared in artifacts.yaml, which only GTO before version 1 reads",
            "move it to artifacts: in dvc.yaml, commit, and release it again",
        )
    bench.refuses("release chrun", "there is no model chrun", "did you mean churn?")


def test_a_prompt_in_a_sparse_work_tree_does_not_advise_dvc_init_alone(at: Workbench) -> None:
    sparse(at).refuses(
        "current churn",
        ".dvc is in the last commit, and not in this work tree",
        "git sparse-checkout add .dvc",
    )


def test_who_reads_the_live_version_alone_gets_the_same_hint(at: Workbench) -> None:
    bench = no_branch_at_head(at)
    for command in ("current churn", "why churn", "status"):
        bench.refuses(
            command,
            "nothing is checked out: the HEAD of the remote names no branch",
            "git switch main",
        )


def test_the_latest_version_is_not_an_older_one_where_its_tag_is_lightweight(at: Workbench) -> None:
    bench = the_latest_tag_is_lightweight(at)
    for command in ("deploy churn --yes", "show churn", "deploy churn@1 --yes"):
        bench.refuses(
            command,
            "the tag churn@v1.1.0 is here, but not as an annotated tag",
            "git fetch --tags --force; if it was made by mistake: git tag -d churn@v1.1.0;"
            " if it is to be a version: git tag -f -a -m \"...\" churn@v1.1.0 'churn@v1.1.0^{}'",
        )
    assert bench.cli("deploy", "churn@1.0", "--yes").code == 0


def test_a_stray_lightweight_tag_is_passed_over_and_listed(at: Workbench) -> None:
    bench = full(at)
    bench.git("tag", "churn@v9.0.0")
    assert bench.cli("deploy", "churn", "--yes").code == 0
    assert bench.cli("current", "churn").out == "1.1.0\n"
    note = "the tag churn@v9.0.0 is here, but not as an annotated tag"
    assert note in bench.cli("list", "churn").err
    assert note in bench.cli("status", "churn").out
    bench.git("tag", "-d", "churn@v9.0.0")  # the hint
    assert "v9" not in bench.cli("status", "churn").out


def test_where_the_remote_may_have_later_versions_nothing_to_do_says_so(at: Workbench) -> None:
    bench = full(at)
    assert bench.cli("deploy", "churn", "--yes").code == 0
    bench.git("remote", "set-url", "origin", "/gone")  # no remote is asked
    line = "churn 1.1.0 is live and intact: nothing to do"
    fetch = ", as far as this clone knows (to update it: git fetch --tags)"
    for command in ("deploy churn --yes", "deploy churn --dry-run"):
        assert bench.cli(*command.split()) == Result(0, f"{line}{fetch}\n", "")
    assert bench.cli("deploy", "churn@1", "--yes").out == f"{line}{fetch}\n"
    assert bench.cli("deploy", "churn@1.1.0", "--yes") == Result(0, f"{line}\n", "")
    assert "clone" not in bench.cli("deploy", "churn", "--yes", "--json").out
    bench.git("remote", "remove", "origin")
    assert bench.cli("deploy", "churn", "--yes") == Result(0, f"{line}\n", "")


@pytest.fixture
def by_gto(at: Workbench) -> Workbench:
    """The origin has tags of GTO's alone, and the dvc.yaml of the first version is no YAML."""
    ours = full(at)
    (ours.repo / "dvc.yaml").write_text("artifacts: [\n")
    ours.commit()
    ours.git("tag", "--annotate", "--message=Registering", "churn@v0.1.0")
    for version in ("1.0.0", "1.1.0"):
        name = f"churn@v{version}"
        ours.git("tag", "--force", "--annotate", "--message=Registering", name, f"{name}^{{}}")
    ours.git("push", "--quiet", "--force", "--tags")
    return ours


@pytest.mark.parametrize(("partial", "others"), [("blob:none", 1), ("tree:0", 2)])
def test_metrics_that_a_partial_clone_cannot_fetch_are_told_once(
    by_gto: Workbench, partial: str, others: int
) -> None:
    bench = clone(by_gto, f"--filter={partial}", name="partial")
    whole = by_gto.cli("list", "churn")
    assert whole.err == ""
    bench.git("remote", "set-url", "origin", "file:///gone")
    shown = bench.cli("list", "churn")
    assert shown.code == 0
    assert shown.err.startswith(
        f"note: churn: size and metrics of 0.1.0 and {others} more cannot be read: "
        "this partial clone lacks the object "
    )
    assert shown.err.endswith(": git fetch --refetch --no-filter --tags\n")
    assert shown.err.count("note:") == 1
    assert whole.out.count("accuracy") == 2
    assert shown.out.count("accuracy") == 2 - others
    assert bench.cli("list", "churn", "--json").err == shown.err
    bench.git("remote", "set-url", "origin", f"file://{bench.repo.parent}/origin.git")
    bench.git("fetch", "--quiet", "--refetch", "--no-filter", "--tags")
    assert bench.cli("list", "churn") == whole


@pytest.mark.parametrize("what", ["", "^{commit}"])
def test_the_hint_brings_what_a_tag_needs_back(bench: Workbench, what: str) -> None:
    bench.release("one")
    bench.git("push", "--quiet", "origin", "main", "--tags")
    lost = bench.git("rev-parse", f"churn@v1.0.0{what}").strip()
    bench.commit("More")
    (bench.repo / ".git/objects" / lost[:2] / lost[2:]).unlink()
    shown = bench.cli("show", "churn@1.0.0")
    assert shown.code == 1
    assert "hint: git fetch --refetch --tags --force; if" in shown.err
    bench.git("fetch", "--quiet", "--refetch", "--tags", "--force")
    assert bench.cli("show", "churn@1.0.0").code == 0


def test_a_clone_that_borrows_from_a_repository_that_is_gone_is_told(bench: Workbench) -> None:
    bench.release("one")
    top = bench.repo.parent
    run(top, "git", "clone", "--quiet", "--shared", "repo", "borrower")
    bench.repo.rename(top / "moved")
    borrower = Workbench(top / "borrower", bench.monkeypatch, bench.capture)
    result = borrower.cli("list", "churn")
    assert result.code == 1
    assert result.err.endswith(
        "hint: clone it again: the repository that .git/objects/info/alternates names is gone\n"
    )
