"""Values as text for people, and as JSON for programs. Pure; ``cli`` prints what comes back."""

import enum
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semver import Version

if TYPE_CHECKING:  # a value's type costs a command nothing that it does not use
    from tagship.cleanup import Cleanup
    from tagship.deploy import Outcome
    from tagship.history import Event
    from tagship.inspection import ModelRow, Status, Verification, VersionRow
    from tagship.metadata import Metadata
    from tagship.plans import Plan, RollbackPlan
    from tagship.release import Released

Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # heading and rows


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
    return value


def as_json(value: Any) -> str:
    """The same as text, indented."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False)


def size(count: int | None) -> str:
    """Bytes for people, in the units of the seed (1 MB is 10^6 bytes); ``-`` where unknown."""
    if count is None:
        return "-"
    if count < 1000:
        return f"{count} B"
    number = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.95 or unit == "TB":
            break
    return f"{number:.1f} {unit}"


def moment(text: str) -> str:
    """``2026-11-23T05:31:22Z`` as ``2026-11-23 05:31:22``."""
    return text.replace("T", " ").removesuffix("Z")


def figure(value: Any) -> str:
    """A metric for people."""
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def models(rows: Iterable["ModelRow"]) -> Table:
    """``tagship models``."""
    table = [
        (
            row.model,
            row.live or "-",
            row.latest or "-",
            "deprecated" if row.deprecated else "behind" if row.behind else "",
            size(row.size),
            row.path,
        )
        for row in rows
    ]
    return ("MODEL", "LIVE", "LATEST", "", "SIZE", "PATH"), table


def versions(rows: Iterable["VersionRow"]) -> Table:
    """``tagship list``, the newest first."""
    table = [
        (
            row.version,
            _marks(row),
            moment(row.at),
            row.commit[:10],
            size(row.size),
            " ".join(f"{name}={figure(value)}" for name, value in row.metrics.items()),
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
            moment(event.at),
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


def cleanup(done: "Cleanup") -> Table:
    """``tagship cleanup``: each directory, and what becomes of it."""
    goes = "would go" if done.dry_run else "removed"
    table = [(v.directory, "stays" if v.keep else goes, v.why, size(v.size)) for v in done.verdicts]
    return ("DIRECTORY", "", "WHY", "SIZE"), table


def cleaned(done: "Cleanup") -> str:
    """What a cleanup freed, in a line."""
    count = sum(not verdict.keep for verdict in done.verdicts)
    would = "would be " if done.dry_run else ""
    of = f"{count} of {len(done.verdicts)} directories"
    return f"{of} {would}removed, {size(done.freed)} {would}freed"


def released(done: "Released") -> str:
    """What ``tagship release`` did."""
    lines = [f"{done.model} {done.version} is released as {done.tag}, commit {done.commit[:10]}"]
    lines += [f"  {name}: {figure(value)}" for name, value in done.metrics.items()]
    if done.pushed_objects is not None:
        lines.append(f"  {done.pushed_objects} objects pushed to the DVC remote")
    later = f"  tag not pushed yet: tagship release {done.model} --push"
    lines.append(f"  tag pushed to {done.pushed_to}" if done.pushed_to else later)
    return "\n".join(lines)


def plan(made: "Plan", *, again: bool = False) -> str:
    """What ``tagship deploy`` is about to do; ``again``: also where it is live."""
    if made.live and not again:
        return f"{made.model} {made.version} is live and intact: nothing to do"
    source = made.source.version if made.source else "nothing"
    lines = [f"{made.model}: {source} -> {made.version}"]
    if made.commits is not None:
        lines.append(f"  commits between: {made.commits}")
    lines.append(f"  size: {size(made.size)}, to fetch: {made.to_fetch} objects")
    for name, (before, after) in made.metrics.items():
        lines.append(f"  {name}: {figure(before)} -> {figure(after)}{_change(before, after)}")
    return "\n".join(lines)


def _change(before: Any, after: Any) -> str:
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return ""
    return f" ({after - before:+.4g})"


def rollback_plan(made: "RollbackPlan") -> str:
    """What ``tagship rollback`` is about to do."""
    source = made.source.version if made.source else "nothing"
    how = "its directory is here" if made.on_disk else "its tag is checked out again"
    return f"{made.model}: {source} -> {made.target.version} ({how})"


def outcome(done: "Outcome") -> str:
    """What a deploy or a rollback did."""
    if done.event is None:
        return f"{done.model} {done.place.version} is live and intact: nothing to do"
    before = f" (before: {done.event.previous.version})" if done.event.previous else ""
    lines = [f"{done.model} {done.place.version} is live{before}"]
    lines.append(f"  deployment {done.event.id}, {done.event.duration_s:.2f} s")
    if done.report is not None:
        lines.append(f"  smoke test {done.report.verdict}: {done.report.detail}")
    lines.append(f"  {done.path}")
    return "\n".join(lines)


def metadata(value: "Metadata") -> str:
    """``tagship show``."""
    deployed = value.deployment
    lines = [
        f"{value.model} {value.version}",
        f"  tag:          {value.tag.name} ({value.tag.object[:10]}), {moment(value.tag.at)} UTC",
        f"  tagger:       {value.tag.tagger}",
        f"  commit:       {value.commit.id[:10]} {value.commit.message.splitlines()[0]}",
        f"  author:       {value.commit.author}, {moment(value.commit.at)} UTC",
        f"  deployed:     {f'{deployed.id} by {deployed.actor}' if deployed else 'no'}",
        f"  framework:    {value.framework or 'not known until it is deployed'}",
        f"  smoke test:   {value.smoke_test or '-'}",
        f"  size:         {size(value.size)}",
    ]
    lines += _section("files", {f.path: f"{size(f.size)}  md5 {f.md5}" for f in value.files})
    lines += _section("architecture", value.architecture or {})
    lines += _section("metrics", value.metrics)
    lines += _section("params", value.params)
    stages = {stage["stage"]: stage["command"] for stage in value.lineage}
    return "\n".join(lines + _section("lineage", stages) + _section("tools", value.tools))


def _section(title: str, content: dict[str, Any]) -> list[str]:
    if not content:
        return []
    return [f"  {title}:", *(f"    {key}: {figure(value)}" for key, value in content.items())]


def verification(found: Sequence["Verification"]) -> str:
    """``tagship verify``."""
    lines = []
    for one in found:
        state = "is as it was released" if not one.problems else "is NOT as it was released"
        lines.append(f"{one.model} {one.directory} {state} ({one.files} files, {size(one.size)})")
        lines += [f"  {problem.path} {problem.what}" for problem in one.problems]
    return "\n".join(lines) or "nothing is deployed here"


def status(found: Sequence["Status"]) -> str:
    """``tagship status``."""
    lines = []
    for one in found:
        state = one.state.name.lower().replace("_", " ")
        lines.append(f"{one.model}: {state}, live {one.live or '-'}, latest {one.latest or '-'}")
        for finding in one.findings:
            lines.append(f"  {finding.what}")
            lines.append(f"    mend it: {finding.mend}")
    return "\n".join(lines) or "no models are declared: tagship init --model NAME --path PATH"
