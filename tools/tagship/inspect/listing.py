"""Rows of ``list`` and ``models``: what the tags carry, and which of it is on this host.

They import little: a person waits for them.
"""

from dataclasses import dataclass
from typing import Any

from tagship.errors import Corrupt, TagshipError, explain
from tagship.host import installed, link
from tagship.host.store import Store
from tagship.registry import artifacts
from tagship.registry.catalog import Catalog, Release
from tagship.text import clock
from tagship.workspace.host import Host
from tagship.workspace.source import Source


@dataclass(frozen=True)
class ModelRow:
    """One model: what is live, what is the latest, and the live version's bytes.

    ``note`` says what of it cannot be read here; None where all can.
    """

    model: str
    path: str
    live: str | None
    latest: str | None
    behind: bool
    size: int | None
    deprecated: bool
    note: str | None = None


@dataclass(frozen=True)
class VersionRow:
    """One version: its tag, and its state on this host. ``size`` is in bytes."""

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


def models(source: Source, host: Host) -> list[ModelRow]:
    """One row for each model that HEAD declares."""
    catalogs = source.catalogs()
    return [
        _model_row(host.store(model), entry, catalogs.get(model, Catalog(model)))
        for model, entry in sorted(source.artifacts().items())
    ]


def _model_row(store: Store, entry: artifacts.Artifact | Corrupt, known: Catalog) -> ModelRow:
    note = path = None
    try:
        path = artifacts.readable(entry).path
        live = installed.told_live(store)
        described = installed.read_metadata(store, live.directory) if live else None
    except (Corrupt, OSError) as error:  # one model's trouble is not the others'
        live, described, (note, _) = None, None, explain(error)
    latest = str(known.latest.version) if known.latest else None
    return ModelRow(
        known.model,
        path or "",
        live.version if live else None,
        latest,
        note is None and known.is_ahead_of(live.version if live else None),
        described.size if described else None,
        known.deprecated,
        note,
    )


def versions(source: Source, store: Store, model: str) -> list[VersionRow]:
    """Every version that a tag carries, lowest first.

    Raises:
        NotFound: there is neither such a model nor a tag of it.
    """
    known = source.catalog(model)
    live = installed.told_live(store)
    on_disk = {link.version_of(directory) for directory in store.directories()}
    pins = store.pins()
    return [
        VersionRow(
            str(release.version),
            str(release.tag.name),
            clock.stamp(release.tag.at),
            release.commit,
            *_size_and_metrics(source, model, release),
            release.stages,
            str(release.version) in on_disk,
            live is not None and live.version == str(release.version),
            str(release.version) in pins,
            release.active,
        )
        for release in known.releases
    ]


def _size_and_metrics(
    source: Source, model: str, release: Release
) -> tuple[int | None, dict[str, Any]]:
    """From the tag's message; from the commit where GTO or a person made the tag."""
    if release.metrics is not None:
        return release.size, release.metrics
    try:
        snapshot = source.snapshot(release.commit, model)
        metrics = source.metrics(snapshot)
    except TagshipError:  # the tag is older than the artifact's declaration: listed all the same
        return None, {}
    return sum(pointer.size or 0 for pointer in snapshot.pointers), metrics
