"""Telling others of models: one status object each, and the operator's program at each change."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tagship.deploy.sync import Followed
from tagship.disk import access
from tagship.errors import TagshipError, Unavailable
from tagship.fleet import at_once, here, notify, place, publish, roster, signature, status_object
from tagship.fleet.place import Name, Place
from tagship.fleet.status_object import Damaged, StatusObject, TooLong
from tagship.host import agent
from tagship.host.agent import Reported
from tagship.progress import Tell
from tagship.workspace.host import Host
from tagship.workspace.mirrored import Mirrored
from tagship.workspace.reports import Reports

LOOK = 10.0  # seconds to look at what is there of this host
SLACK = 20  # bytes: ``,"signature":""``, and an ECDSA signature may be some bytes longer


@dataclass(frozen=True)
class Told:
    """A model of which others are to be told: what a pass found, and what was told before."""

    row: Followed
    status: StatusObject
    before: Reported
    key: str

    @property
    def name(self) -> Name:
        """Of its object."""
        return Name(self.status.model, self.status.host)

    @property
    def is_hourly(self) -> bool:
        """Whether it is told again only because an hour went by."""
        return bool(self.before.at) and self.before.key == self.key


def tell_all(
    source: Mirrored, host: Host, rows: Sequence[Followed], keys: Mapping[str, str], tell: Tell
) -> None:
    """Write a status object of each model, and notify of what changed.

    Args:
        source, host: the mirror, and where versions go.
        rows: the models that are due.
        keys: by model, to know again what was found.
        tell: is told what could not be done.
    """
    state, wishes = agent.read(host.root), source.file.reports
    identity = state.id or os.urandom(8).hex()
    models = []
    for row in rows:
        before = state.reported.get(row.model, Reported())
        status = here.build(source, host, row, identity)
        models.append(Told(row, status, before, keys[row.model]))
    reported = {each.row.model: replace(each.before, key=each.key) for each in models}
    if wishes.status is not None:
        roster.warn(wishes.roster, source.file.name, tell)
        reported = _written(models, wishes, tell)
    if wishes.notify is not None:
        reported = notify.of_changes(models, reported, wishes.notify, tell)
    publish.keep(host, identity, reported)


def _written(models: Sequence[Told], wishes: Reports, tell: Tell) -> dict[str, Reported]:
    """Write the status objects; what is told of each by now: with no date where it failed."""
    unwritten = {each.row.model: replace(each.before, key=each.key, at="") for each in models}
    try:
        where = place.of(wishes.status or "", wishes.options)
        sent = {each.name: _sent(each, _twins(where, models), wishes, tell) for each in models}
        failed = place.put(where, {name: data for name, (_, data) in sent.items()})
    except (TooLong, TagshipError, OSError) as error:
        why = str(error) if isinstance(error, TooLong) else access.explain(error)[0]
        tell(f"the status of this host could not be written: {why}")
        return unwritten
    for message in sorted({error.message for error in failed.values()}):
        tell(f"the status of this host could not be written: {message}")
    return unwritten | {
        name.model: reported for name, (reported, _) in sent.items() if name not in failed
    }


def _sent(
    told: Told, twins: Mapping[Name, str | None], wishes: Reports, tell: Tell
) -> tuple[Reported, bytes]:
    """The bytes of a status object, and what is told once they are written."""
    seq, twin = told.before.seq + 1, twins.get(told.name, told.before.twin)
    status = _signed(replace(told.status, seq=seq, twin=twin), wishes, tell)
    data = status_object.to_bytes(status)
    reported = replace(
        told.before, key=told.key, at=status.at, seq=seq, twin=twin, digest=digest(data)
    )
    return reported, data


def _signed(status: StatusObject, wishes: Reports, tell: Tell) -> StatusObject:
    """The object, short enough, with its signature where this host has a key."""
    short = status_object.fitted(status)
    if wishes.sign is None:
        return short
    try:
        text = signature.sign(status_object.payload(short), wishes.sign)
        if len(status_object.to_bytes(replace(short, signature=text))) > status_object.LONGEST:
            short = status_object.fitted(status, len(text) + SLACK)
            text = signature.sign(status_object.payload(short), wishes.sign)
        return replace(short, signature=text)
    except TooLong:
        tell(f"{wishes.sign} makes signatures that are too long, so the status is not signed:"
             " take an ed25519 key")  # fmt: skip
    except Unavailable as error:
        tell(f"the status of this host is not signed: {error.message}")
    return status_object.fitted(status)


# --- another host of the same name


def _twins(where: Place, models: Sequence[Told]) -> dict[Name, str | None]:
    """The ids of other hosts that wrote where this one wrote last; looked for once an hour.

    What cannot be read says nothing: a host may well have no right to read.
    """
    hourly = {each.name: each for each in models if each.is_hourly}
    answers = at_once.ask(lambda name: where.get(name.key), hourly, LOOK)
    return {
        name: twin_of(hourly[name], data)
        for name, data in answers.items()
        if isinstance(data, bytes)
    }


def twin_of(told: Told, data: bytes) -> str | None:
    """The id of another host that wrote an object since this one did; None if there is none. Pure.

    It may be the same id, where the folder of a host was copied to another machine.
    """
    if digest(data) == told.before.digest:
        return None
    try:
        there, _ = status_object.parse(data, *told.name)
    except Damaged:
        return told.before.twin
    is_ours = there.id == told.status.id and there.seq < told.before.seq  # an older one, put back
    return None if is_ours else there.id


def digest(data: bytes) -> str:
    """Of the bytes of an object."""
    return hashlib.sha256(data).hexdigest()[:16]
