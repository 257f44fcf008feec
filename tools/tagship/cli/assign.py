"""``tagship assign``. JSON: ``StageChange``."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import (
    Session,
    capsule_option,
    json_option,
    pass_session,
    push_option,
    stage_argument,
    version_argument,
    why_option,
)

if TYPE_CHECKING:
    from tagship.registry.refs import Ref
    from tagship.release.stages import StageChange


@click.command()
@version_argument
@stage_argument
@why_option
@push_option
@capsule_option
@click.option("--force", is_flag=True, help="Assign it again, for hosts that were rolled back.")
@json_option
@pass_session
def command(
    session: Session, ref: "Ref", stage: str, message: str | None, push: bool,
    capsule: bool | None, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Assign a version to a stage, such as prod.

    The version that held the stage before holds it no more: hosts that follow the stage deploy the
    new one once the tag is pushed. MODEL#STAGE names the version that holds a stage.

    Example: tagship assign ml_model@1.2.0 prod --push
    """
    manager = session.manager(ref.model)
    done = manager.assign(ref, stage, message=message, push=push, capsule=capsule, force=force)
    output.warn(done.warnings)
    output.show_done(done, as_json, looks(done))


def ask_and_do(
    act: Callable[..., "StageChange"], *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Show what an act would do, ask, do just that, and print it."""
    shown = None
    if dry_run or not yes:
        shown = act(dry_run=True)
        output.warn(shown.warnings)
        if dry_run:
            return output.show(shown, as_json, looks(shown))
        if shown.changed:
            output.confirm(looks(shown), err=as_json)
    done = act(shown=shown)
    output.warn(done.warnings if shown is None else ())
    return output.show_done(done, as_json, looks(done))


def looks(done: "StageChange") -> str:
    """What was done, or would be, and what it changes."""
    lines = [headline(done)]
    if not done.changed:
        return output.text([*lines, *_capsule(done)])
    lines += [
        f"  {move.rule}: {move.before or 'nothing'} -> {move.after or 'nothing'}"
        for move in done.moves
    ]
    if not done.moves:
        lines.append(f"  latest: {done.latest or 'nothing'}, as before")
    if done.signed:
        lines.append("  signed: tag")
    if not done.dry_run:
        lines.append(_push(done))
    return output.text([*lines, *_capsule(done)])


def _capsule(done: "StageChange") -> list[str]:
    return [f"  capsule in {done.capsule_in}"] if done.capsule_in else []


def headline(done: "StageChange") -> str:
    """The first line: a plan, that there is nothing to do, or what was done."""
    what = f"{done.model} {done.version}" if done.version else done.model
    if not done.changed:
        now = _state(done)
        if done.stage:
            verb = "does not hold" if done.action == "unassign" else "holds"
            now = f"{verb} {done.stage}"
        return f"{what} {now} already, by the tag {done.tag}: nothing to do"
    if done.dry_run:
        return f"{done.action} {what}{f' from {done.stage}' if done.stage else ''}: {done.tag}"
    now = {
        "assign": f"holds {done.stage} now",
        "unassign": f"does not hold {done.stage} any more",
    }.get(done.action, _state(done))
    return f"{what} {now}, by the tag {done.tag}"


def _state(done: "StageChange") -> str:
    return "is withdrawn" if done.action == "withdraw" else "is deprecated"


def _push(done: "StageChange") -> str:
    if done.pushed_to:
        return f"  tag pushed to {done.pushed_to}"
    of_version = f"@{done.version}" if done.action in ("assign", "withdraw") else ""
    stage = f" {done.stage}" if done.stage else ""
    return f"  to push the tag: tagship {done.action} {done.model}{of_version}{stage} --push"
