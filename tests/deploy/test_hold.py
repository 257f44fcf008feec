"""A rollback lasts, and a hold holds: by every way to deploy, with the exit codes and the words."""

import json
from datetime import timedelta

import pytest

from tagship import Held, NotFound, Refused, SelfTestFailed
from tagship.deploy import plan
from tagship.errors import FailedHere, Unavailable
from tagship.host import history
from tagship.text import clock, words
from tests.workbench import Workbench


def _assign(bench: Workbench, version: str, number: int) -> None:
    """Assign a version to the stage prod, as GTO does."""
    commit = bench.git("rev-parse", f"churn@v{version}^{{commit}}").strip()
    bench.git("tag", "-a", "-m", "assign", f"churn#prod#{number}", commit)


def _ago(bench: Workbench) -> str:
    """When the last event happened, as it is shown."""
    return words.moment(bench.manager.get_deployment_history()[-1].at)


@pytest.mark.parametrize("name", ["churn", "churn@latest", "churn@1", "churn#prod"])
def test_a_deploy_by_a_rule_never_undoes_a_rollback(shipped: Workbench, name: str) -> None:
    _assign(shipped, "1.0.0", 1)
    _assign(shipped, "1.1.0", 2)
    event = shipped.manager.rollback_to_version(reason="recall fell").event
    assert event is not None
    result = shipped.cli("deploy", name, "--yes")
    assert (result.code, shipped.live()) == (0, "model 1\n")
    assert result.out.splitlines() == [
        "churn 1.0.0 is live and intact: nothing to do, as far as this clone knows (to update it:"
        " git fetch --tags)",
        f"1.1.0 is passed over (rolled back to 1.0.0 by {event.actor}, {words.moment(event.at)}"
        " UTC: recall fell); to deploy it: tagship deploy churn@1.1.0",
    ]
    shown = json.loads(shipped.cli("deploy", name, "--yes", "--json").out)
    assert (shown["passed_over"]["version"], shown["passed_over"]["by"]["reason"]) == (
        "1.1.0", "recall fell",
    )  # fmt: skip
    assert shipped.cli("deploy", name, "--dry-run").out == result.out
    assert shipped.cli("status").code == 0


def test_what_is_released_after_a_rollback_goes_live(shipped: Workbench) -> None:
    shipped.manager.rollback_to_version()
    shipped.release("model 3\n")
    assert shipped.manager.deploy().place.version == "1.2.0"
    assert shipped.manager.deploy().passed_over is None


def test_what_is_released_before_it_does_not_sneak_in(shipped: Workbench) -> None:
    shipped.release("model 3\n")
    shipped.manager.deploy()
    shipped.manager.rollback_to_version("1.0.0")
    event = shipped.manager.get_deployment_history()[-1]
    tags = shipped.git("rev-parse", "churn@v1.1.0", "churn@v1.2.0").split()
    assert event.passed_over == tuple(sorted(tags))
    assert shipped.manager.deploy().event is None


def test_a_new_assignment_of_the_same_version_is_a_new_wish(shipped: Workbench) -> None:
    _assign(shipped, "1.1.0", 1)
    shipped.manager.rollback_to_version()
    assert shipped.manager.deploy("#prod").event is None
    _assign(shipped, "1.1.0", 2)
    assert shipped.manager.deploy("#prod").place.version == "1.1.0"
    assert shipped.manager.get_deployment_history()[-1].rule == "#prod"


@pytest.mark.parametrize("arguments", [["churn@1.1.0"], ["churn@v1.1.0"], ["churn", "--retry"]])
def test_an_exact_version_and_retry_unblock(shipped: Workbench, arguments: list[str]) -> None:
    shipped.manager.rollback_to_version()
    assert shipped.cli("deploy", *arguments, "--yes").code == 0
    assert shipped.live() == "model 2\n"
    assert shipped.cli("status").out == "churn: in order, live 1.1.0, latest 1.1.0\n"
    assert shipped.manager.plan().passed_over is None


def test_a_rollback_lasts_where_git_cannot_be_asked(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shipped.repo / ".git"
    path.rename(shipped.repo / "away")
    path.write_text("gitdir: nowhere\n")
    event = shipped.manager.rollback_to_version().event
    assert event is not None
    assert (event.status, event.passed_over) == ("succeeded", None)
    path.unlink()
    (shipped.repo / "away").rename(path)
    assert shipped.manager.deploy().event is None
    shipped.release("model 3\n")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-01-01T00:00Z")  # dates decide here
    shipped.git("tag", "-f", "-a", "-m", "again", "churn@v1.2.0", "churn@v1.2.0^{}")
    assert shipped.manager.deploy().place.version == "1.2.0"


@pytest.mark.parametrize("how", ["is gone", "is lightweight", "cannot be read, and is of 2099"])
def test_a_rollback_lasts_though_the_tag_of_the_bad_version(
    shipped: Workbench, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, away = "refs/tags/churn@v1.1.0", shipped.repo / "away"
    if how == "cannot be read, and is of 2099":  # the clock of who released it goes wrong
        monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-01-01T00:00Z")
        shipped.ship("model 3\n")
        (shipped.repo / ".git").rename(away)
        shipped.manager.rollback_to_version()
        away.rename(shipped.repo / ".git")
        live = "model 2\n"
    else:
        tag, commit = shipped.git("rev-parse", name, f"{name}^{{}}").split()
        shipped.git("update-ref", *(["-d", name] if how == "is gone" else [name, commit]))
        shipped.manager.rollback_to_version()
        shipped.git("update-ref", name, tag)
        live = "model 1\n"
    outcome = shipped.manager.deploy()
    assert outcome.event is None
    assert outcome.passed_over is not None
    assert shipped.live() == live
    assert shipped.cli("status").code == 0


def test_a_download_that_failed_after_a_rollback_without_git_blocks_nothing(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = shipped.repo / "away"
    (shipped.repo / ".git").rename(away)
    shipped.manager.rollback_to_version()
    away.rename(shipped.repo / ".git")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-01-01T00:00Z")
    shipped.release("model 3\n")
    monkeypatch.setattr("tagship.deploy.checkout.MARGIN", 1 << 62)
    with pytest.raises(Unavailable):
        shipped.manager.deploy()
    monkeypatch.undo()
    assert shipped.manager.deploy().place.version == "1.2.0"


def test_a_rollback_from_one_build_of_a_version_to_another_lasts(bench: Workbench) -> None:
    for build in ("a", "b"):
        bench.train(f"build {build}\n")
        bench.git("tag", "-a", "-m", "as a pipeline does", f"churn@v1.2.0+{build}")
    bench.manager.deploy("1.2.0+a")
    bench.manager.resume()
    bench.manager.deploy("1.2.0+b")
    bench.manager.rollback_to_version()
    assert (bench.live(), bench.manager.deploy().event) == ("build a\n", None)


def test_a_rollback_to_a_version_outside_of_the_rule_lasts(shipped: Workbench) -> None:
    shipped.release("model 3\n", "1.0.1")
    assert shipped.manager.deploy("1.0").place.version == "1.0.1"
    assert shipped.manager.rollback_to_version().place.version == "1.1.0"
    result = shipped.cli("status")
    head, passed = result.out.splitlines()
    assert (result.code, head) == (0, "churn: in order, live 1.1.0, latest 1.1.0")
    assert passed.startswith("  1.0.1 is passed over: rolled back to 1.1.0 by ")
    assert shipped.manager.deploy("1.0").event is None
    shipped.monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-01-01T00:00Z")
    shipped.release("model 4\n", "1.0.2")
    assert shipped.manager.deploy("1.0").place.version == "1.0.2"


def test_a_plan_that_was_confirmed_does_not_undo_a_later_deploy(shipped: Workbench) -> None:
    shipped.release("model 3\n")
    shown = shipped.manager.plan()
    shipped.ship("model 4\n")
    with pytest.raises(Refused, match=r"1\.3\.0 would be deployed by now, and not 1\.2\.0"):
        shipped.manager.deploy(plan=shown)
    assert shipped.live() == "model 4\n"


def test_status_names_the_rule_that_is_followed(shipped: Workbench) -> None:
    _assign(shipped, "1.0.0", 1)
    shipped.manager.deploy("#prod")
    shipped.release("model 3\n")
    _assign(shipped, "1.1.0", 2)
    result = shipped.cli("status")
    assert (result.code, result.out.splitlines()[1:]) == (
        3, ["  1.1.0 is released, 1.0.0 is live", "    fix: tagship deploy churn#prod"],
    )  # fmt: skip
    assert shipped.cli("deploy", "churn#prod", "--yes").code == 0
    assert shipped.live() == "model 2\n"


def test_a_deploy_by_another_rule_says_so_also_where_the_version_is_live(
    shipped: Workbench,
) -> None:
    _assign(shipped, "1.1.0", 1)
    live = "churn 1.1.0 is live and intact: nothing to do"
    plan = shipped.cli("deploy", "churn#prod", "--dry-run")
    assert plan.out.splitlines()[0].startswith(live)
    assert plan.out.splitlines()[1:] == ["from then on by the rule #prod (before: latest)"]
    events = shipped.manager.get_deployment_history()
    result = shipped.cli("deploy", "churn#prod", "--yes", "--quiet")
    note = "note: from now on by the rule #prod (before: latest)\n"
    assert (result.code, result.out, result.err) == (0, "", note)
    assert len(shipped.manager.get_deployment_history()) == len(events) + 1
    again = shipped.cli("deploy", "churn#prod", "--yes")
    assert (again.out.startswith(live), again.err) == (True, "")
    back = shipped.cli("deploy", "churn", "--yes")
    assert back.err == "note: from now on by the rule latest (before: #prod)\n"
    assert shipped.cli("deploy", "churn@1.1.0", "--yes").err == ""


def test_a_plan_that_changes_the_rule_says_so(shipped: Workbench) -> None:
    _assign(shipped, "1.0.0", 1)
    lines = shipped.cli("deploy", "churn#prod", "--dry-run").out.splitlines()
    assert lines[0] == "churn: 1.1.0 -> 1.0.0"
    assert "  from then on by the rule #prod (before: latest)" in lines


@pytest.mark.parametrize("fields", [{"until": "soon"}, {"at": "yesterday", "passed_over": None}])
def test_a_date_that_is_none_leaves_what_is_live_answering(
    shipped: Workbench, fields: dict[str, str | None]
) -> None:
    shipped.release("model 3\n")
    shipped.manager.rollback_to_version()
    path = shipped.folder / history.FILE_NAME
    *before, last = json.loads(path.read_text())
    path.write_text(json.dumps([*before, {**last, **fields}]))
    result = shipped.cli("status")
    assert (result.code, result.out.splitlines()[0]) == (
        3, "churn: drifted, live 1.0.0, latest 1.2.0",
    )  # fmt: skip
    assert "for a date" in result.out
    assert "fix: tagship deploy churn\n" not in result.out


def test_a_version_that_fails_its_self_test_is_not_tried_again_by_itself(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagship.loaders import selftest

    shipped.release("model 3\n")
    tries = []

    def fail(*_: object) -> None:
        tries.append(1)
        raise SelfTestFailed("wrong answer", "")

    with monkeypatch.context() as patched:
        patched.setattr(selftest, "run", fail)
        with pytest.raises(SelfTestFailed):
            shipped.manager.deploy()
        outcome = shipped.manager.deploy()
    assert (len(tries), outcome.event, outcome.place.version) == (1, None, "1.1.0")
    assert outcome.passed_over is not None
    failed = f"the deploy of 1.2.0 failed, {_ago(shipped)} UTC: wrong answer"
    assert outcome.passed_over.in_words == failed
    result = shipped.cli("status")
    assert (result.code, result.out.splitlines()) == (
        4,
        [
            "churn: failed, live 1.1.0, latest 1.2.0",
            f"  1.2.0 failed, {_ago(shipped)} UTC: wrong answer",
            "    fix: release a better one; or, to try it again: tagship deploy churn@1.2.0",
        ],
    )
    assert shipped.manager.deploy("1.2.0").place.version == "1.2.0"
    assert shipped.cli("status").code == 0


@pytest.mark.parametrize(
    ("tags", "how"),
    [
        (["churn@v1.0.0!", "churn@v1.1.0!"], "it was withdrawn"),
        (["churn@deprecated"], "churn is deprecated"),
    ],
)
def test_status_tells_that_what_is_live_was_withdrawn_and_nothing_may_follow(
    shipped: Workbench, tags: list[str], how: str
) -> None:
    for tag in tags:
        commit = tag.removesuffix("!") if tag.endswith("!") else "HEAD"
        shipped.git("tag", "-a", "-m", "no", tag, f"{commit}^{{}}")
    result = shipped.cli("status")
    assert (result.code, result.out) == (
        3,
        "churn: drifted, live 1.1.0, latest -\n"
        f"  1.1.0 is live, but {how}, and no other version is available\n"
        "    fix: tagship release churn\n",
    )
    assert shipped.cli("deploy", "churn", "--yes").code == 1
    assert shipped.live() == "model 2\n"


def test_status_names_the_rule_where_another_version_is_available_without_it(
    shipped: Workbench,
) -> None:
    _assign(shipped, "1.1.0", 1)
    shipped.manager.deploy("#prod")
    shipped.git("tag", "-a", "-m", "no", "churn#prod!#2", "churn@v1.1.0^{}")
    shipped.git("tag", "-a", "-m", "no", "churn@v1.1.0!", "churn@v1.1.0^{}")
    result = shipped.cli("status")
    what = (
        "1.1.0 is live, but it was withdrawn, and no other version is available by the rule #prod"
    )
    assert (result.code, result.out) == (
        3,
        f"churn: drifted, live 1.1.0, latest 1.0.0\n  {what}\n    fix: tagship deploy churn\n",
    )
    assert shipped.manager.deploy().place.version == "1.0.0"
    assert shipped.cli("status").code == 0


def test_what_failed_is_not_tried_by_its_stage_either(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagship.loaders import selftest

    shipped.release("model 3\n")
    _assign(shipped, "1.2.0", 1)
    tries = []

    def fail(*_: object) -> None:
        tries.append(1)
        raise SelfTestFailed("wrong answer", "")

    with monkeypatch.context() as patched:
        patched.setattr(selftest, "run", fail)
        for name in ("churn", "churn#prod"):
            assert shipped.cli("deploy", name, "--yes").code == 1
    assert (len(tries), shipped.live()) == (1, "model 2\n")
    _assign(shipped, "1.2.0", 2)
    assert shipped.manager.deploy("#prod").place.version == "1.2.0"


def test_the_failure_of_another_version_takes_no_stage_back(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagship.loaders import selftest

    def fail(*_: object) -> None:
        raise SelfTestFailed("wrong answer", "")

    _assign(shipped, "1.1.0", 1)
    shipped.manager.rollback_to_version()
    shipped.manager.deploy("1.1.0")
    shipped.release("model 3\n")
    with monkeypatch.context() as patched:
        patched.setattr(selftest, "run", fail)
        with pytest.raises(SelfTestFailed):
            shipped.manager.deploy()
    outcome = shipped.manager.deploy("#prod")
    assert (outcome.place.version, outcome.event, outcome.passed_over) == ("1.1.0", None, None)


def test_nothing_should_be_live_where_the_only_version_failed_its_check(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagship.deploy import check

    def fail(*_: object) -> None:
        raise SelfTestFailed("wrong answer", "")

    shipped.manager.undeploy()
    with monkeypatch.context() as patched:
        patched.setattr(check, "live", fail)
        with pytest.raises(SelfTestFailed):
            shipped.manager.deploy()
    result = shipped.cli("status")
    assert result.code == 4  # and not 5, with the way back to what was undeployed
    assert "is gone" not in result.out
    assert shipped.manager.deploy().place.version == "1.0.0"


# --- holds


def test_in_a_hold_no_rule_changes_anything(shipped: Workbench) -> None:
    held = shipped.cli("hold", "churn", "--until", "2099-12-01", "--reason", "the audit")
    assert (held.code, held.out) == (
        0,
        "churn is held; to end it: tagship resume churn (status asks for it from 2099-12-01"
        " 00:00:00 UTC on)\n",
    )  # fmt: skip
    shipped.release("model 3\n")
    actor = shipped.manager.get_deployment_history()[-1].actor
    error = f"churn is held by {actor} until 2099-12-01 00:00:00 UTC: the audit"
    for name in ("churn", "churn@latest", "churn@1", "churn --dry-run", "churn --retry"):
        shipped.refuses(f"deploy {name} --yes", error, "tagship resume churn", code=3)
    with pytest.raises(Held):
        shipped.manager.deploy()
    result = shipped.cli("status")
    assert (result.code, result.out) == (
        3,
        "churn: held, live 1.1.0, latest 1.2.0\n"
        f"  {error.removeprefix('churn is ')}"
        " (on purpose; once that is over: tagship resume churn)\n",
    )
    (shown,) = json.loads(shipped.cli("status", "--json").out)
    assert (shown["state"], shown["why"], shown["desired"]) == ("drifted", "held", "1.2.0")
    assert shipped.cli("resume", "churn").out == "churn is not held any more\n"
    assert shipped.manager.deploy().place.version == "1.2.0"


def test_a_rollback_and_an_exact_version_work_in_a_hold_which_stays(shipped: Workbench) -> None:
    shipped.manager.hold()
    assert shipped.manager.rollback_to_version().place.version == "1.0.0"
    assert shipped.manager.deploy("1.1.0").place.version == "1.1.0"
    assert shipped.manager.status().why.value == ("held", 3)


def test_an_exact_version_in_a_hold_says_that_nothing_else_goes_live(shipped: Workbench) -> None:
    said = "churn stays held: nothing goes live by itself; to end it: tagship resume churn"
    assert not json.loads(shipped.cli("deploy", "churn@1.0", "--dry-run", "--json").out)["held"]
    shipped.manager.hold()
    plan = shipped.cli("deploy", "churn@1.0.0", "--dry-run")
    assert plan.out.splitlines()[-1] == f"  {said}"
    assert json.loads(shipped.cli("deploy", "churn@1.0.0", "--dry-run", "--json").out)["held"]
    for command in ("deploy churn@1.0.0 --yes", "deploy churn@1.1.0 --yes"):
        result = shipped.cli(*command.split())
        assert result.out.count(said) == 1


def test_a_rollback_may_hold(shipped: Workbench) -> None:
    result = shipped.cli("rollback", "churn", "--yes", "--hold", "--until", "2099-12-01")
    notes = [line for line in result.out.splitlines() if line.startswith("  note:")]
    assert notes == [
        "  note:          1.1.0 is blocked, live by exact number only: tagship deploy churn@1.1.0;"
        " the model is held, so what is new does not go live either",
        "  note:          no other version goes live by itself; to end it: tagship resume churn"
        " (status asks for it from 2099-12-01 00:00:00 UTC on)",
    ]
    shipped.release("model 3\n")
    with pytest.raises(Held):
        shipped.manager.deploy()
    shipped.manager.resume()
    assert shipped.manager.deploy().place.version == "1.2.0"


def test_a_rollback_to_what_is_live_holds_too(shipped: Workbench) -> None:
    result = shipped.cli("rollback", "churn", "--to", "1.1", "--yes", "--hold")
    assert result.code == 0
    assert "tagship resume churn" in result.out
    shipped.release("model 3\n")
    with pytest.raises(Held):
        shipped.manager.deploy()
    assert shipped.actions()[-1] == ("hold", "succeeded", None)
    assert shipped.manager.rollback_to_version("1.1").event is None


def test_a_rollback_in_a_hold_does_not_say_that_what_is_new_goes_live(shipped: Workbench) -> None:
    shipped.manager.hold()
    result = shipped.cli("rollback", "churn", "--yes")
    assert "the model is held, so what is new does not go live either" in result.out
    assert "goes live by itself" not in result.out
    assert json.loads(shipped.cli("rollback", "churn", "--to", "1.0", "--json").out)["held"]


def test_a_rollback_that_ends_the_hold_of_a_deploy_says_so(shipped: Workbench) -> None:
    shipped.release("model 3\n", version="2.0.0-rc.1")
    shipped.manager.deploy("2.0.0-rc.1")
    result = shipped.cli("rollback", "churn", "--yes")
    assert result.err == (
        "note: the hold that began with the deploy of 2.0.0-rc.1 has ended; to hold the model:"
        " tagship hold churn\n"
    )
    assert "what is new here from now on goes live by itself" in result.out


def test_a_rollback_to_what_is_live_says_that_it_blocks_nothing(shipped: Workbench) -> None:
    shipped.release("model 3\n")
    result = shipped.cli("rollback", "churn", "--to", "1.1.0", "--yes")
    assert result.out == "churn 1.1.0 is live and intact: nothing to do\n"
    assert result.err == (
        "note: nobody went back from anything, so nothing is blocked: 1.2.0 may go live by itself;"
        " to prevent that: tagship hold churn\n"
    )
    shipped.manager.rollback_to_version("1.0.0")
    assert shipped.cli("rollback", "churn", "--to", "1.0.0", "--yes").err == ""  # 1.2.0 is blocked
    assert shipped.manager.deploy().place.version == "1.0.0"


def test_a_hold_whose_time_is_over_has_a_fix(shipped: Workbench) -> None:
    end = clock.now() + timedelta(hours=1)
    shipped.manager.hold(end)
    shipped.monkeypatch.setattr(clock, "now", lambda: end + timedelta(minutes=1))
    status = shipped.manager.status()
    assert [finding.fix for finding in status.findings] == ["tagship resume churn"]


def test_until_needs_a_hold(shipped: Workbench) -> None:
    result = shipped.cli("rollback", "churn", "--yes", "--until", "2099-12-01")
    assert (result.code, shipped.live()) == (2, "model 2\n")
    assert "--until goes with --hold" in result.err


def test_a_deploy_of_another_version_than_the_desired_one_holds(shipped: Workbench) -> None:
    outcome = shipped.cli("deploy", "churn@1.0.0", "--yes")
    event = shipped.manager.get_deployment_history()[-1]
    assert event.until is not None
    assert (
        "no other version goes live by itself; to end it: tagship resume churn (status asks"
        f" for it from {words.moment(event.until)} UTC on)"
    ) in outcome.out
    week = clock.moment(event.until) - history.moment_of(event)
    assert abs(week - plan.HOLD) < timedelta(minutes=5)
    with pytest.raises(Held):
        shipped.manager.deploy()
    shipped.manager.deploy("1.1.0")  # what is desired ends it
    assert shipped.manager.status().why.value == ("in_order", 0)


def test_to_deploy_again_what_is_live_changes_nothing_in_a_hold(shipped: Workbench) -> None:
    shipped.release("model 3\n")
    shipped.manager.deploy("1.1.0", force=True)
    assert shipped.manager.status().why.value == ("behind", 3)
    until = shipped.manager.deploy("1.0.0").event
    assert until is not None
    again = shipped.manager.deploy("1.0.0", force=True).event
    assert again is not None
    assert (again.until, again.until is not None) == (until.until, True)


def test_a_hold_needs_a_model_that_is_deployed_and_an_end_to_come(bench: Workbench) -> None:
    bench.refuses("hold churn", "churn was never deployed here", "tagship deploy churn")
    bench.ship()
    bench.refuses("resume churn", "churn is not held", "tagship status churn")
    bench.refuses(
        "hold churn --until 2020-01-01", "2020-01-01 00:00:00 UTC is not in the future",
        f"tagship hold churn --until {clock.now() + plan.HOLD:%Y-%m-%d}",
    )  # fmt: skip


# --- a plan that was shown and confirmed


def test_a_plan_that_is_live_says_what_it_passes_over_without_yes_too(shipped: Workbench) -> None:
    shipped.manager.rollback_to_version()
    asked, told = shipped.cli("deploy", "churn"), shipped.cli("deploy", "churn", "--yes")
    assert asked == told
    assert "1.1.0 is passed over" in asked.out


def test_what_was_confirmed_keeps_its_rule(shipped: Workbench) -> None:
    _assign(shipped, "1.0.0", 1)
    manager = shipped.manager
    event = manager.deploy("#prod", plan=manager.plan("#prod")).event
    assert event is not None
    assert (event.version, event.rule, event.until) == ("1.0.0", "#prod", None)
    assert manager.status().why.value == ("in_order", 0)


def test_what_was_confirmed_goes_live_though_more_was_released(shipped: Workbench) -> None:
    shipped.release("model 3\n")
    manager = shipped.manager
    plan_shown = manager.plan()
    shipped.release("model 4\n")
    event = manager.deploy(plan=plan_shown).event
    assert event is not None
    assert (event.version, event.rule, event.until) == ("1.2.0", "latest", None)
    assert manager.deploy().place.version == "1.3.0"


def test_what_was_rolled_back_or_held_since_it_was_shown_stays(shipped: Workbench) -> None:
    manager = shipped.manager
    shipped.release("model 3\n")
    shown = manager.plan()
    manager.rollback_to_version()
    before = shipped.state()
    with pytest.raises(Refused, match=r"^1\.0\.0 would be deployed by now, and not 1\.2\.0"):
        manager.deploy(plan=shown)
    assert shipped.changes(before) == set()
    manager.hold()
    with pytest.raises(Held):
        manager.deploy(plan=shown)


def test_a_hold_that_was_asked_for_goes_on_through_a_deploy(shipped: Workbench) -> None:
    shipped.manager.hold("2099-12-01", reason="the audit")
    result = shipped.cli("deploy", "churn@1.0.0", "--yes")
    assert "no other version" not in result.out
    assert shipped.manager.get_deployment_history()[-1].until is None
    history_of = shipped.cli("history", "churn").out
    assert "\tholds until 2099-12-01 00:00:00; the audit\n" in history_of
    shipped.manager.resume()
    assert shipped.manager.status().why.value == ("behind", 3)


# --- what a rollback says, and what status advises


def test_a_rollback_says_what_goes_live_by_its_number_only(shipped: Workbench) -> None:
    shipped.release("model 3\n")
    outcome = shipped.manager.rollback_to_version()
    assert outcome.blocked == ("1.1.0", "1.2.0")
    shipped.manager.deploy("1.2.0")
    assert (
        "  note:          1.1.0, 1.2.0 are blocked, live by exact number only:"
        " tagship deploy churn@1.2.0; what is new here from now on goes live by itself\n"
    ) in shipped.cli("rollback", "churn", "--to", "1.0.0", "--yes").out


def test_a_rule_that_selects_what_is_live_is_followed_from_then_on(shipped: Workbench) -> None:
    _assign(shipped, "1.1.0", 1)
    shipped.release("model 3\n")
    assert shipped.manager.deploy("#prod").event is None
    event = shipped.manager.get_deployment_history()[-1]
    assert (event.action, event.version, event.rule) == ("follow", "1.1.0", "#prod")
    assert shipped.cli("history", "churn").out.endswith("from now on by the rule #prod\n")
    assert shipped.cli("status").code == 0
    before = shipped.state()
    assert shipped.manager.deploy("#prod").event is None
    assert shipped.changes(before) == set()


def test_status_advises_the_rule_that_is_followed(shipped: Workbench) -> None:
    _assign(shipped, "1.1.0", 1)
    shipped.manager.deploy("#prod")
    shipped.release("model 3\n")
    shipped.manager.deploy("1.2.0")
    shipped.manager.resume()
    (finding,) = shipped.manager.status().findings
    assert (finding.what, finding.fix) == (
        "1.1.0 is released, 1.2.0 is live", "tagship deploy churn#prod",
    )  # fmt: skip
    assert shipped.cli(*finding.fix.split()[1:], "--yes").code == 0
    assert shipped.manager.status().findings == ()


def test_a_second_rollback_never_returns_to_what_was_just_rolled_back(shipped: Workbench) -> None:
    shipped.manager.deploy("1.0.0")
    shipped.manager.deploy("1.1.0")
    assert shipped.manager.rollback_to_version().place.version == "1.0.0"
    with pytest.raises(NotFound, match="churn has no good version to go back to"):
        shipped.manager.rollback_to_version()


def test_a_hold_whose_end_is_no_date_is_found_by_status_too(shipped: Workbench) -> None:
    shipped.manager.hold()
    file = shipped.folder / "deployment_history.json"
    events = json.loads(file.read_text())
    events[-1]["until"] = "soon"
    file.write_text(json.dumps(events))
    what, fix = "event 3 has 'soon' for a date", "fix its until in deployment_history.json"
    shipped.refuses("deploy churn --yes", what, fix)
    result = shipped.cli("status", "churn")
    assert (result.code, result.out.splitlines()[1:]) == (3, [f"  {what}", f"    fix: {fix}"])


def test_a_version_that_failed_by_this_host_is_tried_again_by_its_number(
    shipped: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tagship.loaders import selftest

    shipped.release("model 3\n")

    def slow(*_: object) -> None:
        raise FailedHere("it took too long", "allow it more")

    with monkeypatch.context() as patched:
        patched.setattr(selftest, "run", slow)
        with pytest.raises(FailedHere) as caught:
            shipped.manager.deploy()
    assert caught.value.hint == "allow it more; then: tagship deploy churn@1.2.0"
    assert shipped.manager.deploy().place.version == "1.1.0"
    assert shipped.manager.deploy("1.2.0").place.version == "1.2.0"
    assert shipped.cli("status").code == 0
