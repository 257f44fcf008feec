"""``tagship undeploy``. JSON: ``Undeployed``."""

from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import (
    Session,
    json_option,
    model_argument,
    pass_session,
    reason_option,
    wait_option,
    yes_option,
)
from tagship.text import words

if TYPE_CHECKING:
    from tagship.deploy.undeploy import Undeployed


@click.command()
@model_argument
@click.option("--history", is_flag=True, help="Remove the history too.")
@click.option("--force", is_flag=True, help="Remove pinned versions too.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and remove nothing.")
@yes_option
@reason_option
@wait_option
@json_option
@pass_session
def command(
    session: Session, model: str, history: bool, force: bool, dry_run: bool, yes: bool,
    reason: str | None, wait: float, as_json: bool,
) -> None:  # fmt: skip
    """Remove everything of MODEL that is deployed on this host.

    Its tags stay, so each version can be deployed again. The history stays too, without --history.
    After that, git clean -ffdx and rm -rf can remove the workspace.

    Example: tagship undeploy ml_model --dry-run
    """
    manager, plan = session.manager(model), None
    if dry_run or not yes:
        plan = manager.undeploy(history=history, force=force, dry_run=True)
        if not (dry_run or plan.nothing):
            output.confirm(summary(plan), err=as_json, table=looks(plan))
    if plan is not None and dry_run:
        return _show(plan, as_json)
    undeployed = manager.undeploy(history=history, force=force, plan=plan, reason=reason, wait=wait)
    return _show(undeployed, as_json)


def _show(undeployed: "Undeployed", as_json: bool) -> None:
    stays = (f"versions/{name} was not made by tagship: it stays" for name in undeployed.stays)
    output.warn((*undeployed.repaired, *stays))
    if undeployed.nothing:
        return output.show(undeployed, as_json, summary(undeployed))
    if not undeployed.dry_run:
        output.did(summary(undeployed))
    output.show_table(undeployed, as_json, looks)
    return None if as_json else output.echo(summary(undeployed))


def looks(undeployed: "Undeployed") -> output.Table:
    """A row for each directory that goes."""
    goes = "would go" if undeployed.dry_run else "removed"
    table = [
        (removal.directory, goes, "live" if removal.live else "pinned" if removal.pinned else "",
         words.size(removal.size))
        for removal in undeployed.removals
    ]  # fmt: skip
    return ("DIRECTORY", "ACTION", "WHAT", "SIZE"), table


def summary(undeployed: "Undeployed") -> str:
    """What it removes, in a line."""
    model = undeployed.model
    if undeployed.nothing:
        return f"{model} is not deployed here: nothing to remove"
    number, would = len(undeployed.removals), "would be " if undeployed.dry_run else ""
    gone = f"{number} {'directory' if number == 1 else 'directories'}"
    if undeployed.history:
        gone += " and the history"
    return f"{model}: {gone} {would}removed, {words.size(undeployed.freed)} {would}freed"
