"""What a host tells of a pass: its status objects, its metrics, and who is to be notified.

Whatever goes wrong with it is a note, and never an error of the pass. A pass that found what the
last one found tells nothing within the hour, and reads no tags, no history and no tagship.toml.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tagship.disk import access
from tagship.errors import InvalidName, TagshipError
from tagship.host import agent
from tagship.host.agent import Reported
from tagship.progress import Tell
from tagship.text import clock

if TYPE_CHECKING:
    from tagship.workspace.host import Host
    from tagship.workspace.mirrored import Mirrored
    from tagship.workspace.state import Followed

INTERVAL = timedelta(hours=1)  # a host is heard of at least so often


def publish(source: "Mirrored", host: "Host", rows: "Sequence[Followed]", tell: Tell) -> None:
    """Tell what a pass found, where tagship.toml says whom.

    Args:
        source, host: the mirror, and where versions go.
        rows: what the pass found.
        tell: is told what could not be told.
    """
    from tagship.workspace.reports import Reports

    wishes, state = source.file.reports, agent.read(host.root)
    if wishes == Reports():
        if state.wishes:
            agent.write(host.root, replace(state, reported={}, wishes="", textfile=""))
        return
    known = state.reported if state.wishes == digest(repr(wishes)) else {}
    due = [row for row in rows if is_due(known.get(row.model), key(row), clock.now())]
    try:
        if due:
            from tagship.fleet import telling

            telling.tell_all(source, host, due, tell)
        if wishes.textfile is not None:
            from tagship.fleet import textfile

            if due or not textfile.refresh(wishes.textfile, host.root, rows):
                textfile.write(source, host, rows, wishes.textfile)
    except (TagshipError, OSError) as error:
        tell(f"the state of this host was not told: {access.explain(error)[0]}")
    except Exception as error:  # noqa: BLE001 - nothing of it may end a pass
        tell(f"the state of this host was not told: {type(error).__name__}: {error}")


def is_told(start: Path, rows: "Sequence[Followed]") -> bool:
    """Whether others know by now what a pass found that found nothing new.

    The metrics get the time of this pass. Nothing else is read than what the last full pass left:
    tagship.toml is the same, or there would have been a full one.

    Args:
        start: the host's folder.
        rows: what the pass found.
    """
    folder = start.resolve()
    state, now = agent.read(folder), clock.now()
    if not state.wishes:
        return True
    if any(is_due(state.reported.get(row.model), key(row), now) for row in rows):
        return False
    if not state.textfile:
        return True
    from tagship.fleet import textfile

    try:
        return textfile.refresh(Path(state.textfile), folder, rows)
    except OSError:  # said by who writes it anew
        return False


def is_due(before: Reported | None, now_found: str, now: datetime) -> bool:
    """Whether a model is to be told of again. Pure.

    Args:
        before: what was told of it.
        now_found: the key of what was found now.
        now: the time; a clock that was set back since makes it due.
    """
    if before is None or before.key != now_found:
        return True
    try:
        return not timedelta(0) <= now - clock.moment(before.at) < INTERVAL
    except InvalidName:  # it could not be told
        return True


def key(row: "Followed") -> str:
    """What a pass found of a model, to know it again."""
    reasons = [f"{reason.why.name} {reason.what}" for reason in row.reasons]
    return digest("\0".join([str(row.live), row.why.name, *reasons]))


def digest(text: str) -> str:
    """Of a text."""
    import hashlib  # most passes tell nothing

    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def keep(source: "Mirrored", host: "Host", identity: str, reported: Mapping[str, Reported]) -> None:
    """Leave to the next pass what was told; what else it is left stays."""
    state, wishes = agent.read(host.root), source.file.reports
    together = replace(
        state,
        id=identity,
        reported={**state.reported, **reported},
        wishes=digest(repr(wishes)),
        textfile=str(wishes.textfile or ""),
    )
    if together != state:
        agent.write(host.root, together)
