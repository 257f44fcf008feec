"""What a registry alone does as a carrier: its lock, its tags, what others keep there."""

import hashlib
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagship.carry import oci, places
from tagship.carry.carrier import Capsule, Changed, Index, Object
from tagship.carry.oci import Oci
from tagship.errors import InvalidName, Refused, Unavailable
from tagship.stores import artifacts
from tagship.stores.stream import Allowance, TooLong
from tests.export import distribution
from tests.export import registry as fake
from tests.export.registry import Answer, FakeRegistry

DATA = b"some bytes"
MD5 = Object(hashlib.md5(DATA).hexdigest())
SHA = Capsule("churn", hashlib.sha256(DATA).hexdigest())


def nothing(count: int) -> None:
    pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    """A registry in this process, of which nothing takes long."""
    monkeypatch.setattr(oci, "SETTLE", 0.1)
    monkeypatch.setattr(oci, "AGAIN", 0.01)
    with fake.running() as started:
        yield started


@pytest.fixture
def place(registry: FakeRegistry) -> Oci:
    opened = places.of(f"docker://{registry.host}/models", {})
    assert isinstance(opened, Oci)
    return opened


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").write_bytes(DATA)
    return tmp_path / "source"


@pytest.mark.parametrize(
    "address, words",
    [
        ("docker://example.com/models:1.0", "docker://example.com/models:1.0 names an image"),
        (
            "docker://example.com/Models",
            "'docker://example.com/Models' is no repository in a registry",
        ),
        (
            "docker://ada:hunter2@example.com/models",
            "docker://example.com/models should have no login in it",
        ),
    ],
)
def test_an_address_is_that_of_a_repository(address: str, words: str) -> None:
    with pytest.raises((Refused, InvalidName)) as caught:
        places.of(address, {})
    assert caught.value.message.startswith(words)
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


def test_each_thing_has_a_tag_of_its_own(registry: FakeRegistry, place: Oci, source: Path) -> None:
    place.put(MD5, source, nothing)
    place.put(SHA, source, nothing)
    place.put(SHA._replace(model="team/a:vision"), source, nothing)
    place.write_index("churn", b"{}", "")
    names = sorted(name for name in registry.manifests if not name.startswith("sha256:"))
    other = hashlib.sha256(b"team/a:vision").hexdigest()[:32]
    assert names == [
        f"capsule-.{other}-{SHA.digest}", f"capsule-churn-{SHA.digest}", "index-churn",
        "lock-churn", f"md5-{MD5.digest}",
    ]  # fmt: skip
    assert max(map(len, names)) <= 128
    assert set(registry.blobs.values()) == {DATA, b"{}"}  # the same bytes are sent once
    manifest = json.loads(registry.manifests[f"md5-{MD5.digest}"])
    assert manifest["artifactType"] == "application/vnd.tagship.object.v1"
    assert manifest["layers"][0]["digest"] == fake.digest(DATA)


def test_the_longest_name_fits_into_a_tag() -> None:
    for model in ("m" * 40, "m" * 41, "f/" * 50 + "m"):
        assert len(oci._tag(Capsule(model, "0" * 64))) <= 128


def test_an_index_that_is_there_costs_one_question(registry: FakeRegistry, place: Oci) -> None:
    place.write_index("churn", b"{}", "")
    found = place.index("churn")
    assert found is not None
    registry.asked.clear()
    assert place.index("churn", found.mark) is None  # this one compares nothing itself
    assert len(registry.asked) == 1

    def not_modified(method: str, path: str, headers: dict[str, str]) -> Answer | None:
        return (304, {}, b"") if headers.get("If-None-Match") == f'"{found.mark}"' else None

    registry.misbehave = not_modified
    assert place.index("churn", found.mark) is None
    assert place.index("churn") == found


def test_a_lock_that_somebody_holds_is_waited_for(place: Oci) -> None:
    place.artifacts.send(artifacts.NOTHING, "empty")
    place.artifacts.name("lock-churn", oci._lock("somebody"))
    thread = threading.Timer(0.3, lambda: place.artifacts.name("lock-churn", oci._lock("")))
    began = time.monotonic()
    thread.start()
    place.write_index("churn", b"{}", "")
    assert time.monotonic() - began >= 0.3
    thread.join()
    assert place._holder("lock-churn") == ""


def test_a_lock_of_a_process_that_ended_is_taken(
    place: Oci, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oci, "STALE", 0.5)
    place.artifacts.send(artifacts.NOTHING, "empty")
    place.artifacts.name("lock-churn", oci._lock("dead"))
    began = time.monotonic()
    place.write_index("churn", b"{}", "")
    assert time.monotonic() - began >= 0.5
    assert place.index("churn") is not None


def test_who_is_slow_to_write_its_name_does_not_hold_the_lock(
    registry: FakeRegistry, place: Oci
) -> None:
    slow = [True]

    def delay(method: str, path: str, headers: dict[str, str]) -> Answer | None:
        if method == "PUT" and path.endswith("lock-churn") and slow:
            slow.clear()
            time.sleep(0.2)
        return None

    registry.misbehave = delay
    place.artifacts.send(artifacts.NOTHING, "empty")
    assert not place._took("lock-churn", "own")
    assert place._took("lock-churn", "own")


def test_whoever_wrote_its_name_last_holds_the_lock(registry: FakeRegistry, place: Oci) -> None:
    place.artifacts.send(artifacts.NOTHING, "empty")
    threading.Timer(0.05, lambda: place.artifacts.name("lock-churn", oci._lock("other"))).start()
    assert not place._took("lock-churn", "own")
    assert place._holder("lock-churn") == "other"


def test_an_index_that_is_another_one_by_then_is_told(registry: FakeRegistry, place: Oci) -> None:
    def change(method: str, path: str, headers: dict[str, str]) -> Answer | None:
        if method == "PUT" and path.endswith("index-churn"):
            registry.misbehave = lambda *_: None
            place.artifacts.name("index-churn", place.artifacts.send(b"theirs", "index"))
            return 201, {}, b""
        return None

    registry.misbehave = change
    with pytest.raises(Changed):
        place.write_index("churn", b"ours", "")
    found = place.index("churn")
    assert found is not None
    assert found.data == b"theirs"
    assert place._holder("lock-churn") == ""


@pytest.mark.parametrize(
    "manifest",
    [b"{", b"[]", b'{"layers": []}', b'{"layers": [{"digest": "../..", "size": 1}]}',
     b'{"layers": [{"digest": 1, "size": 1}]}', b'{"layers": [1, 2]}',
     json.dumps({"layers": [{"digest": fake.digest(b""), "size": -1}]}).encode()],
)  # fmt: skip
def test_what_others_keep_there_is_told(
    registry: FakeRegistry, place: Oci, manifest: bytes
) -> None:
    for tag in ("index-churn", f"md5-{MD5.digest}"):
        registry.manifests[tag] = manifest
    for act in (
        lambda: place.index("churn"),
        lambda: place.size(MD5),
        lambda: list(place.blocks(MD5, Allowance(10))),
    ):
        with pytest.raises(Unavailable) as caught:
            act()
        assert "has an image where tagship keeps versions" in caught.value.message
        assert caught.value.hint == "give it a repository of its own: docker://HOST/NAME"


def test_a_registry_that_lies_about_sizes_is_cut_off(
    registry: FakeRegistry, place: Oci, source: Path
) -> None:
    place.put(MD5, source, nothing)
    registry.blobs[fake.digest(DATA)] = b"longer than it should be"
    with pytest.raises(Unavailable, match="is longer than the image says"):
        list(place.blocks(MD5, Allowance(1000)))
    tag = f"md5-{MD5.digest}"
    registry.manifests[tag] = registry.manifests[tag].replace(b'"size":10', b'"size":9999999')
    with pytest.raises(TooLong):
        list(place.blocks(MD5, Allowance(1000)))
    del registry.blobs[fake.digest(DATA)]
    registry.manifests[tag] = registry.manifests[tag].replace(b'"size":9999999', b'"size":10')
    with pytest.raises(FileNotFoundError):
        list(place.blocks(MD5, Allowance(1000)))


def test_garbage_collection_leaves_what_has_a_tag(
    request: pytest.FixtureRequest, tmp_path: Path, source: Path
) -> None:
    if not request.config.getoption("all_oci"):
        pytest.skip("needs --all-oci: make oci-test")
    if shutil.which("docker-registry") is None:
        pytest.skip("needs docker-registry")
    with distribution.running(tmp_path / "registry") as host:
        place = places.of(f"docker://{host}/models/churn", {})
        place.put(MD5, source, nothing)
        place.put(SHA, source, nothing)
        place.write_index("churn", b"one", "")
        first = place.index("churn")
        assert first is not None
        place.write_index("churn", b"two", first.mark)
        named = (tmp_path / "registry").rglob(hashlib.sha256(b"one").hexdigest())
        old = [path for path in named if (path / "data").exists()]
        assert old
        command = ("docker-registry", "garbage-collect", "--delete-untagged=true")
        subprocess.run([*command, tmp_path / "registry.yml"], check=True, capture_output=True)
        assert [path for path in old if (path / "data").exists()] == []  # it did collect
    with distribution.running(tmp_path / "registry") as host:
        place = places.of(f"docker://{host}/models/churn", {})
        for name in (MD5, SHA):
            assert b"".join(place.blocks(name, Allowance(100))) == DATA
        found = place.index("churn")
        assert isinstance(found, Index)
        assert found.data == b"two"
