"""The readings of a day and of the days before it, as the weather model's features."""

import datetime
import difflib
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import weather
from pipeline.settings import WeatherSplit
from tagship import TagshipError


def _reading(title: str, unit: str, what: str, low: float, high: float) -> Any:
    return Field(
        title=title,
        ge=low,
        le=high,
        allow_inf_nan=False,
        description=f"{what}, {unit}",
        json_schema_extra={"unit": unit},
    )


class BadReadings(TagshipError):
    """The readings cannot be used; the message says which one, and why."""


class Day(BaseModel):
    """The readings of one day."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    precipitation: Annotated[float, _reading("Rain", "mm", "rain and melted snow", 0, 2000)]
    temp_max: Annotated[float, _reading("Highest", "°C", "highest temperature", -90, 60)]
    temp_min: Annotated[float, _reading("Lowest", "°C", "lowest temperature", -90, 60)]
    wind: Annotated[float, _reading("Wind", "m/s", "mean wind speed", 0, 120)]


# From the end of 2015 in the record; of the days that the model did not learn from.
_LAST_WEEK = (
    (6.1, 5.0, 2.8, 7.6),
    (2.5, 5.6, 2.2, 4.3),
    (5.8, 5.0, 2.2, 1.5),
    (0.0, 4.4, 0.0, 2.5),
    (8.6, 4.4, 1.7, 2.9),
    (1.5, 5.0, 1.7, 1.3),
    (0.0, 7.2, 0.6, 2.6),
    (0.0, 5.6, -1.0, 3.4),
)
EXAMPLE: dict[str, Any] = {
    "date": "2015-12-30",
    "days": [dict(zip(weather.READINGS, day, strict=True)) for day in _LAST_WEEK],
}


class Days(BaseModel):
    """The readings of a day and of the days before it."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, json_schema_extra={"examples": [EXAMPLE]}
    )

    date: Annotated[
        datetime.date,
        Field(
            ge=datetime.date(1900, 1, 1),
            le=datetime.date(2199, 12, 31),
            description="of the last day",
        ),
    ]
    days: Annotated[
        tuple[Day, ...],
        Field(
            strict=False,
            description="one a day without gaps, the oldest first; the last is the one asked for",
        ),
    ]


def parse(body: bytes) -> Days:
    """Read JSON.

    Raises:
        BadReadings: it is none, or a name is missing or unknown, or a value is no reading.
    """
    try:
        days = Days.model_validate_json(body)
    except ValidationError as error:
        raise BadReadings(_words(error)) from None
    for number, day in enumerate(days.days):
        if day.temp_min > day.temp_max:
            raise BadReadings(
                f"days[{number}].temp_min, {day.temp_min}, is above temp_max, {day.temp_max}"
            )
    return days


def features(asked: Days, split: WeatherSplit) -> pd.DataFrame:
    """The model's input: one row, as the training stage makes it.

    Args:
        asked: what somebody sent.
        split: the parameters that the model was trained with.

    Raises:
        BadReadings: there are fewer days, or more, than the features are made of.
    """
    needed = weather.past(split) + 1
    if len(asked.days) != needed:
        raise BadReadings(
            f"{needed} days are needed, the one asked for and the {needed - 1} before it, the"
            f" oldest first; this is {len(asked.days)}"
        )
    table = pd.DataFrame([day.model_dump() for day in asked.days])
    table[weather.DATE] = pd.date_range(end=pd.Timestamp(asked.date), periods=needed)
    return weather.inputs(weather.features(table, split))


def array(rows: pd.DataFrame) -> NDArray[np.float64]:
    """The numbers of a table."""
    return np.asarray(rows, dtype=np.float64)


def described() -> dict[str, dict[str, Any]]:
    """Each reading as JSON Schema: title, unit, description, bounds."""
    properties: dict[str, dict[str, Any]] = Day.model_json_schema()["properties"]
    return {name: properties[name] for name in weather.READINGS}


def schema() -> dict[str, Any]:
    """``Days`` as JSON Schema, without references."""
    whole = Days.model_json_schema()
    whole["properties"]["days"]["items"] = whole.pop("$defs")["Day"]
    return whole


def _words(error: ValidationError) -> str:
    """Of all that is wrong, the first three."""
    problems = [_problem(dict(item)) for item in error.errors(include_url=False)]
    more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more


def _problem(item: dict[str, Any]) -> str:
    where, name = _place(item["loc"]), str(item["loc"][-1]) if item["loc"] else ""
    if item["type"] == "json_invalid":
        return f"the body is not JSON: {item['ctx']['error']}"
    if item["type"] == "missing":
        unit = described().get(name, {}).get("unit")
        return f"{where} is missing" + (f" ({unit})" if unit else "")
    if item["type"] == "extra_forbidden":
        known = tuple(Day.model_fields if len(item["loc"]) > 1 else Days.model_fields)
        near = difflib.get_close_matches(name, known, 1)
        return f"{where} is unknown: " + (
            f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        )
    message = str(item["msg"])
    return f"{where or 'the body'}: {message[:1].lower()}{message[1:]}"


def _place(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part[:40]
    return text
