"""DVC's remotes: objects brought to the cache and pushed from it, each hashed."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tagship.disk import atomic, capacity, files
from tagship.dvc import cache as dvc_cache
from tagship.dvc import config as dvc_config
from tagship.dvc import credentials
from tagship.dvc.cache import GIT, Cache, Object
from tagship.dvc.config import DvcConfig
from tagship.errors import Corrupt, NotFound, Refused, TagshipError, Unavailable
from tagship.progress import Advance, Progress, silent
from tagship.text import redact

JOBS = 8  # objects in transfer at a time


@dataclass(frozen=True)
class Fetcher:
    """Brings objects from the DVC remote into the cache; each is hashed before the cache gets it.

    Attributes:
        cache: where they go.
        incoming: a folder to receive them in, which a later run sweeps.
        remote: DVC's name of the remote; None for DVC's default.
        progress: is told the bytes that arrived.
        offline: ask no remote; what the cache lacks cannot be had.
    """

    cache: Cache
    incoming: Path
    remote: str | None = None
    progress: Progress = silent
    offline: bool = False

    def __call__(self, wanted: Iterable[Object]) -> int:
        """Fetch what the cache lacks.

        Returns:
            How many objects were fetched.

        Raises:
            Unavailable: the remote is not configured, does not answer, or lacks an object.
            Corrupt: the remote's bytes are not the object's.
            Refused: only the repository says where the cache is, or where credentials would go.
        """
        lacking = [
            one
            for one in dict.fromkeys(wanted)
            if one.hash_name != GIT and not self.cache.holds(one)
        ]
        if not lacking:
            return 0
        if self.offline:
            raise Unavailable(f"the DVC cache lacks {lacking[0]}", "dvc fetch --all-tags")
        for one in lacking:
            self.cache.check_ours(one)
        self._check_incoming()
        pool, wait = ThreadPoolExecutor(JOBS), True
        sizes = [one.size for one in lacking]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        try:
            with (
                _transport(self.cache.project) as transport,
                self.progress("fetching", total) as advance,
            ):
                list(pool.map(lambda one: self._fetch(transport, one, advance), lacking))
        except KeyboardInterrupt:
            wait = False  # for a remote that may never answer
            raise
        finally:
            pool.shutdown(wait=wait, cancel_futures=True)
        return len(lacking)

    def _check_incoming(self) -> None:
        real = self.incoming.resolve()
        if not real.is_relative_to(self.incoming.parents[1].resolve()):
            raise Refused(f"{self.incoming} leads to {real}", "remove the link on the way there")

    def _fetch(self, transport: "_Transport", wanted: Object, advance: Advance) -> None:
        atomic.make_folder(self.incoming, 0o700)  # DVC makes its files by the umask
        arrived = self.incoming / f"{wanted.digest}-{secrets.token_hex(6)}"
        try:
            transport.get(wanted, self.remote, arrived, advance)
            digests = files.digest(arrived)
            if not dvc_cache.matches(wanted, arrived, digests.md5):
                raise Corrupt(
                    f"the DVC remote has other bytes for {wanted} than it was released with",
                    "remove it there, then push it from a machine that has it: dvc push",
                )
            _into_cache(arrived, self.cache.path(wanted))
        finally:
            arrived.unlink(missing_ok=True)


def _into_cache(arrived: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
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


def push(
    cache: Cache, objects: Iterable[Object], remote: str | None, progress: Progress = silent
) -> int:
    """Bring objects of the cache to the DVC remote, all hashed before one leaves; lists come last.

    Returns:
        How many the remote lacked.

    Raises:
        NotFound: no remote is configured.
        Corrupt: the cache has other bytes.
        Unavailable: an object is not in the cache, or the remote does not take it.
    """
    wanted = sorted(dict.fromkeys(objects), key=lambda one: one.is_list)
    with _transport(cache.project) as transport:
        lacking = transport.lacking(wanted, remote, cache)
        for one in lacking:
            if not cache.holds(one):
                raise Unavailable(f"the DVC cache lacks {one}", "dvc repro, or dvc commit")
        total = sum(cache.path(one).stat().st_size for one in lacking)
        with progress("hashing", total) as advance:
            for one in lacking:
                path = cache.path(one)
                if not dvc_cache.matches(one, path, files.digest(path, advance).md5):
                    raise dvc_cache.bad_object(one, path)
        with progress("pushing", total) as advance:
            for one in lacking:
                transport.put(one, remote, cache.path(one), advance)
    return len(lacking)


def has_remote(cache: Cache, remote: str | None) -> bool:
    """Whether DVC has a remote to push to."""
    return bool(remote or dvc_config.read(cache.project).whole["core"].get("remote"))


class _Transport:
    """DVC's remotes: get and put an object by its digest. Nothing else of DVC is used for bytes.

    DVC's ``Repo`` is not opened: it writes where the repository's configuration says
    (``core.site_cache_dir``), and of it a remote needs the configuration alone.
    """

    def __init__(self, config: DvcConfig) -> None:
        from dvc.data_cloud import DataCloud

        self._config = config
        self._cloud = DataCloud(
            SimpleNamespace(config=config.whole, site_cache_dir=None, data_index=None)
        )
        self._odbs: dict[tuple[str | None, str], Any] = {}

    def _odb(self, wanted: Object, remote: str | None) -> Any:
        name = wanted.remote or remote or self._config.whole["core"].get("remote")
        hash_name = wanted.hash_name
        if (name, hash_name) not in self._odbs:
            if name:
                options = self._config.remote(name)
                credentials.check(name, options, self._config.host["remote"], os.environ)
            self._odbs[name, hash_name] = self._cloud.get_remote_odb(
                name, "fetch", hash_name=hash_name
            )
        return self._odbs[name, hash_name]

    def get(self, wanted: Object, remote: str | None, target: Path, advance: Advance) -> None:
        odb, counted = self._odb(wanted, remote), _Counted(advance)
        try:
            odb.fs.get_file(
                odb.oid_to_path(wanted.digest), str(target), callback=_of_bytes(counted)
            )
            counted.finish(target)
        except FileNotFoundError:
            raise Unavailable(
                f"{wanted} is in neither the DVC cache nor the DVC remote",
                "push it from a machine that has it: dvc push --all-tags",
            ) from None

    def put(self, wanted: Object, remote: str | None, source: Path, advance: Advance) -> None:
        from dvc_objects.fs import LocalFileSystem

        odb = self._odb(wanted, remote)
        counted = _Counted(advance)
        odb.add(
            str(source), LocalFileSystem(), wanted.digest, check_exists=False,
            callback=_of_files(counted),
        )  # fmt: skip
        counted.finish(source)
        if isinstance(odb.fs, LocalFileSystem):  # DVC does not fsync what it wrote
            place = Path(odb.oid_to_path(wanted.digest))
            atomic.sync_file(place)
            atomic.sync_directory(place.parent)

    def _is_short(self, odb: Any, wanted: Object, cache: Cache) -> bool:
        from dvc_objects.fs import LocalFileSystem

        cached = cache.path(wanted)
        if not isinstance(odb.fs, LocalFileSystem) or not cached.is_file():
            return False  # a cloud store shows no half-written object
        return Path(odb.oid_to_path(wanted.digest)).stat().st_size != cached.stat().st_size

    def lacking(self, wanted: list[Object], remote: str | None, cache: Cache) -> list[Object]:
        """What the remote has not, or has in another size: DVC trusts a file of mode 0444."""
        found: list[Object] = []
        for hash_name in {one.hash_name for one in wanted}:
            for name in {one.remote for one in wanted}:
                here = [o for o in wanted if o.hash_name == hash_name and o.remote == name]
                if here:
                    odb = self._odb(here[0], remote)
                    odb.fs.makedirs(odb.path, exist_ok=True)
                    there = set(odb.oids_exist([one.digest for one in here]))
                    found += [
                        one
                        for one in here
                        if one.digest not in there or self._is_short(odb, one, cache)
                    ]
        return [one for one in wanted if one in found]


@dataclass
class _Counted:
    """Passes on what is told of one file's bytes; and in the end what was not told of them."""

    advance: Advance
    told: int = 0

    def __call__(self, count: int) -> None:
        self.told += count
        self.advance(count)

    def finish(self, file: Path) -> None:
        """A file system may link or copy a file, and tell nothing."""
        self(file.stat().st_size - self.told)


def _of_bytes(advance: Advance) -> Any:
    """The bytes that fsspec moved of one file, told to ``advance``."""
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
def _transport(project: Path) -> Iterator[_Transport]:
    """DVC's remotes for a transfer, their errors put into our words."""
    from dvc.config import NoRemoteError
    from dvc.exceptions import DvcException

    try:
        with dvc_config.quiet():
            yield _Transport(dvc_config.read(project))
    except NoRemoteError:
        raise NotFound("DVC has no remote", "dvc remote add -d NAME URL") from None
    except DvcException as error:
        raise Unavailable(f"DVC: {redact.text(str(error))}", "dvc remote list") from None
    except TagshipError:
        raise
    except Exception as error:  # noqa: BLE001 - each cloud library has errors of its own
        if isinstance(error, OSError) and capacity.is_full(error):
            where = f" ({error.filename})" if error.filename else ""
            raise Unavailable(f"{error.strerror}{where}", capacity.make_room("MODEL")) from None
        text = redact.text(str(error)) or type(error).__name__
        raise Unavailable(
            f"the DVC remote does not do its part: {text}", "dvc remote list"
        ) from None
