"""``tagship unbundle``. JSON: ``Unbundled``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, pass_session, yes_option
from tagship.text import words

if TYPE_CHECKING:
    from tagship.export.unbundle import Accept, Origin, Unbundled

FEW, MOST = 3, 10  # new tags in one line, and of those that have a line each


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE")
@click.argument("target", type=click.Path(path_type=Path), required=False, metavar="[DIR]")
@yes_option
@json_option
@pass_session
def command(session: Session, file: Path, target: Path | None, yes: bool, as_json: bool) -> None:
    """Take a bundle into the folder that this host follows, or into DIR.

    All of it is checked first; then tagship sync deploys from there. FILE is - for standard input.
    Where no tag must be signed, and its repository has none that was seen here, it shows who
    tagged it, and asks.

    Exit code 1 if it is not as it was written: then nothing of it is there.

    Example: tagship unbundle /media/usb/churn-1.2.tar /srv/bundles
    """
    accept = _always if yes else _asking(as_json)
    unbundled = session.workspace().unbundle(_opened(file), target, accept=accept)
    output.show_done(unbundled, as_json, looks(unbundled))


def _opened(file: Path) -> "Path | BinaryIO":
    if str(file) != "-":
        return file
    if output.is_terminal(sys.stdin):
        raise click.UsageError("standard input is a terminal: tagship unbundle - < FILE")
    return sys.stdin.buffer


def _always(_: "Origin") -> bool:
    return True


def _asking(as_json: bool) -> "Accept | None":
    """Who answers a question; None where nobody can."""
    if not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stdout)):
        return None

    def accept(origin: "Origin") -> bool:
        output.confirm(origin_looks(origin), err=as_json)
        return True

    return accept


def origin_looks(origin: "Origin") -> str:
    """Who tagged the versions, and what is in them."""
    from tagship.text import clock

    lines = [f"{origin.why}, and no signature is asked for"]
    for tag in origin.versions:
        lines += [
            f"{tag.name}",
            f"  tagged by {tag.tagger}, {clock.stamp(tag.at)}",
            f"  tag object {tag.object_id}",
            f"  commit {tag.commit}",
        ]
    lines += [f"  {f.path}: {words.size(f.size)}, SHA-256 {f.sha256}" for f in origin.files]
    return output.text([*lines, f"digest: {origin.digest} (tagship bundle printed it)"])


def looks(unbundled: "Unbundled") -> str:
    """The versions, where they are, and the digest that ``tagship bundle`` printed."""
    names = ", ".join(unbundled.versions)
    has = f"{words.count(unbundled.objects, 'object')}, {words.size(unbundled.size)}"
    return output.text(
        [
            f"{names} is in {unbundled.directory} ({has})",
            *_new(unbundled.new),
            f"  digest: {unbundled.digest}",
        ]
    )


def _new(tags: tuple[str, ...]) -> list[str]:
    """The new tags: in one line where they are few, else their number and the first ones."""
    if len(tags) <= FEW:
        return [f"  new: {', '.join(tags) or 'nothing'}"]
    more = [f"    and {len(tags) - MOST:,} more"] if len(tags) > MOST else []
    return [f"  new: {len(tags):,} tags", *(f"    {name}" for name in tags[:MOST]), *more]
