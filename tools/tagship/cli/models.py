"""``tagship models``. JSON: a list of ``ModelRow``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session
from tagship.text import words

if TYPE_CHECKING:
    from tagship.inspect.listing import ModelRow


@click.command()
@json_option
@pass_session
def command(session: Session, as_json: bool) -> None:
    """List the models: live version, latest version, size.

    Example: tagship models
    """
    rows = session.workspace().models()
    output.warn(f"{row.model}: {row.note}" for row in rows if row.note)
    output.show_table(rows, as_json, looks)


def looks(rows: Iterable["ModelRow"]) -> output.Table:
    """A row for each model."""
    table = [
        (
            row.model,
            row.live or "-",
            row.latest or "-",
            _state(row),
            words.size(row.size),
            _path(row),
        )
        for row in rows
    ]
    return ("MODEL", "LIVE", "LATEST", "STATE", "SIZE", "PATH"), table


def _path(row: "ModelRow") -> str:
    """Where it is; a host may not have fetched what says that of the latest version."""
    return row.path or ("-" if row.note else "not known here")


def _state(row: "ModelRow") -> str:
    states = {
        "not declared": row.path is None and row.note is not None,
        "cannot be read": row.note is not None,
        "deprecated": row.deprecated,
        "behind": row.behind,
    }
    return next((state for state, holds in states.items() if holds), "")
