"""``tagship unassign``. JSON: ``StageChange``."""

import click

from tagship.cli import assign, output
from tagship.cli.options import (
    Session,
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
@json_option
@pass_session
def command(
    session: Session, model: str, stage: str, yes: bool, dry_run: bool, message: str | None,
    push: bool, as_json: bool,
) -> None:  # fmt: skip
    """Take a stage from the version that holds it.

    The version that held it before holds it again, as in GTO. Shows which one that is, and asks.

    Example: tagship unassign ml_model prod --push
    """
    manager, shown = session.manager(model), None
    if dry_run or not yes:
        shown = manager.unassign(stage, push=push, dry_run=True)
        if dry_run or not shown.changed:
            return assign.show(shown, as_json)
        output.warn(shown.warnings)
        output.confirm(assign.looks(shown), err=as_json)
    done = manager.unassign(stage, message=message, push=push, shown=shown)
    return assign.show(done, as_json)
