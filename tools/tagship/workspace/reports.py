"""``[report]`` of tagship.toml: where a host tells how its models are, and whom it tells. Values.

``fleet`` does it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from tagship.dvc.config import DvcConfig
from tagship.errors import Refused
from tagship.text.json_reader import Is
from tagship.text.table import Table
from tagship.workspace import remotes

KEYS = ("status", "options", "roster", "sign", "signers", "textfile", "notify")
SCHEMES = ("s3", "gs", "azure")
# A host's name is that of a file, a principal of ssh-keygen, and a label of a metric.
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


def is_host(name: str) -> bool:
    """Whether a host can have a status object by this name."""
    return HOST.fullmatch(name) is not None


HostText = Annotated[str, Is(is_host, "the name of a host")]


@dataclass(frozen=True)
class Reports:
    """Where a host tells how its models are.

    Attributes:
        status: the place of the status objects of all hosts: a folder, or a bucket and a prefix.
        options: DVC's of that place.
        roster: a file with the names of all hosts, one a line.
        sign: the private key that signs the status objects of this host.
        signers: whose keys may sign which host's, in the form of ssh-keygen(1).
        textfile: a folder of metrics for node_exporter.
        notify: a program, and its arguments, which is told each change.
    """

    status: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    roster: Path | None = None
    sign: Path | None = None
    signers: Path | None = None
    textfile: Path | None = None
    notify: tuple[str, ...] | None = None


def parse(value: object, file: str, name: str, stores: DvcConfig) -> Reports:
    """The reports that a tagship.toml asks for. Pure.

    Args:
        value: the table, as ``tomllib`` read it.
        file: where it stands, for errors.
        name: of the host.
        stores: the remotes of the file: a place in the bucket of one has its options.

    Raises:
        Refused: an unknown key, or a value that may not be; or no object can have the host's name.
    """
    table = Table.of(value, "report", file, KEYS)
    status = _status(table)
    if status is not None and not is_host(name):
        what = f"name in {file} may not be {name!r}: the status of this host is a file of its name"
        raise Refused(what, 'letters, digits, ".", "_" and "-", at most 64: name = "edge-1"')
    given = remotes.options(table, "options")
    return Reports(
        status,
        given or options_of(status, stores),
        _path(table, "roster"),
        _path(table, "sign"),
        _path(table, "signers"),
        _path(table, "textfile"),
        _command(table),
    )


def options_of(status: str | None, stores: DvcConfig) -> dict[str, Any]:
    """The options of the remote that is in the same bucket as the place of the status objects."""
    if status is None or "://" not in status:
        return {}
    for each in stores.whole["remote"].values():
        options = dict(each)
        if _bucket(str(options.pop("url"))) == _bucket(status):
            return options
    return {}


def check_place(address: str) -> bool:
    """Whether status objects can be in a place: an absolute folder, or a bucket."""
    scheme = address.partition("://")[0] if "://" in address else ""
    return scheme in SCHEMES if scheme else address.startswith("/")


def _bucket(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc


def _status(table: Table) -> str | None:
    if "status" not in table.values:
        return None
    address = remotes.url(table, "status")
    if not check_place(address):
        raise table.wrong("status", 'give a folder, or s3://, gs:// or azure://: "s3://bucket/x"')
    return address


def _path(table: Table, name: str) -> Path | None:
    if name not in table.values:
        return None
    path = remotes.text(table, name)
    if not path.startswith("/"):
        raise table.wrong(name, "give an absolute path")
    return Path(path)


def _command(table: Table) -> tuple[str, ...] | None:
    given = table.values.get("notify")
    if given is None:
        return None
    is_list = isinstance(given, list) and bool(given)
    if not is_list or not all(isinstance(word, str) and "\0" not in word for word in given):
        raise table.wrong("notify", 'give a list of words: ["/usr/local/bin/notify", "--fast"]')
    if not given[0].startswith("/"):
        raise table.wrong("notify", "begin with the absolute path of the program; it is no shell")
    return tuple(given)
