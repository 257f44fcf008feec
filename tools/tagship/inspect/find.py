"""One version: its tag and its metadata."""

from collections.abc import Iterable
from typing import Any

from tagship.errors import Corrupt, Forbidden, Refused, TagshipError
from tagship.host import history, installed, journal
from tagship.host.link import CURRENT, LinkState
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.progress import Tell, nobody
from tagship.registry.catalog import Release
from tagship.registry.project_files import HOST_FILE
from tagship.registry.refs import Ref
from tagship.workspace import rollout
from tagship.workspace.host import Host
from tagship.workspace.source import Source


def models(
    declared: Iterable[str], host: Host, source: Source | None = None, tell: Tell = nobody
) -> list[str]:
    """The models that HEAD declares, and the others that are deployed here.

    Args:
        declared: the models that HEAD declares.
        host: where they are deployed.
        source: whose models they are: those of other DVC repositories are left out.
        tell: is told which are left out.
    """
    known = set(declared)
    if source is not None:
        away = {model for model in source.of_others(known) if not is_deployed(host, model)}
        declared = known.difference(source.of_others(away, tell))
    others = host.models_with(CURRENT, history.FILE_NAME).difference(declared)
    return sorted({*declared, *(name for name in others if is_deployed(host, name))})


def is_deployed(host: Host, model: str) -> bool:
    """Whether a version is live here; or should be, by the history, and its link is gone."""
    try:
        store = host.store(model)
        if store.link().state in (LinkState.OK, LinkState.DANGLING):
            return True
        return history.last_good(journal.events(store)) is not None
    except (Corrupt, Forbidden, Refused, OSError):
        return False


def unfollowed(model: str) -> tuple[str, str]:
    """What is said of a model that is deployed on a host, and that tagship.toml does not name."""
    what = f"{model} is not followed any more: what is live stays"
    return what, f"tagship undeploy {model}, or add [follow.{model}] to {HOST_FILE}"


def undeclared(model: str) -> tuple[str, str]:
    """What is said of a model that is deployed here and left dvc.yaml, and what to do."""
    declare = "declare it again under artifacts: in dvc.yaml and commit"
    return f"HEAD declares no model {model}", f"tagship undeploy {model}, or {declare}"


def show(source: Source, store: Store, ref: Ref) -> Metadata:
    """The metadata of a version: as it was deployed, or else as its tag has it.

    Raises:
        NotFound, Refused: there is no such version.
    """
    return describe(source, store, find(source, ref))


def staging(source: Source, ref: Ref) -> dict[str, Any] | None:
    """The rollout of a version as JSON values; ``wrong``: why it is none. None where it has none.

    Raises:
        NotFound, Refused: there is no such version.
    """
    release = find(source, ref)
    try:
        found = source.rollout(release.commit, ref.model)
    except TagshipError as error:
        return {"wrong": error.message}
    return rollout.plain(found) if found is not None else None


def find(source: Source, ref: Ref) -> Release:
    """A version; deregistered ones too, since they were released.

    Raises:
        NotFound, Refused: there is no such version.
    """
    known = source.catalog(ref.model)
    if ref.wanted.exact is not None and (release := known.get(str(ref.wanted.exact))):
        return release
    return source.find(known, ref)


def describe(source: Source, store: Store, release: Release) -> Metadata:
    """A version as it was deployed here, or else as its tag has it."""
    for directory in reversed(installed.by_seq(store)):
        described = installed.read_metadata(store, directory)
        if described and described.version == str(release.version):
            return described
    snapshot = source.tagged(release)
    return source.describe(release, snapshot, source.promised(snapshot))
