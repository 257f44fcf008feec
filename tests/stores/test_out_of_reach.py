"""A store that cannot be reached or trusted, and a disk without room for what it gives."""

import datetime
import ipaddress
import os
import re
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.stores import network, servers, tamper, trials
from tests.stores.answers import SIZE
from tests.stores.tamper import Proxy
from tests.stores.trials import Ran, Shop


def refused(shop: Shop, repo: Path, ran: Ran, error: str, hint: str, limit: float = 90) -> None:
    """Refused in words, in time, and nothing but that is left."""
    lines = dict(line.split(": ", 1) for line in ran.result.err.splitlines())
    assert ran.result.code == 1, ran.result.out
    assert trials._noise(ran.result.err) == []
    assert re.search(error, lines["error"]), ran.result.err
    assert re.search(hint, lines["hint"]), ran.result.err
    assert ran.seconds < limit
    root = repo / "models/churn"
    assert (root / "current/model.bin").read_bytes() == trials.content(1)
    assert list(trials._kept(repo, root)) == []


def test_nothing_listens(shop: Shop) -> None:
    address = f"http://127.0.0.1:{servers.free_ports(1)[0]}"
    repo = shop.workspace(address)
    refused(shop, repo, shop.deploy(repo), "reach|refused|onnect", f"is {address}.* reachable")


def test_a_name_that_nobody_knows(shop: Shop) -> None:
    address = "http://store.invalid:9000"
    repo = shop.workspace(address)
    hint = f"is {address}.* reachable"
    refused(shop, repo, shop.deploy(repo), "reach|resolv|known|onnect", hint)


def test_a_release_to_a_store_out_of_reach_makes_no_tag(shop: Shop) -> None:
    from tests import workbench

    repo = shop.workspace(f"http://127.0.0.1:{servers.free_ports(1)[0]}")
    workbench.train(repo, os.urandom(1000))
    before = workbench.run(repo, "git", "tag")
    ran = trials.tagship(repo, shop.environment, "release", "churn")
    assert (ran.result.code, workbench.run(repo, "git", "tag")) == (1, before)
    assert "reachable from here?" in ran.result.err
    assert ran.seconds < 90


# --- certificates


def certificate(folder: Path, name: str) -> Path:
    """A certificate that signed itself, with its key in the same file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    try:
        names: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        names = x509.DNSName(name)
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def secured(shop: Shop, file: Path, options: dict[str, str]) -> tuple[Path, Ran]:
    """Deploy from a proxy with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with tamper.running(Proxy(shop.upstream, kind=shop.place.scheme), context) as proxy:
        repo = shop.workspace(proxy.address, options)
        return repo, shop.deploy(repo)


def test_a_certificate_that_nobody_vouches_for_is_refused(shop: Shop, tmp_path: Path) -> None:
    repo, ran = secured(shop, certificate(tmp_path, "127.0.0.1"), {})
    # `.` as the kinds word it each in its own way; but they name the reason
    refused(shop, repo, ran, "certificate|CERTIFICATE|UnknownIssuer|SSL|TLS", "reachable|verify|CA")


@pytest.mark.at("seaweedfs", "moto", "nginx")
def test_a_certificate_is_taken_where_the_host_vouches_for_it(shop: Shop, tmp_path: Path) -> None:
    file = certificate(tmp_path, "127.0.0.1")
    repo, ran = secured(shop, file, {"ssl_verify": str(file)})
    ran.check()
    assert (repo / "models/churn/current/model.bin").read_bytes() == trials.content(2)


@pytest.mark.at("seaweedfs", "nginx")
def test_a_certificate_of_another_name_is_refused(shop: Shop, tmp_path: Path) -> None:
    file = certificate(tmp_path, "store.example.com")
    repo, ran = secured(shop, file, {"ssl_verify": str(file)})
    refused(shop, repo, ran, "certificate|CERTIFICATE|SSL|TLS", "reachable|verify|CA")


@pytest.mark.at("seaweedfs", "nginx")
def test_a_certificate_is_not_looked_at_where_the_host_says_so(shop: Shop, tmp_path: Path) -> None:
    _, ran = secured(shop, certificate(tmp_path, "store.example.com"), {"ssl_verify": "false"})
    ran.check()


# --- no room


@pytest.mark.at("seaweedfs", "azurite", "gcs", "nginx")
@pytest.mark.parametrize("left", [SIZE // 2, SIZE + (64 << 10)], ids=["no room", "hardly any"])
def test_a_disk_without_room_is_told_and_left_as_it_was(shop: Shop, left: int) -> None:
    """A tmpfs where versions are built; with hardly any room, it is full in the midst of it."""
    repo = shop.workspace(shop.server.address)
    root = repo / "models"
    words = ["mount", "-t", "tmpfs", "-o", f"size={left + SIZE + (1 << 20)}", "tmpfs", str(root)]
    kept = repo.parent / "kept"
    subprocess.run(["cp", "-a", str(root), str(kept)], check=True)
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


def test_nobody_asks_for_the_metadata_of_a_cloud(shop: Shop) -> None:
    """Also not where there are no keys at all."""
    if not network.is_apart():
        pytest.skip("needs root, for a network of its own")
    network.asked.clear()
    repo = shop.workspace(shop.server.address)
    none = dict.fromkeys(shop.place.environment, "")
    ran = shop.deploy(repo, **none)
    if shop.place.scheme == "s3":
        refused(shop, repo, ran, "credentials", "profile PROFILE")
    assert network.asked == []
