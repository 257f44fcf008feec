"""metadata.json: all that is known about a version (docs/schemas/metadata.schema.json)."""

import functools
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypedDict, TypeVar
from urllib.parse import unquote

from tagship.disk import access, atomic, files
from tagship.disk.files import METADATA, SIGNATURE, File, HexText, Problem
from tagship.errors import Corrupt
from tagship.host import link as host_link
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
    """The tag of the version; ``object`` is the id of the tag object.

    ``signer``: who signed it, if the host that deployed it requires signatures; else empty.
    """

    name: str
    object: HexText
    tagger: str
    at: str
    message: str
    signer: str = ""


@dataclass(frozen=True)
class CommitInfo:
    """The commit that the tag points to."""

    id: HexText
    author: str
    at: str
    message: str


@dataclass(frozen=True)
class DeploymentInfo:
    """The deploy that made this directory; None for a version that is not deployed.

    ``stamps``: ``disk.files.stamp`` of each file, on this host.
    """

    id: str
    seq: int
    at: str
    actor: str
    host: str
    stamps: dict[str, str] = field(default_factory=dict)


class Tracked(TypedDict):
    """A path that a stage read or wrote; its md5, if DVC has one."""

    path: str
    md5: str | None


class Made(TypedDict):
    """A stage that made the model, in ``lineage``."""

    stage: str
    command: str
    deps: list[Tracked]
    outs: list[Tracked]
    params: dict[str, Any]


@dataclass(frozen=True)
class Metadata:
    """All that is known about a version.

    Attributes:
        path: the model's file or folder, below the version directory.
        files: every file, with size in bytes and hex digests.
        size: of all files together, in bytes.
        architecture: from the framework; None if the model was not loaded.
        metrics, params: of DVC at the tag.
        lineage: the stages that made the model, in the order of their runs.
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
        """Cut possible secrets out of all free text: no copy ever has them."""
        for name in _FREE_TEXT:
            object.__setattr__(self, name, _redacted(getattr(self, name)))

    @property
    def statement(self) -> Statement:
        """What a signature of the files signs."""
        return Statement(self.model, self.version, self.commit.id, self.files)

    @property
    def signature(self) -> Signature | None:
        """The signature of the files, from the message of the tag; None if it has none."""
        return Signature.of_tag(refs.trailers(self.tag.message))

    def tested(self, report: "Report") -> Self:
        """A copy with the result of a smoke test."""
        return replace(
            self,
            framework=report.framework,
            architecture=report.architecture,
            smoke_test=f"{report.verdict}: {report.detail}",
            tools={**self.tools, **report.versions},
        )

    def to_json(self) -> dict[str, Any]:
        """The object as in the file: null for what only a deploy knows."""
        known = {"smoke_test": self.smoke_test or None, "tools": self.tools or None}
        return {"schema": self.schema, **asdict(self), **known}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Parse the object; unknown fields, perhaps of a later release, are ignored.

        Raises:
            ValueError: a field is missing, or has the wrong type.
        """
        if isinstance(value, dict):
            value = {
                key: each for key, each in value.items() if key not in _NULL or each is not None
            }
        return json_reader.read(cls, value)


_NULL = ("smoke_test", "tools")  # where they are not known
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
        Corrupt: it is missing, or not valid.
    """
    return _read(directory, of_bytes)


class Main(NamedTuple):
    """What is asked of a version each time it is resolved.

    Attributes:
        model, version: of the directory.
        path: of the model's file or folder, below the directory.
        digest: of all its files: the subject of ``model.sig``, see ``Statement.digest``.
        seq, at: of the deploy that made the directory; 0 and empty where it was never deployed.
        text: the bytes of metadata.json.
    """

    model: str
    version: str
    path: str
    digest: str
    seq: int
    at: str
    text: bytes


def read_main(directory: Path) -> Main:
    """The parts of a version directory's metadata that a program asks for each time.

    The whole file is read each time, and checked; the same bytes are checked once in a process.

    Raises:
        Corrupt: as ``read``.
    """
    return _read(directory, _main)


def _read(directory: Path, read_bytes: Callable[[bytes], T]) -> T:
    path = directory / METADATA
    model, version = unquote(directory.parent.parent.name), host_link.version_of(directory.name)
    hint = renewal(directory, model, version)
    if is_deployed(directory):
        hint = f"deploy it again: {hint}"
    try:
        return atomic.read_file(path, read_bytes, "metadata", hint)
    except FileNotFoundError:
        raise Corrupt(f"{path} is missing", hint) from None


def is_deployed(directory: Path) -> bool:
    """Whether a version is below ``versions/``; else it is a folder with the files of an image."""
    return directory.parent.name == host_link.VERSIONS


def renewal(directory: Path, model: str, version: str) -> str:
    """The command that brings a damaged version again: a hint."""
    if is_deployed(directory):
        return again(model, version)
    return "bring it again: tagship unpack IMAGE DIR; an image volume: crictl rmi IMAGE"


def again(model: str, version: str) -> str:
    """The command that deploys a version once more; the desired one, where its name says none."""
    return f"tagship deploy {model}@{version} --force" if version else f"tagship deploy {model}"


def of_bytes(data: bytes) -> Metadata:
    """The metadata in the bytes of a file.

    Raises:
        ValueError: they are not valid.
    """
    return Metadata.from_json(json_reader.parse(data, shallow=False))


@functools.lru_cache(8)  # files; a program serves few models at a time
def _main(data: bytes) -> Main:
    value = of_bytes(data)
    seq, at = (value.deployment.seq, value.deployment.at) if value.deployment else (0, "")
    return Main(value.model, value.version, value.path, value.statement.digest, seq, at, data)


def write(directory: Path, value: Metadata) -> None:
    """Write the metadata of a version that is being staged, and model.sig if it is signed."""
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
        deep: hash every byte; else compare only names, kinds, sizes and executable bits.
        touched: hash only files that changed since the deploy, by inode number and times.
        progress: reports the bytes hashed.
    """
    untouched = value.deployment.stamps if touched and value.deployment else {}
    problems = files.verify(
        directory, value.files, deep=deep, untouched=untouched, progress=progress
    )
    path = directory / SIGNATURE
    if value.signature is None:
        wrong = "is not of this version" if os.path.lexists(path) else ""
    elif not os.path.lexists(path):
        wrong = "is missing"
    else:
        bundle = statement.bundle(value.statement, value.signature)
        return [*problems, *_bundle_problems(path, bundle)]
    return [*problems, Problem(SIGNATURE, wrong)] if wrong else problems


def _bundle_problems(path: Path, expected: bytes) -> list[Problem]:
    try:
        same = files.read(path) == expected
    except files.Unreadable as error:
        if denied := access.forbidden(error):
            return [Problem.of_denial(SIGNATURE, denied)]
        return [Problem(SIGNATURE, f"cannot be read: {error.strerror}")]
    return [] if same else [Problem(SIGNATURE, "is not the signature of this version")]
