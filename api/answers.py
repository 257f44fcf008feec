"""Questions and answers: bytes that somebody sent, and the probabilities of classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api import pictures, readings
from api.models import Answering, Array, Model
from pipeline import surfaces, weather
from pipeline.settings import WeatherSplit
from tagship.errors import Unavailable
from tagship.serve import Facts


@dataclass(frozen=True)
class Answer:
    """What a model said.

    Attributes:
        facts: of the version; None for the output of the pipeline.
        probabilities: of each class: the mean of all samples.
        inputs, outputs: of the model, by sample.
    """

    model: str
    facts: Facts | None
    probabilities: dict[str, float]
    inputs: Array = field(repr=False)
    outputs: Array = field(repr=False)

    @property
    def version(self) -> str | None:
        """None for the output of the pipeline."""
        return self.facts.version if self.facts else None

    def to_json(self) -> dict[str, Any]:
        """With the class that is most probable."""
        return {
            "model": self.model,
            "version": self.version,
            "answer": max(self.probabilities, key=self.probabilities.__getitem__),
            "probabilities": self.probabilities,
            "samples": len(self.inputs),
        }


def of_weather(body: bytes, model: Model) -> Answer:
    """The weather of a day.

    Args:
        body: JSON, as ``readings.Days`` has it.
        model: the weather model.

    Raises:
        BadReadings: of the body.
        Unavailable: nothing answers, or what is live takes other features.
    """
    asked = readings.parse(body)
    with model.answering() as answering:
        rows = readings.features(asked, split_of(answering.recipe.params))
        names = tuple(rows.columns)
        if answering.recipe.features not in ((), names):
            raise Unavailable(f"{_name(model, answering)} takes other features than this API makes")
        return _answer(model, answering, readings.array(rows), weather.CLASSES)


def of_picture(data: bytes, model: Model) -> Answer:
    """The land surface in a picture: the mean over its patches.

    Args:
        data: a JPEG or PNG.
        model: the model of land surfaces.

    Raises:
        BadPicture: of the data.
        Unavailable: nothing answers, or what is live takes no patches.
    """
    pictures.check(data)
    with model.answering() as answering:
        _, side, *_ = (*answering.shape, None, None)
        if side is None or answering.shape[1:] != (side, side, 3):
            raise Unavailable(f"{_name(model, answering)} takes no square patches of colour")
        return _answer(model, answering, pictures.patches(data, side), surfaces.CLASSES)


def split_of(params: Mapping[str, Any]) -> WeatherSplit:
    """The parameters of the weather's features that a version was made with.

    Args:
        params: of a ``Recipe``.

    Raises:
        Unavailable: they are not those that this API knows.
    """
    try:
        section = params["ml.prepare"] if "ml.prepare" in params else params["ml"]["prepare"]
        return WeatherSplit(**section)
    except (KeyError, TypeError):
        raise Unavailable("how the features of this version are made is not recorded") from None


def _answer(model: Model, answering: Answering, inputs: Array, classes: tuple[str, ...]) -> Answer:
    names = answering.recipe.classes or classes
    outputs = answering.ask(inputs)
    means = outputs.mean(axis=0).tolist()
    if len(means) != len(names):
        raise Unavailable(
            f"{_name(model, answering)} tells {len(means)} classes apart; {len(names)} are known"
        )
    shares = dict(zip(names, means, strict=True))
    return Answer(model.slot.name, answering.facts, shares, inputs, outputs)


def _name(model: Model, answering: Answering) -> str:
    version = answering.facts.version if answering.facts else "(not released)"
    return f"{model.slot.name} {version}"
