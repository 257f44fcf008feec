"""Places of objects: a folder, a store that obstore reaches, or whatever DVC's own file systems do.

Each receives an object into a file, says whether it has one, and takes one. All receive by the same
stream: counted, cut off, hashed. Which place a remote is, its options alone decide.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tagship.disk import atomic, files
from tagship.disk.files import File
from tagship.errors import Corrupt
from tagship.progress import Advance
from tagship.stores.failures import Kind, StoreError
from tagship.stores.stream import BLOCK, Allowance, check
from tagship.text.paths import check_path

if TYPE_CHECKING:
    from tagship.dvc.config import DvcConfig
    from tagship.dvc.pointers import Cached
    from tagship.stores.artifacts import Artifacts
    from tagship.stores.store import Store

JOBS = 8  # objects in transfer at a time through DVC's file systems
MANY = 16  # and through obstore
PIECE = 8 << 20  # bytes that DVC's file systems of clouds ask for at a time
T = TypeVar("T")
CLOUDS = ("s3", "gs", "gcs", "azure", "abfs", "oss")


class Place(Protocol):
    """Where the objects of one remote are."""

    @property
    def jobs(self) -> int:
        """How many objects it gives at a time."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of this machine, which is never silent."""

    def receive(
        self, pointer: "Cached", target: Path | None, allowance: Allowance, advance: Advance
    ) -> File:
        """Write an object to a new file, hashed; with no target only hash it.

        Raises:
            FileNotFoundError: it has no such object.
            TooLong: it sends more than is allowed.
        """

    def read(self, pointer: "Cached", allowance: Allowance) -> bytes:
        """The bytes of a small object; errors as for ``receive``."""

    def has(self, pointer: "Cached", size: int | None) -> bool:
        """Whether it has an object, of this size where that is known."""

    def put(self, pointer: "Cached", source: Path, advance: Advance) -> None:
        """Take an object: it appears whole."""

    def prepare(self) -> None:
        """Make it ready to take objects."""

    def where(self, pointer: "Cached") -> str:
        """Where a person finds an object: its path in a folder; else in words, below the address.

        No address: that may have a secret.
        """


def key(pointer: "Cached") -> str:
    """Where DVC keeps an object below a remote's address (``dvc/data_cloud.py``)."""
    name = f"{pointer.digest[:2]}/{pointer.digest[2:]}"
    return name if pointer.legacy else f"files/md5/{name}"


@dataclass(frozen=True)
class Objects:
    """A store by obstore, and DVC's own file system for what obstore cannot do there.

    Attributes:
        store: the store.
        own: makes the other one, which takes a third of a second to import.
        jobs: how many objects at a time.
    """

    store: "Store"
    own: "Callable[[], Own]"
    jobs: int = MANY
    is_folder: bool = False

    def receive(
        self, pointer: "Cached", target: Path | None, allowance: Allowance, advance: Advance
    ) -> File:
        """As ``Place``."""
        return self._or_own(
            lambda: files.receive(self.store.blocks(key(pointer), allowance), target, advance),
            lambda own: own.receive(pointer, target, allowance, advance),
        )

    def read(self, pointer: "Cached", allowance: Allowance) -> bytes:
        """As ``Place``."""
        return self._or_own(
            lambda: b"".join(self.store.blocks(key(pointer), allowance)),
            lambda own: own.read(pointer, allowance),
        )

    def has(self, pointer: "Cached", size: int | None) -> bool:
        """As ``Place``."""

        def ask() -> bool:
            there = self.store.size(key(pointer))
            return there is not None and size in (None, there)

        if self.store.plan.read_only:
            return self.own().has(pointer, size)
        return self._or_own(ask, lambda own: own.has(pointer, size))

    def put(self, pointer: "Cached", source: Path, advance: Advance) -> None:
        """As ``Place``."""
        if self.store.plan.read_only:
            self.own().put(pointer, source, advance)
        else:
            self._or_own(
                lambda: self.store.put(key(pointer), source, advance),
                lambda own: own.put(pointer, source, advance),
            )

    def where(self, pointer: "Cached") -> str:
        """As ``Place``."""
        return f"{key(pointer)} there"

    def _or_own(self, by_obstore: Callable[[], T], by_own: "Callable[[Own], T]") -> T:
        """Ask by obstore; by the other one where it takes no answer, before the first byte.

        OpenSSL takes a server's own certificate for that of who signed it, rustls does not. An
        object without a length comes in chunks; of a cloud, whose file systems do not count, it is
        refused.
        """
        try:
            return by_obstore()
        except StoreError as error:
            is_ours = {
                Kind.NO_DATE: True,
                Kind.REDIRECT: True,
                Kind.NO_LENGTH: self.store.plan.scheme == "http",
                Kind.CERTIFICATE: "root_certificate" in self.store.plan.client,
            }
            if is_ours.get(error.kind):
                return by_own(self.own())
            raise

    def prepare(self) -> None:
        """As ``Place``: a store has no folders."""
        if self.store.plan.read_only:
            self.own().prepare()


@dataclass(frozen=True)
class Tagged:
    """A registry of images, which has a tag for each object; DVC knows no such remote.

    Attributes:
        artifacts: in it.
        jobs: how many objects at a time.
    """

    artifacts: "Artifacts"
    jobs: int = JOBS
    is_folder: bool = False

    def receive(
        self, pointer: "Cached", target: Path | None, allowance: Allowance, advance: Advance
    ) -> File:
        """As ``Place``."""
        return files.receive(self._blocks(pointer, allowance), target, advance)

    def read(self, pointer: "Cached", allowance: Allowance) -> bytes:
        """As ``Place``."""
        return b"".join(self._blocks(pointer, allowance))

    def has(self, pointer: "Cached", size: int | None) -> bool:
        """As ``Place``."""
        blob = None if pointer.legacy else self.artifacts.find(_tag(pointer))
        return blob is not None and size in (None, blob.size)

    def put(self, pointer: "Cached", source: Path, advance: Advance) -> None:
        """As ``Place``."""
        self.artifacts.put(_tag(pointer), "object", source, advance)

    def prepare(self) -> None:
        """As ``Place``: the first blob makes the repository, where that is allowed."""

    def where(self, pointer: "Cached") -> str:
        """As ``Place``."""
        return f"the tag {_tag(pointer)} there"

    def _blocks(self, pointer: "Cached", allowance: Allowance) -> Iterator[bytes]:
        if pointer.legacy:  # its digest is not that of its bytes
            raise FileNotFoundError(pointer.digest)
        return self.artifacts.blocks(_tag(pointer), allowance)


def _tag(pointer: "Cached") -> str:
    from tagship.stores import artifacts

    return artifacts.of_object(pointer.digest)


@dataclass(frozen=True)
class Own:
    """What DVC's own file system reaches: any other remote, and folders.

    Attributes:
        remote: DVC's, with its file system.
        within: the folder of the DVC repository, from Git's top.
        versioned: whether it has files by their paths, in versions.
        jobs: how many objects at a time.
    """

    remote: Any
    within: PurePosixPath
    versioned: bool
    jobs: int = JOBS

    @property
    def is_folder(self) -> bool:
        """As ``Place``."""
        from dvc_objects.fs import LocalFileSystem

        return isinstance(self.remote.fs, LocalFileSystem)

    def receive(
        self, pointer: "Cached", target: Path | None, allowance: Allowance, advance: Advance
    ) -> File:
        """As ``Place``."""
        if self.is_folder:
            return self._copy(Path(self._path(pointer)), target, allowance, advance)
        return files.receive(allowance.limit(self._blocks(pointer)), target, advance)

    def read(self, pointer: "Cached", allowance: Allowance) -> bytes:
        """As ``Place``."""
        return b"".join(allowance.limit(self._blocks(pointer)))

    def has(self, pointer: "Cached", size: int | None) -> bool:
        """As ``Place``."""
        try:
            there = self.remote.fs.info(self._path(pointer)).get("size")
        except FileNotFoundError:
            return False
        return size is None or there in (None, size)

    def put(self, pointer: "Cached", source: Path, advance: Advance) -> None:
        """As ``Place``."""
        from dvc_objects.fs import LocalFileSystem

        odb = self._odb(pointer)
        odb.add(
            str(source), LocalFileSystem(), pointer.digest, check_exists=False,
            callback=_callback(advance),
        )  # fmt: skip
        if self.is_folder:  # DVC does not fsync what it wrote
            place = Path(odb.oid_to_path(pointer.digest))
            atomic.sync_file(place)
            atomic.sync_directory(place.parent)

    def prepare(self) -> None:
        """Make the folder of the remote; a local one that a group shares has the modes for it."""
        if self.versioned:
            return
        odb = self.remote.odb
        if self.is_folder:
            odb.makedirs(odb.path)
        else:
            odb.fs.makedirs(odb.path, exist_ok=True)

    def where(self, pointer: "Cached") -> str:
        """As ``Place``."""
        if self.is_folder:
            return shlex.quote(self._path(pointer))
        return f"{pointer.place if self.versioned else key(pointer)} there"

    def _copy(
        self, source: Path, target: Path | None, allowance: Allowance, advance: Advance
    ) -> File:
        if source.is_dir():
            away = f"mv {shlex.quote(str(source))} {shlex.quote(f'{source}.old')}"
            push = "then push it from a machine that has it: dvc push"
            raise Corrupt(f"{source} is a folder", f"move it away: {away}; {push}")
        check(source.stat().st_size, allowance)
        if target is None:
            return files.digest(source, advance)
        return files.copy(source, target, advance)

    def _blocks(self, pointer: "Cached") -> Iterator[bytes]:
        fs = self.remote.fs
        pieces = {"block_size": PIECE} if fs.protocol in CLOUDS else {}
        if fs.protocol in ("http", "https"):  # one stream; a size, or it asks, and takes any error
            pieces = {"block_size": 0, "size": 1}  # for a file that is not there
        with fs.open(self._path(pointer), "rb", **pieces) as file:
            while block := file.read(BLOCK):
                yield block

    def _odb(self, pointer: "Cached") -> Any:
        """The objects of the remote, by their digest."""
        return self.remote.legacy_odb if pointer.legacy else self.remote.odb

    def _path(self, pointer: "Cached") -> str:
        """The path of an object.

        A versioned remote has it under its path in the work tree (``dvc_data/index/index.py``).
        """
        if not self.versioned:
            return str(self._odb(pointer).oid_to_path(pointer.digest))
        place = PurePosixPath(check_path(pointer.place))
        fs = self.remote.fs
        path = fs.join(self.remote.path, *place.relative_to(self.within).parts)
        return str(fs.version_path(path, pointer.version))


def of(config: "DvcConfig", name: str, *, within: PurePosixPath, versioned: bool) -> Place:
    """The place that a remote's options describe; no address is asked yet.

    Raises:
        RemoteMissingDepsError: DVC's, where its package for the scheme is not installed.
        OSError: a file that an option names cannot be read.
    """
    options = config.remote(name)
    if str(options.get("url", "")).startswith("docker://"):
        from tagship.stores import artifacts  # requests takes a tenth of a second to import

        return Tagged(artifacts.at(str(options["url"])), _jobs(options) or JOBS)
    own = partial(_own, config, name, options, within=within, versioned=versioned)
    by_obstore = None if versioned else store(options)
    return own() if by_obstore is None else Objects(by_obstore, cache(own), _jobs(options) or MANY)


def store(options: Mapping[str, Any]) -> "Store | None":
    """The store by obstore that DVC's options of a remote describe; no address is asked yet.

    None where an option has no counterpart, or obstore is not installed.

    Raises:
        OSError: a file that an option names cannot be read.
    """
    from tagship.stores import opened

    return opened.of(options)


def _own(
    config: "DvcConfig",
    name: str,
    options: Mapping[str, Any],
    *,
    within: PurePosixPath,
    versioned: bool,
) -> Own:
    """DVC's own: its ``Repo`` is not opened, which writes where ``core.site_cache_dir`` says."""
    from dvc.data_cloud import DataCloud

    cloud = DataCloud(SimpleNamespace(config=config.whole, site_cache_dir=None, data_index=None))
    remote = cloud.get_remote(name)
    place = Own(remote, within, versioned, _jobs(options) or JOBS)
    scheme = str(options.get("url", "")).partition("://")[0]
    if options.get("auth") and scheme in ("http", "https"):
        remote.fs.fs.kwargs["allow_redirects"] = False  # its header would go to any other host
    if scheme == "s3":
        remote.fs.fs_args.setdefault("config_kwargs", {})["http_session_cls"] = _no_redirects()
    return place


def _no_redirects() -> type:
    """A session of aiobotocore that follows no redirect: a session token would go along."""
    from aiobotocore.httpsession import AIOHTTPSession

    class Session(AIOHTTPSession):  # type: ignore[misc] # it has no types
        async def _get_session(self, proxy_url: str | None) -> Any:
            session = await super()._get_session(proxy_url)
            return SimpleNamespace(request=partial(session.request, allow_redirects=False))

    return Session


def _jobs(options: Mapping[str, Any]) -> int | None:
    jobs = options.get("jobs")
    return int(jobs) if jobs else None


def _callback(advance: Advance) -> Any:
    """DVC's own callback counts files; a branch of it the bytes of one."""
    from fsspec import Callback

    class Bytes(Callback):  # type: ignore[misc] # fsspec has no types
        def relative_update(self, inc: int = 1) -> None:
            advance(inc)

    class Files(Callback):  # type: ignore[misc] # fsspec has no types
        def branched(self, path_1: str, path_2: str, **kwargs: Any) -> Any:  # noqa: ARG002
            return Bytes()

    return Files()
