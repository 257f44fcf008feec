"""Swaps under load: no answer fails, none is mixed, none goes back, none stalls (I1 to I4)."""

import pytest

from tests.serve import judge, load, swapping
from tests.serve.swapping import Server, Shipped
from tests.workbench import Workbench

pytestmark = pytest.mark.heavy
SWAPS, FEW = 50, 10


@pytest.fixture
def trees(bench: Workbench) -> Shipped:
    """Three versions of a CatBoost model."""
    pytest.importorskip("catboost")
    return swapping.ship(bench.repo, "m", "models/m/model.cbm", *swapping.catboost_models())


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
    for answers in (kept.answers, new.answers, kept.answers + new.answers):
        verdict = judge.judge(answers, trees.expected)
        assert verdict.faults == {}, verdict
        assert verdict.generations == SWAPS + 1


def test_ten_swaps_of_keras_are_without_fault(network: Shipped) -> None:
    with swapping.serving(network.repo, "m") as server:
        plans = [
            load.infer(
                server.address, "m", network.batches, keep_alive=kept, connections=2, pause=0.005
            )
            for kept in (True, False)
        ]
        with load.under(plans[0]) as kept, load.under(plans[1]) as new:
            swap(server, network, FEW)
    verdict = judge.judge(kept.answers + new.answers, network.expected, tolerance=1e-5)
    assert verdict.faults == {}, verdict
    assert verdict.generations == FEW + 1
