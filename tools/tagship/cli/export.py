"""``tagship export``. JSON: ``Exported``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagship.cli import options, output
from tagship.cli.options import Session, json_option, pass_session, ref_argument
from tagship.text import words

if TYPE_CHECKING:
    from tagship.export.export import Exported
    from tagship.registry.refs import Ref


@click.command()
@ref_argument
@click.option("--format", "formats", type=options.LazyChoice(options.formats), multiple=True,
              required=True, help="The format; can be repeated.")  # fmt: skip
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), metavar="DIR",
              help="Create DIR with the files of the version and the description.")  # fmt: skip
@json_option
@pass_session
def command(
    session: Session, ref: "Ref", formats: tuple[str, ...], target: Path | None, as_json: bool
) -> None:
    """Describe a version for MLflow, Hugging Face, ...

    Without -o the description is printed; with it, the version is copied too.

    Example: tagship export ml_model@1.1 --format mlflow -o ml_model-1.1
    """
    if target is None and not as_json and len(formats) > 1:
        raise click.UsageError("several formats need a folder: -o DIR")
    exported = session.manager(ref.model).export(formats, ref, target=target)
    if as_json or target is not None:
        return output.show(exported, as_json, looks(exported))
    return output.echo(next(iter(exported.descriptions.values())).rstrip("\n"))


def looks(exported: "Exported") -> str:
    """The folder, and what is in it."""
    lines = [f"{exported.model} {exported.version} is in {exported.directory}"]
    lines += [f"  {file.path}: {words.size(file.size)}" for file in exported.files]
    return output.text([*lines, *(f"  {name}" for name in exported.descriptions)])
