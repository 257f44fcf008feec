"""Deploy from a notebook cell: the plan, a question, release, deploy, self-test, the state.

``deploy`` returns a value that is shown as HTML in a browser and as text elsewhere. Nothing is
done without confirmation: a click on a button, or ``confirm=True``.
"""

import contextlib
import importlib
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any, Self

from tagship.deploy import plan as deploy_plan
from tagship.deploy.act import Outcome, interruptible
from tagship.deploy.plan import Plan
from tagship.errors import Interrupted, Refused, SelfTestFailed, TagshipError
from tagship.host import history
from tagship.host.history import Event, Place
from tagship.loaders.selftest import Report
from tagship.manager import summary
from tagship.manager.model import ModelVersionManager
from tagship.progress import Advance
from tagship.registry import metrics
from tagship.registry.metrics import MetricChange
from tagship.release import publish
from tagship.release.numbers import AlreadyReleased
from tagship.release.publish import Released, ReleasePlan
from tagship.text import words

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PAUSE = 0.2  # seconds between two updates of the progress: each is a message to the browser

Say = Callable[[str], object]  # shows the current step


@dataclass(frozen=True)
class Proposal:
    """What the cell is about to do.

    Attributes:
        wanted: the version, or the rule, that is deployed.
        plan: of the deploy.
        release: the plan of the release that comes first; None if the version is released.
        changes: metrics of the live version and of the new one.
    """

    wanted: str
    plan: Plan
    release: ReleasePlan | None
    changes: tuple[MetricChange, ...]

    @property
    def done(self) -> bool:
        """The version is live and intact, and its tag needs no push."""
        return self.plan.live and self.release is None

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The figures of the plan, with their names; notes alone if there is nothing to do."""
        plan = self.plan
        if self.done:
            return self._notes
        since = plan.source.version if plan.source else ""
        rows = [("Release", self._release()), ("Size", words.size(plan.size))]
        if plan.commits is not None:
            rows.append((f"Commits since {since}", str(plan.commits)))
        if plan.to_fetch:
            rows.append(("To fetch", words.count(plan.to_fetch, "object")))
        return rows + self._notes

    @property
    def _notes(self) -> list[tuple[str, str]]:
        plan = self.plan
        texts = [
            *([summary.passed_over(plan.model, plan.passed_over)] if plan.passed_over else ()),
            *([summary.holds(plan.model, plan.until)] if plan.until and not plan.live else ()),
            *([summary.left(plan.left)] if plan.left and not plan.live else ()),
            *(self.release.warnings if self.release else ()),
        ]
        return [("Note", text) for text in texts]

    def _release(self) -> str:
        at = f"{self.plan.tag} at commit {self.plan.commit[:10]}"
        if self.release is None:
            return f"is done: {at}"
        if self.release.waiting:
            return f"is done: {at}; the tag is pushed to {self.release.push_to}"
        push = f"pushed to {self.release.push_to}" if self.release.push_to else "not pushed"
        return f"makes the tag {at}; {push}"

    def __repr__(self) -> str:
        lines = [_title(self.plan), *(f"  {name.lower()}: {text}" for name, text in self.rows)]
        return "\n".join([*lines, *(f"  {_change(change)}" for change in self.changes)])

    def _repr_html_(self) -> str:
        table = _table([], self.rows) if self.rows else ""
        title = escape(_title(self.plan)).replace("-&gt;", "&rarr;")
        return _box(f"<b>{title}</b>{table}{self._metrics_html()}")

    def _metrics_html(self) -> str:
        if not self.changes:
            return ""
        source, version = self.plan.source, self.plan.version
        heading = (
            ("Metric", source.version, version, "Change", "") if source else ("Metric", version, "")
        )
        rows = [
            (
                change.name,
                *((words.figure(change.before),) if source else ()),
                words.figure(change.after),
                *((_difference(change),) if source else ()),
                _verdict(change),
            )
            for change in self.changes
        ]
        return _table(
            heading, rows, [_COLOURS.get(change.verdict or "", "") for change in self.changes]
        )


@dataclass(frozen=True)
class Deployed:
    """What is live now.

    Attributes:
        version: of the model.
        deployment: the id of the deployment, ``YYYYMMDD_HHMMSS`` in UTC.
        at: when it began, ISO 8601 in UTC; None if the history has lost it.
        link: the path of ``current``, relative to the folder of the DVC repository.
        points_to: the model's file or folder, relative to the folder of ``current``.
        readable: whether this process can read it.
        versions: how many versions are on disk here.
        self_test: the result of the self-test on the live version.
        changed: whether it was deployed just now; False: it was live and intact.
        tag: of the version; ``pushed_to`` is the Git remote it was pushed to just now, if any.
        before: the version that was live before, if it was deployed just now.
        notes: what the user should know.
    """

    model: str
    version: str
    deployment: str
    at: str | None
    link: str
    points_to: str
    readable: bool
    versions: int
    self_test: Report
    changed: bool
    tag: str
    pushed_to: str | None = None
    before: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> summary.Rows:
        """All rows, with their names: the deployment, then the state."""
        return self._deployment + self._state

    @property
    def _deployment(self) -> summary.Rows:
        pushed = f", pushed to {self.pushed_to}" if self.pushed_to else ""
        return [
            ("time", f"{words.moment(self.at)} UTC" if self.at else "-"),
            ("deployment id", self.deployment),
            ("self-test", f"{self.self_test.verdict}: {self.self_test.detail}"),
            ("tag", self.tag + pushed),
            ("link", self.link),
        ]

    @property
    def _state(self) -> summary.Rows:
        state = summary.State(self.version, self.versions, self.points_to, self.readable)
        return state.rows + [("note", note) for note in self.notes]

    @property
    def _title(self) -> str:
        if self.changed:
            return summary.title(self.model, self.version, self.before)
        return summary.nothing_to_do(self.model, self.version)[0]

    def __repr__(self) -> str:
        return "\n".join(summary.layout(self._title, self._deployment, self._state))

    def _repr_html_(self) -> str:
        tick = f'<span style="color:{_COLOURS[metrics.BETTER]}">&#10003;</span>'
        rows = [(name.capitalize(), value) for name, value in self.rows]
        return _box(f"<b>{tick} {escape(self._title)}</b>{_table([], rows)}")


@dataclass(frozen=True)
class _Request:
    """The arguments of ``deploy``."""

    model: str
    start: Path
    version: str | None
    bump: str
    message: str | None
    push: bool
    reason: str | None
    notes: list[str] = field(default_factory=list)  # what was told on the way


@contextlib.contextmanager
def _in_two_lines() -> Iterator[None]:
    """Show an error in two lines in IPython, as the command line does; the cell still fails."""
    try:
        yield
    except TagshipError as error:
        lines = list(Notice.of_error(error.message, error.hint).lines)
        vars(error)["_render_traceback_"] = lambda: lines  # IPython asks an exception for this
        raise


@_in_two_lines()
def deploy(
    model: str,
    version: str | None = None,
    *,
    bump: str = "minor",
    message: str | None = None,
    push: bool = False,
    reason: str | None = None,
    confirm: bool | None = None,
    start: Path | str = ".",
) -> "Proposal | Question | Deployed":
    """Release the model at HEAD, if it is not released yet, and deploy it.

    Args:
        model: its name under ``artifacts:`` in dvc.yaml.
        version: a released version to deploy instead, such as ``1.1`` or ``latest``.
        bump: the part that a new version increments: ``minor``, ``major`` or ``patch``.
        message: what is new, for the tag message; also the reason if none is given.
        push: push the tag to the Git remote; not with ``version``.
        reason: why, for the history.
        confirm: True deploys without asking, False only shows the plan, None shows two buttons.
        start: a folder in the workspace.

    Returns:
        The plan with ``confirm=False``; the question if it is asked; else the state, also if the
        version was live and intact already.

    Raises:
        Refused: ``confirm=None``, but nobody can answer; or as for ``publish.plan``.
        SelfTestFailed: the smoke test failed, and nothing changed; or the self-test of the live
            version failed.
        TagshipError: as for ``release.publish`` and ``deploy.deploy``.
    """
    request = _Request(model, Path(start).resolve(), version, bump, message, push, reason)
    manager = ModelVersionManager(model, request.start, tell=request.notes.append)
    proposal = _propose(manager, request)
    if confirm is False:
        return proposal
    if confirm and not proposal.done:
        _show(proposal)
    if confirm or proposal.done:
        return _carry_out(manager, request, proposal, _ignore)
    if not _can_ask():
        raise Refused(
            f"nobody can be asked here whether to deploy {model} {proposal.plan.version},"
            " so nothing was done",
            f'deploy("{model}", confirm=True) does it; confirm=False shows the plan',
        )
    return Question(request, proposal)


def _propose(manager: ModelVersionManager, request: _Request) -> Proposal:
    """The plan. Changes nothing."""
    first, version = None, request.version
    if version is None:
        try:
            first = manager.release_plan(bump=request.bump, push=request.push)
            version = str(first.version)
        except AlreadyReleased as error:
            version = _unblocked(manager, str(error.version))
    source, model = manager.source, request.model
    if first is None or first.waiting:
        plan = manager.plan(version)
    else:
        plan = deploy_plan.of_commit(
            source, manager.host.store(manager.model), model, first.commit, version, first.tag
        )
    before = {name: old for name, (old, _) in plan.metrics.items() if old is not None}
    after = {name: new for name, (_, new) in plan.metrics.items() if new is not None}
    return Proposal(
        version, plan, first, metrics.changes(before, after, manager.host.settings.better)
    )


def _unblocked(manager: ModelVersionManager, version: str) -> str:
    """The version that HEAD has, unless it was rolled back; else the one that should be live."""
    passed = manager.plan().passed_over
    return "latest" if passed is not None and passed.version == version else version


def _carry_out(
    manager: ModelVersionManager, request: _Request, proposal: Proposal, say: Say
) -> Deployed:
    """Release and deploy exactly what was proposed, then run the self-test of the live version."""
    plan, published = proposal.plan, None
    if proposal.release is not None:
        say(f"releasing {plan.tag}")
        published = publish.publish(
            manager.source,
            proposal.release,
            request.message,
            manager.progress,
            manager.host.policy.signing_key,
        )
    say(f"deploying {plan.version}")
    released = (published.model, str(published.version)) if published else None
    with interruptible(manager.host.store(manager.model), released):
        reason = request.reason or request.message
        outcome = manager.deploy(proposal.wanted, plan=plan, reason=reason)
    say("testing the live version")
    try:
        report = manager.self_test()
    except TagshipError as error:
        back = f"go back with: tagship rollback {request.model}"
        raise SelfTestFailed(
            f"{request.model} {plan.version} is live, but {error.message}",
            f"{error.hint}; or {back}" if error.hint else back,
        ) from None
    deployed = _state(manager, plan, published, outcome, report)
    return replace(deployed, notes=tuple(dict.fromkeys((*request.notes, *deployed.notes))))


def _ignore(text: str) -> None:
    """Do not show the current step."""


def _state(
    manager: ModelVersionManager,
    plan: Plan,
    published: Released | None,
    outcome: Outcome,
    report: Report,
) -> Deployed:
    store, place, event = manager.host.store(manager.model), outcome.place, outcome.event
    state = summary.State.of(store)
    made_live = event or _event_of(manager, place)
    return Deployed(
        model=outcome.model,
        version=place.version,
        deployment=made_live.id if made_live else history.id_of(place.directory),
        at=made_live.at if made_live else None,
        link=os.path.relpath(store.current, manager.source.project),
        points_to=state.points_to,
        readable=state.readable,
        versions=state.versions,
        self_test=report,
        changed=event is not None,
        tag=plan.tag,
        pushed_to=published.pushed_to if published else None,
        before=event.previous.version if event and event.previous else None,
        notes=(
            *(published.warnings if published else ()),
            *outcome.repaired,
            *outcome.warnings,
            *([f"cleaned up: {summary.cleaned_up(outcome)}"] if outcome.removed else ()),
            *summary.notes(outcome),
        ),
    )


def _event_of(manager: ModelVersionManager, place: Place) -> Event | None:
    """The event that made a place live; None if the history has lost it."""
    events = [e for e in manager.get_deployment_history() if e.switched and e.place == place]
    return events[-1] if events else None


def _what_changed(shown: Proposal, now: Proposal) -> str | None:
    """What changed since the plan was shown, in words; None if nothing did."""
    old, new = shown.plan, now.plan
    if new.source != old.source:
        return f"{new.source.version if new.source else 'nothing'} is live by now"
    if (new.version, new.commit) != (old.version, old.commit):
        return f"{new.version} of commit {new.commit[:10]} would be deployed by now"
    if (new.live, now.release is None) != (old.live, shown.release is None):
        return f"{new.version} was released or deployed by somebody else"
    return None


class Question:
    """The plan and two buttons. It acts once, when a button is clicked, and shows the result.

    Attributes:
        proposal: the plan that was shown.
        result: the state after the deploy; None before.
        go, cancel: the buttons.
        status: the current step, then the result, as HTML.
    """

    def __init__(self, request: _Request, proposal: Proposal) -> None:
        widgets = _widgets()
        self.proposal = proposal
        self.result: Deployed | None = None
        layout = widgets.Layout(width="auto", min_width="9em")
        self.go = widgets.Button(
            description=f"Deploy {proposal.plan.version}", button_style="success", layout=layout
        )
        self.cancel = widgets.Button(description="Cancel", layout=layout)
        self.go.on_click(lambda _: self._answer(self._act))
        self.cancel.on_click(lambda _: self._answer(lambda: Notice(("nothing was done",))))
        self.status = widgets.HTML()
        self._view = widgets.VBox([widgets.HBox([self.go, self.cancel]), self.status])
        self._display_id = secrets.token_hex(16)
        self._request = request
        self._answered = False

    @property
    def _hint(self) -> str:
        call = f'deploy("{self._request.model}", confirm=True)'
        return f"The buttons need a browser; without one: {call}"

    def __repr__(self) -> str:
        return f"{self.proposal!r}\n{self._hint}"

    def _ipython_display_(self) -> None:
        display = importlib.import_module("IPython.display")
        display.display(self.proposal)
        view = {"version_major": 2, "version_minor": 0, "model_id": self._view.model_id}
        bundle = {"text/plain": self._hint, WIDGET_VIEW: view}
        display.display(bundle, raw=True, display_id=self._display_id)

    def _answer(self, answer: "Callable[[], Deployed | Notice]") -> None:
        """Act on the first click only, and show the result in place of the buttons."""
        if self._answered:  # the second click of a double click
            return
        self._answered = self.go.disabled = self.cancel.disabled = True
        status = f"see what is live: tagship status {self._request.model}"
        try:
            shown = answer()
        except TagshipError as error:
            shown = Notice.of_error(error.message, error.hint)
        except Interrupted as stop:
            shown = Notice.of_error(f"interrupted: {stop.message}", stop.hint)
        except KeyboardInterrupt:
            shown = Notice.of_error("interrupted", status)
        except Exception as error:  # noqa: BLE001 - the last resort: a callback's log is not shown
            text = f"this should not have happened: {type(error).__name__}: {error}"
            shown = Notice.of_error(text, status)
        # In the widget, for front ends that cannot update a display after its cell has ended; for
        # all others as plain HTML in its place, so that the saved notebook shows it.
        self.status.value = shown._repr_html_()
        display = importlib.import_module("IPython.display")
        display.update_display(shown, display_id=self._display_id)

    def _act(self) -> Deployed:
        request = self._request
        manager = ModelVersionManager(
            request.model, request.start, self._progress, request.notes.append
        )
        changed = _what_changed(self.proposal, _propose(manager, request))
        if changed is not None:
            raise Refused(
                f"{changed}, so nothing was done", "run the cell again: it shows the plan"
            )
        self.result = _carry_out(manager, request, self.proposal, self._say)
        return self.result

    def _say(self, text: str) -> None:
        self.status.value = _box(escape(f"{text} ..."))

    @contextlib.contextmanager
    def _progress(self, doing: str, total: int | None) -> Iterator[Advance]:
        """Show the bytes so far; see ``progress.Progress``."""
        whole = f" of {words.size(total)}" if total else ""
        lock, copied, shown = threading.Lock(), 0, time.monotonic()

        def advance(count: int) -> None:
            nonlocal copied, shown
            with lock:
                copied += count
                if time.monotonic() - shown < PAUSE:
                    return
                shown = time.monotonic()
            self._say(f"{doing} {words.size(copied)}{whole}")

        yield advance


@dataclass(frozen=True)
class Notice:
    """Lines in place of a result: an error, or that nothing was done."""

    lines: tuple[str, ...]

    @classmethod
    def of_error(cls, message: str, hint: str) -> Self:
        """An error as the command line shows it."""
        return cls((f"error: {message}", *((f"hint: {hint}",) if hint else ())))

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        return _box("<br>".join(escape(line) for line in self.lines))


def _shell() -> Any:
    """The IPython shell that runs this code; None outside of IPython."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _show(proposal: Proposal) -> None:
    """Show the plan above the result; only in IPython."""
    if _shell() is not None:
        importlib.import_module("IPython.display").display(proposal)


def _can_ask() -> bool:
    """Whether a user can answer, according to the request that runs this cell.

    ``allow_stdin`` of an execute_request, in Jupyter's messaging protocol: JupyterLab, Notebook and
    VS Code send True; nbclient and the tools based on it (nbconvert, papermill) send False.
    """
    parent: Callable[[], dict[str, Any]] = getattr(
        getattr(_shell(), "kernel", None), "get_parent", dict
    )
    return bool(parent().get("content", {}).get("allow_stdin"))


def _widgets() -> Any:
    try:
        return importlib.import_module("ipywidgets")
    except ImportError:
        raise Refused(
            "ipywidgets is not installed, so there can be no buttons",
            'pip install "tagship[notebook]", or say confirm=True',
        ) from None


def _title(plan: Plan) -> str:
    if plan.live:
        return f"{plan.model} {plan.version} is live and intact"
    return f"{plan.model}: {plan.source.version if plan.source else 'nothing'} -> {plan.version}"


def _verdict(change: MetricChange) -> str:
    """``better (higher is better)``, as far as it is known; or why it is not."""
    way = f"{change.better} is better" if change.better else ""
    said = change.verdict or (change.note if change.note != "new" else "") or ""
    return f"{said} ({way})" if said and way else said or way


def _change(change: MetricChange) -> str:
    before, after = words.figure(change.before), words.figure(change.after)
    moved = f"{before} -> {after}" if change.before is not None else after
    parts = (moved, _difference(change), _verdict(change))
    return f"{change.name}: {', '.join(text for text in parts if text)}"


def _difference(change: MetricChange) -> str:
    return f"{change.difference:+.4g}" if change.difference else ""


# JupyterLab's own colours, light and dark; elsewhere colours that are readable on both.
_COLOURS = {
    metrics.BETTER: "var(--jp-success-color1, #2e9e44)",
    metrics.WORSE: "var(--jp-error-color1, #e0483e)",
}
_LINE = "1px solid var(--jp-border-color2, rgba(128, 128, 128, 0.4))"
_CELL = f"text-align:left; padding:2px 16px 2px 0; border-bottom:{_LINE}; background:transparent"
_NAME = f"{_CELL}; font-weight:normal; opacity:0.75; min-width:11em"


def _box(content: str) -> str:
    font = "font-family:var(--jp-ui-font-family, sans-serif); font-size:13px; line-height:1.6"
    return f'<div style="{font}; margin:4px 0">{content}</div>'


def _table(
    heading: Sequence[str], rows: Sequence[Sequence[str]], colours: Sequence[str] = ()
) -> str:
    """A table; ``colours`` are those of the last cell of each row."""
    lines = []
    if heading:
        cells = "".join(f'<th style="{_CELL}">{escape(text)}</th>' for text in heading)
        lines.append(f'<tr style="background:transparent">{cells}</tr>')
    for number, (name, *others) in enumerate(rows):
        styles = [_CELL] * len(others)
        if colours and colours[number]:
            styles[-1] += f"; color:{colours[number]}"
        cells = f'<th style="{_NAME}">{escape(name)}</th>'
        cells += "".join(
            f'<td style="{style}">{escape(text)}</td>'
            for style, text in zip(styles, others, strict=True)
        )
        lines.append(f'<tr style="background:transparent">{cells}</tr>')
    style = "border-collapse:collapse; margin:6px 0; font-size:13px"
    return f'<table style="{style}">{"".join(lines)}</table>'
