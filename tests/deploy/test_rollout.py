"""A host of a staged rollout: it waits for its turn, and for nothing when it goes back."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagship.deploy import sync
from tagship.deploy.act import Options
from tagship.errors import Unavailable
from tagship.git import mirror
from tagship.host import journal
from tagship.manager.agent import Agent
from tagship.registry.refs import Wanted
from tagship.workspace import turns
from tagship.workspace.rollout import Others, Said
from tests import hosts
from tests.conftest import prepared
from tests.hosts import Following
from tests.workbench import Result, Workbench

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROLLOUT = """\
tagship:
  rollout:
    canary: [edge-7]
    hosts: [edge-1, edge-7]
    steps: [{share: 100%, after: 1h}]
"""
WAITS = "1.1.0 waits for its turn (step 2 of 2) until 2026-11-30 13:00:00 UTC"
BRAKED = (
    "1.1.0 is braked by edge-7, which took it back, seen here since 2026-11-30 14:00:00 UTC:"
    " withdraw it, release the next one, or on this host: tagship deploy churn@1.1.0"
)


def write(host: Following, text: str, tag: str = "churn@v1.1.0") -> None:
    """Commit a params.yaml, and have the server show a version of it, as GTO would make it."""
    (host.bench.repo / "params.yaml").write_text(f"train:\n  depth: 4\n{text}")
    host.bench.commit("Roll out by steps")
    host.publish(tag)


@pytest.fixture(scope="module")
def staged_template(
    released_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """1.0.0 is live on edge-1; the server shows 1.1.0, which has a rollout."""
    folder = tmp_path_factory.mktemp("staged")
    with prepared(released_template, folder) as bench:
        host = hosts.of(bench)
        Agent(host.folder).sync()
        write(host, ROLLOUT)
    yield folder


@pytest.fixture
def staged(staged_template: Path, copied: Callable[[Path], Workbench]) -> Following:
    """The same at noon; nobody has seen 1.1.0 yet."""
    host = hosts.of(copied(staged_template))
    host.at(NOON)
    return host


def waits(what: str) -> str:
    return f"churn: waiting, live 1.0.0\n  {what}\n"


def went(version: str) -> str:
    return f"churn: in order, live {version}\n  {version} is live\n"


def failed_on(host: Following, *names: str) -> Others:
    """Hosts that took 1.1.0 back."""
    tag_object = host.kept()["churn@v1.1.0"]
    return lambda _: tuple(Said(name, failed=frozenset({tag_object})) for name in names)


def passes_with(host: Following, others: Others) -> tuple[str, list[str]]:
    """One pass that hears other hosts: how the model is, and what is said of it."""
    source, place = Agent(host.folder)._places
    (row,) = sync.sync(source, place, ["churn"], Options(), others=others)
    return row.why.value[0], [reason.what for reason in row.reasons]


# --- its turn


def test_a_version_waits_for_its_turn_and_status_says_so(staged: Following) -> None:
    staged.passes(3, waits(WAITS))
    assert staged.cli("status") == Result(
        3, f"churn: waiting, live 1.0.0, latest 1.1.0\n  {WAITS}\n", ""
    )
    row = staged.report()
    assert (row["why"], row["until"], row["code"]) == ("waiting", "2026-11-30T13:00:00Z", 3)
    staged.at(NOON + HOUR - timedelta(seconds=1))
    staged.passes(3, waits(WAITS))
    staged.at(NOON + HOUR)
    assert staged.cli("status").out.startswith("churn: behind, live 1.0.0")
    staged.passes(0, went("1.1.0"))
    assert staged.cli("status").code == 0


def test_the_canary_goes_at_once(staged: Following) -> None:
    staged.file.write_text(staged.file.read_text().replace("edge-1", "edge-7"))
    staged.passes(0, went("1.1.0"))


def test_what_was_forgotten_or_a_clock_that_was_set_back_delays_and_makes_nothing_early(
    staged: Following,
) -> None:
    file = staged.folder / ".tagship" / "agent.json"
    staged.at(NOON + 8760 * HOUR)  # a year ahead
    staged.sync()
    staged.at(NOON)
    staged.passes(3, waits(WAITS))  # and not until next year
    staged.at(NOON + HOUR / 2)
    for text in ("", "{", '{"staged": {"churn": [{"tag_object": "x", "first_seen": 3}]}}'):
        file.write_text(text)
        staged.passes(3, waits(WAITS.replace("13:00", "13:30")))
    value = json.loads(file.read_text())
    value["staged"]["churn"][0]["first_seen"] = "yesterday"
    file.write_text(json.dumps(value))
    staged.passes(3, waits(WAITS.replace("13:00", "13:30")))
    staged.at(NOON + 1.5 * HOUR)
    staged.passes(0, went("1.1.0"))


def test_what_is_kept_of_first_sights_has_a_bound(staged: Following) -> None:
    for number in range(6):
        staged.publish(f"churn@v1.{number + 2}.0")
        staged.sync()
    file = staged.folder / ".tagship" / "agent.json"
    kept = json.loads(file.read_text())["staged"]["churn"]
    assert [each["waits"][:5] for each in kept] == ["1.7.0", "1.6.0", "1.5.0", "1.4.0"]


def test_a_deploy_by_hand_waits_unless_it_names_the_version_or_says_retry(
    staged: Following,
) -> None:
    staged.sync()
    refused = Result(3, "", f"error: {WAITS}\nhint: tagship deploy churn@1.1.0\n")
    for words in (["deploy", "churn", "--yes"], ["deploy", "churn@latest", "--dry-run"]):
        assert staged.cli(*words) == refused
    assert staged.cli("deploy", "churn", "--yes", "--quiet") == Result(3, "", "")
    plan = staged.cli("deploy", "churn", "--retry", "--dry-run").out
    assert plan.endswith(f"  {WAITS}; this deploy does not wait\n")
    assert "waits" not in staged.cli("deploy", "churn@1.1.0", "--dry-run").out
    assert staged.cli("deploy", "churn@1.1.0", "--yes").code == 0
    assert staged.cli("status").code == 0
    staged.publish("churn@v1.2.0")
    staged.sync()
    assert staged.cli("deploy", "churn", "--retry", "--yes").code == 0
    staged.publish("churn@v1.3.0")
    staged.cli("fetch")  # no pass has seen it yet
    assert staged.cli("deploy", "churn", "--yes").err.startswith("error: 1.3.0 waits for its turn")
    assert staged.sync("--retry") == Result(0, went("1.3.0"), "")


def test_going_back_waits_for_nothing(staged: Following) -> None:
    staged.sync()
    staged.cli("deploy", "churn@1.1.0", "--yes")
    assert staged.cli("rollback", "churn", "--yes").code == 0
    staged.publish("churn@v1.2.0")
    staged.passes(3, waits(WAITS.replace("1.1.0", "1.2.0")))
    staged.sync("--retry")
    staged.publish("churn@v1.2.0!")  # withdrawn
    staged.passes(0, went("1.0.0"))


def test_in_a_work_tree_nothing_is_staged(staged: Following) -> None:
    bench = staged.bench
    assert bench.cli("deploy", "churn", "--yes").code == 0
    assert bench.cli("current", "churn").out.startswith("1.1.0")


# --- what the others say


def test_who_took_it_back_stops_the_rest_until_a_newer_tag(staged: Following) -> None:
    staged.sync()
    others = failed_on(staged, "edge-7")
    staged.at(NOON + 2 * HOUR)
    assert passes_with(staged, others) == ("waiting", [BRAKED])
    staged.at(NOON + 99 * HOUR)
    assert passes_with(staged, others) == ("waiting", [BRAKED])  # since when, too
    assert BRAKED in staged.cli("status").out
    assert staged.cli("deploy", "churn", "--yes").err.startswith("error: 1.1.0 is braked by edge-7")
    staged.publish("churn@v1.2.0")
    passes_with(staged, others)
    staged.at(NOON + 100 * HOUR)
    assert passes_with(staged, others) == ("in_order", ["1.2.0 is live"])


def test_a_store_of_statuses_that_is_silent_delays_for_a_time(staged: Following) -> None:
    def silent(model: str) -> tuple[Said, ...]:
        raise Unavailable(f"no answer about {model}", "")

    staged.sync()
    staged.at(NOON + HOUR)
    why, (what,) = passes_with(staged, silent)
    assert why == "waiting"
    assert what.endswith(
        "until 2026-11-30 15:00:00 UTC at most: the status of the other hosts cannot be read: no"
        " answer about churn"
    )
    staged.at(NOON + 3 * HOUR)
    assert passes_with(staged, silent) == ("in_order", ["1.1.0 is live"])


def test_a_host_says_which_tags_it_took_back(staged: Following) -> None:
    def taken_back() -> list[str]:
        names = {tag_object: name for name, tag_object in staged.kept().items()}
        known = Agent(staged.folder)._places[0].versions("churn")
        return [names[each] for each in turns.failed(known, journal.events(staged.store))]

    staged.publish("churn#prod#1")
    staged.sync()
    assert taken_back() == []
    staged.cli("deploy", "churn@1.1.0", "--yes")
    assert taken_back() == []
    staged.cli("rollback", "churn", "--yes")
    assert taken_back() == ["churn@v1.1.0", "churn#prod#1"]
    staged.publish("churn#prod#2")  # a new wish
    staged.sync()
    assert taken_back() == ["churn@v1.1.0"]
    staged.cli("deploy", "churn@1.1.0", "--yes")
    assert taken_back() == []


# --- a rollout that is wrong


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("tagship:\n  rollout: {canary: [edge-7]}\n",
         "its rollout is wrong: tagship.rollout.steps in params.yaml is missing"),
        ("tagship:\n  rollout: {command: [reboot], steps: []}\n",
         "its rollout is wrong: tagship.rollout in params.yaml has 'command': a rollout names no"
         " program and no address"),
        ("tagship:\n  Rollout: {canary: [edge-7]}\n",
         "its rollout is wrong: tagship: in params.yaml has an unknown key 'Rollout'"),
        ("tagship: [rollout]\n", "its rollout is wrong: tagship: in params.yaml is not a mapping"),
        ("tagship: {rollout: [\n",
         "its rollout is wrong: params.yaml is not valid YAML, line 4"),
    ],
)  # fmt: skip
def test_a_version_whose_rollout_is_wrong_waits_and_what_is_live_stays(
    host: Following, text: str, what: str
) -> None:
    host.at(NOON)
    host.sync()
    write(host, text)
    for hours in (0, 1, 9999):
        host.at(NOON + hours * HOUR)
        result = host.sync()
        since = "since 2026-11-30 12:00:00 UTC"
        assert result.out == waits(
            f"1.1.0 waits, {since}: {what}; release the next one, or on this host:"
            " tagship deploy churn@1.1.0"
        )
        assert (result.code, result.err) == (3, "")
    assert host.live() == "model 1\n"


def test_a_wrong_rollout_is_not_released(host: Following) -> None:
    bench = host.bench
    for text, message, hint in (
        ("tagship: {rollout: {steps: []}}\n",
         "tagship.rollout.steps in params.yaml may not be []",
         "give a list: [{share: 10%, after: 1h}, {share: 100%, after: 4h}]"),
        ("tagship: {rollout: {steps: [], url: 'http://x'}}\n",
         "tagship.rollout in params.yaml has 'url': a rollout names no program and no address",
         "tagship.toml of each host names those: see docs/gates.md"),
    ):  # fmt: skip
        (bench.repo / "params.yaml").write_text(text)
        bench.train(text)
        bench.refuses("release churn", message, hint)
        bench.refuses("release churn --force", message, hint)
    assert bench.cli("status").code in (0, 3)  # who deploys or rolls back is not stopped


def test_where_the_server_does_not_give_the_rollout_the_version_waits(staged: Following) -> None:
    def cut(*_: object) -> None:
        raise Unavailable("the server hung up", "")

    with pytest.MonkeyPatch.context() as network:
        network.setattr(mirror, "bring_blobs", cut)
        staged.passes(
            3,
            waits(
                "1.1.0 waits, since 2026-11-30 12:00:00 UTC: its rollout cannot be read: the server"
                " hung up; release the next one, or on this host: tagship deploy churn@1.1.0"
            ),
        )
    staged.passes(3, waits(WAITS))


def test_deploy_in_params_is_the_users_own_where_it_has_a_rollout(host: Following) -> None:
    host.at(NOON)
    host.sync()
    write(host, "deploy:\n  rollout: canary\n")
    host.passes(0, went("1.1.0"))
    assert host.bench.cli("status").err == ""


# --- stages, and what is shown


def test_a_new_assignment_is_a_new_start(staged: Following) -> None:
    staged.follow("#prod")
    staged.publish("churn#prod#1")
    staged.passes(3, waits(WAITS))
    staged.at(NOON + HOUR / 2)
    staged.publish("churn#prod#2")
    staged.passes(3, waits(WAITS.replace("13:00", "13:30")))


def test_show_has_the_rollout(staged: Following) -> None:
    staged.cli("fetch")
    shown = staged.cli("show", "churn@1.1.0").out
    assert (
        "  rollout:\n    canary: edge-7\n    hosts: edge-1, edge-7\n    steps: 100% after 1h\n"
        "    brake: 1 failed\n"
    ) in shown
    assert json.loads(staged.cli("show", "churn@1.1.0", "--json").out)["rollout"] == {
        "canary": ["edge-7"], "hosts": ["edge-1", "edge-7"],
        "steps": [{"share": "100%", "after": "1h"}], "brake": "1 failed",
    }  # fmt: skip
    assert "rollout" not in staged.cli("show", "churn@1.0.0", "--json").out
    assert staged.bench.manager.rollout(Wanted.parse("1.0", "churn").text) is None
    write(staged, "tagship: {rollout: {steps: []}}\n", "churn@v1.2.0")
    staged.cli("fetch")
    assert "    wrong: tagship.rollout.steps in params.yaml may not be []\n" in (
        staged.cli("show", "churn@1.2.0").out
    )


def test_the_rollout_of_a_model_in_a_folder_is_that_of_the_nearest_params(host: Following) -> None:
    repo = host.bench.repo
    (repo / "sub" / "deep").mkdir(parents=True)
    (repo / "params.yaml").write_text(ROLLOUT)
    (repo / "sub" / "params.yaml").write_text("lr: 3\n")
    head = host.bench.commit()
    source = host.bench.manager.source
    found = source.rollout(head, "sub/deep:churn")
    assert found is not None
    assert found.canary == ("edge-7",)
    (repo / "sub" / "params.yaml").write_text(ROLLOUT.replace("edge-7", "edge-9"))
    head = host.bench.commit()
    found = source.rollout(head, "sub/deep:churn")
    assert found is not None
    assert found.canary == ("edge-9",)
