"""The Source of a host without a work tree: a mirror of tags, and no cache.

The mirror has every tag that was ever seen of the followed models, and its commit; of their files
it has only the small ones that say what a version is, and ``complete`` brings those. What it is fed
from is an ``upstream``: a repository of Git, or a place with capsules.
"""

import contextlib
import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tagship.errors import Corrupt, NotFound, NotTrusted, Refused, TagshipError, Unavailable
from tagship.git import mirror
from tagship.git.clone import Tags
from tagship.git.run import CommandFailed, Repository
from tagship.git.tree import MissingBlobs
from tagship.host import agent
from tagship.host.decisions import Decisions
from tagship.host.store import PRIVATE
from tagship.progress import Tell, nobody
from tagship.registry import artifacts
from tagship.registry.artifacts import Artifact
from tagship.registry.catalog import Catalog, Release
from tagship.registry.project_files import HOST_FILE
from tagship.registry.refs import Action, Ref, TagName, Wanted
from tagship.registry.seen import Seen
from tagship.signing.policy import Policy
from tagship.text import choose, clock
from tagship.workspace import carried, desired
from tagship.workspace import upstream as upstreams
from tagship.workspace.host_file import MIRROR, HostFile
from tagship.workspace.source import Declared, Source
from tagship.workspace.upstream import Upstream

if TYPE_CHECKING:
    from tagship.dvc.cache import Cache
    from tagship.dvc.config import DvcConfig
    from tagship.dvc.snapshot import Snapshot

FETCH, SYNC = "tagship fetch", "tagship sync"
ROUNDS = 20  # more than one file names another one, which names another one


def place_in(folder: Path) -> Path:
    """Where the mirror of a host is."""
    return folder / PRIVATE / MIRROR


@dataclass(frozen=True, kw_only=True)
class Mirrored(Source):
    """The versions in a mirror: ``start`` is the mirror, ``project`` the host's folder.

    Attributes:
        file: what the host follows, and the remotes of the bytes.
        is_for_reading: who only reads sees no version in a mirror that is damaged; else that is an
            error. The next fetch makes it anew.
        policy: whom this host trusts; read where a deprecation has to be signed.
    """

    file: HostFile
    is_for_reading: bool = False
    policy: Callable[[], Policy] = Policy

    @cached_property
    def upstream(self) -> Upstream:
        """Where the tags come from."""
        return upstreams.of(self.file.upstream, lambda top: replace(self, start=top))

    @cached_property
    def repository(self) -> Repository:
        """The mirror.

        Raises:
            NotFound: nothing was fetched yet.
        """
        return mirror.of(self.start)

    def fetch(self, tell: Tell = nobody, *, signed: bool = False) -> Seen:
        """Fetch the tags of the followed models, and keep each as it was seen first.

        Args:
            tell: is told whom is waited for.
            signed: this host requires signed tags, so they may come by http and git too.

        Raises:
            Refused: the address is none that may be asked; or nothing is followed.
            Unavailable: the upstream does not answer, or refuses.
            Locked: another process fetches.
        """
        if not self.file.follow:
            where = self.project / HOST_FILE
            raise Refused(f"no model is followed in {where}", "add one: [follow.MODEL]")
        try:
            found = self._fetched(tell, signed=signed)
        except Unavailable as error:
            self._note(error.message)
            raise
        gone = found.emptied(self.file.follow)
        self._note(self.emptied(gone[0])[0] if gone else None)
        return found

    def _note(self, failure: str | None) -> None:
        """Leave for ``status`` when a fetch succeeded last, and since when none does, and why."""
        now = clock.stamp(clock.now())
        state = agent.read(self.project)
        agent.write(self.project, state.fetched(now, failure))

    def _fetched(self, tell: Tell, *, signed: bool) -> Seen:
        found = self.upstream.fetch(self.start, self.file.follow, tell, signed=signed)
        self._catalogs.clear()
        self.__dict__.pop("last_seen", None)
        try:
            for model in self.file.follow:
                self.versions(model)
        except Unavailable:  # Git asks for no object of the mirror where nothing is new
            if not self.upstream.repair(self.repository, self.file.follow, tell):
                raise
            found = self.upstream.fetch(self.start, self.file.follow, tell, signed=signed)
        return found

    @cached_property
    def last_seen(self) -> Seen:
        """What the last fetch found, but for what was new then; no server is asked."""
        if not self._is_there:
            return Seen()
        try:
            return self.upstream.last_seen(self.repository, self.file.follow)
        except (Unavailable, OSError):
            return Seen()

    def moved(self, name: TagName) -> tuple[str, str] | None:
        """As ``mirror.moved``: what a tag was, and what the server shows.

        Raises:
            Refused, Unavailable: as for that.
        """
        return mirror.moved(self.repository, str(name))

    def accept(self, name: TagName, first: str, then: str) -> None:
        """Have a tag name what the server shows: a person says so.

        Raises:
            Unavailable, Locked: as for ``mirror.accept``.
        """
        mirror.accept(self.repository, str(name), first, then)
        self._catalogs.clear()

    def check_work_tree(self) -> None:
        """Refuse what needs a work tree.

        Raises:
            Refused: always.
        """
        raise Refused(
            f"{self.project} is a host, which has no work tree to release from",
            self.upstream.work_tree(),
        )

    def versions(self, model: str) -> Catalog:
        """As ``Source.versions``, read once for each fetch; none before the first one."""
        if model not in self._catalogs:
            self._catalogs[model] = self._read(model)
        return self._catalogs[model]

    def _read(self, model: str) -> Catalog:
        if self._is_there:
            with self._tolerant():
                return self._trusted(super().versions(model))
        return Catalog(model)

    def _trusted(self, known: Catalog) -> Catalog:
        """A catalog without a deprecation that is not signed as this host asks for."""
        return known.before_deprecation if self.distrusted(known) else known

    def distrusted(self, known: Catalog) -> str:
        """Why the deprecation of a model does not count here; empty if it does, or there is none.

        ``known``: its versions, with it or without.
        """
        last = known.tags[-1] if known.tags else None
        if last is None or last.name.action is not Action.DEPRECATE:
            return ""
        try:
            self.policy().check_tag(self.repository, last)
        except NotTrusted as error:
            return f"{last.name} does not count: {error.message}"
        return ""

    @cached_property
    def _catalogs(self) -> dict[str, Catalog]:
        return {}

    def catalogs(self) -> dict[str, Catalog]:
        """As ``Source.catalogs``; none before the first fetch."""
        if not self._is_there:
            return {}
        with self._tolerant():
            return {name: self._trusted(each) for name, each in super().catalogs().items()}
        return {}

    @contextlib.contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except (Unavailable, CommandFailed, OSError):
            if not self.is_for_reading:
                raise

    @property
    def _is_there(self) -> bool:
        return (self.start / "HEAD").is_file()

    def find(self, known: Catalog, ref: Ref) -> Release:
        """As ``Source.find``: of the tags that were fetched."""
        try:
            return known.find(ref)
        except NotFound as error:
            if fault := self.unread_index(known.model):
                raise NotFound(*fault) from None
            if absent := self.absent(known, ref.wanted):
                raise NotFound(*absent) from None
            raise NotFound(error.message, f"{FETCH}; or: {error.hint}") from None
        except Refused as error:
            if not known.deprecated:
                raise
            again = f"release again where the model is released: tagship release {known.model}"
            raise Refused(error.message, f"if it counts again, {again}") from None

    def unread_index(self, model: str) -> tuple[str, str] | None:
        """Why the last fetch could not read the index of a model, and what helps.

        None where it could, or a server of Git is asked.
        """
        fault = carried.unread(self.start, self.upstream.title, model)
        if fault is None:
            return None
        return fault.what, "; then: ".join(dict.fromkeys((fault.fix, FETCH)))

    def absent(self, known: Catalog, rule: Wanted) -> tuple[str, str] | None:
        """What a rule would select and that was not brought here, and what brings it.

        None where nothing is known to be missing.
        """
        if (tag := desired.unseen(known, rule)) is None:
            return None
        what = f"#{rule.stage} names a version whose tag is not here (commit {tag.commit[:10]})"
        return what, self.upstream.bringing(known.model)

    def emptied(self, model: str) -> tuple[str, str]:
        """That all that was seen of a model is gone: a disk may not be mounted."""
        what = f"{self.upstream.title} has nothing of {model} any more"
        return what, f"is it mounted, and its address right in {HOST_FILE}? Then: {SYNC}"

    def unpublished(self, known: Catalog) -> tuple[str, str] | None:
        """That no tag of a model was seen: it waits for its first one, or its name is wrong.

        None where there is one.
        """
        if known.tags:
            return None
        what = f"nothing of {known.model} was published in {self.upstream.title} yet"
        if near := difflib.get_close_matches(known.model, self.catalogs(), 1):
            what += f" (did you mean {near[0]}?)"
        name = f"is {known.model} its name, in {HOST_FILE}?"
        return what, f"{name} If so, {self.upstream.bringing(known.model)}"

    def lacking(self, known: Catalog) -> tuple[str, str] | None:
        """As ``Source.lacking``: the index could not be read, or no version was ever seen."""
        if fault := self.unread_index(known.model):
            return fault
        if known.releases:
            return None
        return f"{self.upstream.title} has no version of {known.model} that was seen here", FETCH

    @cached_property
    def clone_tags(self) -> Tags:
        """The command that brings tags: a mirror is never made without them."""
        return Tags(FETCH, are_left_out=False)

    def declared(self, model: str) -> Artifact:
        """The model as its newest version declares it: a mirror has no HEAD.

        Raises:
            NotFound: this host does not follow it, and no tag of it was ever seen.
        """
        known = self.artifacts()
        if model not in known:
            raise not_followed(model, known)
        return artifacts.readable(known[model])

    @cached_property
    def _declared(self) -> Declared:
        catalogs = self.catalogs()
        models = {*self.file.follow, *catalogs}
        return {model: self._newest(model, catalogs.get(model)) for model in sorted(models)}, ()

    def _newest(self, model: str, known: Catalog | None) -> Artifact | Corrupt:
        """A model as its newest version declares it; without a path where that was not fetched."""
        release = known.latest or known.releases[-1] if known and known.releases else None
        if release is not None:
            try:
                return self.snapshot(release.commit, model).artifact
            except TagshipError:  # told of the version, where it matters
                pass
        return Artifact(model, "", None, "", ())

    def selected(self, rules: Mapping[str, Wanted]) -> list[Release]:
        """The versions that rules select, and the highest available ones, of those that were seen.

        The history of the host does not count: what is blocked or held is selected all the same.
        """
        releases: dict[Release, None] = {}
        for model, rule in rules.items():
            known = self.versions(model)
            chosen = desired.desired(known, rule, Decisions()).release
            releases |= dict.fromkeys(each for each in (chosen, known.latest) if each)
        return list(releases)

    def complete(self, releases: Iterable[Release], tell: Tell = nobody) -> None:
        """Bring the small files that say what versions are, in a few round trips.

        Raises:
            Unavailable: the upstream does not give them.
        """
        waiting = list(releases)
        for _ in range(ROUNDS):
            missing = {release: self._missing(release) for release in waiting}
            waiting = [release for release, ids in missing.items() if ids]
            if not waiting:
                return
            self.bring({release: missing[release] for release in waiting}, tell)
        version = waiting[0].tag.name
        raise Unavailable(f"the files of {version} name others without end", "tagship fetch")

    def tagged(self, release: Release) -> "Snapshot":
        """As ``Source.tagged``; what the mirror lacks is fetched, but for who only reads.

        Raises:
            MissingBlobs: it lacks files of the version.
            Unavailable: the upstream does not give them.
        """
        try:
            return super().tagged(release)
        except MissingBlobs as error:
            if self.is_for_reading:
                name = release.tag.name
                hint = f"tagship deploy {name.model}@{name.version} --dry-run"  # fetches them
                raise MissingBlobs(error.message, hint, error.ids) from None
        self.complete([release])
        return super().tagged(release)

    def bring(self, missing: Mapping[Release, Collection[str]], tell: Tell = nobody) -> None:
        """Bring files of versions, by the ids of their blobs.

        Raises:
            Unavailable: the upstream does not give them.
        """
        self.upstream.bring(self.repository, missing, tell)

    def _missing(self, release: Release) -> tuple[str, ...]:
        """The ids of files that the next step of reading a version needs; empty if all are here."""
        model, missing = release.tag.name.model, set[str]()
        for ask in (
            lambda: self.rollout(release.commit, model),
            lambda: self.metrics(self.snapshot(release.commit, model)),
        ):
            try:
                ask()
            except MissingBlobs as error:
                missing.update(error.ids)
            except TagshipError:  # it cannot be deployed: told when somebody wants to
                pass
        return tuple(missing)

    def _dvc_config(self) -> "DvcConfig":
        return self.file.remotes

    @property
    def _within(self) -> PurePosixPath:
        return PurePosixPath()

    def _owner(self, model: str) -> None:
        """A host has no DVC repository."""

    def full_name(self, model: str) -> str:
        """The name itself."""
        return model

    @cached_property
    def _look_into_cache(self) -> "Cache":
        return self._cache

    @cached_property
    def _cache(self) -> "Cache":
        from tagship.dvc import cache

        return cache.none()


def not_followed(model: str, known: Iterable[str]) -> NotFound:
    """The error for a model that tagship.toml does not name."""
    names, add = sorted(known), f"add [follow.{model}] to tagship.toml"
    near = choose.near(model, names) if names else ""
    begin = f"{near} If not, " if near.endswith("?") else f"{near}; or " if near else ""
    return NotFound(f"this host does not follow {model}", f"{begin}{add}")
