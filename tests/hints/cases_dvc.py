"""Trials of the hints of ``dvc``: what DVC and Git keep of a model."""
# mypy: disable-error-code="func-returns-value"
# a lambda that does two things is a pair of what they return

import fcntl
import json
import os
import shutil

from tests.hints.cases_release import piped
from tests.hints.trials import edit, edit_and_commit, trial, write
from tests.workbench import PATH, Workbench

STORED = "../dvc-remote"


def without_remote(bench: Workbench) -> None:
    bench.dvc("remote", "remove", "store", "--quiet")
    bench.commit()


def empty_cache(bench: Workbench) -> None:
    shutil.rmtree(bench.repo / ".dvc/cache/files")


def committed(bench: Workbench) -> None:
    bench.commit()


# --- the cache


@trial(
    "dvc.content.Content.check_cached",
    command="release churn",
    does="dvc commit models/churn/model.bin",
)
def nothing_in_the_cache(bench: Workbench) -> None:
    without_remote(bench)
    empty_cache(bench)


@trial("dvc.cache.bad_object", command="release churn")
def a_bad_object_in_the_cache(bench: Workbench) -> None:
    without_remote(bench)
    file = next(f for f in (bench.repo / ".dvc/cache/files").rglob("*") if f.is_file())
    file.chmod(0o644)
    file.write_text("damaged\n")
    file.chmod(0o444)  # DVC trusts it


@trial(
    "dvc.content._lost",
    command="deploy churn --yes",
    does="dvc push from a machine that has them",
    by=lambda b: (write(b, PATH, "model 1\n"), b.track(PATH), b.dvc("push", "--quiet")),
)
def a_bad_object_that_the_remote_lacks(bench: Workbench) -> None:
    bench.manager.release(push=True)
    shutil.rmtree(bench.repo / STORED)
    (bench.repo / PATH).unlink()
    file = next(f for f in (bench.repo / ".dvc/cache/files").rglob("*") if f.is_file())
    file.chmod(0o644)
    file.write_text("damaged\n")


# --- folders


FOLDER = "models/churn/data"


def folder(bench: Workbench) -> None:
    write(bench, f"{FOLDER}/a.bin", "a\n")
    (bench.repo / "models/churn/model.bin.dvc").unlink()
    edit("dvc.yaml", PATH, FOLDER)(bench)
    bench.track(FOLDER)
    bench.commit()


@trial(
    "dvc.content._not_in",
    command="release churn",
    does="dvc add models/churn/data",
    by=lambda b: (write(b, f"{FOLDER}/a.bin", "a\n"), b.dvc("add", "--quiet", FOLDER), b.commit()),
)
def an_empty_folder(bench: Workbench) -> None:
    folder(bench)
    (bench.repo / FOLDER / "a.bin").unlink()
    bench.dvc("add", "--quiet", FOLDER)
    bench.commit()


@trial(
    "dvc.content._not_in/2",
    command="release churn",
    does="put it there...dvc add ...,",
    by=lambda b: (write(b, f"{FOLDER}/b.bin", "b\n"), b.dvc("add", "--quiet", FOLDER), b.commit()),
)
@trial(
    "dvc.content._not_in/2",
    command="release churn",
    does="fix its path in dvc.yaml",
    by=edit_and_commit("dvc.yaml", "b.bin", "a.bin"),
)
def a_file_that_the_folder_lacks(bench: Workbench) -> None:
    folder(bench)
    edit("dvc.yaml", FOLDER, f"{FOLDER}/b.bin")(bench)
    bench.commit()


def list_of(bench: Workbench, text: str) -> None:
    """Another list of the folder's files, with its own digest."""
    import hashlib

    digest = hashlib.md5(text.encode()).hexdigest()
    write(bench, f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}.dir", text)
    old = next(
        line for line in (bench.repo / f"{FOLDER}.dvc").read_text().splitlines() if "md5:" in line
    )
    edit(f"{FOLDER}.dvc", old, f"- md5: {digest}.dir")(bench)
    bench.commit()


def add_again(bench: Workbench) -> None:
    bench.dvc("add", "--quiet", FOLDER)
    bench.commit()


@trial(
    "dvc.content._track_again",
    command="release churn --force",
    does="dvc add models/churn/data",
    by=add_again,
)
def a_list_that_cannot_be_read(bench: Workbench) -> None:
    folder(bench)
    list_of(bench, "[1]")


@trial(
    "dvc.content._track_again",
    command="deploy churn --yes",
    does="dvc add models/churn/data",
    by=lambda b: (add_again(b), b.release()),
)
def a_list_that_names_a_file_twice(bench: Workbench) -> None:
    folder(bench)
    entry = {"md5": "60b725f10c9c85c70d97880dfe8191b3", "relpath": "a.bin"}
    list_of(bench, json.dumps([entry, entry]))
    bench.git("tag", "--annotate", "churn@v1.0.0", "--message", "by GTO")


# --- who tracks it


@trial(
    "dvc.pointers.find_out",
    command="release churn",
    does="dvc add models/churn/model.bin",
    again=lambda b: b.commit() and b.release(),
)
def a_model_that_nobody_tracks(bench: Workbench) -> None:
    (bench.repo / f"{PATH}.dvc").unlink()
    bench.commit()


@trial(
    "dvc.pointers._check_whole", command="release churn", again=lambda b: b.commit() and b.release()
)
def a_folder_tracked_in_parts(bench: Workbench) -> None:
    (bench.repo / f"{PATH}.dvc").unlink()
    (bench.repo / PATH).unlink()
    (bench.folder / ".gitignore").unlink()
    edit("dvc.yaml", PATH, FOLDER)(bench)
    write(bench, f"{FOLDER}/a.bin", "a\n")
    bench.track(f"{FOLDER}/a.bin")
    bench.commit()


@trial(
    "dvc.pointers._check_whole/2",
    command="release churn",
    does="make it one output...repro",
    by=lambda b: (
        edit("dvc.yaml", "[models/churn/data/a.bin]", "[models/churn/data]")(b),
        b.git("rm", "-r", "--cached", FOLDER),
        b.dvc("repro", "--quiet"),
        b.commit(),
    ),
)
def a_folder_that_a_stage_writes_in_parts(bench: Workbench) -> None:
    (bench.repo / f"{PATH}.dvc").unlink()
    write(
        bench,
        "dvc.yaml",
        "stages:\n  train:\n    cmd: mkdir -p models/churn/data && echo a >"
        " models/churn/data/a.bin\n    outs: [models/churn/data/a.bin]\n"
        f"artifacts:\n  churn: {{path: {FOLDER}}}\n",
    )
    bench.dvc("repro", "--quiet")
    bench.commit()


@trial(
    "dvc.pointers._in_dvc_file",
    command="release churn",
    does="rm ...model.bin.dvc && dvc add models/churn/model.bin",
    again=lambda b: b.commit() and b.release(),
)
def a_dvc_file_of_another_form(bench: Workbench) -> None:
    write(bench, f"{PATH}.dvc", "outs: [1]\n")
    bench.commit()


@trial(
    "dvc.pointers._cached",
    command="release churn",
    does="fix models/churn/model.bin.dvc",
    by=edit_and_commit(f"{PATH}.dvc", "size: -8", "size: 8"),
)
def a_dvc_file_with_a_size_below_zero(bench: Workbench) -> None:
    edit_and_commit(f"{PATH}.dvc", "size: 8", "size: -8")(bench)


@trial(
    "dvc.pointers._blobs",
    command="release churn",
    does="put a regular file in its place",
    by=lambda b: ((b.repo / "m.bin").unlink(), write(b, "m.bin", "m\n"), b.commit()),
)
def a_model_that_is_a_link(bench: Workbench) -> None:
    edit("dvc.yaml", PATH, "m.bin")(bench)
    (bench.repo / "m.bin").symlink_to("README")
    bench.commit()


@trial(
    "dvc.snapshot.snapshot",
    command="show churn@1.1.0",
    does="tagship list churn",
    again="show churn@1.0.0",
)
def a_version_whose_commit_declares_no_such_model(bench: Workbench) -> None:
    bench.release()
    edit_and_commit("dvc.yaml", "churn:", "other:")(bench)
    bench.git("tag", "--annotate", "churn@v1.1.0", "--message", "by GTO")


@trial(
    "dvc.snapshot.check_names",
    command="release churn",
    does="rename the file of the self-test, and its path in dvc.yaml",
    by=lambda b: (
        b.git("mv", "test/model.bin", "test/test.json"),
        edit_and_commit("dvc.yaml", "test/model.bin", "test/test.json")(b),
    ),
)
def a_self_test_of_the_same_name(bench: Workbench) -> None:
    write(bench, "test/model.bin", "{}\n")
    edit_and_commit("dvc.yaml", "type: model", "meta: {self_test: test/model.bin}")(bench)


@trial(
    "dvc.snapshot.check_names/2",
    command="release churn",
    does="rename that file, and its path in dvc.yaml",
    by=lambda b: (
        b.git("mv", "metadata.json", "m.json"),
        edit_and_commit("dvc.yaml", "metadata.json", "m.json")(b),
    ),
)
def a_file_of_a_name_of_ours(bench: Workbench) -> None:
    write(bench, "metadata.json", "{}\n")
    edit_and_commit("dvc.yaml", PATH, "metadata.json")(bench)


# --- dvc.yaml, dvc.lock, templates


@trial(
    "dvc.pipeline._pipeline",
    command="release churn",
    does="fix dvc.yaml and commit it",
    by=edit_and_commit("dvc.yaml", "stages: [1]", "stages: {}"),
)
def stages_that_are_a_list(bench: Workbench) -> None:
    edit_and_commit("dvc.yaml", "artifacts:", "stages: [1]\nartifacts:")(bench)


@trial(
    "dvc.stages.read",
    command="release churn",
    does="rm dvc.lock && dvc repro",
    again=lambda b: b.commit() and b.release(),
)
def a_lock_of_another_form(bench: Workbench) -> None:
    piped(bench)
    write(bench, "dvc.lock", "schema: '2.0'\nstages: [1]\n")
    bench.commit()


@trial(
    "dvc.resolver.Resolver._guarded",
    command="release churn",
    does="fix dvc.yaml and commit it",
    by=edit_and_commit("dvc.yaml", "${nowhere}", PATH),
)
def a_template_that_nothing_fills(bench: Workbench) -> None:
    edit_and_commit("dvc.yaml", PATH, "${nowhere}")(bench)


@trial(
    "dvc.values.parse",
    command="release churn",
    does="fix metrics.json and commit it",
    by=edit_and_commit("metrics.json", "{", '{"accuracy": 0.5}'),
)
def metrics_that_are_no_json(bench: Workbench) -> None:
    edit_and_commit("metrics.json", '{"accuracy": 0.75}', "{")(bench)


@trial(
    "dvc.repo",
    command="release churn",
    does="fix it, until dvc status works",
    by=edit_and_commit("dvc.yaml", "    nonsense: 1\n", ""),
)
@trial(
    "dvc.repo",
    command="release churn",
    does="with --force",
    by=lambda _: None,
    again="release churn --force",
)
def a_stage_that_dvc_cannot_load(bench: Workbench) -> None:
    piped(bench)
    edit_and_commit("dvc.yaml", "artifacts:", "    nonsense: 1\nartifacts:")(bench)


@trial("dvc.repo.opened", command="release churn", does="rm ...")
def a_record_of_running_processes_that_is_damaged(bench: Workbench) -> None:
    write(bench, ".dvc/tmp/rwlock", "{")


@trial(
    "dvc.repo._locked",
    command="release churn",
    does="wait until it has ended",
    by=lambda b: os.close(int((b.repo.parent / "descriptor").read_text())),
)
def dvc_in_use(bench: Workbench) -> None:
    write(bench, ".dvc/tmp/lock", "")
    descriptor = os.open(bench.repo / ".dvc/tmp/lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    fcntl.lockf(descriptor, fcntl.LOCK_EX)
    (bench.repo.parent / "descriptor").write_text(str(descriptor))


@trial(
    "dvc.repo.add",
    command=lambda b: b.manager.deploy_model(b.repo / "new.bin"),
    does="dvc add ...",
    by=lambda b: (b.repo / ".dvcignore").write_text(""),
)
def a_file_that_dvc_does_not_take(bench: Workbench) -> None:
    write(bench, "new.bin", "new\n")
    write(bench, ".dvcignore", "*.bin\n")
    bench.commit()


# --- configuration


@trial(
    "dvc.config.unreadable",
    command="release churn",
    does="fix .dvc/config",
    by=edit_and_commit(".dvc/config", "[core", "[core]"),
)
def a_configuration_that_is_none(bench: Workbench) -> None:
    edit_and_commit(".dvc/config", "[core]", "[core")(bench)


@trial(
    "dvc.config.unreadable",
    command="release churn",
    does="fix .dvc/config.local",
    by=lambda b: (b.repo / ".dvc/config.local").unlink(),
)
def a_local_configuration_that_is_none(bench: Workbench) -> None:
    write(bench, ".dvc/config.local", "[core\n")


@trial("dvc.config._unset/2", command="release churn")
def a_local_option_of_the_former_kind_of_remote(bench: Workbench) -> None:
    write(bench, ".dvc/config.local", "['remote \"store\"']\n    endpointurl = http://x:9000\n")


@trial("dvc.config._unset/2", command="release churn")
def an_option_that_its_remote_does_not_have(bench: Workbench) -> None:
    with open(bench.repo / ".dvc/config", "a") as config:
        config.write("    region = x\n")


@trial("dvc.config._unset", command="release churn")
def local_options_of_the_former_kind_of_remote(bench: Workbench) -> None:
    options = "    endpointurl = http://x:9000\n    profile = models\n"
    write(bench, ".dvc/config.local", f"['remote \"store\"']\n{options}")


@trial(
    "dvc.config.unreadable",
    command="release churn",
    does="fix .../config",
    by=lambda b: (b.repo.parent / "home/config").unlink(),
)
def a_configuration_of_the_host_that_is_none(bench: Workbench) -> None:
    (bench.repo.parent / "home/config").write_text("[core]\nnonsense = 1\n")


@trial("dvc.config.check_local", command="release churn")
def a_local_configuration_in_git(bench: Workbench) -> None:
    write(bench, ".dvc/config.local", "[core]\n")
    bench.git("add", "--force", ".dvc/config.local")
    bench.commit()


@trial(
    "dvc.routing.Routes.of",
    command="release churn",
    does="dvc remote add gone URL",
    fill={"URL": STORED},
    again=lambda b: b.commit() and b.release(),
)
def a_remote_that_is_none(bench: Workbench) -> None:
    edit_and_commit(".dvc/config", "remote = store", "remote = gone")(bench)


@trial(
    "dvc.routing.Routes._no_default",
    command="release churn --push",
    does="dvc remote add -d NAME URL",
    fill={"NAME": "store", "URL": STORED},
    again=lambda b: b.commit() and b.manager.release(push=True),
)
def no_remote(bench: Workbench) -> None:
    without_remote(bench)


@trial(
    "dvc.routing.Routes._no_default/2",
    command="release churn --push",
    again=lambda b: b.commit() and b.manager.release(push=True),
)
def no_default_remote(bench: Workbench) -> None:
    bench.dvc("remote", "default", "--unset", "--quiet")
    bench.commit()


@trial(
    "dvc.routing.Routes.check_push",
    command="release churn",
    does="remove push: false from models/churn/model.bin.dvc and commit it",
    by=edit_and_commit(f"{PATH}.dvc", "  push: false\n", ""),
)
def an_output_that_may_not_be_pushed(bench: Workbench) -> None:
    edit_and_commit(f"{PATH}.dvc", "  hash: md5\n", "  hash: md5\n  push: false\n")(bench)


@trial(
    "dvc.credentials._naming",
    command="release churn --push",
    does="dvc remote modify ...",
    then="DVC",
)
def a_remote_that_would_get_credentials(bench: Workbench) -> None:
    edit(
        ".dvc/config",
        "url = ../../dvc-remote",
        "url = s3://bucket/x\n    endpointurl = http://127.0.0.1:9",
    )(bench)
    bench.commit()


# --- freshness


@trial(
    "dvc.freshness.ask",
    command="release churn",
    does="git clone ...",
    fill={},
    by=lambda b: b.git("clone", "--quiet", str(b.repo), "../clone"),
    again="",
)
def a_bare_repository(bench: Workbench) -> None:
    write(
        bench,
        ".git/config",
        (bench.repo / ".git/config").read_text().replace("bare = false", "bare = true"),
    )


@trial("dvc.freshness._check_submodules", command="release churn")
def a_submodule_that_is_not_checked_out(bench: Workbench) -> None:
    bench.git("config", "--global", "protocol.file.allow", "always")
    bench.git("init", "--quiet", "../code")
    top = str(bench.repo.parent / "code")
    write(bench, "../code/train.txt", "t\n")
    bench.git("-C", top, "add", "--all")
    bench.git("-C", top, "commit", "--quiet", "--message", "Code")
    bench.git("submodule", "--quiet", "add", top, "code")
    (bench.repo / f"{PATH}.dvc").unlink()
    write(
        bench,
        "dvc.yaml",
        "stages:\n  train:\n    cmd: cat code/train.txt > out.bin\n"
        "    deps: [code/train.txt]\n    outs: [out.bin]\nartifacts:\n  churn: {path: out.bin}\n",
    )
    bench.dvc("repro", "--quiet")
    bench.commit()
    bench.git("submodule", "--quiet", "deinit", "--force", "code")
