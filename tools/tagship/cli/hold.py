"""``tagship hold``. JSON: ``Holding``."""

from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import (
    Session,
    json_option,
    model_argument,
    pass_session,
    reason_option,
    until_option,
    wait_option,
)

if TYPE_CHECKING:
    from datetime import datetime


@click.command()
@model_argument
@until_option
@reason_option
@wait_option
@json_option
@pass_session
def command(
    session: Session, model: str, until: "datetime | None", reason: str | None, wait: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Let nothing go live by itself, until `tagship resume`.

    A hold does not end by itself. A deploy without an exact version ends with exit code 3
    meanwhile; a rollback, and a deploy of an exact version, work as always.

    Example: tagship hold ml_model --until 2099-12-01 --reason "the audit"
    """
    from tagship.text import clock, words

    holding = session.manager(model).hold(until, reason=reason, wait=wait)
    output.warn(holding.repaired)
    end = words.moment(clock.stamp(holding.until)) if holding.until else ""
    text = f"{model} is held; to end it: tagship resume {model}"
    text += f" (status asks for it from {end} UTC on)"
    output.show_done(holding, as_json, text)
