"""The parameters of a stage: its section of params.yaml, parsed once into a frozen value."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML

PARAMS = Path("params.yaml")

Section = TypeVar("Section")


@dataclass(frozen=True)
class WeatherSplit:
    """``ml.prepare``.

    Attributes:
        held_out_from_day: day of the month, 2..31; it and the later ones are held out.
        lags: how many earlier days' readings a row has.
        window: days in the running mean of the rain.
    """

    held_out_from_day: int
    lags: int
    window: int


@dataclass(frozen=True)
class Boosting:
    """``ml.train``: CatBoost's own parameters; ``threads`` is fixed, as sums depend on it."""

    iterations: int
    depth: int
    learning_rate: float
    l2_leaf_reg: float
    seed: int
    threads: int


@dataclass(frozen=True)
class Cut:
    """``dl.prepare``: where each photograph is cut; all in pixels.

    Attributes:
        tile: side of a training tile, from which augmentation crops patches.
        patch: side of a patch, the model's input.
        train_until: first column that is not trained on.
        test_from: first column that is held out; the columns between belong to neither.
    """

    tile: int
    patch: int
    train_until: int
    test_from: int


@dataclass(frozen=True)
class Training:
    """``dl.train``.

    Attributes:
        weights: ``none``, ``imagenet`` (downloads), or the path of a weights file without the top.
        epochs: passes over the tiles.
        crops: random patches cut from each tile in one epoch.
        batch: patches per step.
        learning_rate: at its peak, after two epochs of warm-up.
        weight_decay: of AdamW.
        dropout: before the last layer.
        drop_connect: inside EfficientNet; its own default is 0.2, for ImageNet's size.
        bn_momentum: of the batch norms' moving averages, see ``network.build``.
        seed: of Python, NumPy and TensorFlow.
        threads: TensorFlow's within an operation; fixed, as sums depend on it.
    """

    weights: str
    epochs: int
    crops: int
    batch: int
    learning_rate: float
    weight_decay: float
    dropout: float
    drop_connect: float
    bn_momentum: float
    seed: int
    threads: int


def read(kind: type[Section], section: str, params: Path = PARAMS) -> Section:
    """The dotted section of params.yaml as a ``kind``.

    Raises:
        TypeError: the section lacks a parameter, or has one that the stage does not know.
    """
    value: Any = YAML(typ="safe").load(params)
    for key in section.split("."):
        value = value[key]
    return kind(**value)
