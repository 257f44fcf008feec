"""``tagship status``. JSON: a list of ``Status``, each with its ``state``."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagship.cli import output
from tagship.cli.options import (
    Session,
    json_option,
    optional_model_argument,
    pass_session,
    there,
)

if TYPE_CHECKING:
    from tagship.inspect.status import Finding, Status


@click.command()
@optional_model_argument
@json_option
@pass_session
def command(session: Session, model: str | None, as_json: bool) -> None:
    """Show whether each model is in order, and what fixes it.

    Exit codes: 0 in order; 3 behind, held, blocked, refused or drifted, and it still answers; 4 a
    version failed since the last success; 5 broken; 1 it cannot be told.

    Example: tagship status ml_model
    """
    rows = session.workspace().status(None if model is None else [model])
    output.show([_values(row) for row in rows], as_json, looks(rows, session.folder))
    worst = max(rows, key=lambda row: row.why.rank, default=None)
    raise SystemExit(worst.why.exit_code if worst else 0)


def _values(row: "Status") -> dict[str, Any]:
    """A status as JSON values, with what follows from its fields."""
    findings = [{**output.plain(finding), **_in_words(finding)} for finding in row.findings]
    return {**output.plain(row), **_in_words(row), "findings": findings}


def _in_words(value: "Status | Finding") -> dict[str, str]:
    return {"state": value.state.value, "why": value.why.value[0]}


def looks(rows: Sequence["Status"], folder: Path = Path()) -> str:
    """A line for each model and for each finding, and the fix behind the last that it is for.

    What is in order needs no fix: it may have what comes next.

    Args:
        rows: the models.
        folder: ``-C DIR``.
    """
    lines = []
    for row in rows:
        why = row.why.value[0].replace("_", " ")
        lines.append(f"{row.model}: {why}, live {row.live or '-'}, latest {row.latest or '-'}")
        for fix, of_fix in groupby(row.findings, key=lambda finding: finding.fix):
            findings = list(of_fix)
            lines += [f"  {finding.what}" for finding in findings]
            in_order = all(finding.why.exit_code == 0 for finding in findings)
            if fix:
                lines.append(f"    {'next' if in_order else 'fix'}: {there(folder, fix)}")
    return output.text(lines) or "no models are declared: tagship init --model NAME --path PATH"
