"""Hold a model, so that nothing goes live by itself, and resume it. Both are events alone."""

from dataclasses import dataclass, replace
from datetime import datetime

from tagship.deploy import act, plan
from tagship.deploy.act import Options
from tagship.errors import Refused
from tagship.host import actions, decisions
from tagship.host.store import Store
from tagship.text import clock, words


@dataclass(frozen=True)
class Holding:
    """Whether a model is held.

    Attributes:
        until: when the hold should end; it does not end by itself. None where there is none.
        repaired: what a killed run had left, and was put in order first.
    """

    model: str
    held: bool
    until: datetime | None = None
    repaired: tuple[str, ...] = ()


def hold(store: Store, model: str, until: datetime | None, options: Options) -> Holding:
    """Let nothing go live by itself until the model is resumed; a second hold replaces the first.

    Args:
        store: the model's folder.
        model: its name.
        until: when the hold should end, and begins to complain; None for a week.
        options: ``reason`` and ``wait`` are used.

    Raises:
        Refused: ``until`` is not in the future.
        Locked: another process works on the model.
    """
    end = end_of(until, f"tagship hold {model} --until")
    with act.begin(store, model, f"hold of {model}", options) as deed:
        deed.record(replace(deed.event(actions.HOLD), until=clock.stamp(end)))
    return Holding(model, True, end, deed.repaired)


def end_of(until: datetime | None, command: str) -> datetime:
    """When a hold that begins now should end: then, or in a week.

    Args:
        until: as it was given; None if it was not.
        command: holds, with a date after it.

    Raises:
        Refused: it is not in the future.
    """
    usual = clock.now() + plan.HOLD
    if until is not None and until <= clock.now():
        then = words.moment(clock.stamp(until))
        raise Refused(f"{then} UTC is not in the future", f"{command} {usual:%Y-%m-%d}")
    return until or usual


def resume(store: Store, model: str, options: Options) -> Holding:
    """End the hold of a model. What was rolled back stays blocked.

    Raises:
        Refused: it is not held.
        Locked: another process works on the model.
    """
    with act.begin(store, model, f"resume of {model}", options) as deed:
        if decisions.read(deed.past).hold is None:
            raise Refused(f"{model} is not held", f"tagship status {model}")
        deed.record(deed.event(actions.RESUME))
    return Holding(model, False, None, deed.repaired)
