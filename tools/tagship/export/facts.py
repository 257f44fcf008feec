"""Facts about a version that all formats contain."""

import uuid
from collections.abc import Iterable
from pathlib import Path

from tagship import loaders
from tagship.disk.files import File
from tagship.host.metadata import Metadata
from tagship.loaders import Architecture, Description, Loader
from tagship.registry.artifacts import Artifact

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


def loader(metadata: Metadata) -> Loader | None:
    """The loader of the framework that loaded the model; if none did, the one for its suffix."""
    if metadata.framework is not None:
        return loaders.of_framework(metadata.framework)
    return loaders.find(Path(metadata.path))


def framework_name(metadata: Metadata) -> str | None:
    """The framework that loaded the model; if none did, the one for its suffix."""
    if metadata.framework is not None:
        return metadata.framework
    model_loader = loader(metadata)
    return model_loader.framework if model_loader else None


def description(metadata: Metadata) -> Description:
    """The loader's description of the model; empty if it has none, or is not installed."""
    describe = getattr(loader(metadata), "description", None)  # of a Describer
    if describe is None:
        return Description()
    described: Description = describe(metadata.path, metadata.architecture or {})
    return described


def model_files(metadata: Metadata) -> list[File]:
    """The files of the model itself: not its self-test."""
    folder = f"{metadata.path}/"
    return [
        file
        for file in metadata.files
        if file.path == metadata.path or file.path.startswith(folder)
    ]


def task(labels: Iterable[str], architecture: Architecture | None) -> str | None:
    """Hugging Face's name of what the model does, from its labels, or from its classes.

    ``image`` and ``classification`` together are ``image-classification``.
    """
    words = [label.lower() for label in labels]
    pairs = [f"{word}-{other}" for word in words for other in words]
    named = [name for name in (*words, *pairs) if name in TASKS]
    # all loaders of this package that report classes are for tables
    return named[0] if named else "tabular-classification" if _has_classes(architecture) else None


def _has_classes(architecture: Architecture | None) -> bool:
    return bool(architecture and architecture.get("features") and architecture.get("classes"))


def license_name(artifact: Artifact) -> str | None:
    """The licence that a label names; it is never guessed."""
    names = [label.removeprefix(LICENSE) for label in artifact.labels if label.startswith(LICENSE)]
    return names[0] or None if names else None


def tags(artifact: Artifact, more: Iterable[str] = ()) -> list[str]:
    """The labels except the licence, the loader's tags, and ``tagship``; without duplicates."""
    labels = [label for label in artifact.labels if label and not label.startswith(LICENSE)]
    return list(dict.fromkeys([*labels, *more, "tagship"]))


def identity(metadata: Metadata) -> uuid.UUID:
    """An id that is the same on every machine for a version of a model at a commit."""
    name = f"{metadata.model}@{metadata.version}:{metadata.commit.id}"
    return uuid.uuid5(uuid.NAMESPACE_URL, f"tagship:{name}")
