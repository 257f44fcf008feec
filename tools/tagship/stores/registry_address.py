"""The address of an image in a registry: ``HOST/NAME:TAG`` or ``HOST/NAME@sha256:HEX``. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

from tagship.errors import InvalidName

# github.com/opencontainers/distribution-spec; a host needs a dot, a port, or to be localhost
_HOST = (
    r"(?P<host>localhost(?::\d+)?|[A-Za-z0-9.-]+\.[A-Za-z0-9-]+(?::\d+)?|[A-Za-z0-9-]+:\d+"
    r"|\[[0-9a-f:]+\](?::\d+)?)"
)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_ADDRESS = re.compile(
    rf"{_HOST}/(?P<name>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
DOCKER_HUB = "docker.io"


@dataclass(frozen=True)
class Address:
    """An image in a registry; ``tag`` and ``digest`` are empty where they are not named."""

    host: str
    name: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``HOST/NAME``, with ``:TAG``, ``@sha256:HEX``, both or none.

        Raises:
            InvalidName: it is not of that form.
        """
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise InvalidName(
                f"{text!r} is no image in a registry",
                "give HOST/NAME:TAG in lower case, such as registry.example.com/models/churn:1.0.0",
            )
        return cls(match["host"], match["name"], match["tag"] or "", match["digest"] or "")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def bare(self) -> str:
        """The repository, without a tag and a digest."""
        return f"{self.host}/{self.name}"

    @property
    def url(self) -> str:
        """Where the registry's API has the repository."""
        host = "registry-1.docker.io" if self.host == DOCKER_HUB else self.host
        return f"{'http' if is_here(host) else 'https'}://{host}/v2/{self.name}"


def is_here(host: str) -> bool:
    """Whether a host, perhaps with a port, is this machine: it needs no TLS."""
    name = re.sub(r":\d+$", "", host).strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
