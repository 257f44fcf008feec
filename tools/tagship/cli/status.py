"""``tagship status``. JSON: a list of ``Status``, each with its ``state``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, optional_model_argument, pass_session

if TYPE_CHECKING:
    from tagship.inspect.status import Status


@click.command()
@optional_model_argument
@json_option
@pass_session
def command(session: Session, model: str | None, as_json: bool) -> None:
    """Show whether each model is in order, and what fixes it.

    Exit codes: 0 in order, 3 behind or drifted, 5 broken.

    Example: tagship status ml_model
    """
    rows = session.workspace().status(None if model is None else [model])
    values = [{**output.plain(row), "state": output.plain(row.state)} for row in rows]
    output.show(values, as_json, looks(rows))
    raise SystemExit(max((int(row.state) for row in rows), default=0))


def looks(rows: Sequence["Status"]) -> str:
    """A line for each model, and two for each finding."""
    lines = []
    for row in rows:
        state = row.state.name.lower().replace("_", " ")
        lines.append(f"{row.model}: {state}, live {row.live or '-'}, latest {row.latest or '-'}")
        for finding in row.findings:
            lines += [f"  {finding.what}", f"    fix: {finding.fix}"]
    return output.text(lines) or "no models are declared: tagship init --model NAME --path PATH"
