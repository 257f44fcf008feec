"""A version described in the formats of others: pure functions from values to files.

One file a format, and a row in ``FORMATS``. Nothing of theirs is imported to write them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tagship.disk.files import METADATA
from tagship.errors import Corrupt, NotFound, Refused
from tagship.export import cyclonedx, facts, huggingface, mlflow
from tagship.host.metadata import Metadata
from tagship.registry.artifacts import Artifact
from tagship.text import redact


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        names: of its files, the main one first.
        files: writes them: text by name.
        takes: whether it can describe a version.
    """

    names: tuple[str, ...]
    files: Callable[[Metadata, Artifact], dict[str, str]]
    takes: Callable[[Metadata], bool] = lambda _: True


FORMATS = {
    "huggingface": Format((huggingface.README,), huggingface.files),
    "cyclonedx": Format((cyclonedx.BOM,), cyclonedx.files),
    "mlflow": Format(
        (mlflow.MLMODEL, mlflow.REQUIREMENTS, mlflow.PYTHON_ENV),
        mlflow.files,
        mlflow.takes,
    ),
}


def check(formats: Sequence[str], metadata: Metadata) -> None:
    """Refuse, before anything is copied, a format that cannot describe the version.

    Raises:
        NotFound: there is no such format, or none is named.
        Refused: it does not take models of this framework.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        what = f"format {unknown[0]}" if unknown else "format to export in"
        raise NotFound(f"there is no {what}", "there are: " + ", ".join(FORMATS))
    framework = facts.framework_name(metadata)
    able = [name for name, candidate in FORMATS.items() if candidate.takes(metadata)]
    for name in formats:
        if name not in able:
            what = f"{name} takes no {framework} model, as {metadata.path} is"
            raise Refused(
                what if framework else f"{name} needs a loader, and none reads {metadata.path}",
                "the formats that do: " + ", ".join([*able, "oci"]),  # an image takes all
            )


def names(formats: Sequence[str]) -> tuple[str, ...]:
    """The files of some formats."""
    return tuple(name for format_name in formats for name in FORMATS[format_name].names)


def write(formats: Sequence[str], metadata: Metadata, artifact: Artifact) -> dict[str, str]:
    """Describe a version: text by file name, in the order of the formats, main files first.

    Secrets in URLs are cut out; what UTF-8 cannot encode (half a surrogate pair) becomes ``?``.

    Raises:
        NotFound, Refused: as for ``check``, or as the format itself says.
        Corrupt: the metadata holds an architecture that no loader of the framework gives.
    """
    check(formats, metadata)
    described = Metadata.from_json(_plain(metadata.to_json()))
    labels = tuple(_plain(redact.text(label)) for label in artifact.labels)
    text = _plain(redact.text(artifact.description))
    declared = replace(artifact, description=text, labels=labels)
    texts: dict[str, str] = {}
    for name in formats:
        try:
            texts.update(FORMATS[name].files(described, declared))
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise Corrupt(  # the architecture is from a loader, or was edited
                f"{name} cannot describe {metadata.model} {metadata.version}, as its architecture"
                f" stands in {METADATA}: {error}",
                f"tagship deploy {metadata.model}@{metadata.version} --force writes it again",
            ) from None
    return texts


def _plain(value: Any) -> Any:
    """JSON values that any writer can write: YAML's dates, in params.yaml, become texts."""
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value).encode("utf-8", "replace").decode()
