"""Who is signed in to a registry here, as podman, skopeo and docker keep it.

The files and their order: containers-auth.json(5). A helper is a program of the user's,
``docker-credential-NAME``: github.com/docker/docker-credential-helpers.
"""

import base64
import binascii
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagship.errors import Corrupt, Unavailable
from tagship.stores.registry_address import DOCKER_HUB, Address
from tagship.text import json_reader

LARGEST = 1 << 20  # bytes of a file
PATIENCE = 30  # seconds that a helper has
RUN = Path("/run/containers")
_HUB = "https://index.docker.io/v1/"
_HELPER = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Login:
    """A user and a password; never shown."""

    user: str
    password: str = field(repr=False)


def find(address: Address, environment: Mapping[str, str] = os.environ) -> Login | None:
    """The login for a repository; None where nobody is signed in.

    Raises:
        Corrupt: a file of logins cannot be read.
        Unavailable: a helper does not give it.
    """
    for path in _files(environment):
        value = _read(path)
        if value is None:
            continue
        helper = _helper(value, address)
        if helper is not None and (login := _ask(helper, address)):
            return login
        auths = value.get("auths")
        for name in _names(address):
            entry = auths.get(name) if isinstance(auths, dict) else None
            if isinstance(entry, dict) and (login := _login(entry, path)):
                return login
    return None


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME", "/"))
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
        return
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "containers", "auth.json")
    elif os.access(RUN, os.X_OK):  # podman of root makes it for root alone
        yield RUN / str(os.getuid()) / "auth.json"
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "containers", "auth.json")
    yield Path(environment.get("DOCKER_CONFIG") or home / ".docker", "config.json")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too long")
        value = json_reader.parse(path.read_bytes(), strict=False)
        if not isinstance(value, dict):
            raise ValueError("it is not an object")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise Corrupt(f"the logins in {path} cannot be read: {why}", f"ls -l {path}") from None
    return value


def _names(address: Address) -> Iterator[str]:
    """The keys that an entry may have, the most specific one first."""
    parts = address.name.split("/")
    for count in range(len(parts), 0, -1):
        yield "/".join([address.host, *parts[:count]])
    yield from (address.host, f"https://{address.host}", f"https://{address.host}/v2/")
    if address.host == DOCKER_HUB:
        yield _HUB


def _login(entry: dict[str, Any], path: Path) -> Login | None:
    text = entry.get("auth")
    if not isinstance(text, str) or not text:
        return None
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise Corrupt(f"a login in {path} is not USER:PASSWORD in base64", f"ls -l {path}")
    return Login(user, password.rstrip("\0"))


def _helper(value: dict[str, Any], address: Address) -> str | None:
    """The name of the program that keeps the login."""
    helpers, usual = value.get("credHelpers"), value.get("credsStore")
    name = helpers.get(address.host) if isinstance(helpers, dict) else None
    name = name or usual
    return name if isinstance(name, str) and _HELPER.fullmatch(name) else None


def _ask(helper: str, address: Address) -> Login | None:
    program = shutil.which(f"docker-credential-{helper}")
    if program is None:
        what = f"docker-credential-{helper}, which keeps the login of {address.host}, is not here"
        raise Unavailable(what, f"podman login {address.host}")
    host = _HUB if address.host == DOCKER_HUB else address.host
    try:
        answer = subprocess.run(
            [program, "get"], input=host, capture_output=True, text=True, timeout=PATIENCE,
            check=False,
        )  # fmt: skip
        value = json.loads(answer.stdout) if answer.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        value = {}
    user, secret = (value.get(key) if isinstance(value, dict) else None for key in _KEYS)
    return Login(user, secret) if isinstance(user, str) and isinstance(secret, str) else None


_KEYS = ("Username", "Secret")
