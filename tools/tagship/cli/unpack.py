"""``tagship unpack``. JSON: ``Unpacked``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session
from tagship.text import words

if TYPE_CHECKING:
    from tagship.export.unpack import Unpacked


@click.command()
@click.argument("image", metavar="IMAGE")
@click.argument("target", type=click.Path(path_type=Path), metavar="DIR")
@json_option
@pass_session
def command(session: Session, image: str, target: Path, as_json: bool) -> None:
    """Write the files of an OCI image into a new folder DIR; all are checked first.

    IMAGE is oci:DIR or docker://HOST/NAME@sha256:... Neither Git nor DVC is asked. With
    TAGSHIP_ROOT=DIR, tagship serve and load answer with this version.

    Exit code 1 if it is not what its digest says: then there is no DIR.

    Example: tagship unpack docker://localhost:5000/churn@sha256:... /mnt/models
    """
    unpacked = session.workspace().unpack_image(image, target)
    output.show_done(unpacked, as_json, looks(unpacked))


def looks(unpacked: "Unpacked") -> str:
    """The version, the folder and its files."""
    lines = [f"{unpacked.model} {unpacked.version} is in {unpacked.directory}"]
    lines += [f"  {unpacked.digest}"]
    return output.text([*lines, *(f"  {f.path}: {words.size(f.size)}" for f in unpacked.files)])
