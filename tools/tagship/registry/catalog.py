"""The versions of each model, from the tags of a repository, by the rules of GTO."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from semver import Version

from tagship.errors import NotFound, Refused
from tagship.registry import refs
from tagship.registry import tags as registry_tags
from tagship.registry.refs import Action, Ref, TagName, Wanted
from tagship.text import json_reader

CANCELLING = (Action.DEREGISTER, Action.UNASSIGN, Action.DEPRECATE)


class Release(NamedTuple):
    """One version of a model, and the tag that carries it.

    Attributes:
        active: False if it was withdrawn (deregistered), or its model deprecated.
        stages: those that it is assigned to (``prod``).
    """

    version: Version
    tag: registry_tags.Tag
    active: bool = True
    stages: tuple[str, ...] = ()

    @property
    def commit(self) -> str:
        """The commit that the tag points at."""
        return self.tag.commit

    @property
    def metrics(self) -> dict[str, Any] | None:
        """The metrics in the tag's message; None where GTO or a person made the tag."""
        return _json(self.tag.trailers.get("Metrics"))

    @property
    def size(self) -> int | None:
        """The model's bytes, from the tag's message."""
        text = self.tag.trailers.get("Size", "")
        return int(text) if text.isdecimal() and len(text) < 20 else None  # of 64 bits


@dataclass(frozen=True)
class Catalog:
    """All versions of one model, lowest first.

    ``lightweight`` are tags of its versions that do not count, as they are not annotated.
    ``assignments`` has the tag that assigned each stage to the commit that holds it. ``tags`` are
    all of the model, in the order in which they count.
    """

    model: str
    releases: tuple[Release, ...] = ()
    deprecated: bool = False
    lightweight: tuple[TagName, ...] = ()
    assignments: Mapping[str, registry_tags.Tag] = field(default_factory=dict)
    tags: tuple[registry_tags.Tag, ...] = field(default=(), compare=False, repr=False)

    @property
    def before_deprecation(self) -> "Catalog":
        """The same, as if the model was not deprecated; ``tags`` are all of it still."""
        tags = list(self.tags)
        while tags and tags[-1].name.action is Action.DEPRECATE:
            tags.pop()
        return replace(_catalog(self.model, tags, self.lightweight), tags=self.tags)

    @property
    def taken(self) -> list[Version]:
        """Every version that has a tag, withdrawn ones too: a new release must have another."""
        return [release.version for release in self.releases]

    @property
    def offered(self) -> list[Release]:
        """The available versions: neither withdrawn nor deprecated."""
        return [release for release in self.releases if release.active]

    @property
    def latest(self) -> Release | None:
        """The highest available version that is not a pre-release."""
        final = [release for release in self.offered if not release.version.prerelease]
        return final[-1] if final else None

    def assigned(self, release: Release) -> list[str]:
        """The ids of the tag objects that assign a stage to a version."""
        tags = self.assignments.values()
        return [tag.object_id for tag in tags if tag.commit == release.commit]

    def selected(self, rule: Wanted) -> Release | None:
        """The available version that a rule selects, whatever was decided on a host."""
        if rule.stage is not None:
            return self.holder(rule.stage)
        version = rule.select(release.version for release in self.offered)
        return self.get(str(version)) if version is not None else None

    def withdrawal(self, version: str) -> registry_tags.Tag | None:
        """The tag that withdrew a version; None if it is available, or unknown."""
        release = self.get(version)
        if release is None or release.active:
            return None
        named = [tag for tag in self.tags if str(tag.name.version) == version]
        return next((t for t in reversed(named) if t.name.action is Action.DEREGISTER), None)

    def deciding(self, rule: Wanted, release: Release) -> list[registry_tags.Tag]:
        """The tags by which a rule selects a version, beside the one that carries it.

        That is what withdraws the higher versions that the rule would select; of a stage, its
        assignment, and what takes the later ones away. Of several for one thing, the last counts.
        """
        if rule.exact is not None:
            return []
        if rule.stage is not None:
            return self._deciding_of(rule.stage)
        floor = refs.precedence(release.version)
        return self._withdrawals(
            each for each in self.releases
            if refs.precedence(each.version) > floor and not each.version.prerelease
            and rule.fits(each.version)
        )  # fmt: skip

    def _deciding_of(self, stage: str) -> list[registry_tags.Tag]:
        assignment = self.assignments.get(stage)
        if assignment is None:
            return []
        later = [tag for tag in self.tags[self.tags.index(assignment) + 1 :]
                 if tag.name.stage == stage]  # fmt: skip
        passed = {tag.commit for tag in later if tag.name.action is Action.ASSIGN}
        taken = {tag.commit: tag for tag in later if tag.name.action is Action.UNASSIGN}
        away = [tag for commit, tag in taken.items() if commit in passed]
        withdrawn = self._withdrawals(r for r in self.releases if r.commit in passed)
        return [assignment, *away, *withdrawn]

    def _withdrawals(self, releases: Iterable[Release]) -> list[registry_tags.Tag]:
        """The tags that withdrew those of some versions that are withdrawn."""
        found = (self.withdrawal(str(release.version)) for release in releases)
        return [tag for tag in found if tag is not None]

    def is_ahead_of(self, live: str | None) -> bool:
        """Whether the latest version is higher than the live one, or none is live."""
        if self.latest is None:
            return False
        release = self.get(live) if live else None
        return release is None or release.version < self.latest.version

    def find(self, ref: Ref) -> Release:
        """The version that a reference names.

        Raises:
            NotFound: there is no such version.
            Refused: it was withdrawn, or the model is deprecated.
        """
        if ref.wanted.stage is not None:
            holder = self.holder(ref.wanted.stage)
            if holder is None:
                what = f"no version of {self.model} holds the stage {ref.wanted.stage}"
                raise NotFound(what, f"tagship list {self.model}")
            return holder
        version = ref.wanted.select(release.version for release in self.offered)
        for release in self.releases:
            if version is not None and str(release.version) == str(version):
                return release
        cancelled = ref.wanted.select(self.taken)
        if cancelled is None:
            raise refs.no_such_version(ref, self.taken)
        if self.deprecated:
            hint = f"if it counts again: git tag -d {self.model}@deprecated"
            raise Refused(f"{self.model} is deprecated", hint)
        hint = f"choose another version: tagship list {self.model}"
        raise Refused(f"{self.model} {cancelled} was withdrawn", hint)

    def not_annotated(self, selector: Wanted) -> TagName | None:
        """The lightweight tag that a wish would mean, were it annotated; None if there is none.

        A rule (``latest``, ``1.2``) means it where it is higher than each version that matches.
        """
        names = {name.version: name for name in self.lightweight if name.version is not None}
        if selector.stage is not None:
            here = any(selector.stage in release.stages for release in self.releases)
            stages = [name for name in self.lightweight if name.stage == selector.stage]
            return stages[-1] if stages and not here else None
        light = selector.select(names)
        version = selector.select(release.version for release in self.releases)
        if light is None or (version is not None and version >= light):
            return None
        return names[light]

    def get(self, version: str) -> Release | None:
        """The version with exactly this text, withdrawn or not."""
        return self._by_text.get(version)

    @cached_property
    def _by_text(self) -> dict[str, Release]:
        return {str(release.version): release for release in self.releases}

    def holder(self, stage: str) -> Release | None:
        """The version that a stage is assigned to; None if there is none."""
        return next((r for r in reversed(self.releases) if r.active and stage in r.stages), None)


def read(
    tags: Iterable[registry_tags.Tag], lightweight: Iterable[TagName] = ()
) -> dict[str, Catalog]:
    """One catalog for each model that has tags."""
    by_model: dict[str, list[registry_tags.Tag]] = defaultdict(list)
    for tag in tags:
        by_model[tag.name.model].append(tag)
    light = list(lightweight)
    models = by_model.keys() | {name.model for name in light}
    return {model: of(by_model.get(model, []), model, light) for model in sorted(models)}


def of(
    tags: Iterable[registry_tags.Tag], model: str, lightweight: Iterable[TagName] = ()
) -> Catalog:
    """The catalog of one model; empty if it has no tag."""
    light = tuple(
        name
        for name in lightweight
        if name.model == model and name.action in (Action.REGISTER, Action.ASSIGN)
    )
    return _catalog(model, [tag for tag in tags if tag.name.model == model], light)


def _catalog(
    model: str, tags: list[registry_tags.Tag], lightweight: tuple[TagName, ...]
) -> Catalog:
    # GTO orders by the time of the tag; in the same second, the cancelling tag wins
    ordered = sorted(tags, key=lambda tag: (tag.at, tag.name.action in CANCELLING))
    deprecated = bool(ordered) and ordered[-1].name.action is Action.DEPRECATE
    registered: dict[str, registry_tags.Tag] = {}
    active: dict[str, bool] = {}
    for tag in ordered:
        version = str(tag.name.version)
        if tag.name.action is Action.REGISTER:
            registered[version], active[version] = tag, True
        elif tag.name.action is Action.DEREGISTER:
            active[version] = False
    available = {tag.commit for version, tag in registered.items() if active[version]}
    cancelled = {tag.commit for tag in registered.values()} - available
    assignments = {} if deprecated else _assignments(ordered, cancelled)
    stages: dict[str, tuple[str, ...]] = {}
    for stage, tag in sorted(assignments.items()):
        stages[tag.commit] = (*stages.get(tag.commit, ()), stage)
    releases = [
        Release(
            tag.name.version,
            tag,
            active[version] and not deprecated,
            stages.get(tag.commit, ()),
        )
        for version, tag in registered.items()
        if tag.name.version is not None
    ]
    releases.sort(key=lambda release: refs.precedence(release.version))
    return Catalog(model, tuple(releases), deprecated, lightweight, assignments, tuple(ordered))


def _assignments(
    ordered: Iterable[registry_tags.Tag], cancelled: set[str]
) -> dict[str, registry_tags.Tag]:
    """The tag of each stage that counts: a stage belongs to the last commit assigned to it."""
    assigned: dict[str, dict[str, registry_tags.Tag]] = defaultdict(dict)
    for tag in ordered:
        if tag.name.stage is None or tag.commit in cancelled:
            continue
        commits = assigned[tag.name.stage]
        commits.pop(tag.commit, None)
        if tag.name.action is Action.ASSIGN:
            commits[tag.commit] = tag  # the newest is the last
    return {stage: list(commits.values())[-1] for stage, commits in assigned.items() if commits}


def _json(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json_reader.parse(text.encode())
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
