"""``tagship withdraw``. JSON: ``StageChange``."""

from functools import partial
from typing import TYPE_CHECKING

import click

from tagship.cli import assign
from tagship.cli.options import (
    Session,
    capsule_option,
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
@capsule_option
@json_option
@pass_session
def command(
    session: Session, ref: "Ref", yes: bool, dry_run: bool, message: str | None, push: bool,
    capsule: bool | None, as_json: bool,
) -> None:  # fmt: skip
    """Withdraw a version, so that no host deploys it by itself or keeps it.

    Shows which version takes its place, and asks. Its number is never given again; its files stay.

    Example: tagship withdraw ml_model@1.2.0 -m "wrong labels" --push
    """
    act = partial(
        session.manager(ref.model).withdraw, ref, message=message, push=push, capsule=capsule
    )
    assign.ask_and_do(act, yes=yes, dry_run=dry_run, as_json=as_json)
