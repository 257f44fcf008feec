"""Two versions of a model side by side: which is better, and what changed. Touches nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tagship.errors import Corrupt, Forbidden, NotFound, Unavailable
from tagship.git import commits
from tagship.host import history, installed, journal, link
from tagship.host.metadata import Metadata
from tagship.host.store import Store
from tagship.inspect import find
from tagship.loaders.selftest import SelfTest
from tagship.registry import metrics
from tagship.registry.catalog import Release
from tagship.registry.metrics import MetricChange
from tagship.registry.refs import Ref, Wanted
from tagship.text import clock, redact, yaml
from tagship.workspace.source import Source

MOST_COMMITS = 50  # that are listed; all are counted


@dataclass(frozen=True)
class Side:
    """One of the two versions; ``size`` is in bytes, ``at`` when it was tagged."""

    version: str
    tag: str
    at: str
    commit: str
    author: str
    size: int
    live: bool
    on_disk: bool


@dataclass(frozen=True)
class Change:
    """A value that differs in the later version; None where a version does not have it."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class CommitLine:
    """A commit in a line; ``at`` is ISO 8601 in UTC."""

    id: str
    at: str
    author: str
    subject: str


@dataclass(frozen=True)
class Comparison:
    """How ``after`` differs from ``before``. Metrics are listed even if they are equal.

    Attributes:
        params: dotted parameters.
        inputs: md5 by path, of every file that a stage reads: data and code.
        commands: of the stages that made the model, by the stage's name.
        architecture: None where one of the two was never loaded here.
        self_test: what the model takes and gives; None where one of the two has no self-test here.
        commits: the newest that ``after`` has and ``before`` lacks, ``MOST_COMMITS`` at most.
        ahead, behind: how many commits ``after`` has more, and fewer; None if this clone is
            shallow, or does not have both versions.
        unknown: why something cannot be compared, by the attribute's name.
    """

    model: str
    before: Side
    after: Side
    metrics: tuple[MetricChange, ...]
    params: tuple[Change, ...]
    inputs: tuple[Change, ...]
    commands: tuple[Change, ...]
    architecture: tuple[Change, ...] | None
    self_test: tuple[Change, ...] | None
    commits: tuple[CommitLine, ...]
    ahead: int | None
    behind: int | None
    unknown: Mapping[str, str]


def compare(
    source: Source,
    store: Store,
    model: str,
    before: Wanted | None = None,
    after: Wanted | None = None,
    better: Mapping[str, str] = MappingProxyType({}),
) -> Comparison:
    """Compare two versions.

    Args:
        source: where the versions are.
        store: the model's folder on this host.
        model: the model.
        before: a version; None for the live one. If neither is named and the live one is the
            latest, it is compared with the previously live one.
        after: a version; None for the latest.
        better: which way a metric is better, by its name, as the settings say.

    Raises:
        NotFound, Refused: there is no such version, or nothing is live.
    """
    first = find.find(source, Ref(model, before or _live(source, store, model)))
    second = find.find(source, Ref(model, after or Wanted()))
    if before is None and after is None and first == second:
        first = _before(source, store, first)
    old, new = find.describe(source, store, first), find.describe(source, store, second)
    fewer, more = _apart(source, first, second)
    architecture = _changes_of_known(old.architecture, new.architecture)
    self_test = _changes_of_known(
        _form(source, store, first, old), _form(source, store, second, new)
    )
    unknown = _not_recorded(old, new)
    if architecture is None:
        unknown["architecture"] = _not_loaded(old, new)
    if self_test is None:
        unknown["self_test"] = "none defined"
    if more is None:
        unknown["commits"] = "shallow or incomplete clone: git fetch --unshallow --tags"
    return Comparison(
        model,
        _side(store, old),
        _side(store, new),
        metrics.changes(old.metrics, new.metrics, better),
        changes(yaml.flat(old.params), yaml.flat(new.params)),
        changes(_inputs(old), _inputs(new)),
        changes(_commands(old), _commands(new)),
        architecture,
        self_test,
        tuple(_line(commit) for commit in (more or [])[:MOST_COMMITS]),
        None if more is None else len(more),
        None if fewer is None else len(fewer),
        unknown,
    )


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """The differences, in the order of the later version. Pure."""
    names = [*after, *(name for name in before if name not in after)]
    return tuple(
        Change(name, before.get(name), after.get(name))
        for name in names
        if (name in before) != (name in after) or before[name] != after[name]
    )


def _live(source: Source, store: Store, model: str) -> Wanted:
    live = installed.told_live(store)
    if live is None:
        source.catalog(model)  # an unknown model is reported first
        hint = f"name the versions: tagship compare {model} 1.0 1.1, or: tagship deploy {model}"
        raise NotFound(f"no version of {model} is live", hint)
    return Wanted.parse(live.version, model)


def _before(source: Source, store: Store, live: Release) -> Release:
    """The previously live version; or else the highest that was released before the live one.

    Raises:
        NotFound: there is no other version.
    """
    model, version = live.tag.name.model, str(live.version)
    known = source.catalog(model)
    places = [period.place for period in history.periods(journal.events(store))]
    others = [place.version for place in places if place.version != version]
    before = [release for release in known.offered if release.version < live.version]
    first = (known.get(others[-1]) if others else None) or (before[-1] if before else None)
    if first is None:
        what = f"{model} has no version before {version} to compare it with"
        raise NotFound(what, f"after the next one: tagship release {model}")
    return first


def _side(store: Store, described: Metadata) -> Side:
    live = installed.told_live(store)
    on_disk = {link.version_of(directory) for directory in store.directories()}
    return Side(
        described.version,
        described.tag.name,
        described.tag.at,
        described.commit.id,
        described.commit.author,
        described.size,
        live is not None and live.version == described.version,
        described.version in on_disk,
    )


def _inputs(described: Metadata) -> dict[str, str | None]:
    """The md5 of every file that a stage read."""
    return {dep["path"]: dep["md5"] for stage in described.lineage for dep in stage["deps"]}


def _commands(described: Metadata) -> dict[str, str]:
    return {stage["stage"]: stage["command"] for stage in described.lineage}


def _not_recorded(before: Metadata, after: Metadata) -> dict[str, str]:
    """What neither version has, and why. Pure."""
    lineage = {
        "params": (yaml.flat(before.params), yaml.flat(after.params)),
        "inputs": (_inputs(before), _inputs(after)),
        "commands": (_commands(before), _commands(after)),
    }
    has_stage = bool(before.lineage or after.lineage)
    why = "the stages have none" if has_stage else f"no stage makes {after.model}"
    unknown = {name: f"not recorded: {why}" for name, pair in lineage.items() if not any(pair)}
    old, new = lineage["inputs"]
    if outside := [path for path in old if old[path] is None and new.get(path, "") is None]:
        unknown["inputs"] = f"not recorded: DVC has no MD5 of {', '.join(outside)}"
    return unknown


def _not_loaded(*sides: Metadata) -> str:
    """Why the architecture of one of them is not known. Pure."""
    for side in sides:
        if side.architecture is None and side.deployment is not None:
            return f"the smoke test of {side.version} was {side.smoke_test or 'not run'}"
    return "known after a deploy on this host"


def _changes_of_known(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[Change, ...] | None:
    return None if before is None or after is None else changes(before, after)


def _form(
    source: Source, store: Store, release: Release, described: Metadata
) -> dict[str, Any] | None:
    """Inputs and outputs of a version's self-test; from its directory, or from its commit."""
    if described.self_test is None:
        return None
    try:
        if described.deployment is not None:
            name = history.directory_name(described.version, described.deployment.id)
            return SelfTest.read(store.path(name) / described.self_test).form
        pointer = source.snapshot(release.commit, described.model).outs[1].file
        data = source.content(offline=True).read(pointer) if pointer else None
        return None if data is None else SelfTest.parse(data, described.self_test).form
    except (Corrupt, Forbidden, OSError):
        return None


def _apart(
    source: Source, release: Release, other: Release
) -> tuple[list[commits.Commit] | None, list[commits.Commit] | None]:
    try:
        return commits.apart(source.repository, release.commit, other.commit)
    except Unavailable:  # a shallow clone does not have all of them
        return None, None


def _line(commit: commits.Commit) -> CommitLine:
    return CommitLine(commit.id, clock.stamp(commit.at), commit.author, redact.text(commit.message))
