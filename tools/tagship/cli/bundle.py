"""``tagship bundle``. JSON: ``Bundled``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session, ref_argument
from tagship.text import words

if TYPE_CHECKING:
    from tagship.export.bundle import Bundled
    from tagship.registry.refs import Ref


@click.command()
@ref_argument
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), required=True,
              metavar="FILE", help="The file; there is none of this name yet.")  # fmt: skip
@json_option
@pass_session
def command(session: Session, ref: "Ref", target: Path, as_json: bool) -> None:
    """Write a version into one file, to carry to hosts that no network reaches.

    It has the files of the version, its tag and its commit, and all stages of the model. There,
    tagship unbundle takes it in.

    Example: tagship bundle churn@1.2 -o /media/usb/churn-1.2.tar
    """
    bundled = session.manager(ref.model).bundle(target, ref)
    output.show_done(bundled, as_json, looks(bundled))


def looks(bundled: "Bundled") -> str:
    """The file, and the digest to compare where it is taken in."""
    has = f"{words.count(len(bundled.tags), 'tag')}, {words.count(bundled.objects, 'object')}"
    lines = [
        f"{bundled.model} {bundled.version} is in {bundled.file} ({words.size(bundled.size)})",
        f"  {has}",
        f"  digest: {bundled.digest}",
    ]
    return output.text(lines)
