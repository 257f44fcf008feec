"""``tagship audit``. JSON: ``Decisions``."""

from typing import TYPE_CHECKING, BinaryIO

import click

from tagship.cli import output
from tagship.cli.options import Session, complete_model, json_option, pass_session
from tagship.text import words

if TYPE_CHECKING:
    from tagship.host.audit import Answer, Tensor
    from tagship.inspect.audit import Decision, Origin


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--id", "identity", metavar="ID", help="The answer to the request of this id.")
@click.option("--at", metavar="TIME", help="Answers of a day, an hour, a minute or a second; UTC.")
@click.option("--model", metavar="MODEL", shell_complete=complete_model,
              help="Answers of this model.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N",
              help="The first N answers.")  # fmt: skip
@json_option
@pass_session
def command(
    session: Session, file: BinaryIO, identity: str | None, at: str | None, model: str | None,
    limit: int, as_json: bool,
) -> None:  # fmt: skip
    """Show who decided what a server answered, by which version, and why that was live.

    FILE is what tagship serve --audit wrote; - is standard input.

    Example: tagship audit /var/log/tagship/audit.jsonl --id r-17
    """
    if identity is None and at is None:
        raise click.UsageError("say which answers: --id ID or --at TIME")
    workspace = session.workspace()
    result = workspace.audit(
        file, identity=identity, at=at, model=model, limit=limit, root=session.root
    )
    output.show(result, as_json, "\n\n".join(map(looks, result.found)))
    if result.damaged:
        output.warn([f"damaged, or not whole: line {', '.join(map(str, result.damaged))}"])
    if result.is_more:
        output.warn([f"there are more: --limit {limit * 10}"])


def looks(decision: "Decision") -> str:
    """An answer, and the chain from its version back to the commit."""
    return output.text([*_answer(decision.answer), *_origin(decision.origin)])


def _answer(answer: "Answer") -> list[str]:
    named = "a request without an id" if answer.id is None else f"request {answer.id}"
    lines = [
        f"{answer.model} {answer.version} answered {named} at {words.moment(answer.at)} UTC",
        f"  request:    {words.count(answer.rows, 'row')}, sha256 {answer.sha256 or '-'}",
    ]
    lines += [f"  input:      {_tensor(tensor)}" for tensor in answer.inputs or ()]
    lines += [f"  answer:     {_tensor(tensor)}" for tensor in answer.outputs]
    return [*lines, f"  took:       {answer.ms:g} ms, in generation {answer.generation}"]


def _tensor(tensor: "Tensor") -> str:
    return f"{tensor.name} {tensor.datatype} {list(tensor.shape)}: {output.short(tensor.data)}"


def _origin(origin: "Origin") -> list[str]:
    lines, event, tag, commit = [], origin.event, origin.tag, origin.commit
    if event is not None:
        lines.append(f"  made live:  {output.made_live(event)}")
    if tag is not None and commit is not None:
        lines += output.origin(tag, commit)
    return [*lines, *(f"  note:       {note}" for note in origin.notes)]
