"""Which versions a host has: the live one, the directories, and whether they are intact."""

from pathlib import Path

from tagship.disk.files import METADATA
from tagship.errors import Corrupt, Forbidden
from tagship.host import journal, link, metadata
from tagship.host.history import Place
from tagship.host.link import LinkState
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.progress import Progress, silent
from tagship.registry import refs

GONE = "is not here"  # a version directory, or any of a version that was never deployed


def live_place(store: Store) -> Place | None:
    """The version that ``current`` points to; from its directory's metadata, or else its name.

    None also where neither says one: a folder that tagship did not make.
    """
    directory = store.live()
    if directory is None:
        return None
    described = read_metadata(store, directory)
    version = described.version if described else link.version_of(directory)
    return Place(version, directory) if refs.is_version(version) else None


def told_live(store: Store) -> Place | None:
    """The same for commands that only report: also None if ``current`` is not tagship's link."""
    ours = store.link().state in (LinkState.OK, LinkState.DANGLING)
    return live_place(store) if ours else None


def was_live(store: Store) -> bool:
    """Whether a version is live here, or once was, by the history.

    Raises:
        Corrupt: the history cannot be read.
    """
    if store.link().state is not LinkState.NONE:
        return True
    return any(event.switched for event in reversed(journal.events(store)))


def live_metadata(store: Store) -> Metadata | None:
    """The metadata of the live version; None where nothing is live, or it cannot be read."""
    directory = store.live()
    return None if directory is None else read_metadata(store, directory)


def read_metadata(store: Store, directory: str) -> Metadata | None:
    """The metadata of a version directory; None where it has none that can be read."""
    try:
        return metadata.read(store.path(directory))
    except (Corrupt, Forbidden):
        return None


def files_by_md5(store: Store) -> dict[str, Path]:
    """The files of the version directories here, by the md5 that their metadata have.

    Whoever takes one hashes it: it may have been changed. What is gone is left out.
    """
    return {
        file.md5: path
        for directory in store.directories()
        if (described := read_metadata(store, directory))
        for file in described.files
        if (path := store.path(directory) / file.path).is_file()
    }


def by_seq(store: Store) -> list[str]:
    """The names below versions/, by the ``seq`` of their deployment, the oldest first."""

    def seq(directory: str) -> int:
        described = read_metadata(store, directory)
        return described.deployment.seq if described and described.deployment else 0

    return sorted(store.directories(), key=seq)


def is_broken(
    store: Store,
    directory: str,
    *,
    deep: bool,
    touched: bool = True,
    progress: Progress = silent,
) -> bool:
    """Whether a version directory is missing, or differs from its metadata: see ``damage``."""
    return bool(damage(store, directory, deep=deep, touched=touched, progress=progress))


def damage(
    store: Store,
    directory: str,
    *,
    deep: bool,
    touched: bool = True,
    progress: Progress = silent,
) -> str:
    """How a version directory differs from its metadata, in words; empty where it does not.

    Args:
        store: the model's folder.
        directory: a name below versions/.
        deep: hash the files.
        touched: only those that changed since they were deployed; else all.
        progress: is called with the bytes hashed.
    """
    if directory not in store.directories():
        return GONE
    described = read_metadata(store, directory)
    if described is None:
        return f"{METADATA} is missing, or cannot be read"
    path = store.path(directory)
    problems = metadata.verify(path, described, deep=deep, touched=touched, progress=progress)
    return f"{problems[0].path} {problems[0].what}" if problems else ""
