"""``tagship cleanup``. JSON: ``Cleanup``."""

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
    from tagship.deploy.cleanup import Cleanup


@click.command()
@model_argument
@click.option("--keep", type=click.IntRange(0), metavar="N", help="How many good versions stay.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and remove nothing.")
@yes_option
@reason_option
@wait_option
@json_option
@pass_session
def command(
    session: Session, model: str, keep: int | None, dry_run: bool, yes: bool, reason: str | None,
    wait: float, as_json: bool,
) -> None:  # fmt: skip
    """Remove old versions of MODEL from this host.

    Their tags stay, so each can be deployed again.

    The live version, the rollback target, pinned versions and versions in use stay: loaded by a
    program, open in a process, or mounted elsewhere; undeploy removes all. The DVC cache is not
    touched: dvc gc --all-tags keeps what is released.

    Exit code 1 if a version cannot be removed.

    Example: tagship cleanup ml_model --keep 3 --dry-run
    """
    manager = session.manager(model)
    if dry_run:
        cleanup = manager.cleanup_old_versions(keep, dry_run=True)
    else:
        plan = None
        if not yes:
            plan = manager.cleanup_old_versions(keep, dry_run=True)
            output.confirm(summary(plan), err=as_json, table=looks(plan))
        cleanup = manager.cleanup_old_versions(keep, plan=plan, reason=reason, wait=wait)
    output.warn(cleanup.repaired)
    if not cleanup.dry_run:
        output.did(summary(cleanup))
    output.show_table(cleanup, as_json, looks)
    if not as_json:
        output.echo(summary(cleanup))
    for left in cleanup.stuck:
        output.complain(f"error: {left.path} cannot be removed: {left.why}")
        output.complain(f"hint: {left.fix}")
    if cleanup.stuck:
        raise SystemExit(1)


def looks(cleanup: "Cleanup") -> output.Table:
    """A row for each directory: whether it stays, and why."""
    goes = "would go" if cleanup.dry_run else "removed"
    table = [
        (
            verdict.directory,
            "stays" if verdict.keep else goes,
            verdict.why,
            words.size(verdict.size),
        )
        for verdict in cleanup.verdicts
    ]
    return ("DIRECTORY", "ACTION", "WHY", "SIZE"), table


def summary(cleanup: "Cleanup") -> str:
    """What it frees, in a line."""
    gone = sum(not verdict.keep for verdict in cleanup.verdicts)
    would = "would be " if cleanup.dry_run else ""
    of = f"{gone} of {len(cleanup.verdicts)} directories"
    return f"{of} {would}removed, {words.size(cleanup.freed)} {would}freed"
