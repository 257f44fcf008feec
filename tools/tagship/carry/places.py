"""Which carrier an address means: a new one is one file, and one line here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagship.carry.carrier import Carrier
from tagship.errors import Refused
from tagship.text import redact

BUCKETS = ("s3", "gs", "azure", "http", "https")
GIVE = "give a folder, s3://BUCKET/PREFIX, gs://, azure://, or docker://HOST/NAME"


def of(address: str, options: Mapping[str, Any]) -> Carrier:
    """The carrier at an address; it is not asked yet.

    Args:
        address: an absolute path, or of a bucket or a registry.
        options: DVC's of a remote there.

    Raises:
        Refused: there is none for such an address, or an option has no counterpart.
        Unavailable: the package that reaches it is not installed.
    """
    scheme = check(address)
    if not scheme:
        from tagship.carry.folder import Folder  # each is imported where it is meant

        return Folder(Path(address))
    if scheme == "docker":
        from tagship.carry.oci import Oci  # requests takes a tenth of a second to import
        from tagship.stores import artifacts

        return Oci(artifacts.at(address))
    from tagship.carry import reach
    from tagship.carry.bucket import Bucket

    return Bucket(reach.store(address, options), redact.text(address))


def check(address: str) -> str:
    """The scheme of an address where something may carry versions; empty for a folder. Pure.

    Raises:
        InvalidName, Refused: there is no carrier for such an address.
    """
    scheme, separator, _ = address.partition("://")
    if not separator:
        return ""
    if scheme == "docker":
        from tagship.stores import artifacts

        artifacts.parsed(address)
    elif scheme not in BUCKETS:
        what = f"nothing carries versions at {redact.text(address)}"
        raise Refused(what, GIVE)
    return scheme
