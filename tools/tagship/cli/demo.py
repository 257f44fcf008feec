"""``tagship demo``."""

import click

from tagship.cli import output
from tagship.cli.options import Session, complete_model, pass_session


@click.command()
@click.option("--model", metavar="NAME", help="Only this model.", shell_complete=complete_model)
@click.option("--keep", is_flag=True, help="Keep the throw-away copy, and print its path.")
@pass_session
def command(session: Session, model: str | None, keep: bool) -> None:
    """Show everything on a throw-away copy of the last commit.

    Train, release, deploy, train with better parameters, release, deploy, roll back. A report is
    left in the working directory.

    Example: tagship demo --model ml_model
    """
    from tagship.manager import demo

    demo.run(session.folder, model=model, keep=keep, say=output.echo)
