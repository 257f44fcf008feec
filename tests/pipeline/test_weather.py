import pandas as pd
import pytest
from vega_datasets import local_data

from pipeline import weather
from pipeline.settings import WeatherSplit


@pytest.fixture(scope="module")
def days() -> pd.DataFrame:
    return local_data.seattle_weather()


def test_no_label_of_any_day_reaches_the_features(
    days: pd.DataFrame, weather_split: WeatherSplit
) -> None:
    shuffled = days.assign(weather=days[weather.LABEL].to_numpy()[::-1])
    pd.testing.assert_frame_equal(
        weather.inputs(weather.features(days, weather_split)),
        weather.inputs(weather.features(shuffled, weather_split)),
    )


def test_features_look_at_no_later_day(days: pd.DataFrame, weather_split: WeatherSplit) -> None:
    known = days.head(400)
    pd.testing.assert_frame_equal(
        weather.features(known, weather_split),
        weather.features(days, weather_split).head(400 - weather_split.window),
    )


def test_a_lag_is_the_reading_of_that_many_days_before(
    days: pd.DataFrame, weather_split: WeatherSplit
) -> None:
    table = weather.features(days, weather_split)
    assert table["wind_lag2"].tolist() == days["wind"].iloc[5:-2].tolist()
    assert table["date"].tolist() == days["date"].iloc[7:].tolist()


def test_the_days_from_the_23rd_are_held_out_in_every_month(
    days: pd.DataFrame, weather_split: WeatherSplit
) -> None:
    table = weather.features(days, weather_split)
    held_out = weather.held_out(table, weather_split)
    assert set(table[held_out]["date"].dt.day) == set(range(23, 32))
    assert set(table[~held_out]["date"].dt.day) == set(range(1, 23))
    assert table[held_out].groupby(table["date"].dt.to_period("M")).ngroups == 48


def test_every_class_is_trained_on_and_held_out(
    days: pd.DataFrame, weather_split: WeatherSplit
) -> None:
    table = weather.features(days, weather_split)
    held_out = weather.held_out(table, weather_split)
    assert tuple(sorted(table[held_out][weather.LABEL].unique())) == weather.CLASSES
    assert tuple(sorted(table[~held_out][weather.LABEL].unique())) == weather.CLASSES


def test_a_week_asked_for_has_the_features_that_its_last_day_was_trained_with(
    days: pd.DataFrame, weather_split: WeatherSplit
) -> None:
    whole = weather.features(days, weather_split)
    week = days.iloc[999 - weather.past(weather_split) : 1000].drop(columns=[weather.LABEL])
    asked = weather.features(week, weather_split)
    expected = whole[whole[weather.DATE] == days[weather.DATE].iloc[999]]
    assert asked.to_dict("records") == weather.inputs(expected).assign(
        date=expected[weather.DATE]
    ).to_dict("records")
