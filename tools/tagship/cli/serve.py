"""``tagship serve``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, complete_model, exact_reference, pass_session
from tagship.errors import Refused

if TYPE_CHECKING:
    from tagship.registry.refs import Ref
    from tagship.serve import Settings


def _names(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Check that they can match a header Host."""
    from tagship.serve import bounds

    for value in values:
        try:
            bounds.check_name(value)
        except Refused as error:
            raise click.BadParameter(error.message) from None
    return values


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL...]", shell_complete=complete_model)
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="NAME", help="Listen here alone.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, metavar="NUMBER",
    help="0 is any free one.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(1, 256), default=1, show_default=True, metavar="NUMBER",
    help="Processes that answer.",
)  # fmt: skip
@click.option(
    "--isolate", type=click.Choice(["auto", "process", "thread"]), default="auto",
    show_default=True,
    help="Load each version in a process of its own; auto: for Keras, which keeps memory.",
)  # fmt: skip
@click.option(
    "--challenger", "challengers", multiple=True, metavar="MODEL@VERSION", type=exact_reference,
    help="Serve this version too, beside the live one.",
)  # fmt: skip
@click.option(
    "--allow-host", "allow_hosts", multiple=True, metavar="NAME", callback=_names,
    help="Answer to this name in the header Host too; * is any.",
)  # fmt: skip
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Ask for one of the tokens in FILE, one a line.",
)  # fmt: skip
@click.option(
    "--access-log", metavar="FILE",
    help="Write a JSON line for each request; - is standard output.",
)  # fmt: skip
@click.option(
    "--audit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Record each answer in FILE: see tagship audit.",
)  # fmt: skip
@click.option("--audit-inputs", is_flag=True, help="Record the inputs too: often personal data.")
@pass_session
def command(
    session: Session, models: tuple[str, ...], host: str, port: int, workers: int, isolate: str,
    challengers: "tuple[Ref, ...]", allow_hosts: tuple[str, ...], token_file: Path | None,
    access_log: str | None, audit: Path | None, audit_inputs: bool,
) -> None:  # fmt: skip
    """Answer requests with the live versions of models, in the Open Inference Protocol 2.

    Without a MODEL: all that have a version here. Another version answers as soon as it is live
    and has passed its self-test; until then, and if it fails, the one before it does.

    Ends on SIGTERM or Ctrl+C, after the requests that it is answering.

    Exit codes: 0 it was stopped; 1 it could not start.

    Example: tagship serve churn --port 8080
    """
    from tagship.serve import signals

    click.get_current_context().with_resource(signals.starting(lambda *_: os._exit(0)))
    from tagship import serve

    serve.check_installed()
    if audit_inputs and audit is None:
        raise click.UsageError("--audit-inputs needs --audit FILE")
    from tagship.serve import log, supervisor

    settings = serve.Settings(
        models or serve.deployed(session.folder, session.root),
        start=session.folder, root=session.root, host=host, port=port, workers=workers,
        isolate=isolate, allow_hosts=allow_hosts, token_file=token_file, access_log=access_log,
        audit=audit, audit_inputs=audit_inputs,
        challengers=tuple((ref.model, str(ref.wanted).lstrip("@")) for ref in challengers),
    )  # fmt: skip
    log.show()
    for note in settings.notes():
        output.warn([note])
    supervisor.serve(settings, lambda address: _announce(looks(settings, address)))


def _announce(line: str) -> None:
    """Print where the server is; where nobody reads it, or it cannot be written, serve anyway."""
    try:
        click.echo(line)
    except OSError as error:
        output.discard()
        output.warn([f"standard output: {error.strerror}", line])


def looks(settings: "Settings", address: str) -> str:
    """Where the server is, and what it answers for."""
    return f"{address} answers for {', '.join(settings.models)}; Ctrl+C ends it"
