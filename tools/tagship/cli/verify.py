"""``tagship verify``. JSON: a list of ``Verification``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, optional_ref_argument, pass_session
from tagship.text import words

if TYPE_CHECKING:
    from tagship.inspect.verify import Verification
    from tagship.registry.refs import Ref


@click.command()
@optional_ref_argument
@json_option
@pass_session
def command(session: Session, ref: "Ref | None", as_json: bool) -> None:
    """Check deployed files against the checksums in the tag.

    Exit code 1 if they differ.

    Example: tagship verify dl_model
    """
    found = session.workspace().verify(ref)
    output.show(found, as_json, looks(found))
    if any(one.problems for one in found):
        raise SystemExit(1)


def looks(found: Sequence["Verification"]) -> str:
    """A line for each version on disk, and one for each problem."""
    lines = []
    for one in found:
        state = "is NOT as it was released" if one.problems else "is as it was released"
        size = f"{words.count(one.files, 'file')}, {words.size(one.size)}"
        lines.append(f"{one.model} {one.directory} {state} ({size})")
        lines += [f"  {problem.path} {problem.what}" for problem in one.problems]
    return output.text(lines) or "nothing is deployed here"
