"""``tagship fetch``. JSON: ``Fetched``."""

from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session, reason_option, wait_option
from tagship.text import words

if TYPE_CHECKING:
    from tagship.manager.agent import Fetched


@click.command()
@click.option(
    "--accept", metavar="TAG", multiple=True,
    help="Let a tag count that was moved; may be given more than once.",
)  # fmt: skip
@reason_option
@wait_option
@json_option
@pass_session
def command(
    session: Session, accept: tuple[str, ...], reason: str | None, wait: float, as_json: bool
) -> None:
    """Fetch the tags of the models that a host follows.

    Brings the tags and the small files that say what a version is; no bytes of models, and nothing
    goes live. In a clone, use git fetch --tags.

    A tag that was moved does not count, until --accept names it. The version is then
    deployed from what the tag names now, and the history says who accepted it.

    Example: tagship fetch
    """
    fetched = session.agent().fetch(accept, reason=reason, wait=wait)
    output.show_done(fetched, as_json, looks(fetched, accept))


def looks(fetched: "Fetched", accepted: tuple[str, ...] = ()) -> str:
    """The new tags; and those that contradict what was seen."""
    lines = [f"{words.count(len(fetched.new), 'new tag')}"]
    lines += [f"  {name}" for name in fetched.new]
    for names, what in (
        (accepted, "was moved, and was accepted"),
        (fetched.moved, "was moved; the tag that was seen first counts"),
        (fetched.vanished, "is not there any more, and counts all the same"),
        (fetched.impossible, "cannot be kept beside a tag that was seen"),
        (fetched.lightweight, "is no annotated tag of a commit, and does not count"),
    ):
        lines += [f"{name} {what}" for name in names]
    lines += fetched.damaged
    return output.text(lines)
