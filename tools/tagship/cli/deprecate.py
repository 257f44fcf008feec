"""``tagship deprecate``. JSON: ``StageChange``."""

import click

from tagship.cli import assign, output
from tagship.cli.options import (
    Session,
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
@json_option
@pass_session
def command(
    session: Session, model: str, yes: bool, dry_run: bool, message: str | None, push: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Deprecate MODEL: none of its versions is available any more.

    Shows what changes, and asks. Hosts keep what is live. The next release ends it.

    Example: tagship deprecate ml_model -m "replaced by dl_model" --push
    """
    manager, shown = session.manager(model), None
    if dry_run or not yes:
        shown = manager.deprecate(push=push, dry_run=True)
        if dry_run or not shown.changed:
            return assign.show(shown, as_json)
        output.warn(shown.warnings)
        output.confirm(assign.looks(shown), err=as_json)
    done = manager.deprecate(message=message, push=push, shown=shown)
    return assign.show(done, as_json)
