from pathlib import Path

import numpy as np
import pytest

from pipeline import surfaces
from pipeline.settings import Cut
from pipeline.surfaces import Pixels, Surfaces


@pytest.fixture(scope="module")
def split(cut: Cut) -> tuple[Surfaces, Surfaces]:
    return surfaces.split(surfaces.photographs(), cut)


def covered(cuts: Surfaces, label: int) -> np.ndarray:
    """How often each pixel of a 512 x 512 photograph is in a cut."""
    side = cuts.pixels.shape[1]
    count = np.zeros((512, 512), dtype=int)
    for row, column in cuts.corners[cuts.labels == label]:
        count[row : row + side, column : column + side] += 1
    return count


@pytest.mark.parametrize("label", range(3), ids=surfaces.CLASSES)
def test_no_pixel_is_in_two_cuts(split: tuple[Surfaces, Surfaces], label: int) -> None:
    train, test = split
    assert (covered(train, label) + covered(test, label)).max() == 1


def test_a_patch_wide_gap_parts_training_from_held_out(
    split: tuple[Surfaces, Surfaces], cut: Cut
) -> None:
    train, test = split
    assert (train.corners[:, 1] + cut.tile).max() + cut.patch <= test.corners[:, 1].min()


def test_cuts_are_where_their_corners_say(split: tuple[Surfaces, Surfaces]) -> None:
    images = surfaces.photographs()
    for cuts in split:
        side = cuts.pixels.shape[1]
        for square, label, (row, column) in zip(
            cuts.pixels, cuts.labels, cuts.corners, strict=True
        ):
            assert (square == images[label][row : row + side, column : column + side]).all()


def test_classes_are_balanced(split: tuple[Surfaces, Surfaces]) -> None:
    train, test = split
    assert np.bincount(train.labels).tolist() == [40, 40, 40]
    assert np.bincount(test.labels).tolist() == [30, 30, 30]
    assert train.pixels.shape == (120, 64, 64)
    assert test.pixels.shape == (90, 48, 48)


def test_saving_and_loading_are_inverse_and_repeatable(
    split: tuple[Surfaces, Surfaces], tmp_path: Path
) -> None:
    first, second = str(tmp_path / "a.npz"), str(tmp_path / "b.npz")
    split[1].save(first)
    loaded = Surfaces.load(first)
    loaded.save(second)
    assert Path(first).read_bytes() == Path(second).read_bytes()
    assert (loaded.pixels == split[1].pixels).all()
    assert (loaded.labels == split[1].labels).all()


def eight_views(square: Pixels) -> list[bytes]:
    turned = [np.rot90(square, quarter) for quarter in range(4)]
    return [view.tobytes() for view in turned + [view[:, ::-1] for view in turned]]


def test_augmentation_only_turns_and_mirrors_what_a_tile_holds() -> None:
    tile = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    surface = Surfaces(tile, np.array([2]), np.array([[0, 0]]))
    patches, labels = surfaces.augment(surface, 3, 50, np.random.default_rng(0))
    inside = [tile[0, r : r + 3, c : c + 3] for r in range(2) for c in range(2)]
    assert {patch.tobytes() for patch in patches} <= {v for s in inside for v in eight_views(s)}
    assert labels.tolist() == [2] * 50


def test_augmentation_takes_every_tile_equally_often(split: tuple[Surfaces, Surfaces]) -> None:
    patches, labels = surfaces.augment(split[0], 48, 4, np.random.default_rng(0))
    assert patches.shape == (480, 48, 48)
    assert np.bincount(labels).tolist() == [160, 160, 160]


def test_the_input_is_three_equal_channels_of_0_to_255() -> None:
    grey = np.array([[[0, 255]]], dtype=np.uint8)
    assert surfaces.as_input(grey).tolist() == [[[[0.0] * 3, [255.0] * 3]]]
