"""What every carrier does: the conformance suite. ``carriers.KINDS`` has them.

A case is a function; ``python -m tests.carry`` prints the table that docs/carriers.md has.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tagship.carry import carrier
from tagship.carry.carrier import Capsule, Carrier, Changed, Index, Name, Object
from tagship.errors import InvalidName, TagshipError, Unavailable
from tagship.stores.stream import Allowance, Stopped, TooLong
from tests.carry import carriers
from tests.carry.carriers import Started, Way

ROOT = Path(__file__).parents[2]
LARGE = 70_000_000
CASES: dict[str, str] = {}  # what each case shows, by the name of its function


def case(words: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Name what a case shows, as the table has it."""

    def name(function: Callable[..., None]) -> Callable[..., None]:
        CASES[function.__name__.removeprefix("test_")] = words
        return function

    return name


def content(size: int) -> bytes:
    """Bytes that no compression makes smaller."""
    block = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(2048))
    return (block * (size // len(block) + 1))[:size]


def object_of(data: bytes) -> Object:
    return Object(hashlib.md5(data).hexdigest())


def capsule_of(data: bytes, model: str = "churn") -> Capsule:
    return Capsule(model, hashlib.sha256(data).hexdigest())


def put(place: Carrier, name: Name, data: bytes, folder: Path) -> int:
    """Put bytes by way of a file; how many were told."""
    source, told = folder / "source", 0

    def advance(count: int) -> None:
        nonlocal told
        told += count

    source.write_bytes(data)
    place.put(name, source, advance)
    return told


def got(place: Carrier, name: Name, most: int = LARGE) -> bytes:
    return b"".join(place.blocks(name, Allowance(most)))


@case("what was put is got, byte by byte: 0, 1, 200,000 and 70,000,000 bytes")
def test_bytes(way: Way, tmp_path: Path) -> None:
    for size in (0, 1, 200_000, LARGE):
        data = content(size)
        for name in (object_of(data), capsule_of(data)):
            if size == LARGE and isinstance(name, Capsule):
                continue
            assert put(way.open(), name, data, tmp_path) == size
            place = way.open()  # as somebody else
            assert place.size(name) == size
            assert got(place, name) == data


@case("a list of a folder, `.dir`, is an object like others")
def test_list(place: Carrier, tmp_path: Path) -> None:
    data = b'[{"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": "a"}]'
    name = Object(hashlib.md5(data).hexdigest() + ".dir")
    put(place, name, data, tmp_path)
    assert got(place, name) == data
    assert place.size(Object(name.digest.removesuffix(".dir"))) is None


@case("a writer that is killed leaves nothing half-written; the next one succeeds")
def test_killed(way: Way, tmp_path: Path) -> None:
    data = content(LARGE)
    name = object_of(data)
    (tmp_path / "source").write_bytes(data)
    program = (
        "import json, os, signal, sys\nfrom pathlib import Path\n"
        "from tests.carry.carriers import Way\nfrom tagship.carry.carrier import Object\n"
        "address, options, environment, digest, source = json.loads(sys.argv[1])\n"
        "def advance(count):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Way(address, options, environment).open().put(Object(digest), Path(source), advance)\n"
    )
    told = [way.address, dict(way.options), dict(way.environment), name.digest]
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps([*told, str(tmp_path / "source")])],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tools'}"}, capture_output=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (-9, b"")
    place = way.open()
    assert place.size(name) is None
    with pytest.raises(FileNotFoundError):
        got(place, name)
    put(place, name, data, tmp_path)
    assert got(place, name) == data


@case("what is not there has no size, and gives FileNotFoundError")
def test_absent(place: Carrier, tmp_path: Path) -> None:
    for name in (object_of(b"none"), capsule_of(b"none"), capsule_of(b"none", "team/a:vision")):
        assert place.size(name) is None
        with pytest.raises(FileNotFoundError):
            got(place, name)
    put(place, object_of(b"there"), b"there", tmp_path)
    assert place.size(object_of(b"none")) is None


HOSTILE: list[Name] = [
    Object("../../../etc/passwd"), Object(""), Object("f" * 31), Object("F" * 32),
    Object("f" * 32 + "\n"), Object("f" * 32 + ".dir/.."), Object("f" * 64),
    Capsule("churn", "../index.json"), Capsule("churn", "f" * 32), Capsule("..", "f" * 64),
    Capsule("a/../..", "f" * 64), Capsule("../a:b", "f" * 64), Capsule("", "f" * 64),
    Capsule("churn\0", "f" * 64),
]  # fmt: skip


@case("a name that leads elsewhere is refused before anything is asked")
def test_hostile(place: Carrier, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"bytes")
    for name in HOSTILE:
        with pytest.raises(InvalidName):
            place.size(name)
        with pytest.raises(InvalidName):
            got(place, name)
        with pytest.raises(InvalidName):
            place.put(name, tmp_path / "source", lambda count: None)
    for model in ("..", "a/../..", "../a:b", "", "churn\0"):
        with pytest.raises(InvalidName):
            place.index(model)
        with pytest.raises(InvalidName):
            place.write_index(model, b"{}", "")


@case("more bytes than are allowed are cut off, and TooLong is raised")
def test_too_long(place: Carrier, tmp_path: Path) -> None:
    data = content(200_000)
    put(place, object_of(data), data, tmp_path)
    arrived = 0
    with pytest.raises(TooLong):
        for block in place.blocks(object_of(data), Allowance(199_999)):
            arrived += len(block)
    assert arrived <= 199_999
    assert got(place, object_of(data), 200_000) == data


@case("an index without end is not read, and none is written")
def test_long_index(place: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLong):
        place.write_index("churn", content(carrier.LARGEST_INDEX + 1), "")
    assert place.index("churn") == Index()
    place.write_index("churn", b"0123456789", "")
    monkeypatch.setattr(f"{type(place).__module__}.LARGEST_INDEX", 9)
    with pytest.raises(TooLong):
        place.index("churn")


@case("a reader that nobody waits for any more is stopped")
def test_stopped(place: Carrier, tmp_path: Path) -> None:
    data = content(LARGE)
    put(place, object_of(data), data, tmp_path)
    stop = threading.Event()
    with pytest.raises(Stopped):
        for _ in place.blocks(object_of(data), Allowance(LARGE, stop)):
            stop.set()
    with pytest.raises(Stopped):
        next(iter(place.blocks(object_of(data), Allowance(LARGE, stop))))


@case("put again leaves what is there")
def test_again(way: Way, tmp_path: Path) -> None:
    name = object_of(b"first")
    put(way.open(), name, b"first", tmp_path)
    assert put(way.open(), name, b"other bytes", tmp_path) == len(b"other bytes")
    assert got(way.open(), name) == b"first"


@case("put anew writes over what is there, as of a capsule that was damaged")
def test_anew(way: Way, tmp_path: Path) -> None:
    name = capsule_of(b"first")
    put(way.open(), name, b"damaged", tmp_path)
    (tmp_path / "source").write_bytes(b"first")
    for _ in range(2):
        way.open().put(name, tmp_path / "source", lambda count: None, anew=True)
        assert got(way.open(), name) == b"first"


@case("an index that nobody wrote is empty; the first is written where there is none")
def test_first(way: Way) -> None:
    place = way.open()
    assert place.index("churn") == Index(b"", "")
    place.write_index("churn", b"one", "")
    found = way.open().index("churn")
    assert found is not None
    assert found.data == b"one"
    assert found.mark
    with pytest.raises(Changed):
        way.open().write_index("churn", b"two", "")
    assert place.index("churn") == found


@case("an index that did not change is not sent again; one that did is")
def test_unchanged(way: Way) -> None:
    place = way.open()
    place.write_index("churn", b"one", "")
    first = place.index("churn")
    assert first is not None
    assert way.open().index("churn", first.mark) is None
    way.open().write_index("churn", b"two", first.mark)
    second = place.index("churn", first.mark)
    assert second is not None
    assert second.data == b"two"
    assert place.index("churn", second.mark) is None


@case("an index is written over the one that was read alone")
def test_changed(way: Way) -> None:
    place = way.open()
    place.write_index("churn", b"one", "")
    first = place.index("churn")
    assert first is not None
    place.write_index("churn", b"two", first.mark)
    for mark in (first.mark, ""):
        with pytest.raises(Changed):
            way.open().write_index("churn", b"three", mark)
    found = place.index("churn")
    assert found is not None
    assert found.data == b"two"


@case("of two writers at once one is told that there is another; nothing is lost")
def test_two_writers(way: Way) -> None:
    both, rounds = threading.Barrier(2), 5

    def add(writer: int) -> int:
        place, refused = way.open(), 0
        for number in range(rounds):
            before = place.index("churn")
            both.wait(60)  # both have read the same one
            while True:
                assert before is not None
                line = f"{writer}.{number}\n".encode()
                try:
                    place.write_index("churn", before.data + line, before.mark)
                except Changed:
                    refused += 1
                    before = place.index("churn")
                else:
                    break
            both.wait(60)
        return refused

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(add, range(2))) == rounds
    found = way.open().index("churn")
    assert found is not None
    lines = [f"{writer}.{number}" for writer in range(2) for number in range(rounds)]
    assert sorted(found.data.decode().split()) == lines


@case("models, and capsules of models, are apart")
def test_models(place: Carrier, tmp_path: Path) -> None:
    models = ("churn", "team/a:vision", "a/b", "a")
    for model in models:
        place.write_index(model, model.encode(), "")
        put(place, capsule_of(b"same", model), b"same", tmp_path)
    for model in models:
        found = place.index(model)
        assert found is not None
        assert found.data == model.encode()
        assert got(place, capsule_of(b"same", model)) == b"same"
    assert place.size(capsule_of(b"same", "b")) is None


ACTS: dict[str, Callable[[Carrier, Path], Any]] = {
    "index": lambda place, source: place.index("churn"),
    "write_index": lambda place, source: place.write_index("churn", b"two", ""),
    "size": lambda place, source: place.size(object_of(b"a")),
    "blocks": lambda place, source: list(place.blocks(capsule_of(b"a"), Allowance(10))),
    "put": lambda place, source: place.put(object_of(b"b"), source, lambda count: None),
}


def words_of(act: str, way: Way, source: Path) -> list[str]:
    """The class of the error, its message and its hint."""
    try:
        ACTS[act](way.open(), source)
    except TagshipError as error:
        return [type(error).__name__, error.message, error.hint]
    return ["no error", "", ""]


def asked_as(act: str, way: Way, source: Path) -> list[str]:
    """The same, as another account where the way says so: in a child, which cannot come back."""
    if not way.as_nobody:
        return words_of(act, way, source)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writer, json.dumps(words_of(act, way, source)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        data = answer.read()
    os.waitpid(child, 0)
    return list(json.loads(data))


def check_failure(said: list[str], way: Way) -> None:
    kind, message, hint = said
    assert kind == Unavailable.__name__, said
    assert message.startswith(way.open().title)
    assert hint
    assert not [secret for secret in carriers.SECRETS if secret in message + hint]


@case("a place that does not answer is told, with a hint and without a secret")
def test_away(started: Started, tmp_path: Path, way: Way) -> None:
    away = started.away(way.address.rpartition("/")[2])
    (tmp_path / "source").write_bytes(b"b")
    for act in ACTS:
        check_failure(words_of(act, away, tmp_path / "source"), away)


@case("a place that denies access is told, with a hint and without a secret")
def test_denied(started: Started, way: Way, tmp_path: Path) -> None:
    if started.denied is None:
        pytest.skip("needs another account")
    place = way.open()
    put(place, object_of(b"a"), b"a", tmp_path)
    put(place, capsule_of(b"a"), b"a", tmp_path)
    place.write_index("churn", b"one", "")
    denied = started.denied(way.address.rpartition("/")[2])
    (tmp_path / "source").write_bytes(b"b")
    for act in ACTS:
        check_failure(asked_as(act, denied, tmp_path / "source"), denied)


@case("its title is its address, without secrets")
def test_title(way: Way) -> None:
    assert way.open().title == way.address
