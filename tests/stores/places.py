"""How DVC reaches each store: its address, its options, and what this host has of credentials."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.stores import servers
from tests.stores.servers import BUCKET, SECRET, Server


class Start(Protocol):
    """Starts a server in a folder."""

    def __call__(self, folder: Path) -> AbstractContextManager[Server]: ...


@dataclass(frozen=True)
class Place:
    """A store.

    Attributes:
        name: the server's.
        scheme: DVC's name of the kind.
        start: starts the server.
        needed: DVC's own package for the kind.
        environment: the credentials of this host.
    """

    name: str
    scheme: str
    start: Start
    needed: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def options(self, address: str, folder: str) -> dict[str, str]:
        """DVC's options of a remote.

        Args:
            address: of the server, or of a proxy before it.
            folder: in the bucket.
        """
        if self.scheme == "http":
            return {"url": f"{address}/{folder}", "method": "PUT"}
        options = {"url": f"{self.scheme}://{BUCKET}/{folder}"}
        if self.scheme == "azure":
            return options | {"connection_string": servers.connection_string(address)}
        if self.scheme == "gs":
            return options | {"endpointurl": address, "allow_anonymous_login": "true"}
        return options | {"endpointurl": address}


# Of somebody without any key that is what botocore, and so DVC, asks at last: in no test
NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true"}


def aws(key: str, secret: str = SECRET) -> dict[str, str]:
    """Credentials of S3 in the environment."""
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


PLACES = {
    place.name: place
    for place in (
        Place("seaweedfs", "s3", servers.seaweedfs, "dvc_s3", aws("writer")),
        Place("moto", "s3", servers.moto, "dvc_s3", aws("writer")),
        Place("azurite", "azure", servers.azurite, "dvc_azure"),
        Place("gcs", "gs", servers.gcs, "dvc_gs", {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}),
        Place("files", "http", servers.files, "dvc_http"),
        Place("nginx", "http", servers.nginx, "dvc_http"),
    )
}


def configure(repo: Path, options: Mapping[str, str]) -> None:
    """Name the remote of a repository on this host alone, as ``dvc remote modify --local`` does."""
    lines = "".join(f"    {name} = {value}\n" for name, value in options.items())
    text = f"[core]\n    remote = store\n['remote \"store\"']\n{lines}"
    (repo / ".dvc/config.local").write_text(text)


def clean() -> dict[str, str]:
    """The environment of these tests without credentials that somebody may have set."""
    mine = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR_HOST", "http_proxy", "https_proxy")
    return {k: v for k, v in os.environ.items() if not k.startswith(mine)}
