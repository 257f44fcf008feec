"""Seattle's weather, day by day: the features of a day, and which days are held out."""

import numpy as np
import pandas as pd

from pipeline.settings import WeatherSplit

READINGS = ("precipitation", "temp_max", "temp_min", "wind")
LABEL = "weather"
DATE = "date"
# Alphabetical, as CatBoost orders the columns of its probabilities.
CLASSES = ("drizzle", "fog", "rain", "snow", "sun")
BEGIN = pd.Timestamp(2012, 1, 1)  # of the record


def features(days: pd.DataFrame, split: WeatherSplit) -> pd.DataFrame:
    """One row per day: date, features (°C, mm, m/s), label; the first days lack a past and go.

    Only readings of the day and of days before it are used, and no label, of whatever day. Days
    whose weather is asked for have no label; neither have their rows.
    """
    date = days[DATE]
    angle = 2 * np.pi * (date.dt.day_of_year - 1) / 365.25
    columns: dict[str, pd.Series] = {name: days[name] for name in READINGS}
    columns["temp_range"] = days["temp_max"] - days["temp_min"]
    columns["season_sin"], columns["season_cos"] = np.sin(angle), np.cos(angle)
    # The observers' coding drifts: 191 days of rain in 2012, 5 in 2015, fog the other way round.
    columns["years"] = (date - BEGIN).dt.days / 365.25
    for lag in range(1, split.lags + 1):
        columns |= {f"{name}_lag{lag}": days[name].shift(lag) for name in READINGS}
    past_rain = days["precipitation"].shift(1)
    columns["precipitation_mean"] = past_rain.rolling(split.window).mean()
    # Six digits survive CSV and JSON, and are more than the instruments have.
    table = pd.DataFrame(columns).round(6)
    table.insert(0, DATE, date)
    if LABEL in days:
        table[LABEL] = days[LABEL]
    return table.dropna().reset_index(drop=True)


def past(split: WeatherSplit) -> int:
    """How many days before a day its features need."""
    return max(split.lags, split.window)


def held_out(table: pd.DataFrame, split: WeatherSplit) -> pd.Series:
    """True for the days at each month's end.

    Whole blocks, because neighbouring days resemble each other; from every month of every year,
    because the last year alone has no snow and five days of rain.
    """
    return table[DATE].dt.day >= split.held_out_from_day


def inputs(table: pd.DataFrame) -> pd.DataFrame:
    """The model's input: what is neither date nor label."""
    return table.drop(columns=[DATE, LABEL], errors="ignore")
