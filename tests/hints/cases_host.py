"""Trials of the hints of ``deploy``, ``host``, ``disk``, ``git``, and of ``status``."""
# mypy: disable-error-code="func-returns-value"
# a lambda that does two things is a pair of what they return

import contextlib
import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from tagship.deploy import check
from tagship.deploy.plan import Plan
from tagship.errors import FailedHere, SelfTestFailed
from tagship.host import journal
from tagship.host.journal import Intent
from tagship.loaders import selftest
from tagship.manager import demo
from tagship.text import clock
from tests.hints.cases_surfaces import nothing
from tests.hints.trials import edit, remove_tree, trial, write
from tests.workbench import Workbench, run

STATUS = "status churn"
opened = contextlib.ExitStack()  # locks that a trial holds


def versions(bench: Workbench) -> Path:
    return bench.folder / "versions"


def live(bench: Workbench) -> Path:
    """The live version's directory."""
    return bench.current.resolve()


def unseal(bench: Workbench) -> None:
    for folder in (versions(bench), *versions(bench).iterdir()):
        folder.chmod(0o755)


# --- the link


@trial("inspect.status._link_findings", command=STATUS)
def nothing_deployed(bench: Workbench) -> None:
    bench.release()


@trial("inspect.status._link_findings/2", command=STATUS, base="shipped")
def the_link_is_gone(bench: Workbench) -> None:
    bench.current.unlink()


@trial("inspect.status._link_findings/3", command=STATUS, base="shipped")
def a_folder_in_place_of_the_link(bench: Workbench) -> None:
    bench.current.unlink()
    bench.current.mkdir()


@trial(
    "host.store.Store.own_link",
    command="deploy churn@1.0.0 --yes",
    base="shipped",
    does="mv ...",
    again="deploy churn@1.0.0 --yes",
)
def a_folder_in_place_of_the_link_at_a_deploy(bench: Workbench) -> None:
    bench.current.unlink()
    bench.current.mkdir()


@trial("inspect.status._link_findings/4", command=STATUS, base="shipped")
def a_link_to_elsewhere(bench: Workbench) -> None:
    bench.current.unlink()
    bench.current.symlink_to("../../README")


@trial(
    "host.store.Store.own_link/2", command="deploy churn@1.0.0 --yes", base="shipped", does="rm ..."
)
def a_link_to_elsewhere_at_a_deploy(bench: Workbench) -> None:
    bench.current.unlink()
    bench.current.symlink_to("../../README")


@trial("inspect.status._link_findings/5", command=STATUS, base="shipped")
@trial("host.metadata.again", command="current churn", base="shipped")
def the_live_directory_is_gone(bench: Workbench) -> None:
    folder = live(bench)
    versions(bench).chmod(0o755)
    remove_tree(folder)


@trial("inspect.status._link_findings/2", command=STATUS, base="shipped")
@trial("host.metadata.again/2", command="current churn", base="shipped")
def the_live_directory_is_gone_and_not_of_ours(bench: Workbench) -> None:
    bench.current.unlink()
    bench.current.symlink_to("versions/v1")


@trial(
    "inspect.status._link_findings/6", command=STATUS, then="fix: tagship deploy churn"
)  # fmt: skip
def a_folder_that_is_not_of_ours(bench: Workbench) -> None:
    (versions(bench) / "v1").mkdir(parents=True)
    bench.current.symlink_to("versions/v1")


@trial("host.live._live_directory", command="current churn")
def nothing_live(bench: Workbench) -> None:
    bench.release()


@trial("inspect.status._history_findings/4", command=STATUS, base="shipped")
def a_link_changed_by_hand(bench: Workbench) -> None:
    other = next(f.name for f in versions(bench).iterdir() if f != live(bench))
    bench.current.unlink()
    bench.current.symlink_to(f"versions/{other}")


@trial("inspect.status._history_findings/3", command=STATUS, base="shipped")
def a_link_without_history(bench: Workbench) -> None:
    (bench.folder / "deployment_history.json").unlink()


@trial("inspect.status._desired_findings", command=STATUS, base="shipped")
def a_version_that_is_not_deployed(bench: Workbench) -> None:
    bench.release("model 3\n")


# --- what is live


@trial("inspect.status._open_findings", command=STATUS, base="shipped")
def a_folder_that_others_can_write(bench: Workbench) -> None:
    versions(bench).chmod(0o777)


@trial("inspect.status._live_findings", command=STATUS, base="shipped")
def a_live_file_that_was_changed(bench: Workbench) -> None:
    file = live(bench) / "model.bin"
    file.chmod(0o644)
    file.write_text("changed\n")
    file.chmod(0o444)


@trial("workspace.condition.fix/2", command=STATUS, base="shipped")
def a_live_file_of_another_mode(bench: Workbench) -> None:
    (live(bench) / "model.bin").chmod(0o666)


@trial("git.clone.tag_back/2", command=STATUS, base="shipped", does="git tag -f ...;")
def a_tag_that_was_moved(bench: Workbench) -> None:
    bench.git("tag", "--force", "--annotate", "churn@v1.1.0", "--message", "moved")


@trial(
    "workspace.moved.check",
    command="deploy churn@1.1.0 --force --yes",
    base="shipped",
    does="git tag -f ...",
)
def a_tag_that_was_moved_at_a_deploy_without_a_remote(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")
    bench.git("tag", "--force", "--annotate", "churn@v1.1.0", "--message", "moved")


@trial("git.clone.tag_back", command=STATUS, base="shipped")
def a_tag_that_was_moved_without_a_remote(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")
    bench.git("tag", "--force", "--annotate", "churn@v1.1.0", "--message", "moved")


@trial(
    "workspace.moved.check",
    command="deploy churn@1.1.0 --force --yes",
    base="shipped",
    does="git tag -f ...;",
)
def a_tag_that_was_moved_at_a_deploy(bench: Workbench) -> None:
    bench.git("tag", "--force", "--annotate", "churn@v1.1.0", "--message", "moved")


def forget(bench: Workbench) -> None:
    """The old tag object is gone, as after git filter-repo."""
    bench.git("tag", "--force", "--annotate", "churn@v1.1.0", "--message", "moved")
    bench.git("reflog", "expire", "--expire=now", "--all")
    bench.git("repack", "-a", "-d", "--quiet")
    bench.git("prune", "--expire=now")


@trial("inspect.status._back/2", command=STATUS, base="shipped")
def a_tag_that_was_moved_and_is_gone(bench: Workbench) -> None:
    forget(bench)
    bench.train("model 3\n")


@trial(
    "workspace.moved.check/2",
    command="deploy churn@1.1.0 --force --yes",
    base="shipped",
    does="tagship release churn --force",
    again="deploy churn --yes",
)
def a_tag_that_was_moved_and_is_gone_at_a_deploy(bench: Workbench) -> None:
    forget(bench)
    bench.train("model 3\n")


@trial("git.clone.fetch_tags", command=STATUS, base="shipped")
def a_tag_that_was_deleted_here(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "--tags")
    bench.git("tag", "--delete", "churn@v1.1.0")


@trial("git.clone.fetch_tags/2", command=STATUS, base="shipped")
def a_tag_that_was_deleted_here_with_two_remotes(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "--tags")
    bench.git("remote", "add", "other", "../origin.git")
    bench.git("tag", "--delete", "churn@v1.1.0")


@trial("inspect.status._back", command=STATUS, base="shipped")
def a_tag_that_was_deleted_without_a_remote(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")
    bench.git("tag", "--delete", "churn@v1.1.0")


# --- the history, the intent, the pins


@trial("host.journal._hint", command="deploy churn@1.0.0 --yes", base="shipped", does="mv ...")
@trial(
    "host.journal._hint",
    command=STATUS,
    base="shipped",
    does="mv ...",
    then="tagship deploy churn@1.1.0 --force",
)
def a_history_that_is_none(bench: Workbench) -> None:
    write(bench, "models/churn/deployment_history.json", "[{\n")


def history(bench: Workbench, key: str, value: object) -> None:
    path = bench.folder / "deployment_history.json"
    events = json.loads(path.read_text())
    events[-1][key] = value
    path.write_text(json.dumps(events))


@trial(
    "host.history._began",
    command="history churn --since 2020-01-01",
    base="shipped",
    does="fix its at in deployment_history.json",
    by=lambda b: history(b, "at", "2026-11-20T12:00:00Z"),
)
def an_event_without_a_date(bench: Workbench) -> None:
    history(bench, "at", "yesterday")


@trial(
    "host.history.moment_of",
    command="history churn --at 2026-11-20",
    base="shipped",
    does="fix its duration_s in deployment_history.json",
    by=lambda b: history(b, "duration_s", 1.0),
)
def an_event_without_an_end(bench: Workbench) -> None:
    history(bench, "duration_s", 1e15)


@trial("host.store.Store.intent", command="deploy churn@1.0.0 --yes", base="shipped", does="rm ...")
def an_intent_that_is_none(bench: Workbench) -> None:
    write(bench, "models/churn/.tagship/intent.json", "{")


@trial(
    "host.store.Store.pins",
    command="list churn",
    base="shipped",
    does="fix ...pins.json",
    by=lambda b: write(b, "models/churn/.tagship/pins.json", "[]"),
)
def pins_that_are_none(bench: Workbench) -> None:
    write(bench, "models/churn/.tagship/pins.json", "{")


@trial(
    "workspace.source.Source._instead/2",
    command="deploy churn --yes",
    base="shipped",
    does="tagship withdraw churn@1.2.0",
    again="status churn",
)
def a_tag_on_a_commit_with_markers(bench: Workbench) -> None:
    write(bench, "dvc.yaml", (good := (bench.repo / "dvc.yaml").read_text()) + "<<<<<<< HEAD\n")
    bench.commit()
    bench.git("tag", "-a", "-m", "by hand", "churn@v1.2.0")
    write(bench, "dvc.yaml", good)
    bench.commit()


@trial(
    "workspace.source.Source._instead",
    command="show churn@1.2.0",
    base="shipped",
    again="status churn",
)
def a_version_with_markers_that_was_withdrawn(bench: Workbench) -> None:
    a_tag_on_a_commit_with_markers(bench)
    bench.git("tag", "-a", "-m", "x", "churn@v1.2.0!", "churn@v1.2.0^{}")


@trial(
    "host.store.Store._check_links",
    command="deploy churn@1.1.0 --yes",
    base="shipped",
    does="rm .../churn/versions && mv .../churn/versions",
)
def a_link_to_another_disk(bench: Workbench) -> None:
    versions(bench).rename(bench.repo.parent / "disk")
    versions(bench).symlink_to(bench.repo.parent / "disk")


@trial(
    "host.store.Store._check_links/2",
    command="deploy churn@1.0.0 --yes",
    base="shipped",
    does="rm ...",
)
def a_link_among_our_folders(bench: Workbench) -> None:
    folder = bench.folder / ".tagship" / "staging"
    folder.rmdir()
    folder.symlink_to("/tmp")


@trial(
    "host.metadata._read",
    command="why churn",
    base="shipped",
    does="tagship deploy churn@1.1.0 --force",
)
def metadata_that_is_gone(bench: Workbench) -> None:
    file = live(bench) / "metadata.json"
    live(bench).chmod(0o755)
    file.unlink()


@trial(
    "disk.lock._locked_by/2",
    command="deploy churn@1.0.0 --yes",
    base="shipped",
    does="try again when it is done",
    by=lambda b: opened.close(),
)
def a_model_in_use(bench: Workbench) -> None:
    store = bench.store
    owner = {"what": "a deploy", "actor": "ada", "host": "here", "pid": 1, "since": "now"}
    opened.enter_context(store.locked(owner))


@trial(
    "inspect.status._history_findings",
    command=STATUS,
    base="shipped",
    does="tagship status churn",
    by=lambda b: opened.close(),
)
def a_model_in_use_for_status(bench: Workbench) -> None:
    a_model_in_use(bench)


@trial(
    "disk.lock._locked_by",
    command="deploy churn@1.0.0 --yes",
    base="shipped",
    does="try again when it is done",
    by=lambda b: opened.close(),
)
def a_model_in_use_by_nobody_known(bench: Workbench) -> None:
    a_model_in_use(bench)
    (bench.folder / ".tagship" / "lock.json").unlink()


# --- cleanup, pins, rollback, undeploy


@trial("deploy.cleanup.pin", command="pin churn@1.0.0", base="shipped", again="")
def a_version_pinned_already(bench: Workbench) -> None:
    bench.manager.pin("1.0.0")


@trial("deploy.cleanup.unpin", command="unpin churn@1.0.0", base="shipped", again="")
def a_version_that_is_not_pinned(_: Workbench) -> None: ...


@trial(
    "deploy.cleanup.cleanup",
    command=lambda b: b.manager.cleanup_old_versions(keep=-1),
    base="shipped",
    does="give a whole number",
    by=nothing,
    again=lambda b: b.manager.cleanup_old_versions(keep=1),
)
def a_number_of_versions_below_zero(_: Workbench) -> None: ...


@trial("deploy.plan._no_target", command="rollback churn --yes", again="")
def nothing_to_go_back_to(bench: Workbench) -> None:
    bench.ship()


@trial("deploy.plan._no_target/2", command="rollback churn --yes", again="")
def nothing_to_go_back_to_after_the_first_deploy(bench: Workbench) -> None:
    bench.release()
    bench.ship("model 2\n")


@trial(
    "deploy.undeploy._check_pins",
    command="undeploy churn --yes",
    base="shipped",
    does="tagship unpin churn@1.0.0",
    loses="live",
)
def a_pinned_version_to_undeploy(bench: Workbench) -> None:
    bench.manager.pin("1.0.0")


# --- Git and the work tree


@trial(
    "git.run.find",
    command="status churn",
    folder="../new",
    does="git init && dvc init",
    then="no commit yet",
)
def no_repository(bench: Workbench) -> None:
    (bench.repo.parent / "new").mkdir()


@trial("git.run._why_hidden", command="models")
def dvc_without_git(bench: Workbench) -> None:
    remove_tree(bench.repo / ".git")


@trial(
    "git.run._why_hidden/4",
    command="models",
    does="git -C ... status",
    by=lambda b: write(b, ".git/HEAD", "ref: refs/heads/main\n"),
)
def a_damaged_repository(bench: Workbench) -> None:
    (bench.repo / ".git/HEAD").unlink()


@trial(
    "git.run._why_hidden/3",
    command="models",
    does="unset GIT_CEILING_DIRECTORIES",
    by=lambda b: b.monkeypatch.delenv("GIT_CEILING_DIRECTORIES"),
    folder="models",
)
def a_ceiling(bench: Workbench) -> None:
    bench.monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(bench.repo))


@trial("host.settings._init/2", command="models", folder="sub", shell=True, again="-C .. models")
def a_git_repository_without_dvc(bench: Workbench) -> None:
    shutil.rmtree(bench.repo / ".dvc")
    bench.commit()
    (bench.repo / "sub").mkdir()


@trial("git.commits.commit", command="models", fill={"...": "First"})
def a_repository_without_commit(bench: Workbench) -> None:
    remove_tree(bench.repo / ".git")
    bench.git("init", "--quiet")


@trial(
    "workspace.checkout._only_tags",
    command="models",
    does="git push origin HEAD",
    by=lambda b: (
        run(b.repo.parent / "ours", "git", "push", "--quiet", "origin", "HEAD"),
        b.git("pull", "--quiet", "origin", "main"),
    ),
)
def a_clone_of_tags_alone(bench: Workbench) -> None:
    bench.manager.release(push=True)
    run(bench.repo.parent / "origin.git", "git", "update-ref", "-d", "refs/heads/main")
    bench.repo.rename(bench.repo.parent / "ours")
    run(bench.repo.parent, "git", "clone", "--quiet", "origin.git", "repo")


@trial(
    "git.remotes.to_release_to/2",
    command="release churn",
    does="...params.yaml: tagship: {git_remote: one}",
    by=lambda b: write(b, "params.yaml", "tagship: {git_remote: one}\n"),
)
def two_git_remotes_and_no_origin(bench: Workbench) -> None:
    bench.git("remote", "rename", "origin", "one")
    bench.git("remote", "add", "two", "../origin.git")


@trial(
    "git.remotes.to_release_to",
    command="release churn --push",
    does="git remote add NAME URL",
    fill={"NAME": "other", "URL": "../origin.git"},
)
def a_git_remote_that_is_none(bench: Workbench) -> None:
    write(bench, "params.yaml", "tagship: {git_remote: other}\n")
    bench.commit()


@trial(
    "git.remotes.push_target",
    command="release churn --push --push-branch",
    does="git push origin HEAD:local",
    again="release churn --push",
)
def a_branch_of_another_name(bench: Workbench) -> None:
    bench.git("switch", "--quiet", "-c", "local", "--track", "origin/main")
    bench.train("model 2\n")


@trial("git.run._failure/6", command="release churn --push", does="git remote -v", again="")
def a_remote_that_ssh_does_not_reach(bench: Workbench) -> None:
    bench.git("remote", "set-url", "origin", "git@git.example.invalid:team/models.git")
    ssh = "sh -c 'echo ssh: Could not resolve hostname git.example.invalid >&2; exit 255' ssh"
    bench.monkeypatch.setenv("GIT_SSH_COMMAND", ssh)


@trial("git.run._failure/5", command="release churn", does="rm ...")
def a_lock_of_git(bench: Workbench) -> None:
    (bench.repo / ".git/refs/tags/churn@v1.0.0.lock").touch()


@trial(
    "git.run._failure",
    command="release churn --push",
    does="git remote -v",
    again=lambda b: (
        b.git("remote", "set-url", "origin", "../origin.git"),
        b.manager.release(push=True),
    ),
)
def a_remote_that_is_gone(bench: Workbench) -> None:
    bench.git("remote", "set-url", "origin", "../nowhere.git")


# --- errors of the operating system


def os_error(number: int) -> object:
    def command(bench: Workbench) -> None:
        raise OSError(number, os.strerror(number), str(bench.repo / "README"))

    return command


@trial(
    "disk.atomic.read_file", command="history churn", base="shipped", does="ls -ld ...", again=""
)
def a_history_that_is_a_folder(bench: Workbench) -> None:
    (bench.folder / "deployment_history.json").unlink()
    (bench.folder / "deployment_history.json").mkdir()


# --- settings

SECTION = "tagship"


def settings(bench: Workbench, text: str) -> None:
    write(bench, "params.yaml", f"{SECTION}: {text}\n")


def corrected(bench: Workbench) -> None:
    settings(bench, "{keep: 3}")


@trial(
    "registry.settings.parse", command=STATUS, base="shipped", does="fix params.yaml", by=corrected
)
def settings_that_are_a_list(bench: Workbench) -> None:
    settings(bench, "[1]")


@trial(
    "text.choose.near",
    command=STATUS,
    base="shipped",
    does="did you mean keep?",
    by=corrected,
)
def a_setting_mistyped(bench: Workbench) -> None:
    settings(bench, "{kep: 3}")


@trial("text.choose.near/2", command=STATUS, base="shipped", does="keep", by=corrected)
def a_setting_that_is_none(bench: Workbench) -> None:
    settings(bench, "{region: eu}")


@trial(
    "registry.settings.check",
    command=STATUS,
    base="shipped",
    does="docs/settings.md",
    by=corrected,
)
def a_setting_of_another_kind(bench: Workbench) -> None:
    settings(bench, "{keep: many}")


@trial(
    "manager.demo._example",
    command="demo",
    does="tagship: {demo: {churn: {train.depth: 5}}}",
    again=lambda b: demo.plan(b.manager.host.settings.demo),
    by=lambda b: write(
        b, "params.yaml",
        "train:\n  depth: 4\ntagship: {demo: {churn: {train.depth: 5}}}\n",
    ),
)  # fmt: skip
def a_demo_without_a_parameter_where_there_is_a_number(bench: Workbench) -> None:
    pass


@trial(
    "manager.demo",
    command="demo",
    does="train.depth: 6",
    again="",
    by=lambda b: settings(b, "{demo: {churn: {train.depth: 6}}}"),
)
def a_demo_without_a_parameter(bench: Workbench) -> None:
    settings(bench, "{}")


@trial(
    "dvc.remote._as_ours/2",
    "dvc.remote._as_ours/4",
    command="release churn --push",
    does="dvc remote list",
    again="",
)
def a_remote_that_answers_with_an_error(bench: Workbench) -> None:
    write(bench, "not-a-folder", "x\n")
    edit(".dvc/config", "url = ../../dvc-remote", "url = ../not-a-folder")(bench)
    bench.commit()


# --- blocked, held, in Git


@trial(
    "registry.settings.section", command=STATUS, base="shipped", does="remove deploy:", by=corrected
)
def two_sections_of_settings(bench: Workbench) -> None:
    write(bench, "params.yaml", "tagship: {keep: 3}\ndeploy: {keep: 4}\n")


@trial(
    "inspect.status._held_finding",
    command=STATUS,
    base="shipped",
    then="tagship deploy churn",
)
def a_hold_whose_time_is_over(bench: Workbench) -> None:
    bench.release("model 3\n")
    end = clock.now() + timedelta(hours=1)
    bench.manager.hold(end, reason="a fair")
    bench.monkeypatch.setattr(clock, "now", lambda: end + timedelta(minutes=1))


@trial("workspace.desired.check_not_held", command="deploy churn --yes", base="shipped")
def a_model_on_hold(bench: Workbench) -> None:
    bench.release("model 3\n")
    bench.manager.hold(reason="a fair")


@trial("deploy.hold.resume", command="resume churn", base="shipped", again="")
def a_model_that_is_not_on_hold(_: Workbench) -> None: ...


@trial(
    "inspect.status._git_findings",
    command=STATUS,
    base="shipped",
    again=lambda b: b.commit() and b.manager.status(),
)
def live_files_in_git(bench: Workbench) -> None:
    bench.git("add", "--force", "models/churn/versions", "models/churn/current")
    bench.git("commit", "--quiet", "--message", "By accident")


@trial("inspect.status._git_findings/2", command=STATUS, base="shipped")
def live_files_that_git_would_take(bench: Workbench) -> None:
    write(bench, ".gitignore", "")
    write(bench, ".git/info/exclude", "")


# --- the check of what is live


@trial(
    "deploy.act.Switch.conclude",
    command="deploy churn --yes",
    base="shipped",
    again="deploy churn --yes",
)
def a_check_that_fails(bench: Workbench) -> None:
    bench.release("model 3\n")

    def fail(*_: object) -> None:
        raise SelfTestFailed("it does not answer", "")

    bench.monkeypatch.setattr(check, "live", fail)


@trial(
    "deploy.deploy._check_not_rejected",
    command="deploy churn@1.1.0 --yes",
    base="shipped",
    again="deploy churn --yes",
)
def a_check_that_was_cut_short_and_fails(bench: Workbench) -> None:
    journal.open_intent(bench.store, Intent(journal.events(bench.store)[-1], creates=True))
    file = live(bench) / "model.bin"
    file.chmod(0o644)
    file.write_bytes(b"bad")


# --- what is passed over, and why


def failed(bench: Workbench, content: str | None = None) -> None:
    """A version fails its smoke test once: the host was slow."""
    bench.release(content)

    def slow(*_: object) -> selftest.Report:
        raise FailedHere("it took too long", "allow it more")

    with bench.monkeypatch.context() as patch:
        patch.setattr(selftest, "run", slow)
        with contextlib.suppress(FailedHere):
            bench.manager.deploy()


@trial(
    "inspect.status._failed_findings",
    "inspect.status._failed_findings/2",
    command=STATUS,
    base="shipped",
    does="tagship deploy churn@1.2.0",
)
def a_version_that_failed_once(bench: Workbench) -> None:
    failed(bench, "model 3\n")


@trial("inspect.status._failed_findings/3", command=STATUS, base="shipped")
def a_version_that_failed_and_a_newer_one(bench: Workbench) -> None:
    failed(bench, "model 3\n")
    bench.release("model 4\n")


@trial(
    "deploy.act.Switch.recorded/2",
    command="deploy churn --yes",
    base="shipped",
    does="tagship deploy churn@1.2.0",
    again=STATUS,
)
def a_smoke_test_that_fails_by_the_host(bench: Workbench) -> None:
    bench.release("model 3\n")
    tries: list[int] = []
    run = selftest.run

    def slow_at_first(*arguments: Any) -> selftest.Report:
        tries.append(1)
        if len(tries) == 1:
            raise FailedHere("it took too long", "allow it more")
        return run(*arguments)

    bench.monkeypatch.setattr(selftest, "run", slow_at_first)


@trial("inspect.status._desired_findings/2", command=STATUS)
@trial("workspace.desired.choose/3", command="deploy churn --yes", again="deploy churn --yes")
def a_first_version_that_failed(bench: Workbench) -> None:
    failed(bench)


@trial(
    "workspace.desired.choose/2",
    command="deploy churn --yes",
    base="shipped",
    does="git fetch --tags",
)
@trial(
    "workspace.desired.choose/2",
    command="deploy churn --yes",
    base="shipped",
    does="tagship deploy churn@1.0.0",
    again="",
)
def the_tag_of_the_live_version_is_not_here(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "--tags")
    bench.git("tag", "--delete", "churn@v1.1.0")


@trial("workspace.desired.choose", command="deploy churn --yes", base="shipped", again="")
def the_tag_of_the_live_version_is_gone(bench: Workbench) -> None:
    bench.git("remote", "remove", "origin")
    bench.git("tag", "--delete", "churn@v1.1.0")


@trial(
    "git.clone.tag_back/2",
    command=STATUS,
    base="shipped",
    does="git tag -f ...;",
    then="is released",
)
def a_desired_version_whose_tag_was_moved(bench: Workbench) -> None:
    bench.manager.deploy("1.0.0")
    bench.manager.resume()
    bench.git("tag", "--force", "--annotate", "churn@v1.1.0", "--message", "moved")


@trial(
    "deploy.plan.choose",
    command=lambda b: b.manager.deploy(plan=shown.pop()),
    base="shipped",
    does="tagship deploy churn --dry-run",
    again="deploy churn --yes",
)
def a_plan_that_was_overtaken(bench: Workbench) -> None:
    bench.release("model 3\n")
    shown.append(bench.manager.plan())
    bench.manager.rollback_to_version()


shown: list[Plan] = []


@trial("deploy.hold.end_of", command="hold churn --until 2020-01-01", base="shipped", again="")
def a_hold_until_the_past(_: Workbench) -> None: ...


@trial(
    "host.history.end_of",
    command=STATUS,
    base="shipped",
    does="fix its until in deployment_history.json",
    by=lambda b: history(b, "until", "2099-01-01T00:00:00Z"),
    then="held by",
)
def a_hold_without_an_end(bench: Workbench) -> None:
    bench.manager.hold()
    history(bench, "until", "soon")


@trial(
    "inspect.status._git_findings/3",
    command=STATUS,
    base="shipped",
    again=lambda b: edit(".gitignore", "!/models/*/current\n", "")(b) or b.manager.status(),
)
def live_files_that_another_rule_takes_back(bench: Workbench) -> None:
    text = (bench.repo / ".gitignore").read_text()
    write(bench, ".gitignore", f"{text}!/models/*/current\n")


@trial("inspect.status._other", command=STATUS, then="in order, live 1.1.0, latest 1.1.0")
def the_only_version_of_a_stage_is_withdrawn(bench: Workbench) -> None:
    bench.release()
    bench.manager.assign("1.0.0", "prod")
    bench.manager.deploy("#prod")
    bench.release("model 2\n")
    bench.manager.withdraw("1.0.0")


@trial(
    "inspect.status._other/2",
    command=STATUS,
    then="1.1.0 is released, 1.0.0 is live",
)
def the_only_version_is_withdrawn(bench: Workbench) -> None:
    bench.ship()
    bench.git("tag", "--annotate", "churn@v1.0.0!", "churn@v1.0.0^{}", "--message", "withdrawn")
    bench.train("model 2\n")


@trial(
    "manager.demo._set_parameter",
    command=lambda b: demo._set_parameter(b.repo / "params.yaml", named(b), 6),
    does="fix tagship: demo: in it",
    by=edit("params.yaml", "train.deep", "train.depth"),
)
def a_demo_of_a_parameter_that_is_none(bench: Workbench) -> None:
    text = (bench.repo / "params.yaml").read_text()
    write(bench, "params.yaml", f"{text}tagship: {{demo: {{churn: {{train.deep: 6}}}}}}\n")


def named(bench: Workbench) -> str:
    """The parameter that the demo is to change."""
    settings = bench.manager.host.settings.demo
    return str(next(iter(settings["churn"])))
