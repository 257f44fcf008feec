"""``tagship pin``. JSON: ``Pinned``."""

from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import (
    Session,
    exact_argument,
    json_option,
    pass_session,
    reason_option,
    wait_option,
)

if TYPE_CHECKING:
    from tagship.registry.refs import Ref


@click.command()
@exact_argument
@reason_option
@wait_option
@json_option
@pass_session
def command(session: Session, ref: "Ref", reason: str | None, wait: float, as_json: bool) -> None:
    """Protect a version from cleanup.

    Example: tagship pin ml_model@1.0.0 --reason "the audit of March"
    """
    pinned = session.manager(ref.model).pin(ref, reason=reason, wait=wait)
    output.warn(pinned.repaired)
    output.show_done(
        pinned, as_json, f"{pinned.model} {pinned.version} is pinned: cleanup keeps it"
    )
