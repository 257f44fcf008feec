"""DVC's remotes: objects fetched into the cache and pushed from it, each hashed."""

import contextlib
import os
import secrets
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, TypeVar

from tagship.disk import access, atomic, capacity, files
from tagship.dvc import config as dvc_config
from tagship.dvc import credentials, patience, remote_errors, routing
from tagship.dvc.cache import Cache, bad_object
from tagship.dvc.config import DvcConfig
from tagship.dvc.patience import Patience
from tagship.dvc.pointers import Cached
from tagship.dvc.routing import Routes
from tagship.errors import Corrupt, NoAnswer, Refused, TagshipError, Unavailable
from tagship.progress import Advance, Progress, Tell, nobody, silent
from tagship.text import redact
from tagship.text.paths import check_path

JOBS = 8  # objects in transfer at a time

T = TypeVar("T")


@dataclass(frozen=True)
class Remote:
    """DVC's remote. Each object is hashed before the cache gets it, and before it leaves here.

    Attributes:
        project: the DVC repository that configures it.
        name: DVC's name of it; None for DVC's default. A pointer's own ``remote`` comes first.
        within: the folder of ``project``, from the repository's top.
        tell: is told whom is waited for.
    """

    project: Path
    name: str | None = None
    within: PurePosixPath = PurePosixPath()
    tell: Tell = nobody

    @cached_property
    def routes(self) -> Routes:
        """Which remote each object goes to and comes from.

        Raises:
            Refused: DVC's configuration cannot be read.
        """
        return routing.of(dvc_config.read(self.project), self.name)

    def fetch(
        self, objects: Sequence[Cached], cache: Cache, incoming: Path, progress: Progress = silent
    ) -> None:
        """Fetch objects into the cache.

        Args:
            objects: what the cache lacks, each once.
            cache: where they go.
            incoming: a folder to receive them in, which a later run empties.
            progress: is called with the bytes that arrived.

        Raises:
            Unavailable: the remote is not configured, or lacks an object; NoAnswer: it is silent.
            Corrupt: the remote's bytes are not the object's.
            Refused: only the repository says where the cache is, or where credentials would go.
        """
        for pointer in objects:
            cache.check_ours(pointer)
        _check_incoming(incoming)
        pool, wait = ThreadPoolExecutor(JOBS), True
        # the recorded size of a folder is that of its files, not of the list
        sizes = [None if pointer.is_folder else pointer.size for pointer in objects]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        try:
            with (
                _transport(self) as transport,
                progress("fetching", total) as advance,
            ):
                receive = partial(self._receive, transport, cache, incoming, advance)
                list(pool.map(receive, objects))
        except KeyboardInterrupt:
            wait = False  # for a remote that may never answer
            raise
        finally:
            pool.shutdown(wait=wait, cancel_futures=True)

    def _receive(
        self,
        transport: "_Transport",
        cache: Cache,
        incoming: Path,
        advance: Advance,
        pointer: Cached,
    ) -> None:
        atomic.make_folder(incoming, 0o700)  # DVC makes its files by the umask
        arrived = incoming / f"{pointer.digest}-{secrets.token_hex(6)}"
        try:
            transport.get(pointer, arrived, advance)
            if not pointer.matches(arrived, files.digest(arrived).md5):
                raise Corrupt(
                    f"the DVC remote has other bytes for {pointer} than it was released with",
                    "remove it there, then push it from a machine that has it: dvc push",
                )
            cache.make_folder(pointer)
            _into_cache(arrived, cache.path(pointer))
        finally:
            arrived.unlink(missing_ok=True)

    def push(self, objects: Iterable[Cached], cache: Cache, progress: Progress = silent) -> int:
        """Push objects of the cache, all hashed before the first one leaves; lists come last.

        Args:
            objects: each once.
            cache: where they are.
            progress: is called with the bytes hashed, then with those pushed.

        Returns:
            How many the remote lacked.

        Raises:
            NotFound: no remote is configured.
            Refused: as for ``Routes.check_push``.
            Corrupt: the cache has other bytes.
            Unavailable: an object is not in the cache, or the remote does not accept it.
        """
        ordered = sorted(objects, key=lambda pointer: pointer.is_folder)
        with _transport(self) as transport:
            lacking = transport.lacking(ordered, cache)
            for pointer in lacking:
                if not cache.holds(pointer):
                    place = shlex.quote(pointer.place)
                    raise Unavailable(
                        f"the DVC cache lacks {pointer.place} ({pointer}),"
                        " and so does the DVC remote",
                        f"dvc push where it was made; or here: dvc commit {place}, or dvc repro",
                    )
            total = sum(cache.path(pointer).stat().st_size for pointer in lacking)
            with progress("hashing", total) as advance:
                for pointer in lacking:
                    path = cache.path(pointer)
                    if not pointer.matches(path, files.digest(path, advance).md5):
                        raise bad_object(pointer, path)
            with progress("pushing", total) as advance:
                for pointer in lacking:
                    transport.put(pointer, cache.path(pointer), advance)
        return len(lacking)


def _check_incoming(incoming: Path) -> None:
    real = incoming.resolve()
    if not real.is_relative_to(incoming.parents[1].resolve()):
        raise Refused(f"{incoming} leads to {real}", "remove the link on the way there")


def _into_cache(arrived: Path, place: Path) -> None:
    atomic.sync_file(arrived)
    arrived.chmod(0o444)
    if place.is_dir():  # no name of DVC's: it cannot be replaced
        atomic.remove_tree(place)
    try:
        os.replace(arrived, place)
    except OSError:  # EXDEV: the cache is on another file system
        beside = atomic.temporary_name(place)
        try:
            shutil.copy2(arrived, beside)
            atomic.sync_file(beside)  # DVC trusts it by its name and mode
            os.replace(beside, place)
        finally:
            beside.unlink(missing_ok=True)


class _Transport:
    """DVC's remotes: get and put an object by its digest. Nothing else of DVC is used for bytes.

    DVC's ``Repo`` is not opened: it writes where the repository's configuration says
    (``core.site_cache_dir``), and of it a remote needs the configuration alone.
    """

    def __init__(self, config: DvcConfig, routes: Routes, remote: Remote) -> None:
        from dvc.data_cloud import DataCloud

        self._config, self._routes = config, routes
        self._within, self._tell = remote.within, remote.tell
        self._patience: dict[str, Patience] = {}
        self._cloud = DataCloud(
            SimpleNamespace(config=config.whole, site_cache_dir=None, data_index=None)
        )
        self._remotes: dict[str, Any] = {}

    def _remote(self, pointer: Cached) -> Any:
        """DVC's remote of an object, with its file system; it may have this host's credentials."""
        name = self._routes.of(pointer)
        if name not in self._remotes:
            options = self._config.remote(name)
            credentials.check(name, options, self._config.host["remote"], os.environ)
            self._remotes[name] = self._cloud.get_remote(name)
        return self._remotes[name]

    def _ask(self, pointer: Cached, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call a function of DVC that asks the remote of an object, which may be silent."""
        from dvc_objects.fs import LocalFileSystem

        if isinstance(self._remote(pointer).fs, LocalFileSystem):
            return function(*args, **options)
        name = self._routes.of(pointer)
        if name not in self._patience:
            own = self._config.remote(name)
            address = str(own.get("endpointurl") or own.get("url"))
            words = f"the DVC remote {redact.text(name)}, {redact.text(address)}"
            self._patience[name] = Patience(words, patience.silence(own), self._tell)
        try:
            return self._patience[name].wait(function, *args, **options)
        except TagshipError:
            raise
        except Exception as error:
            if hint := remote_errors.hint(error, name, self._config.remote(name)):
                raise _failure(error, hint) from None
            raise

    def _odb(self, pointer: Cached) -> Any:
        """The objects of a remote, by their digest."""
        remote = self._remote(pointer)
        return remote.legacy_odb if pointer.legacy else remote.odb

    def _place(self, pointer: Cached) -> tuple[Any, str]:
        """The file system that has an object, and its path there.

        A versioned remote has it under its path in the work tree (``dvc_data/index/index.py``).

        Raises:
            Unavailable: no version of it was recorded.
        """
        if not self._routes.is_versioned(pointer):
            odb = self._odb(pointer)
            return odb.fs, odb.oid_to_path(pointer.digest)
        if pointer.version is None:
            raise self._routes.no_version(pointer)
        remote, place = self._remote(pointer), PurePosixPath(check_path(pointer.place))
        parts = place.relative_to(self._within).parts
        path = remote.fs.join(remote.path, *parts)
        return remote.fs, remote.fs.version_path(path, pointer.version)

    def get(self, pointer: Cached, target: Path, advance: Advance) -> None:
        fs, path = self._place(pointer)
        counted = _Counted(advance)
        try:
            self._ask(pointer, fs.get_file, path, str(target), callback=_of_bytes(counted))
            counted.finish(target)
        except FileNotFoundError:
            raise self._missing(pointer) from None

    def _missing(self, pointer: Cached) -> Unavailable:
        what = f"{pointer} is in neither the DVC cache nor the DVC remote"
        if pointer.remote:
            what += f" {redact.text(pointer.remote)}"
        if self._routes.is_versioned(pointer):
            version = f"{pointer.place}, version {pointer.version}"
            return Unavailable(f"{what} ({version})", "push it again and commit: dvc push")
        if not pointer.push:
            what += f" ({pointer.place} has push: false)"
            return Unavailable(what, "deploy it on the machine that made it")
        self._check_folder(pointer)
        return Unavailable(what, "push it from a machine that has it: dvc push --all-tags")

    def _check_folder(self, pointer: Cached) -> None:
        """Tell a remote that is a folder of another machine from one that lacks an object.

        Raises:
            Unavailable: the folder is not here.
        """
        from dvc_objects.fs import LocalFileSystem

        remote = self._remote(pointer)
        if isinstance(remote.fs, LocalFileSystem) and not Path(remote.path).is_dir():
            name = redact.text(self._routes.of(pointer))
            raise Unavailable(
                f"the DVC remote {name} is a folder, which is not here: {remote.path}",
                f"name one that is: dvc remote modify --local {shlex.quote(name)} url URL",
            )

    def put(self, pointer: Cached, source: Path, advance: Advance) -> None:
        from dvc_objects.fs import LocalFileSystem

        odb = self._odb(pointer)
        counted = _Counted(advance)
        self._ask(
            pointer, odb.add, str(source), LocalFileSystem(), pointer.digest, check_exists=False,
            callback=_of_files(counted),
        )  # fmt: skip
        counted.finish(source)
        if isinstance(odb.fs, LocalFileSystem):  # DVC does not fsync what it wrote
            place = Path(odb.oid_to_path(pointer.digest))
            atomic.sync_file(place)
            atomic.sync_directory(place.parent)

    def _is_short(self, odb: Any, pointer: Cached, cache: Cache) -> bool:
        from dvc_objects.fs import LocalFileSystem

        cached = cache.path(pointer)
        if not isinstance(odb.fs, LocalFileSystem) or not cached.is_file():
            return False  # a cloud store shows no half-written object
        return Path(odb.oid_to_path(pointer.digest)).stat().st_size != cached.stat().st_size

    def lacking(self, pointers: list[Cached], cache: Cache) -> list[Cached]:
        """What the remotes have not, or have in another size: DVC trusts a file of mode 0444.

        Raises:
            Unavailable: a versioned remote has not the version of an object that was recorded.
        """
        versioned = [pointer for pointer in pointers if self._routes.is_versioned(pointer)]
        with ThreadPoolExecutor(JOBS) as pool:
            list(pool.map(self._check_there, versioned))
        by_digest = [pointer for pointer in pointers if pointer not in versioned]
        lacking: set[Cached] = set()
        for _, group in groupby(sorted(by_digest, key=_place), key=_place):
            here = list(group)
            odb = self._odb(here[0])
            self._ask(here[0], _make_top, odb)
            digests = [pointer.digest for pointer in here]
            there = set(self._ask(here[0], odb.oids_exist, digests))
            lacking |= {
                pointer
                for pointer in here
                if pointer.digest not in there or self._is_short(odb, pointer, cache)
            }
        return [pointer for pointer in pointers if pointer in lacking]

    def _check_there(self, pointer: Cached) -> None:
        fs, path = self._place(pointer)
        try:
            self._ask(pointer, fs.info, path)
        except FileNotFoundError:
            raise self._missing(pointer) from None


def _make_top(odb: Any) -> None:
    """Make the folder of a remote; a local one that a group shares has the modes for it."""
    from dvc_objects.fs import LocalFileSystem

    if isinstance(odb.fs, LocalFileSystem):
        odb.makedirs(odb.path)
    else:
        odb.fs.makedirs(odb.path, exist_ok=True)


def _place(pointer: Cached) -> tuple[str, str]:
    """Objects of the same hash and remote are asked for together."""
    return pointer.hash_name, pointer.remote or ""


@dataclass
class _Counted:
    """Counts the bytes of one file on their way to ``advance``, and adds the rest at its end."""

    advance: Advance
    counted: int = 0

    def __call__(self, count: int) -> None:
        self.counted += count
        self.advance(count)

    def finish(self, file: Path) -> None:
        """A file system may link or copy a file without reporting any bytes."""
        self(file.stat().st_size - self.counted)


def _of_bytes(advance: Advance) -> Any:
    """A callback for the bytes that fsspec moved of one file."""
    from fsspec import Callback

    class Bytes(Callback):  # type: ignore[misc] # fsspec has no types
        def relative_update(self, inc: int = 1) -> None:
            advance(inc)

    return Bytes()


def _of_files(advance: Advance) -> Any:
    """The same where DVC moves files: its own callback counts them, a branch of it their bytes."""
    from fsspec import Callback

    class Files(Callback):  # type: ignore[misc] # fsspec has no types
        def branched(self, path_1: str, path_2: str, **kwargs: Any) -> Any:  # noqa: ARG002
            return _of_bytes(advance)

    return Files()


@contextlib.contextmanager
def _transport(remote: Remote) -> Iterator[_Transport]:
    """DVC's remotes for a transfer; their errors become ours."""
    from dvc.exceptions import DvcException
    from dvc.fs import RemoteMissingDepsError

    try:
        with dvc_config.quiet():
            config = dvc_config.read(remote.project)
            yield _Transport(config, routing.of(config, remote.name), remote)
    except DvcException as error:
        raise Unavailable(f"DVC: {redact.text(str(error))}", "dvc remote list") from None
    except TagshipError:
        raise
    except RemoteMissingDepsError as error:
        package = f"dvc-{error.protocol}"
        extra = "tagship[s3]" if error.protocol == "s3" else package
        what = f"the DVC remote is {error.protocol}://, which needs {package}"
        raise Unavailable(what, f'pip install "{extra}"') from None
    except Exception as error:  # noqa: BLE001 - each cloud library has errors of its own
        if isinstance(error, OSError) and capacity.is_full(error):
            where = f" ({error.filename})" if error.filename else ""
            raise Unavailable(f"{error.strerror}{where}", capacity.make_room("MODEL")) from None
        if denied := access.forbidden(error):  # a folder of this machine: the cache, or a remote
            raise Unavailable(denied.message, denied.hint) from None
        if isinstance(error, TimeoutError):  # a library's own, often without a word
            what = "the DVC remote did not answer in time"
            raise NoAnswer(what, "check its address: dvc remote list") from None
        raise _failure(error, "dvc remote list") from None


def _failure(error: Exception, hint: str) -> Unavailable:
    return Unavailable(f"DVC remote error: {redact.text(str(error)) or type(error).__name__}", hint)
