"""The Source and the Host of the work tree that contains a folder."""

from pathlib import Path

from tagship.errors import NotFound
from tagship.host import journal
from tagship.host import settings as host_settings
from tagship.workspace.host import Host
from tagship.workspace.source import Source


def find(start: Path) -> tuple[Source, Host]:
    """Where versions come from, and where they go, for a folder in a work tree.

    Raises:
        NotFound: there is no such folder, or not in a DVC repository.
    """
    if not start.is_dir():
        raise NotFound(f"not a folder: {start}", "give one with -C DIR")
    project = host_settings.require_project(start)
    settings = host_settings.read(project)
    root = project / settings.root
    source = Source(start, project, root, settings.git_remote, settings.dvc_remote)
    return source, Host(root, settings, project)


def check_deployed(source: Source, host: Host, model: str) -> None:
    """Refuse a model that was never deployed on this host.

    Raises:
        NotFound: there is no such model, with the nearest name; or it was never deployed here.
    """
    store = host.store(model)
    if not store.versions.is_dir() and not journal.events(store):
        source.declared(model)
        raise NotFound(f"{model} was never deployed here", f"tagship deploy {model}")
