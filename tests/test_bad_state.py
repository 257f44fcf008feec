"""What may be wrong with a repository: what a release and a deploy say of it, and change not."""

import json

import pytest

from tagship import Corrupt, resolve
from tests.workbench import PATH, Result, Workbench, run

POINTER = f"{PATH}.dvc"


def declare(bench: Workbench, text: str) -> None:
    """Commit another dvc.yaml."""
    (bench.repo / "dvc.yaml").write_text(text)
    bench.commit()


# --- what is not committed


@pytest.mark.parametrize("there", [True, False])
def test_an_artifact_that_nobody_tracks_is_not_released(bench: Workbench, there: bool) -> None:
    if there:
        (bench.folder / "other.bin").write_bytes(b"model 1\n")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: models/churn/other.bin\n")
    bench.git("commit", "--quiet", "--all", "--message=x")
    head = bench.git("rev-parse", "HEAD")[:10]
    bench.refuses(
        "release churn",
        f"models/churn/other.bin is tracked by neither DVC nor Git in commit {head}",
        "dvc add models/churn/other.bin, or dvc repro; then commit what DVC wrote",
    )


@pytest.mark.parametrize("staged", [True, False])
def test_a_pointer_that_is_not_committed_hinders_a_release(bench: Workbench, staged: bool) -> None:
    (bench.repo / PATH).unlink()
    (bench.repo / PATH).write_bytes(b"model 2\n")
    bench.track(PATH)
    if staged:
        bench.git("add", "--all")
    bench.refuses(
        "release churn",
        f"{POINTER} differs from the last commit",
        f'git add {POINTER} && git commit -m "..."',
    )


def test_a_model_file_that_was_edited_since_dvc_add_is_not_released(bench: Workbench) -> None:
    (bench.repo / PATH).unlink()
    (bench.repo / PATH).write_bytes(b"model 2\n")
    bench.refuses(
        "release churn",
        f"{PATH} was changed: it differs from {POINTER}",
        f"dvc add {PATH}, then commit {POINTER}; or undo the change: dvc checkout --force {PATH}",
    )


def test_other_changes_do_not_hinder_and_stay_as_they_were(bench: Workbench) -> None:
    (bench.repo / "README").write_text("changed\n")
    (bench.repo / "params.yaml").write_text("train:\n  depth: 9\n")
    (bench.repo / "new").write_text("untracked\n")
    (bench.repo / "staged").write_text("staged\n")
    bench.git("add", "staged")
    before = bench.git("status", "--porcelain"), bench.git("diff", "HEAD")
    assert bench.cli("release", "churn", "--deploy").code == 0
    assert (bench.git("status", "--porcelain"), bench.git("diff", "HEAD")) == before
    assert bench.live() == "model 1\n"


def test_a_detached_head_needs_a_branch(bench: Workbench) -> None:
    bench.git("checkout", "--quiet", "--detach")
    assert bench.release() == "1.0.0"
    bench.train("model 2\n")
    head = bench.git("rev-parse", "HEAD")[:10]
    bench.refuses(
        "release churn",
        f"HEAD is detached, and its commit {head} is on no branch",
        "create a branch first: git switch -c NAME",
    )


# --- versions that there are, and versions that there are not


@pytest.mark.released
def test_a_version_that_exists_is_not_released_again(bench: Workbench) -> None:
    bench.train("model 2\n")
    for version in ("1.0.0", "v1.0.0", "1"):
        bench.refuses(
            f"release churn --version {version}", "churn 1.0.0 exists", "tagship show churn@1.0.0"
        )


@pytest.mark.released
def test_a_version_that_only_the_remote_has_is_not_released_again(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "churn@v1.0.0")
    bench.git("tag", "--delete", "churn@v1.0.0")
    bench.refuses(
        "release churn --version 2.0.0",
        "this commit carries churn 1.0.0 already",
        "its bytes are those of 1.0.0: commit other ones first, or deploy it:"
        " git fetch --tags && tagship deploy churn@1.0.0",
    )
    bench.train("model 2\n")
    bench.refuses("release churn --version 1.0.0", "churn 1.0.0 exists", "git fetch --tags")
    assert bench.release() == "1.1.0"


@pytest.mark.released
def test_one_commit_carries_one_version(bench: Workbench) -> None:
    bench.refuses(
        "release churn",
        "this commit carries churn 1.0.0 already",
        "its bytes are those of 1.0.0: commit other ones first, or deploy it:"
        " tagship deploy churn@1.0.0",
    )


@pytest.mark.released
def test_the_same_bytes_are_released_again_only_by_force(bench: Workbench) -> None:
    bench.commit("Change nothing")
    bench.refuses(
        "release churn",
        "the bytes of churn are those of 1.0.0",
        "train it again, or release them again with --force",
    )
    assert bench.cli("release", "churn", "--force").code == 0


@pytest.mark.parametrize("command", ["deploy {} --yes", "deploy {} --dry-run", "show {}"])
def test_a_tag_on_a_commit_without_the_model_cannot_be_used(bench: Workbench, command: str) -> None:
    declare(bench, "artifacts:\n  fraud:\n    path: models/churn/model.bin\n")
    bench.git("tag", "--annotate", "--message=x", "churn@v1.0.0")
    head = bench.git("rev-parse", "HEAD")[:10]
    bench.git("revert", "--no-edit", "HEAD")
    bench.refuses(
        command.format("churn"),
        f"commit {head} declares no model churn, at churn@v1.0.0",
        "release a good one, or take it back: tagship withdraw churn@1.0.0",
    )
    assert "\n1.0.0\t" in bench.cli("list", "churn").out


def test_a_lightweight_tag_is_no_version(bench: Workbench) -> None:
    bench.git("tag", "churn@v1.0.0")
    for command in ("deploy churn --yes", "show churn@1.0.0"):
        bench.refuses(
            command,
            "the tag churn@v1.0.0 is here, but not as an annotated tag",
            "git fetch --tags --force; if it was made by mistake: git tag -d churn@v1.0.0;"
            " if it is to be a version: git tag -f -a -m \"...\" churn@v1.0.0 'churn@v1.0.0^{}'",
        )
    bench.refuses(
        "release churn",
        "the tag churn@v1.0.0 exists, and is not annotated",
        "git fetch --tags --force; or remove it: git tag -d churn@v1.0.0",
    )


def test_a_deregistered_version_is_not_offered(shipped: Workbench) -> None:
    shipped.manager.rollback_to_version()
    shipped.git("tag", "--annotate", "--message=x", "churn@v1.1.0!", "churn@v1.1.0^{}")
    for command in ("deploy churn@1.1.0 --yes", "deploy churn@1.1.0 --dry-run", "pin churn@1.1.0"):
        shipped.refuses(
            command,
            "churn 1.1.0 was withdrawn",
            "choose another version: tagship list churn",
        )
    message = "churn 1.0.0 is live and intact: nothing to do, as far as this clone knows"
    message += " (to update it: git fetch --tags)\n"
    assert shipped.cli("deploy", "churn") == Result(0, message, "")


def test_of_a_deprecated_model_nothing_is_offered(shipped: Workbench) -> None:
    shipped.git("tag", "--annotate", "--message=x", "churn@deprecated")
    for command in ("deploy churn --yes", "deploy churn@1.0.0 --yes", "show churn"):
        shipped.refuses(
            command, "churn is deprecated", "if it counts again: git tag -d churn@deprecated"
        )


@pytest.mark.parametrize("tag", ["churn@v1.0.0!", "churn@deprecated"])
def test_what_is_not_offered_any_more_can_be_unpinned(shipped: Workbench, tag: str) -> None:
    shipped.manager.pin("1.0.0")
    shipped.git("tag", "--annotate", "--message=x", tag, "churn@v1.0.0^{}")
    result = shipped.cli("unpin", "churn@1.0.0")
    assert result == Result(0, "churn 1.0.0 is not pinned any more\n", "")


def test_a_tag_that_was_moved_is_not_believed(shipped: Workbench) -> None:
    tagged = shipped.git("rev-parse", "churn@v1.1.0").strip()
    shipped.git("tag", "--force", "--annotate", "--message=x", "churn@v1.1.0", "HEAD~1")
    moved = shipped.git("rev-parse", "churn@v1.1.0").strip()
    back = (
        f"git tag -f churn@v1.1.0 {tagged}; and on origin, if the tag was moved there too:"
        " git push --force origin churn@v1.1.0"
    )
    for options in ("--yes", "--yes --force", "--dry-run"):
        shipped.refuses(
            f"deploy churn {options}",
            "the tag churn@v1.1.0 was moved since it was deployed here:"
            f" it was {tagged[:10]}, and is {moved[:10]}",
            f"release a new version, or set the tag back: {back}",
        )
    drifted = shipped.cli("status", "churn")
    assert drifted.code == 3
    assert f"    fix: {back}\n" in drifted.out
    assert shipped.cli("verify", "churn").code == 1
    shipped.git("tag", "--force", "churn@v1.1.0", tagged)
    message = "churn: in order, live 1.1.0, latest 1.1.0\n"
    assert shipped.cli("status", "churn") == Result(0, message, "")


# --- Git's remote, and Git itself


@pytest.mark.parametrize("words", ["", "no releases on Fridays"])
def test_a_tag_that_the_remote_refuses_is_taken_back(bench: Workbench, words: str) -> None:
    hook = bench.repo.parent / "origin.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nprintf "{words}" >&2\nexit 1\n')
    hook.chmod(0o755)
    result = bench.cli("release", "churn", "--push", "--deploy")
    assert result == Result(
        1,
        "",
        "error: origin did not accept the tag churn@v1.0.0, so it was deleted here again: git:"
        " ! [remote rejected] churn@v1.0.0 -> churn@v1.0.0 (pre-receive hook declined)"
        + (f"; {words}" if words else "")
        + "\nhint: ask who runs origin, which does not accept it, then release again\n",
    )
    assert bench.git("tag", "--list") == ""
    assert not bench.current.exists()
    hook.unlink()
    assert bench.cli("release", "churn", "--push").code == 0


def test_a_tag_below_the_one_of_the_next_version_is_named(bench: Workbench) -> None:
    bench.git("tag", "--annotate", "--message=x", "churn@v1.0.0/x")
    what = "Git cannot keep the tag churn@v1.0.0 beside churn@v1.0.0/x, which would be a folder"
    hint = "delete that one: git tag -d churn@v1.0.0/x; or give another version: --version"
    error = f"error: {what}\nhint: {hint}\n"
    assert bench.cli("release", "churn") == Result(1, "", error)
    assert bench.cli("release", "churn", "--version", "1.0.1").code == 0


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo error: too large >&2; echo make lint", "make lint; error: too large"),
        ("", "it does not say why"),
    ],
)
@pytest.mark.parametrize("more", ["", "--push-branch"])
def test_a_push_that_a_hook_here_refuses_is_not_called_one_of_the_remote(
    bench: Workbench, script: str, words: str, more: str
) -> None:
    if more:
        bench.train("model 2\n")
    hook = bench.repo / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\nexit 1\n")
    hook.chmod(0o755)
    result = bench.cli("release", "churn", "--push", *more.split())
    what = "the tag churn@v1.0.0 was not pushed to origin, so it was deleted here again"
    if more:
        what = (
            "the tag churn@v1.0.0 and the branch main were not pushed to origin, so the tag was"
            " deleted here again"
        )
    hint = "do what it asks for; git rev-parse --git-path hooks/pre-push names its file"
    assert result == Result(
        1,
        "",
        f"error: {what}: the pre-push hook of this clone refused: {words}\n"
        f"hint: {hint}, then release again\n",
    )
    assert bench.git("tag", "--list") == ""
    hook.unlink()
    assert bench.cli("release", "churn", "--push", *more.split()).code == 0


def test_a_git_remote_that_is_not_there_refuses_only_a_push(bench: Workbench) -> None:
    bench.git("remote", "set-url", "origin", "../nowhere.git")
    said = "git: '../nowhere.git' does not appear to be a git repository"
    bench.refuses("release churn --push", said, "git remote -v")
    result = bench.cli("release", "churn")
    note = f"note: the tags of origin could not be read: {said} (git remote -v)\n"
    assert (result.code, result.err) == (0, note)


def test_a_push_needs_a_git_remote(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")
    bench.refuses(
        "release churn --push", "Git has no remote to push to", "git remote add origin URL"
    )


def test_a_release_needs_a_name_for_the_tagger(bench: Workbench) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        bench.monkeypatch.delenv(f"GIT_{role}_NAME")
        bench.monkeypatch.delenv(f"GIT_{role}_EMAIL")
    bench.git("config", "user.useConfigOnly", "true")
    bench.refuses(
        "release churn",
        "Git does not know who you are",
        'git config user.name "Your Name" && git config user.email you@example.com',
    )


# --- files that cannot be read


BROKEN = [
    ("dvc.yaml", "a: [", "dvc.yaml is not valid YAML, line 1", ""),
    ("dvc.yaml", "- a\n", "dvc.yaml is not a YAML mapping", ""),
    ("dvc.yaml", "artifacts: 3\n", "artifacts: in dvc.yaml is not a mapping", ""),
    (
        "dvc.yaml",
        "artifacts:\n  churn: 3\n",
        "artifacts: churn in dvc.yaml has no path",
        "add path: FILE to it in dvc.yaml, and commit",
    ),
    (
        "dvc.yaml",
        "artifacts:\n  churn:\n    path: ../model.bin\n",
        "artifacts: churn in dvc.yaml: '../model.bin' is not a path in the repository",
        "",
    ),
    (
        "dvc.yaml",
        "artifacts:\n  churn:\n    path: x\n    labels: 3\n",
        "artifacts: churn in dvc.yaml: labels is not a list",
        "write labels: [LABEL] in dvc.yaml, and commit",
    ),
    ("dvc.lock", "a: [", "dvc.lock is not valid YAML, line 1", ""),
    ("dvc.lock", "stages: 3\n", "dvc.lock is not of DVC's form",
     "write it again: rm dvc.lock && dvc repro"),
    ("dvc.lock", "stages:\n  a:\n    outs:\n    - md5: 5\n", "dvc.lock is not of DVC's form",
     "write it again: rm dvc.lock && dvc repro"),
    (POINTER, "a: [", f"{POINTER} is not valid YAML, line 1", ""),
    (POINTER, "outs: 3\n", f"{POINTER} is not of DVC's form",
     f"write it again: rm {POINTER} && dvc add {PATH}"),
    (POINTER, "outs:\n- 3\n", f"{POINTER} is not of DVC's form",
     f"write it again: rm {POINTER} && dvc add {PATH}"),
    (
        POINTER,
        "outs:\n- md5: ../../x\n  path: model.bin\n",
        f"{POINTER} has '../../x' for an md5",
        f"fix {POINTER} and commit it",
    ),
    ("params.yaml", "a: [", "params.yaml is not valid YAML, line 1", ""),
    ("metrics.json", '{"a"', "metrics.json is not valid JSON",
     "fix metrics.json and commit it, or write it again: dvc repro"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "error", "hint"), BROKEN)
def test_a_release_names_the_file_that_cannot_be_read(
    bench: Workbench, name: str, text: str, error: str, hint: str
) -> None:
    (bench.repo / name).write_text(text)
    bench.commit()
    bench.refuses("release churn", error, hint or f"fix {name} and commit it")


def test_metrics_that_cannot_be_read_are_named_whatever_their_form(bench: Workbench) -> None:
    (bench.repo / "metrics.toml").write_text("accuracy = \n")
    (bench.repo / "dvc.yaml").write_text(
        f"artifacts:\n  churn:\n    path: {PATH}\nmetrics:\n  - metrics.toml\n"
    )
    bench.commit()
    bench.refuses(
        "release churn",
        "metrics.toml is not valid TOML",
        "fix metrics.toml and commit it, or write it again: dvc repro",
    )


def test_a_broken_dvc_yaml_does_not_hinder_what_was_released(shipped: Workbench) -> None:
    declare(shipped, "a: [")
    for command in ("rollback churn --yes", "deploy churn --yes", "list churn", "cleanup churn -y"):
        assert shipped.cli(*command.split()).code == 0
    shipped.refuses(
        "status churn",
        "dvc.yaml is not valid YAML, line 1",
        "fix dvc.yaml and commit it",
    )


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        ("a: [", "params.yaml is not valid YAML, line 1", "fix params.yaml and commit it"),
        ("tagship: 3\n", "tagship: in params.yaml is not a mapping", "fix params.yaml"),
        (
            "tagship:\n  kep: 3\n",
            "tagship: in params.yaml has an unknown key 'kep'",
            "did you mean keep?",
        ),
        (
            "tagship:\n  keep: 0\n",
            "tagship.keep in params.yaml may not be 0",
            "see docs/settings.md",
        ),
        (
            "tagship:\n  root: ../models\n",
            "tagship.root in params.yaml may not be '../models'",
            "see docs/settings.md",
        ),
    ],
)
def test_broken_settings_stop_every_command_but_current(
    shipped: Workbench, text: str, error: str, hint: str
) -> None:
    (shipped.repo / "params.yaml").write_text(text)
    for command in ("release churn", "deploy churn@1.0.0 --yes", "rollback churn --yes",
                    "list churn", "show churn", "history churn", "cleanup churn --yes",
                    "pin churn@1.0.0", "verify churn", "status churn"):  # fmt: skip
        shipped.refuses(command, error, hint)
    if "root:" not in text:
        assert shipped.cli("current", "churn") == Result(0, "1.1.0\n", "")


@pytest.mark.parametrize("more", ["train:\n  a: 1\n  a: 2\n", "a: [\n", "\tb: 1\n"])
def test_a_root_that_cannot_be_read_is_not_taken_for_the_default_one(
    shipped: Workbench, more: str
) -> None:
    params = shipped.repo / "params.yaml"
    params.write_text("tagship:\n  root: api/models\n")  # models/ has what was live before
    shipped.ship("model 3\n")
    assert shipped.cli("current", "churn").out == "1.2.0\n"
    params.write_text(f"tagship:\n  root: api/models\n{more}")
    result = shipped.cli("current", "churn")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: params.yaml is not valid YAML, line ")
    with pytest.raises(Corrupt, match=r"params\.yaml is not valid YAML"):
        resolve("churn", shipped.repo)


def test_a_folder_name_is_no_command_of_the_shell_that_a_hint_is_pasted_into(
    shipped: Workbench,
) -> None:
    root = "mo dels'$(touch pwned)"
    (shipped.repo / "params.yaml").write_text(f'tagship:\n  root: "{root}"\n')
    shipped.manager.deploy()
    folder = shipped.repo / root / "churn"
    current, past = folder / "current", folder / "deployment_history.json"
    current.unlink()
    current.mkdir()
    shown = json.loads(shipped.cli("status", "--json").out)[0]["findings"][0]["fix"]
    run(shipped.repo, "sh", "-c", shown.partition(" && ")[0])
    assert (folder / "current.old").is_dir()
    current.symlink_to("/etc")
    shown = json.loads(shipped.cli("status", "--json").out)[0]["findings"][0]["fix"]
    run(shipped.repo, "sh", "-c", shown.partition(" && ")[0])
    assert not current.is_symlink()
    past.write_text("[")
    hint = shipped.cli("deploy", "churn", "--yes").err.rpartition("a new one: ")[2]
    run(shipped.repo, "sh", "-c", hint)
    assert not past.exists()
    assert not (shipped.repo / "pwned").exists()


# --- names that collide


@pytest.mark.parametrize("by_git", [True, False])
def test_a_self_test_named_as_its_model_is_not_released(bench: Workbench, by_git: bool) -> None:
    if by_git:
        (bench.repo / POINTER).unlink()
        (bench.folder / ".gitignore").unlink()
    (bench.repo / "tests").mkdir()
    (bench.repo / "tests" / "model.bin").write_text("{}")
    declare(
        bench,
        f"artifacts:\n  churn:\n    path: {PATH}\n    meta:\n      self_test: tests/model.bin\n",
    )
    bench.refuses(
        "release churn",
        "two files of churn would be named model.bin",
        "rename the file of the self-test, and its path in dvc.yaml",
    )


@pytest.mark.parametrize("by_git", [True, False])
def test_a_model_named_metadata_json_is_not_released(bench: Workbench, by_git: bool) -> None:
    (bench.folder / "metadata.json").write_text("{}")
    if not by_git:
        bench.track("models/churn/metadata.json")
    declare(bench, "artifacts:\n  churn:\n    path: models/churn/metadata.json\n")
    bench.refuses(
        "release churn",
        "a file of churn would be named metadata.json, which is tagship's own",
        "rename that file, and its path in dvc.yaml",
    )


def test_a_metric_that_is_declared_outside_of_the_repository_is_none(bench: Workbench) -> None:
    for path in ("/etc/passwd.json", "../passwd.json", "a\\0.json"):
        declare(bench, f'artifacts:\n  churn:\n    path: {PATH}\nmetrics:\n  - "{path}"\n')
        result = bench.cli("release", "churn", "--force")
        assert (result.code, result.err) == (0, ""), path


def test_a_file_whose_name_begins_with_two_dots_is_read(bench: Workbench) -> None:
    (bench.repo / "..metrics.json").write_text('{"accuracy": 0.5}\n')
    declare(bench, f"artifacts:\n  churn:\n    path: {PATH}\nmetrics:\n  - ..metrics.json\n")
    bench.release()
    assert bench.manager.show().metrics == {"accuracy": 0.5}


@pytest.mark.parametrize("name", ["versions", ".tagship", ".tagship/staging"])
@pytest.mark.released
def test_a_file_where_a_folder_belongs_is_moved_away_by_the_hint(
    bench: Workbench, name: str
) -> None:
    file = bench.folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("x")
    bench.refuses("deploy churn --yes", f"{file} is not a folder", f"mv {file} {file}.old")
    file.rename(f"{file}.old")
    assert bench.cli("deploy", "churn", "--yes").code == 0
