"""The bytes of models in a carrier that is no DVC remote, such as a registry: as DVC's places."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tagship.carry.carrier import Carrier, Object
from tagship.disk import files
from tagship.disk.files import File
from tagship.progress import Advance
from tagship.stores.stream import Allowance

if TYPE_CHECKING:
    from tagship.dvc.pointers import Cached

JOBS = 8  # objects in transfer at a time


@dataclass(frozen=True)
class Objects:
    """The objects in a carrier: see ``dvc.places.Place``.

    Attributes:
        carrier: has them.
        jobs: how many at a time.
        is_folder: it answers at once.
    """

    carrier: Carrier
    jobs: int = JOBS
    is_folder: bool = False

    def receive(
        self, pointer: "Cached", target: Path | None, allowance: Allowance, advance: Advance
    ) -> File:
        """As ``Place``."""
        return files.receive(self._blocks(pointer, allowance), target, advance)

    def read(self, pointer: "Cached", allowance: Allowance) -> bytes:
        """As ``Place``."""
        return b"".join(self._blocks(pointer, allowance))

    def has(self, pointer: "Cached", size: int | None) -> bool:
        """As ``Place``."""
        there = None if pointer.legacy else self.carrier.size(Object(pointer.digest))
        return there is not None and size in (None, there)

    def put(self, pointer: "Cached", source: Path, advance: Advance) -> None:
        """As ``Place``."""
        self.carrier.put(Object(pointer.digest), source, advance)

    def prepare(self) -> None:
        """As ``Place``: it is ready."""

    def _blocks(self, pointer: "Cached", allowance: Allowance) -> Iterator[bytes]:
        if pointer.legacy:  # of DVC 2, whose names no carrier has
            raise FileNotFoundError(pointer.digest)
        return self.carrier.blocks(Object(pointer.digest), allowance)
