"""metadata.json: all that is known of a version. Its schema: docs/schemas/metadata.schema.json."""

import functools
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar

from tagship.disk import atomic, files
from tagship.disk.files import METADATA, SIGNATURE, File, HexText, Problem
from tagship.errors import Corrupt
from tagship.progress import Progress, silent
from tagship.registry import refs
from tagship.registry.refs import ModelText, VersionText
from tagship.signing import statement
from tagship.signing.statement import Signature, Statement
from tagship.text import escape, json_reader, redact
from tagship.text.paths import PathText

if TYPE_CHECKING:
    from tagship.loaders.selftest import Report

SCHEMA = 1
T = TypeVar("T")


@dataclass(frozen=True)
class TagInfo:
    """The tag that carries the version; ``object`` is the tag object's id.

    ``signer``: whose signature was asked for and found, when it was deployed; empty where none was.
    """

    name: str
    object: HexText
    tagger: str
    at: str
    message: str
    signer: str = ""


@dataclass(frozen=True)
class CommitInfo:
    """The commit that the tag points at."""

    id: HexText
    author: str
    at: str
    message: str


@dataclass(frozen=True)
class DeploymentInfo:
    """The deploy that put the files here; None in a version that was not deployed.

    ``stamps``: ``manifest.stamp`` of each file, as this host's file system gave it.
    """

    id: str
    seq: int
    at: str
    actor: str
    host: str
    stamps: dict[str, str] = field(default_factory=dict)


class Tracked(TypedDict):
    """A path that a stage read or wrote; its md5, where DVC gives one."""

    path: str
    md5: str | None


class Made(TypedDict):
    """A stage that made the model, as ``lineage`` has it."""

    stage: str
    command: str
    deps: list[Tracked]
    outs: list[Tracked]
    params: dict[str, Any]


@dataclass(frozen=True)
class Metadata:
    """All that is known of a version.

    Attributes:
        path: the model's file or folder, below the version directory.
        files: every file, with size in bytes and hex digests.
        size: of all files together, in bytes.
        architecture: what the framework says of the model; None where it was not loaded.
        metrics, params: as DVC has them at the tag.
        lineage: the stages that made the model, first things first.
        tools: versions of tagship, DVC, Python and the framework.
    """

    model: ModelText
    version: VersionText
    path: PathText
    self_test: PathText | None
    tag: TagInfo
    commit: CommitInfo
    files: tuple[File, ...]
    size: int
    framework: str | None = None
    architecture: dict[str, Any] | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    lineage: list[Made] = field(default_factory=list)
    smoke_test: str = ""
    tools: dict[str, str] = field(default_factory=dict)
    deployment: DeploymentInfo | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Cut what may be secret out of all text that others wrote: no copy ever holds it."""
        for name in _FREE_TEXT:
            object.__setattr__(self, name, _redacted(getattr(self, name)))

    @property
    def statement(self) -> Statement:
        """What a signature of the files would sign."""
        return Statement(self.model, self.version, self.commit.id, self.files)

    @property
    def signature(self) -> Signature | None:
        """The signature of the files, which the tag's message has; None where it has none."""
        return Signature.of_tag(refs.trailers(self.tag.message))

    def tested(self, report: "Report") -> Self:
        """The same, with what a smoke test found."""
        return replace(
            self,
            framework=report.framework,
            architecture=report.architecture,
            smoke_test=f"{report.verdict}: {report.detail}",
            tools={**self.tools, **report.versions},
        )

    def to_json(self) -> dict[str, Any]:
        """The object as the file holds it."""
        return {"schema": self.schema, **asdict(self)}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the object; fields that a later release may have added are passed over.

        Raises:
            ValueError: a field is missing, or of another type.
        """
        return json_reader.read(cls, value)


_FREE_TEXT = (
    "tag", "commit", "architecture", "metrics", "params", "lineage", "smoke_test", "deployment",
)  # fmt: skip


def _redacted(value: Any) -> Any:
    if isinstance(value, TagInfo | CommitInfo | DeploymentInfo):
        return replace(value, **{key: redact.json(text) for key, text in vars(value).items()})
    return redact.json(value)


def read(directory: Path) -> Metadata:
    """The metadata of a version directory.

    Raises:
        Corrupt: it has none, or none that can be read.
    """
    return _read(directory, _of_bytes)


def read_main(directory: Path) -> tuple[str, str]:
    """The version of a version directory, and the model's path in it.

    The whole file is read each time, and held to its form: the same bytes once in a process.

    Raises:
        Corrupt: as ``read``.
    """
    return _read(directory, _main)


def _read(directory: Path, read_bytes: Callable[[bytes], T]) -> T:
    path = directory / METADATA
    again = "deploy the version again with --force"
    try:
        return atomic.read_file(path, read_bytes, "metadata", again)
    except FileNotFoundError:
        raise Corrupt(f"{path} is missing", again) from None


def _of_bytes(data: bytes) -> Metadata:
    return Metadata.from_json(json_reader.parse(data, shallow=False))


@functools.lru_cache(8)  # files; a program serves few models
def _main(data: bytes) -> tuple[str, str]:
    found = _of_bytes(data)
    return found.version, found.path


def write(directory: Path, value: Metadata) -> None:
    """Write the metadata of a version that is being staged, and model.sig where it is signed."""
    text = escape.json(value.to_json())
    with files.create(directory / METADATA) as file:
        file.write(text.encode() + b"\n")
    if value.signature is not None:
        with files.create(directory / SIGNATURE) as file:
            file.write(statement.bundle(value.statement, value.signature))


def verify(
    directory: Path,
    value: Metadata,
    *,
    deep: bool = True,
    touched: bool = False,
    progress: Progress = silent,
) -> list[Problem]:
    """Compare a version directory with its metadata: every file, and model.sig.

    Args:
        directory: the version directory.
        value: its metadata.
        deep: hash every byte; else compare names, kinds, sizes and executable bits alone.
        touched: hash only what was touched since it was deployed, by its inode number and times.
        progress: is told the bytes hashed.
    """
    untouched = value.deployment.stamps if touched and value.deployment else {}
    found = files.verify(directory, value.files, deep=deep, untouched=untouched, progress=progress)
    path = directory / SIGNATURE
    if value.signature is None:
        wrong = "is not of this version" if os.path.lexists(path) else ""
    elif not os.path.lexists(path):
        wrong = "is missing"
    else:
        wrong = _not_bundle(path, statement.bundle(value.statement, value.signature))
    return [*found, Problem(SIGNATURE, wrong)] if wrong else found


def _not_bundle(path: Path, wanted: bytes) -> str:
    try:
        same = files.read(path) == wanted
    except files.Unreadable as error:
        return f"cannot be read: {error.strerror}"
    return "" if same else "is not the signature of this version"
