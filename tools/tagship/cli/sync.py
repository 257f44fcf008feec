"""``tagship sync``. JSON: a list of ``Followed``, each with its ``state``."""

import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagship.cli import output
from tagship.cli.options import (
    Seconds,
    Session,
    complete_model,
    json_option,
    pass_session,
    there,
    wait_option,
)
from tagship.errors import TagshipError

if TYPE_CHECKING:
    from tagship.workspace.state import Followed, Reason


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL...]", shell_complete=complete_model)
@click.option("--dry-run", is_flag=True, help="Fetch, and say what would be done; do nothing.")
@click.option("--retry", is_flag=True, help="Try now what waits or is blocked.")
@click.option("--smoke-test/--no-smoke-test", default=None, help="Load each model first.")
@click.option(
    "--every", type=Seconds(1), metavar="SECONDS",
    help="Go on until it is stopped, a pass each time.",
)  # fmt: skip
@click.option(
    "--jitter", type=Seconds(0), metavar="SECONDS",
    help="Wait up to so long before a pass; a tenth of --every by default.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print only what is new.")
@wait_option
@json_option
@pass_session
def command(
    session: Session, models: tuple[str, ...], dry_run: bool, retry: bool, smoke_test: bool | None,
    every: float | None, jitter: float | None, quiet: bool, wait: float, as_json: bool,
) -> None:  # fmt: skip
    """Make what is live what it should be: one pass over the models of a host.

    Fetches the tags, deploys what the rules of tagship.toml select, measures the gates of what is
    live, and takes back what fails one. What was rolled back or failed here is not tried again,
    and nothing changes during a hold.

    Exit codes: 0 in order; 3 held, blocked, waiting, refused or drifted, and it still answers; 4 a
    version was tried and taken back; 5 broken; 1 it cannot be told.

    Example: tagship sync churn
    """

    def one_pass() -> int:
        agent = session.agent()
        rows = agent.sync(
            models or None, dry_run=dry_run, retry=retry, smoke_test=smoke_test, wait=wait
        )
        news = agent.news(rows, keep=not dry_run)
        shown = news if quiet else rows
        if shown or not quiet:
            show = output.show if dry_run else output.show_done
            show([_values(row) for row in shown], as_json, looks(shown, session.folder))
        worst = max(rows, key=lambda row: row.why.rank, default=None)
        return worst.why.exit_code if worst else 0

    if every is None:
        _sleep(jitter or 0)
        raise SystemExit(one_pass())
    while True:
        began = time.monotonic()
        _sleep(every / 10 if jitter is None else jitter)
        _tolerant(session, one_pass)
        time.sleep(max(0.0, began + every - time.monotonic()))


def _sleep(longest: float) -> None:
    """Wait for a while that no other host waits for too."""
    if longest:
        import random  # most passes begin at once

        time.sleep(random.uniform(0, longest))  # noqa: S311 - no secret


def _tolerant(session: Session, one_pass: Callable[[], int]) -> None:
    """A pass that fails is told, and does not end the passes after it."""
    try:
        one_pass()
    except TagshipError as error:
        output.complain(f"error: {error.message}")
        if error.hint:
            output.complain(f"hint: {there(session.folder, error.hint)}")
    except OSError as error:
        from tagship.manager import failures

        output.complain(f"error: {failures.explain(error)[0]}")


def _values(row: "Followed") -> dict[str, Any]:
    """What a pass did as JSON values, with what follows from its fields."""
    reasons = [{"why": each.why.value[0], "what": each.what} for each in row.reasons]
    why = {"why": row.why.value[0], "state": row.why.state.value}
    return {**output.plain(row), **why, "reasons": reasons}


def _is_said(did: str, reasons: "Sequence[Reason]") -> bool:
    """Whether why something could not be done is why the model is as it is: it is told once."""
    why = did.partition(": ")[2]
    return bool(why) and any(reason.what.endswith(f": {why}") for reason in reasons)


def looks(rows: "Sequence[Followed]", folder: Path = Path()) -> str:
    """A line for each model, what was done, and why it is as it is; and what helps."""
    lines = []
    for row in rows:
        why = row.why.value[0].replace("_", " ")
        lines.append(f"{row.model}: {why}, live {row.live or '-'}")
        troubles = [each for each in row.reasons if each.why.exit_code]
        told = troubles if troubles or row.live else row.reasons  # nothing is live: why
        lines += [f"  {each}" for each in row.did if not _is_said(each, told)]
        for fix, of_fix in groupby(told, key=lambda reason: reason.fix):
            lines += [f"  {each.what}" for each in of_fix]
            lines += [f"    fix: {there(folder, fix)}"] if fix else []
    return output.text(lines) or "no model is followed: add [follow.MODEL] to tagship.toml"
