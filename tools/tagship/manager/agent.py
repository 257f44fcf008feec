"""Agent: all that the command line can do with a host without a work tree, as methods."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tagship.errors import NotFound
from tagship.progress import Progress, Tell, nobody, silent
from tagship.registry.project_files import HOST_FILE
from tagship.registry.refs import Ref, check_model

if TYPE_CHECKING:
    from tagship.deploy.sync import Followed
    from tagship.fleet.overview import Overview
    from tagship.workspace.host import Host
    from tagship.workspace.mirrored import Mirrored
    from tagship.workspace.new_host import NewHost


@dataclass(frozen=True)
class Fetched:
    """The tags that a fetch brought.

    Attributes:
        new: seen for the first time.
        moved: the server has another object under their name; what was seen first counts.
        vanished: the server does not show them any more; they count all the same.
        impossible: they cannot be kept beside a tag that was seen.
    """

    new: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    impossible: tuple[str, ...] = ()


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
        self, git: str, *, remote: str | None = None, endpoint: str | None = None,
        follow: Sequence[Ref | str] = (), name: str | None = None,
    ) -> "NewHost":  # fmt: skip
        """Make the folder a host. See ``new_host.make``."""
        from tagship.workspace import new_host

        refs = [Ref.parse(each) if isinstance(each, str) else each for each in follow]
        return new_host.make(
            self.start, git, remote=remote, endpoint=endpoint, follow=refs, name=name
        )

    def fetch(self) -> Fetched:
        """Fetch the tags of the followed models, and the small files of what they select.

        Raises:
            Unavailable: the server does not answer, or refuses.
        """
        source, host = self._places
        seen = source.fetch(self.tell, signed=host.policy.require_signed)
        source.complete(source.selected(host.rules), self.tell)
        names = (tuple(map(str, tags)) for tags in seen)
        return Fetched(*names)

    def sync(
        self, models: Iterable[str] | None = None, *, dry_run: bool = False, retry: bool = False,
        smoke_test: bool | None = None, wait: float = 0,
    ) -> "tuple[Followed, ...]":  # fmt: skip
        """One pass: fetch, decide, deploy, watch the gates, tell. See ``deploy.sync``, ``fleet``.

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
        from tagship.deploy import sync
        from tagship.deploy.act import Options
        from tagship.fleet import others, publish, roster
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

        names = None if models is None else [check_model(name) for name in models]
        return survey.of(self.start, names, survey.Asked(place, roster, signers), self.tell)

    def write_fleet(self, view: "Overview", path: Path) -> None:
        """Write an overview as one HTML page.

        Raises:
            Refused, NotFound: the file cannot be written, or may not be one.
        """
        from tagship.fleet import page

        page.write(view, path)

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
