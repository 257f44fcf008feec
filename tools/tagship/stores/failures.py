"""What an error of a store means. Pure: obstore has a class for few of them, and a text for all."""

import re
from dataclasses import dataclass
from enum import Enum

from tagship.text import redact

STATUS = re.compile(r"status code: (\d{3})")
CODE = re.compile(r"<Code>\s*(\w{1,80})\s*</Code>|\"reason\":\s*\"(\w{1,80})\"")


class Kind(Enum):
    """What is wrong, for a person who has to do something about it."""

    CREDENTIALS = "there are no credentials for it"
    SIGNED_OUT = "its profile is of AWS SSO, and nobody is signed in here"
    DENIED = "it denies access"
    EXPIRED = "the credentials for it are no longer valid"
    CLOCK = "the clock of this machine is wrong"
    NO_BUCKET = "there is no such bucket or container"
    BUSY = "it has too much to do"
    REGION = "the bucket is in another region"
    CERTIFICATE = "its certificate cannot be trusted"
    UNREACHABLE = "it cannot be reached"
    SILENT = "it stopped answering"
    BROKEN_OFF = "it broke off the transfer"
    NO_RANGES = "it gives no ranges"
    NO_LENGTH = "it does not say how long an object is"
    NO_DATE = "it does not say how old an object is"
    REDIRECT = "a redirect would take its session token to another host"
    NO_CONDITIONS = "it cannot write on a condition"
    OTHER = "it answers with an error"


@dataclass
class StoreError(Exception):
    """A store did not do what it was asked for.

    Attributes:
        kind: what that means.
        detail: the status and the code that it answered with, or what the library says.
    """

    kind: Kind
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value} ({self.detail})" if self.detail else self.kind.value


_OF_CODE = {
    "RequestTimeTooSkewed": Kind.CLOCK,
    "ExpiredToken": Kind.EXPIRED,
    "TokenRefreshRequired": Kind.EXPIRED,
    "InvalidToken": Kind.EXPIRED,
    "NoSuchBucket": Kind.NO_BUCKET,
    "ContainerNotFound": Kind.NO_BUCKET,
    "PermanentRedirect": Kind.REGION,
    "AuthorizationHeaderMalformed": Kind.REGION,
}
_OF_STATUS = {"401": Kind.DENIED, "403": Kind.DENIED, "429": Kind.BUSY, "503": Kind.BUSY}
_OF_TEXT = (  # in this order: the first that the text has
    (Kind.REGION, ("incorrectly configured region",)),
    (Kind.NO_LENGTH, ("Content-Length Header missing",)),
    (Kind.NO_DATE, ("Last-Modified Header missing",)),
    (Kind.NO_RANGES, ("non-partial response", "Range request not supported", "NoContentRange")),
    (Kind.CERTIFICATE, ("certificate", "InvalidCertificate")),
    (Kind.CREDENTIALS, ("MissingCredential", "instance metadata", "credential provider")),
    (Kind.UNREACHABLE, ("dns error", "Connection refused", "tcp connect error", "ConnectError",
                        "error trying to connect", "kind: Connect", "client error (Connect)")),
    (Kind.SILENT, ("TimedOut", "operation timed out")),
    (Kind.BROKEN_OFF, ("error decoding response body", "UnexpectedEof", "IncompleteMessage",
                       "end of file", "connection closed", "Connection reset", "kind: Decode",
                       "kind: Request", "kind: Body", "error sending request")),
)  # fmt: skip


SELF_EVIDENT = (Kind.REGION, Kind.NO_RANGES, Kind.NO_LENGTH, Kind.NO_DATE, Kind.SILENT)


def of(error: Exception) -> StoreError:
    """What an error of obstore means."""
    text = str(error)
    status = found[1] if (found := STATUS.search(text)) else ""
    named = CODE.search(text)
    code = (named[1] or named[2]) if named else ""
    detail = " ".join(part for part in (status, code) if part)
    if code in _OF_CODE:
        return StoreError(_OF_CODE[code], detail)
    if status:
        return StoreError(_OF_STATUS.get(status, Kind.OTHER), detail)
    for kind, words in _OF_TEXT:
        if any(word in text for word in words):
            return StoreError(kind, "" if kind in SELF_EVIDENT else _cause(text))
    return StoreError(Kind.OTHER, redact.text(text.partition("\n")[0])[:300])


CAUSES = (  # in an error's dump
    r"message: \"([^\"]{1,120})\"",
    r"error: \"([^\"]{1,120})\"",
    r"invalid peer certificate: (\w+)",
    r"InvalidCertificate\(\s*(\w+)",
)


def _cause(text: str) -> str:
    """The words of the system or of the library below; empty if there are none."""
    found = (re.search(pattern, text) for pattern in CAUSES)
    return next((redact.text(each[1]) for each in found if each), "")
