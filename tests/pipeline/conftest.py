"""What the pipeline's tests share: the root, and the parameters as they are committed."""

from pathlib import Path

import pytest

from pipeline import settings


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def weather_split(root: Path) -> settings.WeatherSplit:
    return settings.read(settings.WeatherSplit, "ml.prepare", root / "params.yaml")


@pytest.fixture(scope="session")
def boosting(root: Path) -> settings.Boosting:
    return settings.read(settings.Boosting, "ml.train", root / "params.yaml")


@pytest.fixture(scope="session")
def cut(root: Path) -> settings.Cut:
    return settings.read(settings.Cut, "dl.prepare", root / "params.yaml")


@pytest.fixture(scope="session")
def training(root: Path) -> settings.Training:
    return settings.read(settings.Training, "dl.train", root / "params.yaml")
