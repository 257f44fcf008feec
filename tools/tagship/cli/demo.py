"""``tagship demo``: the whole workflow of a workspace's models, on a throw-away copy."""

import time
from typing import TYPE_CHECKING

import click

from tagship.cli import output, release
from tagship.cli.options import Session, pass_session
from tagship.errors import Refused
from tagship.text import words

if TYPE_CHECKING:
    from tagship.deploy.act import Outcome
    from tagship.manager.sandbox import Sandbox


@click.command()
@click.option("--keep", is_flag=True, help="Keep the copy, and print its path.")
@pass_session
def command(session: Session, keep: bool) -> None:
    """Show the whole workflow on a throw-away copy.

    Train, release, deploy, release again, deploy, roll back.

    Example: tagship demo
    """
    from tagship.manager import sandbox

    def begin(folder: str) -> None:
        output.echo(f"== A throw-away copy: {folder} ==")

    with sandbox.copy(session.folder, keep=keep, say=begin) as box:
        _first_releases(box)
        changed = _second_releases(box)
        for model in changed:
            _roll_back(box, model)
        if keep:
            look = f"tagship -C {box.folder} history {changed[0]}"
            output.echo(f"\nThe copy is {box.folder}; look around: {look}")
    if not keep:
        output.echo(
            "\nThe copy is removed. Your own models: 'The first five minutes' in README.md."
        )


def _first_releases(box: "Sandbox") -> None:
    models = box.models
    output.echo("\n== Train (about two minutes on two cores) ==\n$ dvc repro")
    _train(box, "Train the models")
    for model in models:
        _release_and_deploy(box, model)


def _second_releases(box: "Sandbox") -> list[str]:
    """Gives the models that other parameters changed."""
    for name, value in box.parameters.items():
        old = box.set_parameter(name, value)
        output.echo(f"\n== Change {name} from {old} to {value}, and train again ==\n$ dvc repro")
    changed = _train(box, "Change " + ", ".join(box.parameters))
    if not changed:
        raise Refused(
            "training again with the changed parameters gave the same models",
            "name other values under deploy: demo: in params.yaml",
        )
    for model in changed:
        _release_and_deploy(box, model)
    return changed


def _train(box: "Sandbox", message: str) -> list[str]:
    began = time.monotonic()
    changed = box.train(message, output.echo)
    output.echo(f"trained in {time.monotonic() - began:.0f} s")
    return changed


def _release_and_deploy(box: "Sandbox", model: str) -> None:
    manager = box.manager(model)
    output.echo(f"\n== Release and deploy {model} ==")
    output.echo(f'$ tagship release {model} -m "tagship demo"')
    released = manager.release(message="tagship demo")
    output.echo(release.looks(released))
    output.echo(f"$ tagship deploy {model}")
    output.echo(f"model found: {words.size(released.size)}; deploying ...")
    outcome = manager.deploy(reason="demo")
    if outcome.event is None or outcome.report is None:
        raise AssertionError("a version that was just released was not live")
    output.echo("deployment succeeded!")
    output.echo(f"   • Version: {outcome.place.version}")
    output.echo(f"   • Time: {words.moment(outcome.event.at)} UTC")
    output.echo(f"   • Deployment id: {outcome.event.id}")
    output.echo(f"   • Link: {box.state(outcome).link}")
    output.echo(f"   • Smoke test: {outcome.report.verdict}, {outcome.report.detail}")
    _show_state(box, outcome)


def _roll_back(box: "Sandbox", model: str) -> None:
    output.echo(f"\n== Roll back {model} ==")
    output.echo(f"$ tagship rollback {model}")
    began = time.monotonic()
    outcome = box.manager(model).rollback_to_version(reason="demo")
    output.echo(f"rolled back in {time.monotonic() - began:.3f} s")
    _show_state(box, outcome)


def _show_state(box: "Sandbox", outcome: "Outcome") -> None:
    state = box.state(outcome)
    output.echo("state after this:")
    output.echo(f"   • Active version: {state.version}")
    output.echo(f"   • Number of versions: {state.versions}")
    output.echo(f"   • Symbolic link active: {'yes' if state.is_link else 'no'}")
    output.echo(f"   • Points to: {state.points_to}")
    output.echo(f"   • File accessible: {'yes' if state.readable else 'no'}")
