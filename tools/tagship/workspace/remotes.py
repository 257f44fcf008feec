"""Addresses of stores in tagship.toml, and DVC's options of them: none of them is a secret."""

from typing import Any

from tagship.dvc import credentials
from tagship.errors import Refused
from tagship.text import redact
from tagship.text.table import Table


def text(table: Table, name: str, default: str | None = None) -> str:
    """A text that can be shown.

    Raises:
        Refused: it is none, or missing.
    """
    value = table.values.get(name, default)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise table.wrong(name, "give a text in quotes")
    return value


def url(table: Table, name: str) -> str:
    """An address, or an absolute path.

    Raises:
        Refused: it is neither, or has a password or a query.
    """
    address = text(table, name)
    if redact.text(address) != address:
        raise table.wrong(name, "without a password or a query: keys come from the environment")
    if "://" not in address and not address.startswith("/"):
        raise table.wrong(name, 'give an address or an absolute path: "s3://bucket/dvc"')
    return address


def options(table: Table, name: str) -> dict[str, Any]:
    """DVC's options of a remote, by DVC's names.

    Raises:
        Refused: one of them is a secret, or no single value.
    """
    value = table.values.get(name, {})
    given = Table.of(value, f"{table.key}.{name}", table.file, None)
    for key, each in given.values.items():
        if key in credentials.PASSWORDS:
            raise Refused(
                f"{given.key}.{key} in {table.file} would be a secret, in a file that others may"
                " read",
                "give it by the environment or a profile: see docs/hosts.md",
            )
        if isinstance(each, dict | list):
            raise given.wrong(key, "give one value, as DVC has it")
    return dict(given.values)
