"""``tagship deploy``. JSON: ``Outcome``; with ``--dry-run``, ``Plan``."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tagship.cli import output
from tagship.cli.options import (
    Session,
    json_option,
    pass_session,
    reason_option,
    ref_argument,
    wait_option,
    yes_option,
)
from tagship.errors import Held
from tagship.text import words

if TYPE_CHECKING:
    from tagship.deploy.act import Outcome
    from tagship.deploy.plan import Plan
    from tagship.manager.model import ModelVersionManager
    from tagship.registry.refs import Ref


@click.command()
@ref_argument
@yes_option
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@click.option("--force", is_flag=True, help="Deploy again what is live and intact.")
@click.option("--retry", is_flag=True, help="Deploy what is blocked, or waits for its turn, too.")
@click.option("--smoke-test/--no-smoke-test", default=None, help="Load the model first.")
@click.option("--gate/--no-gate", default=True, help="On a host: measure the model's gate.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing if there is nothing to do.")
@reason_option
@wait_option
@json_option
@pass_session
def command(
    session: Session, ref: "Ref", yes: bool, dry_run: bool, force: bool, retry: bool,
    smoke_test: bool | None, gate: bool, quiet: bool, reason: str | None, wait: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Deploy a version; the latest by default.

    Checks it out, tests it, and makes it live. Without an exact version, what was rolled back or
    failed is passed over, and nothing is done during a hold, or on a host whose turn in a staged
    rollout has not come (exit code 3).

    Example: tagship deploy dl_model@1.2 --yes --reason "better on bare ground"
    """
    manager = session.manager(ref.model)
    plan = None
    if dry_run or not yes:
        from tagship.manager import summary

        plan = manager.plan(ref, retry=retry)
        if dry_run:
            fetch = _fetch(manager, ref) if plan.live else None
            rule = summary.new_rule(manager.host, ref)
            return output.show(plan, as_json, plan_looks(plan, rule, again=force, fetch=fetch))
        if not plan.live or force:
            output.confirm(plan_looks(plan, summary.new_rule(manager.host, ref)), err=as_json)
    with _silent_in_a_hold(quiet):
        outcome = manager.deploy(
            ref, force=force, retry=retry, plan=plan, smoke_test=smoke_test, reason=reason,
            wait=wait, gate=gate,
        )  # fmt: skip
    output.warn((*outcome.repaired, *outcome.warnings))
    if quiet and outcome.event is None:
        return None
    fetch = _fetch(manager, ref) if outcome.event is None else None
    return output.show_done(outcome, as_json, looks(outcome, fetch))


@contextmanager
def _silent_in_a_hold(quiet: bool) -> Iterator[None]:
    """End with the exit code alone, unless the hold should have ended by now."""
    try:
        yield
    except Held as error:
        if quiet and not error.is_over:
            raise click.exceptions.Exit(error.exit_code) from None
        raise


def _fetch(manager: "ModelVersionManager", ref: "Ref") -> str | None:
    """The command that brings later versions which ``ref`` may mean; None if there is no remote."""
    return manager.source.clone_tags.fetch if ref.wanted.exact is None else None


def looks(outcome: "Outcome", fetch: str | None = None) -> str:
    """What a deploy or a rollback did, and the state after it; ``fetch``: for later versions."""
    from tagship.manager import summary

    return output.text(summary.lines(outcome, fetch))


def plan_looks(
    plan: "Plan", rule: str = "", *, again: bool = False, fetch: str | None = None
) -> str:
    """What a deploy would change, the ``rule`` too; ``again``: also where it is live."""
    from tagship.manager import summary

    if plan.live and not again:
        lines = summary.nothing_to_do(plan.model, plan.version, fetch, plan.passed_over)
        return output.text([*lines, rule] if rule else lines)
    source = plan.source.version if plan.source else "nothing"
    lines = [f"{plan.model}: {source} -> {plan.version}"]
    if plan.commits is not None:
        lines.append(f"  commits between: {plan.commits}")
    elif plan.source is not None:
        lines.append("  commits between: n/a (shallow clone, or a commit is missing)")
    to_fetch = f"to fetch: {words.count(plan.to_fetch, 'object')}"
    here = "its directory is here, and used if it is intact"
    where = here if plan.on_disk else to_fetch
    lines.append(f"  size: {words.size(plan.size)}, {where}")
    for name, (before, after) in plan.metrics.items():
        change = f"{words.figure(before)} -> {words.figure(after)}{_difference(before, after)}"
        lines.append(f"  {name}: {change}")
    if plan.left is not None:
        lines.append(f"  {summary.left(plan.left)}")
    if rule:
        lines.append(f"  {rule}")
    if plan.passed_over is not None:
        lines.append(f"  {summary.passed_over(plan.model, plan.passed_over)}")
    lines += [f"  {text}" for text in summary.hold_of(plan)]
    if plan.waits:
        lines.append(f"  {plan.waits}; this deploy does not wait")
    return output.text(lines)


def _difference(before: Any, after: Any) -> str:
    """How much a metric changes, where both values are finite numbers."""
    if any(
        isinstance(value, bool) or not isinstance(value, int | float) for value in (before, after)
    ):
        return ""
    try:
        difference = float(after) - float(before)
    except OverflowError:  # whole numbers in JSON have no limit
        return ""
    return f" ({difference:+.4g})" if math.isfinite(difference) else ""
