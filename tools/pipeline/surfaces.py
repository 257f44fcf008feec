"""Land surfaces: photographs cut into training tiles and held-out patches that share no pixel."""

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import skimage.data
from numpy.typing import NDArray

from pipeline.settings import Cut

# In the order of the model's outputs: brick, grass, gravel.
CLASSES = ("built_up", "vegetation", "bare_ground")

Pixels: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Surfaces:
    """Square cuts.

    Attributes:
        pixels: N x side x side, uint8, grey.
        labels: N, indices into ``CLASSES``.
        corners: N x 2, row and column of the upper left pixel in the photograph.
    """

    pixels: Pixels
    labels: Labels
    corners: NDArray[np.int64]

    @classmethod
    def load(cls, path: str) -> Self:
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["pixels"], file["labels"], file["corners"])

    def save(self, path: str) -> None:
        """Write a .npz; the same values give the same bytes."""
        np.savez_compressed(path, pixels=self.pixels, labels=self.labels, corners=self.corners)


def photographs() -> tuple[Pixels, ...]:
    """One of 512 x 512 pixels per class; scikit-image's wheel has them, nothing is downloaded."""
    return tuple(np.asarray(read()) for read in _PHOTOGRAPHS)


_PHOTOGRAPHS = (skimage.data.brick, skimage.data.grass, skimage.data.gravel)


def corners(height: int, left: int, right: int, side: int) -> list[tuple[int, int]]:
    """Upper left pixels of the squares that fit between two columns, edge to edge."""
    return [
        (row, column)
        for row in range(0, height - side + 1, side)
        for column in range(left, right - side + 1, side)
    ]


def cut(images: tuple[Pixels, ...], left: int, right: int, side: int) -> Surfaces:
    """The squares of all photographs between two columns."""
    height = images[0].shape[0]
    places = corners(height, left, right, side)
    squares = [image[r : r + side, c : c + side] for image in images for r, c in places]
    return Surfaces(
        pixels=np.stack(squares),
        labels=np.repeat(np.arange(len(images)), len(places)),
        corners=np.array(places * len(images)),
    )


def split(images: tuple[Pixels, ...], where: Cut) -> tuple[Surfaces, Surfaces]:
    """Training tiles from the left of each photograph, held-out patches from its right."""
    width = images[0].shape[1]
    train = cut(images, 0, where.train_until, where.tile)
    return train, cut(images, where.test_from, width, where.patch)


def augment(
    tiles: Surfaces, patch: int, crops: int, random: np.random.Generator
) -> tuple[Pixels, Labels]:
    """Patches in random order: ``crops`` from each tile, anywhere in it, turned and mirrored."""
    chosen = random.permutation(np.repeat(np.arange(len(tiles.labels)), crops))
    patches = np.stack([_crop(tiles.pixels[tile], patch, random) for tile in chosen])
    return patches, tiles.labels[chosen]


def _crop(tile: Pixels, patch: int, random: np.random.Generator) -> Pixels:
    row, column = random.integers(0, tile.shape[0] - patch + 1, size=2)
    turned = np.rot90(tile[row : row + patch, column : column + patch], int(random.integers(4)))
    return np.fliplr(turned) if random.integers(2) else turned


def as_input(grey: Pixels) -> NDArray[np.float32]:
    """N x H x W grey pixels as the model takes them: three equal channels, 0..255."""
    return np.repeat(grey[..., np.newaxis], 3, axis=-1).astype(np.float32)
