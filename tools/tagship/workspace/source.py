"""Source: where versions come from. Tags, commits, and what they say of a model."""

import contextlib
import functools
import os
import platform
import posixpath
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from tagship.errors import Corrupt, NotFound, Refused, TagshipError
from tagship.git import clone, commits, tree
from tagship.git import run as git_run
from tagship.host import metadata
from tagship.host.link import CURRENT, VERSIONS
from tagship.host.metadata import CommitInfo, Metadata, TagInfo
from tagship.host.store import PRIVATE
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry import artifacts, catalog, refs, settings, tags
from tagship.registry.artifacts import Artifact
from tagship.registry.catalog import Catalog, Release
from tagship.registry.project_files import OLD_FILE, PARAMS_FILE, PIPELINE_FILE
from tagship.registry.refs import Ref
from tagship.text import clock, yaml
from tagship.text.conflicts import Conflicted
from tagship.workspace import absent, rollout
from tagship.workspace.rollout import Rollout

if TYPE_CHECKING:
    from tagship.disk.files import File
    from tagship.dvc.cache import Cache
    from tagship.dvc.config import DvcConfig
    from tagship.dvc.content import Content
    from tagship.dvc.snapshot import Snapshot


# The models that a commit declares, and why a dvc.yaml cannot be read of which no model is known
Declared = tuple[dict[str, Artifact | Corrupt], tuple[Corrupt, ...]]


@dataclass(frozen=True)
class Source:
    """A repository of versions: that of a work tree. See ``mirrored.Mirrored`` for a host's.

    Attributes:
        start: a folder in the Git repository.
        project: the DVC repository that configures the cache and the remotes.
        deployed: the folder of this work tree with the deployments, which may not contain a
            model's own files; None for a repository in which nothing is deployed.
        git_remote: where tags go; None for Git's ``origin``.
        dvc_remote: where bytes go and come from; None for DVC's default.
        fetch_limit: bytes that a file may have which is fetched, and whose size no commit records;
            None for the usual limit.
    """

    start: Path
    project: Path
    deployed: Path | None = None
    git_remote: str | None = None
    dvc_remote: str | None = None
    fetch_limit: int | None = None

    @cached_property
    def repository(self) -> git_run.Repository:
        """Where tags and commits are read; opened when it is first asked.

        Raises:
            NotFound: there is none.
        """
        return git_run.find(self.start)

    @cached_property
    def blobs(self) -> tree.Blobs:
        """Files at commits."""
        return tree.Blobs(self.repository)

    def catalog(self, model: str) -> Catalog:
        """The versions of a model, from the tags.

        Raises:
            NotFound: it has no tag, and HEAD does not declare it.
        """
        versions = self.versions(model)
        if not versions.releases:
            self.declared(model)
        return versions

    def versions(self, model: str) -> Catalog:
        """The same, empty where no tag is the model's, declared or not."""
        annotated, lightweight = tags.read_all(self.repository, model)
        return catalog.of(annotated, model, lightweight)

    def tag_ids(self, model: str) -> dict[refs.TagName, str]:
        """The id of every tag object of a model, of versions and of stages."""
        return tags.ids(self.start, model)

    def catalogs(self) -> dict[str, Catalog]:
        """The versions of every model that has tags."""
        return catalog.read(*tags.read_all(self.repository))

    def release(self, ref: Ref) -> Release:
        """The version that a reference names.

        Raises:
            NotFound: there is no such model or version here; with the command that fetches it.
            Refused: it was withdrawn, or the model is deprecated.
        """
        return self.find(self.catalog(ref.model), ref)

    def find(self, known: Catalog, ref: Ref) -> Release:
        """``release``, where the versions were read already."""
        return absent.find(self.repository, lambda: self.clone_tags, known, ref)

    def check_work_tree(self) -> None:
        """Refuse to commit, tag or train where there is no work tree: here is one."""

    def complete(self, releases: Iterable[Release], tell: Tell = nobody) -> None:
        """Bring what the commits of versions need and this clone lacks: nothing, in a work tree."""

    def lacking(self, known: Catalog) -> tuple[str, str] | None:
        """What this clone lacks of a model's tags, or may lack, and the command that fetches it."""
        return absent.lacking(lambda: self.clone_tags, known)

    @cached_property
    def clone_tags(self) -> clone.Tags:
        """What this clone has of the tags of its remotes; asked once."""
        return clone.tags(self.repository)

    def snapshot(self, commit: str, model: str) -> "Snapshot":
        """The model at a commit.

        Raises:
            NotFound, Corrupt: as ``dvc.snapshot.snapshot``.
            Refused: its files are where versions are deployed.
        """
        from tagship.dvc import pipeline, snapshot

        read = functools.partial(self.blobs.read, commit)
        declared = pipeline.models(read, artifacts.pipeline_of(model)[0]).get(model)
        if isinstance(declared, Artifact):
            for path in declared.paths:
                self.check_apart(model, self.repository.top / path)
        return snapshot.snapshot(self.blobs, commit, model)

    def tagged(self, release: Release) -> "Snapshot":
        """The model at the commit of a version.

        Raises:
            NotFound, Corrupt, Refused: as for ``snapshot``, and as for ``at_tag``.
        """
        with self.at_tag(release):
            return self.snapshot(release.commit, release.tag.name.model)

    @contextlib.contextmanager
    def at_tag(self, release: Release) -> Iterator[None]:
        """What is wrong at the commit of a version is told as that: the work tree may be right.

        Raises:
            NotFound, Corrupt: the model cannot be read there, and HEAD is another commit.
        """
        try:
            yield
        except (NotFound, Corrupt) as error:
            if self._is_head(release.commit):
                raise
            name, commit = release.tag.name, release.commit[:10]
            at = f"at {name}" + ("" if commit in error.message else f" (commit {commit})")
            what, hint = f"{error.message}, {at}", self._instead(release)
            if isinstance(error, NotFound):
                raise NotFound(what, hint) from None
            raise Corrupt(what, hint) from None

    def _instead(self, release: Release) -> str:
        """What helps where a version cannot be read, though its tag exists."""
        model = release.tag.name.model
        if not release.active:
            return f"tagship list {model}"
        where = "where it is released, " if self.repository.ours else ""
        back = f"tagship withdraw {model}@{release.version}"
        return f"{where}release a good one, or take it back: {back}"

    def _is_head(self, commit: str) -> bool:
        """Whether a commit is what is checked out; nothing is in a mirror."""
        if self.repository.ours:
            return False
        return commits.commit(self.repository, "HEAD").id == commit

    def rollout(self, commit: str, model: str) -> Rollout | None:
        """How a model is rolled out, by a commit; None where that says nothing.

        It is in params.yaml beside the model's dvc.yaml, or else of the nearest folder above.

        Raises:
            Refused, Corrupt: it is not a valid one, so nobody can tell.
            MissingBlobs: this mirror lacks the file.
        """
        folder: str | None = artifacts.pipeline_of(model)[0]
        while folder is not None:
            path = posixpath.join(folder, PARAMS_FILE)
            data = self.blobs.read(commit, path)
            value = settings.rollout_in(yaml.parse(data, path), path) if data else None
            if value is not None:
                return rollout.parse(value, path)
            folder = posixpath.dirname(folder) if folder else None
        return None

    def check_apart(self, model: str, path: Path) -> None:
        """Refuse an artifact that contains the folder of its deployments, or is inside of it.

        DVC empties an output before its stage writes it, and would remove the live version.
        """
        if self.deployed is None:
            return
        folder = self.deployed / refs.folder_name(model)
        inside = [folder / name for name in (VERSIONS, CURRENT, PRIVATE)]
        if folder.is_relative_to(path) or any(path.is_relative_to(own) for own in inside):
            raise Refused(
                f"{self._from_top(path)} is where versions of {model} are deployed",
                f"keep the model in a folder or file below it: {self._from_top(folder)}/data",
            )

    def _from_top(self, path: Path) -> str:
        return os.path.relpath(path, self.repository.top)

    def unread(self, at_commit: "Snapshot") -> tuple[str, ...]:
        """What of a model at a commit is left out, and why: in the words of a note."""
        from tagship.dvc import metric_files

        missing = metric_files.missing(at_commit, self.content(offline=True))
        notes = (f"the metrics in {path} are not here (dvc fetch {path})" for path in missing)
        return (*at_commit.notes, *notes)

    def metrics(self, at_commit: "Snapshot") -> dict[str, Any]:
        """The model's metrics at a commit."""
        from tagship.dvc import metric_files

        return metric_files.metrics(at_commit, self.content(offline=True))

    def artifacts(self) -> dict[str, Artifact | Corrupt]:
        """Every model that HEAD declares, in any folder; an error for an entry that is not valid.

        Where a dvc.yaml cannot be read, the models that have tags are known to be in it.

        Raises:
            NotFound: the repository has no commit yet.
            Corrupt: a dvc.yaml cannot be read, and there is no other model.
        """
        declared, unreadable = self._declared
        if unreadable and not declared:
            raise unreadable[0]
        return dict(declared)

    def unreadable(self) -> tuple[Corrupt, ...]:
        """Why a dvc.yaml of HEAD cannot be read, of which no tag names a model."""
        return self._declared[1]

    @cached_property
    def _declared(self) -> Declared:
        from tagship.dvc import pipeline

        head = commits.commit(self.repository, "HEAD").id
        read = functools.partial(self.blobs.read, head)
        declared: dict[str, Artifact | Corrupt] = {}
        unreadable: list[Corrupt] = []
        for file in self.blobs.ending(head, PIPELINE_FILE):
            folder, _, name = file.path.rpartition("/")
            if name != PIPELINE_FILE:
                continue
            try:
                declared.update(pipeline.models(read, folder))
            except Corrupt as error:
                tagged = [m for m in self.catalogs() if artifacts.pipeline_of(m)[0] == folder]
                declared.update(dict.fromkeys(tagged, error))
                unreadable += [] if tagged else [error]
        return declared, tuple(unreadable)

    def declared(self, model: str) -> Artifact:
        """The model as HEAD declares it.

        Raises:
            NotFound: as for ``declared_at``; or the repository has no commit yet.
            Corrupt: its entry is not valid.
        """
        return self.declared_at(commits.commit(self.repository, "HEAD").id, model)

    def declared_at(self, commit: str, model: str) -> Artifact:
        """The model as a commit declares it.

        Raises:
            NotFound: it does not, with the nearest name.
            Corrupt: its entry is not valid.
        """
        from tagship.dvc import pipeline

        read = functools.partial(self.blobs.read, commit)
        known = pipeline.models(read, artifacts.pipeline_of(model)[0])
        if model not in known:
            artifacts.check_not_old(read(OLD_FILE), model)
            raise self._uncommitted(model) or artifacts.unknown_model(model, self.artifacts())
        return artifacts.readable(known[model])

    def _uncommitted(self, model: str) -> NotFound | None:
        """The error for a model that the work tree alone declares; None where it does not."""
        from tagship.dvc import pipeline

        def read(path: str) -> bytes | None:
            file = self.repository.top / path
            return file.read_bytes() if file.is_file() else None

        folder, path = artifacts.pipeline_of(model)
        try:
            if model not in pipeline.models(read, folder):
                return None
        except (TagshipError, OSError):
            return None
        add = f'git add {shlex.quote(path)} && git commit -m "..."'
        return NotFound(f"{model} is in {path}, which is not committed yet", add)

    def foresee(self, releases: Iterable[Release]) -> None:
        """Read the commits of versions that will be described, in one process."""
        ids = [release.commit for release in releases if release.commit not in self._commits]
        if ids:
            self._commits.update(commits.read(self.repository, ids))

    def _commit(self, commit_id: str) -> commits.Commit:
        if commit_id not in self._commits:
            self._commits[commit_id] = commits.commit(self.repository, commit_id)
        return self._commits[commit_id]

    @cached_property
    def _commits(self) -> dict[str, commits.Commit]:
        """Commits that were read, by id: an id stands for the same commit forever."""
        return {}

    def origin(self, release: Release) -> tuple[TagInfo, CommitInfo]:
        """The tag of a version, and its commit."""
        tag, commit = release.tag, self._commit(release.commit)
        return (
            TagInfo(
                str(tag.name), tag.object_id, tag.tagger, clock.stamp(tag.at), tag.message.strip()
            ),
            CommitInfo(commit.id, commit.author, clock.stamp(commit.at), commit.message),
        )

    def describe(
        self, release: Release, at_commit: "Snapshot", files: "tuple[File, ...]"
    ) -> Metadata:
        """What a tag and its commit say of a version, and the tools that are here."""
        tools = {"python": platform.python_version(), **_versions()}
        return replace(self.released(release, at_commit, files), tools=tools)

    def released(
        self, release: Release, at_commit: "Snapshot", files: "tuple[File, ...]"
    ) -> Metadata:
        """What a tag and its commit say of a version, the same on every machine."""
        artifact, (tag, commit) = at_commit.artifact, self.origin(release)
        return Metadata(
            model=artifact.model,
            version=str(release.version),
            path=Path(artifact.path).name,
            self_test=Path(artifact.self_test).name if artifact.self_test else None,
            tag=tag,
            commit=commit,
            files=files,
            size=sum(file.size for file in files),
            metrics=self.metrics(at_commit),
            params=at_commit.params,
            lineage=cast("list[metadata.Made]", at_commit.lineage),
        )

    def promised(self, snapshot: "Snapshot") -> "tuple[File, ...]":
        """The files that a commit promises, without sha256; none if a folder's list is not here."""
        from tagship.disk.files import File

        try:
            pointers = self.content(offline=True).files(snapshot.pointers)
        except (TagshipError, OSError):
            return ()
        return tuple(
            File(pointer.path, pointer.size or 0, pointer.md5, "", pointer.executable)
            for pointer in pointers
        )

    def content(
        self,
        progress: Progress = silent,
        *,
        kept: Callable[[], Mapping[str, Path]] = dict,
        offline: bool = False,
        tell: Tell = nobody,
    ) -> "Content":
        """The bytes of the versions: listed, fetched, copied, read.

        Args:
            kept: the files of version directories here, by their md5.
            progress: is called with the bytes fetched and pushed.
            offline: ask no remote.
            tell: is told which remote is waited for.

        Raises:
            Refused: DVC's configuration cannot be read, or its local part is in Git.
            Conflicted: it has conflict markers, and not ``offline``.
        """
        from tagship.dvc.content import Content
        from tagship.dvc.remote import CAP, Remote

        remote = Remote(
            self._dvc_config, self.dvc_remote, self._within, tell, self.fetch_limit or CAP,
        )  # fmt: skip
        cache = self._look_into_cache if offline else self._cache
        return Content(self.blobs, cache, remote, kept, progress, offline)

    def _dvc_config(self) -> "DvcConfig":
        from tagship.dvc import config

        return config.read(self.project)

    @property
    def _within(self) -> PurePosixPath:
        """The folder of the DVC repository, from Git's top."""
        top = self.repository.top
        inside = self.project.is_relative_to(top)  # ``dvc init --subdir``
        return PurePosixPath(self.project.relative_to(top).as_posix() if inside else "")

    def check_owner(self, model: str, command: str) -> None:
        """Refuse what needs the cache and the remotes of a model of another DVC repository.

        Args:
            model: its name.
            command: what is to be done there, after ``tagship``.

        Raises:
            Refused: the nearest ``.dvc`` around its dvc.yaml is another one than that of here.
        """
        if (owner := self._owner(model)) is not None:
            raise Refused(
                f"{model} belongs to another DVC repository, which has its own remote: {owner}",
                f"tagship -C {shlex.quote(str(owner))} {command}",
            )

    def of_others(self, models: Iterable[str], tell: Tell = nobody) -> set[str]:
        """Those of some models that belong to other DVC repositories; ``tell`` is told which."""
        others = {model: owner for model in models if (owner := self._owner(model))}
        for owner in sorted(set(others.values())):
            names = ", ".join(sorted(model for model in others if others[model] == owner))
            where = shlex.quote(str(owner))
            tell(f"left out, of another DVC repository: {names} (tagship -C {where} status)")
        return set(others)

    def _owner(self, model: str) -> Path | None:
        """The other DVC repository that a model belongs to, as DVC finds it; None for this one."""
        top, project = self.repository.top.resolve(), self.project.resolve()
        folder = PurePosixPath(artifacts.pipeline_of(model)[0])
        for inner in (folder, *folder.parents):
            place = top / inner
            if (place / ".dvc").is_dir() or (not place.is_dir() and self._has_dvc(inner)):
                return None if place == project else place
        return None

    def _has_dvc(self, folder: PurePosixPath) -> bool:
        """Whether HEAD has a DVC repository in a folder, as one that is not checked out."""
        head = commits.commit(self.repository, "HEAD").id
        return self.blobs.read(head, str(folder / ".dvc" / "config")) is not None

    def full_name(self, model: str) -> str:
        """The name of a model that dvc.yaml of the DVC repository declares, as GTO has it."""
        folder = self._within.as_posix()
        return model if folder == "." else f"{folder}:{model}"

    @cached_property
    def _look_into_cache(self) -> "Cache":
        """The cache for who changes nothing: where no configuration can be read, the usual one."""
        from tagship.dvc import cache, config

        try:
            return self._cache
        except (Conflicted, config.BadConfig):
            return cache.usual(self.project)

    @cached_property
    def _cache(self) -> "Cache":
        from tagship.dvc import cache

        return cache.of_project(self.project)


@functools.cache
def _versions() -> dict[str, str]:
    """The versions of tagship and DVC; each is read from a file."""
    from importlib.metadata import version

    return {name: version(name) for name in ("tagship", "dvc")}
