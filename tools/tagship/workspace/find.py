"""The Source and the Host of a folder: of the work tree that contains it, or of a host's own.

What only a host needs is imported for a host alone: it takes as long as a run of Git.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tagship.errors import Corrupt, NotFound, Refused
from tagship.host import installed, journal
from tagship.host import project as host_project
from tagship.host import settings as host_settings
from tagship.progress import Tell, nobody
from tagship.registry.settings import Settings
from tagship.text.conflicts import Conflicted
from tagship.text.encoded import NotUtf8
from tagship.workspace import checkout
from tagship.workspace.host import Host
from tagship.workspace.source import Source

STOPPED = "nothing can be released or deployed"

if TYPE_CHECKING:
    from tagship.workspace.host_file import HostFile
    from tagship.workspace.mirrored import Mirrored


def find(start: Path, tell: Tell = nobody) -> tuple[Source, Host]:
    """Where versions come from, and where they go, for a folder in a work tree or of a host.

    Args:
        start: the folder.
        tell: is told what to change in params.yaml.

    Raises:
        NotFound: there is no such folder, or it is not in a DVC repository; or the clone has one,
            and did not check it out.
        Corrupt, Refused: the settings cannot be read, or tagship.toml is not this host's own.
    """
    if folder := host_project.find_host(start):
        from tagship.workspace import host_file

        return of_host(folder, host_file.read(folder))
    project = _project(start)
    return _places(start, project, host_settings.read(project, tell))


def look(start: Path, tell: Tell) -> tuple[Source, Host]:
    """The same for who changes nothing: a merge in params.yaml does not stop the reader.

    Nor does what is not UTF-8 in it; nor a tagship.toml that cannot be read, and that runs
    nothing here.

    Args:
        start: a folder in the work tree.
        tell: is told that there is one, and whose settings are read; else as for ``find``.

    Raises:
        NotFound, Corrupt, Refused: as for ``find``.
    """
    if folder := host_project.find_host(start):
        mirror, host = of_host(folder, _look(folder, tell))
        return replace(mirror, is_for_reading=True), replace(host, is_for_reading=True)
    try:
        source, host = find(start, tell)
    except (Conflicted, NotUtf8) as error:
        how = "as before the merge" if isinstance(error, Conflicted) else "without it"
        project, notes = _project(start), [f"{error.message}: read {how}; {STOPPED}"]
        try:
            settings = host_settings.read_ours(project, notes.append)
        except Corrupt:
            raise error from None
        for note in notes:
            tell(note)
        source, host = _places(start, project, settings)
    return source, replace(host, is_for_reading=True)


def of_host(folder: Path, file: "HostFile") -> tuple["Mirrored", Host]:
    """The mirror of a host, and its folder; nothing is fetched."""
    from tagship.workspace import mirrored

    limit = file.settings.fetch_limit_bytes
    rules = {model: follow.rule for model, follow in file.follow.items()}
    gated = frozenset(model for model, follow in file.follow.items() if follow.gate is not None)
    host = Host(folder, file.settings, None, rules, gated)
    source = mirrored.Mirrored(
        mirrored.place_in(folder), folder, fetch_limit=limit, file=file, policy=lambda: host.policy
    )
    return source, host


def _look(folder: Path, tell: Tell) -> "HostFile":
    from tagship.workspace import host_file

    try:
        return host_file.look(folder)
    except (Corrupt, Refused) as error:
        tell(f"{error.message}; nothing is fetched or deployed until it is right")
        return host_file.nothing()


def _project(start: Path) -> Path:
    if not start.is_dir():
        raise NotFound(f"not a folder: {start}", "give one with -C DIR")
    try:
        return host_settings.require_project(start)
    except NotFound as error:
        raise checkout.why_no_project(start, error) from None


def _places(start: Path, project: Path, settings: Settings) -> tuple[Source, Host]:
    root = project / settings.root
    source = Source(
        start, project, root, settings.git_remote, settings.dvc_remote, settings.fetch_limit_bytes
    )
    return source, Host(root, settings, project)


def check_deployed(source: Source, host: Host, model: str) -> None:
    """Refuse a model of which no version is live on this host, or ever was.

    A first deploy that failed or was killed makes folders and events, but nothing to go back to.

    Raises:
        NotFound: there is no such model, with the nearest name; or it was never deployed here.
    """
    if not installed.was_live(host.store(model)):
        _refuse(source, model)


def check_present(source: Source, host: Host, model: str) -> None:
    """Refuse a model of which nothing is on this host, also not what a killed deploy left.

    Raises:
        NotFound: as for ``check_deployed``.
    """
    store = host.store(model)
    if not store.versions.is_dir() and not journal.events(store):
        _refuse(source, model)


def _refuse(source: Source, model: str) -> NoReturn:
    source.declared(model)
    raise NotFound(f"{model} was never deployed here", f"tagship deploy {model}")
