"""``tagship unassign``. JSON: ``StageChange``."""

from functools import partial

import click

from tagship.cli import assign
from tagship.cli.options import (
    Session,
    capsule_option,
    json_option,
    model_argument,
    pass_session,
    push_option,
    stage_argument,
    why_option,
    yes_option,
)


@click.command()
@model_argument
@stage_argument
@yes_option
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@why_option
@push_option
@capsule_option
@json_option
@pass_session
def command(
    session: Session, model: str, stage: str, yes: bool, dry_run: bool, message: str | None,
    push: bool, capsule: bool | None, as_json: bool,
) -> None:  # fmt: skip
    """Take a stage from the version that holds it.

    The version that held it before holds it again, as in GTO. Shows which one that is, and asks.

    Example: tagship unassign ml_model prod --push
    """
    act = partial(
        session.manager(model).unassign, stage, message=message, push=push, capsule=capsule
    )
    assign.ask_and_do(act, yes=yes, dry_run=dry_run, as_json=as_json)
