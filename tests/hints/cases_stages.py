"""Trials of the hints of ``assign``, ``unassign``, ``withdraw`` and ``deprecate``."""

from tagship.git import remotes
from tests.hints.trials import trial, write
from tests.workbench import Workbench, run

LATER = "1795176600 +0000"  # ten minutes after all that is released


def nothing(_: Workbench) -> None:
    """Only the command is another one."""


def push_all(bench: Workbench) -> None:
    """The tags and the branch, as they are by now."""
    bench.git("push", "--quiet", "--tags", "origin", "main")


@trial(
    "registry.refs.check_stage",
    command="assign churn@1.0 '#prod'",
    does="such as prod",
    by=nothing,
    again="assign churn@1.0 prod",
    base="shipped",
)
def a_stage_with_its_sign(_: Workbench) -> None: ...


LONG = "c" * 144


@trial(
    "release.stages._check_length", command=f"assign {LONG}@1.0 {'s' * 96}",
    does="give the stage a name that is shorter", by=nothing,
    again=f"assign {LONG}@1.0 {'s' * 95}",
)  # fmt: skip
def a_model_and_a_stage_with_long_names(bench: Workbench) -> None:
    file = bench.repo / "dvc.yaml"
    file.write_text(file.read_text().replace("  churn:", f"  {LONG}:"))
    bench.commit()
    bench.git("tag", "-a", "-m", "x", f"{LONG}@v1.0.0")


@trial(
    "registry.tags.create/3",
    command="assign churn@1.0 prod/eu",
    does="choose another name",
    by=nothing,
    again="assign churn@1.0 eu",
    base="shipped",
)
def a_stage_below_another_one(bench: Workbench) -> None:
    bench.git("tag", "-a", "-m", "x", "churn#prod", "churn@v1.1.0^{commit}")


@trial(
    "registry.tags.create/2",
    command="release churn",
    does="git tag -d churn@v1.0.0/x",
    loses="churn@v1.0.0/x",
)
def a_tag_below_the_next_version(bench: Workbench) -> None:
    bench.git("tag", "-a", "-m", "x", "churn@v1.0.0/x")


@trial("release.orders._assigning", command="assign churn@1.1.0 prod", base="shipped", again="")
def a_version_of_the_same_commit_as_a_higher_one(bench: Workbench) -> None:
    bench.git("tag", "-a", "-m", "x", "churn@v1.2.0", "churn@v1.1.0^{commit}")


@trial(
    "release.orders._assigning/2",
    command="assign churn@1.1.0 pord",
    does="choose one of dev, prod",
    by=nothing,
    again="assign churn@1.1.0 prod",
    base="shipped",
)
@trial(
    "release.orders._assigning/2",
    command="assign churn@1.1.0 pord",
    does="add it to .gto",
    by=lambda bench: write(bench, ".gto", "stages: [dev, prod, pord]\n"),
    base="shipped",
)
def a_stage_that_gto_does_not_allow(bench: Workbench) -> None:
    write(bench, ".gto", "stages: [dev, prod]\n")


@trial("release.orders._check_agree", command="withdraw churn@1.0 --yes --push", base="shipped")
def a_version_that_was_moved_here(bench: Workbench) -> None:
    push_all(bench)
    bench.git("tag", "-f", "-a", "-m", "moved", "churn@v1.0.0", "churn@v1.1.0^{commit}")


@trial("release.orders._check_agree/2", command="assign churn@1.0 prod --push", base="shipped")
def a_stage_that_only_the_remote_has(bench: Workbench) -> None:
    bench.manager.assign("1.1", "prod")
    push_all(bench)
    bench.git("tag", "-d", "churn#prod#1")


@trial(
    "release.orders._deprecated",
    command="assign churn@1.0 prod",
    does="tagship release churn",
    base="shipped",
)
def a_model_that_is_deprecated_gets_a_stage(bench: Workbench) -> None:
    bench.manager.deprecate()
    bench.monkeypatch.setenv("GIT_COMMITTER_DATE", LATER)


@trial(
    "release.orders._not_pushed",
    command="assign churn@1.1 prod --push",
    does="git push origin churn@v1.1.0",
    base="shipped",
)
def a_version_that_is_not_pushed(bench: Workbench) -> None:
    bench.git("push", "--quiet", "origin", "churn@v1.0.0")


@trial(
    "release.orders._unassigning",
    command="unassign churn prd --yes",
    does="tagship list churn",
    again="unassign churn prod --yes",
    base="shipped",
)
def a_stage_that_nobody_holds(bench: Workbench) -> None:
    bench.manager.assign("1.1", "prod")


@trial(
    "release.dates.after",
    command="assign churn@1.0 prod",
    does="git tag -d 'churn#prod#1'",
    loses="churn#prod#1",
    base="shipped",
)
def a_tag_of_the_last_second(bench: Workbench) -> None:
    with bench.monkeypatch.context() as patch:
        patch.setenv("GIT_COMMITTER_DATE", "@253402300799 +0000")
        bench.git("tag", "-a", "-m", "x", "churn#prod#1", "churn@v1.1.0^{commit}")


def interrupted(bench: Workbench) -> None:
    """A user who does not wait for the push of an unassignment."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with bench.monkeypatch.context() as patch:
        patch.setattr(remotes, "push", interrupt)
        bench.manager.unassign("prod", push=True)


@trial("release.stages._go_on", command=interrupted, again="", base="shipped")
def an_unassignment_that_was_not_waited_for(bench: Workbench) -> None:
    bench.manager.assign("1.1", "prod")
    push_all(bench)


def confirmed_too_late(bench: Workbench) -> None:
    """Somebody withdraws the version while the plan is looked at."""
    shown = bench.manager.withdraw("latest", dry_run=True)
    bench.manager.withdraw("1.1.0")
    bench.manager.withdraw("latest", shown=shown)


@trial("release.stages.command", command=confirmed_too_late, again="", base="shipped")
def a_plan_that_is_overtaken(bench: Workbench) -> None:
    run(bench.repo, "git", "remote", "remove", "origin")
