"""What hosts say of themselves, as it is read: parsed within bounds, its signature checked."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tagship.disk import access
from tagship.errors import Unavailable
from tagship.fleet import at_once, place, signature, status_object
from tagship.fleet.place import Contents, Found, Name, Place
from tagship.fleet.signature import Signed
from tagship.fleet.status_object import Damaged, StatusObject

CHECKS = 120.0  # seconds for all signatures: 9 ms each


@dataclass(frozen=True)
class Reading:
    """What a host says of a model.

    Attributes:
        name: as the file is named.
        stored: when it was written, by the clock of the store.
        status: what it says; None where that cannot be read.
        signed: what its signature says.
        problem: why it cannot be read.
    """

    name: Name
    stored: datetime
    status: StatusObject | None = None
    signed: Signed = Signed.UNSIGNED
    problem: str = ""


def read(
    where: Place, models: Collection[str] | None, signers: Path | None
) -> tuple[tuple[Reading, ...], Contents]:
    """What the hosts say, and what else is in the place.

    Args:
        where: the place.
        models: those to read; None for all.
        signers: whose keys may sign, in the form of ssh-keygen(1); None where nobody says.

    Raises:
        Unavailable: the place cannot be listed, or no signature can be checked.
    """
    check_signers(signers)
    contents = place.read(where, models)
    parsed = [_parsed(found) for found in contents.objects]
    jobs = {
        reading.name: (payload, reading.status)
        for reading, payload in parsed
        if reading.status is not None
    }

    def check(name: Name) -> Signed:
        payload, status = jobs[name]
        return signature.check(payload, status.signature, status.host, signers)

    states = at_once.ask(check, jobs, CHECKS, threads=os.cpu_count() or 1)
    return tuple(_checked(reading, states) for reading, _ in parsed), contents


def check_signers(signers: Path | None) -> None:
    """Refuse signers that cannot be read: every signature would look forged.

    Raises:
        Unavailable: they cannot.
    """
    if signers is None:
        return
    try:
        with signers.open("rb"):
            pass
    except OSError as error:
        what, hint = access.explain(error)
        raise Unavailable(f"the signers of status objects cannot be read: {what}", hint) from None


def _parsed(found: Found) -> tuple[Reading, bytes]:
    if found.problem:
        return Reading(found.name, found.written, problem=found.problem), b""
    try:
        status, payload = status_object.parse(found.data, *found.name)
    except Damaged as error:
        return Reading(found.name, found.written, problem=f"damaged: {error}"), b""
    return Reading(found.name, found.written, status), payload


def _checked(reading: Reading, states: dict[Name, Signed | Exception]) -> Reading:
    if reading.status is None:
        return reading
    state = states.get(reading.name, Signed.FORGED)
    if isinstance(state, Exception):
        raise state
    return Reading(reading.name, reading.stored, reading.status, state)
