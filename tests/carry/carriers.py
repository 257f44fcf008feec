"""The carriers that the conformance suite goes through: how each is started, opened and reached.

A new carrier is a ``Kind`` here. What it cannot do, and why, is in ``APART``.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from tagship.carry import places
from tagship.carry.carrier import Carrier
from tests.carry.bundled import Bundled
from tests.export import distribution
from tests.export import registry as fake
from tests.export.registry import Answer
from tests.stores import servers
from tests.stores.places import NO_METADATA, PLACES, aws

SECRETS = (servers.SECRET, servers.ACCOUNT_KEY, "hunter2")


@dataclass(frozen=True)
class Way:
    """How somebody reaches a carrier.

    Attributes:
        address: of it.
        options: DVC's of a remote there.
        environment: the credentials of this account.
        as_nobody: it is asked as another account of this machine.
    """

    address: str
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    as_nobody: bool = False

    def open(self) -> Carrier:
        """The carrier, as another process would open it."""
        os.environ.update(self.environment)
        return places.of(self.address, self.options)


@dataclass(frozen=True)
class Started:
    """A carrier that answers.

    Attributes:
        way: gives the way to a place of its own, by a name.
        denied: the same for an account without rights; None where there are none.
        away: the same where nothing answers.
    """

    way: Callable[[str], Way]
    denied: Callable[[str], Way] | None
    away: Callable[[str], Way]


@dataclass(frozen=True)
class Kind:
    """A carrier.

    Attributes:
        name: in the table.
        start: starts it, in a folder of its own.
        option: of pytest, with which it is tried; empty for always.
        is_followed: hosts look there for what is new.
    """

    name: str
    start: Callable[[Path], AbstractContextManager[Started]]
    option: str = ""
    is_followed: bool = True


@contextlib.contextmanager
def folder(_: Path) -> Iterator[Started]:
    """A folder that any account may look into."""
    with tempfile.TemporaryDirectory(prefix="carried-") as name:
        top = Path(name)
        top.chmod(0o755)

        def way(place: str) -> Way:
            (top / place).mkdir(exist_ok=True)
            return Way(str(top / place))

        def denied(place: str) -> Way:
            for part in ("files", "tagship"):
                (top / place / part).chmod(0o700)
            return Way(str(top / place), as_nobody=True)

        can_be = os.getuid() == 0
        yield Started(way, denied if can_be else None, lambda place: Way(str(top / place / "none")))


class InBundle(Way):
    """The way to a bundle: ``address`` is its file."""

    def open(self) -> Carrier:
        """As somebody who has the file."""
        return Bundled(Path(self.address))


@contextlib.contextmanager
def bundle(top: Path) -> Iterator[Started]:
    """Bundles in a folder."""

    def way(place: str) -> Way:
        (top / place).mkdir(exist_ok=True)
        return InBundle(str(top / place / "x.tar"))

    yield Started(way, None, lambda place: InBundle(str(top / "none" / place / "x.tar")))


def store(name: str) -> Callable[[Path], AbstractContextManager[Started]]:
    """A store of ``tests/stores``."""

    @contextlib.contextmanager
    def start(where: Path) -> Iterator[Started]:
        kind = PLACES[name]
        with kind.start(where) as server:

            def at(address: str, environment: Mapping[str, str]) -> Callable[[str], Way]:
                def way(place: str) -> Way:
                    options = kind.options(address, place)
                    quick = {"connect_timeout": "1", "read_timeout": "20"}
                    own = {**NO_METADATA, **environment}
                    if secret := options.pop("connection_string", ""):  # no file of a host has it
                        own["AZURE_STORAGE_CONNECTION_STRING"] = secret
                    return Way(options.pop("url"), {**options, **quick}, own)

                return way

            (port,) = servers.free_ports(1)
            denied = at(server.address, aws("stranger")) if name == "seaweedfs" else None
            away = at(f"http://127.0.0.1:{port}", kind.environment)
            yield Started(at(server.address, kind.environment), denied, away)

    return start


@contextlib.contextmanager
def registry(where: Path) -> Iterator[Started]:
    """A docker-registry; who is denied meets one that denies everybody."""
    servers.program("docker-registry")

    def denies(*_: object) -> Answer:
        return 403, {}, b'{"errors": [{"code": "DENIED", "message": "not you"}]}'

    (port,) = servers.free_ports(1)
    with distribution.running(where / "registry") as host, fake.running() as other:
        other.misbehave = denies
        yield Started(
            lambda place: Way(f"docker://{host}/models/{place}"),
            lambda place: Way(f"docker://{other.host}/models/{place}"),
            lambda place: Way(f"docker://127.0.0.1:{port}/models/{place}"),
        )


KINDS = {
    kind.name: kind
    for kind in (
        Kind("folder", folder),
        Kind("moto", store("moto")),
        Kind("seaweedfs", store("seaweedfs"), "all_stores"),
        Kind("azurite", store("azurite"), "all_stores"),
        Kind("registry", registry, "all_oci"),
        Kind("bundle", bundle, is_followed=False),
    )
}
_ONCE = "its index is written once, with all else: what is new is in another bundle"
# Cases that a carrier is not asked, and why.
APART: dict[tuple[str, str], str] = {
    ("bundle", "unchanged"): _ONCE,
    ("bundle", "changed"): _ONCE,
    ("bundle", "two_writers"): _ONCE,
    ("bundle", "anew"): _ONCE,
    ("bundle", "models"): "it is of one model",
    ("bundle", "killed"): "tests/crash kills the command that writes it, at each of its calls",
    ("bundle", "denied"): "who may not read a file has no bundle",
    ("moto", "denied"): "it knows no rights",
    ("moto", "two_writers"): "it compares, and writes a moment later, which no real store does",
    ("azurite", "denied"): "one key may do everything",
}
