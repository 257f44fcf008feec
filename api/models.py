"""The two models, loaded once and loaded anew when another version is live."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagship import ActiveModel, TagshipError, load, loaders, resolve


@dataclass(frozen=True)
class Answer:
    """Probabilities of shape (N, classes), and the version that gave them."""

    outputs: list[list[float]]
    version: str | None


class Model:
    """One model by its name; asks at each request whether the version that it holds is still live.

    Args:
        name: under ``artifacts:`` in dvc.yaml.
        base: the workspace.
    """

    def __init__(self, name: str, base: Path) -> None:
        self.name = name
        self.base = base
        self._active: ActiveModel | None = None

    def predict(self, inputs: Sequence[Any]) -> Answer:
        """Answer a batch of inputs, shape (N, ...), with one version.

        Raises:
            TagshipError: neither a live version nor the pipeline's own output can be loaded.
        """
        active = self._current()
        loader = loaders.of_model(active.model)
        return Answer(loader.predict(active.model, inputs).tolist(), active.version)

    def _current(self) -> ActiveModel:
        if self._active is None or self._active.directory != self._live_directory():
            self._active = load(self.name, self.base)
        return self._active

    def _live_directory(self) -> Path | None:
        """None where nothing is live: then the fallback is loaded, anew at each request."""
        try:
            return resolve(self.name, self.base).directory
        except TagshipError:
            return None
