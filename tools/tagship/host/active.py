"""The live version, for programs that serve it: without Git or DVC, ``current`` read once."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tagship import loaders
from tagship.disk import shared_lock
from tagship.disk.shared_lock import SharedLock
from tagship.errors import Corrupt, NotFound, Refused, TagshipError
from tagship.host import link as host_link
from tagship.host import metadata, project, settings
from tagship.host.link import LinkState
from tagship.host.store import Store
from tagship.registry import artifacts, refs
from tagship.text import yaml

logger = logging.getLogger("tagship")


@dataclass(frozen=True)
class _Using:
    """Something that uses a version directory: a cleanup keeps that while this object lives.

    ``with`` ends the use at the end of the block.
    """

    lock: SharedLock = field(default_factory=SharedLock, kw_only=True, repr=False, compare=False)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        self.lock.close()


@dataclass(frozen=True)
class Live(_Using):
    """The live version of a model, resolved once: ``current`` can change at any moment.

    Attributes:
        directory: the version directory; use it, and never ``current``, for every file.
        path: the model's file or folder in it.
        lock: keeps the directory from a cleanup until ``lock.close()``, or while this object lives.
    """

    model: str
    version: str
    directory: Path
    path: Path


@dataclass(frozen=True)
class ActiveModel(_Using):
    """A loaded model. Other attributes are those of the framework's object: ``.predict(...)``.

    Attributes:
        model: the framework's own object.
        version: what is loaded; None for the pipeline's own output, which has no version.
        directory: where its files are.
        lock: keeps the directory from a cleanup until ``lock.close()``, or while this object lives.
    """

    model: Any = field(repr=False)
    name: str
    version: str | None
    directory: Path

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # copy and pickle probe for these before there is a model
            raise AttributeError(attribute)
        return getattr(self.model, attribute)


def store(model: str, start: Path | str = ".") -> Store:
    """The model's folder on this host, found without Git.

    Args:
        model: its name.
        start: a folder in a DVC repository; or the folder of a host, with tagship.toml.

    Raises:
        NotFound: it is neither.
    """
    root = settings.root_of(Path(start))
    return Store(root / refs.folder_name(refs.check_model(model)))


def resolve(model: str, start: Path | str = ".") -> Live:
    """Read ``current`` once, and return the live version; again if it was cleaned up meanwhile.

    Raises:
        NotFound: nothing is deployed.
        Refused: ``current`` is not a link that tagship made.
        Corrupt: it dangles, or its directory has no readable metadata.
    """
    folder = store(model, start)
    while True:
        directory = _live_directory(folder, model, Path(start))
        lock = shared_lock.acquire(directory)
        if lock is None:  # it was cleaned up meanwhile, and another version is live
            continue
        try:
            version, path = metadata.read_main(directory)
        except Corrupt:
            if directory.is_dir():  # else the same, where the file system has no locks
                raise
        else:
            return Live(model, version, directory, directory / path, lock=lock)


def current(model: str, start: Path | str = ".") -> tuple[str, Path]:
    """The live version and its directory, as ``resolve``, but without reading the metadata.

    Raises:
        NotFound, Refused, Corrupt: as for ``resolve``.
    """
    directory = _live_directory(store(model, start), model, Path(start))
    return host_link.version_of(directory.name), directory


def _live_directory(folder: Store, model: str, start: Path) -> Path:
    link = folder.own_link()
    if link.directory is None:
        _check_declared(model, start)
        raise NotFound(f"no version of {model} is live", f"tagship deploy {model}")
    if link.state is LinkState.DANGLING:
        version = host_link.version_of(link.directory)
        raise Corrupt(
            f"{folder.current} leads to {link.directory}, which is gone",
            f"tagship deploy {model}@{version} --force",
        )
    return folder.path(link.directory).resolve()


def load(
    model: str,
    start: Path | str = ".",
    *,
    loader: Callable[[Path], Any] | None = None,
    allow_pickle: bool = False,
) -> ActiveModel:
    """Load the live version; if that fails, load the pipeline's own output and log a warning.

    Args:
        model: the model's name.
        start: a folder in the workspace; or the folder of a host, which has no pipeline.
        loader: loads a path, instead of the loader that the file's suffix names.
        allow_pickle: load ``.joblib`` and ``.pkl`` too, which run the code that is in them.

    Raises:
        TagshipError: neither can be loaded; it says why, for both.
    """
    try:
        return _load_live(model, start, loader, allow_pickle)
    except TagshipError as error:
        if project.find_host(Path(start)):  # no pipeline runs there
            raise
        why = error
    try:
        path = _fallback(model, Path(start))
        loaded = _load(model, path, loader, allow_pickle)
    except TagshipError as error:
        raise TagshipError(
            f"{model} cannot be loaded: {why.message}; and not from the pipeline's output:"
            f" {error.message}",
            "; or: ".join(dict.fromkeys(hint for hint in (why.hint, error.hint) if hint)),
        ) from None
    logger.warning("%s is loaded from %s, which has no version: %s", model, path, why.message)
    return ActiveModel(loaded, model, None, path.parent)


def _load_live(
    model: str, start: Path | str, loader: Callable[[Path], Any] | None, allow_pickle: bool
) -> ActiveModel:
    """Load the live version; again if it was cleaned up while it was being loaded."""
    while True:
        live = resolve(model, start)
        try:
            loaded = _load(model, live.path, loader, allow_pickle)
            return ActiveModel(loaded, model, live.version, live.directory, lock=live.lock)
        except Exception:
            if live.directory.is_dir():
                raise


def _check_declared(model: str, start: Path) -> None:
    """Raise NotFound if dvc.yaml can be read and declares only other models."""
    with contextlib.suppress(Corrupt):
        declared = _declared(model, start)
        if declared and model not in declared:
            raise artifacts.unknown_model(model, declared)


def _declared(model: str, start: Path) -> dict[str, artifacts.Artifact | Corrupt]:
    """The artifacts that dvc.yaml of the work tree declares; empty if it does not exist."""
    if project.find_host(start):
        return {}
    folder, name = artifacts.pipeline_of(model)
    try:
        data = (project.find_top(settings.require_project(start)) / name).read_bytes()
    except FileNotFoundError:
        return {}
    return artifacts.read(yaml.parse(data, name), folder)


def _fallback(model: str, start: Path) -> Path:
    """The path of the artifact in the work tree, as its dvc.yaml declares it."""
    declared = _declared(model, start)
    if model not in declared:
        raise artifacts.unknown_model(model, declared)
    path = (
        project.find_top(settings.require_project(start)) / artifacts.readable(declared[model]).path
    )
    if not path.exists():
        raise NotFound(f"{path} does not exist", "dvc repro, or dvc pull")
    return path


def _load(model: str, path: Path, loader: Callable[[Path], Any] | None, allow_pickle: bool) -> Any:
    if loader is not None:
        return loader(path)
    known = loaders.need(path, allow_unsafe=allow_pickle)
    try:
        return loaders.load(known, path)
    except TagshipError:
        raise
    except ImportError as error:
        raise Refused(
            f"{path.name} needs {error.name}, which is not installed",
            f'pip install "{known.requirement}"',
        ) from None
    except Exception as error:
        raise Corrupt(
            f"{path} does not load: {error}",
            f"tagship verify {model}; if it is intact, train and release it again",
        ) from error
