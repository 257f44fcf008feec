"""Frameworks: how a model file is recognised, loaded, described, asked and saved.

One file a framework: a class that is a ``Loader``, and may be a ``Checker``, a ``Describer`` and an
``Answerer`` too. The loaders are found through the entry points of the group ``tagship.loaders``,
so another package can add one; see docs/loaders.md.
"""

import difflib
import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tagship.errors import Corrupt, NotFound, Refused, TagshipError

if TYPE_CHECKING:
    from numpy.typing import NDArray

GROUP = "tagship.loaders"

Array: TypeAlias = "NDArray[Any]"
Inputs: TypeAlias = "Array | Sequence[Any] | Mapping[str, Any]"
"""A batch: an array of shape (N, ...), N samples, or arrays of shape (N, ...) by input."""
Outputs: TypeAlias = "Array | dict[str, Array]"
"""An array of shape (N, ...); arrays by output where there are several."""


class Loader(Protocol):
    """A framework, as tagship uses it. Heavy imports belong inside the methods.

    Attributes:
        framework: its name in metadata.json, and of the module whose version is recorded there.
        suffixes: of the files that this loader reads, with the dot.
        safe: False if loading a file can run code that is in the file.
        requirement: what pip must install if the framework is missing.
    """

    framework: str
    suffixes: tuple[str, ...]
    safe: bool
    requirement: str

    def load(self, path: Path) -> Any:
        """Load a model from its file."""

    def describe(self, model: Any) -> dict[str, Any]:
        """The architecture: JSON values that distinguish it from another one."""

    def predict(self, model: Any, inputs: Sequence[Any]) -> Any:
        """Answers for N samples, as a self-test has them: an array of shape (N, ...)."""

    def accepts(self, model: object) -> bool:
        """Whether a trained model is of this framework; must not import the framework."""

    def save(self, model: Any, path: Path) -> None:
        """Write a trained model to its file."""


class Checker(Protocol):
    """Optional, for a loader: a check before loading. Without it the framework's own must do."""

    def check(self, path: Path) -> None:
        """Check, before the framework opens a file, that it has the format that its name says.

        Raises:
            Refused: it is something else, or malicious.
            Corrupt: it is damaged.
        """


Architecture = Mapping[str, Any]  # as a loader's ``describe`` returns it


@dataclass(frozen=True)
class Description:
    """What ``tagship export`` says of a model of a framework.

    Attributes:
        library: ``library_name`` of a Hugging Face model card; None if the Hub has none.
        tags: of a model card and a bill of materials, besides those of the model.
        family: ``architectureFamily`` of CycloneDX; None if it can be anything.
        summary: the architecture in a few words, without what is unknown.
        inputs, outputs: what the model takes and gives, one text each; empty if unknown.
        code: Python that loads the model from its path.
    """

    library: str | None = None
    tags: tuple[str, ...] = ()
    family: str | None = None
    summary: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Tensor:
    """An input or an output: its name if it has one, NumPy's type, its shape (None: open)."""

    name: str | None
    type: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Signature:
    """The tensors that a model takes and gives; the first axis of each, open, is the sample.

    The tensor of a model that has one is ``input-0``, or ``output-0``. A text is NumPy's
    ``object``.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Answerer(Protocol):
    """Optional, for a loader: how a program that serves asks. Without it ``predict`` has to do.

    A loader can have some of these and not the others.
    """

    def answer(self, model: Any, inputs: Inputs) -> Outputs:
        """Answers for a batch, in the form that ``signature`` says; also for N samples."""

    def example(self, model: Any) -> "Inputs | None":
        """A batch of one sample that the model takes; None where that cannot be known."""

    def signature(self, model: Any) -> Signature:
        """What the model takes and gives."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its name if it has one, and MLflow's type (``double``, ``string``)."""

    name: str | None
    type: str


@dataclass(frozen=True)
class Flavor:
    """How MLflow loads a model: the format is https://mlflow.org/docs/latest/ml/model/.

    Attributes:
        name: of the flavor, such as ``catboost``; MLflow's module ``mlflow.catboost`` loads it.
        options: of the flavor in ``MLmodel``.
        data: the path that the module is given; None for the folder.
        inputs, outputs: the signature; empty where it is unknown.
        packages: what pip must install besides MLflow; with the version, where metadata has one.
        module: with a function ``_load_pyfunc(path)``, if it is not MLflow's own.
    """

    name: str
    options: Mapping[str, Any]
    data: str | None
    inputs: tuple[Column | Tensor, ...]
    outputs: tuple[Column | Tensor, ...]
    packages: tuple[str, ...]
    module: str = ""


class Describer(Protocol):
    """Optional, for a loader: what exports and error messages say of its framework's models.

    A loader can have some of these and not the others. Nothing here may import the framework.

    Attributes:
        beginnings: how its files begin: a regular expression for the first bytes, by what they are
            called in an error ("it begins like ...").
    """

    beginnings: Mapping[str, bytes]

    def description(self, path: str, architecture: Architecture) -> Description:
        """What model cards and bills of materials say.

        Args:
            path: the model's path in its version.
            architecture: of this model; empty if it was never loaded.
        """

    def flavor(self, path: str, architecture: Architecture | None) -> Flavor | None:
        """How MLflow loads the model; None if that cannot be known without its architecture.

        Raises:
            Refused: MLflow cannot predict with this model.
        """


@cache
def known() -> tuple[Loader, ...]:
    """The installed loaders."""
    from importlib.metadata import entry_points  # takes 15 ms

    return tuple(entry.load()() for entry in entry_points(group=GROUP))


def find(path: Path) -> Loader | None:
    """The loader for a file, by its suffix; None if there is none."""
    return next((loader for loader in known() if path.suffix in loader.suffixes), None)


def of_framework(name: str) -> Loader | None:
    """The loader of a framework; None if there is none."""
    return next((loader for loader in known() if loader.framework == name), None)


def missing(path: Path) -> str:
    """The framework that reads a file and is not installed here; empty if it is, or none does."""
    loader = find(path)
    if loader is None or importlib.util.find_spec(loader.framework) is not None:
        return ""
    return loader.framework


def need(path: Path, *, allow_unsafe: bool = False) -> Loader:
    """The loader for a file that is about to be loaded.

    Raises:
        NotFound: no loader reads such files.
        Refused: loading the file may run code that is in it, and ``allow_unsafe`` is not given.
    """
    loader = find(path)
    if loader is None:
        suffixes = sorted({suffix for other in known() for suffix in other.suffixes})
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
    """Load a file, after the loader's ``check``: nothing else calls the ``load`` of a loader.

    Raises:
        Refused, Corrupt: the loader's ``check`` says so.
        Exception: the framework's own.
    """
    check = getattr(loader, "check", None)  # of a Checker; isinstance() would be slow
    if check is not None:
        if not path.is_file():
            raise Refused(f"{path.name} is not a regular file", "save the model as one file")
        check(path)
    return loader.load(path)


def answer(loader: Loader, model: Any, inputs: Inputs) -> Outputs:
    """Ask a model.

    Raises:
        Refused: the inputs are named otherwise; or NumPy is not installed.
        Exception: the framework's own.
    """
    ask = getattr(loader, "answer", None)
    outputs = loader.predict(model, _samples(alone(inputs))) if ask is None else ask(model, inputs)
    if isinstance(outputs, Mapping):
        return {name: _array(output) for name, output in outputs.items()}
    return _array(outputs)


def example(loader: Loader, model: Any) -> "Inputs | None":
    """A batch of one sample that a model takes; None where its loader knows none."""
    make = getattr(loader, "example", None)
    batch: Inputs | None = None if make is None else make(model)
    return batch


def signature(loader: Loader, model: Any, batch: "Inputs | None" = None) -> Signature:
    """What a model takes and gives: its loader says it; else an example, which is answered once.

    Args:
        loader: of the model.
        model: the framework's own object.
        batch: an example, for a loader that knows none.

    Raises:
        Refused: there is no example.
    """
    own = getattr(loader, "signature", None)
    if own is not None:
        told: Signature = own(model)
        return told
    batch = batch if batch is not None else example(loader, model)
    if batch is None:
        raise Refused(
            f"the loader {loader.framework} does not say what its models take",
            "give it a method signature or example: docs/loaders.md",
        )
    outputs = answer(loader, model, batch)
    return Signature(_tensors("input", batch), _tensors("output", outputs))


def alone(inputs: Inputs) -> "Array | Sequence[Any]":
    """The only input of a model that has one, whatever its name is.

    Raises:
        Refused: there are several.
    """
    if not isinstance(inputs, Mapping):
        return inputs
    if len(inputs) != 1:
        names = ", ".join(sorted(inputs)) or "none"
        raise Refused(f"the model takes one input, and not: {names}", "give it alone")
    (only,) = inputs.values()
    array: Array = only
    return array


def named(inputs: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    """The inputs of a model that has several, in the order of their names.

    Raises:
        Refused: one is missing, or is another one.
    """
    if inputs.keys() != set(names):
        missing = [name for name in names if name not in inputs]
        other = [name for name in inputs if name not in names]
        what = f"no input {missing[0]}" if missing else f"no input of the model is {other[0]}"
        raise Refused(what, "the model takes: " + ", ".join(names))
    return [inputs[name] for name in names]


def stacked(samples: "Array | Sequence[Any]") -> Inputs:
    """N samples as a batch: an array; or arrays by name, where each sample has its values by name.

    Values of several types, such as numbers and texts, are an array of objects.
    """
    if len(samples) and isinstance(samples[0], Mapping):
        return {name: _array([each[name] for each in samples]) for name in samples[0]}
    return _array(samples)


def _samples(inputs: Any) -> Sequence[Any]:
    """N samples as Python's own values, as ``predict`` gets them from a self-test."""
    samples: Sequence[Any] = inputs.tolist() if hasattr(inputs, "tolist") else inputs
    return samples


def _array(values: Any) -> Array:
    try:
        import numpy as np
    except ImportError:
        raise Refused(
            "answers are arrays of NumPy, which is not installed", "pip install numpy"
        ) from None
    if isinstance(values, np.ndarray):
        return values
    return np.asarray(values, dtype=object if _has_text(values) else None)


def _has_text(values: Any) -> bool:
    """Whether a text is somewhere in nested lists: NumPy would make a text of each number too."""
    if isinstance(values, list | tuple):
        return any(map(_has_text, values))
    return isinstance(values, str)


def _tensors(side: str, batch: Any) -> tuple[Tensor, ...]:
    """The tensors of a batch: its samples are the first axis, which is open."""
    if not isinstance(batch, Mapping):
        return (_tensor(f"{side}-0", batch),)
    return tuple(_tensor(name, values) for name, values in batch.items())


def _tensor(name: str, values: Any) -> Tensor:
    array = _array(values)
    return Tensor(name, array.dtype.name, (None, *array.shape[1:]))


def unlike(path: Path, head: bytes, kind: str, save: str) -> TagshipError:
    """The error for a file that is not a ``kind`` by its first bytes; ``save`` would write one."""
    hint = f"save the model in that format: {save}"
    if not head:
        return Corrupt(f"{path.name} is empty", "train and release it again")
    what = _looks_like(head)
    if what is None:
        return Corrupt(f"{path.name} is not a {kind}: it begins like nothing known", hint)
    return Refused(f"{path.name} is not a {kind}: it begins like {what}", hint)


def _looks_like(head: bytes) -> str | None:
    """What a file is by its first bytes: the longest match among all loaders."""
    beginnings = [item for loader in known() for item in getattr(loader, "beginnings", {}).items()]
    matches = [
        (match.end(), what)
        for what, expression in beginnings
        if (match := re.match(expression, head))
    ]
    return max(matches)[1] if matches else None


def that_accepts(model: object) -> Loader | None:
    """The loader that can save a trained model; None if there is none."""
    return next((loader for loader in known() if loader.accepts(model)), None)


def of_model(model: object) -> Loader:
    """The same.

    Raises:
        NotFound: no loader accepts it.
    """
    loader = that_accepts(model)
    if loader is not None:
        return loader
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    raise NotFound(f"no loader can save a {kind}", "save it yourself and give the file's path")


def counts(architecture: Architecture, forms: Mapping[str, str]) -> str:
    """The numbers of an architecture in words: each that is known, by its form (``{} trees``)."""
    numbers = {key: architecture.get(key) for key in forms}
    return ", ".join(
        forms[key].format(f"{number:,}")
        for key, number in numbers.items()
        if isinstance(number, int)
    )


def is_of(model: object, package: str) -> bool:
    """Whether one of the classes of ``model`` comes from ``package``, which is not imported."""
    return any(kind.__module__.partition(".")[0] == package for kind in type(model).__mro__)
