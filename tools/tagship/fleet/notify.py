"""The operator's program that is told each change: of how a model is, or of its live version.

It gets a JSON object on its standard input. It runs as ``disk.program`` says: without a shell, in
``/``, with a clean environment and for a bounded time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tagship.disk import program
from tagship.errors import Unavailable
from tagship.fleet import at_once
from tagship.host.agent import Reported
from tagship.progress import Tell
from tagship.text import escape

if TYPE_CHECKING:
    from tagship.fleet.telling import Told

SCHEMA = 1
SECONDS = 10.0


def of_changes(
    models: "Sequence[Told]",
    reported: Mapping[str, Reported],
    command: Sequence[str],
    tell: Tell,
) -> dict[str, Reported]:
    """Run the program for each model that changed since it ran last.

    Returns:
        ``reported``, with what it was told: where it failed, it is told again with the next status.
    """
    changed = {each.row.model: each for each in models if is_change(each)}
    failures = at_once.ask(
        lambda model: run(command, message(changed[model])), changed, 2 * SECONDS, threads=4
    )
    after = dict(reported)
    for model, each in changed.items():
        failure = failures.get(model, "it did not come to its end")
        if failure:
            tell(f"notify failed for {model}: {failure}")
        else:
            after[model] = replace(after[model], why=each.status.why, live=each.row.live)
    return after


def is_change(told: "Told") -> bool:
    """Whether a model is another than what the program was told. Pure."""
    return (told.status.why, told.row.live) != (told.before.why, told.before.live)


def message(told: "Told") -> dict[str, Any]:
    """What the program is told. Pure."""
    status = told.status
    live, desired = status.live, status.desired
    return {
        "schema": SCHEMA,
        "model": status.model,
        "host": status.host,
        "at": status.at,
        "why": status.why,
        "reason": status.reason,
        "live": told.row.live,
        "desired": desired.version if desired else None,
        "since": live.since if live else None,
        "before": {"why": told.before.why, "live": told.before.live} if told.before.why else None,
    }


def run(command: Sequence[str], value: Mapping[str, Any]) -> str:
    """Run the program; why it failed, empty if it did not."""
    data = escape.json(value, indent=None).encode() + b"\n"
    variables = {"TAGSHIP_MODEL": value["model"], "TAGSHIP_HOST": value["host"]}
    try:
        ended = program.run(command, SECONDS, program.clean(variables), given=data)
    except Unavailable as error:
        return error.message
    if ended.code == 0:
        return ""
    how = f"exit code {ended.code}" if ended.code is not None else f"not over in {SECONDS:g}s"
    return f"{how}: {ended.last}" if ended.last else how
