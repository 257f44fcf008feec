"""Frameworks: how a model file is recognised, loaded, described, asked and saved.

One file a framework. They are found through the entry points of the group ``tagship.loaders``, so
another package adds one by declaring it; see docs/loaders.md.
"""

import difflib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from tagship.errors import Corrupt, NotFound, Refused, TagshipError

GROUP = "tagship.loaders"

# How files begin that somebody may give another name. A pickle of protocol 0 or 1 is text.
BEGINNINGS = {
    "compressed data, as joblib writes it": rb"\x1f\x8b|\x78[\x01\x5e\x9c\xda]|BZh|\xfd7zXZ\x00"
    rb"|\x5d\x00\x00|\x04\x22\x4d\x18",
    "a pickle": rb"\x80[\x01-\x05]|[(\]})]|c[A-Za-z_][\w.]*\n",
    "a zip archive": rb"PK\x03\x04",
    "HDF5": rb"\x89HDF\r\n\x1a\n",
    "a CatBoost model": rb"CBM1",
}


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


class Checker(Protocol):
    """What a loader may have besides. Loaders without it are as good as their framework is."""

    def check(self, path: Path) -> None:
        """Look at a file before the framework gets it: is it what its name says?

        Raises:
            Refused: it is something else, or made to do harm.
            Corrupt: it is damaged.
        """


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


def load(loader: Loader, path: Path) -> Any:
    """Load a file: the one place where that is done, so that no framework gets what is refused.

    Raises:
        Refused, Corrupt: the loader's ``check`` says so.
        Exception: the framework's own.
    """
    check = getattr(loader, "check", None)  # a Checker's: isinstance() takes longer than it
    if check is not None:
        if not path.is_file():
            raise Refused(f"{path.name} is no regular file", "save the model as one file")
        check(path)
    return loader.load(path)


def unlike(path: Path, head: bytes, kind: str, save: str) -> TagshipError:
    """The error for a file that does not begin as a ``kind`` begins, which ``save`` writes."""
    hint = f"save the model in that format: {save}"
    if not head:
        return Corrupt(f"{path.name} is empty", "train and release it again")
    for what, beginning in BEGINNINGS.items():
        if re.match(beginning, head):
            return Refused(f"{path.name} is no {kind}: it begins like {what}", hint)
    return Corrupt(f"{path.name} is no {kind}: it begins like none", hint)


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
