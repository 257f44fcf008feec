"""A report as one HTML file that loads nothing: text by Jinja2, charts by Vega in the page."""

import base64
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagship.disk import atomic
from tagship.errors import InvalidName, NotFound, Refused
from tagship.inspect.listing import VersionRow
from tagship.report import charts
from tagship.report.collect import NEWEST, ModelReport, Report, Series
from tagship.report.plots import Plot
from tagship.text import clock, escape, redact, words

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
PICTURE = "data:image/"  # base64, as plots makes it
EXTRA = 'pip install "tagship[report]"'


@dataclass(frozen=True)
class Chart:
    """A place for a chart: its id in the page, its spec, and what it shows, in words."""

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
        found = (
            self.timeline,
            *(c for _, c in self.metrics),
            self.sizes,
            *(c for _, c in self.plots),
        )
        yield from (one for one in found if one is not None)


def write(report: Report, path: Path) -> None:
    """Write the page; a file of that name is replaced, durably, in one step.

    Raises:
        Refused: ``path`` is a folder or a link, or not named as a page is; or what it needs is not
            installed.
        NotFound: its folder is not there.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        what = "a link" if path.is_symlink() else "a folder" if path.is_dir() else "no file"
        raise Refused(f"{path} is {what}, and a report is a file", "give another one with -o FILE")
    if path.suffix.lower() not in (".html", ".htm"):  # it would replace what is no report
        raise Refused(f"{path} is no name for a page", "give it one that ends in .html")
    if not path.parent.is_dir():
        raise NotFound(f"there is no folder {path.parent}", f"mkdir -p {path.parent}")
    data = html(report).encode()
    try:
        atomic.write(path, data)
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror}", f"ls -ld {path.parent}"
        ) from None


def html(report: Report) -> str:
    """The page.

    Raises:
        Refused: Jinja2 or vl-convert is not installed.
    """
    views = [_view(f"m{i}", model, report.made_at) for i, model in enumerate(report.models, 1)]
    specs = {chart.id: chart.spec for view in views for chart in view.charts}
    vega, script = _vega(), (TEMPLATES / "report.js").read_text(encoding="utf-8")
    names = [model.model for model in report.models]
    safe = {
        "css": (TEMPLATES / "report.css").read_text(encoding="utf-8"),
        "script": script,
        "specs": in_script(redact.json(specs)),
        "vega": vega,
    }
    return (
        _environment(safe)
        .get_template("report.html.j2")
        .render(
            report=report,
            views=views,
            title=f"{names[0] if len(names) == 1 else 'Models'} in {report.repository}",
            newest=NEWEST,
            policy=_policy(vega, script),
        )
    )


def in_script(value: Any) -> str:
    """JSON that may stand in a ``<script>``: no ``<``, ``>`` or ``&``, and ASCII alone.

    So neither ``</script>`` nor ``<!--`` ends it, nor does U+2028 a line (HTML, "Restrictions for
    contents of script elements").

    Raises:
        ValueError: there is a NaN or an infinity in it.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def code_in_script(text: str) -> str:
    """JavaScript that may stand in a ``<script>``: what would end it is written otherwise.

    Both stand in strings and regular expressions alone, where these escapes mean the same.
    """
    text = re.sub(r"</(?=script)", r"<\\/", text, flags=re.IGNORECASE)
    return text.replace("<!--", r"\x3C!--")


@functools.cache
def _vega() -> str:
    """Vega, Vega-Lite and vega-embed as one script, which sets ``window.vegaEmbed``; 0.9 MB."""
    try:
        import vl_convert
    except ImportError as error:
        raise _lacking(error) from None
    return code_in_script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _environment(safe: dict[str, str]) -> "jinja2.Environment":
    """The templates: all is escaped but ``safe``, which is ours."""
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
    """What a template puts into the page: a text of somebody's, a picture, or markup of ours."""
    if type(value) is not str or value.startswith(PICTURE):
        return value
    return escape.shown(redact.text(value))


def _lacking(error: ImportError) -> Refused:
    return Refused(f"a report needs {error.name}, which is not installed", EXTRA)


def _policy(*scripts: str) -> str:
    """What a browser lets the page do: run these scripts, show pictures that are in it, no more.

    Content Security Policy, https://www.w3.org/TR/CSP3/.
    """
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _view(identity: str, model: ModelReport, now: datetime) -> View:
    """A model's charts, with ids that are its own in the page."""

    def chart(name: str, spec: dict[str, Any], label: str) -> Chart:
        return Chart(f"{identity}-{name}", spec, label)

    line = sizes = None
    if model.periods or model.marks:
        spec = charts.timeline(model.periods, model.marks, now)
        line = chart("timeline", spec, _timeline_label(model))
    if _is_drawn(model.sizes):
        label = f"Size of {model.model} by version; the table of versions has the figures."
        sizes = chart("sizes", charts.sizes(model.sizes), label)
    return View(
        identity,
        model,
        line,
        tuple(
            (
                one,
                chart(f"metric-{i}", charts.metric(one.name, one.points), _metric_label(one))
                if _is_drawn(one.points)
                else None,
            )
            for i, one in enumerate(model.series)
        ),
        sizes,
        tuple(
            (plot, chart(f"plot-{i}", plot.spec, _plot_label(plot)) if plot.spec else None)
            for i, plot in enumerate(model.plots)
        ),
    )


def _is_drawn(points: Sequence[charts.Point]) -> bool:
    """Whether a chart says more than the one figure of the live version."""
    drawn = [point for point in points if point.value is not None]
    return len(drawn) > 1 or any(not point.live for point in drawn)


def _timeline_label(model: ModelReport) -> str:
    count = len(model.periods)
    what = (
        f"Time line of {model.model}, with {count} time{'' if count == 1 else 's'} a version live"
    )
    return f"{what}; the history below has it in words."


def _metric_label(series: Series) -> str:
    values = [point.value for point in series.points if point.value is not None]
    span = f"from {words.figure(min(values))} to {words.figure(max(values))}"
    now = [p for p in series.points if p.live and p.value is not None]
    live = f"; live is {now[0].version} with {words.figure(now[0].value)}" if now else ""
    return f"{series.name} of {len(values)} versions, {span}{live}."


def _plot_label(plot: Plot) -> str:
    return f"{plot.title}: {' beside '.join(plot.versions)}"


def day(value: str | datetime) -> str:
    """A moment for people, in UTC: ``23 Nov 2026, 05:31``; text that is no date stays as it is."""
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
    """The first line of a message; nothing where it has none."""
    return text.strip().partition("\n")[0]


def difference(value: float) -> str:
    """With its sign, the minus as long as the plus: ``+0.012``."""
    return f"{value:+.4g}".replace("-", "\N{MINUS SIGN}", 1)


def _marks(row: VersionRow) -> str:
    words = {
        "live": row.live,
        "on disk": row.on_disk and not row.live,
        "pinned": row.pinned,
        "withdrawn": not row.offered,
    }
    return ", ".join([w for w, holds in words.items() if holds] + [f"#{s}" for s in row.stages])
