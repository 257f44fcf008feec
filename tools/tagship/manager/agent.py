"""Agent: all that the command line can do with a host without a work tree, as methods."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tagship.errors import NotFound, Refused
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry.project_files import HOST_FILE

if TYPE_CHECKING:
    from tagship.fleet.overview import Overview
    from tagship.registry.refs import Ref
    from tagship.registry.seen import Seen
    from tagship.workspace.host import Host
    from tagship.workspace.mirrored import Mirrored
    from tagship.workspace.new_host import NewHost
    from tagship.workspace.state import Followed


@dataclass(frozen=True)
class Fetched:
    """The tags that a fetch brought.

    Attributes:
        new: seen for the first time.
        moved: they name another object now; what was seen first counts.
        vanished: they are not shown any more; they count all the same.
        impossible: they cannot be kept beside a tag that was seen.
        lightweight: they are no annotated tags of commits, and never count.
        damaged: their capsules could not be taken in; with the reason, after a colon.
    """

    new: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    impossible: tuple[str, ...] = ()
    lightweight: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: "Seen") -> Self:
        """The same of what a fetch found."""
        new, moved, vanished, impossible, lightweight = (
            tuple(str(tag) for tag in kind)
            for kind in (
                found.new,
                found.moved,
                found.vanished,
                found.impossible,
                found.lightweight,
            )
        )
        damaged = tuple(f"{name}: {why}" for name, why in found.damaged)
        return cls(new, moved, vanished, impossible, lightweight, damaged)


class Agent:
    """A host that follows the tags of a repository.

    Args:
        start: its folder, with tagship.toml; the working directory by default.
        progress, tell: as for ``Workspace``.

    Every method but ``init`` raises NotFound where the folder has no tagship.toml, and Refused
    where that cannot be trusted or says what may not be.
    """

    def __init__(
        self, start: Path | str = ".", progress: Progress = silent, tell: Tell = nobody
    ) -> None:
        self.start = Path(start)
        self.progress, self.tell = progress, tell

    def init(
        self, git: str | None = None, *, index: str | None = None, bundle: str | None = None,
        remote: str | None = None, endpoint: str | None = None,
        follow: "Sequence[Ref | str]" = (), name: str | None = None,
    ) -> "NewHost":  # fmt: skip
        """Make the folder a host: of a repository, of an index, or of bundles.

        See ``new_host.make``.
        """
        from tagship.registry.refs import Ref
        from tagship.workspace import new_host

        refs = [Ref.parse(each) if isinstance(each, str) else each for each in follow]
        address = new_host.address(git=git, index=index, bundle=bundle)
        return new_host.make(
            self.start, address, remote=remote, endpoint=endpoint, follow=refs, name=name
        )

    def fetch(
        self, accept: Iterable[str] = (), *, reason: str | None = None, wait: float = 0
    ) -> Fetched:
        """Fetch the tags of the followed models, and the small files of what they select.

        Args:
            accept: tags that were moved; what they are now counts from now on.
            reason: why, for the history.
            wait: seconds to wait for another act on a model.

        Raises:
            InvalidName, NotFound: one of ``accept`` is no such tag.
            Refused: what is shown of it now is no annotated tag; or an index cannot be read.
            Unavailable: the server does not answer, or refuses.
            Locked: another process works on the model.
        """
        source, host = self._places
        found = source.fetch(self.tell, signed=host.policy.require_signed)
        for name in accept:
            from tagship.deploy import accept as deploy_accept
            from tagship.deploy.act import Options

            options = Options(reason=reason, wait=wait, tell=self.tell)
            deploy_accept.accept(source, host, deploy_accept.named(name), options)
            moved = tuple(tag for tag in found.moved if str(tag) != name)
            found = found._replace(moved=moved)
        source.complete(source.selected(host.rules), self.tell)
        if found.unread:
            first = found.unread[0]
            others = "the other models are fetched: tagship status"
            raise Refused(first.what, f"{first.fix}; {others}")
        return Fetched.of(found)

    def sync(
        self, models: Iterable[str] | None = None, *, dry_run: bool = False, retry: bool = False,
        smoke_test: bool | None = None, wait: float = 0,
    ) -> "tuple[Followed, ...]":  # fmt: skip
        """One pass: fetch, decide, deploy, watch the gates, tell.

        One that finds nothing new is quick: see ``workspace.settled``; else ``deploy.sync``. What
        others are told of it: see ``fleet.publish``.

        Args:
            models: those to look after; None for all that are followed.
            dry_run: only fetch, and say what would be done.
            retry: what waits is tried now, and what is blocked too.
            smoke_test: load each model first; None for what tagship.toml says.
            wait: seconds to wait for another act on a model.

        Raises:
            NotFound: a model is not followed.
            Locked: another pass is under way.
        """
        from tagship.fleet import publish
        from tagship.workspace import settled

        names = None if models is None else list(models)
        is_plain = not (dry_run or retry) and smoke_test is None
        rows = settled.look(self.start, names, self.tell) if is_plain else None
        if rows is not None:
            if not publish.is_told(self.start, rows):
                publish.publish(*self._places, rows, self.tell)
            return rows
        return self._full_pass(names, dry_run, retry, smoke_test, wait)

    def _full_pass(
        self, models: list[str] | None, dry_run: bool, retry: bool, smoke_test: bool | None,
        wait: float,
    ) -> "tuple[Followed, ...]":  # fmt: skip
        """``sync``, where something may be new."""
        from tagship.deploy import sync
        from tagship.deploy.act import Options
        from tagship.fleet import others, publish, roster
        from tagship.registry.refs import check_model
        from tagship.workspace.mirrored import not_followed

        source, host = self._places
        names = list(host.rules) if models is None else [check_model(name) for name in models]
        for name in names:
            if name not in host.rules:
                raise not_followed(name, host.rules)
        options = Options(
            smoke_test=smoke_test, wait=wait, retry=retry, progress=self.progress, tell=self.tell
        )
        reports = source.file.reports
        rows = sync.sync(
            source, host, names, options, dry_run=dry_run, others=others.of_host(source.file),
            roster=roster.names(reports.roster, self.tell),
        )  # fmt: skip
        if not dry_run:
            publish.publish(source, host, rows, self.tell)
        return rows

    def fleet(
        self, models: Iterable[str] | None = None, *, place: str | None = None,
        roster: Path | None = None, signers: Path | None = None,
    ) -> "Overview":  # fmt: skip
        """Which version is live on which host, by what the hosts say of themselves.

        Args:
            models: those to tell of; None for all.
            place: where the status objects are: a folder, or ``s3://``, ``gs://``, ``azure://``;
                None for the place that tagship.toml names, or this host alone where it names none.
            roster: a file with the names of all hosts; None for that of tagship.toml.
            signers: whose keys may sign which host's; None for those of tagship.toml.

        Raises:
            NotFound: this is no host, and no place is given; or no host tells of a model.
            Unavailable: the place cannot be read.
        """
        from tagship.fleet import survey
        from tagship.registry.refs import check_model

        names = None if models is None else [check_model(name) for name in models]
        return survey.of(self.start, names, survey.Asked(place, roster, signers), self.tell)

    def write_fleet(self, view: "Overview", path: Path) -> None:
        """Write an overview as one HTML page.

        Raises:
            Refused, NotFound: the file cannot be written, or may not be one.
        """
        from tagship.fleet import page

        page.write(view, path)

    def news(self, rows: "Sequence[Followed]", *, keep: bool = True) -> "tuple[Followed, ...]":
        """Those of the models with something that was not told after an earlier pass.

        Args:
            rows: of a pass.
            keep: from now on it was told.
        """
        from tagship.host import agent

        root = self.start.resolve()
        state = agent.read(root)
        told = {**state.told, **{row.model: row.trouble for row in rows}}
        if keep and told != state.told:
            agent.write(root, replace(state, told=told))
        return tuple(row for row in rows if row.did or row.trouble != state.told.get(row.model, ""))

    @cached_property
    def _places(self) -> "tuple[Mirrored, Host]":
        from tagship.host import project
        from tagship.workspace import find, host_file

        folder = project.find_host(self.start)
        if folder is None:
            if (self.start / HOST_FILE).exists():
                host_file.check_own(self.start)  # says why it does not count
            hint = f"tagship host init {self.start} --git URL"
            raise NotFound(f"there is no tagship.toml in {self.start.absolute()}", hint)
        return find.of_host(folder, host_file.read(folder))
