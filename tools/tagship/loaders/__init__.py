"""Frameworks: how a model file is recognised, loaded, described, asked and saved.

One file a framework. They are found through the entry points of the group ``tagship.loaders``, so
another package adds one by declaring it; see docs/architecture.md.
"""

import difflib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from tagship.errors import NotFound, Refused

GROUP = "tagship.loaders"


class Loader(Protocol):
    """What tagship asks of a framework. Heavy imports belong inside the methods.

    Attributes:
        framework: the name that metadata.json gets.
        suffixes: of the files that this loader reads, with the dot.
        safe: whether loading a file can run code that is in the file.
        requirement: what to install where it is missing, as pip takes it.
    """

    framework: str
    suffixes: tuple[str, ...]
    safe: bool
    requirement: str

    def load(self, path: Path) -> Any:
        """Load a model from its file."""

    def describe(self, model: Any) -> dict[str, Any]:
        """The architecture: JSON values that tell it from another one."""

    def predict(self, model: Any, inputs: Sequence[Any]) -> Any:
        """Answers for a batch: inputs of shape (N, ...), an array of shape (N, ...)."""

    def accepts(self, model: object) -> bool:
        """Whether a trained model is of this framework; must not import it."""

    def save(self, model: Any, path: Path) -> None:
        """Write a trained model to its file."""


@cache
def known() -> tuple[Loader, ...]:
    """The loaders of this installation."""
    from importlib.metadata import entry_points  # 15 ms, and only for those who load

    return tuple(entry.load()() for entry in entry_points(group=GROUP))


def find(path: Path) -> Loader | None:
    """The loader for a file, by its suffix; None where there is none."""
    return next((loader for loader in known() if path.suffix in loader.suffixes), None)


def need(path: Path, *, allow_unsafe: bool = False) -> Loader:
    """The loader for a file that is about to be loaded.

    Raises:
        NotFound: no loader reads such files.
        Refused: loading such a file may run code that is in it, and nobody allowed that.
    """
    loader = find(path)
    if loader is None:
        suffixes = sorted({suffix for one in known() for suffix in one.suffixes})
        near = difflib.get_close_matches(path.suffix, suffixes, 1)
        hint = (
            f"did you mean {near[0]}?" if near else "there are loaders for " + ", ".join(suffixes)
        )
        raise NotFound(f"no loader reads {path.name}", hint)
    if not loader.safe and not allow_unsafe:
        raise Refused(
            f"{path.name} is a pickle: loading it runs whatever code is in it",
            "save the model in its framework's own format, or say allow_pickle=True",
        )
    return loader


def of_model(model: object) -> Loader:
    """The loader that can save a trained model.

    Raises:
        NotFound: no loader knows its type.
    """
    for loader in known():
        if loader.accepts(model):
            return loader
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    raise NotFound(f"no loader can save a {kind}", "save it yourself and give the file's path")


def is_of(model: object, package: str) -> bool:
    """Whether one of the classes of ``model`` comes from ``package``, which is not imported."""
    return any(kind.__module__.partition(".")[0] == package for kind in type(model).__mro__)
