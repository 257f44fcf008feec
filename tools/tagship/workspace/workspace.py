"""Where versions come from, and where they go: two values that nothing may take for one.

Today the repository is the work tree that one stands in, and the root its ``models/``.
"""

import os
import platform
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagship.disk.files import File
from tagship.errors import NotFound, Refused
from tagship.git import commits, run, tree, worktree
from tagship.host import journal, metadata
from tagship.host import project as host_project
from tagship.host import settings as host_settings
from tagship.host.link import CURRENT, VERSIONS
from tagship.host.metadata import Metadata
from tagship.host.settings import Settings
from tagship.host.store import PRIVATE, Store
from tagship.progress import Progress, silent
from tagship.registry import artifacts as registry_artifacts
from tagship.registry import catalog as registry_catalog
from tagship.registry import refs, tags
from tagship.registry.artifacts import Artifact
from tagship.registry.catalog import Catalog, Release
from tagship.registry.project_files import PIPELINE_FILE
from tagship.text import clock, redact

if TYPE_CHECKING:
    from tagship.dvc.cache import Cache
    from tagship.dvc.remote import Fetcher
    from tagship.dvc.snapshot import Snapshot
    from tagship.signing.policy import Policy


@dataclass(frozen=True)
class Workspace:
    """A repository of versions, a root of deployments, and the settings of today.

    Attributes:
        start: a folder in the repository where tags and commits are read.
        project: the DVC repository that configures the cache and the remotes.
        root: holds one folder for each model.
        settings: of today, whatever is deployed.
    """

    start: Path
    project: Path
    root: Path
    settings: Settings

    @cached_property
    def repository(self) -> run.Repository:
        """Where tags and commits are read; looked for by who asks it something.

        Raises:
            NotFound: there is none.
        """
        return run.find(self.start)

    @cached_property
    def cache(self) -> "Cache":
        """DVC's cache on this machine."""
        from tagship.dvc import cache as dvc_cache

        return dvc_cache.of_project(self.project)

    @cached_property
    def policy(self) -> "Policy":
        """What this host demands, and signs with; none of it from the repository.

        Raises:
            Refused: a file of it cannot be used.
        """
        from tagship.signing import policy as signing_policy

        return signing_policy.read(host_project.find_top(self.project))

    @cached_property
    def blobs(self) -> tree.Blobs:
        """Files at commits."""
        return tree.Blobs(self.repository)

    def store(self, model: str) -> Store:
        """The model's folder on this host.

        Raises:
            Refused: on the way there Git has put a link, which leads somewhere else.
        """
        folder = self.root / refs.folder_name(model)
        above = folder.relative_to(self.project).parents[:-1]
        for path in (self.project / one for one in (folder.relative_to(self.project), *above)):
            if path.is_symlink():  # one that Git does not know is the operator's: another disk, say
                name = path.relative_to(self.project).as_posix()
                if worktree.index(self.project, name).get(name) == tree.LINK:
                    raise Refused(
                        f"{name} is a link in Git, to {path.readlink()}", f"git rm {name}"
                    )
        return Store(folder)

    def catalog(self, model: str) -> Catalog:
        """The model's versions, from the tags.

        Raises:
            NotFound: no tag is the model's, and HEAD does not declare it.
        """
        found = registry_catalog.of(tags.read(self.repository, model), model)
        if not found.releases:
            self.declared(model)
        return found

    def snapshot(self, commit: str, model: str) -> "Snapshot":
        """The model at a commit.

        Raises:
            NotFound, Corrupt: as ``tracked.snapshot``.
            Refused: its files lie where what is deployed lies.
        """
        from tagship.dvc import snapshot as dvc_snapshot

        taken = dvc_snapshot.snapshot(self.repository, self.blobs, commit, model)
        for path in taken.artifact.paths:
            self.check_apart(model, self.repository.top / path)
        return taken

    def check_apart(self, model: str, path: Path) -> None:
        """Refuse an artifact that holds the model's folder here, or lies in what is deployed.

        DVC empties an output before its stage writes it, and with it the live version.
        """
        folder = self.store(model).folder
        inside = [folder / name for name in (VERSIONS, CURRENT, PRIVATE)]
        if folder.is_relative_to(path) or any(path.is_relative_to(one) for one in inside):
            raise Refused(
                f"{self._from_top(path)} is where versions of {model} are deployed",
                f"keep the model in a folder or file below it: {self._from_top(folder)}/data",
            )

    def _from_top(self, path: Path) -> str:
        return os.path.relpath(path, self.repository.top)

    def metrics(self, taken: "Snapshot") -> dict[str, Any]:
        """The model's metrics at a commit."""
        from tagship.dvc import metric_files

        return metric_files.metrics(taken, self.blobs, self.cache)

    def artifacts(self) -> dict[str, Artifact]:
        """Every model that HEAD declares, in whatever folder.

        Raises:
            NotFound: the repository has no commit yet.
            Corrupt: a dvc.yaml cannot be read.
        """
        head = commits.commit(self.repository, "HEAD").id
        found: dict[str, Artifact] = {}
        for path in tree.paths(self.repository, head):
            folder, _, name = path.rpartition("/")
            if name == PIPELINE_FILE:
                found.update(registry_artifacts.parse(self.blobs.read(head, path) or b"", folder))
        return found

    def declared(self, model: str) -> Artifact:
        """The model as HEAD declares it.

        Raises:
            NotFound: it does not, with the nearest name; or the repository has no commit yet.
        """
        found = self.artifacts()
        if model not in found:
            raise registry_artifacts.unknown_model(model, found)
        return found[model]

    def check_deployed(self, model: str) -> None:
        """Raise NotFound where no version of the model ever was on this host."""
        store = self.store(model)
        if not store.versions.is_dir() and not journal.events(store):
            self.declared(model)
            raise NotFound(f"{model} was never deployed here", f"tagship deploy {model}")

    def describe(self, release: Release, taken: "Snapshot", files: tuple[File, ...]) -> Metadata:
        """What a tag and its commit say of a version, deployed or not."""
        from importlib.metadata import version

        tag, commit, artifact = (
            release.tag,
            commits.commit(self.repository, release.commit),
            taken.artifact,
        )
        return Metadata(
            model=artifact.model,
            version=str(release.version),
            path=Path(artifact.path).name,
            self_test=Path(artifact.self_test).name if artifact.self_test else None,
            tag=metadata.TagInfo(
                str(tag.name), tag.object_id, tag.tagger, clock.stamp(tag.at), tag.message.strip()
            ),
            commit=metadata.CommitInfo(
                commit.id, commit.author, clock.stamp(commit.at), commit.message
            ),
            files=files,
            size=sum(file.size for file in files),
            metrics=redact.json(self.metrics(taken)),
            params=redact.json(taken.params),
            lineage=redact.json(taken.lineage),
            tools={
                "python": platform.python_version(),
                **{name: version(name) for name in ("tagship", "dvc")},
            },
        )

    @property
    def incoming(self) -> Path:
        """Where objects arrive for whoever has no lock on a model's folder."""
        return self.project / ".dvc" / "tmp" / "tagship"

    def fetcher(self, store: Store | None = None, progress: Progress = silent) -> "Fetcher":
        """Brings what the cache lacks, through the folder for arrivals."""
        from tagship.dvc import remote

        incoming = store.incoming if store else self.incoming
        return remote.Fetcher(self.cache, incoming, self.settings.dvc_remote, progress)


def find(start: Path) -> Workspace:
    """The workspace that a folder lies in.

    Raises:
        NotFound: there is no such folder, or it is not in a DVC repository.
    """
    if not start.is_dir():
        raise NotFound(f"{start} is no folder", "give one with -C DIR")
    project = host_settings.require_project(start)
    settings = host_settings.read(project)
    return Workspace(start, project, project / settings.root, settings)
