"""Certificates of servers, as OpenSSL makes them: of an authority of its own, or self-signed."""

import contextlib
import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Key = ec.EllipticCurvePrivateKey
PEM = serialization.Encoding.PEM
DAY = datetime.timedelta(days=1)


class Authority:
    """Vouches for servers; a new one is trusted by nobody."""

    def __init__(self, name: str = "an authority") -> None:
        self.name, self._key = name, _key()

    def write(self, path: Path) -> Path:
        """Write its own certificate: whom to trust."""
        own = _certify(self.name, self._key, self.name, self._key, is_authority=True)
        path.write_bytes(own.public_bytes(PEM))
        return path

    def vouch(self, name: str, path: Path, *, until: datetime.timedelta = DAY) -> Path:
        """Write the certificate of a server with its key.

        Args:
            name: of the server, or its address.
            path: of the file.
            until: when it ends, from now on.
        """
        key = _key()
        leaf = _certify(name, key, self.name, self._key, is_authority=False, until=until)
        path.write_bytes(_private(key) + leaf.public_bytes(PEM))
        return path


def self_signed(name: str, path: Path, trusted: Path) -> None:
    """Write the certificate of a server that signs itself, with its key; and without."""
    key = _key()
    leaf = _certify(name, key, name, key, is_authority=True)
    path.write_bytes(_private(key) + leaf.public_bytes(PEM))
    trusted.write_bytes(leaf.public_bytes(PEM))


def _key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def _private(key: Key) -> bytes:
    return key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip


def _certify(
    name: str, key: Key, issuer: str, signer: Key, *, is_authority: bool,
    until: datetime.timedelta = DAY,
) -> x509.Certificate:  # fmt: skip
    with contextlib.suppress(ValueError):
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
    if not name[0].isdigit():
        names = x509.SubjectAlternativeName([x509.DNSName(name.replace(" ", "-"))])
    subject, by = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in (name, issuer)
    )
    now = datetime.datetime.now(datetime.UTC)
    number = x509.random_serial_number()
    made = x509.CertificateBuilder(
        by, subject, key.public_key(), number, now - 9 * DAY, now + until
    )
    made = made.add_extension(names, critical=False)
    limits = x509.BasicConstraints(ca=is_authority, path_length=None)
    return made.add_extension(limits, critical=True).sign(signer, hashes.SHA256())
