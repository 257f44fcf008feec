"""What every format asks of a version, whatever its syntax. A framework is a row of a table."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagship import loaders
from tagship.disk.files import File
from tagship.host.metadata import Metadata
from tagship.registry.artifacts import Artifact

Architecture = Mapping[str, Any]  # as a loader's ``describe`` gives it

LICENSE = "license:"  # a label that starts so names the licence; nothing else does
# https://huggingface.co/tasks: those that a model's labels may name, whole or in two parts
TASKS = frozenset({
    "audio-classification", "automatic-speech-recognition", "depth-estimation",
    "feature-extraction", "fill-mask", "image-classification", "image-feature-extraction",
    "image-segmentation", "image-to-image", "image-to-text", "object-detection",
    "question-answering", "reinforcement-learning", "sentence-similarity", "summarization",
    "tabular-classification", "tabular-regression", "text-classification", "text-generation",
    "text-ranking", "text-to-image", "text-to-speech", "time-series-forecasting",
    "token-classification", "translation", "video-classification", "zero-shot-classification",
})  # fmt: skip


@dataclass(frozen=True)
class Framework:
    """What is known of a framework beforehand, and how its ``architecture`` is read.

    Attributes:
        library: Hugging Face's name of it; None where the Hub knows none.
        family: CycloneDX's ``architectureFamily``; None where it could be anything.
        summary: the architecture in some words, without what is unknown.
        inputs, outputs: what the model takes and gives, one text each; empty where unknown.
        load: Python that loads the model from its path.
    """

    library: str | None
    family: str | None
    summary: Callable[[Architecture], str]
    inputs: Callable[[Architecture], list[str]]
    outputs: Callable[[Architecture], list[str]]
    load: Callable[[str, Architecture], str]


def _counts(architecture: Architecture, words: Mapping[str, str]) -> str:
    found = {key: architecture.get(key) for key in words}
    return ", ".join(
        words[key].format(f"{value:,}") for key, value in found.items() if isinstance(value, int)
    )


def _catboost_inputs(architecture: Architecture) -> list[str]:
    features = architecture.get("features")
    return [f"table of {len(features)} columns"] if features else []


def _catboost_outputs(architecture: Architecture) -> list[str]:
    classes = architecture.get("classes")
    return [f"one of {', '.join(map(str, classes))}"] if classes else []


def catboost_class(architecture: Architecture) -> str:
    """The class that predicts as the trained model does; a regressor knows its loss's link."""
    return "CatBoostClassifier" if architecture.get("classes") else "CatBoostRegressor"


def _load_catboost(path: str, architecture: Architecture) -> str:
    kind = catboost_class(architecture)
    return f"from catboost import {kind}\n\nmodel = {kind}().load_model({path!r})"


def _tensors(architecture: Architecture, side: str) -> list[str]:
    return [
        f"{tensor.type} tensor of shape [{', '.join(map(_length, tensor.shape))}]"
        for tensor in tensors(architecture, side)
    ]


def _length(length: int | None) -> str:
    return "?" if length is None else str(length)


def _unknown(_: Architecture) -> list[str]:
    return []


FRAMEWORKS = {
    "catboost": Framework(
        "catboost",
        "gradient boosting",
        lambda found: _counts(found, {"trees": "{} trees", "depth": "depth {}"}),
        _catboost_inputs,
        _catboost_outputs,
        _load_catboost,
    ),
    "keras": Framework(
        "keras",
        "neural network",
        lambda found: _counts(found, {"layers": "{} layers", "parameters": "{} parameters"}),
        lambda found: _tensors(found, "input"),
        lambda found: _tensors(found, "output"),
        lambda path, _: f"import keras\n\nmodel = keras.saving.load_model({path!r})",
    ),
    "joblib": Framework(
        None,
        None,
        lambda found: str(found.get("class") or ""),
        _unknown,
        _unknown,
        lambda path, _: (
            "# a pickle: loading it runs whatever code is in it\n"
            f"import joblib\n\nmodel = joblib.load({path!r})"
        ),
    ),
}
OTHER = Framework(None, None, lambda _: "", _unknown, _unknown, lambda _, __: "")


@dataclass(frozen=True)
class Tensor:
    """An input or an output: its name where it has one, NumPy's type, its shape (None: open)."""

    name: str | None
    type: str
    shape: tuple[int | None, ...]


def tensors(architecture: Architecture, side: str) -> list[Tensor]:
    """The ``input`` or ``output`` tensors of a Keras model; empty where they are not known."""
    shapes = architecture.get(f"{side}s") or []
    types = architecture.get(f"{side}_types") or ["float32"] * len(shapes)
    names = architecture.get(f"{side}_names") or [None] * len(shapes)
    return [
        Tensor(name, kind, tuple(shape))
        for name, kind, shape in zip(names, types, shapes, strict=True)
    ]


def framework_name(metadata: Metadata) -> str | None:
    """The framework that loaded the model; where none did, the one that its suffix tells."""
    if metadata.framework is not None:
        return metadata.framework
    loader = loaders.find(Path(metadata.path))
    return loader.framework if loader else None


def framework(metadata: Metadata) -> Framework:
    """What is known of the version's framework."""
    return FRAMEWORKS.get(framework_name(metadata) or "", OTHER)


def model_files(metadata: Metadata) -> list[File]:
    """The files of the model itself: not its self-test."""
    folder = f"{metadata.path}/"
    return [
        one for one in metadata.files if one.path == metadata.path or one.path.startswith(folder)
    ]


def task(labels: Iterable[str], architecture: Architecture | None) -> str | None:
    """Hugging Face's name of what the model does, from its labels, or from its classes.

    ``image`` and ``classification`` together are ``image-classification``.
    """
    words = [label.lower() for label in labels]
    pairs = [f"{one}-{other}" for one in words for other in words]
    named = [name for name in (*words, *pairs) if name in TASKS]
    # of those of this package that know of classes, all take tables
    return named[0] if named else "tabular-classification" if _has_classes(architecture) else None


def _has_classes(architecture: Architecture | None) -> bool:
    return bool(architecture and architecture.get("features") and architecture.get("classes"))


def license_name(artifact: Artifact) -> str | None:
    """The licence, where a label names it; none is ever guessed."""
    names = [label.removeprefix(LICENSE) for label in artifact.labels if label.startswith(LICENSE)]
    return names[0] or None if names else None


def tags(artifact: Artifact) -> list[str]:
    """The labels, and ``tagship``; each once, and none that is a licence."""
    labels = [label for label in artifact.labels if label and not label.startswith(LICENSE)]
    return list(dict.fromkeys([*labels, "tagship"]))


def identity(metadata: Metadata) -> uuid.UUID:
    """The same for the same version of a model at the same commit, wherever it is described."""
    name = f"{metadata.model}@{metadata.version}:{metadata.commit.id}"
    return uuid.uuid5(uuid.NAMESPACE_URL, f"tagship:{name}")
