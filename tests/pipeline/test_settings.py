from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from pipeline import settings

SECTION = "ml:\n  prepare: {held_out_from_day: 23, lags: 2, window: 7%s}\n"


def test_a_section_becomes_a_frozen_value(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(SECTION % "")
    split = settings.read(settings.WeatherSplit, "ml.prepare", params)
    assert split == settings.WeatherSplit(held_out_from_day=23, lags=2, window=7)
    with pytest.raises(FrozenInstanceError):
        split.lags = 3  # type: ignore[misc]  # what is shown not to work


def test_an_unknown_parameter_is_an_error_that_names_it(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(SECTION % ", lagz: 1")
    with pytest.raises(TypeError, match="lagz"):
        settings.read(settings.WeatherSplit, "ml.prepare", params)


def test_a_missing_parameter_is_an_error_that_names_it(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("ml: {prepare: {lags: 2, window: 7}}")
    with pytest.raises(TypeError, match="held_out_from_day"):
        settings.read(settings.WeatherSplit, "ml.prepare", params)
