"""A store that cannot be reached or trusted, and a disk without room for what it gives."""

import os
import re
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import certificates, workbench
from tests.certificates import Authority
from tests.stores import network, places, servers, tamper, trials
from tests.stores.answers import SIZE, content
from tests.stores.tamper import Proxy
from tests.stores.trials import Ran, Shop

KINDS = ("seaweedfs", "azurite", "gcs", "nginx")  # one store of each
HOW_TO_TRUST = "reachable|ssl_verify FILE|set SSL_CERT_FILE to a file"


def refused(shop: Shop, repo: Path, ran: Ran, error: str, hint: str, limit: float = 90) -> None:
    """Refused in words, in time, and nothing but that is left."""
    lines = dict(line.split(": ", 1) for line in ran.result.err.splitlines())
    assert ran.result.code == 1, ran.result.out
    assert trials._noise(ran.result.err) == []
    assert re.search(error, lines["error"]), ran.result.err
    assert re.search(hint, lines["hint"]), ran.result.err
    assert ran.seconds < limit
    root = repo / "models/churn"
    assert (root / "current/model.bin").read_bytes() == content(1)
    assert list(trials._kept(repo, root)) == []


@pytest.mark.at(*KINDS)
def test_nothing_listens(shop: Shop) -> None:
    address = f"http://127.0.0.1:{servers.free_ports(1)[0]}"
    repo = shop.workspace(address)
    refused(shop, repo, shop.deploy(repo), "reach|refused|onnect", reachable(shop, address))


def reachable(shop: Shop, address: str) -> str:
    """The hint: it names the address, and the option that has it."""
    options = {"azure": "connection_string TEXT", "http": "url URL"}
    option = options.get(shop.place.scheme, "endpointurl URL")
    return f"^is {address}.* reachable from here.* --local store {option}$"


@pytest.mark.at(*KINDS)
def test_a_name_that_nobody_knows(shop: Shop) -> None:
    address = "http://store.invalid:9000"
    repo = shop.workspace(address)
    hint = reachable(shop, address)
    refused(shop, repo, shop.deploy(repo), "reach|resolv|known|onnect", hint)


@pytest.mark.at(*KINDS)
def test_a_release_to_a_store_out_of_reach_makes_no_tag(shop: Shop) -> None:
    repo = shop.workspace(f"http://127.0.0.1:{servers.free_ports(1)[0]}")
    workbench.train(repo, os.urandom(1000))
    before = workbench.run(repo, "git", "tag")
    ran = trials.tagship(repo, shop.environment, "release", "churn")
    assert (ran.result.code, workbench.run(repo, "git", "tag")) == (1, before)
    assert "reachable from here?" in ran.result.err
    assert ran.seconds < 90


# --- certificates


@dataclass(frozen=True)
class Certificate:
    """Files of a server: its certificate with its key, and whom to trust for it."""

    server: Path
    trusted: Path


def certificate(folder: Path, name: str, *, signs_itself: bool = False) -> Certificate:
    """A certificate of an authority of its own, or one that signs itself, as OpenSSL makes it."""
    files = Certificate(folder / "server.pem", folder / "trusted.pem")
    if signs_itself:
        certificates.self_signed(name, files.server, files.trusted)
    else:
        authority = Authority()
        authority.vouch(name, files.server)
        authority.write(files.trusted)
    return files


def secured(
    shop: Shop, files: Certificate, options: dict[str, str], **environment: str
) -> tuple[Path, Ran]:
    """Deploy from a proxy with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server)
    with tamper.running(Proxy(shop.upstream, kind=shop.place.scheme), context) as proxy:
        repo = shop.workspace(proxy.address, options)
        return repo, shop.deploy(repo, **environment)


@pytest.mark.at(*KINDS)
def test_a_certificate_that_nobody_vouches_for_is_refused(shop: Shop, tmp_path: Path) -> None:
    repo, ran = secured(shop, certificate(tmp_path, "127.0.0.1"), {})
    refused(shop, repo, ran, "certificate|CERTIFICATE|UnknownIssuer|SSL|TLS", HOW_TO_TRUST)


@pytest.mark.at("seaweedfs", "nginx")
@pytest.mark.parametrize("signs_itself", [False, True], ids=["an authority", "itself"])
def test_a_certificate_is_taken_where_the_host_vouches_for_it(
    shop: Shop, tmp_path: Path, signs_itself: bool
) -> None:
    files = certificate(tmp_path, "127.0.0.1", signs_itself=signs_itself)
    repo, ran = secured(shop, files, {"ssl_verify": str(files.trusted)})
    ran.check()
    assert (repo / "models/churn/current/model.bin").read_bytes() == content(2)


@pytest.mark.at("azurite", "gcs")
def test_certificates_are_named_in_the_environment_where_dvc_has_no_option_for_them(
    shop: Shop, tmp_path: Path
) -> None:
    files = certificate(tmp_path, "127.0.0.1")
    repo, ran = secured(shop, files, {}, SSL_CERT_FILE=str(files.trusted))
    ran.check()
    assert (repo / "models/churn/current/model.bin").read_bytes() == content(2)


@pytest.mark.at("seaweedfs")
def test_a_bundle_of_the_environment_vouches_too(shop: Shop, tmp_path: Path) -> None:
    files = certificate(tmp_path, "127.0.0.1")
    _, ran = secured(shop, files, {}, AWS_CA_BUNDLE=str(files.trusted))
    ran.check()


@pytest.mark.at("seaweedfs", "nginx")
def test_a_certificate_of_another_name_is_refused(shop: Shop, tmp_path: Path) -> None:
    files = certificate(tmp_path, "store.example.com")
    repo, ran = secured(shop, files, {"ssl_verify": str(files.trusted)})
    refused(shop, repo, ran, "certificate|CERTIFICATE|SSL|TLS", "reachable|verify|CA")


@pytest.mark.at("seaweedfs", "nginx")
def test_a_certificate_is_not_looked_at_where_the_host_says_so(shop: Shop, tmp_path: Path) -> None:
    _, ran = secured(shop, certificate(tmp_path, "store.example.com"), {"ssl_verify": "false"})
    ran.check()


# --- no room


@pytest.mark.at("seaweedfs", "nginx")
@pytest.mark.parametrize("left", [SIZE // 2, SIZE + (64 << 10)], ids=["no room", "hardly any"])
def test_a_disk_without_room_is_told_and_left_as_it_was(shop: Shop, left: int) -> None:
    """A tmpfs where versions are built; with hardly any room, it is full in the midst of it."""
    repo = shop.workspace(shop.server.address)
    root = repo / "models"
    kept = repo.parent / "kept"
    subprocess.run(["cp", "-a", str(root), str(kept)], check=True)
    used = sum(path.lstat().st_size for path in root.rglob("*"))
    size = used + left + (2 << 20)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(root)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted: {mounted.stderr.strip()}")
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", str(root)], check=True)
        filling = root / "filling"
        free = os.statvfs(root).f_bavail * os.statvfs(root).f_frsize
        filling.write_bytes(bytes(max(0, free - left)))
        refused(shop, repo, shop.deploy(repo), "room|space", "make room|df -h")
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


# --- the metadata of a cloud


@pytest.mark.at(*KINDS)
def test_nobody_asks_for_the_metadata_of_a_cloud(shop: Shop) -> None:
    """Also not where there are no keys at all."""
    if not network.is_apart():
        pytest.skip("needs root, for a network of its own")
    repo = shop.workspace(shop.server.address)
    none = dict.fromkeys(shop.place.environment, "")
    ran = shop.deploy(repo, **none, **places.NO_METADATA)
    if shop.place.scheme == "s3":
        refused(shop, repo, ran, "credentials", "profile PROFILE")
    assert network.asked == []
