"""Where an image is, from a text: ``oci:DIR``, with ``@sha256:HEX`` or without."""

from pathlib import Path

from tagship.errors import InvalidName
from tagship.export import image
from tagship.export.layout import Layout


def parse(text: str) -> Layout:
    """The place that a text names.

    Raises:
        InvalidName: it names none.
    """
    kind, _, rest = text.partition(":")
    place, at, digest = rest.partition("@sha256:")
    if kind != "oci" or not place or (at and not image.is_digest(f"sha256:{digest}")):
        raise InvalidName(
            f"{text!r} is not the place of an image", "give oci:DIR, or oci:DIR@sha256:HEX"
        )
    return Layout(Path(place), f"sha256:{digest}" if at else None)
