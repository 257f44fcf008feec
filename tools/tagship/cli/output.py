"""Values as text for people, and as JSON for programs. Pure; ``cli`` prints what comes back."""

import enum
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semver import Version

from tagship.registry.metrics import number
from tagship.text import escape, words
from tagship.text.clock import stamp
from tagship.text.yaml import flat

if TYPE_CHECKING:
    from tagship.deploy.act import Outcome
    from tagship.deploy.cleanup import Cleanup
    from tagship.deploy.plan import Plan, RollbackPlan
    from tagship.export.export import Exported
    from tagship.host.history import Event
    from tagship.host.metadata import Metadata
    from tagship.inspect.compare import Change, Comparison, Side
    from tagship.inspect.events import LiveThen
    from tagship.inspect.listing import ModelRow, VersionRow
    from tagship.inspect.status import Status
    from tagship.inspect.verify import Verification
    from tagship.inspect.why import Step, Why
    from tagship.registry.metrics import MetricChange
    from tagship.release.publish import Released

Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # heading and rows
Document = Sequence[str | Table]  # lines of text, and tables
LONGEST = 60  # letters of a value in a table; JSON has it whole


def plain(value: Any) -> Any:
    """A value of the API as JSON values: dataclasses are objects of their fields."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, Version | Path):
        return str(value)
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # as metrics have it: JSON has neither NaN nor infinities
    return value


def as_json(value: Any) -> str:
    """The same as text, indented; what a terminal would obey is escaped."""
    return escape.json(plain(value))


def _text(lines: Iterable[str]) -> str:
    """Lines as text: whatever a value holds, it begins no line of its own."""
    return "\n".join(map(escape.line, lines))


def models(rows: Iterable["ModelRow"]) -> Table:
    """``tagship models``."""
    table = [
        (
            row.model,
            row.live or "-",
            row.latest or "-",
            _state(row),
            words.size(row.size),
            row.path,
        )
        for row in rows
    ]
    return ("MODEL", "LIVE", "LATEST", "", "SIZE", "PATH"), table


def _state(row: "ModelRow") -> str:
    states = {
        "cannot be read": row.note is not None,
        "deprecated": row.deprecated,
        "behind": row.behind,
    }
    return next((state for state, holds in states.items() if holds), "")


def versions(rows: Iterable["VersionRow"]) -> Table:
    """``tagship list``, the newest first."""
    table = [
        (
            row.version,
            _marks(row),
            words.moment(row.at),
            row.commit[:10],
            words.size(row.size),
            " ".join(f"{name}={words.figure(value)}" for name, value in row.metrics.items()),
        )
        for row in reversed(list(rows))
    ]
    return ("VERSION", "STATE", "RELEASED (UTC)", "COMMIT", "SIZE", "METRICS"), table


def _marks(row: "VersionRow") -> str:
    marks = {
        "live": row.live,
        "on disk": row.on_disk and not row.live,
        "pinned": row.pinned,
        "deprecated": not row.offered,
    }
    return ", ".join(
        [mark for mark, holds in marks.items() if holds] + [f"#{s}" for s in row.stages]
    )


def history(events: Iterable["Event"]) -> Table:
    """``tagship history``, the newest last."""
    table = [
        (
            str(event.seq),
            words.moment(event.at),
            event.action,
            event.status,
            event.version or "",
            event.previous.version if event.previous else "",
            event.actor,
            event.error or event.reason or "",
        )
        for event in events
    ]
    return ("SEQ", "AT (UTC)", "ACTION", "STATUS", "VERSION", "BEFORE", "BY", "WHY"), table


def histories(events: Sequence["Event"]) -> Table:
    """``tagship history --all``: the same, and whose event it is."""
    heading, rows = history(events)
    models = [event.model for event in events]
    return ("MODEL", *heading), [(m, *row) for m, row in zip(models, rows, strict=True)]


def live_then(found: Iterable["LiveThen"]) -> str:
    """``tagship history --at``: a line a model, and who made it live, and why."""
    lines = []
    for one in found:
        at, period = words.moment(stamp(one.moment)), one.period
        if period is None:
            lines.append(f"{one.model}: nothing was live here at {at} UTC")
            continue
        until = (
            f"until {words.moment(stamp(period.until))}" if period.until else "and is live still"
        )
        event = period.event
        lines.append(f"{one.model}: {period.place.version} was live at {at} UTC")
        lines.append(f"  since {words.moment(stamp(period.since))}, {until}")
        lines.append(f"  {event.action} {event.id} by {event.actor} on {event.host}{_why(event)}")
    return _text(lines)


def _why(event: "Event") -> str:
    return f": {event.reason}" if event.reason else ""


def cleanup(done: "Cleanup") -> Table:
    """``tagship cleanup``: each directory, and what becomes of it."""
    goes = "would go" if done.dry_run else "removed"
    table = [
        (v.directory, "stays" if v.keep else goes, v.why, words.size(v.size)) for v in done.verdicts
    ]
    return ("DIRECTORY", "", "WHY", "SIZE"), table


def cleaned(done: "Cleanup") -> str:
    """What a cleanup freed, in a line."""
    gone = sum(not verdict.keep for verdict in done.verdicts)
    would = "would be " if done.dry_run else ""
    of = f"{gone} of {len(done.verdicts)} directories"
    return f"{of} {would}removed, {words.size(done.freed)} {would}freed"


def released(done: "Released") -> str:
    """What ``tagship release`` did."""
    lines = [f"{done.model} {done.version} is released as {done.tag}, commit {done.commit[:10]}"]
    lines += [f"  {name}: {words.figure(value)}" for name, value in done.metrics.items()]
    if done.pushed_objects is not None:
        lines.append(f"  {words.count(done.pushed_objects, 'object')} pushed to the DVC remote")
    if done.signed:
        lines.append(f"  signed: {' and '.join(done.signed)}")
    later = f"  tag not pushed yet: tagship release {done.model} --push"
    lines.append(f"  tag pushed to {done.pushed_to}" if done.pushed_to else later)
    return _text(lines)


def plan(made: "Plan", *, again: bool = False) -> str:
    """What ``tagship deploy`` is about to do; ``again``: also where it is live."""
    if made.live and not again:
        return f"{made.model} {made.version} is live and intact: nothing to do"
    source = made.source.version if made.source else "nothing"
    lines = [f"{made.model}: {source} -> {made.version}"]
    if made.commits is not None:
        lines.append(f"  commits between: {made.commits}")
    elif made.source is not None:
        lines.append("  commits between: not known, this clone is shallow or has not both")
    lines.append(
        f"  size: {words.size(made.size)}, to fetch: {words.count(made.to_fetch, 'object')}"
    )
    for name, (before, after) in made.metrics.items():
        lines.append(
            f"  {name}: {words.figure(before)} -> {words.figure(after)}{_change(before, after)}"
        )
    if made.left is not None:
        back = (
            f"rolled back by {made.left.actor}, {words.moment(made.left.at)} UTC{_why(made.left)}"
        )
        lines.append(f"  {made.version} was {back}")
    return _text(lines)


def _change(before: Any, after: Any) -> str:
    old, new = number(before), number(after)
    return "" if old is None or new is None else f" ({new - old:+.4g})"


def rollback_plan(made: "RollbackPlan") -> str:
    """What ``tagship rollback`` is about to do."""
    source = made.source.version if made.source else "nothing"
    how = "its directory is here" if made.on_disk else "its tag is checked out again"
    return f"{made.model}: {source} -> {made.target.version} ({how})"


def outcome(done: "Outcome") -> str:
    """What a deploy or a rollback did, and the state after it."""
    from tagship.deploy import summary

    return _text(summary.lines(done))


def metadata(value: "Metadata") -> str:
    """``tagship show``."""
    deployed = value.deployment
    lines = [
        f"{value.model} {value.version}",
        f"  tag:          {value.tag.name} ({value.tag.object[:10]}),"
        f" {words.moment(value.tag.at)} UTC",
        f"  tagger:       {value.tag.tagger}",
        *([f"  signed by:    {value.tag.signer}"] if value.tag.signer else ()),
        *([f"  files signed: {value.signature.fingerprint}"] if value.signature else ()),
        f"  commit:       {value.commit.id[:10]} {_subject(value.commit.message)}",
        f"  author:       {value.commit.author}, {words.moment(value.commit.at)} UTC",
        f"  deployed:     {f'{deployed.id} by {deployed.actor}' if deployed else 'no'}",
        f"  framework:    {value.framework or 'not known until it is deployed'}",
        f"  smoke test:   {value.smoke_test or '-'}",
        f"  size:         {words.size(value.size)}",
    ]
    lines += _section("files", {f.path: f"{words.size(f.size)}  md5 {f.md5}" for f in value.files})
    lines += _section("architecture", value.architecture or {})
    lines += _section("metrics", value.metrics)
    lines += _section("params", value.params)
    stages = {stage["stage"]: stage["command"] for stage in value.lineage}
    return _text(lines + _section("lineage", stages) + _section("tools", value.tools))


def _subject(message: str) -> str:
    """The first line of a message, which may be empty."""
    return message.partition("\n")[0]


def _section(title: str, content: dict[str, Any], indent: str = "  ") -> list[str]:
    if not content:
        return []
    lines = (f"{indent}  {key}: {words.figure(value)}" for key, value in content.items())
    return [f"{indent}{title}:", *lines]


def verification(found: Sequence["Verification"]) -> str:
    """``tagship verify``."""
    lines = []
    for one in found:
        state = "is as it was released" if not one.problems else "is NOT as it was released"
        lines.append(
            f"{one.model} {one.directory} {state}"
            f" ({words.count(one.files, 'file')}, {words.size(one.size)})"
        )
        lines += [f"  {problem.path} {problem.what}" for problem in one.problems]
    return _text(lines) or "nothing is deployed here"


def status(found: Sequence["Status"]) -> str:
    """``tagship status``."""
    lines = []
    for one in found:
        state = one.state.name.lower().replace("_", " ")
        lines.append(f"{one.model}: {state}, live {one.live or '-'}, latest {one.latest or '-'}")
        for finding in one.findings:
            lines.append(f"  {finding.what}")
            lines.append(f"    mend it: {finding.fix}")
    return _text(lines) or "no models are declared: tagship init --model NAME --path PATH"


def exported(done: "Exported") -> str:
    """``tagship export -o``: the folder, and what is in it."""
    lines = [f"{done.model} {done.version} is in {done.directory}"]
    lines += [f"  {file.path}: {words.size(file.size)}" for file in done.files]
    return _text([*lines, *(f"  {name}" for name in done.descriptions)])


def comparison(value: "Comparison") -> Document:
    """``tagship compare``: what differs, and what does not, in a line."""
    before, after = value.before, value.after
    tables: list[tuple[str, Table | None]] = [
        ("metrics", _metric_table(value)),
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
    unknown = _unknown(value)
    differs = {*unknown, *(["commits"] if alone else [])}
    same = [name for name, table in tables if table is None and name not in differs]
    found: list[str | Table] = [
        f"{value.model}: {before.version} -> {after.version}",
        *_verdict_lines(value.metrics, after.version),
        _sides(before, after),
        *(table for _, table in tables if table is not None),
        *alone,
    ]
    if same:
        found.append("the same: " + ", ".join(same))
    return [*found, *(f"not known: {name} ({why})" for name, why in unknown.items())]


def _verdict_lines(changes: Sequence["MetricChange"], version: str) -> list[str]:
    counts = [
        f"{word} in {words.count(number, 'metric')}"
        for word in ("better", "worse")
        if (number := sum(change.verdict == word for change in changes))
    ]
    if not changes:
        return ["neither version has metrics"]
    return [f"{version} is " + ", ".join(counts)] if counts else []


def _unknown(value: "Comparison") -> dict[str, str]:
    """What cannot be compared, and what would help."""
    told = {
        "architecture": (value.architecture, "it is known of a version that was deployed here"),
        "self-test": (value.self_test, "one of the two has none here"),
        "commits": (
            value.ahead,
            "the clone is shallow, or lacks one: git fetch --unshallow --tags",
        ),
    }
    return {name: why for name, (known, why) in told.items() if known is None}


def _sides(before: "Side", after: "Side") -> Table:
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


def _metric_table(value: "Comparison") -> Table | None:
    if not value.metrics:
        return None
    table = [
        (
            one.name,
            _short(one.before),
            _short(one.after),
            "" if one.difference is None else f"{one.difference:+.4g}",
            one.verdict or one.note or "",
            one.better or "",
        )
        for one in value.metrics
    ]
    versions = (value.before.version, value.after.version)
    return ("METRIC", *versions, "CHANGE", "VERDICT", "BETTER IS"), table


def _change_table(
    title: str,
    value: "Comparison",
    changes: Sequence["Change"],
    show: Callable[[Any], str] | None = None,
) -> Table | None:
    if not changes:
        return None

    def cell(content: Any) -> str:
        return "-" if content is None else (show or _short)(content)

    table = [(one.name, cell(one.before), cell(one.after)) for one in changes]
    return (title, value.before.version, value.after.version), table


def _commit_table(value: "Comparison") -> Table | None:
    if not value.commits:
        return None
    table = [(c.id[:10], words.moment(c.at), c.author, _short(c.subject)) for c in value.commits]
    more = (value.ahead or 0) - len(value.commits)
    if more:
        table.append(("...", "", "", f"and {words.count(more, 'commit')} more"))
    return ("COMMIT", "AT (UTC)", "AUTHOR", "SUBJECT"), table


def _short(value: Any) -> str:
    """A value in a cell: one line, not too long."""
    text = " ".join(words.figure(value).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def markdown(content: Document) -> str:
    """The same for a pull request: the first line is the title, tables are Markdown's."""
    parts = []
    for place, one in enumerate(content):
        if isinstance(one, str):
            parts.append(f"## {_plain_markdown(one)}" if place == 0 else _plain_markdown(one))
            continue
        heading, rows = one
        lines = [_markdown_row(heading), _markdown_row(["---"] * len(heading))]
        parts.append("\n".join([*lines, *(_markdown_row(row) for row in rows)]))
    return "\n\n".join(parts)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain_markdown(cell) for cell in cells) + " |"


def _plain_markdown(text: str) -> str:
    """Text that Markdown takes for nothing else."""
    text = escape.shown(" ".join(text.split()))
    for letter in "&\\`*_~[]<|":
        told = {"<": "&lt;", "&": "&amp;"}.get(letter, "\\" + letter)
        text = text.replace(letter, told)
    return text


def why(value: "Why") -> str:
    """``tagship why``: the chain, link by link, from what is live back to what it was made of."""
    event, tag, commit = value.event, value.tag, value.commit
    live = "current was changed by hand: no event made it live"
    if event is not None:
        live = f"{words.moment(event.at)} UTC by {event.actor} on {event.host}"
        live += f", {event.action} {event.id}{_why(event)}"
    lines = [
        f"{value.model} {value.version} is live: {value.path}",
        *(f"  {problem.path} {problem.what}" for problem in value.problems),
        f"  made live:  {live}",
        f"  smoke test: {value.smoke_test or '-'}",
        f"  tag:        {tag.name} ({tag.object[:10]})",
        f"              {words.moment(tag.at)} UTC by {tag.tagger}",
        f"  commit:     {commit.id[:10]} {_short(_subject(commit.message))}",
        f"              {words.moment(commit.at)} UTC by {commit.author}",
    ]
    lines += _section("files", {f.path: f"{words.size(f.size)}  md5 {f.md5}" for f in value.files})
    lines += _section("metrics", value.metrics)
    for step in value.steps:
        lines += _step(step)
    if not value.steps:
        lines.append("  made by:    no stage of dvc.yaml; it was tracked as it is")
    return _text(lines + _section("params", value.params))


def _step(step: "Step") -> list[str]:
    read = {
        one.path: f"written by {one.stage}" if one.stage else f"md5 {one.md5 or '-'}"
        for one in step.inputs
    }
    return [
        f"  made by:    {step.stage}: {step.command}",
        *_section("read", read, "    "),
        *_section("params", flat(step.params), "    "),
    ]
