"""``tagship deprecate``. JSON: ``StageChange``."""

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
    why_option,
    yes_option,
)


@click.command()
@model_argument
@yes_option
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@why_option
@push_option
@capsule_option
@json_option
@pass_session
def command(
    session: Session, model: str, yes: bool, dry_run: bool, message: str | None, push: bool,
    capsule: bool | None, as_json: bool,
) -> None:  # fmt: skip
    """Deprecate MODEL: none of its versions is available any more.

    Shows what changes, and asks. Hosts keep what is live. The next release ends it.

    Example: tagship deprecate ml_model -m "replaced by dl_model" --push
    """
    act = partial(session.manager(model).deprecate, message=message, push=push, capsule=capsule)
    assign.ask_and_do(act, yes=yes, dry_run=dry_run, as_json=as_json)
