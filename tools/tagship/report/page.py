"""A report as one self-contained HTML file: text by Jinja2, charts by Vega in the page."""

import base64
import functools
import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagship.disk import atomic
from tagship.errors import InvalidName, NotFound, Refused
from tagship.inspect.listing import VersionRow
from tagship.report import charts, vega
from tagship.report.collect import NEWEST, ModelReport, Report, Series
from tagship.report.plots import Plot
from tagship.text import clock, escape, redact, words

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
PICTURE = "data:image/"  # base64, from plots.py
EXTRA = 'pip install "tagship[report]"'


@dataclass(frozen=True)
class Chart:
    """A chart: its id in the page, its Vega-Lite spec, and a label for screen readers."""

    id: str
    spec: dict[str, Any]
    label: str


@dataclass(frozen=True)
class View:
    """A model with its charts."""

    id: str
    model: ModelReport
    timeline: Chart | None
    metrics: tuple[tuple[Series, Chart | None], ...]
    sizes: Chart | None
    plots: tuple[tuple[Plot, Chart | None], ...]

    @property
    def charts(self) -> Iterator[Chart]:
        """All of them."""
        drawn = (
            self.timeline,
            *(c for _, c in self.metrics),
            self.sizes,
            *(c for _, c in self.plots),
        )
        yield from (chart for chart in drawn if chart is not None)


def write(report: Report, path: Path) -> None:
    """Write the page; an existing file is replaced atomically.

    Raises:
        Refused: ``path`` is a folder or a link, or does not end in .html; or Jinja2 or vl-convert
            is not installed.
        NotFound: its folder does not exist.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        what = "a link" if path.is_symlink() else "a folder" if path.is_dir() else "not a file"
        raise Refused(
            f"{path} is {what}: a report is written to a file", "give another one with -o FILE"
        )
    if path.suffix.lower() not in (".html", ".htm"):  # it could replace a file that is not a report
        raise Refused(f"{path} does not end in .html", "give another name with -o FILE")
    if not path.parent.is_dir():
        raise NotFound(
            f"no such folder: {path.parent}", f"mkdir -p {shlex.quote(str(path.parent))}"
        )
    data = html(report).encode()
    try:
        atomic.write(path, data)
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror}",
            f"give another one with -o FILE; or see ls -ld {shlex.quote(str(path.parent))}",
        ) from None


def html(report: Report) -> str:
    """The page.

    Raises:
        Refused: Jinja2 or vl-convert is not installed.
    """
    views = [_view(f"m{i}", model, report.made_at) for i, model in enumerate(report.models, 1)]
    specs = {chart.id: chart.spec for view in views for chart in view.charts}
    libraries, script = _vega(), (TEMPLATES / "report.js").read_text(encoding="utf-8")
    names = [model.model for model in report.models]
    safe = {
        "css": (TEMPLATES / "report.css").read_text(encoding="utf-8"),
        "script": script,
        "specs": in_script(redact.json(specs)),
        "vega": libraries,
    }
    return (
        _environment(safe)
        .get_template("report.html.j2")
        .render(
            report=report,
            views=views,
            title=f"{names[0] if len(names) == 1 else 'Models'} in {report.repository}",
            newest=NEWEST,
            policy=_policy(libraries, script),
        )
    )


def in_script(value: Any) -> str:
    """JSON that is safe inside ``<script>``: without ``<``, ``>`` and ``&``, and only ASCII.

    So neither ``</script>`` nor ``<!--`` can end it, and U+2028 cannot end a line (HTML,
    "Restrictions for contents of script elements").

    Raises:
        ValueError: there is a NaN or an infinity in it.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def code_in_script(text: str) -> str:
    """JavaScript that is safe inside ``<script>``: what would end the element is escaped.

    Both occur only in strings and regular expressions, where the escapes mean the same.
    """
    text = re.sub(r"</(?=script)", r"<\\/", text, flags=re.IGNORECASE)
    return text.replace("<!--", r"\x3C!--")


@functools.cache
def _vega() -> str:
    try:
        import vl_convert
    except ImportError as error:
        raise _lacking(error) from None
    return code_in_script(vega.script(vl_convert))


def _environment(safe: dict[str, str]) -> "jinja2.Environment":
    """The templates: everything is escaped except ``safe``, which is our own text."""
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError as error:
        raise _lacking(error) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        day=day, difference=difference, figure=words.figure, first_line=first_line, marks=_marks,
        size=words.size, stamp=_stamp,
    )  # fmt: skip
    environment.globals.update({name: Markup(text) for name, text in safe.items()})  # noqa: S704 - ours
    return environment


def _finalize(value: Any) -> Any:
    """Redact and escape text; pictures and our own markup stay as they are."""
    if type(value) is not str or value.startswith(PICTURE):
        return value
    return escape.shown(redact.text(value))


def _lacking(error: ImportError) -> Refused:
    return Refused(f"a report needs {error.name}, which is not installed", EXTRA)


def _policy(*scripts: str) -> str:
    """The content security policy: these scripts and embedded pictures, nothing else.

    Content Security Policy, https://www.w3.org/TR/CSP3/.
    """
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _view(identity: str, model: ModelReport, now: datetime) -> View:
    """A model's charts, with unique ids in the page."""

    def chart(name: str, spec: dict[str, Any], label: str) -> Chart:
        return Chart(f"{identity}-{name}", spec, label)

    line = sizes = None
    if model.periods or model.marks:
        spec = charts.timeline(model.periods, model.marks, now)
        line = chart("timeline", spec, _timeline_label(model))
    if _is_drawn(model.sizes):
        label = f"Size of {model.model} by version; the figures are in the table of versions."
        sizes = chart("sizes", charts.sizes(model.sizes), label)
    return View(
        identity,
        model,
        line,
        tuple(
            (
                series,
                chart(
                    f"metric-{i}", charts.metric(series.name, series.points), _metric_label(series)
                )
                if _is_drawn(series.points)
                else None,
            )
            for i, series in enumerate(model.series)
        ),
        sizes,
        tuple(
            (plot, chart(f"plot-{i}", plot.spec, _plot_label(plot)) if plot.spec else None)
            for i, plot in enumerate(model.plots)
        ),
    )


def _is_drawn(points: Sequence[charts.Point]) -> bool:
    """Whether a chart shows more than one value of the live version."""
    drawn = [point for point in points if point.value is not None]
    return len(drawn) > 1 or any(not point.live for point in drawn)


def _timeline_label(model: ModelReport) -> str:
    count = len(model.periods)
    what = f"Timeline of {model.model} with {words.count(count, 'period')} of a live version"
    return f"{what}; the same events are in the history below."


def _metric_label(series: Series) -> str:
    values = [point.value for point in series.points if point.value is not None]
    span = f"from {words.figure(min(values))} to {words.figure(max(values))}"
    now = [p for p in series.points if p.live and p.value is not None]
    live = f"; live is {now[0].version} with {words.figure(now[0].value)}" if now else ""
    return f"{series.name} of {len(values)} versions, {span}{live}."


def _plot_label(plot: Plot) -> str:
    return f"{plot.title}: {' and '.join(plot.versions)}"


def day(value: str | datetime) -> str:
    """A time for people, in UTC: ``23 Nov 2026, 05:31``; text that is not a date is unchanged."""
    moment = value
    if isinstance(moment, str):
        try:
            moment = clock.moment(moment)
        except InvalidName:
            return str(value)
    return f"{moment.day} {moment:%b %Y, %H:%M}"


def _stamp(value: str | datetime) -> str:
    return value if isinstance(value, str) else clock.stamp(value)


def first_line(text: str) -> str:
    """The first line of a message; empty if it has none."""
    return text.strip().partition("\n")[0]


def difference(value: float) -> str:
    """A number with its sign, and a minus sign as wide as the plus: ``+0.012``."""
    return f"{value:+.4g}".replace("-", "\N{MINUS SIGN}", 1)


def _marks(row: VersionRow) -> str:
    states = {
        "live": row.live,
        "on disk": row.on_disk and not row.live,
        "pinned": row.pinned,
        "deprecated": not row.offered,
    }
    return ", ".join([s for s, holds in states.items() if holds] + [f"#{s}" for s in row.stages])
