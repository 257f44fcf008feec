"""``tagship why``. JSON: ``Why``."""

from typing import TYPE_CHECKING

import click

from tagship.cli import output
from tagship.cli.options import Session, json_option, model_argument, pass_session
from tagship.text import words

if TYPE_CHECKING:
    from tagship.inspect.why import Step, Why


@click.command()
@model_argument
@json_option
@pass_session
def command(session: Session, model: str, as_json: bool) -> None:
    """Show the origin of the live version: tag, commit, author, data, parameters.

    Example: tagship why ml_model
    """
    origin = session.manager(model).why()
    output.show(origin, as_json, looks(origin))


def looks(why: "Why") -> str:
    """The origin, step by step, from the live version back to the data."""
    event = why.event
    live = "current was changed by hand: no event made it live"
    if event is not None:
        live = output.made_live(event)
    lines = [
        f"{why.model} {why.version} is live: {why.path}",
        *(f"  {problem.path} {problem.what}" for problem in why.problems),
        f"  made live:  {live}",
        f"  smoke test: {why.smoke_test or '-'}",
        *output.origin(why.tag, why.commit),
    ]
    files = {file.path: f"{words.size(file.size)}  md5 {file.md5}" for file in why.files}
    lines += output.section("files", files)
    lines += output.section("metrics", why.metrics)
    for step in why.steps:
        lines += _step(step)
    if not why.steps:
        lines.append("  made by:    no stage of dvc.yaml; it was tracked as it is")
    return output.text(lines + output.section("params", why.params))


def _step(step: "Step") -> list[str]:
    from tagship.text.yaml import flat

    read = {
        dependency.path: f"written by {dependency.stage}"
        if dependency.stage
        else f"md5 {dependency.md5 or '-'}"
        for dependency in step.inputs
    }
    return [
        f"  made by:    {step.stage}: {step.command}",
        *output.section("read", read, "    "),
        *output.section("params", flat(step.params), "    "),
    ]
