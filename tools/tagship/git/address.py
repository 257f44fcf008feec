"""The address of a repository: which ones Git may be given, and how it may follow them."""

import re

from tagship.errors import Refused
from tagship.text import redact

# Git's protocols that are allowed wherever an address leads, such as by a person's url.*.insteadOf
SECURE = ("https", "ssh", "file")
PLAIN, UNSIGNED = "http", "git"  # anybody on the way can change what comes: asked for by name
FORMS = "https://HOST/PATH, ssh://USER@HOST/PATH, file:///PATH or /PATH"
LOG_IN = "use a credential helper or a deploy key, and an address without it"
SIGN = "use https or ssh; or require signed tags: require_signed in host.toml"
_HELPER = re.compile(r"[A-Za-z0-9]*::")  # names a program: gitremote-helpers(7)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)")
_SCP = re.compile(r"(?:[^\s/:@-][^\s/:@]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^\s/:@\[-][^\s/:@]*):(?!:)(.+)")
_USER = re.compile(r"(?:[^/]*://)?[^/]*:[^/]*@")
_SSH_USER = re.compile(r"(?:ssh://)?[\w.-]+@(?=[^@/]+[:/])")  # without a password


def check(address: str, *, plain: bool = False, signed: bool = False) -> str:
    """Check an address before Git is given it.

    Args:
        address: a URL, ``USER@HOST:PATH`` or a whole path.
        plain: whether http may be used, by which anybody on the way sees and changes what comes.
        signed: whether git may be used: the tags are signed, and the signatures are checked.

    Returns:
        Git's name of its protocol.

    Raises:
        Refused: it is none that is allowed, or has a secret in it.
    """
    shown = shown_as(address)
    protocol = _protocol(address)
    if protocol is None:
        raise Refused(f"not an address of a repository: {shown!r}", f"give it as {FORMS}")
    _check_secret(address, protocol, shown)
    if protocol == PLAIN and not plain:
        raise Refused(f"http is not encrypted: {shown}", SIGN)
    if protocol == UNSIGNED and not signed:
        raise Refused(f"git:// is not encrypted: {shown}", SIGN)
    return protocol


def _protocol(address: str) -> str | None:
    """Git's name of the protocol of an address; None where it is none of ours."""
    if address.startswith("-") or not address.isprintable() or _HELPER.match(address):
        return None
    if address.startswith("/"):
        return "file"
    url = _URL.fullmatch(address)
    if url is None:
        return "ssh" if _SCP.fullmatch(address) else None
    scheme, rest = url.groups()
    known = scheme in (*SECURE, PLAIN, UNSIGNED) and not rest.startswith(("-", "/")) and rest != ""
    if scheme == "file":
        known = rest.startswith("/")
    return scheme if known and "@-" not in rest.partition("/")[0] else None


def _check_secret(address: str, protocol: str, shown: str) -> None:
    """Refuse a password, and what may be one: a token is given as a user, too.

    Raises:
        Refused: the address has one.
    """
    host = address.partition("://")[2].partition("/")[0]
    if protocol in ("https", PLAIN, UNSIGNED):
        if "@" in host:
            raise Refused(f"the address has a user or a password: {shown}", LOG_IN)
        if "?" in address or "#" in address:
            raise Refused(f"the address has a query: {shown}", LOG_IN)
    elif protocol == "ssh" and _USER.match(address):
        raise Refused(f"the address has a password: {shown}", LOG_IN)


def shown_as(address: str) -> str:
    """An address as it may be shown: without password and query, and with a user of ssh alone.

    That one is no secret, and without it the address leads nowhere.
    """
    user = _SSH_USER.match(address) if _protocol(address) == "ssh" else None
    if "://" not in address:
        return (user[0] if user else "") + re.sub(r"^[^/]*@", "", address)
    return redact.text(address).replace("ssh://", user[0] if user else "ssh://", 1)
