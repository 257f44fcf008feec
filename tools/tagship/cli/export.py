"""``tagship export``. JSON: ``Exported``, of an image ``oci.Exported``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagship.cli import options, output
from tagship.cli.options import Session, json_option, pass_session, ref_argument
from tagship.text import words

if TYPE_CHECKING:
    from tagship.disk.files import File
    from tagship.export.export import Exported
    from tagship.export.oci import Exported as ExportedImage
    from tagship.registry.refs import Ref


@click.command()
@ref_argument
@click.option("--format", "formats", type=options.LazyChoice(options.formats), multiple=True,
              required=True, help="The format; can be repeated.")  # fmt: skip
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), metavar="DIR",
              help="Create DIR with the files of the version and the description.")  # fmt: skip
@click.option("--push", metavar="HOST/NAME[:TAG]",
              help="Push the image to a registry; the tag is the version by default.")  # fmt: skip
@click.option("--force", is_flag=True, help="Push over a tag that names another image.")
@json_option
@pass_session
def command(
    session: Session, ref: "Ref", formats: tuple[str, ...], target: Path | None,
    push: str | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Describe a version for MLflow, Hugging Face, ...

    Without -o the description is printed; with it, the version is copied too. `oci` is an image
    with the files: Kubernetes, KServe and podman mount or pull it.

    Example: tagship export ml_model@1.1 --format mlflow -o ml_model-1.1
    """
    from tagship.manager.choices import OCI

    if OCI in formats:
        _check_image(formats, target, push)
        made = session.manager(ref.model).export_image(target, ref, push=push, force=force)
        return output.show_done(made, as_json, looks_as_image(made))
    if push or force:
        raise click.UsageError("only an image is pushed: --format oci")
    if target is None and not as_json and len(formats) > 1:
        raise click.UsageError("several formats need a folder: -o DIR")
    exported = session.manager(ref.model).export(formats, ref, target=target)
    if as_json or target is not None:
        return output.show_done(exported, as_json, looks(exported))
    return output.echo(next(iter(exported.descriptions.values())).rstrip("\n"))


def _check_image(formats: tuple[str, ...], target: Path | None, push: str | None) -> None:
    if len(formats) > 1:
        raise click.UsageError("an image has no other description: --format oci alone")
    if target is None and push is None:
        raise click.UsageError("an image needs a folder or a registry: -o DIR, --push HOST/NAME")


def looks_as_image(exported: "ExportedImage") -> str:
    """The digest, where it is, and the files of the version."""
    places = [str(place) for place in (exported.directory, exported.pushed) if place]
    lines = [f"{exported.model} {exported.version} is in {' and '.join(places)}"]
    lines += [f"  {exported.digest} ({exported.name})"]
    if exported.pushed:
        lines += [f"  pushed: {words.size(exported.sent)} that the registry did not have"]
    return output.text([*lines, *(f"  {_sized(file)}" for file in exported.files)])


def _sized(file: "File") -> str:
    return f"{file.path}: {words.size(file.size)}"


def looks(exported: "Exported") -> str:
    """The folder, and what is in it."""
    lines = [f"{exported.model} {exported.version} is in {exported.directory}"]
    lines += [f"  {_sized(file)}" for file in exported.files]
    return output.text([*lines, *(f"  {name}" for name in exported.descriptions)])
