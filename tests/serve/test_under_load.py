"""Swaps under load: no answer fails, none is mixed, none goes back, none stalls (I1 to I4)."""

import shutil
from pathlib import Path

import pytest

from tagship.disk import atomic
from tests import workbench
from tests.crash import cases
from tests.serve import judge, load, swapping
from tests.serve.load import Plan
from tests.serve.swapping import VERSIONS, Server, Shipped
from tests.workbench import Workbench

pytestmark = pytest.mark.heavy
SWAPS, FEW = 50, 10


@pytest.fixture(scope="module")
def trees(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """Three versions of a CatBoost model; each test goes on with what the one before left live."""
    pytest.importorskip("catboost")
    folder = tmp_path_factory.mktemp("trees")
    workbench.copy(template, folder)
    with cases.sealed(tmp_path_factory.mktemp("home")):
        made = swapping.catboost_models()
        return swapping.ship(folder / "repo", "m", "models/m/model.cbm", *made)


@pytest.fixture
def network(bench: Workbench) -> Shipped:
    """Three versions of a small Keras model."""
    pytest.importorskip("keras")
    return swapping.ship(bench.repo, "m", "models/m/model.keras", *swapping.keras_models())


def swap(server: Server, shipped: Shipped, count: int) -> None:
    """Swap versions, each when the server names the one before."""
    for version in shipped.swaps(count):
        server.await_version(shipped.model, version)


@pytest.mark.parametrize("workers", [1, 2])
def test_fifty_swaps_of_catboost_are_without_fault(trees: Shipped, workers: int) -> None:
    """With kept connections and new ones at the same time."""
    with swapping.serving(trees.repo, "m", "--workers", str(workers)) as server:
        plans = [
            load.infer(server.address, "m", trees.batches, keep_alive=kept, connections=4)
            for kept in (True, False)
        ]
        with load.under(plans[0]) as kept, load.under(plans[1]) as new:
            swap(server, trees, SWAPS)
        _, state = server.get("/v2/models/m")
    assert state["properties"]["generation"] == str(SWAPS + 1)
    for answers in (kept.answers, new.answers, kept.answers + new.answers):
        verdict = judge.judge(answers, trees.expected)
        assert verdict.faults == {}, verdict
        # which had answers: on a busy machine the next swap may come before the first one
        assert verdict.generations > 0.9 * SWAPS, verdict


def test_ten_swaps_of_keras_are_without_fault(network: Shipped) -> None:
    with swapping.serving(network.repo, "m") as server:
        plans = [
            load.infer(
                server.address, "m", network.batches, keep_alive=kept, connections=2, pause=0.05
            )
            for kept in (True, False)
        ]
        with load.under(plans[0]) as kept, load.under(plans[1]) as new:
            swap(server, network, FEW)
    verdict = judge.judge(kept.answers + new.answers, network.expected, tolerance=1e-5)
    assert verdict.faults == {}, verdict
    assert verdict.generations == FEW + 1


# Ways in which a version directory, or the link, can be bad.


def flipped(directory: Path) -> None:
    """Two bytes of the model are others: it loads, and may even answer."""
    with open(_writable(directory), "r+b") as file:
        file.seek(-2000, 2)
        two = file.read(2)
        file.seek(-2000, 2)
        file.write(bytes(byte ^ 0x10 for byte in two))


def truncated(directory: Path) -> None:
    place = _writable(directory)
    place.write_bytes(place.read_bytes()[:-1000])


def gone(directory: Path) -> None:
    """The link dangles."""
    shutil.rmtree(directory)


def _writable(directory: Path) -> Path:
    place = directory / "model.cbm"
    directory.chmod(0o755)
    place.chmod(0o644)
    return place


def point(trees: Shipped, directory: Path) -> None:
    """Make a directory live, whatever is in it."""
    atomic.swap_link(trees.folder / "current", f"versions/{directory.name}")


def test_ready_stays_ready_while_bad_and_good_versions_come(trees: Shipped) -> None:
    """The bad ones never answer, and the next good one is taken (I4, I5)."""
    good = sorted((trees.folder / "versions").iterdir())
    bad = []
    for number, spoil in enumerate((flipped, truncated, gone)):
        copy = good[0].with_name(f"v1.0.0_20200101_00000{number}")
        shutil.copytree(good[0], copy)
        spoil(copy)
        bad.append(copy)
    with swapping.serving(trees.repo, "m") as server:
        ready = Plan(*server.address, "/v2/health/ready", method="GET", connections=2, pause=0.005)
        asking = load.infer(server.address, "m", trees.batches, connections=2)
        with load.under(ready) as polled, load.under(asking) as asked:
            for number in range(10):
                at = number % len(VERSIONS)
                point(trees, bad[at])
                server.await_refusal("m", "1.0.0")
                point(trees, good[at])
                server.await_version("m", VERSIONS[at])
                server.await_refusal("m", None)
    assert judge.judge(polled.answers, {}).failed == ()
    verdict = judge.judge(asked.answers, trees.expected)
    assert verdict.faults == {}, verdict
    assert {answer.version for answer in asked.answers} == set(VERSIONS)
