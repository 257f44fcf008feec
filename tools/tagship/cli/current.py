"""``tagship current``. JSON: model, version, directory."""

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, model_argument, pass_session


@click.command()
@model_argument
@click.option("--path", is_flag=True, help="Print its real path instead.")
@json_option
@pass_session
def command(session: Session, model: str, path: bool, as_json: bool) -> None:
    """Print the live version of MODEL. Fast enough for a shell prompt.

    Example: tagship current ml_model --path
    """
    # A shell prompt waits for this: read the host's folder, and do not import the manager.
    from tagship.host import project

    live = project.glance(model, session.folder)
    if live is None:
        from tagship.host import active

        live = active.current(model, session.folder)
    version, directory = live
    value = {"model": model, "version": version, "directory": directory}
    output.show(value, as_json, str(directory) if path else version)
