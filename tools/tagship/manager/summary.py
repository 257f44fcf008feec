"""What a deploy or a rollback did, and the state after it: one text for command, cell and demo.

The form is that of the project's first document: time, deployment id and link, then the state.
"""

import contextlib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tagship.deploy import plan
from tagship.deploy.act import Outcome
from tagship.errors import Corrupt
from tagship.host import history, metadata
from tagship.host.history import Event
from tagship.host.link import LinkState, version_of
from tagship.host.store import Store
from tagship.registry.refs import Ref
from tagship.text import clock, words
from tagship.workspace.desired import PassedOver
from tagship.workspace.host import Host

NEWS = "what is new here from now on goes live by itself"
NAMED = 3  # directories in a line
Rows = list[tuple[str, str]]  # names and values


@dataclass(frozen=True)
class State:
    """What ``current`` points to, read from disk.

    Attributes:
        live: the live version; None if the link is not active.
        versions: how many versions are on disk here.
        points_to: the model's file or folder, relative to the folder of ``current``.
        readable: whether this process can read it.
    """

    live: str | None
    versions: int
    points_to: str
    readable: bool

    @classmethod
    def of(cls, store: Store) -> "State":
        """The state of a model's folder."""
        names = filter(history.is_directory, store.directories())
        versions = len({version_of(name) for name in names})
        link = store.link()
        if link.state is not LinkState.OK or link.directory is None:
            return cls(None, versions, link.target, readable=False)
        path, points_to = store.path(link.directory), link.target
        with contextlib.suppress(Corrupt):  # without its metadata: the directory itself
            name = metadata.read_main(path).path
            path, points_to = path / name, f"{points_to}/{name}"
        readable = path.exists() and os.access(path, os.R_OK)
        return cls(version_of(link.directory), versions, points_to, readable)

    @property
    def rows(self) -> Rows:
        """The state, with its names."""
        here = f"{words.count(self.versions, 'version')} on disk"
        active = f"yes, points to {self.points_to}" if self.live else "no"
        return [
            ("live version", f"{self.live or 'none'}, {here}"),
            ("link active", active),
            ("file", "accessible" if self.readable else "not accessible"),
        ]


def lines(outcome: Outcome, fetch: str | None = None) -> list[str]:
    """An outcome, and the state after it; a single line if nothing was done.

    The link is relative to the working directory if it is below it.

    Args:
        outcome: of a deploy or a rollback.
        fetch: as for ``nothing_to_do``.
    """
    event, passed = outcome.event, outcome.passed_over
    if event is None:
        return nothing_to_do(outcome.model, outcome.place.version, fetch, passed)
    store, report = Store(outcome.path.parent.parent), outcome.report
    rows = [
        ("time", f"{words.moment(event.at)} UTC, {event.duration_s:.2f} s"),
        ("deployment id", event.id),
        *([("smoke test", f"{report.verdict}: {report.detail}")] if report else ()),
        ("link", _short(store.current)),
        *(("note", text) for text in notes(outcome)),
        *([("cleaned up", cleaned_up(outcome))] if outcome.removed else ()),
    ]
    before = event.previous.version if event.previous else None
    return layout(title(outcome.model, outcome.place.version, before), rows, State.of(store).rows)


def notes(outcome: Outcome) -> list[str]:
    """What was passed over, and whether nothing else goes live by itself from now on."""
    event, passed = outcome.event, outcome.passed_over
    says_so = outcome.blocked or (event and event.until)
    return [
        *([passed_over(outcome.model, passed)] if passed else ()),
        *([blocked(outcome.model, outcome.blocked, held=outcome.held)] if outcome.blocked else ()),
        *([holds(outcome.model, clock.moment(event.until))] if event and event.until else ()),
        *([stays_held(outcome.model)] if outcome.held and not says_so else ()),
    ]


def title(model: str, version: str, before: str | None) -> str:
    """The first line: what is live now, and what was live before."""
    return f"{model} {version} is live" + (f" (before: {before})" if before else "")


def nothing_to_do(
    model: str, version: str, fetch: str | None = None, passed: PassedOver | None = None
) -> list[str]:
    """The lines if nothing was done.

    Args:
        model: its name.
        version: the live one.
        fetch: the command that brings later versions, which may not be in this clone yet.
        passed: a version that the rule selects, but that is blocked.
    """
    where = "host" if fetch and fetch.startswith("tagship") else "clone"
    as_far = f", as far as this {where} knows (to update it: {fetch})" if fetch else ""
    line = f"{model} {version} is live and intact: nothing to do{as_far}"
    return [line] if passed is None else [line, passed_over(model, passed)]


def new_rule(host: Host, ref: Ref) -> str:
    """That a deploy by a reference changes the rule which is followed; empty where it does not."""
    before = plan.rule_now(host, ref)
    return (
        "" if before is None else f"from then on by the rule {ref.wanted.text} (before: {before})"
    )


def passed_over(model: str, passed: PassedOver) -> str:
    """What was passed over and why, and the command that deploys it all the same."""
    command = f"tagship deploy {model}@{passed.version}"
    return f"{passed.version} is passed over ({passed.in_words}); to deploy it: {command}"


def blocked(model: str, versions: tuple[str, ...], *, held: bool = False) -> str:
    """What a rollback blocks, and the command that deploys it all the same.

    Args:
        model: its name.
        versions: the lowest first.
        held: so nothing else goes live by itself either.
    """
    news = "the model is held, so what is new does not go live either" if held else NEWS
    first = ", ".join(versions[-NAMED:])
    more = f" and {len(versions) - NAMED} more" if len(versions) > NAMED else ""
    verb = "is" if len(versions) == 1 else "are"
    return (
        f"{first}{more} {verb} blocked, live by exact number only:"
        f" tagship deploy {model}@{versions[-1]}; {news}"
    )


def left(event: Event) -> str:
    """Who rolled back from a version, when and why."""
    version = event.previous.version if event.previous else "it"
    reason = f": {event.reason}" if event.reason else ""
    return f"{version} was rolled back by {event.actor}, {words.moment(event.at)} UTC{reason}"


def holds(model: str, until: datetime) -> str:
    """That nothing goes live by itself from now on, and how that ends."""
    end = words.moment(clock.stamp(until))
    return (
        f"no other version goes live by itself; to end it: tagship resume {model}"
        f" (status asks for it from {end} UTC on)"
    )


def stays_held(model: str) -> str:
    """The same of a hold that was there before."""
    return f"{model} stays held: nothing goes live by itself; to end it: tagship resume {model}"


def hold_of(planned: plan.Plan) -> list[str]:
    """The hold that a deploy begins, or leaves as it is."""
    if planned.until is not None:
        return [holds(planned.model, planned.until)]
    return [stays_held(planned.model)] if planned.held else []


def layout(heading: str, rows: Rows, state: Rows) -> list[str]:
    """The lines: heading, rows, state, with all values in one column."""
    width = max(len(name) for name, _ in (*rows, *state)) + 1
    aligned = [
        [f"  {name + ':':<{width}} {value}" for name, value in part] for part in (rows, state)
    ]
    return [heading, *aligned[0], "state:", *aligned[1]]


def cleaned_up(outcome: Outcome) -> str:
    """What the cleanup after a deploy removed, in a line."""
    named, more = outcome.removed[:NAMED], len(outcome.removed) - NAMED
    names = ", ".join((*named, f"{more} more") if more > 0 else named)
    return f"removed {names}; {words.size(outcome.freed)} freed"


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
