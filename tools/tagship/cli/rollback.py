"""``tagship rollback``. JSON: ``Outcome``."""

from typing import TYPE_CHECKING

import click

from tagship.cli import deploy, output
from tagship.cli.options import (
    Session,
    complete_version,
    json_option,
    model_argument,
    pass_session,
    reason_option,
    until_option,
    wait_option,
    yes_option,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tagship.deploy.plan import RollbackPlan


@click.command()
@model_argument
@click.option("--to", "version", metavar="VERSION", shell_complete=complete_version,
              help="This version instead of the previous good one.")  # fmt: skip
@click.option("--verify", is_flag=True, help="Check every file against its checksum first.")
@click.option("--hold", "holds", is_flag=True, help="Let nothing go live by itself afterwards.")
@until_option
@reason_option
@yes_option
@wait_option
@json_option
@pass_session
def command(
    session: Session, model: str, version: str | None, verify: bool, holds: bool,
    until: "datetime | None", reason: str | None, yes: bool, wait: float, as_json: bool,
) -> None:  # fmt: skip
    """Roll back to the previous good version.

    Higher versions whose tags are here go live by their exact number only from now on; what is
    fetched or released later goes live by itself, unless the model is held.

    Example: tagship rollback ml_model --reason "wrong on snow" --yes
    """
    if until and not holds:
        raise click.UsageError("--until goes with --hold")
    manager = session.manager(model)
    if not yes:
        plan = manager.rollback_plan(version)
        if plan.source != plan.target or not plan.on_disk:
            output.confirm(plan_looks(plan), err=as_json)
        version = plan.target.version  # as it was shown, even if the history changed since
    outcome = manager.rollback_to_version(
        version, reason=reason, verify=verify, hold=until or holds, wait=wait
    )
    output.warn((*outcome.repaired, *outcome.warnings))
    output.show_done(outcome, as_json, deploy.looks(outcome))


def plan_looks(plan: "RollbackPlan") -> str:
    """What a rollback would change."""
    source = plan.source.version if plan.source else "nothing"
    here = "its directory is here, and used if it is intact"
    how = here if plan.on_disk else "its tag is checked out again"
    return f"{plan.model}: {source} -> {plan.target.version} ({how})"
