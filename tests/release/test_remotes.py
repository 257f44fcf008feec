"""Another machine can deploy a release: its bytes are in a remote, its commit on a branch."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tagship import NotFound, Refused, Unavailable
from tests.workbench import Workbench, run

TRAIN = """\
echo model > out.bin
echo '{"accuracy": 0.5}' > scores.json
echo '{}' > test.json
"""
OUTS = """\
stages:
  train:
    cmd: sh train.sh
    outs: [{out}, {test}]
    metrics: [{metric}]
artifacts:
  churn:
    path: out.bin
    meta:
      self_test: test.json
"""


def pipeline(bench: Workbench, out: str = "out.bin", test: str = "test.json",
             metric: str = "scores.json") -> None:  # fmt: skip
    """A stage makes the model, its self-test and its metrics; committed, and not pushed by DVC."""
    (bench.repo / "dvc.yaml").write_text(OUTS.format(out=out, test=test, metric=metric))
    (bench.repo / "train.sh").write_text(TRAIN)
    bench.dvc("repro", "--quiet")
    bench.commit("Train by a stage")


def other_remote(bench: Workbench, name: str = "other") -> None:
    bench.dvc("remote", "add", "--quiet", name, f"../dvc-{name}")


def objects(bench: Workbench, remote: str) -> set[str]:
    """The first line of each object in a remote."""
    top = bench.repo.parent / f"dvc-{remote}"
    return {path.read_text().strip() for path in top.glob("files/md5/*/*")}


def elsewhere(bench: Workbench) -> Workbench:
    """A clone on another machine: the tag was pushed, the cache is empty."""
    run(bench.repo.parent, "git", "clone", "--quiet", "origin.git", "clone")
    return Workbench(bench.repo.parent / "clone", bench.monkeypatch, bench.capture)


# --- the bytes


@pytest.mark.parametrize("options", ["", " --push", " --push-branch", " --force --push"])
def test_remotes_without_a_default_are_told_with_the_command_that_chooses(
    bench: Workbench, options: str
) -> None:
    bench.dvc("remote", "default", "--quiet", "--unset")
    bench.commit()
    bench.refuses(
        f"release churn{options}",
        "no DVC remote is the default; there is store",
        "dvc remote default store",
    )


def test_of_several_remotes_the_names_are_told(bench: Workbench) -> None:
    bench.dvc("remote", "default", "--quiet", "--unset")
    other_remote(bench)
    bench.refuses(
        "release churn",
        "no DVC remote is the default; there are other, store",
        "dvc remote default NAME",
    )


@pytest.mark.released
def test_a_deploy_tells_remotes_without_a_default(bench: Workbench) -> None:
    shutil.rmtree(bench.repo / ".dvc/cache")
    bench.dvc("remote", "default", "--quiet", "--unset")
    with pytest.raises(NotFound, match="no DVC remote is the default; there is store") as caught:
        bench.manager.deploy()
    assert caught.value.hint == "dvc remote default store"


def test_without_any_remote_a_tag_is_not_pushed(bench: Workbench) -> None:
    bench.dvc("remote", "remove", "--quiet", "store")
    bench.commit()
    bench.refuses(
        "release churn --push",
        "DVC has no remote",
        "dvc remote add -d NAME URL; or git pull, once .dvc/config is committed where it has one",
    )
    released = bench.manager.release()
    assert released.warnings == (
        "DVC has no remote: the bytes are on this machine alone (dvc remote add -d NAME URL)",
    )


def test_a_remote_that_is_named_and_not_there_is_told(bench: Workbench) -> None:
    pipeline(bench, out="out.bin: {remote: gone}")
    bench.refuses(
        "release churn",
        "the DVC remote 'gone' doesn't exist; out.bin names it",
        "dvc remote add gone URL",
    )


@pytest.mark.parametrize(
    ("flags", "place"),
    [
        ({"out": "out.bin: {push: false}"}, "out.bin"),
        ({"test": "test.json: {push: false}"}, "test.json"),
    ],
    ids=["the model", "its self-test"],
)
def test_an_output_that_may_not_be_pushed_is_not_released(
    bench: Workbench, flags: dict[str, str], place: str
) -> None:
    pipeline(bench, **flags)
    bench.refuses(
        "release churn",
        f"{place} has push: false in dvc.yaml: no other machine could fetch it",
        "remove push: false from dvc.yaml and commit it",
    )
    assert not list((bench.repo.parent / "dvc-remote").iterdir())


def test_a_dvc_file_that_says_push_false_is_not_released(bench: Workbench) -> None:
    pointer = bench.repo / "models/churn/model.bin.dvc"
    pointer.write_text(pointer.read_text() + "  push: false\n")
    bench.commit()
    bench.refuses(
        "release churn",
        "models/churn/model.bin has push: false in models/churn/model.bin.dvc: no other machine"
        " could fetch it",
        "remove push: false from models/churn/model.bin.dvc and commit it",
    )


def test_a_metric_that_may_not_be_pushed_stays_here_and_hinders_nothing(bench: Workbench) -> None:
    pipeline(bench, metric="scores.json: {push: false}")
    assert bench.manager.release().pushed_objects == 2
    assert objects(bench, "remote") == {"model", "{}"}


def test_metrics_that_dvc_keeps_are_pushed_with_the_model(bench: Workbench) -> None:
    pipeline(bench)
    assert bench.manager.release().metrics == {"accuracy": 0.5}
    assert objects(bench, "remote") == {"model", "{}", '{"accuracy": 0.5}'}


def test_each_output_goes_to_the_remote_that_dvc_yaml_names_for_it(bench: Workbench) -> None:
    """And comes from there: dvc.lock does not have it."""
    other_remote(bench)
    other_remote(bench, "third")
    pipeline(bench, "out.bin: {remote: other}", "test.json: {remote: third}")
    bench.manager.release(push_branch=True)
    assert objects(bench, "other") == {"model"}
    assert objects(bench, "third") == {"{}"}
    assert objects(bench, "remote") == {'{"accuracy": 0.5}'}
    clone = elsewhere(bench)
    clone.manager.deploy(smoke_test=False)
    assert (clone.current / "out.bin").read_text() == "model\n"


@pytest.mark.parametrize("change", ["url", "default"])
def test_a_remote_that_is_not_as_in_the_commit_is_not_released_to(
    bench: Workbench, change: str
) -> None:
    """Another machine would look into the old one."""
    other_remote(bench)
    bench.commit("Know another remote")
    if change == "url":
        bench.dvc("remote", "modify", "--quiet", "store", "url", "../dvc-other")
    else:
        bench.dvc("remote", "default", "--quiet", "other")
    bench.refuses(
        "release churn --push",
        ".dvc/config differs from the last commit: no other machine would find the bytes",
        'git add .dvc/config && git commit -m "..."',
    )
    assert bench.git("tag") == ""
    bench.commit("Change the remote")
    assert bench.cli("release", "churn", "--push-branch").code == 0
    assert elsewhere(bench).cli("deploy", "churn", "--yes").code == 0


@pytest.mark.parametrize("level", ["--local", "--global"])
def test_a_remote_of_this_machine_alone_is_told(bench: Workbench, level: str) -> None:
    bench.dvc("remote", "remove", "--quiet", "store")
    bench.commit("Know no remote")
    bench.dvc("remote", "add", "--quiet", level, "-d", "mine", str(bench.repo.parent / "dvc-mine"))
    result = bench.cli("release", "churn", "--push")
    assert result.code == 0
    assert (
        "the DVC remote mine is configured on this machine alone, not in .dvc/config:"
        " another machine needs it too (dvc remote add -d mine URL)"
    ) in result.out + result.err


def test_options_of_a_remote_for_this_machine_alone_need_no_word(bench: Workbench) -> None:
    bench.dvc("remote", "modify", "--quiet", "--local", "store", "verify", "true")
    result = bench.cli("release", "churn", "--push")
    assert (result.code, "this machine alone" in result.out + result.err) == (0, False)


def test_a_deploy_finds_what_dvc_push_sent(bench: Workbench) -> None:
    other_remote(bench)
    pipeline(bench, out="out.bin: {remote: other}")
    bench.dvc("push", "--quiet")
    assert objects(bench, "other") == {"model"}
    assert bench.manager.release(push_branch=True).pushed_objects == 0
    clone = elsewhere(bench)
    clone.manager.deploy(smoke_test=False)
    assert (clone.current / "out.bin").read_text() == "model\n"


def test_the_remote_of_a_version_is_that_of_its_own_commit(bench: Workbench) -> None:
    other_remote(bench)
    pipeline(bench, out="out.bin: {remote: other}")
    bench.release()
    (bench.repo / "dvc.yaml").write_text(
        OUTS.format(out="out.bin", test="test.json", metric="scores.json")
    )
    bench.commit("Send the model to the default remote from now on")
    shutil.rmtree(bench.repo / ".dvc/cache")
    bench.manager.deploy("1.0.0", smoke_test=False)
    assert (bench.current / "out.bin").read_text() == "model\n"


def test_the_remote_of_a_stage_in_another_folder_is_found(bench: Workbench) -> None:
    """Paths in dvc.yaml are relative to the stage's ``wdir``."""
    other_remote(bench)
    (bench.repo / "a/work").mkdir(parents=True)
    (bench.repo / "a/dvc.yaml").write_text(
        "stages:\n  train:\n    wdir: work\n    cmd: echo model > out.bin\n"
        "    outs: [out.bin: {remote: other}]\nartifacts:\n  fraud:\n    path: work/out.bin\n"
    )
    bench.dvc("repro", "--quiet", "a/dvc.yaml")
    bench.commit()
    assert bench.cli("release", "a:fraud").code == 0
    assert objects(bench, "other") == {"model"}


def test_the_remote_of_a_stage_of_foreach_is_found(bench: Workbench) -> None:
    other_remote(bench)
    (bench.repo / "dvc.yaml").write_text(
        "stages:\n  train:\n    foreach: [north]\n    do:\n      cmd: echo ${item} > out.bin\n"
        "      outs: [out.bin: {remote: other}]\nartifacts:\n  churn:\n    path: out.bin\n"
    )
    bench.dvc("repro", "--quiet")
    bench.commit()
    bench.release()
    assert objects(bench, "other") == {"north"}


def test_the_setting_takes_the_place_of_the_default_and_not_of_an_outputs_own_remote(
    bench: Workbench,
) -> None:
    other_remote(bench)
    other_remote(bench, "third")
    pipeline(bench, out="out.bin: {remote: other}")
    (bench.repo / "params.yaml").write_text("tagship:\n  dvc_remote: third\n")
    bench.commit()
    bench.release()
    assert objects(bench, "other") == {"model"}
    assert objects(bench, "third") == {"{}", '{"accuracy": 0.5}'}


def test_what_has_push_false_and_is_not_here_is_told_so(bench: Workbench) -> None:
    pipeline(bench, out="out.bin: {push: false}")
    bench.git("tag", "-m", "by GTO", "churn@v1.0.0")
    shutil.rmtree(bench.repo / ".dvc/cache")
    with pytest.raises(Unavailable, match=r"store, .*: out\.bin has push: false") as caught:
        bench.manager.deploy()
    assert caught.value.hint == "deploy it on the machine that made it"


# --- the commit


def theirs(bench: Workbench) -> dict[str, str]:
    """The refs of Git's remote, each with the commit that it leads to."""
    form = "--format=%(refname:short) %(objectname) %(*objectname)"
    lines = run(bench.repo.parent / "origin.git", "git", "for-each-ref", form).splitlines()
    refs = (line.split() for line in lines)
    return {name: (peeled or [at])[0] for name, at, *peeled in refs}


def test_a_commit_on_no_branch_of_the_remote_is_told(bench: Workbench) -> None:
    bench.train("model 2\n")
    head = bench.git("rev-parse", "HEAD").strip()
    released = bench.manager.release(push=True)
    assert released.warnings == (
        f"the commit {head[:10]} is on no branch of origin: a clone gets it with the tag alone"
        " (git push origin HEAD:main; a release with --push-branch pushes both)",
    )
    assert theirs(bench)["main"] != head
    bench.git("push", "--quiet", "origin", "HEAD:main")
    bench.train("model 3\n")
    bench.git("push", "--quiet", "origin", "HEAD:main")
    assert bench.manager.release(push=True).warnings == ()


def test_a_commit_that_the_remote_has_on_another_branch_or_further_back_is_fine(
    bench: Workbench,
) -> None:
    bench.git("switch", "--quiet", "--create", "feature")
    bench.train("model 2\n")
    bench.git("push", "--quiet", "origin", "feature")
    assert bench.manager.release(push=True).warnings == ()
    bench.train("model 3\n")
    bench.commit("More")
    bench.git("push", "--quiet", "origin", "feature")
    bench.git("switch", "--quiet", "--detach", "HEAD~1")
    assert bench.manager.release(push_branch=True).warnings == ()


def test_the_branch_is_pushed_with_the_tag(bench: Workbench) -> None:
    bench.train("model 2\n")
    head = bench.git("rev-parse", "HEAD").strip()
    done = bench.cli("release", "churn", "--push-branch", "--json")
    answer = json.loads(done.out)
    assert (done.code, answer["pushed_to"], answer["pushed_branch"]) == (0, "origin", "main")
    assert (answer["warnings"], done.err) == ([], "")
    assert theirs(bench) == {"main": head, "churn@v1.0.0": head}
    clone = elsewhere(bench)
    clone.manager.deploy()
    assert clone.live() == "model 2\n"


def test_a_new_branch_without_an_upstream_is_pushed_by_its_name(bench: Workbench) -> None:
    bench.git("switch", "--quiet", "--create", "feature")
    bench.train("model 2\n")
    done = bench.cli("release", "churn", "--push-branch")
    assert done.out.endswith("  branch feature pushed to origin\n  tag pushed to origin\n")
    assert theirs(bench)["feature"] == bench.git("rev-parse", "HEAD").strip()


def test_a_branch_that_the_remote_has_is_not_pushed_again(bench: Workbench) -> None:
    released = bench.manager.release(push_branch=True)
    assert (released.pushed_to, released.pushed_branch) == ("origin", None)


def test_an_upstream_of_another_name_is_not_guessed(bench: Workbench) -> None:
    """A branch made by ``git switch -c feature origin/main`` follows main: nobody meant to push."""
    bench.git("switch", "--quiet", "--create", "feature", "--track", "origin/main")
    bench.train("model 2\n")
    bench.refuses(
        "release churn --push-branch",
        "the branch feature follows main of origin, which has another name",
        "push it first: git push origin HEAD:feature (or HEAD:main);"
        " then release with --push alone",
    )
    bench.git("config", "push.default", "upstream")
    assert bench.manager.release(push_branch=True).pushed_branch == "main"


def test_push_default_current_pushes_the_branchs_own_name(bench: Workbench) -> None:
    bench.git("switch", "--quiet", "--create", "feature", "--track", "origin/main")
    bench.git("config", "push.default", "current")
    bench.train("model 2\n")
    assert bench.manager.release(push_branch=True).pushed_branch == "feature"


def test_a_detached_head_has_no_branch_to_push(bench: Workbench) -> None:
    bench.train("model 2\n")
    bench.git("switch", "--quiet", "--detach")
    bench.refuses(
        "release churn --push-branch",
        "HEAD is detached: there is no branch to push to origin",
        "create a branch first: git switch -c NAME",
    )


def ahead(bench: Workbench) -> None:
    """Somebody else pushed to main meanwhile; and HEAD has a commit that main there lacks."""
    clone = elsewhere(bench)
    (clone.repo / "README").write_text("other words\n")
    clone.commit("Rewrite")
    clone.git("push", "--quiet", "origin", "main")
    bench.train("model 2\n")


@pytest.mark.parametrize("atomic", ["true", "false"])
def test_a_branch_that_is_behind_takes_the_tag_back(bench: Workbench, atomic: str) -> None:
    run(bench.repo.parent / "origin.git", "git", "config", "receive.advertiseAtomic", atomic)
    ahead(bench)
    before = theirs(bench)
    with pytest.raises(Unavailable) as caught:
        bench.manager.release(push_branch=True)
    assert caught.value.message.startswith(
        "origin did not accept the tag churn@v1.0.0 and the branch main, so the tag was deleted"
        " here again: git: ! [rejected]"
    )
    assert caught.value.message.endswith("-> main (fetch first)")
    assert caught.value.hint == "git pull --no-rebase origin main, then release again"
    assert (theirs(bench), bench.git("tag")) == (before, "")


def hook(bench: Workbench, ref: str) -> None:
    """The remote refuses what changes a ref, as a host with a protected branch does."""
    update = bench.repo.parent / "origin.git/hooks/update"
    update.write_text(
        f'#!/bin/sh\n[ "$1" = "{ref}" ] && echo "{ref} is protected" && exit 1\nexit 0\n'
    )
    update.chmod(0o755)


def test_a_protected_branch_takes_the_tag_back(bench: Workbench) -> None:
    hook(bench, "refs/heads/main")
    bench.train("model 2\n")
    before = theirs(bench)
    with pytest.raises(Unavailable, match="refs/heads/main is protected") as caught:
        bench.manager.release(push_branch=True)
    assert "(hook declined)" in caught.value.message
    assert caught.value.hint == (
        "use a branch that you may push: git switch -c NAME, then release again"
    )
    assert (theirs(bench), bench.git("tag")) == (before, "")


def test_a_tag_that_is_refused_leaves_the_branch_as_it_was(bench: Workbench) -> None:
    hook(bench, "refs/tags/churn@v1.0.0")
    bench.train("model 2\n")
    before = theirs(bench)
    with pytest.raises(Unavailable, match=r"churn@v1\.0\.0 is protected") as caught:
        bench.manager.release(push_branch=True)
    assert caught.value.hint == "ask who runs origin, which does not accept it, then release again"
    assert (theirs(bench), bench.git("tag")) == (before, "")


def test_a_remote_that_knows_no_atomic_push_gets_the_branch_and_then_the_tag(
    bench: Workbench,
) -> None:
    run(bench.repo.parent / "origin.git", "git", "config", "receive.advertiseAtomic", "false")
    bench.train("model 2\n")
    head = bench.git("rev-parse", "HEAD").strip()
    assert bench.manager.release(push_branch=True).pushed_branch == "main"
    assert theirs(bench) == {"main": head, "churn@v1.0.0": head}
    hook(bench, "refs/tags/churn@v1.1.0")
    bench.train("model 3\n")
    with pytest.raises(Unavailable, match=r"\(refs/heads/main was pushed before\)"):
        bench.manager.release(push_branch=True)
    assert "churn@v1.1.0" not in bench.git("tag")
    assert theirs(bench)["main"] == bench.git("rev-parse", "HEAD").strip()


def test_a_version_that_waited_is_pushed_with_its_branch(bench: Workbench) -> None:
    bench.train("model 2\n")
    bench.release()
    released = bench.manager.release(push_branch=True)
    assert (released.tag, released.pushed_branch) == ("churn@v1.0.0", "main")


def test_bytes_that_cannot_be_pushed_hold_back_tag_and_branch(bench: Workbench) -> None:
    bench.train("model 2\n")
    digest = hashlib.md5(b"model 2\n").hexdigest()
    Path(bench.repo / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).unlink()
    before = theirs(bench)
    with pytest.raises(Unavailable, match="the DVC cache lacks"):
        bench.manager.release(push_branch=True)
    assert (theirs(bench), bench.git("tag")) == (before, "")


def test_a_plan_tells_the_branch_and_refuses_as_the_release_would(bench: Workbench) -> None:
    bench.train("model 2\n")
    assert bench.manager.release_plan(push_branch=True).push_branch == "main"
    assert bench.manager.release_plan(push=True).push_branch is None
    bench.dvc("remote", "default", "--quiet", "--unset")
    with pytest.raises((NotFound, Refused), match="no DVC remote is the default"):
        bench.manager.release_plan()


def test_a_release_says_that_the_configuration_of_its_remote_is_not_committed(
    bench: Workbench,
) -> None:
    """The next clone would not know where the bytes are."""
    other = bench.repo.parent / "other"
    other.mkdir()
    bench.dvc("remote", "add", "--quiet", "--default", "other", str(other))
    what = ".dvc/config differs from the last commit: no other machine would find the bytes"
    commit = 'git add .dvc/config && git commit -m "..."'
    bench.refuses("release churn --push", what, commit)
    assert bench.cli("release", "churn").err == f"note: {what} ({commit})\n"
    bench.commit()
    bench.train("model 2\n")
    assert bench.cli("release", "churn").err == ""
