"""Rows of ``list`` and ``models``: what the tags carry, and which of it is on this host.

They import little: a person waits for them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from tagship.disk.access import explain
from tagship.errors import Corrupt, Forbidden, TagshipError, Unavailable
from tagship.host import decisions, installed, journal, link
from tagship.host.decisions import Decisions
from tagship.host.store import Store
from tagship.inspect import find
from tagship.progress import Tell, nobody
from tagship.registry.artifacts import Artifact
from tagship.registry.catalog import Catalog, Release
from tagship.registry.refs import Wanted
from tagship.text import clock
from tagship.workspace import desired
from tagship.workspace.host import Host
from tagship.workspace.source import Source


@dataclass(frozen=True)
class ModelRow:
    """One model: what is live, what is the latest, and the live version's bytes.

    Attributes:
        path: as HEAD declares it, on a host its newest version; None for a model that is deployed
            here and left dvc.yaml, or was not fetched.
        note: what of it cannot be read here, or that HEAD declares it no more; None otherwise.
    """

    model: str
    path: str | None
    live: str | None
    latest: str | None
    behind: bool
    size: int | None
    deprecated: bool
    note: str | None = None


@dataclass(frozen=True)
class VersionRow:
    """One version: its tag, and its state on this host. ``size`` is in bytes.

    ``withdrawn``: it alone is not available; the others are not either where the model is
    deprecated.
    """

    version: str
    tag: str
    at: str
    commit: str
    size: int | None
    metrics: dict[str, Any]
    stages: tuple[str, ...]
    on_disk: bool
    live: bool
    pinned: bool
    offered: bool
    withdrawn: bool


def models(source: Source, host: Host, tell: Tell = nobody) -> list[ModelRow]:
    """One row for each model that HEAD declares, or that is deployed here; ``tell`` as for
    ``versions``."""
    declared, catalogs = source.artifacts(), source.catalogs()
    names = find.models(declared, host, source, tell)
    known = {model: catalogs.get(model, Catalog(model)) for model in sorted(names)}
    _tell_lacking(source, known.values(), tell)
    for error in source.unreadable():
        tell(f"{error.message}: {error.hint}")
    return [_model_row(host, declared.get(model), catalog) for model, catalog in known.items()]


def _model_row(host: Host, entry: Artifact | Corrupt | None, known: Catalog) -> ModelRow:
    artifact = entry if isinstance(entry, Artifact) else None
    note = None if entry else ": ".join(find.undeclared(known.model))
    if isinstance(entry, Corrupt):
        note = entry.message
    is_readable = True
    try:
        store = host.store(known.model)
        live = installed.told_live(store)
        described = installed.read_metadata(store, live.directory) if live else None
    except (Corrupt, Forbidden, OSError) as error:  # one model's trouble is not the others'
        live, described, (note, _), is_readable = None, None, explain(error), False
    latest = str(known.latest.version) if known.latest else None
    wish = _desired(store, known, host.rules.get(known.model)) if is_readable else None
    return ModelRow(
        known.model,
        artifact.path or None if artifact else None,
        live.version if live else None,
        latest,
        wish is not None and (live is None or live.version != wish),
        described.size if described else None,
        known.deprecated,
        note,
    )


def _desired(store: Store, known: Catalog, follows: Wanted | None) -> str | None:
    """The version that should be live; None where the history cannot tell: ``status`` says so."""
    try:
        decided = decisions.read(journal.events(store), follows)
    except (Corrupt, Forbidden, OSError):
        decided = Decisions(rule=follows.text if follows else None)
    wish = desired.desired(known, desired.rule_of(known.model, decided), decided)
    return str(wish.release.version) if wish.release else None


def versions(source: Source, store: Store, model: str, tell: Tell = nobody) -> list[VersionRow]:
    """Every version that a tag carries, lowest first.

    Args:
        source: where the tags are.
        store: where the versions are.
        model: its name.
        tell: is told of versions, or their metrics, that are not here, and the command that
            fetches them.

    Raises:
        NotFound: there is neither such a model nor a tag of it.
    """
    known = source.catalog(model)
    _tell_lacking(source, [known], tell)
    return rows(source, store, known, tell)


def rows(source: Source, store: Store, known: Catalog, tell: Tell = nobody) -> list[VersionRow]:
    """The same, of a catalog; ``tell`` is told of metrics that are not here."""
    live = installed.told_live(store)
    on_disk = {link.version_of(directory) for directory in store.directories()}
    pins = store.pins()
    unread: dict[str, Unavailable] = {}
    table = [
        VersionRow(
            str(release.version),
            str(release.tag.name),
            clock.stamp(release.tag.at),
            release.commit,
            *_size_and_metrics(source, known.model, release, unread),
            release.stages,
            str(release.version) in on_disk,
            live is not None and live.version == str(release.version),
            str(release.version) in pins,
            release.active,
            not (release.active or known.deprecated),
        )
        for release in known.releases
    ]
    _tell_unread(known.model, unread, tell)
    return table


def _tell_unread(model: str, unread: dict[str, Unavailable], tell: Tell) -> None:
    """Tell once which versions' commits are not whole in this clone, and why the first is not."""
    if not unread:
        return
    version, error = next(iter(unread.items()))
    more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
    what = f"size and metrics of {version}{more} cannot be read"
    tell(": ".join(filter(None, (model, what, error.message, error.hint))))


def _tell_lacking(source: Source, catalogs: Collection[Catalog], tell: Tell) -> None:
    """Tell which versions may not be in this clone; in one line what several models have."""
    models: dict[str, list[str]] = {}
    for known in catalogs:
        lacking = source.lacking(known)
        if lacking is not None:
            line = ": ".join(lacking)
            if len(catalogs) > 1:
                line = line.replace(f"tagship release {known.model}", "tagship release MODEL")
            models.setdefault(line, []).append(known.model)
    for line, names in models.items():
        tell(f"{', '.join(names)}: {line}")


def _size_and_metrics(
    source: Source, model: str, release: Release, unread: dict[str, Unavailable]
) -> tuple[int | None, dict[str, Any]]:
    """From the tag's message; from the commit where GTO or a person made the tag.

    ``unread`` gets the version whose commit is not whole in this clone.
    """
    if release.metrics is not None:
        return release.size, release.metrics
    try:
        snapshot = source.snapshot(release.commit, model)
        metrics = source.metrics(snapshot)
    except Unavailable as error:
        unread[str(release.version)] = error
        return None, {}
    except TagshipError:  # the tag is older than the artifact's declaration: listed all the same
        return None, {}
    return sum(pointer.size or 0 for pointer in snapshot.pointers), metrics
