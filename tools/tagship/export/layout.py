"""An image in a folder, an OCI image layout: its bytes, as they lie there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagship.disk import files as disk_files
from tagship.errors import Corrupt, NotFound, Refused
from tagship.export import image
from tagship.export.image import Blob
from tagship.text import json_reader


@dataclass(frozen=True)
class Layout:
    """An image in a layout.

    Attributes:
        folder: of the layout.
        digest: of the image; None for the only one.
    """

    folder: Path
    digest: str | None = None

    def __str__(self) -> str:
        return f"oci:{self.folder}" + (f"@{self.digest}" if self.digest else "")

    @property
    def again(self) -> str:
        """The hint where it is damaged: nothing is written over it."""
        return "write it again, into a new folder: tagship export MODEL@VERSION --format oci -o DIR"

    def manifest(self) -> bytes:
        """The manifest; its digest is not checked.

        Raises:
            NotFound: here is no layout, or no such image.
            Refused: it has several images.
            Corrupt: it cannot be read.
        """
        try:
            return b"".join(self.blocks(self._manifest()))
        except OSError as error:
            what = f"the manifest of {self} cannot be read: {error.strerror}"
            raise Corrupt(what, image.AGAIN) from None

    def blocks(self, blob: Blob) -> Iterator[bytes]:
        """The bytes of a blob, no more than it should have; they are not checked.

        Raises:
            OSError: there is none, or it cannot be read.
        """
        path = self.folder / "blobs" / "sha256" / blob.digest.removeprefix("sha256:")
        left = blob.size
        with disk_files.opened(path) as file:
            while left > 0 and (block := file.read(min(disk_files.BLOCK, left))):
                left -= len(block)
                yield block
            if file.read(1):
                raise OSError(0, "is longer than the image says", str(path))

    def _manifest(self) -> Blob:
        try:
            entries = self._images()
        except FileNotFoundError:
            raise NotFound(f"there is no OCI layout in {self.folder}", image.AGAIN) from None
        except (OSError, ValueError) as error:
            raise Corrupt(
                f"{self.folder}/index.json cannot be read: {error}", image.AGAIN
            ) from None
        if self.digest is not None:
            entries = [entry for entry in entries if entry.digest == self.digest]
        if not entries:
            raise NotFound(f"there is no image {self}", f"cat {self.folder}/index.json")
        if len(entries) > 1:
            names = ", ".join(entry.digest for entry in entries[:3])
            raise Refused(f"{self} has several images", f"name one by @DIGEST: {names}")
        return entries[0]

    def _images(self) -> list[Blob]:
        path = self.folder / "index.json"
        if path.stat().st_size > image.LARGEST:
            raise ValueError("it is too long")
        value: Any = json_reader.parse(disk_files.read(path))
        if not isinstance(value, dict) or not isinstance(value.get("manifests"), list):
            raise ValueError("it names no images")
        entries = [image.blob_of(entry) for entry in value["manifests"]]
        if any(entry.size > image.LARGEST for entry in entries):
            raise ValueError("it names a manifest of more than 4 MiB")
        return list(dict.fromkeys(entries))
