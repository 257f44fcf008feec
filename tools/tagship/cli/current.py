"""``tagship current``. JSON: model, version, directory."""

from pathlib import Path

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, model_argument, pass_session


@click.command()
@model_argument
@click.option("--path", is_flag=True, help="Print its real path instead.")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of the models, where no repository is around it.",
)
@json_option
@pass_session
def command(session: Session, model: str, path: bool, root: Path | None, as_json: bool) -> None:
    """Print the live version of MODEL. Fast enough for a shell prompt.

    Example: tagship current ml_model --path
    """
    # A shell prompt waits for this: read the host's folder, and do not import the manager.
    from tagship.host import project

    named = project.named_root(session.folder, root or session.root)
    live = project.glance(model, session.folder, named)
    if live is None:
        from tagship.host import live as host_live

        live = host_live.current(model, session.folder, root=named)
    version, directory = live
    value = {"model": model, "version": version, "directory": directory}
    output.show(value, as_json, str(directory) if path else version)
