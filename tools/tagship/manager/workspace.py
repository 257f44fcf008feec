"""Workspace: all that the command line can do with all models, as methods."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tagship.errors import InvalidName, NotFound
from tagship.manager.model import ModelVersionManager
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry.refs import Ref

if TYPE_CHECKING:
    from tagship.export.unbundle import Accept, Unbundled
    from tagship.export.unpack import Unpacked
    from tagship.host.history import Event
    from tagship.host.journal import Past
    from tagship.host.store import Store
    from tagship.inspect.audit import Decisions
    from tagship.inspect.events import LiveThen
    from tagship.inspect.listing import ModelRow
    from tagship.inspect.status import Status
    from tagship.inspect.verify import Verification
    from tagship.release.init import Prepared
    from tagship.workspace.host import Host
    from tagship.workspace.source import Source


@dataclass(frozen=True)
class Page:
    """A report that was written: its absolute path, and the models that it shows."""

    path: Path
    models: tuple[str, ...]


class Workspace:
    """All models of a repository, and of this host.

    Where a method takes ``models``, None means all of them.

    Args:
        start: a folder in the workspace; the working directory by default.
        progress: is told what is fetched, copied, hashed and pushed, and the bytes of it.
        tell: is told whom is waited for, such as who holds a lock; and what this clone may lack.

    Where ``start`` is in no Git or DVC repository, every method but ``model``, ``unpack_image``
    and ``unbundle`` raises NotFound.
    """

    def __init__(
        self, start: Path | str = ".", progress: Progress = silent, tell: Tell = nobody
    ) -> None:
        self.start = Path(start)
        self.progress, self.tell = progress, tell

    @cached_property
    def _places(self) -> "tuple[Source, Host]":
        """Where versions come from, and where they go."""
        from tagship.workspace import find

        return find.find(self.start, self.tell)

    @cached_property
    def _view(self) -> "tuple[Source, Host]":
        """The same for methods that change nothing: they answer while params.yaml is merged."""
        from tagship.workspace import find

        return find.look(self.start, self.tell)

    def model(self, name: str) -> ModelVersionManager:
        """The manager of one model.

        Raises:
            InvalidName: not a valid model name.
        """
        return ModelVersionManager(name, self.start, self.progress, self.tell)

    def init(self, model: str | None = None, path: str | None = None) -> "Prepared":
        """Write the ignore rules, and declare a first model in dvc.yaml.

        Args:
            model: its name.
            path: its file or folder, from the folder of the DVC repository.

        Raises:
            InvalidName: not a valid name; or only one of the two is given.
            Refused: another model has the name; or the path leaves the repository.
            Corrupt: dvc.yaml cannot be read.
        """
        from tagship.release import init

        if (model is None) != (path is None):
            raise InvalidName("a new model needs a name and a path", "give both")
        source, host = self._places
        source.check_work_tree()
        return init.prepare(source, host.settings.root, model, path, self.tell)

    def models(self) -> "list[ModelRow]":
        """Each model: its live and its latest version, and the size."""
        from tagship.inspect import listing

        return listing.models(*self._view, self.tell)

    def status(self, models: Iterable[str] | None = None) -> "list[Status]":
        """Whether each model is in order, and the commands that fix it.

        Raises:
            NotFound: there is no such model.
        """
        from tagship.inspect import status

        source, host = self._view
        if models is None:
            return status.of_all(source, host, self.tell)
        return [status.status(source, host, name) for name in models]

    def verify(self, ref: str | Ref | None = None) -> "list[Verification]":
        """Check deployed files against the checksums in the tag.

        Args:
            ref: ``MODEL`` or ``MODEL@VERSION``; None for all that is on disk.

        Raises:
            NotFound: nothing of that is on disk.
        """
        from tagship.inspect import verify

        selected = Ref.parse(ref) if isinstance(ref, str) else ref
        return verify.verify(*self._view, selected, self.progress)

    def verify_image(self, place: str) -> "Verification":
        """Check an OCI image against the tag that it names.

        Args:
            place: ``oci:DIR``, ``oci:DIR@sha256:HEX`` or ``docker://HOST/NAME@sha256:HEX``.

        Raises:
            InvalidName: it is no such text.
            TagshipError: as for ``image_check.verify``.
        """
        from tagship.export import image_check, image_places

        where = image_places.parse(place, self.tell)
        return image_check.verify(*self._view, where, self.progress, self.tell)

    def unpack_image(self, place: str, target: Path | str) -> "Unpacked":
        """Write the files of an OCI image into a new folder; all are compared with its digest.

        It needs no repository, and takes ``target`` from the working directory.

        Args:
            place: as for ``verify_image``.
            target: a folder that does not exist, or is empty.

        Raises:
            InvalidName: it is no such text.
            TagshipError: as for ``unpack.unpack``.
        """
        from tagship.export import image_places, unpack

        where = image_places.parse(place, self.tell)
        return unpack.unpack(where, Path(target), self.progress)

    def unbundle(
        self, file: "Path | str | BinaryIO", target: Path | str | None = None, *,
        accept: "Accept | None" = None,
    ) -> "Unbundled":  # fmt: skip
        """Take a bundle into the folder that this host follows, or into another one.

        It needs no repository, and takes both paths from the working directory.

        Args:
            file: its path; or what is open to read, such as standard input.
            target: the folder; None for that of the host in ``start``.
            accept: is asked where nothing tells that the bundle is of the right repository: that
                has no tag that was seen here, and none must be signed. None: it is refused then.

        Raises:
            NotFound: there is no such file; or no host is here, and there is no ``target``.
            TagshipError: as for ``unbundle.unbundle``.
        """
        from tagship.export import bundle_places, unbundle

        path = Path(file) if isinstance(file, str) else file
        folder = None if target is None else Path(target)
        place = bundle_places.place(self.start, folder, accept)
        with bundle_places.blocks(path) as (blocks, where):
            return unbundle.unbundle(
                blocks, where, place.folder, place.rules, self.progress, self.tell
            )

    def history(
        self, models: Iterable[str] | None = None, *, limit: int | None = None,
        since: datetime | str | None = None, actions: Iterable[str] = (),
    ) -> "list[Event]":  # fmt: skip
        """What happened on this host, in order of time. Arguments as for ``ModelVersionManager``.

        Raises:
            NotFound, InvalidName, Corrupt: as for ``get_deployment_history``.
        """
        from tagship.inspect import events
        from tagship.text import clock

        first = clock.moment(since) if isinstance(since, str) else since
        return events.events(self._pasts(models).values(), limit, first, actions)

    def live_at(
        self, moment: datetime | str, models: Iterable[str] | None = None
    ) -> "list[LiveThen]":
        """The version of each model that was live on this host at a moment, and why."""
        from tagship.inspect import events
        from tagship.text import clock

        then = clock.moment(moment) if isinstance(moment, str) else moment
        return [events.live_at(past, name, then) for name, past in self._pasts(models).items()]

    def audit(
        self, file: "BinaryIO | Path | str", *, identity: str | None = None, at: str | None = None,
        model: str | None = None, limit: int = 20, root: Path | str | None = None,
    ) -> "Decisions":  # fmt: skip
        """Who decided what a server answered, by which version, and why that was live.

        Where ``start`` is in no workspace, only what ``root`` has is known of the version.

        Args:
            file: what ``tagship serve --audit`` wrote. It is read a line at a time.
            identity: the id of the request.
            at: a day, an hour, a minute or a second, in ISO 8601.
            model: its name.
            limit: the first so many answers.
            root: a plain folder of models, where ``start`` is in no workspace.

        Raises:
            NotFound: there is no such answer.
            InvalidName: ``at`` is not a date, or ``limit`` not a number of answers.
        """
        from tagship.inspect import audit

        asked = audit.wanted(identity, at, model)
        stores, source = self._histories(root)
        if isinstance(file, Path | str):
            with open(file, "rb") as opened:
                return audit.decisions(opened, asked, limit, stores, source)
        return audit.decisions(file, asked, limit, stores, source)

    def _histories(self, root: Path | str | None) -> "tuple[Callable[[str], Store], Source | None]":
        """Where the histories are, and the tags: in a workspace, or in a plain folder of models."""
        from tagship.host import live

        try:
            source, host = self._view
        except NotFound:
            return lambda name: live.store(name, self.start, root), None
        return host.store, source

    def report(self, path: Path | str = "report.html", models: Iterable[str] | None = None) -> Page:
        """Write an HTML report: one file that loads nothing from the network.

        Raises:
            Refused: ``path`` is not a file, or what draws is not installed.
            NotFound: there is no such model, or no such folder.
        """
        from tagship.report import collect, page

        collected = collect.collect(*self._places, [] if models is None else list(models))
        page.write(collected, Path(path))
        return Page(Path(path).absolute(), tuple(model.model for model in collected.models))

    def _pasts(self, models: Iterable[str] | None) -> "dict[str, Past]":
        """The histories of models: of those that are declared, and those that have one here."""
        from tagship.host import journal
        from tagship.inspect import events

        source, host = self._view
        if models is None:
            known = events.known_models(source.artifacts(), host)
            return {name: journal.events(host.store(name)) for name in known}
        return {name: events.past_of(source, host, name) for name in models}
