"""The live version, and those that are kept: found without Git or DVC, ``current`` read once."""

import contextlib
import difflib
import os
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from semver import Version

from tagship.disk import shared_lock
from tagship.disk.files import METADATA
from tagship.disk.shared_lock import SharedLock
from tagship.errors import Corrupt, InvalidName, NotFound
from tagship.host import history, metadata, project, settings, went_live
from tagship.host import link as host_link
from tagship.host.link import LinkState
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.host.went_live import Moment
from tagship.registry import artifacts, refs
from tagship.registry.project_files import HOST_FILE, ROOT
from tagship.registry.refs import Wanted
from tagship.text import yaml


@dataclass(frozen=True)
class Using:
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
class Live(Using):
    """A version of a model on this host, resolved once: ``current`` can change at any moment.

    Attributes:
        directory: the version directory; use it, and never ``current``, for every file.
        path: the model's file or folder in it.
        digest: of all its files, in hex: the SHA-256 of their SHA-256 digests, in the order of
            their paths. The same version has the same on every host.
        seq: the number of the event in the history that made it live, when it was resolved. A
            rollback has a higher one than what it goes back from.
        since: when that was, in UTC: ``2026-11-23T15:51:24Z``; empty if it was never deployed.
        text: the bytes of its metadata.json.
        lock: keeps the directory from a cleanup until ``lock.close()``, or while this object lives.
    """

    model: str
    version: str
    directory: Path
    path: Path
    digest: str
    seq: int
    since: str
    text: bytes = field(repr=False, compare=False)

    @cached_property
    def metadata(self) -> Metadata:
        """All that is known about the version: its metadata.json, as it was when resolved."""
        return metadata.of_bytes(self.text)


def store(model: str, start: Path | str = ".", root: Path | str | None = None) -> Store:
    """The model's folder on this host, found without Git.

    Args:
        model: its name.
        start: a folder in a DVC repository; or the folder of a host, with tagship.toml.
        root: the folder of the models instead, whatever else is in it. Without it, and with the
            working directory as ``start``, the environment variable TAGSHIP_ROOT names it.

    Raises:
        NotFound: there is neither.
    """
    named = project.named_root(Path(start), root)
    if named is not None and not named.is_dir() and os.path.lexists(named):
        raise _no_folder(named)
    folder = settings.root_of(Path(start)) if named is None else named
    return Store(folder / refs.folder_name(refs.check_model(model)))


def unpacked(folder: Store) -> Path | None:
    """The folder of all models, where it is itself a version; else None.

    That is what ``models/`` of an image is (docs/oci.md): mounted, or written by ``unpack``.

    Args:
        folder: of the model; a link ``current`` in it counts more.
    """
    root = folder.folder.parent
    return root.resolve() if (root / METADATA).is_file() else None


def resolve(model: str, start: Path | str = ".", *, root: Path | str | None = None) -> Live:
    """Read ``current`` once, and return the live version; again if it was cleaned up meanwhile.

    Args:
        model: its name.
        start: a folder in the workspace; or the folder of a host.
        root: a plain folder of models instead, as for ``load``.

    Raises:
        NotFound: nothing is deployed.
        Refused: ``current`` is not a link that tagship made.
        Corrupt: it dangles, or its directory has no readable metadata.
    """
    folder = store(model, start, root)
    while True:
        live = _held(folder, model, _live_directory(folder, model, Path(start), root))
        if live is not None:  # else it was cleaned up meanwhile, and another version is live
            return live


def at(
    model: str, version: str, start: Path | str = ".", *, root: Path | str | None = None
) -> Live:
    """A version that is kept on this host, live or not.

    Args:
        model: its name.
        version: ``1.1.0``, ``1.1`` (the highest that matches), ``latest``, a whole tag, or the
            name of a version directory. Of several directories of a version it is the live one, or
            the newest.
        start: a folder in the workspace; or the folder of a host.
        root: a plain folder of models instead, as for ``load``.

    Raises:
        NotFound: the version is not on this host.
        InvalidName: it is not a version.
        Corrupt: its directory has no readable metadata.
    """
    refs.check_text(version)
    folder = store(model, start, root)
    if (whole := _whole(folder, model)) is not None:
        return _of_whole(whole, folder, model, version)
    while True:
        live = _held(folder, model, folder.path(_kept(folder, model, version)).resolve())
        if live is not None:
            return live


def held_again(live: Live) -> SharedLock:
    """Another lock on the directory of a version.

    Raises:
        NotFound: it was cleaned up.
    """
    lock = shared_lock.acquire(live.directory)
    if lock is None:
        raise NotFound(
            f"{live.directory} is gone: nothing kept it from a cleanup",
            f"tagship deploy {live.model}@{live.version}",
        )
    return lock


def current(
    model: str, start: Path | str = ".", *, root: Path | str | None = None
) -> tuple[str, Path]:
    """The live version and its directory, as ``resolve``, but without reading the metadata.

    Raises:
        NotFound, Refused, Corrupt: as for ``resolve``.
    """
    directory = _live_directory(store(model, start, root), model, Path(start), root)
    version = host_link.version_of(directory.name) if metadata.is_deployed(directory) else ""
    return version or metadata.read_main(directory).version, directory


def _whole(folder: Store, model: str) -> Path | None:
    """The folder of all models, where that is a version of this one and nothing is live in it.

    Raises:
        NotFound: it is a version of another model.
        Corrupt: it has no readable metadata.
    """
    directory = None if os.path.lexists(folder.current) else unpacked(folder)
    if directory is not None and (other := metadata.read_main(directory).model) != model:
        raise NotFound(f"{directory} has a version of {other}, and not of {model}", f"name {other}")
    return directory


def _of_whole(directory: Path, folder: Store, model: str, version: str) -> Live:
    """That version, if it is the one that a text names."""
    live = _held(folder, model, directory)
    if live is not None and version == directory.name:
        return live
    wanted = Wanted.parse(version, model)
    if live is None or wanted.select([Version.parse(live.version)]) is None:
        has = metadata.read_main(directory).version
        raise NotFound(
            f"{model} {version.removeprefix('v')} is not on this host", f"on disk: {has}"
        )
    return live


def _held(folder: Store, model: str, directory: Path) -> Live | None:
    """A version that is locked; None if it was cleaned up meanwhile.

    Raises:
        Corrupt: it has no readable metadata.
    """
    lock = shared_lock.acquire(directory)
    if lock is None:
        return None
    try:
        main = metadata.read_main(directory)
    except Corrupt:
        if directory.is_dir():  # else it was cleaned up, where the file system has no locks
            raise
        return None
    moment = went_live.moment(folder, directory.name, Moment(main.seq, main.at))
    return Live(
        model, main.version, directory, directory / main.path, main.digest, moment.seq,
        moment.since, main.text, lock=lock,
    )  # fmt: skip


def _live_directory(folder: Store, model: str, start: Path, root: Path | str | None) -> Path:
    if (whole := _whole(folder, model)) is not None:
        return whole
    link = folder.own_link()
    if link.directory is None:
        named = project.named_root(start, root)
        if named is not None:
            raise _not_live(folder, model, named)
        _check_declared(model, start)
        raise NotFound(f"no version of {model} is live", f"tagship deploy {model}")
    if link.state is LinkState.DANGLING:
        version = host_link.version_of(link.directory)
        raise Corrupt(
            f"{folder.current} leads to {link.directory}, which is gone",
            metadata.again(model, version),
        )
    return folder.path(link.directory).resolve()


def nearest(folder: Path) -> list[str]:
    """The model that was deployed beside a folder, of nearly its name; or all that were."""
    links = folder.parent.glob(f"*/{host_link.CURRENT}")
    known = sorted(path.parent.name for path in links)
    return difflib.get_close_matches(folder.name, known, 1) or known


def _no_folder(root: Path) -> NotFound:
    hint = f"name the folder of the models: root=, or {project.VARIABLE}"
    return NotFound(f"not a folder: {root}", hint)


def check_root(root: Path) -> None:
    """Check that a folder of models is not that of one model.

    Args:
        root: it has a folder for each model, and not the link of one.

    Raises:
        NotFound: it is the folder of one model.
    """
    if (root / host_link.CURRENT).is_symlink() and (root / host_link.VERSIONS).is_dir():
        parent = shlex.quote(str(root.absolute().parent))
        raise NotFound(f"{root} is the folder of one model", f"name the folder above it: {parent}")


def _not_live(folder: Store, model: str, root: Path) -> NotFound:
    """Why nothing is live in a folder of models that somebody named.

    Raises:
        NotFound: it is the folder of one model.
    """
    check_root(root)
    if not root.is_dir():
        return _no_folder(root)
    if not folder.folder.is_dir():
        near, inner = nearest(folder.folder), root / ROOT
        hint = (
            f"there are: {', '.join(near)}" if near else f"name the folder of the models: {inner}"
        )
        return NotFound(f"{root} has no folder of the model {model}", hint)
    hint = "copy its folder with the link in it: cp -a, or rsync -a"
    if (root / HOST_FILE).is_file() or project.find_project(root):
        hint = f"tagship -C {shlex.quote(str(root))} deploy {model}"
    return NotFound(f"no version of {model} is live in {root}", hint)


def _kept(folder: Store, model: str, version: str) -> str:
    """The name below versions/ of a version."""
    names = [name for name in folder.directories() if history.is_directory(name)]
    if version in names:
        return version
    wanted = Wanted.parse(version, model)
    if wanted.stage is not None:
        raise InvalidName(f"{version!r} is a stage, and not a version of {model}", "give 1.2.0")
    texts = [text for name in names if refs.is_version(text := host_link.version_of(name))]
    selected = wanted.select(map(Version.parse, texts))
    if selected is None:
        hint = f"on disk: {', '.join(sorted(set(texts)))}" if texts else f"tagship deploy {model}"
        raise NotFound(f"{model} {version.removeprefix('v')} is not on this host", hint)
    ours = [name for name in names if host_link.version_of(name) == str(selected)]
    live = folder.link().directory
    return live if live in ours else max(ours, key=lambda name: _seq(folder, name))


def _seq(folder: Store, directory: str) -> int:
    """The number of the deploy that made a directory; 0 where its metadata cannot be read."""
    with contextlib.suppress(Corrupt):
        return metadata.read_main(folder.path(directory)).seq
    return 0


def _check_declared(model: str, start: Path) -> None:
    """Raise NotFound if dvc.yaml can be read and declares only other models."""
    with contextlib.suppress(Corrupt):
        known = declared(model, start)
        if known and model not in known:
            raise artifacts.unknown_model(model, known)


def declared(model: str, start: Path) -> dict[str, artifacts.Artifact | Corrupt]:
    """The artifacts that dvc.yaml of the work tree declares; empty if it does not exist."""
    if project.find_host(start):
        return {}
    folder, name = artifacts.pipeline_of(model)
    try:
        data = (project.find_top(settings.require_project(start)) / name).read_bytes()
    except FileNotFoundError:
        return {}
    return artifacts.read(yaml.parse(data, name), folder)
