"""Where an image is, from a text: ``oci:DIR`` or ``docker://HOST/NAME@sha256:HEX``."""

from pathlib import Path

from tagship.errors import InvalidName
from tagship.export import image
from tagship.export.layout import Layout
from tagship.export.push import Remote
from tagship.progress import Tell, nobody
from tagship.stores.registry import Registry
from tagship.stores.registry_address import Address


def parse(text: str, tell: Tell = nobody) -> Layout | Remote:
    """The place that a text names; one in a layout may lack its digest.

    Raises:
        InvalidName: it names none.
        Corrupt, Unavailable: the login for the registry cannot be read.
    """
    kind, _, rest = text.partition(":")
    if kind == "docker" and rest.startswith("//"):
        address = Address.parse(rest[2:])
        if not address.digest:
            raise InvalidName(
                f"{text!r} has no digest, and a tag may name another image tomorrow",
                "give docker://HOST/NAME@sha256:HEX, as tagship show MODEL@VERSION --oci prints it",
            )
        return Remote(Registry.at(address, tell))
    place, at, digest = rest.partition("@sha256:")
    if kind != "oci" or not place or (at and not image.is_digest(f"sha256:{digest}")):
        raise InvalidName(
            f"{text!r} is not the place of an image", "give oci:DIR, or oci:DIR@sha256:HEX"
        )
    return Layout(Path(place), f"sha256:{digest}" if at else None)
