"""model.sig: a signature of the files of a version, and of their being this version.

A release signs, and stores the signature in the message of the tag. The signed statement follows
from the commit and the files alone, so a deploy makes it again from the bytes that it has just
hashed. It also writes ``model.sig``, to verify the files without tagship.

The format is that of OpenSSF Model Signing 1.0 (github.com/ossf/model-signing-spec): a Sigstore
bundle 0.3 around a DSSE envelope around an in-toto statement 1.0, signed by ECDSA.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Self

from tagship.disk import files as disk_files
from tagship.disk.files import File

SIGNED_BY, SIGNED_WITH = "Model-Signature", "Model-Key"  # the trailers of a tag's message
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@dataclass(frozen=True)
class Statement:
    """What is signed: these files are this version of this model, from this commit."""

    model: str
    version: str
    commit: str
    files: tuple[File, ...]

    @property
    def digest(self) -> str:
        """The hex SHA-256 of the SHA-256 digests of all files, in the order of their paths."""
        files = sorted(self.files, key=lambda file: file.path)
        return hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in files)).hexdigest()

    def payload(self) -> bytes:
        """The in-toto statement; the same bytes for the same statement, on any machine.

        ``release`` is our addition: verifiers of Model Signing 1.0 ignore unknown fields.
        """
        files = sorted(self.files, key=lambda file: file.path)
        resources = [
            {"name": file.path, "algorithm": "sha256", "digest": file.sha256} for file in files
        ]
        serialization = {
            "method": "files",
            "hash_type": "sha256",
            "allow_symlinks": False,
            "ignore_paths": list(disk_files.OWN),
        }
        release = {"model": self.model, "version": self.version, "commit": self.commit}
        value = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {
                    "name": f"{self.model}@{self.version}",
                    "digest": {"sha256": self.digest},
                }
            ],
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": {
                "serialization": serialization,
                "resources": resources,
                "release": release,
            },
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Signature:
    """The signature of a statement: the public key (DER) and the signature, both in base64."""

    key: str
    value: str

    @classmethod
    def of_tag(cls, trailers: dict[str, str]) -> Self | None:
        """The signature in the message of a tag; None if it has none."""
        if SIGNED_BY not in trailers and SIGNED_WITH not in trailers:
            return None
        return cls(trailers.get(SIGNED_WITH, ""), trailers.get(SIGNED_BY, ""))

    def trailers(self) -> list[str]:
        """The lines for a tag's message."""
        return [f"{SIGNED_WITH}: {self.key}", f"{SIGNED_BY}: {self.value}"]

    @property
    def fingerprint(self) -> str:
        """The key's name: ``SHA256:`` and the digest of its PEM form, as a bundle has it."""
        return f"SHA256:{hashlib.sha256(_pem(self.key)).hexdigest()}"


def bundle(statement: Statement, signature: Signature) -> bytes:
    """The content of ``model.sig``."""
    hint = signature.fingerprint.removeprefix("SHA256:")
    value = {
        "mediaType": _BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": encoded(statement.payload()),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": signature.value, "keyid": ""}],
        },
    }
    return json.dumps(value, indent=2).encode() + b"\n"


def envelope(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding (secure-systems-lab/dsse, protocol.md)."""
    kind = _PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _pem(key: str) -> bytes:
    """RFC 7468, as OpenSSL and cryptography write it: 64 letters a line."""
    lines = [key[start : start + 64] for start in range(0, len(key), 64)]
    lines = ["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""]
    return "\n".join(lines).encode(errors="replace")


def encoded(data: bytes) -> str:
    """Base64, as the trailers and the bundle have it."""
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """The bytes of a base64 text.

    Raises:
        ValueError: it is not valid base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
