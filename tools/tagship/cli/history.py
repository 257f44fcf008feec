"""``tagship history``. JSON: a list of ``Event``; with ``--at``, of ``LiveThen``."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from tagship.cli import options, output
from tagship.cli.options import Session, json_option, optional_model_argument, pass_session
from tagship.text import words

if TYPE_CHECKING:
    from datetime import datetime

    from tagship.host.history import Event
    from tagship.inspect.events import LiveThen


@click.command()
@optional_model_argument
@click.option("--all", "every", is_flag=True, help="All models, in order of time.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The last N events.")
@click.option("--since", type=options.moment, metavar="TIME", help="Events since then.")
@click.option("--action", "actions", type=options.LazyChoice(options.actions), multiple=True,
              help="Events of this kind only; can be repeated.")  # fmt: skip
@click.option("--at", "moment", type=options.moment, metavar="TIME",
              help="The version that was live then, and why.")  # fmt: skip
@json_option
@pass_session
def command(
    session: Session, model: str | None, every: bool, limit: int | None, since: "datetime | None",
    actions: tuple[str, ...], moment: "datetime | None", as_json: bool,
) -> None:  # fmt: skip
    """Show what happened to MODEL on this host: when, by whom, why.

    Example: tagship history ml_model --at 2026-11-20T12:00Z
    """
    if (model is None) != every:
        raise click.UsageError("name a model, or say --all")
    if moment and (limit or since or actions):
        raise click.UsageError("--at goes with no other choice of events")
    workspace, models = session.workspace(), None if model is None else [model]
    if moment:
        then = workspace.live_at(moment, models)
        return output.show(then, as_json, looks_then(then))
    events = workspace.history(models, limit=limit, since=since, actions=actions)
    if not events:
        never = not (every or limit or since or actions)
        output.warn([_nothing_yet(model) if never else "no such event on this host"])
    return output.show_table(events, as_json, looks_of_all if every else looks)


def _nothing_yet(model: str | None) -> str:
    return f"{model} was never deployed here: tagship deploy {model}"


def looks(events: Iterable["Event"]) -> output.Table:
    """A row for each event, the newest last."""
    table = [
        (
            str(event.seq),
            words.moment(event.at),
            event.action,
            event.status,
            event.version or "",
            event.previous.version if event.previous else "",
            event.actor,
            _why(event),
        )
        for event in events
    ]
    return ("SEQ", "AT (UTC)", "ACTION", "STATUS", "VERSION", "BEFORE", "BY", "WHY"), table


def _why(event: "Event") -> str:
    """The error or the reason; a hold that began, a rule that selects now, an image."""
    held = f"holds until {words.moment(event.until)}" if event.until else ""
    rule = f"from now on by the rule {event.rule}" if event.action == "follow" else ""
    return "; ".join(filter(None, (rule, held, event.image, event.error or event.reason)))


def looks_of_all(events: Sequence["Event"]) -> output.Table:
    """The same, and the model of each event."""
    heading, rows = looks(events)
    table = [(event.model, *row) for event, row in zip(events, rows, strict=True)]
    return ("MODEL", *heading), table


def looks_then(answers: Iterable["LiveThen"]) -> str:
    """For each model: the version that was live then, who made it live, and why."""
    from tagship.text import clock

    lines = []
    for answer in answers:
        at, period = words.moment(clock.stamp(answer.moment)), answer.period
        if period is None:
            lines.append(f"{answer.model}: nothing was live here at {at} UTC")
            continue
        until = "and is live still"
        if period.until:
            until = f"until {words.moment(clock.stamp(period.until))}"
        event = period.event
        by = f"{event.action} {event.id} by {event.actor} on {event.host}"
        lines.append(f"{answer.model}: {period.place.version} was live at {at} UTC")
        lines.append(f"  since {words.moment(clock.stamp(period.since))}, {until}")
        lines.append(f"  {by}{output.because(event)}")
    return output.text(lines)
