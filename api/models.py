"""The two models; each is loaded again when another version goes live."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagship import ActiveModel, TagshipError, load, loaders, resolve


@dataclass(frozen=True)
class Answer:
    """Probabilities of shape (N, classes), and the version that computed them."""

    outputs: list[list[float]]
    version: str | None


class Model:
    """One model; each request checks whether the loaded version is still live.

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
            TagshipError: neither the live version nor the output of the pipeline can be loaded.
        """
        active = self._current()
        loader = loaders.of_model(active.model)
        return Answer(loader.predict(active.model, inputs).tolist(), active.version)

    def _current(self) -> ActiveModel:
        if self._active is None or self._active.directory != self._live_directory():
            self._active = load(self.name, self.base)
        return self._active

    def _live_directory(self) -> Path | None:
        """None if nothing is live: then each request loads the fallback again."""
        try:
            return resolve(self.name, self.base).directory
        except TagshipError:
            return None
