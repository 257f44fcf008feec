"""DVC's remotes: objects received into files, hashed on their way, and pushed from the cache."""

import contextlib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from threading import Event
from typing import Any, TypeVar

from tagship.disk import access, capacity, files
from tagship.disk.files import File
from tagship.dvc import config as dvc_config
from tagship.dvc import credentials, patience, places, remote_errors, routing
from tagship.dvc.cache import Cache, bad_object
from tagship.dvc.config import DvcConfig
from tagship.dvc.patience import Patience
from tagship.dvc.places import Own, Place
from tagship.dvc.pointers import Cached
from tagship.dvc.routing import Routes
from tagship.errors import Corrupt, NoAnswer, TagshipError, Unavailable
from tagship.progress import Advance, Progress, Tell, nobody, silent
from tagship.stores.failures import Kind, StoreError
from tagship.stores.stream import Allowance, TooLong
from tagship.text import redact

EXTRAS = ("s3", "gs", "azure")
CUT = (Kind.BROKEN_OFF, Kind.NO_RANGES, Kind.UNREACHABLE)  # after some bytes
LIST = 64 << 20  # bytes of the list of a folder: of some 500,000 files
CAP = 100 << 30  # bytes of an object whose size no commit has

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """An object that is wanted: where it goes, or None where it is only hashed."""

    pointer: Cached
    target: Path | None


@dataclass(frozen=True)
class Remote:
    """DVC's remotes. Each object is hashed while it arrives, and before it leaves here.

    Attributes:
        read_config: gives DVC's configuration of them; it is read when it is first needed.
        name: of the remote that comes first; None for DVC's default. A pointer's own ``remote``
            comes before it.
        within: the folder of the DVC repository, from Git's top.
        tell: is told whom is waited for.
        cap: bytes that an object may have whose size was not recorded.
    """

    read_config: Callable[[], DvcConfig]
    name: str | None = None
    within: PurePosixPath = PurePosixPath()
    tell: Tell = nobody
    cap: int = CAP

    @cached_property
    def routes(self) -> Routes:
        """Which remote each object goes to and comes from.

        Raises:
            Refused: DVC's configuration cannot be read.
        """
        return routing.of(self._config, self.name)

    @cached_property
    def _config(self) -> DvcConfig:
        return self.read_config()

    def fetch(
        self, wanted: Sequence[Wanted], progress: Progress = silent, total: int | None = None
    ) -> list[File]:
        """Receive objects into new files, or only hash them.

        Args:
            wanted: each once.
            progress: is called with the bytes that arrived.
            total: bytes of all, where it is known.

        Returns:
            The files in the same order.

        Raises:
            Unavailable: the remote is not configured, or lacks an object; NoAnswer: it is silent.
            Corrupt: the remote's bytes are not the object's.
            Refused: credentials would go where only the repository says.
        """
        allowances = _Allowances(self.cap)
        received: dict[Wanted, File] = {}
        with _failures(), progress("fetching", total) as advance:
            remotes = _Remotes(self._config, self.routes, self)
            for name, group in self._by_remote(wanted):
                place = remotes.place(name)
                receive = partial(_receive, remotes, place, allowances, advance)
                try:
                    found = remotes.ask(name, _each, place.jobs, receive, group, allowances.stop)
                except BaseException:
                    allowances.stop.set()  # for a remote that may go on in its thread
                    raise
                received.update(zip(group, found, strict=True))
        return [received[item] for item in wanted]

    def read(self, pointer: Cached) -> bytes:
        """The bytes of a small object, the list of a folder; whoever asks compares its digest.

        Raises:
            Unavailable, Refused: as for ``fetch``.
            Corrupt: it is too long for a list.
        """
        with _failures():
            remotes = _Remotes(self._config, self.routes, self)
            name = self._route(pointer)
            place = remotes.place(name)
            try:
                return remotes.ask(name, place.read, pointer, Allowance(LIST))
            except FileNotFoundError:
                raise remotes.missing(pointer) from None
            except TooLong:
                raise _too_long(pointer, LIST, place.where(pointer)) from None

    def where(self, pointer: Cached) -> str:
        """Where a person finds an object, once it was asked for: see ``Place.where``."""
        with _failures():
            return (
                _Remotes(self._config, self.routes, self).place(self._route(pointer)).where(pointer)
            )

    def _route(self, pointer: Cached) -> str:
        if self.routes.is_versioned(pointer) and pointer.version is None:
            raise self.routes.no_version(pointer)
        return self.routes.of(pointer)

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
        with _failures():
            remotes = _Remotes(self._config, self.routes, self)
            lacking = remotes.lacking(ordered, cache)
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
                for is_list in (False, True):
                    part = [pointer for pointer in lacking if pointer.is_folder is is_list]
                    remotes.put(part, cache, advance)
        return len(lacking)

    def folders_away(self, objects: Iterable[Cached]) -> list[tuple[str, str]]:
        """Which remotes of these objects are folders that are not here: their names and paths."""
        names = sorted({self.routes.of(pointer) for pointer in objects})
        with _failures():
            remotes = _Remotes(self._config, self.routes, self)
            away = [(name, remotes.folder_away(name)) for name in names]
        return [(redact.text(name), folder) for name, folder in away if folder is not None]

    def _by_remote(self, wanted: Sequence[Wanted]) -> Iterator[tuple[str, list[Wanted]]]:
        def name(item: Wanted) -> str:
            return self._route(item.pointer)

        for key, group in groupby(sorted(wanted, key=name), key=name):
            yield key, list(group)


class _Allowances:
    """How many bytes each object may have; the files of a folder share what it has in all."""

    def __init__(self, cap: int) -> None:
        self.stop, self._cap = Event(), cap
        self._shared: dict[str, Allowance] = {}

    def of(self, pointer: Cached) -> Allowance:
        if pointer.size is not None:
            return Allowance(pointer.size, self.stop)
        if pointer.share is None:
            return Allowance(self._cap, self.stop)
        folder, size = pointer.share
        shared = self._shared.setdefault(folder, Allowance(size, self.stop))
        return Allowance(size, self.stop, shared)


def _each(
    jobs: int, receive: Callable[[Wanted], File], wanted: list[Wanted], stop: Event
) -> list[File]:
    """Receive objects, several at a time; the first error ends all."""
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(receive, item) for item in wanted]
        try:
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _receive(
    remotes: "_Remotes", place: Place, allowances: _Allowances, advance: Advance, item: Wanted
) -> File:
    """Receive one object, and compare its digest; what was cut is begun again, once."""
    pointer, target, allowance = item.pointer, item.target, allowances.of(item.pointer)
    counted = _Counted(advance)
    try:
        try:
            file = place.receive(pointer, target, allowance, counted)
        except StoreError as error:  # obstore goes on by itself, but only where there are ranges
            if not counted.counted or error.kind not in CUT:
                raise
            allowance.give_back()
            counted.take_back()
            if target is not None:
                target.unlink()
            file = place.receive(pointer, target, allowance, counted)
    except FileNotFoundError:
        raise remotes.missing(pointer) from None
    except TooLong:
        raise _too_long(pointer, pointer.size, place.where(pointer)) from None
    if not pointer.matches(target or Path(), file.md5):
        what = f"the DVC remote has other bytes for {pointer} than it was released with"
        if pointer.size not in (None, file.size):
            what += f": {file.size} instead of {pointer.size}"
        raise Corrupt(what, push_again(place.where(pointer)))
    return file


def push_again(where: str) -> str:
    """The hint for an object with wrong bytes: DVC pushes none over one that is there."""
    return f"remove {where}, then push it from a machine that has it: dvc push"


def _too_long(pointer: Cached, size: int | None, where: str) -> Corrupt:
    what = f"the {size} bytes" if size is not None else "what it may have"
    return Corrupt(f"the DVC remote sends more for {pointer} than {what} of it", push_again(where))


class _Remotes:
    """The remotes of a configuration, each opened when an object of it is first asked for."""

    def __init__(self, config: DvcConfig, routes: Routes, remote: Remote) -> None:
        self._config, self._routes = config, routes
        self._within, self._tell = remote.within, remote.tell
        self._patience: dict[str, Patience] = {}
        self._places: dict[str, Place] = {}

    def place(self, name: str) -> Place:
        """Where the objects of a remote are; it may have this host's credentials."""
        if name not in self._places:
            options = self._config.remote(name)
            credentials.check(name, options, self._config.host["remote"], os.environ)
            versioned = self._routes.versioned[name.lower()]
            self._places[name] = places.of(
                self._config, name, within=self._within, versioned=versioned
            )
        return self._places[name]

    def ask(self, name: str, function: Callable[..., T], *args: Any) -> T:
        """Call a function that asks a remote, which may be silent."""
        if self.place(name).is_folder:
            return function(*args)
        own = self._config.remote(name)
        address = redact.text(str(own.get("endpointurl") or own.get("url")))
        title = f"the DVC remote {redact.text(name)}, {address}"
        settings = remote_errors.Settings(name, own, os.environ)
        if name not in self._patience:
            self._patience[name] = Patience(title, patience.silence(own), self._tell)
        try:
            return self._patience[name].wait(function, *args)
        except TagshipError:
            raise
        except StoreError as error:
            hint = remote_errors.of_store(error, settings)
            if error.kind is Kind.SILENT:
                raise NoAnswer(f"{title}: {error}", hint) from None
            raise Unavailable(f"{title}: {error}", hint) from None
        except Exception as error:
            if known := remote_errors.hint(error, settings):
                raise _failure(error, known) from None
            raise

    def missing(self, pointer: Cached) -> Unavailable:
        """The error for an object that its remote lacks."""
        name = self._routes.of(pointer)
        address = redact.text(str(self._config.remote(name).get("url")))
        what = (
            f"{pointer} is in neither the DVC cache nor the DVC remote {redact.text(name)},"
            f" {address}"
        )
        if self._routes.is_versioned(pointer):
            version = f"{pointer.place} of version {pointer.version}"
            return Unavailable(f"{what}: {version}", "push it again and commit: dvc push")
        if not pointer.push:
            what += f": {pointer.place} has push: false"
            return Unavailable(what, "deploy it on the machine that made it")
        if folder := self.folder_away(name):
            return _not_here(redact.text(name), folder)
        return Unavailable(
            what,
            "push it from a machine that has it: dvc push --all-tags; if the remote is another one"
            " than at its tag: dvc remote add --local moved URL && dvc push --all-tags --remote"
            " moved; here, git pull brings the address",
        )

    def folder_away(self, name: str) -> str | None:
        """The folder that a remote is, where it is not here."""
        place = self.place(name)
        if not isinstance(place, Own) or not place.is_folder:
            return None
        path = str(place.remote.path)
        return None if Path(path).exists() else path

    def lacking(self, pointers: list[Cached], cache: Cache) -> list[Cached]:
        """What the remotes have not, or have in another size: DVC trusts a file of mode 0444.

        Raises:
            Unavailable: a versioned remote has not the version of an object that was recorded.
        """

        def size(pointer: Cached) -> int | None:
            path = cache.path(pointer)
            return path.stat().st_size if path.is_file() else None

        there: set[Cached] = set()
        for name, group in self._grouped(pointers):
            place = self.place(name)
            self.ask(name, place.prepare)
            known = [(pointer, size(pointer)) for pointer in group]
            found = self.ask(name, _at_once, place.jobs, partial(_has, place), known)
            there |= {pointer for pointer, has in zip(group, found, strict=True) if has}
        lacking = [pointer for pointer in pointers if pointer not in there]
        for pointer in lacking:
            if self._routes.is_versioned(pointer):  # ``dvc push`` alone can bring it there
                raise self.missing(pointer)
        return lacking

    def put(self, pointers: list[Cached], cache: Cache, advance: Advance) -> None:
        """Send objects of the cache."""
        for name, group in self._grouped(pointers):
            place = self.place(name)

            def send(pointer: Cached, place: Place = place) -> None:
                source, counted = cache.path(pointer), _Counted(advance)
                place.put(pointer, source, counted)
                counted.finish(source)

            self.ask(name, _at_once, place.jobs, send, group)

    def _grouped(self, pointers: Iterable[Cached]) -> Iterator[tuple[str, list[Cached]]]:
        for name, group in groupby(sorted(pointers, key=self._routes.of), key=self._routes.of):
            yield name, list(group)


def _has(place: Place, known: tuple[Cached, int | None]) -> bool:
    return place.has(*known)


def _at_once(jobs: int, function: Callable[[A], T], values: Sequence[A]) -> list[T]:
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(function, values))


def not_here(name: str, folder: str) -> str:
    """What is wrong with a remote that is a folder of another machine, or on a disk without it."""
    return f"the DVC remote {name} is a folder, which is not here: {folder}"


def _not_here(name: str, folder: str) -> Unavailable:
    return Unavailable(
        not_here(name, folder),
        "mount it; or, if it is elsewhere on this machine for good:"
        f" dvc remote modify --local {shlex.quote(name)} url URL",
    )


@dataclass
class _Counted:
    """Counts the bytes of one file on their way to ``advance``, and adds the rest at its end."""

    advance: Advance
    counted: int = 0

    def __call__(self, count: int) -> None:
        self.counted += count
        self.advance(count)

    def take_back(self) -> None:
        """All of it is to come again."""
        self(-self.counted)

    def finish(self, file: Path) -> None:
        """A file system may link or copy a file without reporting any bytes."""
        self(file.stat().st_size - self.counted)


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Turn the errors of DVC, of its libraries and of the disk into ours."""
    try:
        with dvc_config.quiet():
            yield
    except TagshipError:
        raise
    except Exception as error:  # noqa: BLE001 - each cloud library has errors of its own
        raise _as_ours(error) from None


def _as_ours(error: Exception) -> Unavailable:
    names = {kind.__name__ for kind in type(error).__mro__}
    if "RemoteMissingDepsError" in names:
        protocol = getattr(error, "protocol", "")
        package = f"tagship[{protocol}]" if protocol in EXTRAS else f"dvc-{protocol}"
        what = f"the DVC remote is {protocol}://, which needs dvc-{protocol}"
        return Unavailable(what, f'pip install "{package}"')
    if "DvcException" in names:
        return Unavailable(f"DVC: {redact.text(str(error))}", "dvc remote list")
    if isinstance(error, OSError) and capacity.is_full(error):
        where = f" ({error.filename})" if error.filename else ""
        return Unavailable(f"{error.strerror}{where}", capacity.make_room("MODEL"))
    if denied := access.forbidden_to_group(error):  # the cache, or a remote that is a folder
        return Unavailable(denied.message, denied.hint)
    if isinstance(error, TimeoutError):  # a library's own, often without a word
        what = "the DVC remote did not answer in time"
        return NoAnswer(what, "check its address: dvc remote list")
    return _failure(error, "dvc remote list")


def _failure(error: Exception, hint: str) -> Unavailable:
    return Unavailable(f"DVC remote error: {redact.text(str(error)) or type(error).__name__}", hint)
