"""``tagship resume``. JSON: ``Holding``."""

import click

from tagship.cli import output
from tagship.cli.options import (
    Session,
    json_option,
    model_argument,
    pass_session,
    reason_option,
    wait_option,
)


@click.command()
@model_argument
@reason_option
@wait_option
@json_option
@pass_session
def command(session: Session, model: str, reason: str | None, wait: float, as_json: bool) -> None:
    """End a hold. What was rolled back stays blocked.

    Example: tagship resume ml_model --reason "the audit is over"
    """
    holding = session.manager(model).resume(reason=reason, wait=wait)
    output.warn(holding.repaired)
    output.show_done(holding, as_json, f"{model} is not held any more")
