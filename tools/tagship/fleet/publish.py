"""What a host tells of a pass: its status objects, its metrics, and who is to be notified.

Whatever goes wrong with it is a note, and never an error of the pass. A pass that found what the
last one found tells nothing within the hour; it imports nothing for that either.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tagship.disk import access
from tagship.errors import InvalidName, TagshipError
from tagship.host import agent
from tagship.host.agent import Reported
from tagship.progress import Tell
from tagship.text import clock
from tagship.workspace.reports import Reports

if TYPE_CHECKING:
    from tagship.deploy.sync import Followed
    from tagship.workspace.host import Host
    from tagship.workspace.mirrored import Mirrored

INTERVAL = timedelta(hours=1)  # a status object is written at least so often


def publish(source: "Mirrored", host: "Host", rows: "Sequence[Followed]", tell: Tell) -> None:
    """Tell what a pass found, where tagship.toml says whom.

    Args:
        source, host: the mirror, and where versions go.
        rows: what the pass found.
        tell: is told what could not be told.
    """
    wishes = source.file.reports
    if wishes == Reports():
        return
    now, known = clock.now(), agent.read(host.root).reported
    keys = {row.model: _key(row, wishes) for row in rows}
    due = [row for row in rows if is_due(known.get(row.model), keys[row.model], now, wishes)]
    try:
        if due:
            from tagship.fleet import telling

            telling.tell_all(source, host, due, keys, tell)
        if wishes.textfile is not None:
            from tagship.fleet import textfile

            textfile.write(source, host, rows, wishes.textfile, is_new=bool(due))
    except (TagshipError, OSError) as error:
        tell(f"the state of this host was not told: {access.explain(error)[0]}")


def is_due(before: Reported | None, key: str, now: datetime, wishes: Reports) -> bool:
    """Whether a model is to be told of again. Pure.

    Args:
        before: what was told of it.
        key: of what was found now.
        now: the time; a clock that was set back since makes it due.
        wishes: where to tell.
    """
    if before is None or before.key != key:
        return True
    if wishes.status is None:
        return False
    try:
        return not timedelta(0) <= now - clock.moment(before.at) < INTERVAL
    except InvalidName:  # it could not be written
        return True


def _key(row: "Followed", wishes: Reports) -> str:
    reasons = [f"{reason.why.name} {reason.what}" for reason in row.reasons]
    text = "\0".join([str(row.live), row.why.name, *reasons, repr(wishes)])
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def keep(host: "Host", identity: str, reported: Mapping[str, Reported]) -> None:
    """Leave to the next pass what was told; what else it is left stays."""
    state = agent.read(host.root)
    together = replace(state, id=identity, reported={**state.reported, **reported})
    if together != state:
        agent.write(host.root, together)
