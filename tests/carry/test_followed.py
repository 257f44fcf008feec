"""A host follows each carrier alone: its tags and its bytes come from there."""

import os
import shutil
from dataclasses import dataclass

import pytest

from tagship.carry import carrier
from tagship.carry.carrier import Carrier
from tagship.progress import nobody
from tagship.workspace import settled, witness
from tests.carry.carriers import Kind, Started, Way
from tests.carrying import Carrying
from tests.hosts import Following


@dataclass(frozen=True)
class Elsewhere(Carrying):
    """A host that follows the carrier ``there``; objects are copied to it as a push does."""

    there: Carrier | None = None

    @property
    def carrier(self) -> Carrier:
        """The carrier of the test."""
        assert self.there is not None
        return self.there

    def push(self) -> None:
        """Have the carrier hold the objects of the DVC remote."""
        for file in (self.remote / "files" / "md5").glob("??/*"):
            digest = file.parent.name + file.name
            self.carrier.put(carrier.Object(digest), file, lambda _: None)


def options(way: Way) -> str:
    """The options as tagship.toml has them: a secret comes from the environment."""
    given = dict(way.options)
    if secret := given.pop("connection_string", ""):
        os.environ["AZURE_STORAGE_CONNECTION_STRING"] = secret  # ``started`` takes it away
    lines = "".join(f'{name} = "{value}"\n' for name, value in given.items())
    return f"[source.options]\n{lines}" if lines else ""


@pytest.fixture
def alone(host: Following, kind: Kind, way: Way) -> Elsewhere:
    """A host that follows the carrier, in which 1.0.0 is; nothing was fetched yet."""
    if kind.name == "bundle":
        pytest.skip("a host follows the folder that bundles are taken into: tests/export")
    found = Elsewhere(host.bench, address=way.address, options=options(way), there=way.open())
    found.follow()
    found.push()
    found.carry()
    shutil.rmtree(found.origin / "refs")  # nobody asks Git from now on
    return found


def test_a_host_follows_a_carrier_alone_through_its_life(
    alone: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first version, the next one, a stage, a withdrawal, an older index, a poll."""
    monkeypatch.setattr(witness, "TICK", 0)
    alone.sync()
    assert alone.live() == "model 1\n"
    alone.bench.release("model 2\n")
    alone.push()
    older = alone.carrier.index("churn")
    alone.carry()
    assert (alone.report()["live"], alone.live()) == ("1.1.0", "model 2\n")
    shutil.rmtree(alone.remote)  # its bytes came from the carrier
    assert alone.cli("verify").code == 0

    assert older is not None
    alone.write_index(older.data)
    alone.passes(0, "churn: in order, live 1.1.0\n")
    alone.bench.git("tag", "-a", "-m", "x", "churn@v1.1.0!", "churn@v1.1.0^{commit}")
    alone.carry()
    assert (alone.report()["live"], alone.live()) == ("1.0.0", "model 1\n")

    alone.sync()
    assert settled.look(alone.folder, None, nobody) is not None  # one conditional request
    alone.bench.git("tag", "-a", "-m", "x", "churn#prod#1", "churn@v1.0.0^{commit}")
    alone.carry()
    assert settled.look(alone.folder, None, nobody) is None
    alone.follow("#prod")
    alone.passes(0, "churn: in order, live 1.0.0\n")
    assert "churn#prod#1" in alone.kept()


def test_a_carrier_that_does_not_answer_stops_what_is_new_alone(
    alone: Elsewhere, started: Started
) -> None:
    alone.sync()
    away = started.away("away")
    away.open()  # the environment has what it goes by then
    Carrying(alone.bench, address=away.address, options=options(away)).follow()
    told = alone.report()
    assert (told["code"], told["why"], told["live"]) == (1, "unknown", "1.0.0")
    assert told["reasons"][-1]["what"].startswith("nothing could be fetched: ")
