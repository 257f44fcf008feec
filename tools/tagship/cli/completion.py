"""``tagship completion``."""

import click

from tagship.cli import output

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the shell script for Tab completion of models and versions.

    bash and zsh, in ~/.bashrc or ~/.zshrc: eval "$(tagship completion bash)"

    fish: tagship completion fish > ~/.config/fish/completions/tagship.fish

    Example: tagship completion bash
    """
    from click.shell_completion import get_completion_class

    from tagship.cli import complete

    kind = get_completion_class(shell)
    if shell == "bash" or kind is None:
        return output.echo(complete.BASH)
    cli = context.find_root().command
    return output.echo(kind(cli, {}, "tagship", "_TAGSHIP_COMPLETE").source())
