"""Trials of hints that need more of a situation: processes, disks, extras, other machines."""
# mypy: disable-error-code="func-returns-value"
# a lambda that does two things is a pair of what they return

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tagship import ModelVersionManager, SelfTestFailed, Workspace, notebook
from tagship.host import active
from tagship.host.store import Store
from tests.hints.cases_registry import DEMAND, allow, configure, home, key, sign_with
from tests.hints.cases_surfaces import in_process, modelled, nothing, train_catboost
from tests.hints.trials import edit, edit_and_commit, trial, write
from tests.workbench import PATH, Workbench

DEPLOY = "deploy churn --yes"

# --- deploy, cleanup, undeploy


@trial(
    "deploy.act.interruptible",
    command=lambda b: b.manager.deploy_model(b.repo / "new.bin"),
    does="tagship deploy churn@1.0.0",
    again="current churn",
)
def an_interrupt_of_a_deploy(bench: Workbench) -> None:
    deploy = ModelVersionManager.deploy
    struck: list[bool] = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if not struck:
            struck.append(True)
            raise KeyboardInterrupt
        return deploy(*arguments, **options)

    write(bench, "new.bin", "new\n")
    bench.monkeypatch.setattr(ModelVersionManager, "deploy", interrupted)


@trial("deploy.plan.check_kept", command="rollback churn --yes", does="git fetch --tags")
def a_rollback_without_the_signed_tag(bench: Workbench) -> None:
    key(bench, "ada")
    allow(bench, "ada")
    sign_with(bench, "ada")
    configure(bench, DEMAND)
    bench.ship()
    bench.ship("model 2\n")
    bench.git("push", "--quiet", "origin", "--tags")
    bench.git("tag", "--delete", "churn@v1.0.0")


readers = contextlib.ExitStack()


@trial(
    "deploy.undeploy._check_unused/2",
    command="undeploy churn --yes",
    base="shipped",
    does="ps -fp ...",
    by=lambda _: readers.close(),
    loses="live",
)
def a_version_in_use(bench: Workbench) -> None:
    file = bench.current.resolve() / "model.bin"
    process = subprocess.Popen(["sh", "-c", "read x"], stdin=subprocess.PIPE, cwd=file.parent)
    readers.callback(process.wait)
    readers.callback(process.kill)


@trial(
    "deploy.undeploy._check_shown",
    does="tagship undeploy churn --dry-run",
    base="shipped",
    again="",
)
def more_to_undeploy_than_was_shown(bench: Workbench) -> Callable[[Workbench], object]:
    plan = bench.manager.undeploy(dry_run=True)
    bench.ship("model 3\n")
    return lambda b: b.manager.undeploy(plan=plan)


@trial(
    "deploy.cleanup._check_shown", does="tagship cleanup churn --dry-run", base="shipped", again=""
)
def more_to_clean_up_than_was_shown(bench: Workbench) -> Callable[[Workbench], object]:
    bench.ship("model 3\n")
    plan = bench.manager.cleanup_old_versions(keep=1, dry_run=True)
    bench.ship("model 4\n")
    return lambda b: b.manager.cleanup_old_versions(keep=1, plan=plan)


@trial(
    "disk.capacity.make_room",
    command="deploy churn@1.2.0 --yes",
    base="shipped",
    does="tagship cleanup churn",
    again="",
)
def no_room(bench: Workbench) -> None:
    bench.train("model 3\n")
    edit_and_commit(f"{PATH}.dvc", "size: 8", f"size: {10**16}")(bench)
    bench.git("tag", "--annotate", "churn@v1.2.0", "--message", "by GTO")
    shutil.rmtree(bench.repo / ".dvc/cache/files")


@trial("inspect.status._history_findings/2", command="status churn", base="shipped")
def a_run_cut_short(bench: Workbench) -> None:
    close = Store.close_intent
    bench.monkeypatch.setattr(Store, "close_intent", nothing)
    bench.manager.deploy("1.1.0", force=True)
    bench.monkeypatch.setattr(Store, "close_intent", close)


# --- other machines


def elsewhere(bench: Workbench) -> None:
    """Another machine has the objects: this one has not."""
    bench.manager.release(push=True)
    (bench.repo / ".dvc/cache/files").rename(bench.repo.parent / "elsewhere")


def on_the_other(bench: Workbench) -> None:
    """The other machine pushes what it has."""
    shutil.copytree(
        bench.repo.parent / "elsewhere", bench.repo / ".dvc/cache/files", dirs_exist_ok=True
    )
    bench.dvc("push", "--quiet", "--all-tags")
    shutil.rmtree(bench.repo / ".dvc/cache/files")


def remove_and_push(bench: Workbench) -> None:
    shutil.rmtree(bench.repo / "../dvc-remote/files")
    on_the_other(bench)


@trial("dvc.remote._Remotes.missing/3", command=DEPLOY, does="dvc push --all-tags", by=on_the_other)
def an_object_that_the_remote_lacks(bench: Workbench) -> None:
    elsewhere(bench)
    shutil.rmtree(bench.repo / "../dvc-remote/files")
    (bench.repo / PATH).unlink()


def on_the_other_to_the_new_one(bench: Workbench) -> None:
    """It has the objects, and its old tags have the old address."""
    shutil.copytree(
        bench.repo.parent / "elsewhere", bench.repo / ".dvc/cache/files", dirs_exist_ok=True
    )
    bench.dvc("push", "--quiet", "--all-tags")
    moved = [path for path in (bench.repo.parent / "moved").rglob("*") if path.is_file()]
    assert len(moved) == 1  # that of HEAD: the tag's went to where the remote was
    bench.dvc("remote", "add", "--quiet", "--local", "moved", str(bench.repo.parent / "moved"))
    bench.dvc("push", "--quiet", "--all-tags", "--remote", "moved")
    shutil.rmtree(bench.repo / ".dvc/cache/files")


@trial(
    "dvc.remote._Remotes.missing/3",
    command=DEPLOY,
    does="dvc remote add --local moved URL && dvc push --all-tags --remote moved",
    by=on_the_other_to_the_new_one,
)
def an_object_that_was_pushed_to_where_the_remote_was(bench: Workbench) -> None:
    bench.manager.release(push=True)
    bench.train("model 2\n")
    (bench.repo.parent / "moved").mkdir()
    bench.dvc("remote", "modify", "--quiet", "store", "url", str(bench.repo.parent / "moved"))
    bench.commit()
    (bench.repo / ".dvc/cache/files").rename(bench.repo.parent / "elsewhere")
    (bench.repo / PATH).unlink()


@trial(
    "dvc.remote.push_again",
    command=DEPLOY,
    does="remove ..., then push it",
    by=remove_and_push,
)
def a_bad_object_in_the_remote(bench: Workbench) -> None:
    elsewhere(bench)
    for file in (bench.repo / "../dvc-remote/files").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_text("damaged\n")
    (bench.repo / PATH).unlink()


@trial(
    "dvc.remote._not_here",
    command=DEPLOY,
    does="dvc remote modify --local store url URL",
    fill={"URL": "../moved"},
)
def a_remote_that_is_a_folder_of_another_machine(bench: Workbench) -> None:
    elsewhere(bench)
    (bench.repo / "../dvc-remote").rename(bench.repo.parent / "moved")
    (bench.repo / PATH).unlink()


@trial(
    "dvc.remote.Remote.push",
    command="release churn --push",
    does="dvc commit models/churn/model.bin",
)
def an_object_that_nobody_has(bench: Workbench) -> None:
    shutil.rmtree(bench.repo / ".dvc/cache/files")


@trial(
    "dvc.remote._Remotes.missing/2",
    command=DEPLOY,
    does="deploy it on the machine",
    by=lambda b: (b.repo.parent / "elsewhere").rename(b.repo / ".dvc/cache/files"),
)
def a_version_that_may_not_be_pushed(bench: Workbench) -> None:
    edit_and_commit(f"{PATH}.dvc", "  hash: md5\n", "  hash: md5\n  push: false\n")(bench)
    bench.git("tag", "--annotate", "churn@v1.0.0", "--message", "by GTO")
    (bench.repo / ".dvc/cache/files").rename(bench.repo.parent / "elsewhere")
    (bench.repo / "../dvc-remote").mkdir(exist_ok=True)


@trial(
    "dvc.remote._as_ours",
    command="release churn --push",
    does='pip install "tagship[s3]"',
    by=lambda b: [b.monkeypatch.delitem(sys.modules, name) for name in ("s3fs", "obstore")],
    then="DVC",
)
def an_extra_of_dvc_that_is_missing(bench: Workbench) -> None:
    edit(".dvc/config", "url = ../../dvc-remote", "url = s3://bucket/x")(bench)
    bench.commit()
    for name in ("s3fs", "obstore"):
        bench.monkeypatch.setitem(sys.modules, name, None)


# --- Git


@trial(
    "git.run.find/2",
    command="models",
    folder="../new",
    does="git clone ... FOLDER",
    fill={"FOLDER": "../clone"},
    again="-C ../clone models",
)
def git_dir_in_the_environment(bench: Workbench) -> None:
    (bench.repo.parent / "new").mkdir()
    bench.monkeypatch.setenv("GIT_DIR", str(bench.repo / ".git"))


@trial(
    "git.run.find/3",
    command="models",
    does="sha1",
    by=lambda b: (shutil.rmtree(b.repo / ".git"), b.git("init", "--quiet"), b.commit()),
)
def a_repository_with_other_objects(bench: Workbench) -> None:
    shutil.rmtree(bench.repo / ".git")
    bench.git("init", "--quiet", "--object-format=sha256")


def without_git(bench: Workbench) -> None:
    with bench.monkeypatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        Workspace(bench.repo).models()


@trial(
    "git.run.not_installed",
    command=without_git,
    does="install it first",
    by=nothing,
    again="models",
)
def no_git(_: Workbench) -> None: ...


@trial(
    "host.settings._init",
    command="current churn",
    folder="../new",
    does="git init && dvc init",
    then="no version of churn is live",
)
def no_repository_for_who_only_reads(bench: Workbench) -> None:
    (bench.repo.parent / "new").mkdir()


@trial(
    "host.settings._elsewhere",
    command="status churn",
    base="shipped",
    folder="../copied",
    does="TAGSHIP_ROOT=... tagship current MODEL",
    fill={"MODEL": "churn"},
    shell=True,
    again="",
)
def a_copied_folder_of_models(bench: Workbench) -> None:
    shutil.copytree(bench.repo / "models", bench.repo.parent / "copied", symlinks=True)


# --- the rest


@trial(
    "host.active._of_pipeline",
    "host.active._fallback",
    command=lambda b: active.load("churn", b.repo),
    does="tagship deploy churn",
)
def nothing_live_and_nothing_here(bench: Workbench) -> None:
    edit("dvc.yaml", PATH, "models/churn/model.cbm")(bench)
    train_catboost(bench)
    (bench.folder / "model.cbm").unlink()


@trial(
    "inspect.compare._before",
    command="compare churn",
    does="tagship release churn",
    by=lambda b: b.ship("model 2\n"),
)
def nothing_to_compare_with(bench: Workbench) -> None:
    bench.ship()


@trial(
    "export.formats.write",
    command="export churn --format mlflow",
    does="tagship deploy churn@1.0.0 --force",
)
def an_architecture_that_was_edited(bench: Workbench) -> None:
    edit("dvc.yaml", PATH, "models/churn/model.cbm")(bench)
    train_catboost(bench)
    bench.manager.deploy()
    file = bench.current.resolve() / "metadata.json"
    file.chmod(0o644)
    text = file.read_text()
    place = text.index('"features": [')
    file.write_text(text[:place] + '"features": 3, "x": [' + text[place + len('"features": [') :])


@trial(
    "report.page.write/4",
    command="report churn -o /proc/report.html",
    base="shipped",
    does="with -o FILE",
    by=lambda _: None,
    again="report churn -o other.html",
)
def a_report_that_cannot_be_written(_: Workbench) -> None: ...


@trial(
    "signing.keys._private/2",
    command="release churn",
    does="ls -l ...",
    again=lambda b: (configure(b, ""), b.release()),
)
def a_signing_key_that_is_a_folder(bench: Workbench) -> None:
    (home(bench) / "ada").mkdir()
    configure(bench, 'signing_key = "ada"\n')


@trial(
    "text.paths.check_path",
    command="release churn --force",
    does="rename it and release again",
    by=lambda b: (
        (b.repo / "models/churn/data/a\nb").rename(b.repo / "models/churn/data/ab"),
        b.dvc("add", "--quiet", "models/churn/data"),
        b.commit(),
    ),
)
def a_file_of_a_bad_name(bench: Workbench) -> None:
    (bench.repo / f"{PATH}.dvc").unlink()
    edit("dvc.yaml", PATH, "models/churn/data")(bench)
    write(bench, "models/churn/data/a\nb", "a\n")
    bench.track("models/churn/data")
    bench.commit()


@trial(
    "loaders.archive.check",
    command=DEPLOY,
    does="train and release it again",
    by=lambda b: (edit("dvc.yaml", "model.keras", "model.cbm")(b), train_catboost(b)),
)
def a_damaged_archive(bench: Workbench) -> None:
    in_process(bench)
    modelled(bench, "model.keras", b"PK\x03\x04damaged")


def cell(bench: Workbench) -> object:
    return notebook.deploy("churn", confirm=True, start=bench.repo)


def failing(bench: Workbench, hint: str) -> None:
    def fail(_: object, *__: object) -> None:
        raise SelfTestFailed("model.bin does not answer", hint)

    bench.monkeypatch.setattr(ModelVersionManager, "self_test", fail)


@trial(
    "notebook._carry_out",
    command=cell,
    base="shipped",
    does="tagship rollback churn",
    again="current churn",
)
def a_cell_whose_model_fails(bench: Workbench) -> None:
    failing(bench, "")
    bench.release("model 3\n")


@trial(
    "notebook._carry_out/2",
    command=cell,
    base="shipped",
    does="tagship rollback churn",
    again="current churn",
)
def a_cell_whose_model_fails_with_a_hint(bench: Workbench) -> None:
    failing(bench, "train and release it again")
    bench.release("model 3\n")


@trial(
    "notebook._widgets",
    command=lambda _: notebook._widgets(),
    does='pip install "tagship[notebook]"',
    by=lambda b: b.monkeypatch.delitem(sys.modules, "ipywidgets"),
)
@trial(
    "notebook._widgets",
    command=lambda _: notebook._widgets(),
    does="say confirm=True",
    by=lambda b: b.release(),
    again=cell,
)
def no_buttons(bench: Workbench) -> None:
    bench.monkeypatch.setitem(sys.modules, "ipywidgets", None)


# --- errors of the operating system: the error itself is raised, and its command run


def fails(number: int) -> Callable[[Workbench], object]:
    def command(bench: Workbench) -> None:
        raise OSError(number, os.strerror(number), str(bench.repo / "README"))

    return command


@trial("errors.hint_of", command=fails(errno.EACCES), does="namei -l ...", again="")
@trial("errors.hint_of/3", command=fails(errno.EROFS), does="findmnt --target ...", again="")
@trial("errors.hint_of/4", command=fails(errno.ENOTDIR), does="namei -l ...", again="")
@trial("errors.hint_of/5", command=fails(errno.EISDIR), does="ls -ld ...", again="")
@trial("errors.hint_of/6", command=fails(errno.ELOOP), does="namei -l ...", again="")
@trial("errors.hint_of/8", command=fails(errno.EMFILE), does="ulimit -n 4096", again="")
@trial("errors.hint_of/11", command=fails(errno.ESTALE), does="findmnt --target ...", again="")
@trial("errors.hint_of/12", command=fails(errno.EDOM), does="tagship status", again="")
def an_error_of_the_system(bench: Workbench) -> None:
    bench.ship()
