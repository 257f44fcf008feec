"""What the other hosts say of a model, for a staged rollout: it only delays."""

from pathlib import Path
from typing import TYPE_CHECKING

from tagship.errors import TagshipError, Unavailable
from tagship.workspace.host_file import HostFile
from tagship.workspace.rollout import Others, Said, nobody_said
from tagship.workspace.state import Why

if TYPE_CHECKING:
    from tagship.fleet.reading import Reading


def of_host(file: HostFile) -> Others:
    """What the others say to a host, asked once a model and pass; most passes never ask.

    Args:
        file: its tagship.toml. With ``signers`` only what is signed counts.
    """
    if file.reports.status is None:
        return nobody_said
    known: dict[str, tuple[Said, ...]] = {}

    def others(model: str) -> tuple[Said, ...]:
        if model not in known:
            known[model] = _asked(file, model)
        return known[model]

    return others


def _asked(file: HostFile, model: str) -> tuple[Said, ...]:
    """What the others say of a model now.

    Raises:
        Unavailable: it cannot be read.
    """
    from tagship.fleet import place, reading

    wishes = file.reports
    try:
        where = place.of(wishes.status or "", wishes.options)
        readings, contents = reading.read(where, [model], wishes.signers)
    except (TagshipError, OSError) as error:
        what = error.message if isinstance(error, TagshipError) else str(error)
        raise Unavailable(f"what the other hosts say cannot be read: {what}") from None
    if contents.is_cut:
        raise Unavailable(f"{where.title} has more objects than can be read")
    believed = [each for each in readings if is_believed(each, wishes.signers)]
    return tuple(said(each) for each in believed if each.name.host != file.name)


def is_believed(each: "Reading", signers: Path | None) -> bool:
    """Whether an object counts: it can be read, and is signed where signatures are asked for."""
    return each.status is not None and (signers is None or each.signed.value == "signed")


def said(each: "Reading") -> Said:
    """What an object says, as far as a rollout asks."""
    status = each.status
    if status is None:
        return Said(each.name.host)
    live = status.live.tag_object if status.live else None
    is_healthy = live is not None and status.state is Why.IN_ORDER
    return Said(each.name.host, live, is_healthy, frozenset(status.failed))
