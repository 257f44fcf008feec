"""The two models: the live version answers; without any, the output of the pipeline."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

from tagship import ActiveModel, loaders
from tagship.errors import Unavailable
from tagship.serve import Facts, Slot

logger = logging.getLogger("gaia")

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Recipe:
    """How a version was made, as far as its inputs and outputs depend on it.

    Attributes:
        params: as params.yaml has them, or the sections that dvc.lock has (``ml.prepare``).
        features: the columns of a table, in order; empty if that is not known.
        classes: in the order of the probabilities; empty if that is not known.
    """

    params: Mapping[str, Any]
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answering:
    """What answers a request.

    Attributes:
        facts: of the version; None for the output of the pipeline, which has none.
        shape: of an input; None where it is open.
        ask: inputs of shape (N, ...) to probabilities of shape (N, classes).
    """

    facts: Facts | None
    recipe: Recipe
    shape: tuple[int | None, ...]
    ask: Callable[[Array], Array]


@dataclass
class Model:
    """A model: its slot, and its files on this host.

    Attributes:
        slot: what answers for its live version.
        current: the link to the live version.
        fallback: what the pipeline wrote.
        params: params.yaml, with which the pipeline wrote it.
    """

    slot: Slot
    current: Path
    fallback: Path
    params: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _loaded: tuple[tuple[int, ...], ActiveModel] | None = field(default=None, init=False)

    @contextmanager
    def answering(self) -> Iterator[Answering]:
        """What answers now, until the end of the block.

        Raises:
            TagshipError: nothing does.
        """
        try:
            generation = self.slot.acquire()
        except Unavailable:
            # A version that cannot answer is no reason to answer with what nobody released.
            if self.is_deployed or not self.fallback.exists():
                raise
            yield self._pipeline()
            return
        with generation:
            names = generation.signature.inputs[0].name, generation.signature.outputs[0].name
            yield Answering(
                generation.facts,
                self._recipe(generation.facts.directory),
                generation.signature.inputs[0].shape,
                lambda inputs: generation.answer({str(names[0]): inputs})[str(names[1])],
            )

    @property
    def is_deployed(self) -> bool:
        """Whether anything ever was deployed here, also if it cannot be loaded now."""
        try:
            return self.current.is_symlink() or any(self.current.parent.glob("versions/*"))
        except OSError:
            return True

    @property
    def falls_back(self) -> bool:
        """Whether the output of the pipeline answers."""
        return self.slot.state().live is None and not self.is_deployed and self.fallback.exists()

    @property
    def recipe(self) -> Recipe:
        """That of the live version; else what params.yaml has now."""
        live = self.slot.state().live
        return self._recipe(live.directory) if live else self._recipe_of_pipeline()

    def _recipe(self, directory: str) -> Recipe:
        return _recorded(self.current.parent / "versions" / directory / "metadata.json")

    def _recipe_of_pipeline(self) -> Recipe:
        return Recipe(YAML(typ="safe").load(self.params))

    def _pipeline(self) -> Answering:
        """The fallback; loaded again only when the file is another one."""
        with self._lock:
            status = self.fallback.stat()
            key = (status.st_ino, status.st_mtime_ns, status.st_size)
            if self._loaded is None or self._loaded[0] != key:
                logger.warning(
                    "no version of %s is deployed: %s answers, which is not released",
                    self.slot.name, self.fallback.name,
                )  # fmt: skip
                self._loaded = key, _load(self.slot.name, self.fallback)
            active = self._loaded[1]
            shape = active.signature.inputs[0].shape
        return Answering(None, self._recipe_of_pipeline(), shape, self._ask(active))

    def _ask(self, active: ActiveModel) -> Callable[[Array], Array]:
        def ask(inputs: Array) -> Array:
            return np.asarray(active.answer(inputs))

        return ask


def _load(name: str, path: Path) -> ActiveModel:
    """Load what the pipeline wrote.

    Raises:
        Unavailable: it does not load; the log says why.
    """
    try:
        loader = loaders.need(path)
        return ActiveModel(loaders.load(loader, path), name, None, path.parent, loader=loader)
    except Exception:  # each framework has its own for a file that is not whole
        logger.exception("%s cannot be loaded", path)
        raise Unavailable(
            f"no version of {name} is deployed, and {path.name} cannot be loaded"
        ) from None


@lru_cache(maxsize=16)
def _recorded(metadata: Path) -> Recipe:
    """What metadata.json of a version says; it is never changed."""
    value = json.loads(metadata.read_bytes())
    architecture = value["architecture"] or {}
    return Recipe(
        value["params"],
        tuple(map(str, architecture.get("features", ()))),
        tuple(map(str, architecture.get("classes", ()))),
    )
