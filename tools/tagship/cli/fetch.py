"""``tagship fetch``. JSON: ``Fetched``."""

from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session
from tagship.text import words

if TYPE_CHECKING:
    from tagship.manager.agent import Fetched


@click.command()
@json_option
@pass_session
def command(session: Session, as_json: bool) -> None:
    """Fetch the tags of the models that a host follows.

    Brings the tags and the small files that say what a version is; no bytes of models, and nothing
    goes live. In a clone, use git fetch --tags.

    Example: tagship fetch
    """
    fetched = session.agent().fetch()
    output.show(fetched, as_json, looks(fetched))


def looks(fetched: "Fetched") -> str:
    """The new tags; and those by which the server contradicts what was seen."""
    lines = [f"{words.count(len(fetched.new), 'new tag')}"]
    lines += [f"  {name}" for name in fetched.new]
    for names, what in (
        (fetched.moved, "was moved on the server; the tag that was seen first counts"),
        (fetched.vanished, "is not on the server any more, and counts all the same"),
        (fetched.impossible, "cannot be kept beside a tag that was seen"),
    ):
        lines += [f"{name} {what}" for name in names]
    return output.text(lines)
