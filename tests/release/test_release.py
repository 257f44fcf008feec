"""Release: check, push the bytes, tag, push the tag."""

import contextlib
import hashlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagship import Corrupt, InvalidName, ModelVersionManager, Refused, Unavailable
from tagship.disk.atomic import remove_tree
from tagship.errors import Interrupted
from tagship.progress import Advance
from tagship.registry.refs import TagName
from tests.workbench import Result, Workbench, dvc, run


@pytest.mark.parametrize(
    ("bump", "version"), [("minor", "1.1.0"), ("major", "2.0.0"), ("patch", "1.0.1")]
)
@pytest.mark.released
def test_the_next_version_goes_up_by_the_bump(bench: Workbench, bump: str, version: str) -> None:
    bench.train("model 2\n")
    assert str(bench.manager.release(bump=bump).version) == version


def test_the_tag_is_annotated_and_its_message_has_metrics_size_and_digest(bench: Workbench) -> None:
    released = bench.manager.release(message="the first model")
    assert released.metrics == {"accuracy": 0.75}
    assert bench.git("cat-file", "-t", "churn@v1.0.0") == "tag\n"
    assert bench.git("tag", "--list", "--format=%(contents)", "churn@v1.0.0") == (
        "churn 1.0.0\n\nthe first model\n\n"
        'Metrics: {"accuracy": 0.75}\nSize: 8\nDigest: md5:' + _md5("model 1\n") + "\n\n"
    )


def test_the_bytes_are_in_the_dvc_remote_before_the_tag_exists(bench: Workbench) -> None:
    released = bench.manager.release()
    assert released.pushed_objects == 1
    assert _remote_object(bench, "model 1\n").is_file()
    assert bench.dvc("status", "--cloud") == "Cache and remote 'store' are in sync.\n"


def test_where_the_bytes_cannot_be_pushed_there_is_no_tag(bench: Workbench) -> None:
    _remote(bench).rmdir()
    _remote(bench).write_text("no folder")
    with pytest.raises(Unavailable):
        bench.manager.release()
    assert bench.git("tag") == ""


def test_a_first_release_makes_the_folder_of_its_remote_and_says_so(bench: Workbench) -> None:
    _remote(bench).rmdir()
    released = bench.manager.release()
    assert released.warnings == (f"made the folder of the DVC remote store: {_remote(bench)}",)
    assert _remote_object(bench, "model 1\n").is_file()


@pytest.mark.parametrize("model", ["churn", "other"])
def test_a_later_release_needs_the_folder_of_its_remote(bench: Workbench, model: str) -> None:
    bench.git("tag", "--annotate", "--message", "x", f"{model}@v1.0.0", "HEAD")
    bench.train("model 2\n")
    _remote(bench).rmdir()
    result = bench.cli("release", "churn", "--push")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"error: the DVC remote store is a folder, which is not here: {_remote(bench)}\n"
        f"hint: mount it; or, where it is a new one: mkdir -p {_remote(bench)}\n"
    )
    assert bench.git("tag") == f"{model}@v1.0.0\n"
    assert not _remote(bench).exists()


def test_a_tag_that_waits_for_its_push_needs_the_folder_of_its_remote(bench: Workbench) -> None:
    bench.release()
    remove_tree(_remote(bench))
    with pytest.raises(Unavailable, match="a folder, which is not here"):
        bench.manager.release(push=True)
    assert not _remote(bench).exists()


def test_a_release_that_was_interrupted_goes_on_with_the_same_options(bench: Workbench) -> None:
    @contextlib.contextmanager
    def press(doing: str, _: int | None) -> Iterator[Advance]:
        yield lambda _: None
        if doing == "pushing":
            raise KeyboardInterrupt

    bench.train("model 2\n")
    manager = ModelVersionManager("churn", bench.repo, progress=press)
    with pytest.raises(Interrupted) as caught:
        manager.release(
            bump="major", message="it's better", push_branch=True, capsule=True, force=True
        )
    again = caught.value.hint
    words = "--version 1.0.0 -m 'it'\"'\"'s better' --push-branch --capsule --force"
    assert again == f"tagship release churn {words}"
    assert bench.cli(*shlex.split(again)[1:]).code == 0
    assert "it's better" in bench.git("tag", "--list", "--format=%(contents)", "churn@v1.0.0")


def test_a_model_that_is_not_committed_is_told_from_one_that_there_is_not(
    bench: Workbench,
) -> None:
    file = bench.repo / "dvc.yaml"
    more = "artifacts:\n  c2:\n    path: models/churn/model.bin\n"
    file.write_text(file.read_text().replace("artifacts:\n", more))
    commit = 'git add dvc.yaml && git commit -m "..."'
    what = "c2 is in dvc.yaml, which is not committed yet"
    for words in ("release c2", "status c2", "deploy c2 --yes"):
        bench.refuses(words, what, commit)
    bench.refuses("release c3", "there is no model c3", "there are: churn")
    bench.commit()
    assert bench.cli("release", "c2").code == 0


def test_bytes_that_only_the_remote_has_can_be_released(bench: Workbench) -> None:
    bench.dvc("push", "--quiet")
    run(bench.repo, "rm", "-rf", ".dvc/cache", "models/churn/model.bin")
    assert bench.release() == "1.0.0"


def test_push_sends_the_tag_and_the_commit_that_it_needs(bench: Workbench) -> None:
    bench.train("model 2\n")
    released = bench.manager.release(push=True)
    assert released.pushed_to == "origin"
    there = run(bench.repo.parent / "origin.git", "git", "rev-parse", "churn@v1.0.0^{commit}")
    assert there.strip() == released.commit


def test_a_clone_without_tags_goes_on_where_the_remote_is(bench: Workbench) -> None:
    bench.manager.release(push=True)
    bench.git("tag", "--delete", "churn@v1.0.0")
    bench.train("model 2\n")
    assert bench.release() == "1.1.0"


def test_a_commit_that_the_remote_says_is_released_is_not_released_again(bench: Workbench) -> None:
    bench.manager.release(push=True)
    bench.git("tag", "--delete", "churn@v1.0.0")
    with pytest.raises(Refused, match=r"this commit carries churn 1\.0\.0 already"):
        bench.release()


def test_a_version_that_only_the_remote_has_is_not_given_again(bench: Workbench) -> None:
    """GTO may have ended the tag with a counter."""
    bench.git("tag", "-m", "theirs", "churn@v1.2.0#3")
    bench.git("push", "--quiet", "origin", "churn@v1.2.0#3")
    bench.git("tag", "--delete", "churn@v1.2.0#3")
    bench.train("model 2\n")
    with pytest.raises(Refused, match=r"churn 1\.2\.0 exists") as caught:
        bench.release(version="1.2.0")
    assert caught.value.hint == "git fetch --tags"


def test_a_remote_that_does_not_answer_only_hinders_a_push(bench: Workbench) -> None:
    bench.git("remote", "set-url", "origin", "../gone.git")
    released = bench.manager.release()
    assert "the tags of origin could not be read" in released.warnings[0]
    bench.train("model 2\n")
    with pytest.raises(Unavailable):
        bench.manager.release(push=True)
    assert bench.git("tag") == "churn@v1.0.0\n"


@pytest.mark.released
def test_a_deregistered_version_is_not_given_again(bench: Workbench) -> None:
    bench.git("tag", "-m", "bad", "churn@v1.0.0!")
    bench.train("model 2\n")
    assert bench.release() == "1.1.0"


def test_a_pre_release_is_followed_by_its_final_version(bench: Workbench) -> None:
    bench.release(version="2.0.0-rc.1")
    bench.train("model 2\n")
    assert bench.release() == "2.0.0"


def test_release_and_deploy_go_together(bench: Workbench) -> None:
    result = bench.cli("release", "churn", "--deploy", "-m", "first")
    assert result.code == 0
    assert bench.live() == "model 1\n"


def test_the_tag_is_signed_by_git_where_git_is_told_to(bench: Workbench) -> None:
    key = bench.repo.parent / "key"
    run(bench.repo, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    for name, value in {
        "gpg.format": "ssh",
        "user.signingkey": f"{key}.pub",
        "tag.gpgSign": "true",
    }.items():
        bench.git("config", name, value)
    bench.release()
    assert "-----BEGIN SSH SIGNATURE-----" in bench.git("cat-file", "tag", "churn@v1.0.0")
    assert bench.manager.list_versions()[0].metrics == {"accuracy": 0.75}


@pytest.mark.live
def test_releasing_a_model_does_not_need_its_folder_to_be_clean(bench: Workbench) -> None:
    bench.ship("model 2\n")
    assert "deployment_history.json" in os.listdir(bench.folder)
    assert bench.git("status", "--porcelain") == ""


def test_tag_names_are_what_the_grammar_says(bench: Workbench) -> None:
    bench.release(version="1.2.3-rc.1+build.5")
    assert TagName.parse(bench.git("tag").strip()) is not None


def _md5(content: str) -> str:
    return hashlib.md5(content.encode()).hexdigest()


def _remote_object(bench: Workbench, content: str) -> Path:
    digest = _md5(content)
    return _remote(bench) / "files/md5" / digest[:2] / digest[2:]


def _remote(bench: Workbench) -> Path:
    return bench.repo.parent / "dvc-remote"


@pytest.mark.released
def test_a_release_that_was_not_pushed_is_pushed_later(bench: Workbench) -> None:
    released = bench.manager.release(push=True)
    assert (released.tag, released.pushed_to) == ("churn@v1.0.0", "origin")
    there = run(bench.repo.parent / "origin.git", "git", "tag")
    assert there == "churn@v1.0.0\n"
    with pytest.raises(Refused, match=r"this commit carries churn 1\.0\.0 already"):
        bench.manager.release(push=True)


PIPELINE = (
    "stages:\n  train:\n    cmd: cp source.txt out.bin\n    deps: [source.txt]\n"
    "    params: [train.depth]\n    outs: [out.bin]\nartifacts:\n  churn:\n    path: out.bin\n"
)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("source.txt", "other\n", "dependency source.txt"),
        ("params.yaml", "train: {depth: 6}\n", "parameter `train.depth`"),
    ],
)
def test_a_commit_that_did_not_make_the_model_is_not_released(
    bench: Workbench, name: str, content: str, told: str
) -> None:
    """Its tag would show parameters and code that the model was not trained with."""
    (bench.repo / "source.txt").write_text("first\n")
    (bench.repo / "dvc.yaml").write_text(PIPELINE)
    bench.dvc("repro", "--quiet")
    (bench.repo / name).write_text(content)
    bench.commit()
    with pytest.raises(Refused) as caught:
        bench.manager.release()
    assert caught.value.message == (
        f"churn was not built from this commit: {told} of stage train differs from dvc.lock"
    )
    bench.dvc("repro", "--quiet")
    bench.commit()
    assert bench.release() == "1.0.0"


@pytest.mark.released
def test_a_version_below_the_latest_is_released_with_a_note(bench: Workbench) -> None:
    bench.train("model 2\n")
    warnings = bench.manager.release(version="0.9.0").warnings
    assert warnings == ("0.9.0 is lower than 1.0.0, which stays the latest",)


@pytest.mark.parametrize("path", ["models/churn", "models", "models/churn/versions/x/model.bin"])
def test_a_model_may_not_lie_where_its_versions_are_deployed(bench: Workbench, path: str) -> None:
    """DVC empties an output before its stage writes it, and with it the live version."""
    before = bench.state()
    result = bench.cli("init", "--model", "churn2", "--path", path.replace("churn", "churn2"))
    assert result.code == 1
    assert "is where versions of churn2 are deployed" in result.err
    assert bench.state() == before


def test_an_import_that_has_not_been_downloaded_has_no_bytes_yet(bench: Workbench) -> None:
    (bench.repo.parent / "theirs.bin").write_text("theirs")
    there, path = str(bench.repo.parent / "theirs.bin"), "models/churn/imported.bin"
    bench.dvc("import-url", "--quiet", "--no-download", there, path)
    pipeline = bench.repo / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("models/churn/model.bin", path))
    bench.commit()
    bench.refuses(
        "release churn",
        f"{path}.dvc has no bytes yet",
        f'dvc update {path}.dvc && git add {path}.dvc && git commit -m "..."',
    )


def test_a_date_that_is_none_is_told_as_such(bench: Workbench) -> None:
    bench.monkeypatch.setenv("GIT_COMMITTER_DATE", "garbage")
    what = "GIT_COMMITTER_DATE: invalid date format: garbage"
    bench.refuses("release churn", what, "unset GIT_COMMITTER_DATE")


def test_signing_without_a_key_is_told_as_such(bench: Workbench) -> None:
    bench.git("config", "gpg.format", "ssh")
    bench.git("config", "tag.gpgSign", "true")
    result = bench.cli("release", "churn")
    assert result.code == 1
    assert result.err.startswith("error: Git cannot sign the tag churn@v1.0.0: either user.sign")
    assert "or do without: git config tag.gpgSign false\n" in result.err
    assert bench.git("tag", "--list") == ""


PLAIN = "give the file a plain name: letters, digits, _ and -"


@pytest.mark.parametrize("path", ["a:b.bin", "${x}.bin", "m/a: b.bin", "#m.bin", "m.bin ", "1.0"])
def test_init_refuses_a_path_that_a_release_would_refuse(bench: Workbench, path: str) -> None:
    (bench.repo / "m").mkdir()
    (bench.repo / path).write_text("m")
    error = f"{path!r} cannot be the path of a model"
    assert _init(bench, path) == Result(1, "", f"error: {error}\nhint: {PLAIN}\n")


@pytest.mark.parametrize("name", ["metadata.json", "model.sig"])
def test_and_a_name_that_is_tagships_own(bench: Workbench, name: str) -> None:
    result = _init(bench, f"m/{name}")
    assert (result.code, result.err) == (
        1,
        f"error: a file of wine would be named {name}, which is tagship's own\n"
        "hint: rename that file, and its path in dvc.yaml\n",
    )


def test_and_a_folder_that_no_tag_can_name(bench: Workbench) -> None:
    folder = bench.repo / "ml two"
    folder.mkdir()
    dvc(folder, "init", "--quiet", "--subdir")
    before = bench.state()
    result = bench.cli_in(folder, "init", "--model", "wine", "--path", "m.bin")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: 'ml two:wine' is the model's name here, and no tag can")
    assert bench.changes(before) == set()


def _init(bench: Workbench, path: str) -> Result:
    """Declare a model; nothing changes."""
    before = bench.state()
    result = bench.cli("init", "--model", "wine", "--path", path)
    assert bench.changes(before) == set()
    return result


def test_a_stage_that_was_renamed_does_not_speak_for_its_output_any_more(bench: Workbench) -> None:
    """DVC leaves its entry in dvc.lock."""
    (bench.repo / "source.txt").write_text("first\n")
    (bench.repo / "dvc.yaml").write_text(PIPELINE)
    bench.dvc("repro", "--quiet")
    bench.commit()
    bench.release()
    (bench.repo / "source.txt").write_text("second\n")
    (bench.repo / "dvc.yaml").write_text(PIPELINE.replace("  train:", "  train_again:", 1))
    bench.dvc("repro", "--quiet")
    bench.commit()
    bench.ship()
    assert (bench.current / "out.bin").read_text() == "second\n"


@pytest.mark.parametrize("change", ["edited", "removed", "added"])
def test_a_folder_that_was_changed_since_it_was_tracked_is_not_released(
    bench: Workbench, change: str
) -> None:
    folder = bench.repo / "bundle"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(name)
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: bundle\n")
    bench.track("bundle")
    bench.commit()
    (folder / "a").unlink(missing_ok=change != "added")
    if change != "removed":
        (folder / ("a" if change == "edited" else "c")).write_text("other")
    if change == "added":
        (folder / "a").write_text("a")
    with pytest.raises(Refused, match=r"bundle was changed: it differs from bundle\.dvc"):
        bench.release()
    bench.track("bundle")
    bench.commit()
    assert bench.release() == "1.0.0"


def test_a_remote_that_an_output_names_is_pushed_to(bench: Workbench) -> None:
    bench.dvc("remote", "default", "--unset")
    pointer = bench.repo / "models/churn/model.bin.dvc"
    pointer.write_text(pointer.read_text() + "  remote: store\n")
    bench.commit()
    released = bench.manager.release()
    assert (released.pushed_objects, released.warnings) == (1, ())
    assert _remote_object(bench, "model 1\n").is_file()


def test_an_object_that_is_cut_short_in_the_remote_is_pushed_again(bench: Workbench) -> None:
    bench.dvc("push", "--quiet")
    remote = _remote_object(bench, "model 1\n")
    remote.chmod(0o644)
    remote.write_bytes(b"")
    remote.chmod(0o444)
    assert bench.manager.release().pushed_objects == 1
    assert remote.read_text() == "model 1\n"


def test_a_pointer_of_git_lfs_is_not_released_as_a_model(bench: Workbench) -> None:
    (bench.repo / "model.bin").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
    )
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: model.bin\n")
    bench.commit()
    with pytest.raises(Corrupt, match=r"model\.bin is kept by Git LFS"):
        bench.release()


def test_a_model_that_dvc_linked_to_its_cache_is_released(bench: Workbench) -> None:
    bench.dvc("config", "cache.type", "symlink")
    (bench.repo / "models/churn/model.bin").write_text("model 2\n")
    bench.dvc("add", "--quiet", "models/churn/model.bin")
    bench.commit()
    assert (bench.repo / "models/churn/model.bin").is_symlink()
    assert bench.release() == "1.0.0"


def test_an_output_that_git_keeps_is_released(bench: Workbench) -> None:
    (bench.repo / "source.txt").write_text("first\n")
    uncached = PIPELINE.replace("outs: [out.bin]", "outs: [{out.bin: {cache: false}}]")
    (bench.repo / "dvc.yaml").write_text(uncached)
    bench.dvc("repro", "--quiet")
    bench.commit()
    bench.ship()
    assert (bench.current / "out.bin").read_text() == "first\n"
    assert [stage["stage"] for stage in bench.manager.show().lineage] == ["train"]


def test_a_release_on_a_machine_that_never_deployed_finds_what_the_remote_has(
    bench: Workbench,
) -> None:
    (bench.repo / "bundle").mkdir()
    (bench.repo / "bundle/a").write_text("a")
    (bench.repo / "dvc.yaml").write_text("artifacts:\n  churn:\n    path: bundle\n")
    bench.track("bundle")
    bench.commit()
    bench.dvc("push", "--quiet")
    run(bench.repo, "rm", "-rf", ".dvc/cache", "bundle")
    assert bench.release() == "1.0.0"
    assert not (bench.folder / ".tagship").exists()


def test_a_bump_that_is_none_is_told(bench: Workbench) -> None:
    with pytest.raises(InvalidName) as caught:
        bench.manager.release(bump="prerelease")
    assert caught.value.message == "there is no bump 'prerelease'"
    assert caught.value.hint == "there are: minor, major, patch"


def test_a_lock_that_a_killed_git_left_is_named_with_the_command_that_removes_it(
    bench: Workbench,
) -> None:
    lock = bench.repo / ".git/refs/tags/churn@v1.0.0.lock"
    lock.touch()
    done = bench.cli("release", "churn")
    assert (done.code, done.err) == (
        1,
        f"error: git: cannot lock ref 'refs/tags/churn@v1.0.0': Unable to create '{lock}':"
        f" File exists.\nhint: if no git command is running, remove its stale lock: rm {lock}\n",
    )
    lock.unlink()
    assert bench.release() == "1.0.0"
