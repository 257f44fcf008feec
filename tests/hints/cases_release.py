"""Trials of the hints of ``release``."""

import contextlib
from pathlib import Path

from tagship import Workspace
from tests.hints.trials import edit, remove_tree, train_again, trial, write
from tests.workbench import PATH, Workbench, dvc

PIPELINE = """\
stages:
  prepare:
    cmd: cat raw.txt > clean.txt
    deps: [raw.txt]
    outs: [clean.txt]
  train:
    cmd: cat clean.txt train.txt > out.bin
    deps: [clean.txt, train.txt]
    params: [train.depth]
    outs: [out.bin]
artifacts:
  churn: {path: out.bin, type: model}
"""


def piped(bench: Workbench) -> None:
    """A model of two stages: everything is reproduced and committed."""
    (bench.repo / "models/churn/model.bin.dvc").unlink()
    write(bench, "raw.txt", "a\n")
    write(bench, "train.txt", "t\n")
    write(bench, "dvc.yaml", PIPELINE)
    bench.dvc("repro", "--quiet")
    bench.commit()


@trial("workspace.source.Source._uncommitted", command="release other")
def a_model_that_is_not_committed(bench: Workbench) -> None:
    text = (bench.repo / "dvc.yaml").read_text()
    more = f"artifacts:\n  other:\n    path: {PATH}\n"
    write(bench, "dvc.yaml", text.replace("artifacts:\n", more))


@trial("release.remotes.new_folders", command="release churn --push", does="mkdir -p ...")
def a_remote_whose_disk_is_not_mounted(bench: Workbench) -> None:
    bench.release()
    bench.train("model 2\n")
    remove_tree(bench.repo.parent / "dvc-remote")


@trial(
    "release.publish._check_branch",
    command="release churn",
    fill={"NAME": "topic"},
    does="git switch -c NAME",
)
def a_detached_head(bench: Workbench) -> None:
    bench.git("switch", "--quiet", "--detach")
    bench.train("model 2\n")


@trial(
    "release.remotes.branch_to_push",
    command="release churn --push --push-branch",
    does="git switch -c NAME",
    fill={"NAME": "topic"},
)
def a_detached_head_to_push(bench: Workbench) -> None:
    bench.git("switch", "--quiet", "-c", "local")
    bench.train("model 2\n")
    bench.git("switch", "--quiet", "--detach")


@trial(
    "release.publish.plan",
    command=lambda b: b.manager.release(bump="huge"),
    does="minor",
    by=lambda _: None,
    again="release churn --bump minor",
)
def a_bump_that_is_none(_: Workbench) -> None: ...


@trial("release.publish._snapshot_of_head/2", command="release churn")
def an_import_without_its_bytes(bench: Workbench) -> None:
    write(bench, "../theirs.bin", "theirs\n")
    there = str(bench.repo.parent / "theirs.bin")
    bench.dvc("import-url", "--quiet", "--no-download", there, "models/churn/imported.bin")
    edit("dvc.yaml", PATH, "models/churn/imported.bin")(bench)
    bench.commit()


@trial("release.publish._snapshot_of_head", command="release churn")
def a_dvc_file_not_committed(bench: Workbench) -> None:
    bench.git("rm", "--quiet", "--cached", f"{PATH}.dvc")
    bench.git("commit", "--quiet", "--message", "Without the pointer")


@trial("release.publish._commit", command="release churn")
def a_dvc_file_changed(bench: Workbench) -> None:
    (bench.repo / PATH).unlink()
    write(bench, PATH, "model 2\n")
    bench.track(PATH)


@trial("release.publish._commit", command="release churn")
def a_pipeline_run_but_not_committed(bench: Workbench) -> None:
    """A parameter and a script were changed, and the pipeline has run: all of it is committed."""
    piped(bench)
    write(bench, "train.txt", "u\n")
    edit("params.yaml", "depth: 4", "depth: 6")(bench)
    edit("dvc.yaml", "cat clean.txt", "cat -u clean.txt")(bench)
    bench.dvc("repro", "--quiet")


@trial(
    "release.publish._not_committed",
    command="release churn",
    does="undo the change",
    by=lambda b: b.git("checkout", "--quiet", "--", "."),
)
@trial(
    "release.publish._not_committed",
    command="release churn",
    does="dvc repro train",
    again=lambda b: b.commit() and b.manager.release(),
)
def an_input_changed_and_not_run(bench: Workbench) -> None:
    piped(bench)
    write(bench, "train.txt", "u\n")


@trial(
    "release.publish._check_inputs",
    command="release churn",
    does="dvc repro train",
    again=lambda b: b.commit() and b.manager.release(),
)
@trial(
    "release.publish._check_inputs",
    command="release churn",
    does="with --force",
    by=lambda _: None,
    again="release churn --force",
)
def an_input_committed_and_not_run(bench: Workbench) -> None:
    piped(bench)
    write(bench, "raw.txt", "b\n")
    bench.commit()


@trial(
    "release.publish._check_inputs",
    command="release churn",
    does="dvc unfreeze train && dvc repro train",
    again=lambda b: b.commit() and b.manager.release(),
)
def an_input_of_a_frozen_stage(bench: Workbench) -> None:
    piped(bench)
    bench.dvc("freeze", "train", "--quiet")
    write(bench, "train.txt", "u\n")
    bench.commit()


@trial(
    "release.publish._check_inputs",
    command="release churn",
    does="remove frozen: true from train in dvc.yaml, then dvc repro train@a",
    by=lambda b: (edit("dvc.yaml", "frozen: true", "frozen: false")(b), b.dvc("repro", "--quiet")),
    again=lambda b: b.commit() and b.manager.release(),
)
def an_input_of_a_frozen_foreach_stage(bench: Workbench) -> None:
    (bench.repo / "models/churn/model.bin.dvc").unlink()
    write(bench, "train.txt", "t\n")
    write(
        bench,
        "dvc.yaml",
        "stages:\n  train:\n    foreach: [a, b]\n    do:\n      frozen: true\n"
        "      cmd: cat train.txt > ${item}.bin\n      deps: [train.txt]\n"
        "      outs: ['${item}.bin']\nartifacts:\n  churn: {path: a.bin, type: model}\n",
    )
    edit("dvc.yaml", "frozen: true", "frozen: false")(bench)
    bench.dvc("repro", "--quiet")
    edit("dvc.yaml", "frozen: false", "frozen: true")(bench)
    write(bench, "train.txt", "u\n")
    bench.commit()


@trial(
    "release.publish._check_unedited",
    command="release churn",
    does="dvc checkout --force models/churn/model.bin",
)
@trial(
    "release.publish._check_unedited",
    command="release churn",
    does="dvc add models/churn/model.bin",
    again=lambda b: b.commit() and b.manager.release(),
)
def a_model_edited(bench: Workbench) -> None:
    (bench.repo / PATH).chmod(0o644)
    write(bench, PATH, "edited\n")


@trial(
    "release.publish._check_unedited",
    command="release churn",
    does="dvc commit train",
    by=lambda b: b.dvc("commit", "--force", "train", "--quiet"),  # DVC asks; the answer is yes
    again=lambda b: b.commit() and b.manager.release(),
)
def a_stage_output_edited(bench: Workbench) -> None:
    piped(bench)
    (bench.repo / "out.bin").unlink()
    write(bench, "out.bin", "edited\n")


def subdir(bench: Workbench) -> None:
    """A project of DVC in a folder of its own."""
    (bench.repo / "sub").mkdir()
    bench.git("mv", "dvc.yaml", "params.yaml", "metrics.json", ".dvc", ".dvcignore", "sub/")
    bench.commit()


@trial(
    "release.numbers.check_number",
    command="release churn --version 1.1.0",
    base="shipped",
    again="show churn@1.1.0",
)
def a_number_that_exists(bench: Workbench) -> None:
    bench.train("model 3\n")


@trial(
    "release.numbers.check_number/2",
    command="release churn --version 1.1.0",
    base="shipped",
    again="show churn@1.1.0",
)
def a_number_that_the_remote_has(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "--tags")
    bench.git("tag", "--delete", "churn@v1.1.0")
    bench.train("model 3\n")


@trial(
    "release.numbers.check_number/3",
    command="release churn --version 1.1.0",
    base="shipped",
    does="release another version",
    by=lambda _: None,
    again="release churn --version 1.2.0",
)
def a_number_that_was_deployed(bench: Workbench) -> None:
    bench.git("tag", "--delete", "churn@v1.1.0")
    bench.train("model 3\n")


@trial("release.numbers.no_remote", command="release churn --push", fill={"URL": "../origin.git"})
def no_git_remote(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")


@trial(
    "release.numbers.check_not_a_fork",
    command="release churn",
    base="shipped",
    does="git fetch --tags upstream",
    then="carries churn 1.1.0 already",
)
@trial(
    "release.numbers.check_not_a_fork",
    command="release churn",
    base="shipped",
    does="tagship release churn --version 1.0.0",
    again="show churn@1.0.0",
)
def a_fork_without_tags(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "--tags")
    bench.git("remote", "rename", "origin", "upstream")
    bench.git("init", "--quiet", "--bare", "../fork.git")
    bench.git("remote", "add", "origin", "../fork.git")
    bench.git("push", "--quiet", "--set-upstream", "origin", "main")
    bench.git("tag", "--delete", "churn@v1.0.0", "churn@v1.1.0")
    remove_tree(bench.folder / "versions")
    bench.current.unlink()
    (bench.folder / "deployment_history.json").unlink()


@trial(
    "release.numbers.check_new",
    command="release churn",
    base="shipped",
    does="train it again",
    by=train_again,
)
@trial(
    "release.numbers.check_new",
    command="release churn",
    base="shipped",
    does="with --force",
    by=lambda _: None,
    again="release churn --force",
)
def the_same_bytes(bench: Workbench) -> None:
    write(bench, "README", "other\n")
    bench.commit()


@trial(
    "release.numbers._check_not_withdrawn",
    command="release churn",
    base="shipped",
    does="train it again",
    by=train_again,
)
@trial(
    "release.numbers._check_not_withdrawn",
    command="release churn",
    base="shipped",
    does="with --force",
    by=lambda _: None,
    again="release churn --force",
)
def the_bytes_of_a_withdrawn_version(bench: Workbench) -> None:
    bench.manager.withdraw("1.1.0")
    the_same_bytes(bench)


@trial(
    "release.numbers._push_it",
    command="release churn --push",
    base="shipped",
    does="git push origin churn@v1.1.0",
    then="the bytes of churn are those of 1.1.0",
)
def the_same_bytes_and_a_tag_that_was_not_pushed(bench: Workbench) -> None:
    write(bench, "README", "other\n")
    bench.commit()


@trial(
    "release.numbers._push_branch",
    command="release churn --push-branch",
    does="git push origin HEAD:main",
    then="carries churn 1.0.0 already",
)
def a_commit_whose_branch_was_not_pushed(bench: Workbench) -> None:
    bench.train("model 2\n")
    bench.manager.release(push=True)


@trial(
    "release.numbers._check_commit",
    command="release churn",
    does="tagship deploy churn@1.0.0",
    again="current churn",
)
@trial(
    "release.numbers._check_commit",
    command="release churn",
    does="commit other ones first",
    by=train_again,
)
def a_commit_released_already(bench: Workbench) -> None:
    bench.release()


@trial(
    "release.numbers._check_commit/2",
    command="release churn",
    base="shipped",
    does="git fetch --tags && tagship deploy churn@1.1.0",
    again="current churn",
)
def a_commit_released_on_the_remote(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "--tags")
    bench.git("tag", "--delete", "churn@v1.1.0")


@trial(
    "release.numbers._check_bytes_elsewhere/3",
    command="release churn",
    base="shipped",
    does="git fetch --tags && tagship deploy churn@1.1.0",
    again="current churn",
)
@trial(
    "release.numbers._check_bytes_elsewhere/3",
    command="release churn",
    base="shipped",
    does="train it again",
    by=train_again,
)
def the_same_bytes_on_the_remote(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "--tags")
    bench.git("tag", "--delete", "churn@v1.1.0")
    write(bench, "README", "other\n")
    bench.commit()


@trial(
    "release.numbers._check_bytes_elsewhere/2",
    command="release churn",
    base="shipped",
    does="git fetch --tags",
    again="list churn",
)
@trial(
    "release.numbers._check_bytes_elsewhere/2",
    command="release churn",
    base="shipped",
    does="release them anyway with --force",
    by=lambda _: None,
    again="release churn --force",
)
def perhaps_the_same_bytes_on_the_remote(bench: Workbench) -> None:
    """Somebody else tagged a commit that is not here, without a digest."""
    bench.git("switch", "--quiet", "-c", "other")
    bench.train("model 3\n")
    bench.git("tag", "--annotate", "churn@v1.2.0", "--message", "by hand")
    bench.git("push", "--quiet", "origin", "other", "--tags")
    bench.git("switch", "--quiet", "main")
    bench.git("branch", "--quiet", "-D", "other")
    bench.git("tag", "--delete", "churn@v1.2.0")
    bench.git("update-ref", "-d", "refs/remotes/origin/other")
    bench.git("reflog", "expire", "--expire=now", "--all")
    bench.git("prune", "--expire=now")
    bench.dvc("checkout", "--force", "--quiet")
    write(bench, "README", "other\n")
    bench.commit()


def hook(path: Path, text: str) -> Path:
    """A hook of Git's."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


RACE = "git -C ../origin.git tag -a churn@v1.0.0 -m theirs main 2>/dev/null || true"


@trial(
    "release.remotes.push/2",
    "release.remotes._fix/5",
    command="release churn --push",
    does="git fetch --tags origin",
    again="show churn@1.0.0",
)
def a_tag_that_came_to_the_remote_meanwhile(bench: Workbench) -> None:
    hook(bench.repo / ".git/hooks/pre-push", RACE)


@trial(
    "release.remotes._fix",
    command="release churn --push",
    does="do what it asks for",
    by=lambda bench: write(bench, "linted", "l\n"),
)
def a_hook_of_the_clone(bench: Workbench) -> None:
    hook(bench.repo / ".git/hooks/pre-push", "test -e linted")


def no_hook(bench: Workbench) -> None:
    (bench.repo.parent / "origin.git/hooks/update").unlink()


@trial(
    "release.remotes._fix/4", command="release churn --push", does="ask who runs origin", by=no_hook
)
def a_hook_of_the_remote(bench: Workbench) -> None:
    hook(bench.repo.parent / "origin.git/hooks/update", "exit 1")


@trial(
    "release.remotes._fix/3",
    command="release churn --push --push-branch",
    does="git switch -c NAME",
    fill={"NAME": "topic"},
)
def a_branch_that_is_protected(bench: Workbench) -> None:
    bench.train("model 2\n")
    text = 'test "$1" != refs/heads/main'
    hook(bench.repo.parent / "origin.git/hooks/update", text)


@trial(
    "release.remotes._fix/2",
    command="release churn --push --push-branch",
    does="git pull --no-rebase origin main",
)
def a_branch_that_is_behind(bench: Workbench) -> None:
    write(bench, "theirs", "t\n")
    bench.commit()
    bench.git("push", "--quiet", "origin", "main")
    bench.git("reset", "--quiet", "--hard", "HEAD~1")
    bench.train("model 2\n")


@trial("release.remotes.check_shared", command="release churn --push")
def a_remote_not_committed(bench: Workbench) -> None:
    bench.dvc("remote", "add", "--quiet", "--default", "other", "../other-remote")


@trial(
    "release.init._check_path",
    command="init --model other --path m.bin",
    folder="sub",
    again="models",
)
def a_path_from_the_folder(bench: Workbench) -> None:
    write(bench, "sub/m.bin", "m\n")


@trial("release.init._check_path", again="models")
def a_path_from_the_root_of_the_machine(bench: Workbench) -> str:
    write(bench, "sub/m.bin", "m\n")
    return f"init --model other --path {bench.repo}/sub/m.bin"


@trial(
    "release.init._bring_in/3",
    command="init --model other --path ../../m.bin",
    folder="models",
    again="init --model other --path models/other/m.bin",
)
def a_path_out_of_the_repository(bench: Workbench) -> None:
    write(bench, "../m.bin", "m\n")


@trial(
    "release.init._bring_in/2",
    command="init --model other --path ../m.bin",
    does="tagship init --model other --path models/other/m.bin",
    again="models",
)
def a_path_out_of_the_repository_to_nothing(_: Workbench) -> None: ...


@trial(
    "release.init._bring_in",
    command="init --model other --path /etc/passwd",
    does="tagship init --model other --path models/other/FILE",
    fill={"FILE": "m.bin"},
    again="models",
)
def a_path_to_a_file_of_the_system(_: Workbench) -> None: ...


@trial(
    "release.init._no_path",
    command="init --model other --path .git/m.bin",
    does="give the file a plain name",
    by=lambda b: (b.repo / ".git/m.bin").rename(b.repo / "m.bin"),
    again="init --model other --path m.bin",
)
def a_path_that_no_version_can_have(bench: Workbench) -> None:
    write(bench, ".git/m.bin", "m\n")


def subfolder(bench: Workbench) -> None:
    """A DVC repository in a folder that no tag can name."""
    (bench.repo / "ml two").mkdir()
    dvc(bench.repo / "ml two", "init", "--quiet", "--subdir")


@trial(
    "release.init._check_folder",
    command=lambda b: Workspace(b.repo / "ml two").init("wine", "m.bin"),
    does="rename the folder of the DVC repository",
    by=lambda b: (b.repo / "ml two").rename(b.repo / "ml_two"),
    again=lambda b: Workspace(b.repo / "ml_two").init("wine", "m.bin"),
)
def a_folder_with_a_blank(bench: Workbench) -> None:
    subfolder(bench)


@trial(
    "release.init._declare",
    command="init --model churn --path other.bin",
    does="edit dvc.yaml",
    by=edit("dvc.yaml", "models/churn/model.bin", "other.bin"),
)
def a_model_declared_with_another_path(bench: Workbench) -> None:
    write(bench, "other.bin", "m\n")


@trial(
    "release.init._declare/2",
    command="init --model other --path other.bin",
    does="...to it by hand: {path: other.bin, type: model}",
    by=edit("dvc.yaml", "model}}", "model}, other: {path: other.bin, type: model}}"),
)
def artifacts_on_one_line(bench: Workbench) -> None:
    write(bench, "dvc.yaml", "artifacts: {churn: {path: models/churn/model.bin, type: model}}\n")
    write(bench, "other.bin", "m\n")


@trial("workspace.source.Source.check_owner", command="release sub:wine", again="status")
def a_model_of_another_dvc_repository(bench: Workbench) -> None:
    sub = bench.repo / "sub"
    sub.mkdir()
    dvc(sub, "init", "--quiet", "--subdir")
    write(bench, "sub/m.bin", "m\n")
    dvc(sub, "add", "--quiet", "m.bin")
    write(bench, "sub/dvc.yaml", "artifacts: {wine: {path: m.bin}}\n")
    bench.commit()


@trial(
    "release.kept_by_git.check",
    command="release churn",
    does="git rm --cached plain.txt && dvc add plain.txt",
    again=lambda b: (b.commit(), b.release()),
)
def a_model_behind_a_filter(bench: Workbench) -> None:
    write(bench, "plain.txt", "m\n")
    write(bench, "dvc.yaml", "artifacts: {churn: {path: plain.txt}}\n")
    write(bench, ".gitattributes", "*.txt filter=crypt\n")
    bench.commit()


@trial(
    "release.add_model._save",
    command=lambda b: b.manager.deploy_model("no.bin"),
    does="the path of the model's file",
    by=lambda _: None,
    again=lambda b: b.manager.deploy_model(str(b.repo / "new.bin")),
)
def no_such_file(bench: Workbench) -> None:
    write(bench, "new.bin", "new\n")


@trial(
    "release.add_model._save/2",
    does="save it as .bin",
    command=lambda b: b.manager.deploy_model(str(b.repo / "new.cbm")),
    by=lambda b: (b.repo / "new.cbm").rename(b.repo / "new.bin"),
    again=lambda b: b.manager.deploy_model(str(b.repo / "new.bin")),
)
def a_file_of_another_kind(bench: Workbench) -> None:
    write(bench, "new.cbm", "new\n")


@trial(
    "release.add_model._check_apart",
    command=lambda b: b.manager.deploy_model(b.folder),
    does="give the model's own file",
    by=lambda _: None,
    again=lambda b: b.manager.deploy_model(b.folder / "model.bin"),
)
def the_folder_of_the_model_and_its_versions(bench: Workbench) -> None:
    write(bench, "models/churn/model.bin", "new\n")
    (bench.folder / "versions").mkdir()


@trial(
    "release.add_model._check_apart/2",
    command=lambda b: b.manager.deploy_model(b.folder / "versions" / "mine"),
    does="copy it to a folder of its own",
    by=lambda b: (b.folder / "versions/mine/model.bin").rename(b.repo / "mine.bin"),
    again=lambda b: b.manager.deploy_model(b.repo / "mine.bin"),
)
def a_folder_in_versions(bench: Workbench) -> None:
    (bench.folder / "versions/mine").mkdir(parents=True)
    write(bench, "models/churn/versions/mine/model.bin", "new\n")


@trial(
    "release.add_model.check_in",
    command=lambda b: b.manager.deploy_model(b.repo / "new.bin"),
    does="dvc repro train",
    again=lambda b: (b.commit(), b.release(), b.manager.deploy()),
)
def a_model_that_a_stage_writes(bench: Workbench) -> None:
    piped(bench)
    write(bench, "new.bin", "new\n")
    write(bench, "train.txt", "u\n")


@trial("release.merges._refused", command="release churn", does="git merge --abort")
@trial(
    "release.merges._refused",
    command="release churn",
    does="git checkout --ours ...,",
    by=lambda b: (
        b.git("checkout", "--ours", f"{PATH}.dvc"),
        b.dvc("checkout", "--quiet", "--force"),
        b.git("add", "--all"),
        b.git("commit", "--quiet", "--no-edit"),
    ),
)
def a_merge_in_conflict(bench: Workbench) -> None:
    bench.git("switch", "--quiet", "-c", "other")
    bench.train("theirs\n")
    bench.git("switch", "--quiet", "main")
    bench.dvc("checkout", "--force", "--quiet")
    bench.train("ours\n")
    with contextlib.suppress(AssertionError):
        bench.git("merge", "other")
