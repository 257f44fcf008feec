"""A host that asks no Git server: it follows the index and the capsules in a place."""

from pathlib import Path

import pytest

from tests import carrying
from tests.carrying import Carrying
from tests.hosts import Following

LIVE = "churn: in order, live 1.0.0\n"


@pytest.fixture
def alone(host: Following) -> Carrying:
    """A host that follows the DVC remote with the capsules of 1.0.0; nothing was fetched yet."""
    found = carrying.of(host)
    found.carry()
    return found


@pytest.fixture
def second(alone: Carrying) -> Carrying:
    """1.0.0 was live, and 1.1.0 is."""
    alone.sync()
    alone.release("model 2\n")
    alone.carry()
    alone.sync()
    assert alone.live() == "model 2\n"
    return alone


def test_a_release_goes_live_from_a_place_alone(alone: Carrying) -> None:
    (alone.origin / "HEAD").unlink()  # there is no Git server
    result = alone.sync()
    assert (result.code, result.err) == (0, "")
    assert alone.live() == "model 1\n"
    alone.passes(0, LIVE)
    assert alone.cli("verify").code == 0
    assert sorted(alone.kept()) == ["churn@v1.0.0"]


def test_what_is_live_is_described_as_from_git(alone: Carrying, tmp_path: Path) -> None:
    alone.sync()
    named = [
        alone.cli(*words) for words in (("show", "churn"), ("list", "churn"), ("why", "churn"))
    ]
    assert all(result.code == 0 for result in named), named
