"""``tagship compare``. JSON: ``Comparison``."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from tagship.cli import output
from tagship.cli.options import (
    Session,
    complete_version,
    json_option,
    model_argument,
    pass_session,
)
from tagship.text import escape, words

if TYPE_CHECKING:
    from tagship.inspect.compare import Change, Comparison, Side
    from tagship.registry.metrics import MetricChange


@click.command()
@model_argument
@click.argument("before", required=False, shell_complete=complete_version)
@click.argument("after", required=False, shell_complete=complete_version)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@json_option
@pass_session
def command(
    session: Session, model: str, before: str | None, after: str | None, markdown: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Show which of two versions is better, and what changed.

    Without versions: the live one and the latest, or the one before it. With one: the live one and
    that.

    Example: tagship compare ml_model 1.0 1.1 --markdown
    """
    if markdown and as_json:
        raise click.UsageError("--json and --markdown do not go together")
    comparison = session.manager(model).compare(before, after)
    if markdown:
        return output.echo(as_markdown(looks(comparison)))
    return output.show_document(comparison, as_json, looks)


def looks(value: "Comparison") -> output.Document:
    """The differences as tables, a line of what is equal, and what cannot be compared."""
    before, after = value.before, value.after
    tables: list[tuple[str, output.Table | None]] = [
        ("params", _change_table("PARAMETER", value, value.params)),
        ("data and code", _change_table("READ (MD5)", value, value.inputs, lambda md5: md5[:10])),
        ("commands", _change_table("COMMAND OF", value, value.commands)),
        ("architecture", _change_table("ARCHITECTURE", value, value.architecture or ())),
        ("self-test", _change_table("SELF-TEST", value, value.self_test or ())),
        ("commits", _commit_table(value)),
    ]
    alone = [
        f"{words.count(number, 'commit')} in {side.version} alone"
        for number, side in ((value.ahead, after), (value.behind, before))
        if number
    ]
    labels = {"inputs": "data and code", "self_test": "self-test"}
    unknown = {labels.get(name, name): why for name, why in value.unknown.items()}
    differs = {*unknown, *(["commits"] if alone else [])}
    same = [name for name, table in tables if table is None and name not in differs]
    document: list[str | output.Table] = [
        f"{value.model}: {before.version} -> {after.version}",
        *_verdict_lines(value.metrics, after.version),
        _sides(before, after),
        *filter(None, [_metric_table(value)]),
        *(table for _, table in tables if table is not None),
        *alone,
    ]
    if same:
        document.append("the same: " + ", ".join(same))
    return [*document, *(f"{name}: n/a ({why})" for name, why in unknown.items())]


def _verdict_lines(changes: Sequence["MetricChange"], version: str) -> list[str]:
    counts = [
        f"{word} in {words.count(number, 'metric')}"
        for word in ("better", "worse")
        if (number := sum(change.verdict == word for change in changes))
    ]
    if not changes:
        return ["neither version has metrics"]
    return [f"{version} is " + ", ".join(counts)] if counts else []


def _sides(before: "Side", after: "Side") -> output.Table:
    def state(side: "Side") -> str:
        return "live" if side.live else "on disk" if side.on_disk else "not on disk"

    rows: dict[str, Callable[[Side], str]] = {
        "state": state,
        "released": lambda side: words.moment(side.at),
        "tag": lambda side: side.tag,
        "commit": lambda side: side.commit[:10],
        "author": lambda side: side.author,
        "size": lambda side: words.size(side.size),
    }
    table = [(name, cell(before), cell(after)) for name, cell in rows.items()]
    return ("", before.version, after.version), table


def _metric_table(value: "Comparison") -> output.Table | None:
    if not value.metrics:
        return None
    table = [
        (
            metric.name,
            output.short(metric.before),
            output.short(metric.after),
            "" if metric.difference is None else f"{metric.difference:+.4g}",
            metric.verdict or metric.note or "",
            metric.better or "",
        )
        for metric in value.metrics
    ]
    versions = (value.before.version, value.after.version)
    return ("METRIC", *versions, "CHANGE", "VERDICT", "BETTER IS"), table


def _change_table(
    title: str,
    value: "Comparison",
    changes: Sequence["Change"],
    show: Callable[[Any], str] | None = None,
) -> output.Table | None:
    if not changes:
        return None

    def cell(content: Any) -> str:
        return "-" if content is None else (show or output.short)(content)

    table = [(change.name, cell(change.before), cell(change.after)) for change in changes]
    return (title, value.before.version, value.after.version), table


def _commit_table(value: "Comparison") -> output.Table | None:
    if not value.commits:
        return None
    table = [
        (commit.id[:10], words.moment(commit.at), commit.author, output.short(commit.subject))
        for commit in value.commits
    ]
    more = (value.ahead or 0) - len(value.commits)
    if more:
        table.append(("...", "", "", f"and {words.count(more, 'commit')} more"))
    return ("COMMIT", "AT (UTC)", "AUTHOR", "SUBJECT"), table


def as_markdown(content: output.Document) -> str:
    """The comparison as Markdown, for a pull request; its first line is the title."""
    parts = []
    for place, block in enumerate(content):
        if isinstance(block, str):
            parts.append(f"## {_plain_markdown(block)}" if place == 0 else _plain_markdown(block))
            continue
        heading, rows = block
        lines = [_markdown_row(heading), _markdown_row(["---"] * len(heading))]
        parts.append("\n".join([*lines, *(_markdown_row(row) for row in rows)]))
    return "\n\n".join(parts)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain_markdown(cell) for cell in cells) + " |"


def _plain_markdown(text: str) -> str:
    """Text with Markdown's special characters escaped."""
    text = escape.shown(" ".join(text.split()))
    for letter in "&\\`*_~[]<|":
        escaped = {"<": "&lt;", "&": "&amp;"}.get(letter, "\\" + letter)
        text = text.replace(letter, escaped)
    return text
