"""Gaia Vision's API on a free port, in a thread; and somebody who asks it."""

import contextlib
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import uvicorn
from vega_datasets import local_data

from api import config, server
from pipeline import ml_train, weather
from pipeline.settings import Boosting, WeatherSplit

SECONDS = 60  # for a version that is being loaded
SPLIT = WeatherSplit(held_out_from_day=23, lags=2, window=7)
PARAMS = """\
ml:
  prepare:
    held_out_from_day: 23
    lags: 2
    window: 7
"""


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def version(self) -> Any:
        return self.value.get("version")


@dataclass(frozen=True)
class Client:
    """Somebody who asks."""

    address: str

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """GET, or POST what is given; ``content_type`` is the header Content-Type."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.address}{path}", body, named)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())

    def post(self, path: str, value: Any) -> Answer:
        """POST JSON."""
        return self.ask(path, json.dumps(value).encode(), content_type="application/json")

    def state(self, model: str = "ml_model") -> Any:
        """What answers for a model."""
        return self.ask("/models").value[model]

    def wait(self, model: str = "ml_model", **expected: Any) -> Any:
        """Ask until the state of a model has these values."""
        until = time.monotonic() + SECONDS
        while True:
            state = self.state(model)
            if {name: state[name] for name in expected} == expected:
                return state
            assert time.monotonic() < until, state


@contextlib.contextmanager
def serving(base: Path) -> Iterator[Client]:
    """The API for a workspace."""
    running = uvicorn.Server(uvicorn.Config(server.create(base), log_config=None, lifespan="on"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # who connects before the server accepts waits
        thread = threading.Thread(target=running.run, args=([listener],))
        thread.start()
        try:
            yield Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            running.should_exit = True
            thread.join()


def fallback(base: Path, path: Path) -> Path:
    """A path of the settings, in another workspace."""
    return base / path.relative_to(config.BASE_DIR)


def train(depth: int, days: int = 300) -> Any:
    """A small model of the weather."""
    table = weather.features(local_data.seattle_weather().head(days), SPLIT)
    return ml_train.fit(table, Boosting(5, depth, 0.5, 3.0, 1, 1))


def question(day: int = 100) -> tuple[dict[str, Any], pd.DataFrame]:
    """The readings up to a day of the record; and what the training stage makes of them."""
    record = local_data.seattle_weather()
    days = record.iloc[day - weather.past(SPLIT) : day + 1]
    asked = {
        "date": f"{days[weather.DATE].iloc[-1]:%Y-%m-%d}",
        "days": days[list(weather.READINGS)].to_dict("records"),
    }
    table = weather.features(record, SPLIT)
    return asked, weather.inputs(table[table[weather.DATE] == days[weather.DATE].iloc[-1]])
