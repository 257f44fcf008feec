"""ECDSA keys: sign a statement, verify a signature, read the keys that a host trusts.

Only keys of the NIST curves: the verifier of OpenSSF Model Signing takes no others.
"""

import re
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
    load_ssh_public_key,
)

from tagship.errors import Corrupt, Refused
from tagship.signing import statement as signing_statement
from tagship.signing.statement import Signature, Statement

MAKE = "ssh-keygen -t ecdsa -N '' -f"
_HASHES = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


def sign(statement: Statement, key: Path) -> Signature:
    """Sign a statement.

    Args:
        statement: what is signed.
        key: the file of an ECDSA private key (P-256, P-384 or P-521), PEM or OpenSSH's form.

    Raises:
        Refused: the key cannot be used.
    """
    private = _private(key)
    public = private.public_key()
    value = private.sign(signing_statement.envelope(statement.payload()), _hash(public))
    return Signature(signing_statement.encoded(_der(public)), signing_statement.encoded(value))


def check(statement: Statement, signature: Signature) -> None:
    """Verify that the signature is of this statement: of this version, and these bytes.

    Raises:
        Corrupt: it is of another version, of other bytes, or cannot be read.
    """
    try:
        public = _usable(load_der_public_key(signing_statement.decoded(signature.key)))
        value = signing_statement.decoded(signature.value)
        public.verify(value, signing_statement.envelope(statement.payload()), _hash(public))
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        raise Corrupt(
            f"the signature of {statement.model} {statement.version} is not of these files as this"
            " version",
            f"release {statement.model} again; and ask who made that tag",
        ) from None


def trusted(file: Path) -> frozenset[str]:
    """The public keys in a file, as ``Signature.key`` has them.

    PEM blocks, or lines in the format of OpenSSH; ``#`` starts a comment.

    Raises:
        Refused: the file cannot be read, has no key, or a key that is not ECDSA.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        hint = f"copy the public keys there: cat KEY.pub >> {file}"
        raise Refused(f"{file} cannot be read: {error.strerror}", hint) from None
    lines = [line.strip() for line in _PEM.sub(b"", data).splitlines()]
    try:
        public_keys = [
            *(load_pem_public_key(block) for block in _PEM.findall(data)),
            *(load_ssh_public_key(line) for line in lines if line and not line.startswith(b"#")),
        ]
        keys = frozenset(signing_statement.encoded(_der(_usable(key))) for key in public_keys)
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = f"put another key in its place: {MAKE} KEY && cat KEY.pub > {file}"
        raise Refused(f"{file} has a key that cannot be used: {error}", hint) from None
    if not keys:
        raise Refused(f"{file} holds no public key", f"cat KEY.pub >> {file}")
    return keys


def _private(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        data, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        what = f"the signing key {path} cannot be read: {error.strerror}"
        make = f"make one: {MAKE} {path}"
        raise Refused(what, make if not path.exists() else f"ls -l {path}") from None
    if mode & 0o077:
        raise Refused(f"others can read the signing key {path}", f"chmod 600 {path}")
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = load(data, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("it is not an ECDSA key")
        _usable(key.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a passphrase
        what = f"the signing key {path} cannot be used: {error}"
        hint = f"make another, and name it in host.toml: {MAKE} {path}.new"
        raise Refused(what, hint) from None
    return key


def _usable(key: Any) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise ValueError("it is not an ECDSA key of P-256, P-384 or P-521")
    return key


def _hash(key: ec.EllipticCurvePublicKey) -> ec.ECDSA:
    return ec.ECDSA(_HASHES[key.curve.name])


def _der(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
