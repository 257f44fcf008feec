"""``tagship list``. JSON: a list of ``VersionRow``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, model_argument, pass_session
from tagship.text import words

if TYPE_CHECKING:
    from tagship.inspect.listing import VersionRow


@click.command()
@model_argument
@json_option
@pass_session
def command(session: Session, model: str, as_json: bool) -> None:
    """List all versions of MODEL, newest first.

    Example: tagship list ml_model --json
    """
    rows = session.manager(model).list_versions()
    output.show_table(rows, as_json, looks)


def looks(rows: Iterable["VersionRow"]) -> output.Table:
    """A row for each version, the newest first."""
    table = [
        (
            row.version,
            _marks(row),
            words.moment(row.at),
            row.commit[:10],
            words.size(row.size),
            " ".join(f"{name}={words.figure(value)}" for name, value in row.metrics.items()),
        )
        for row in reversed([*rows])
    ]
    return ("VERSION", "STATE", "RELEASED (UTC)", "COMMIT", "SIZE", "METRICS"), table


def _marks(row: "VersionRow") -> str:
    marks = {
        "live": row.live,
        "on disk": row.on_disk and not row.live,
        "pinned": row.pinned,
        "withdrawn": row.withdrawn,
        "deprecated": not (row.offered or row.withdrawn),
    }
    return ", ".join(
        [mark for mark, holds in marks.items() if holds] + [f"#{stage}" for stage in row.stages]
    )
