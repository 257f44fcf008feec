"""``tagship init``. JSON: ``Prepared``."""

from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session, steps_to

if TYPE_CHECKING:
    from tagship.release.init import Prepared


@click.command()
@click.option("--model", metavar="NAME", help="Declare a model of this name in dvc.yaml.")
@click.option(
    "--path", metavar="PATH", help="Its file or folder, from the root of the DVC repository."
)
@json_option
@pass_session
def command(session: Session, model: str | None, path: str | None, as_json: bool) -> None:
    """Prepare a Git and DVC repository.

    Adds the ignore rules, and declares a first model.

    Example: tagship init --model churn --path models/churn/model.cbm
    """
    if (model is None) != (path is None):
        raise click.UsageError("--model and --path go together")
    prepared = session.workspace().init(model, path)
    output.show_done(prepared, as_json, looks(prepared, steps_to(session.folder, ".dvc")))


def looks(prepared: "Prepared", top: str = "") -> str:
    """What was written, and what to do next; ``top``: where, if it is not here."""
    files = " ".join(prepared.written)
    where = f"cd {top} && " if top else ""
    if not files:
        return "nothing to do"
    lines = [f"wrote {files}; now: {where}git add {files} && git commit"]
    if prepared.model is not None and ":" in prepared.model:
        lines.append(f"the name of the model is {prepared.model}")
    return output.text(lines)
