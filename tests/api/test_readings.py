"""Readings that somebody sent, as the features that the training stage makes of the same days."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vega_datasets import local_data

from api import readings
from api.readings import EXAMPLE, BadReadings
from pipeline import weather
from pipeline.settings import WeatherSplit

SPLIT = WeatherSplit(held_out_from_day=23, lags=2, window=7)
DAY = EXAMPLE["days"][0]
RECORD = local_data.seattle_weather()


def words(value: Any) -> str:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(BadReadings) as error:
        readings.features(readings.parse(body), SPLIT)
    return error.value.message


@settings(max_examples=20)
@given(last=st.integers(7, 1460), lags=st.integers(1, 4), window=st.integers(1, 7))
def test_a_day_has_the_features_that_the_training_stage_gave_it(
    last: int, lags: int, window: int
) -> None:
    split = WeatherSplit(23, lags, window)
    days = RECORD.iloc[last - weather.past(split) : last + 1]
    asked = {
        "date": f"{days[weather.DATE].iloc[-1]:%Y-%m-%d}",
        "days": days[list(weather.READINGS)].to_dict("records"),
    }
    rows = readings.features(readings.parse(json.dumps(asked).encode()), split)
    table = weather.features(RECORD, split)
    expected = weather.inputs(table[table[weather.DATE] == days[weather.DATE].iloc[-1]])
    assert list(rows.columns) == list(expected.columns)
    assert readings.array(rows).tolist() == np.asarray(expected, dtype=float).tolist()


def test_the_example_is_a_question() -> None:
    rows = readings.features(readings.parse(json.dumps(EXAMPLE).encode()), SPLIT)
    assert rows.shape == (1, 17)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, "date is missing; days is missing"),
        ({"date": "2015-12-30", "days": [{}]}, (
            "days[0].precipitation is missing (mm); days[0].temp_max is missing (°C);"
            " days[0].temp_min is missing (°C); and 1 more"
        )),
        ({**EXAMPLE, "dais": 1}, "dais is unknown: did you mean days?"),
        ({"date": "2015-12-30", "days": [{**DAY, "windd": 1.0}]},
         "days[0].windd is unknown: did you mean wind?"),
        ({"date": "2015-12-30", "days": [{**DAY, "humidity": 1.0}]},
         "days[0].humidity is unknown: known are precipitation, temp_max, temp_min, wind"),
        ({**EXAMPLE, "x" * 5000: 1}, f"{'x' * 40} is unknown: known are date, days"),
        ({**EXAMPLE, "days": EXAMPLE["days"][1:]},
         "8 days are needed, the one asked for and the 7 before it, the oldest first; this is 7"),
        ({**EXAMPLE, "days": []},
         "8 days are needed, the one asked for and the 7 before it, the oldest first; this is 0"),
        ({"date": "2015-12-30", "days": [{**DAY, "temp_min": 5.5}]},
         "days[0].temp_min, 5.5, is above temp_max, 5.0"),
        ({"date": "2015-12-30", "days": [{**DAY, "wind": -1}]},
         "days[0].wind: input should be greater than or equal to 0"),
        ({"date": "2015-12-30", "days": [{**DAY, "wind": "3.4"}]},
         "days[0].wind: input should be a valid number"),
        ({"date": "2015-12-30", "days": [{**DAY, "wind": True}]},
         "days[0].wind: input should be a valid number"),
        ({"date": "2015-12-30", "days": [{**DAY, "wind": float("nan")}]},
         "days[0].wind: input should be a finite number"),
        ({"date": "2015-12-30", "days": DAY}, "days: input should be a valid array"),
        ({"date": "1815-12-30", "days": [DAY]},
         "date: input should be greater than or equal to 1900-01-01"),
        ([], "the body: input should be an object"),
        (b"{", "the body is not JSON: EOF while parsing an object at line 1 column 1"),
        (b"\xff", "the body is not JSON: expected value at line 1 column 1"),
        (b"[" * 60000, "the body is not JSON: recursion limit exceeded at line 1 column 202"),
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused_with_words(value: Any, expected: str) -> None:
    assert words(value) == expected


def test_a_date_that_does_not_exist_is_refused() -> None:
    assert words({**EXAMPLE, "date": "2015-02-29"}).startswith("date: input should be a valid date")
