"""``tagship withdraw``. JSON: ``StageChange``."""

from typing import TYPE_CHECKING

import click

from tagship.cli import assign, output
from tagship.cli.options import (
    Session,
    json_option,
    pass_session,
    push_option,
    version_argument,
    why_option,
    yes_option,
)

if TYPE_CHECKING:
    from tagship.registry.refs import Ref


@click.command()
@version_argument
@yes_option
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@why_option
@push_option
@json_option
@pass_session
def command(
    session: Session, ref: "Ref", yes: bool, dry_run: bool, message: str | None, push: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Withdraw a version, so that no host deploys it by itself or keeps it.

    Shows which version takes its place, and asks. Its number is never given again; its files stay.

    Example: tagship withdraw ml_model@1.2.0 -m "wrong labels" --push
    """
    manager, shown = session.manager(ref.model), None
    if dry_run or not yes:
        shown = manager.withdraw(ref, push=push, dry_run=True)
        if dry_run or not shown.changed:
            return assign.show(shown, as_json)
        output.warn(shown.warnings)
        output.confirm(assign.looks(shown), err=as_json)
    done = manager.withdraw(ref, message=message, push=push, shown=shown)
    return assign.show(done, as_json)
