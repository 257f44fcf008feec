"""Status objects in real stores: written by hosts, listed in pages, read by whoever may."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tagship.errors import Unavailable
from tagship.fleet import at_once, place, status_object, survey
from tagship.fleet.place import Bucket, Name
from tagship.text import clock
from tests.fleet import objects
from tests.hosts import Following
from tests.stores.places import aws, clean
from tests.stores.trials import Shop

SHARED = ("seaweedfs", "moto", "azurite")  # an anonymous one of Google takes nothing
HOSTS, MODELS = 100, 10


@pytest.fixture
def as_host(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has the environment of a host."""
    for name in set(os.environ) - set(clean()):
        monkeypatch.delenv(name)
    for name, value in shop.place.environment.items():
        monkeypatch.setenv(name, value)


def bucket(shop: Shop, folder: str) -> Bucket:
    """A place in a store."""
    options = shop.place.options(shop.server.address, folder)
    found = place.of(options.pop("url"), options)
    assert isinstance(found, Bucket)
    return found


def fill(where: Bucket) -> dict[Name, bytes]:
    """Write the status of 100 hosts with 10 models."""
    names = [
        Name(f"model-{model}", f"edge-{host:03}")
        for host in range(HOSTS)
        for model in range(MODELS)
    ]
    written = {name: status_object.to_bytes(objects.status(*name)) for name in names}
    done = at_once.ask(lambda name: where.put(name.key, written[name]), written, 300)
    assert set(done.values()) == {None}
    return written


@pytest.mark.at(*SHARED)
@pytest.mark.usefixtures("as_host")
def test_what_is_written_is_listed_and_read_as_it_was(shop: Shop) -> None:
    where = bucket(shop, "fleet/small")
    written = {
        name: status_object.to_bytes(objects.status(*name))
        for name in (Name("a/b", "edge-1"), Name("team:churn", "edge.1"), Name("churn", "Edge_2"))
    }
    assert place.put(where, written) == {}
    where.put("churn/README", b"x")
    where.put("churn/big.json", b"x" * 10_000_000)
    contents = place.read(where)
    assert {found.name: found.data for found in contents.objects if not found.problem} == written
    assert contents.odd == ("churn/README",)
    (big,) = (found for found in contents.objects if found.problem)
    assert (big.name.host, big.data, big.problem) == ("big", b"", "it has more than 16000 bytes")
    assert len(where.get("churn/big.json")) == status_object.READ + 1  # it grew meanwhile
    assert abs(contents.objects[0].written - clock.now()).total_seconds() < 600
    with pytest.raises(FileNotFoundError):
        where.get("churn/none.json")


@dataclass
class Counted:
    """A bucket that counts what it is asked."""

    inner: Bucket
    lists: int = 0
    gets: int = 0

    @property
    def title(self) -> str:
        return self.inner.title

    def entries(self) -> Iterator[place.Entry]:
        self.lists += 1
        yield from self.inner.entries()

    def get(self, key: str) -> bytes:
        self.gets += 1
        return self.inner.get(key)

    def put(self, key: str, data: bytes) -> None:
        self.inner.put(key, data)


@pytest.mark.at("seaweedfs", "moto")
@pytest.mark.usefixtures("as_host")
def test_100_hosts_with_10_models_take_one_list_and_a_get_each(shop: Shop) -> None:
    where = bucket(shop, "fleet/large")
    written = fill(where)
    began = time.monotonic()
    contents = place.read(where)  # the LIST and its GETs alone
    alone = time.monotonic() - began
    assert {found.name: found.data for found in contents.objects} == written
    counted, began = Counted(where), time.monotonic()
    view = survey.of_place(counted, None, survey.Asked(), None)
    assert time.monotonic() - began < 2 * alone + 1
    assert (counted.lists, counted.gets) == (1, HOSTS * MODELS)
    assert (len(view.rows), len(view.hosts), len(view.models)) == (1000, HOSTS, MODELS)


@pytest.mark.at("seaweedfs")
def test_rights_decide_who_writes_and_who_reads(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by(account: str) -> Bucket:
        for name, value in aws(account).items():
            monkeypatch.setenv(name, value)
        return bucket(shop, "fleet/rights")

    name = Name("churn", "edge-1")
    data = status_object.to_bytes(objects.status())
    assert place.put(by("writer"), {name: data}) == {}
    (found,) = place.read(by("reader")).objects
    assert found.data == data
    (error,) = place.put(by("reader"), {name: data}).values()
    assert error.message.startswith("s3://models/fleet/rights cannot be written: it denies access")
    assert "the right to write" in error.hint
    with pytest.raises(Unavailable, match="cannot be read: it denies access") as caught:
        place.read(by("stranger"))
    assert "sesame" not in str(caught.value)


@pytest.mark.at("seaweedfs", "moto")
@pytest.mark.usefixtures("as_host")
def test_a_pass_writes_into_the_store_and_anybody_with_the_key_looks(
    shop: Shop, host: Following, tmp_path: Path
) -> None:
    options = f'endpointurl = "{shop.server.address}"'
    report = '[report]\nstatus = "s3://models/fleet/pass"\n'
    host.follow(more=f"{report}[report.options]\n{options}\n")
    result = host.sync()
    assert (result.code, result.err) == (0, "")
    assert [row["host"] for row in json.loads(host.cli("fleet", "--json").out)["rows"]] == [
        "edge-1"
    ]
    host.bench.monkeypatch.setenv("AWS_ENDPOINT_URL", shop.server.address)
    looked = host.bench.cli_in(tmp_path, "fleet", "--from", "s3://models/fleet/pass")
    assert "edge-1\tchurn\t1.0.0\t1.0.0\tin order" in looked.out
    assert (looked.code, looked.err) == (0, "")
