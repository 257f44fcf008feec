"""Which generation is live, as one number that all workers share: 8 bytes of memory a model.

A store of 8 aligned bytes is atomic on x86-64 and 64-bit ARM: a reader has the old number or the
new one. ``memoryview`` copies an item at once, which ``struct`` does not with a byte order given.
"""

import mmap
import os
from dataclasses import dataclass

from tagship.disk import scratch

SIZE = 8  # bytes a number


@dataclass(frozen=True)
class Cell:
    """A shared number: 0, and then the generation that is live."""

    numbers: "memoryview[int]"
    index: int

    def read(self) -> int:
        """The number now."""
        return self.numbers[self.index]

    def write(self, number: int) -> None:
        """Make a number that of all processes, at once. Only the proposer does."""
        self.numbers[self.index] = number


class Epochs:
    """The cells of all models, in memory that a child can inherit by its descriptor.

    Args:
        count: how many there are.
        descriptor: of what another process made; None makes a new one, of zeros.
    """

    def __init__(self, count: int, descriptor: int | None = None) -> None:
        if descriptor is None:
            with scratch.file() as file:
                descriptor = os.dup(file.fileno())
            os.ftruncate(descriptor, max(count, 1) * SIZE)
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, max(count, 1) * SIZE)
        self.cells = tuple(
            Cell(memoryview(self._memory).cast("Q"), index) for index in range(count)
        )
