"""``tagship unpin``. JSON: ``Pinned``."""

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
    """Remove the cleanup protection from a version.

    Example: tagship unpin ml_model@1.0.0
    """
    pinned = session.manager(ref.model).unpin(ref, reason=reason, wait=wait)
    output.warn(pinned.repaired)
    output.show_done(pinned, as_json, f"{pinned.model} {pinned.version} is not pinned any more")
