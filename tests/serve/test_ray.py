"""Ray Serve as two nodes, the real package: swaps, what is killed, and nodes that do not fit.

The tests share a cluster, and each goes on with what the one before left.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tagship.text import yaml
from tests import workbench
from tests.crash import cases
from tests.docs.pages import blocks, page
from tests.serve import engines, judge, load, swapping
from tests.serve.engines import cluster, price, running
from tests.serve.engines.cluster import FIRST, SECOND, Cluster
from tests.serve.judge import Verdict
from tests.serve.load import Answer, Plan
from tests.serve.swapping import VERSIONS, Shipped, wait_for

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(engines.missing("ray")), reason=engines.missing("ray")),
]
SWAPS = 50
FILE, CHOSEN = blocks(page("ray.md"), "yaml")
BAD = {
    "{}": "no model is named: models=churn",
    "{'models': ' , '}": "no model is named: models=churn",
    "{'models': 'm', 'port': 80}": "there is no argument 'port'; there are: models, root, ",
    "{'models': 'm', 'poll': 'often'}": "poll cannot be 'often'",
    "{'models': 3}": "models cannot be 3",
    "{'models': 'm', 'root': 'models'}": "root cannot be 'models'",
}


@pytest.fixture(scope="module")
def trees(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """Three versions of a CatBoost model."""
    folder = tmp_path_factory.mktemp("trees")
    workbench.copy(template, folder)
    with cases.sealed(tmp_path_factory.mktemp("home")):
        made = swapping.catboost_models()
        return swapping.ship(folder / "repo", "m", "models/m/model.cbm", *made)


@pytest.fixture(scope="module")
def nodes(trees: Shipped) -> Iterator[Cluster]:
    """Two nodes, each with a replica that follows the link."""
    with cluster.cluster() as made:
        for node in (FIRST, SECOND):
            made.start(node, TAGSHIP_ROOT=str(trees.repo / "models"))
        made.run(config(made))
        made.await_status("RUNNING")
        yield made


def config(made: Cluster, user_config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The page's own file, with a replica on each node, whose environment says where models are.

    One proxy alone, as two of one machine would want the same port.
    """
    value: dict[str, Any] = yaml.parse(FILE.encode(), "ray.md")
    (application,) = value["applications"]
    (deployment,) = application["deployments"]
    application["args"] = {"models": "m", "allow_hosts": [FIRST]}
    deployment["autoscaling_config"]["max_replicas"] = 2
    deployment["max_replicas_per_node"] = 1
    if user_config is not None:
        deployment["user_config"] = user_config
    value["http_options"] = {"host": FIRST, "port": made.http}
    return {**value, "proxy_location": "HeadOnly"}


def plan(made: Cluster, shipped: Shipped) -> Plan:
    return load.infer((FIRST, made.http), "m", shipped.batches)


def say(capsys: pytest.CaptureFixture[str], words: str) -> None:
    with capsys.disabled():
        print(f"\n{words}")  # noqa: T201


def test_arguments_are_read_or_refused_with_words(tmp_path: Path) -> None:
    """And what is imported for it is neither Git nor DVC, nor a framework."""
    good = "{'models': 'm, n', 'root': '/srv/models', 'poll': '0.5', 'threads': '2'}"
    code = (
        "import sys\nfrom pathlib import Path\nfrom tagship.serve import ray\n"
        f"print(ray.settings_of({good}) == ray.Settings(('m', 'n'), root=Path('/srv/models'),"
        " poll=0.5, threads=2))\n"
        f"print({{'git', 'dvc', 'catboost', 'tagship.git', 'tagship.dvc'}} & set(sys.modules))\n"
        f"for each in ({', '.join(BAD)}):\n"
        "    try:\n        ray.app(each)\n"
        "    except ray.Refused as error:\n        print(error.message)\n"
    )
    ended = subprocess.run(
        [engines.python_of("ray"), "-c", code], env=running.environment("ray", tmp_path),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = ended.stdout.splitlines()
    assert said[:2] == ["True", "set()"], ended.stderr
    assert len(said[2:]) == len(BAD)
    for line, words in zip(said[2:], BAD.values(), strict=True):
        assert line.startswith(words)


def test_a_replica_is_healthy_once_it_answers_and_goes_on_where_a_choice_is_refused(
    trees: Shipped, tmp_path: Path
) -> None:
    (trees.repo / "models" / "empty").mkdir()
    program = Path(cluster.__file__).with_name("replica.py")
    ended = subprocess.run(
        [engines.python_of("ray"), program, trees.repo / "models"],
        env=running.environment("ray", tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [
        "not ready: m", trees.live(), "1.0.0", "1.0.0", "1.0.0", "1.0.0", "1.1.0",
        "m is not taken: m 7.0.0 is not on this host",
        "user_config has to be {version: 1.2.0}, and is {'versoin': '1.1.0'}",
        "the version in user_config is no text: 1.1",
        f"no version of empty is live in {trees.repo / 'models'}",
    ]  # fmt: skip
    assert "user_config is not taken: m is not taken: m 7.0.0 is not on this host" in ended.stderr


def test_fifty_swaps_on_two_nodes_fail_and_mix_nothing(
    nodes: Cluster, trees: Shipped, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each replica follows the link alone: what goes backwards is counted, and printed."""
    assert [len(nodes.replicas(node)) for node in (FIRST, SECOND)] == [1, 1]
    swapped = running.swap(trees, plan(nodes, trees), SWAPS)
    say(capsys, f"Ray, 2 replicas on 2 nodes: {swapped}, {running.late(swapped):.3f} s")
    assert not swapped.verdict.failed, swapped.verdict
    assert not swapped.verdict.mixed, swapped.verdict
    assert running.late(swapped) < 2.0  # seconds
    assert swapped.verdict.generations > 0.9 * SWAPS
    fewer, more = sorted(answered_by_each(nodes, trees, 2))
    assert fewer + more >= swapped.verdict.answers
    assert fewer > 0.1 * more  # both replicas were asked all the time


def answered_by_each(made: Cluster, shipped: Shipped, replicas: int) -> set[float]:
    """Counts of so many replicas: Ray passes over one for a while that it takes for busy."""
    counts: set[float] = set()

    def heard() -> bool:
        counts.add(answered(made, shipped))
        return len(counts) == replicas

    wait_for(heard)
    return counts


def answered(made: Cluster, shipped: Shipped) -> float:
    """The requests that one of the replicas has answered, by its metrics."""
    text = running.ask(plan(made, shipped), "/metrics").value
    return sum(map(float, re.findall(r"^tagship_requests_total\{.*\} (\S+)$", text, re.MULTILINE)))


def test_the_controller_chooses_versions_whatever_is_live(
    nodes: Cluster, trees: Shipped, capsys: pytest.CaptureFixture[str]
) -> None:
    """And replicas follow again, once it chooses none."""
    live = trees.live()
    others = [version for version in VERSIONS if version != live]
    took, chosen_at = [], [(0.0, live)]
    with load.under(plan(nodes, trees)) as asked:
        for version in others:
            begun = time.monotonic()
            chosen_at.append((begun, version))
            nodes.run(config(nodes, chosen(version)))
            wait_for(lambda version=version: stays(nodes, trees, version))  # type: ignore[misc]
            took.append(time.monotonic() - begun)
    numbered = judge.numbered(asked.answers, chosen_at)  # each replica has numbers of its own
    verdict = judge.judge(numbered, trees.expected, running.TOLERANCE)
    say(capsys, f"Ray, user_config: {verdict}; each {max(took):.1f} s at most, serve run included")
    assert not verdict.failed, verdict
    assert not verdict.mixed, verdict
    assert trees.live() == live
    nodes.run(config(nodes, {"version": None}))
    wait_for(lambda: stays(nodes, trees, live))


def chosen(version: str) -> dict[str, Any]:
    """The page's own ``user_config``, with another version."""
    value: dict[str, Any] = yaml.parse(CHOSEN.encode(), "ray.md")["user_config"]
    assert value.keys() == {"version"}
    return {"version": version}


def stays(made: Cluster, shipped: Shipped, version: str) -> bool:
    """Whether many answers in a row are of a version: both replicas have it."""
    return all(running.version(plan(made, shipped)) == version for _ in range(20))


def test_its_price_beside_one_process(
    nodes: Cluster, trees: Shipped, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory (PSS) and processes, and what a request takes of the CPU of all of them."""
    of_ray = price.of([each.pid for each in nodes.nodes.values()], plan(nodes, trees))
    with swapping.serving(trees.repo, "m") as server:
        of_one = price.of([server.pid], load.infer(server.address, "m", trees.batches))
    say(capsys, f"Ray, 2 nodes: {of_ray}\ntagship serve: {of_one}")
    assert (of_ray.failed, of_one.failed) == (0, 0)
    assert of_ray.memory > of_one.memory


def test_where_a_chosen_version_is_refused_replicas_go_on_and_say_why(
    nodes: Cluster, trees: Shipped
) -> None:
    """A replica that begins then has nothing else, and is refused."""
    with load.under(plan(nodes, trees)) as asked:
        nodes.run(config(nodes, {"version": "7.0.0"}))
        wait_for(lambda: refused(nodes, trees) == {"m 7.0.0 is not on this host"})
        nodes.await_status("RUNNING")
        (old,) = nodes.replicas(SECOND)
        os.kill(old, 9)
        nodes.await_status(words="m is not taken: m 7.0.0 is not on this host")
    verdict = verdict_of(asked.answers, trees)
    assert not verdict.mixed, verdict
    assert {each.version for each in asked.answers if each.status == 200} == {trees.live()}
    nodes.run(config(nodes, {"version": None}))
    nodes.await_status("RUNNING")


def refused(made: Cluster, shipped: Shipped) -> set[str | None]:
    """What replicas say that they do not take, and why."""
    several = [running.ask(plan(made, shipped), "/v2/models/m") for _ in range(20)]
    return {reply.value["properties"].get("refused") for reply in several}


def verdict_of(answers: Sequence[Answer], shipped: Shipped) -> Verdict:
    """Where one version is live: each replica has numbers of its own, which are not compared."""
    numbered = judge.numbered(answers, [(0.0, shipped.live())])
    return judge.judge(numbered, shipped.expected, running.TOLERANCE)


def test_a_replica_that_is_killed_comes_again(
    nodes: Cluster, trees: Shipped, capsys: pytest.CaptureFixture[str]
) -> None:
    (old,) = nodes.replicas(SECOND)
    with load.under(plan(nodes, trees)) as asked:
        begun = time.monotonic()
        os.kill(old, 9)
        wait_for(lambda: nodes.replicas(SECOND) not in ([], [old]))
        back = time.monotonic() - begun
        time.sleep(3)
    verdict = verdict_of(asked.answers, trees)
    say(capsys, f"Ray, a replica killed: {verdict}; another process after {back:.1f} s")
    assert not verdict.mixed, verdict
    assert len(verdict.failed) < 0.05 * verdict.answers, verdict
    nodes.await_status("RUNNING")


def test_a_node_that_is_killed_leaves_the_other_which_answers(
    nodes: Cluster, trees: Shipped, capsys: pytest.CaptureFixture[str]
) -> None:
    with load.under(plan(nodes, trees)) as asked:
        nodes.kill(SECOND)
        time.sleep(8)
    verdict = verdict_of(asked.answers, trees)
    say(capsys, f"Ray, a node killed: {verdict}")
    assert not verdict.mixed, verdict
    assert len(verdict.failed) < 0.05 * verdict.answers, verdict
    last = max(asked.answers, key=lambda answer: answer.end)
    assert last.status == 200


def test_a_node_without_the_files_does_not_answer_and_says_why(
    nodes: Cluster, trees: Shipped, tmp_path: Path
) -> None:
    nodes.start(SECOND, TAGSHIP_ROOT=str(tmp_path / "none"))
    with load.under(plan(nodes, trees)) as asked:
        nodes.await_status(words=f"this node has no folder {tmp_path / 'none'}")
    assert {(answer.status, answer.version) for answer in asked.answers} == {(200, trees.live())}
    nodes.kill(SECOND)


def test_a_node_with_another_tagship_does_not_answer_and_says_why(
    nodes: Cluster, trees: Shipped, tmp_path: Path
) -> None:
    site = Path(engines.python_of("ray")).parents[1]
    (facts,) = site.glob("lib/python*/site-packages/tagship-*.dist-info")
    shutil.copytree(facts, tmp_path / "tagship-99.0.0.dist-info")
    metadata = tmp_path / "tagship-99.0.0.dist-info" / "METADATA"
    text = metadata.read_text()
    own = next(line for line in text.splitlines() if line.startswith("Version: "))
    metadata.write_text(text.replace(own, "Version: 99.0.0", 1))
    root = str(trees.repo / "models")
    nodes.start(SECOND, TAGSHIP_ROOT=root, PYTHONPATH=str(tmp_path))
    with load.under(plan(nodes, trees)) as asked:
        built = own.removeprefix("Version: ")
        nodes.await_status(
            words=f"this node has tagship 99.0.0, and the application was built with {built}"
        )
    assert {(answer.status, answer.version) for answer in asked.answers} == {(200, trees.live())}
    nodes.kill(SECOND)
