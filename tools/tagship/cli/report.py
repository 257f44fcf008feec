"""``tagship report``. JSON: ``Page``."""

from pathlib import Path

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, optional_model_argument, pass_session


@click.command()
@optional_model_argument
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), default="report.html",
              show_default=True, metavar="FILE", help="The file to write.")  # fmt: skip
@json_option
@pass_session
def command(session: Session, model: str | None, path: Path, as_json: bool) -> None:
    """Write an HTML report: one self-contained file.

    Of MODEL, or of all models. It loads nothing from the network.

    Example: tagship report ml_model -o report.html
    """
    page = session.workspace().report(path, None if model is None else [model])
    output.show_done(page, as_json, f"{path} shows {', '.join(page.models) or 'no model'}")
