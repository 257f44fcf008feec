"""``tagship release``. JSON: ``Released``; with ``--deploy``, ``Shipped``; null for nothing."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from tagship.cli import deploy, options, output
from tagship.cli.options import Session, capsule_option, json_option, model_argument, pass_session
from tagship.errors import Unchanged
from tagship.text import words

if TYPE_CHECKING:
    from tagship.release.publish import Released


@click.command()
@model_argument
@click.option("--bump", type=options.LazyChoice(options.bumps), default="minor",
              show_default=True, help="The part of the version to increment.")  # fmt: skip
@click.option("--version", metavar="X", help="The version itself, such as 2.0.0-rc.1.")
@click.option("-m", "--message", metavar="TEXT", help="The message of the tag: what is new.")
@click.option("--push", is_flag=True, help="Push the tag to the Git remote.")
@click.option("--push-branch", is_flag=True,
              help="Push the tag, and the branch where the remote lacks the commit.")  # fmt: skip
@capsule_option
@click.option("--deploy", "then_deploy", is_flag=True, help="Deploy it on this host at once.")
@click.option("--force", is_flag=True, help="Release unchanged bytes, a commit that has a version, "
              "or a model that was not built from the commit.")  # fmt: skip
@click.option("--if-changed", is_flag=True,
              help="If nothing changed since the last version, say so, and succeed.")  # fmt: skip
@json_option
@pass_session
def command(
    session: Session, model: str, bump: str, version: str | None, message: str | None,
    push: bool, push_branch: bool, capsule: bool | None, then_deploy: bool, force: bool,
    if_changed: bool, as_json: bool,
) -> None:  # fmt: skip
    """Release the model of the current commit as a new version.

    Pushes the files to the DVC remote, then makes the tag.

    Example: tagship release ml_model --bump minor -m "deeper trees" --push
    """
    manager = session.manager(model)

    def announce(released: "Released") -> None:  # it is released, even if the deploy fails
        output.warn(released.warnings)
        output.did(looks(released))
        if not as_json:
            output.echo(looks(released))

    with _tolerant(as_json) if if_changed else contextlib.nullcontext():
        if then_deploy:
            shipped = manager.release_and_deploy(
                bump=bump, version=version, message=message, push=push, push_branch=push_branch,
                force=force, capsule=capsule, reason=message, announce=announce,
            )  # fmt: skip
            output.warn((*shipped.deployed.repaired, *shipped.deployed.warnings))
            output.show_done(shipped, as_json, deploy.looks(shipped.deployed))
        else:
            released = manager.release(
                bump=bump, version=version, message=message, push=push, push_branch=push_branch,
                force=force, capsule=capsule,
            )  # fmt: skip
            output.warn(released.warnings)
            output.show_done(released, as_json, looks(released))


@contextlib.contextmanager
def _tolerant(as_json: bool) -> Iterator[None]:
    """Where there is nothing to release, that is no error."""
    try:
        yield
    except Unchanged as nothing:
        if nothing.unpushed:
            raise
        output.show_done(None, as_json, output.text([f"nothing to release: {nothing.message}"]))


def looks(released: "Released") -> str:
    """The version, its metrics, and what was pushed."""
    lines = [
        f"{released.model} {released.version} is released as {released.tag},"
        f" commit {released.commit[:10]}"
    ]
    lines += [f"  {name}: {words.figure(value)}" for name, value in released.metrics.items()]
    if released.pushed_objects is not None:
        pushed = words.count(released.pushed_objects, "object")
        lines.append(f"  {pushed} pushed to the DVC remote")
    if released.signed:
        lines.append(f"  signed: {' and '.join(released.signed)}")
    if released.pushed_branch:
        lines.append(f"  branch {released.pushed_branch} pushed to {released.pushed_to}")
    later = f"  to push the tag: tagship release {released.model} --push"
    lines.append(f"  tag pushed to {released.pushed_to}" if released.pushed_to else later)
    if released.capsule_in:
        lines.append(f"  capsule in {released.capsule_in}")
    return output.text(lines)
