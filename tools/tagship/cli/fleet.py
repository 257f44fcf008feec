"""``tagship fleet``. JSON: ``Overview``, its rows each with the state in a word."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagship.cli import output
from tagship.cli.options import Session, complete_model, json_option, pass_session
from tagship.text import words

if TYPE_CHECKING:
    from tagship.fleet.overview import Overview, Row


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL...]", shell_complete=complete_model)
@click.option(
    "--from", "place", metavar="PLACE",
    help="Where the status objects are: a folder, or s3://, gs://, azure://.",
)  # fmt: skip
@click.option(
    "--roster", type=click.Path(path_type=Path), metavar="FILE",
    help="The names of all hosts, one a line.",
)  # fmt: skip
@click.option(
    "--signers", type=click.Path(path_type=Path), metavar="FILE",
    help="Whose keys sign which host's status, as in ssh-keygen(1).",
)  # fmt: skip
@click.option(
    "-o", "--output", "path", type=click.Path(path_type=Path), metavar="FILE.html",
    help="Write an HTML page too.",
)  # fmt: skip
@json_option
@pass_session
def command(
    session: Session, models: tuple[str, ...], place: str | None, roster: Path | None,
    signers: Path | None, path: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Show which version is live on which host, and what to look at.

    Reads the status objects that hosts write after each pass of sync, from the place that
    [report] of tagship.toml names; without one, shows this host alone.

    Exit codes: 0 all is well; 3 something to look at; 5 what is live somewhere is broken.

    Example: tagship fleet --from s3://bucket/fleet -o fleet.html
    """
    agent = session.agent()
    view = agent.fleet(models or None, place=place, roster=roster, signers=signers)
    if path is not None:
        agent.write_fleet(view, path)
    output.show_document(_values(view) if as_json else view, as_json, looks)
    raise SystemExit(view.exit_code)


def _values(view: "Overview") -> dict[str, Any]:
    """The overview as JSON values, with what follows from its fields."""
    rows = [{**output.plain(row), **_in_words(row)} for row in view.rows]
    return {**output.plain(view), "rows": rows, "is_well": view.exit_code == 0}


def _in_words(row: "Row") -> dict[str, Any]:
    why = row.why.value[0] if row.why is not None else None
    return {"model": row.model or None, "why": why, "state": row.word, "is_well": row.is_well}


def looks(view: "Overview") -> output.Document:
    """A line for each model, then a row for each model and host, what to look at first."""
    if not view.rows:
        return [f"no host has told of itself in {view.place}"]
    lines = [f"{model}: {_versions(view, model)}" for model in view.models]
    lines += [f"{name} is no status object" for name in view.odd]
    if view.is_cut:
        lines.append(f"there is more in {view.place} than tagship reads")
    heading = ("Host", "Model", "Live", "Desired", "State", "Heard of", "Notes")
    rows = sorted(view.rows, key=lambda row: (row.is_well, row.model, row.host))
    return [*lines, (heading, [_row(row) for row in rows])]


def _versions(view: "Overview", model: str) -> str:
    counts = view.versions(model)
    return ", ".join(f"{version} on {words.count(count, 'host')}" for version, count in counts)


def _row(row: "Row") -> tuple[str, ...]:
    at = words.moment(f"{row.at:%Y-%m-%dT%H:%M:%SZ}") if row.at else "never"
    notes = "; ".join(note.what for note in row.notes)
    return (row.host, row.model or "-", row.live or "-", row.desired or "-", row.word, at, notes)
