"""A survey: what all hosts say of themselves, read from their place; or what this host alone is."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tagship.errors import NotFound
from tagship.fleet import here, memory, overview, place, reading, roster
from tagship.fleet.overview import Overview
from tagship.fleet.place import Contents, Name, Place
from tagship.fleet.reading import Reading
from tagship.host import project
from tagship.progress import Tell
from tagship.text import choose, clock
from tagship.workspace import find, host_file, mirrored, reports
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.reports import Reports


@dataclass(frozen=True)
class Asked:
    """What a person who looks asks for; None for what tagship.toml says.

    Attributes:
        place: where the status objects are.
        roster: with the names of all hosts.
        signers: whose keys may sign which host's object.
    """

    place: str | None = None
    roster: Path | None = None
    signers: Path | None = None


def of(start: Path, models: Collection[str] | None, asked: Asked, tell: Tell) -> Overview:
    """All hosts by what they say of themselves; this host alone where it has no place for that.

    Args:
        start: a host's folder, or any other one.
        models: those to tell of; None for all.
        asked: what is not to be as tagship.toml says.
        tell: is told what is not as it should be.

    Raises:
        NotFound: it is no host, and no place is named; or no host tells of one of the models.
        Unavailable: the place, the roster or the signers cannot be read.
        Corrupt, Refused: tagship.toml or the roster says what may not be, or is not this host's.
    """
    folder = project.find_host(start)
    if folder is None:
        if asked.place is None:
            what = f"there is no tagship.toml in {start.absolute()}"
            raise NotFound(what, "tagship fleet --from s3://BUCKET/PREFIX")
        where = place.of(asked.place, {})
        return of_place(where, models, asked, memory.of_account(asked.place))
    file = host_file.look(folder)
    if asked.place is None and file.reports.status is None:
        return of_host(start, models, tell)
    host_file.check_own(folder)  # it says where this account's credentials go
    wishes = file.reports
    if asked.place is not None:
        wishes = Reports(asked.place, reports.options_of(asked.place, file.remotes))
    asked = replace(
        asked,
        roster=asked.roster or file.reports.roster,
        signers=asked.signers or file.reports.signers,
    )
    where = place.of(wishes.status or "", wishes.options)
    return of_place(where, models, asked, memory.of_host(folder))


def of_place(
    where: Place, models: Collection[str] | None, asked: Asked, heard_file: Path | None
) -> Overview:
    """All hosts, by what they wrote into a place.

    Args:
        where: the place.
        models: those to tell of; None for all.
        asked: the roster, and the signers.
        heard_file: keeps what was heard, so that an older object is known the next time.

    Raises:
        Unavailable, NotFound, Corrupt: as for ``of``.
    """
    names = None if asked.roster is None else roster.read(asked.roster)
    signers = asked.signers.absolute() if asked.signers else None
    readings, contents = reading.read(where, models, signers)
    _check_known(models, contents.names, where)
    heard = memory.read(heard_file)
    view = overview.of(
        where.title, readings, contents, clock.now(),
        roster=names, signers=signers is not None, heard=heard,
    )  # fmt: skip
    after = overview.remembered(readings, heard)
    if after != heard:
        memory.write(heard_file, after)
    return view


def _check_known(models: Iterable[str] | None, names: Iterable[Name], where: Place) -> None:
    known = sorted({name.model for name in names})
    for model in models or ():
        if model not in known:
            raise NotFound(
                f"no host tells of {model} in {where.title}",
                choose.near(model, known) if known else "tagship sync, on a host",
            )


def of_host(start: Path, models: Collection[str] | None, tell: Tell) -> Overview:
    """This host alone, where it does not tell others of itself."""
    now, readings = clock.now(), []
    source, host = find.look(start, tell)
    assert isinstance(source, Mirrored)
    for model in models or host.rules:
        if model not in host.rules:
            raise mirrored.not_followed(model, host.rules)
        status = here.build(source, host, here.look(source, host, model))
        readings.append(Reading(Name(model, status.host), now, status))
    return overview.of("this host", readings, Contents(), now)
